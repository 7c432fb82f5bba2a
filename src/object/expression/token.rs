//! Text into words, numbers and signs.

use super::ExpressionError;
use super::number::Integer;

/// The longest expression, in tokens. It bounds the depth of the tree: longer text is no
/// expression that somebody wrote.
const MOST: usize = 500;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Number(u64, Integer),
    Char(u8),
    Text(Vec<u8>),
    Word(String),
    Register(String),
    Sign(&'static str),
}

/// Longest first, so that `->` is not read as `-`.
const SIGNS: [&str; 32] = [
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "!", "<", ">", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "@",
];

impl Token {
    /// How an error message calls it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Number(number, _) => format!("number {number}"),
            Token::Char(_) => "a character".to_owned(),
            Token::Text(_) => "a text".to_owned(),
            Token::Word(word) => format!("name {word}"),
            Token::Register(name) => format!("register ${name}"),
            Token::Sign(sign) => format!("'{sign}'"),
        }
    }
}

/// The tokens of a text, each with the column where it starts, in characters.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionError> {
    let mut scanner = Scanner { rest: text, column: 0 };
    let mut tokens = Vec::new();
    while let Some(first) = scanner.rest.chars().next() {
        if first.is_whitespace() {
            scanner.take(first.len_utf8());
            continue;
        }
        let column = scanner.column;
        if tokens.len() == MOST {
            return Err(ExpressionError::new(column, "the expression is too long"));
        }
        let token = scanner.token(first)?;
        tokens.push((column, token));
    }
    Ok(tokens)
}

const fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Scanner<'t> {
    rest: &'t str,
    column: usize,
}

impl<'t> Scanner<'t> {
    fn wrong<T>(&self, message: String) -> Result<T, ExpressionError> {
        Err(ExpressionError::new(self.column, message))
    }

