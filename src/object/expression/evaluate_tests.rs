//! Expressions over the small world of [`crate::object::testing`].

use super::*;
use crate::object::testing::{World, world};

fn value(world: &World, text: &str) -> Result<Value, String> {
    let scope = world.scope();
    let outcome = scope.evaluate(text).map_err(|e| format!("{}: {}", e.column, e.message))?;
    scope.value(&outcome)
}

#[test]
fn members_pointers_and_numbers_are_found() {
    let world = world();
    for (text, ty, content) in [
        ("((struct node *)0x1000)->pid", "int", Content::Int(-7, 4)),
        ("(*(struct node *)0x1000).parent->pid", "int", Content::Int(42, 4)),
        ("first.pid", "int", Content::Int(-7, 4)),
        ("((struct node *)0x1000)[1].pid", "int", Content::Int(42, 4)),
        ("((struct node *)0x1000 + 1)->pid * 2", "int", Content::Int(84, 4)),
        ("sizeof(struct node) == 64", "int", Content::Int(1, 4)),
        ("first.comm[1]", "char", Content::Char(b'a'.into())),
        ("first.high", "unsigned int", Content::Int(5, 4)),
        ("(unsigned int)-1 / 0x10", "unsigned int", Content::Int(0x0fff_ffff, 4)),
        ("first.low - 3", "int", Content::Int(-1, 4)),
        ("first.pid / 2", "int", Content::Int(-3, 4)),
        ("first.pid + 0u", "unsigned int", Content::Int(0xffff_fff9, 4)),
        ("(unsigned char)300", "unsigned char", Content::Char(44)),
        ("(char)200", "char", Content::Char(-56)),
        ("(_Bool)2", "_Bool", Content::Bool(true)),
        ("1 << 31 < 0", "int", Content::Int(1, 4)),
        ("1ul << 63", "unsigned long", Content::Int(1 << 63, 8)),
        ("-1 > 0u", "int", Content::Int(1, 4)),
        ("2147483647 + 1", "int", Content::Int(i32::MIN.into(), 4)),
        ("'a' + 1", "int", Content::Int(98, 4)),
        ("'a'", "char", Content::Char(97)),
        ("1 ? 2 : 3ul", "unsigned long", Content::Int(2, 8)),
        ("READ", "enum mode", Content::Enum(1, Some("READ".to_owned()))),
        ("(enum mode)2", "enum mode", Content::Enum(2, Some("WRITE".to_owned()))),
        ("READ + WRITE", "unsigned int", Content::Int(3, 4)),
        ("sizeof first.comm", "unsigned long", Content::Int(16, 8)),
        ("sizeof(first.parent->parent->list)", "unsigned long", Content::Int(16, 8)),
        ("sizeof(struct node **)", "unsigned long", Content::Int(8, 8)),
        ("sizeof \"abc\"", "unsigned long", Content::Int(4, 8)),
        ("offsetof(struct node, list.prev)", "unsigned long", Content::Int(16, 8)),
        ("offsetof(struct node, pair[1])", "unsigned long", Content::Int(60, 8)),
        ("container_of(&first.parent->list, struct node, list)->pid", "int", Content::Int(42, 4)),
        ("(*(struct node **)0x1028)->pid", "int", Content::Int(42, 4)),
        ("((typeof(first) *)0x1040)->pid", "int", Content::Int(42, 4)),
        ("({struct node} 0x1040).pid", "int", Content::Int(42, 4)),
        ("first:1.pid", "int", Content::Int(42, 4)),
        ("per_cpu(first, 1).pid", "int", Content::Int(42, 4)),
        ("per_cpu_ptr(&first, 1)->pid", "int", Content::Int(42, 4)),
        ("((struct node *)$rsp)->pid", "int", Content::Int(-7, 4)),
        ("(struct node *)0x1080 - (struct node *)0x1000", "long", Content::Int(2, 8)),
        ("&first.parent[1] == (struct node *)0x1080", "int", Content::Int(1, 4)),
        ("(first.parent & ~0xffful) == 0x1000", "int", Content::Int(1, 4)),
        ("((struct node)second).pid", "int", Content::Int(42, 4)),
        ("*(int *)&second", "int", Content::Int(42, 4)),
        ("first.pair[1]", "int", Content::Int(-1, 4)),
        ("*first.pair@2", "int [2]", Content::Array(vec![Content::Int(1, 4), Content::Int(-1, 4)])),
    ] {
        let found = value(&world, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((found.ty.as_str(), &found.content), (ty, &content), "{text}");
    }
}

#[test]
fn what_is_not_needed_is_not_evaluated() {
    let world = world();
    // Reading at 0x28 is a fault, as the next test shows.
    let far = "first.parent->parent->parent->pid";
    for (text, number) in [
        (format!("0 && {far}"), 0),
        (format!("1 || {far}"), 1),
        (format!("1 ? 5 : {far}"), 5),
        (format!("sizeof {far}"), 4),
        (format!("(typeof({far}))7"), 7),
    ] {
        let found = value(&world, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(matches!(found.content, Content::Int(n, _) if n == number), "{text}: {found:?}");
    }
}

#[test]
fn an_address_keeps_its_type() {
    let world = world();
    for (text, ty, to) in [
        ("&((struct node *)0x1000)->list", "struct list_head *", 0x1008),
        ("(struct node **)0x1028", "struct node **", 0x1028),
        ("&first.comm", "char (*)[16]", 0x1018),
        ("first.comm + 1", "char *", 0x1019),
        ("&first.pair[1]", "int *", 0x103c),
        ("(void *)&first + 4", "void *", 0x1004),
        ("&wake", "void *", 0xffff_ffff_8100_0010),
        ("(int (*)(struct node *))wake", "int (*)(struct node *)", 0xffff_ffff_8100_0010),
        ("0 ? &first : 0", "struct node *", 0),
        ("first.parent - 1", "struct node *", 0x1000),
    ] {
        let found = value(&world, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found.ty, ty, "{text}");
        assert!(matches!(found.content, Content::Pointer { to: at, .. } if at.0 == to), "{text}");
    }
}

#[test]
fn a_failure_names_its_column_and_reason() {
    let world = world();
    for (text, error) in [
        ("first.nothing", "5: struct node has no member nothing"),
        ("1 + first", "2: struct node is not a number"),
        ("missing", "0: no symbol missing"),
        ("ffff8880", "0: no symbol ffff8880; a number in hex starts with 0x: 0xffff8880"),
        ("*5", "0: a number: cast it, as in *(struct list_head *)0x…"),
        ("(struct nothing *)1", "1: no type struct nothing in the debug information at hand"),
        ("first.parent->parent->parent->pid", "28: 0x28: not mapped (no pte entry)"),
        ("&first.high", "0: a bit-field has no address"),
        ("sizeof first.high", "0: a bit-field has no size in bytes"),
        ("1 / 0", "2: division by zero"),
        (
            "1 << 40",
            "2: shifted further than the 32 bits that there are; a number with UL behind it has 64",
        ),
        ("$rax", "0: no register rax"),
        ("first:7.pid", "0: no CPU 7"),
        ("(struct node)5", "0: a value cannot become a struct node; a pointer can"),
        ("second + 1", "7: its type is not known: cast it, or take its address with &"),
        ("second->pid", "6: its type is not known: cast it"),
        (
            "container_of(&first.pid, struct node, list)",
            "0: it points to int, and the member is struct list_head",
        ),
        ("offsetof(struct node, high)", "22: a bit-field has no offset in bytes"),
        ("offsetof(struct node, pid[1])", "25: int is not an array"),
        ("offsetof(struct node, parent.pid)", "28: struct node * is not a struct or union"),
        ("first@0", "5: the count has to be from 1 to 1048576"),
        ("*(void *)&first", "0: a pointer to void: cast it to what it points to"),
        (
            "&first - (int *)0",
            "7: between a pointer to struct node and one to int there is no distance",
        ),
    ] {
        assert_eq!(value(&world, text).map(drop).unwrap_err(), error, "{text}");
    }
}

#[test]
fn the_type_of_an_expression_needs_no_memory() {
    let world = world();
    let ty = |text| world.scope().expression_type(text).map(|ty| ty.name());
    assert_eq!(ty("((struct node *)0)->parent->parent->list"), Some("struct list_head".to_owned()));
    assert_eq!(ty("((struct node *)0)->"), None);
    assert_eq!(ty("second"), None);
}

#[test]
fn variables_of_the_function_that_is_looked_at_have_names() {
    let world = world();
    let parent = value(&world, "((struct node *)0x1000)->parent->pid").unwrap().content;
    assert_eq!(value(&world, "it->pid").unwrap().content, parent);
    // What is in a register has no address, neither asked for nor by the way.
    assert_eq!(value(&world, "it").unwrap().at, None);
    let error = |text| value(&world, text).unwrap_err();
    assert_eq!(error("&it"), "0: it is in a register and has no address");
    assert_eq!(error("1 + gone"), "4: gone is optimized out here");
}
