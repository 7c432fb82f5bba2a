//! Tokens into a tree, by C's rules of precedence.

use super::ExpressionError;
use super::number::Integer;
use super::token::{Token, tokens};
use super::type_name::TypeName;

/// Nesting that is still followed; deeper text is no expression that somebody wrote.
const MAX_DEPTH: u32 = 60;

/// A node of the tree.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    /// Where it starts, in characters.
    pub(super) column: usize,
    pub(super) node: Node,
}

pub(super) type Operand = Box<Expression>;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Number(u64, Integer),
    Char(u8),
    Text(Vec<u8>),
    Name(String),
    Register(String),
    Unary(&'static str, Operand),
    Binary(&'static str, Operand, Operand),
    Conditional(Operand, Operand, Operand),
    /// `a.b`, or `a->b` when the flag is set.
    Member(Operand, String, bool),
    Index(Operand, Operand),
    Cast(TypeName, Operand),
    SizeOfType(TypeName),
    SizeOf(Operand),
    /// An object of this type at address 0, whose members tell their offsets.
    Null(TypeName),
    /// The address of what the operand, a member of [`Node::Null`], comes to.
    OffsetOf(Operand),
    /// The object that holds, as this member, what the first operand points to.
    ContainerOf(Operand, TypeName, Operand),
    /// `variable:cpu`, `per_cpu(variable, cpu)`.
    PerCpu(Operand, Operand),
    /// `per_cpu_ptr(pointer, cpu)`.
    PerCpuPointer(Operand, Operand),
}

/// The binary operators, loosest first. `@` is gdb's: so many objects from this one on.
const LEVELS: [&[&str]; 11] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["@"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Expression {
    /// Parses `text`; `is_type` says whether a name is a typedef's.
    ///
    /// # Errors
    /// With the column of what does not belong there.
    pub fn parse(
        text: &str,
        is_type: &dyn Fn(&str) -> bool,
    ) -> Result<Expression, ExpressionError> {
        whole(text, is_type, |parser| parser.expression())
    }

    /// Parses the name of a type, as it stands in a cast.
    pub(super) fn parse_type(
        text: &str,
        is_type: &dyn Fn(&str) -> bool,
    ) -> Result<TypeName, ExpressionError> {
        whole(text, is_type, |parser| parser.type_name())
    }
}

pub(super) struct Parser<'p> {
    tokens: &'p [(usize, Token)],
    end: usize,
    pub(super) is_type: &'p dyn Fn(&str) -> bool,
    depth: u32,
    /// Between `?` and `:`, where a colon is not for a CPU.
    in_conditional: bool,
}

/// What `parse` makes of a text, all of it.
fn whole<T>(
    text: &str,
    is_type: &dyn Fn(&str) -> bool,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ExpressionError>,
) -> Result<T, ExpressionError> {
    let tokens = tokens(text)?;
    let end = text.chars().count();
    let mut parser =
        Parser { tokens: &tokens, end, is_type, depth: MAX_DEPTH, in_conditional: false };
    let parsed = parse(&mut parser)?;
    match parser.tokens.first() {
        None => Ok(parsed),
        Some((column, token)) => Err(ExpressionError::new(
            *column,
            format!("unexpected {} after a whole expression", token.describe()),
        )),
    }
}

impl Parser<'_> {
    pub(super) fn column(&self) -> usize {
        self.tokens.first().map_or(self.end, |(column, _)| *column)
    }

    pub(super) fn peek(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(_, token)| token)
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    /// Takes one of these signs if it comes next.
    pub(super) fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Sign(sign)) = self.peek(0) else { return None };
        let sign = signs.iter().find(|wanted| *wanted == sign).copied()?;
        self.skip(1);
        Some(sign)
    }

    pub(super) fn expect(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        let (column, found) = (self.column(), self.peek(0).map(Token::describe));
        self.take(&[sign]).map(drop).ok_or_else(|| {
            let found = found.unwrap_or_else(|| "the end".to_owned());
            ExpressionError::new(column, format!("expected '{sign}' before {found}"))
        })
    }

    /// A name where only a member can stand.
    fn word(&mut self) -> Result<String, ExpressionError> {
        let column = self.column();
        let Some(Token::Word(word)) = self.peek(0) else {
            return Err(ExpressionError::new(column, "expected the name of a member"));
        };
        let word = word.clone();
        self.skip(1);
        Ok(word)
    }

    pub(super) fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        let column = self.column();
        let deep = || ExpressionError::new(column, "nested too deeply");
        self.depth = self.depth.checked_sub(1).ok_or_else(deep)?;
        let result = parse(self);
        self.depth += 1;
        result
    }

    /// What stands between brackets.
    fn inner(&mut self) -> Result<Expression, ExpressionError> {
        let outside = std::mem::take(&mut self.in_conditional);
        let inner = self.deeper(Self::expression);
        self.in_conditional = outside;
        inner
    }

    pub(super) fn expression(&mut self) -> Result<Expression, ExpressionError> {
        let condition = self.binary(0)?;
        let column = self.column();
        if self.take(&["?"]).is_none() {
            return Ok(condition);
        }
        let outside = std::mem::replace(&mut self.in_conditional, true);
        let yes = self.deeper(Self::expression);
        self.in_conditional = outside;
        let yes = yes?;
        self.expect(":")?;
        let no = self.deeper(Self::expression)?;
        let node = Node::Conditional(Box::new(condition), Box::new(yes), Box::new(no));
        Ok(Expression { column, node })
    }

    /// An operation whose operators bind at least as tightly as this level's.
    fn binary(&mut self, loosest: usize) -> Result<Expression, ExpressionError> {
        let mut left = self.unary()?;
        loop {
            let column = self.column();
            let Some(Token::Sign(sign)) = self.peek(0) else { return Ok(left) };
            let level = LEVELS.iter().position(|signs| signs.contains(sign));
            let Some(level) = level.filter(|level| *level >= loosest) else { return Ok(left) };
            let sign = *sign;
            self.skip(1);
            let right = self.binary(level + 1)?;
            let node = Node::Binary(sign, Box::new(left), Box::new(right));
            left = Expression { column, node };
        }
    }

    fn unary(&mut self) -> Result<Expression, ExpressionError> {
        let column = self.column();
        if let Some(operator) = self.take(&["&", "*", "-", "+", "~", "!"]) {
            let operand = Box::new(self.deeper(Self::unary)?);
            return Ok(Expression { column, node: Node::Unary(operator, operand) });
        }
        if self.peek(0) == Some(&Token::Word("sizeof".to_owned())) {
            self.skip(1);
            let node = if self.peek(0) == Some(&Token::Sign("(")) && self.type_follows(1) {
                Node::SizeOfType(self.type_between("(", ")")?)
            } else {
                Node::SizeOf(Box::new(self.deeper(Self::unary)?))
            };
            return Ok(Expression { column, node });
        }
        if self.peek(0) == Some(&Token::Sign("(")) && self.type_follows(1) {
            let ty = self.type_between("(", ")")?;
            let operand = Box::new(self.deeper(Self::unary)?);
            return Ok(Expression { column, node: Node::Cast(ty, operand) });
        }
        if self.peek(0) == Some(&Token::Sign("{")) {
            // gdb's {TYPE} ADDRESS.
            let mut ty = self.type_between("{", "}")?;
            ty.layers.push(super::type_name::Layer::Pointer);
            let operand = Box::new(self.deeper(Self::unary)?);
            let pointer = Expression { column, node: Node::Cast(ty, operand) };
            return Ok(Expression { column, node: Node::Unary("*", Box::new(pointer)) });
        }
        self.postfix()
    }

    fn type_between(
        &mut self,
        open: &'static str,
        close: &'static str,
    ) -> Result<TypeName, ExpressionError> {
        self.expect(open)?;
        let ty = self.type_name()?;
        self.expect(close)?;
        Ok(ty)
    }

    fn postfix(&mut self) -> Result<Expression, ExpressionError> {
        let mut expression = self.primary()?;
        loop {
            let column = self.column();
            let operand = |expression| Box::new(expression);
            let node = match self.take(&[".", "->", "[", "("]) {
                Some("[") => {
                    let index = self.inner()?;
                    self.expect("]")?;
                    Node::Index(operand(expression), Box::new(index))
                }
                Some("(") => {
                    return Err(ExpressionError::new(column, "nothing in a dump can be called"));
                }
                Some(sign) => {
                    let name = self.word()?;
                    Node::Member(operand(expression), name, sign == "->")
                }
                None => return Ok(expression),
            };
            expression = Expression { column, node };
        }
    }

    fn primary(&mut self) -> Result<Expression, ExpressionError> {
        let column = self.column();
        if self.take(&["("]).is_some() {
            let inner = self.inner()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let node = match self.peek(0) {
            Some(Token::Number(number, ty)) => Node::Number(*number, *ty),
            Some(Token::Char(char)) => Node::Char(*char),
            Some(Token::Text(text)) => Node::Text(text.clone()),
            Some(Token::Register(name)) => Node::Register(name.clone()),
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.skip(1);
                return self.name(column, word);
            }
            Some(token) => {
                let message = format!("expected a value before {}", token.describe());
                return Err(ExpressionError::new(column, message));
            }
            None => return Err(ExpressionError::new(column, "expected a value before the end")),
        };
        self.skip(1);
        Ok(Expression { column, node })
    }

    /// A name, with the CPU behind its colon, or one of the kernel's macros.
    fn name(&mut self, column: usize, word: String) -> Result<Expression, ExpressionError> {
        if self.peek(0) == Some(&Token::Sign("(")) {
            let node = match word.as_str() {
                "offsetof" | "__builtin_offsetof" => {
                    self.skip(1);
                    let ty = self.type_name()?;
                    Some(Node::OffsetOf(Box::new(self.designator(ty)?)))
                }
                "container_of" | "list_entry" | "hlist_entry" | "rb_entry" => {
                    self.skip(1);
                    let pointer = Box::new(self.inner()?);
                    self.expect(",")?;
                    let ty = self.type_name()?;
                    let member = Box::new(self.designator(ty.clone())?);
                    Some(Node::ContainerOf(pointer, ty, member))
                }
                "per_cpu" | "per_cpu_ptr" => {
                    self.skip(1);
                    let of = Box::new(self.inner()?);
                    self.expect(",")?;
                    let cpu = Box::new(self.inner()?);
                    self.expect(")")?;
                    let pointer = word == "per_cpu_ptr";
                    Some(if pointer { Node::PerCpuPointer(of, cpu) } else { Node::PerCpu(of, cpu) })
                }
                _ => None,
            };
            if let Some(node) = node {
                return Ok(Expression { column, node });
            }
        }
        let name = Expression { column, node: Node::Name(word) };
        if let (Some(Token::Sign(":")), false) = (self.peek(0), self.in_conditional) {
            self.skip(1);
            let at = self.column();
            let Some(Token::Number(cpu, ty)) = self.peek(0) else {
                return Err(ExpressionError::new(at, "expected the number of a CPU"));
            };
            let cpu = Expression { column: at, node: Node::Number(*cpu, *ty) };
            self.skip(1);
            let node = Node::PerCpu(Box::new(name), Box::new(cpu));
            return Ok(Expression { column, node });
        }
        Ok(name)
    }

    /// `, member[1].member)` of a type.
    fn designator(&mut self, ty: TypeName) -> Result<Expression, ExpressionError> {
        self.expect(",")?;
        let column = self.column();
        let whole = Box::new(Expression { column, node: Node::Null(ty) });
        let mut member = Expression { column, node: Node::Member(whole, self.word()?, false) };
        loop {
            let column = self.column();
            let of = Box::new(member);
            let node = match self.take(&[".", "["]) {
                Some("[") => {
                    let index = Box::new(self.inner()?);
                    self.expect("]")?;
                    Node::Index(of, index)
                }
                Some(_) => Node::Member(of, self.word()?, false),
                None => {
                    self.expect(")")?;
                    return Ok(*of);
                }
            };
            member = Expression { column, node };
        }
    }
}

#[cfg(test)]
mod tests {
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
}
