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
#[path = "parse_tests.rs"]
mod tests;
