//! Text into a tree, by C's rules of precedence.

use super::ExpressionError;
use crate::debuginfo::Tag;

/// Nesting that is still followed; deeper text is no expression that somebody wrote.
const MAX_DEPTH: u32 = 100;

/// A node of the tree.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    /// Where it starts, in characters.
    pub(super) column: usize,
    pub(super) node: Node,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Number(i128),
    Name(String),
    Unary(&'static str, Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// `a.b`, or `a->b` when the flag is set.
    Member(Box<Expression>, String, bool),
    Index(Box<Expression>, Box<Expression>),
    Cast(TypeName, Box<Expression>),
    SizeOf(TypeName),
}

/// A type as C writes it in a cast.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TypeName {
    /// The name space to look in; `None` for a plain name, be it basic or from a typedef.
    pub(super) tag: Option<Tag>,
    pub(super) name: String,
    /// How many `*` follow.
    pub(super) pointers: u32,
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Number(i128),
    Word(String),
    Sign(&'static str),
}

/// Longest first, so that `->` is not read as `-`.
const SIGNS: [&str; 27] = [
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "!", "<", ">", "(", ")", "[", "]", ".", ",",
];

/// The binary operators, loosest first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

const BASIC: [&str; 10] =
    ["void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool"];

impl Expression {
    /// Parses `text`; `is_type` says whether a name is a typedef's.
    ///
    /// # Errors
    /// With the column of what does not belong there.
    pub fn parse(
        text: &str,
        is_type: &dyn Fn(&str) -> bool,
    ) -> Result<Expression, ExpressionError> {
        let tokens = tokens(text)?;
        let end = text.chars().count();
        let mut parser = Parser { tokens: &tokens, end, is_type, depth: MAX_DEPTH };
        let expression = parser.binary(0)?;
        match parser.tokens.first() {
            None => Ok(expression),
            Some((column, token)) => Err(ExpressionError::new(
                *column,
                format!("unexpected {} after a whole expression", describe(token)),
            )),
        }
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Number(number) => format!("number {number}"),
        Token::Word(word) => format!("name {word}"),
        Token::Sign(sign) => format!("'{sign}'"),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut column = 0;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '@';
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if word(first) {
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            let text = rest.get(..length).unwrap_or_default();
            let token = if first.is_ascii_digit() {
                let number = number(text);
                let bad = || ExpressionError::new(column, format!("{text} is no number"));
                Token::Number(number.ok_or_else(bad)?)
            } else {
                Token::Word(text.to_owned())
            };
            tokens.push((column, token));
            length
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let bad = || ExpressionError::new(column, format!("unexpected character {first}"));
            let sign = sign.ok_or_else(bad)?;
            tokens.push((column, Token::Sign(sign)));
            sign.len()
        };
        let (done, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        column += done.chars().count();
        rest = left;
    }
    Ok(tokens)
}

/// A number as C writes it: `10`, `0x1f`, `017`, with `UL` suffixes.
fn number(text: &str) -> Option<i128> {
    let text = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let value = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16)
    } else if let Some(octal) = text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        u64::from_str_radix(octal, 8)
    } else {
        text.parse()
    };
    value.ok().map(i128::from)
}

struct Parser<'p> {
    tokens: &'p [(usize, Token)],
    end: usize,
    is_type: &'p dyn Fn(&str) -> bool,
    depth: u32,
}

