//! The shapes that expressions have, and what is none.

use super::super::type_name::{Base, Layer};
use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(text, &|name| name.ends_with("_t"))
}

fn type_shape(ty: &TypeName) -> String {
    let mut text = match &ty.base {
        Base::Void => "void".to_owned(),
        Base::Named(_, name) => name.clone(),
        Base::TypeOf(of) => format!("typeof {}", shape(of)),
        Base::Same(ty) => type_shape(ty),
    };
    for layer in &ty.layers {
        text += &match layer {
            Layer::Pointer => "*".to_owned(),
            Layer::Array(count) => format!("[{count}]"),
            Layer::Function { parameters, variadic } => {
                let mut list: Vec<_> = parameters.iter().map(type_shape).collect();
                list.extend(variadic.then(|| "...".to_owned()));
                format!("({})", list.join(","))
            }
        };
    }
    text
}

/// The tree with every operation in parentheses.
fn shape(expression: &Expression) -> String {
    match &expression.node {
        Node::Number(number, _) => number.to_string(),
        Node::Char(char) => format!("'{}'", char::from(*char)),
        Node::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Node::Name(name) => name.clone(),
        Node::Register(name) => format!("${name}"),
        Node::Unary(sign, operand) => format!("({sign}{})", shape(operand)),
        Node::Binary(sign, left, right) => format!("({}{sign}{})", shape(left), shape(right)),
        Node::Conditional(a, b, c) => format!("({}?{}:{})", shape(a), shape(b), shape(c)),
        Node::Member(of, name, arrow) => {
            format!("({}{}{name})", shape(of), if *arrow { "->" } else { "." })
        }
        Node::Index(of, index) => format!("({}[{}])", shape(of), shape(index)),
        Node::Cast(ty, operand) => format!("(<{}>{})", type_shape(ty), shape(operand)),
        Node::SizeOfType(ty) => format!("sizeof<{}>", type_shape(ty)),
        Node::SizeOf(operand) => format!("sizeof {}", shape(operand)),
        Node::Null(ty) => format!("<{}>", type_shape(ty)),
        Node::OffsetOf(member) => format!("offset {}", shape(member)),
        Node::ContainerOf(of, _, member) => format!("{} in {}", shape(of), shape(member)),
        Node::PerCpu(of, cpu) => format!("{} of {}", shape(of), shape(cpu)),
        Node::PerCpuPointer(of, cpu) => format!("*{} of {}", shape(of), shape(cpu)),
    }
}

#[test]
fn operators_bind_as_in_c() {
    for (text, tree) in [
        ("1+2*3-4", "((1+(2*3))-4)"),
        (
            "&((struct task_struct *)0x10)->mm->mmap_lock",
            "(&(((<task_struct*>16)->mm)->mmap_lock))",
        ),
        ("*(struct mutex *)0x10", "(*(<mutex*>16))"),
        ("a.b[2]->c", "(((a.b)[2])->c)"),
        ("(atomic_t)x + (y)", "((<atomic_t>x)+y)"),
        ("(unsigned long)-1 >> 017", "((<long unsigned int>(-1))>>15)"),
        ("sizeof(struct page) == 64UL && !x", "((sizeof<page>==64)&&(!x))"),
        ("sizeof x->y + sizeof(x)", "(sizeof (x->y)+sizeof x)"),
        ("a & b == c", "(a&(b==c))"),
        ("a ? b : c ? d : e", "(a?b:(c?d:e))"),
        ("a || b ? c : d", "((a||b)?c:d)"),
        ("a ? b:2", "(a?b:2)"),
        ("a ? (b:2) : c:3", "(a?b of 2:c of 3)"),
        ("runqueues:2.nr_running", "(runqueues of 2.nr_running)"),
        ("per_cpu(a, 1).b", "(a of 1.b)"),
        ("$rsp + 8", "($rsp+8)"),
        ("*a@2+1", "((*a)@(2+1))"),
        ("{struct page} 16", "(*(<page*>16))"),
        ("'a' + \"b\"[0]", "('a'+(\"b\"[0]))"),
        ("offsetof(struct a, b.c[2])", "offset (((<a>.b).c)[2])"),
        ("container_of(p->x, struct a, b)->c", "((p->x) in (<a>.b)->c)"),
    ] {
        assert_eq!(parse(text).map(|tree| shape(&tree)), Ok(tree.to_owned()), "{text}");
    }
}

#[test]
fn types_are_read_as_c_writes_them() {
    for (text, ty) in [
        ("(struct page **)0", "page**"),
        ("(const struct page * const *)0", "page**"),
        ("(char (*)[16])0", "char[16]*"),
        ("(int (*(*)[3])(void))0", "int()*[3]*"),
        ("(long [2][3])0", "long int[3][2]"),
        ("(void (*)(int, struct page *, ...))0", "void(int,page*,...)*"),
        ("(typeof(a->b) *)0", "typeof (a->b)*"),
        ("(typeof(struct page) *)0", "page*"),
        ("(unsigned)0", "unsigned int"),
        ("(enum pid_type)0", "pid_type"),
    ] {
        let Ok(Expression { node: Node::Cast(found, _), .. }) = parse(text) else {
            panic!("{text}: {:?}", parse(text));
        };
        assert_eq!(type_shape(&found), ty, "{text}");
    }
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (text, column, message) in [
        ("", 0, "expected a value before the end"),
        ("init_task.", 10, "expected the name of a member"),
        ("(1 + 2", 6, "expected ')' before the end"),
        ("1 + ) 2", 4, "expected a value before ')'"),
        ("a b", 2, "unexpected name b after a whole expression"),
        ("ä + #", 4, "unexpected character #"),
        ("(unsigned java)x", 1, "unsigned java is no type"),
        ("a ? b", 5, "expected ':' before the end"),
        ("schedule(1)", 8, "nothing in a dump can be called"),
        ("runqueues:x", 10, "expected the number of a CPU"),
        ("(struct)x", 1, "expected the name of a type"),
        ("(char [x])0", 7, "expected a number"),
        ("offsetof(struct a)", 17, "expected ',' before ')'"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
    }
}

#[test]
fn endless_text_is_refused() {
    assert_eq!(parse(&"(".repeat(200)).unwrap_err().message, "nested too deeply");
    for text in ["(", "-", "1+", "a.", "a?", "sizeof ", "(int(*(", "a[", "typeof("] {
        assert!(parse(&text.repeat(100_000)).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}") {
        _ = parse(&text);
    }

    #[test]
    fn no_row_of_tokens_makes_it_panic(picks in prop::collection::vec(0..WORDS.len(), 0..40)) {
        let text: Vec<&str> = picks.into_iter().map(|pick| WORDS[pick]).collect();
        if let Err(error) = parse(&text.join(" ")) {
            prop_assert!(error.column <= text.join(" ").chars().count());
        }
    }
}

const WORDS: [&str; 32] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "*",
    "&",
    "-",
    "+",
    "->",
    ".",
    ",",
    "?",
    ":",
    "@",
    "<<",
    "==",
    "&&",
    "1",
    "0xffUL",
    "'a'",
    "\"b\"",
    "name",
    "$rsp",
    "struct",
    "int",
    "atomic_t",
    "sizeof",
    "typeof",
    "offsetof",
    "container_of",
];
