//! Values as text, as crash (that is gdb) prints them.
//!
//! `{` and `}` nest by two spaces, arrays of bytes read as strings, pointers name the symbol that they
//! point to. Every element is printed, as crash has it, not runs of equal ones counted, as gdb does.

use super::{Line, Link};
use crate::object::{Content, Value};
use std::fmt::Write;

/// Elements of one array that are printed.
const ELEMENTS: usize = 256;

/// In which numbers integers are printed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Radix {
    /// As C does: decimal.
    #[default]
    Decimal,
    /// Hexadecimal, negative ones by their bits.
    Hex,
}

/// A value as text, after what stands before it: `struct list_head `, `$1 = `.
#[must_use]
pub fn value_lines(before: &str, value: &Value, radix: Radix) -> Vec<Line> {
    let mut text = before.to_owned();
    // As gdb does it, a pointer tells its type, unless it is to text; a function tells it always.
    match value.content {
        Content::Pointer { .. } if !is_text_pointer(&value.ty) && !value.ty.ends_with("[]") => {
            _ = write!(text, "({}) ", value.ty);
        }
        Content::Place(at, Some(ref symbol)) if value.ty.ends_with(')') => {
            _ = write!(text, "{{{}}} {at} <{symbol}>", value.ty);
            return lines(&text, value);
        }
        _ => {}
    }
    Printer { text: &mut text, radix }.content(&value.content, 0);
    lines(&text, value)
}

/// `char *`, `const char *`: what gdb prints as a string.
fn is_text_pointer(ty: &str) -> bool {
    ty.strip_suffix("char *").is_some_and(|before| {
        before.split_whitespace().all(|word| matches!(word, "const" | "volatile"))
    })
}

/// A member by itself, as `struct TYPE.member` prints it.
pub(super) fn member_lines(name: &str, content: &Content, radix: Radix) -> Vec<Line> {
    let mut text = format!("  {name} = ");
    Printer { text: &mut text, radix }.content(content, 1);
    text.push(',');
    let link = match content {
        Content::Pointer { to, .. } => Some(Link::Memory(*to)),
        _ => None,
    };
    text.split('\n').map(|line| Line { text: line.to_owned(), link: link.clone() }).collect()
}

fn lines(text: &str, value: &Value) -> Vec<Line> {
    let link = match value.content {
        Content::Pointer { to, .. } => Some(Link::Memory(to)),
        _ => value.at.map(|at| Link::Object(value.ty.clone(), at)),
    };
    text.split('\n').map(|line| Line { text: line.to_owned(), link: link.clone() }).collect()
}

struct Printer<'t> {
    text: &'t mut String,
    radix: Radix,
}

impl Printer<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        _ = self.text.write_fmt(text);
    }

    fn content(&mut self, content: &Content, depth: usize) {
        match content {
            Content::Int(value, size) => self.number(*value, *size),
            Content::Char(value) if self.radix == Radix::Hex => self.number(*value, 1),
            Content::Char(value) => {
                self.put(format_args!("{value} '"));
                // A byte by its bits, whatever its sign.
                escape(self.text, value.to_le_bytes()[0], '\'');
                self.text.push('\'');
            }
            Content::Bool(value) => self.put(format_args!("{value}")),
            Content::Float(value) => self.put(format_args!("{value}")),
            Content::Enum(_, Some(name)) => self.text.push_str(name),
            Content::Enum(value, None) => self.put(format_args!("{value}")),
            Content::Pointer { to, symbol, text } => {
                self.put(format_args!("{to}"));
                // A symbol that reaches as far as a text has nothing to do with it.
                if let Some(symbol) = symbol
                    && (text.is_none() || !symbol.contains('+'))
                {
                    self.put(format_args!(" <{symbol}>"));
                }
                if let Some(text) = text {
                    self.text.push(' ');
                    self.string(text);
                }
            }
            Content::Place(at, Some(symbol)) => self.put(format_args!("{at} <{symbol}>")),
            Content::Place(at, None) => self.put(format_args!("{at}")),
            // The NUL that ends a string goes without saying.
            Content::Text { bytes, .. } => match bytes.split_last() {
                Some((0, rest)) if bytes.len() <= ELEMENTS => self.string(rest),
                _ => self.string(bytes),
            },
            Content::Array(elements) => self.array(elements, depth),
            Content::Members(members) if members.is_empty() => {
                self.text.push_str("{<No data fields>}");
            }
            Content::Members(members) => {
                self.text.push('{');
                for (position, (name, member)) in members.iter().enumerate() {
                    self.text.push_str(if position == 0 { "\n" } else { ",\n" });
                    self.put(format_args!("{:1$}", "", depth * 2 + 2));
                    if let Some(name) = name {
                        self.put(format_args!("{name} = "));
                    }
                    self.content(member, depth + 1);
                }
                self.put(format_args!("\n{:1$}}}", "", depth * 2));
            }
        }
    }

    fn number(&mut self, value: i128, size: u64) {
        match self.radix {
            Radix::Decimal => self.put(format_args!("{value}")),
            Radix::Hex => {
                let width = u32::try_from(size * 8).unwrap_or(128).clamp(1, 128);
                let mask = u128::MAX >> (128 - width);
                let bits = u128::from_ne_bytes(value.to_ne_bytes()) & mask;
                self.put(format_args!("{bits:#x}"));
            }
        }
    }

    fn array(&mut self, elements: &[Content], depth: usize) {
        self.text.push('{');
        for (index, element) in elements.iter().take(ELEMENTS).enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.content(element, depth + 1);
        }
        self.text.push_str(if elements.len() > ELEMENTS { "...}" } else { "}" });
    }

    fn string(&mut self, bytes: &[u8]) {
        self.text.push('"');
        for byte in bytes.iter().take(ELEMENTS) {
            escape(self.text, *byte, '"');
        }
        self.text.push_str(if bytes.len() > ELEMENTS { "\"..." } else { "\"" });
    }
}