impl Parser<'_> {
    fn column(&self) -> usize {
        self.tokens.first().map_or(self.end, |(column, _)| *column)
    }

    fn peek(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(_, token)| token)
    }

    fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    /// Takes one of these signs if it comes next.
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Sign(sign)) = self.peek(0) else { return None };
        let sign = signs.iter().find(|wanted| *wanted == sign).copied()?;
        self.skip(1);
        Some(sign)
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        let (column, found) = (self.column(), self.peek(0).map(describe));
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

    fn deeper<T>(
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

    fn binary(&mut self, level: usize) -> Result<Expression, ExpressionError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let column = self.column();
            let Some(operator) = self.take(operators) else { return Ok(left) };
            let right = self.binary(level + 1)?;
            let node = Node::Binary(operator, Box::new(left), Box::new(right));
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
            self.expect("(")?;
            let ty = self.type_name()?;
            self.expect(")")?;
            return Ok(Expression { column, node: Node::SizeOf(ty) });
        }
        if self.peek(0) == Some(&Token::Sign("(")) && self.type_follows(1) {
            self.skip(1);
            let ty = self.type_name()?;
            self.expect(")")?;
            let operand = Box::new(self.deeper(Self::unary)?);
            return Ok(Expression { column, node: Node::Cast(ty, operand) });
        }
        self.postfix()
    }

    fn type_follows(&self, at: usize) -> bool {
        let Some(Token::Word(word)) = self.peek(at) else { return false };
        matches!(word.as_str(), "struct" | "union" | "enum" | "const" | "volatile")
            || BASIC.contains(&word.as_str())
            || (self.is_type)(word)
    }

    fn type_name(&mut self) -> Result<TypeName, ExpressionError> {
        let column = self.column();
        let mut tag = None;
        let mut words: Vec<String> = Vec::new();
        while let Some(Token::Word(word)) = self.peek(0) {
            match word.as_str() {
                "const" | "volatile" => {}
                "struct" => tag = Some(Tag::Struct),
                "union" => tag = Some(Tag::Union),
                "enum" => tag = Some(Tag::Enum),
                _ => words.push(word.clone()),
            }
            self.skip(1);
        }
        let name = match words.as_slice() {
            [] => return Err(ExpressionError::new(column, "expected the name of a type")),
            [name] if tag.is_some() || !BASIC.contains(&name.as_str()) => name.clone(),
            words => basic(words)
                .ok_or_else(|| {
                    let words = words.join(" ");
                    ExpressionError::new(column, format!("{words} is no type"))
                })?
                .to_owned(),
        };
        let mut pointers = 0;
        while self.take(&["*"]).is_some() {
            pointers += 1;
        }
        Ok(TypeName { tag, name, pointers })
    }

    fn postfix(&mut self) -> Result<Expression, ExpressionError> {
        let mut expression = self.primary()?;
        loop {
            let column = self.column();
            let operand = |expression| Box::new(expression);
            let node = match self.take(&[".", "->", "["]) {
                Some("[") => {
                    let index = self.deeper(|parser| parser.binary(0))?;
                    self.expect("]")?;
                    Node::Index(operand(expression), Box::new(index))
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
            let inner = self.deeper(|parser| parser.binary(0))?;
            self.expect(")")?;
            return Ok(inner);
        }
        let node = match self.peek(0) {
            Some(Token::Number(number)) => Node::Number(*number),
            Some(Token::Word(word)) => Node::Name(word.clone()),
            Some(token) => {
                let message = format!("expected a value before {}", describe(token));
                return Err(ExpressionError::new(column, message));
            }
            None => return Err(ExpressionError::new(column, "expected a value before the end")),
        };
        self.skip(1);
        Ok(Expression { column, node })
    }
}

/// The name that debug information gives to a basic type, however its words are put.
fn basic(words: &[String]) -> Option<&'static str> {
    let count = |wanted: &str| words.iter().filter(|word| *word == wanted).count();
    if words.iter().any(|word| !BASIC.contains(&word.as_str())) {
        return None;
    }
    let unsigned = count("unsigned") > 0;
    Some(match words.iter().find(|word| !matches!(word.as_str(), "signed" | "unsigned" | "int")) {
        None if unsigned => "unsigned int",
        None => "int",
        Some(word) => match (word.as_str(), count("long"), unsigned) {
            ("long", 1, false) => "long int",
            ("long", 1, true) => "long unsigned int",
            ("long", _, false) => "long long int",
            ("long", _, true) => "long long unsigned int",
            ("short", _, false) => "short int",
            ("short", _, true) => "short unsigned int",
            ("char", _, true) => "unsigned char",
            ("char", _, false) if count("signed") > 0 => "signed char",
            ("char", ..) => "char",
            ("void", ..) => "void",
            ("_Bool", ..) => "_Bool",
            ("float", ..) => "float",
            _ => "double",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expression, ExpressionError> {
        Expression::parse(text, &|name| name.ends_with("_t"))
    }

    /// The tree with every operation in parentheses.
    fn shape(expression: &Expression) -> String {
        match &expression.node {
            Node::Number(number) => number.to_string(),
            Node::Name(name) => name.clone(),
            Node::Unary(sign, operand) => format!("({sign}{})", shape(operand)),
            Node::Binary(sign, left, right) => format!("({}{sign}{})", shape(left), shape(right)),
            Node::Member(of, name, arrow) => {
                format!("({}{}{name})", shape(of), if *arrow { "->" } else { "." })
            }
            Node::Index(of, index) => format!("({}[{}])", shape(of), shape(index)),
            Node::Cast(ty, operand) => {
                let stars = "*".repeat(ty.pointers.try_into().unwrap());
                format!("(<{}{stars}>{})", ty.name, shape(operand))
            }
            Node::SizeOf(ty) => format!("sizeof<{}>", ty.name),
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
            ("a & b == c", "(a&(b==c))"),
        ] {
            assert_eq!(parse(text).map(|tree| shape(&tree)), Ok(tree.to_owned()), "{text}");
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
            ("ä + ?", 4, "unexpected character ?"),
            ("0x12g", 0, "0x12g is no number"),
            ("(unsigned java)x", 1, "unsigned java is no type"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let error = parse(&"(".repeat(100_000)).unwrap_err();
        assert_eq!(error.message, "nested too deeply");
        assert!(parse(&"-".repeat(100_000)).is_err());
    }
}