    /// Takes so many bytes off the front.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> &'t str {
        self.take(self.rest.find(|c| !is_letter(c)).unwrap_or(self.rest.len()))
    }

    fn token(&mut self, first: char) -> Result<Token, ExpressionError> {
        if is_digit(first) {
            return self.number();
        }
        if is_letter(first) {
            return Ok(Token::Word(self.word().to_owned()));
        }
        match first {
            '$' => {
                let column = self.column;
                self.take(1);
                match self.word() {
                    "" => Err(ExpressionError::new(column, "expected a register after $")),
                    name => Ok(Token::Register(name.to_lowercase())),
                }
            }
            '\'' | '"' => self.quoted(first),
            _ => match SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
                Some(sign) => {
                    self.take(sign.len());
                    Ok(Token::Sign(sign))
                }
                None => self.wrong(format!("unexpected character {first}")),
            },
        }
    }

    /// A number as C writes it: `10`, `0x1f`, `017`, with `UL` suffixes.
    fn number(&mut self) -> Result<Token, ExpressionError> {
        let column = self.column;
        let text = self.word();
        let wrong = |message: &str| Err(ExpressionError::new(column, format!("{text} {message}")));
        if self.rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_digit)) {
            return wrong("has a fraction: there are whole numbers only");
        }
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let (digits, radix) = match (hex, text.strip_prefix('0')) {
            (Some(digits), _) => (digits, 16),
            (None, Some(digits)) if digits.starts_with(is_digit) => (digits, 8),
            _ => (text, 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let (digits, suffix) = digits.split_at_checked(end).unwrap_or((digits, ""));
        let suffix = suffix.to_lowercase();
        let (unsigned, longs) = match suffix.as_str() {
            "" => (false, 0),
            "u" => (true, 0),
            "l" => (false, 1),
            "ul" | "lu" => (true, 1),
            "ll" => (false, 2),
            "ull" | "llu" => (true, 2),
            _ => return wrong("is no number"),
        };
        match u64::from_str_radix(digits, radix) {
            Ok(value) => {
                let ty = Integer::of_literal(value, radix == 10, unsigned, longs);
                Ok(Token::Number(value, ty))
            }
            Err(_) if digits.is_empty() => wrong("is no number"),
            Err(_) => wrong("does not fit into 64 bits"),
        }
    }

    /// A character, a text, or, as gdb has it, a name of several letters in single quotes.
    fn quoted(&mut self, mark: char) -> Result<Token, ExpressionError> {
        let start = self.column;
        self.take(1);
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(ExpressionError::new(start, format!("the quote {mark} is not closed")));
            };
            self.take(c.len_utf8());
            match c {
                c if c == mark => break,
                '\\' => bytes.push(self.escape()?),
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        match (mark, bytes.as_slice()) {
            ('"', _) => Ok(Token::Text(bytes)),
            (_, []) => Err(ExpressionError::new(start, "an empty character")),
            (_, [one]) => Ok(Token::Char(*one)),
            _ => Ok(Token::Word(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<u8, ExpressionError> {
        let column = self.column;
        let hex = self.rest.strip_prefix('x');
        let (digits, radix, most) = hex.map_or((self.rest, 8, 3), |digits| (digits, 16, 2));
        let count = digits.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        if count > 0 {
            self.take(usize::from(hex.is_some()));
            let digits = self.take(count);
            let value = u8::from_str_radix(digits, radix);
            let wide = |_| ExpressionError::new(column, format!("\\{digits} is no byte"));
            return value.map_err(wide);
        }
        let c = self.rest.chars().next().unwrap_or(' ');
        self.take(c.len_utf8());
        Ok(match c {
            'a' => 7,
            'b' => 8,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            'e' => 27,
            '\\' | '\'' | '"' | '?' => u8::try_from(c).unwrap_or(b'?'),
            _ => {
                return Err(ExpressionError::new(column, format!("\\{c} stands for no character")));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Token {
        let tokens = tokens(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(tokens.len(), 1, "{text}");
        tokens[0].1.clone()
    }

    #[test]
    fn numbers_have_the_type_that_c_gives_them() {
        use Integer::{Int, Long, LongLong, Unsigned, UnsignedLong, UnsignedLongLong};
        for (text, value, ty) in [
            ("0", 0, Int),
            ("2147483647", 0x7fff_ffff, Int),
            ("2147483648", 0x8000_0000, Long),
            ("0x7fffffff", 0x7fff_ffff, Int),
            ("0x80000000", 0x8000_0000, Unsigned),
            ("0x100000000", 0x1_0000_0000, Long),
            ("0xffff888000000000", 0xffff_8880_0000_0000, UnsignedLong),
            ("017", 15, Int),
            ("5u", 5, Unsigned),
            ("5L", 5, Long),
            ("5UL", 5, UnsignedLong),
            ("5LLU", 5, UnsignedLongLong),
            ("5ll", 5, LongLong),
        ] {
            assert_eq!(one(text), Token::Number(value, ty), "{text}");
        }
    }

    #[test]
    fn characters_texts_and_quoted_names_are_told_apart() {
        assert_eq!(one("'a'"), Token::Char(b'a'));
        assert_eq!(one(r"'\n'"), Token::Char(10));
        assert_eq!(one(r"'\''"), Token::Char(b'\''));
        assert_eq!(one(r"'\033'"), Token::Char(27));
        assert_eq!(one(r"'\x1b'"), Token::Char(27));
        assert_eq!(one(r#""a\"b""#), Token::Text(b"a\"b".to_vec()));
        assert_eq!(one("'lock.constprop.0'"), Token::Word("lock.constprop.0".to_owned()));
        assert_eq!(one("$RSP"), Token::Register("rsp".to_owned()));
    }

    #[test]
    fn what_is_no_token_is_pointed_at() {
        for (text, column, message) in [
            ("0x12g", 0, "0x12g is no number"),
            ("1 + 09", 4, "09 is no number"),
            ("5lul", 0, "5lul is no number"),
            ("0x", 0, "0x is no number"),
            ("0x11112222333344445", 0, "0x11112222333344445 does not fit into 64 bits"),
            ("1.5", 0, "1 has a fraction: there are whole numbers only"),
            ("a = 1", 2, "unexpected character ="),
            ("x + 'a", 4, "the quote ' is not closed"),
            (r"'\q'", 2, r"\q stands for no character"),
            ("''", 0, "an empty character"),
            ("$", 0, "expected a register after $"),
        ] {
            let error = tokens(text).expect_err(text);
            assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
        }
        assert!(tokens(&"+1".repeat(1000)).is_err());
    }
}