/// A byte as C writes it in quotes. Nothing but printable ASCII comes out.
fn escape(text: &mut String, byte: u8, quote: char) {
    let escaped = match byte {
        7 => 'a',
        8 => 'b',
        9 => 't',
        10 => 'n',
        11 => 'v',
        12 => 'f',
        13 => 'r',
        b'\\' => '\\',
        _ if char::from(byte) == quote => quote,
        b' '..=b'~' => return text.push(char::from(byte)),
        _ => {
            _ = write!(text, "\\{byte:03o}");
            return;
        }
    };
    text.push('\\');
    text.push(escaped);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::testing::world;

    fn text(expression: &str, radix: Radix) -> String {
        let world = world();
        let scope = world.scope();
        let value = scope.value(&scope.evaluate(expression).unwrap()).unwrap();
        let lines: Vec<String> =
            value_lines("$1 = ", &value, radix).into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }

    #[test]
    fn a_struct_reads_as_crash_prints_it() {
        assert_eq!(
            text("first", Radix::Decimal),
            r#"$1 = {
  pid = -7,
  low = 2,
  high = 5,
  list = {
    next = 0x1048,
    prev = 0x1048
  },
  comm = "java\000\000\000\000\000\000\000\000\000\000\000",
  parent = 0x1040,
  {
    wake = 0xffffffff81000010 <wake>,
    mode = 2164260880
  },
  pair = {1, -1}
}"#
        );
    }

    #[test]
    fn numbers_are_hexadecimal_on_demand() {
        assert_eq!(text("first.pid", Radix::Hex), "$1 = 0xfffffff9");
        assert_eq!(text("first.pair", Radix::Hex), "$1 = {0x1, 0xffffffff}");
        assert_eq!(text("first.parent", Radix::Hex), "$1 = (struct node *) 0x1040");
        assert_eq!(text("first.parent->mode", Radix::Decimal), "$1 = (READ | WRITE)");
        assert_eq!(text("(unsigned char)200", Radix::Hex), "$1 = 0xc8");
    }

    #[test]
    fn a_pointer_tells_its_type_unless_it_is_to_text() {
        for (expression, printed) in [
            ("&first.comm", "(char (*)[16]) 0x1018"),
            ("(struct node **)0x1028", "(struct node **) 0x1028"),
            ("(char *)first.comm", r#"0x1018 "java""#),
            ("(const char *)first.comm", r#"0x1018 "java""#),
            ("(unsigned char *)first.comm", r#"(unsigned char *) 0x1018 "java""#),
            (
                "(int (*)(struct node *))0xffffffff81000010",
                "(int (*)(struct node *)) 0xffffffff81000010 <wake>",
            ),
            (
                "*(int (*)(struct node *))0xffffffff81000010",
                "{int (struct node *)} 0xffffffff81000010 <wake>",
            ),
        ] {
            assert_eq!(text(expression, Radix::Decimal), format!("$1 = {printed}"));
        }
    }

    #[test]
    fn text_cannot_move_a_cursor() {
        assert_eq!(
            text("first.parent->comm", Radix::Decimal),
            r#"$1 = "\"a\\b\"\000\033[2Jxxxxxx""#
        );
        assert_eq!(text("first.comm[0]", Radix::Decimal), "$1 = 106 'j'");
    }

    #[test]
    fn long_arrays_are_cut() {
        let value = |content| Value { ty: String::new(), at: None, content };
        let print = |content| value_lines("", &value(content), Radix::Decimal)[0].text.clone();
        let counting = |count| Content::Array((0..count).map(|n| Content::Int(n, 4)).collect());
        assert!(print(counting(256)).ends_with(", 254, 255}"));
        assert!(print(counting(257)).ends_with(", 254, 255...}"));
        let text = |bytes: &[u8]| print(Content::Text { bytes: bytes.to_vec(), char: true });
        assert_eq!(text(b"ab\0"), r#""ab""#);
        assert_eq!(text(&[0]), r#""""#);
        assert!(text(&[b'x'; 300]).ends_with(r#"xx"..."#));
    }
}
