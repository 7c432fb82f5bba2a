//! Types as C writes them in a cast: `struct page **`, `char (*)[16]`, `typeof(x) *`.

use super::ExpressionError;
use super::parse::{Expression, Parser};
use super::token::Token;
use crate::debuginfo::Tag;

/// A type by name, and what is built on it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct TypeName {
    /// Where it starts, in characters.
    pub(super) column: usize,
    pub(super) base: Base,
    /// From the base outwards: `char (*)[16]` is an array, then a pointer.
    pub(super) layers: Vec<Layer>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Base {
    Void,
    /// With the name space to look in; `None` for a plain name, be it basic or from a typedef.
    Named(Option<Tag>, String),
    /// `typeof(expression)`
    TypeOf(Box<Expression>),
    /// `typeof(type)`
    Same(Box<TypeName>),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Layer {
    Pointer,
    Array(u64),
    Function { parameters: Vec<TypeName>, variadic: bool },
}

const BASIC: [&str; 10] =
    ["void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool"];
const QUALIFIERS: [&str; 4] = ["const", "volatile", "restrict", "__user"];

impl Parser<'_> {
    /// Whether a type starts at this token.
    pub(super) fn type_follows(&self, at: usize) -> bool {
        let Some(Token::Word(word)) = self.peek(at) else { return false };
        matches!(word.as_str(), "struct" | "union" | "enum" | "typeof" | "__typeof__")
            || QUALIFIERS.contains(&word.as_str())
            || BASIC.contains(&word.as_str())
            || (self.is_type)(word)
    }

    pub(super) fn type_name(&mut self) -> Result<TypeName, ExpressionError> {
        let column = self.column();
        let base = self.base()?;
        let layers = self.deeper(Self::declarator)?;
        Ok(TypeName { column, base, layers })
    }

    fn base(&mut self) -> Result<Base, ExpressionError> {
        let column = self.column();
        let mut tag = None;
        let mut words: Vec<String> = Vec::new();
        while let Some(Token::Word(word)) = self.peek(0) {
            match word.as_str() {
                word if QUALIFIERS.contains(&word) => {}
                "struct" => tag = Some(Tag::Struct),
                "union" => tag = Some(Tag::Union),
                "enum" => tag = Some(Tag::Enum),
                "typeof" | "__typeof__" => {
                    self.skip(1);
                    return self.type_of();
                }
                word => words.push(word.to_owned()),
            }
            self.skip(1);
        }
        Ok(match words.as_slice() {
            [] => return Err(ExpressionError::new(column, "expected the name of a type")),
            [name] if tag.is_some() || !BASIC.contains(&name.as_str()) => {
                Base::Named(tag, name.clone())
            }
            [void] if void == "void" => Base::Void,
            words => {
                let name = basic(words).ok_or_else(|| {
                    let words = words.join(" ");
                    ExpressionError::new(column, format!("{words} is no type"))
                })?;
                Base::Named(Some(Tag::Base), name.to_owned())
            }
        })
    }

    fn type_of(&mut self) -> Result<Base, ExpressionError> {
        self.expect("(")?;
        let base = if self.type_follows(0) {
            Base::Same(Box::new(self.deeper(Self::type_name)?))
        } else {
            Base::TypeOf(Box::new(self.deeper(Self::expression)?))
        };
        self.expect(")")?;
        while matches!(self.peek(0), Some(Token::Word(word)) if QUALIFIERS.contains(&word.as_str()))
        {
            self.skip(1);
        }
        Ok(base)
    }

    /// What stands behind the name of a type: stars, brackets, a list of parameters, nested.
    fn declarator(&mut self) -> Result<Vec<Layer>, ExpressionError> {
        let mut layers = Vec::new();
        loop {
            match self.peek(0) {
                Some(Token::Sign("*")) => layers.push(Layer::Pointer),
                Some(Token::Word(word)) if QUALIFIERS.contains(&word.as_str()) => {}
                _ => break,
            }
            self.skip(1);
        }
        let nested = self.peek(0) == Some(&Token::Sign("("))
            && matches!(self.peek(1), Some(Token::Sign("*" | "(")));
        let mut inner = Vec::new();
        if nested {
            self.skip(1);
            inner = self.deeper(Self::declarator)?;
            self.expect(")")?;
        }
        let mut behind = Vec::new();
        loop {
            match self.take(&["[", "("]) {
                Some("[") => {
                    let column = self.column();
                    let count = match self.peek(0) {
                        Some(Token::Number(count, _)) => {
                            let count = *count;
                            self.skip(1);
                            count
                        }
                        Some(Token::Sign("]")) => 0,
                        _ => return Err(ExpressionError::new(column, "expected a number")),
                    };
                    self.expect("]")?;
                    behind.push(Layer::Array(count));
                }
                Some(_) => behind.push(self.deeper(Self::parameters)?),
                None => break,
            }
        }
        layers.extend(behind.into_iter().rev());
        layers.extend(inner);
        Ok(layers)
    }

    /// The parameters of a function type, behind their `(`.
    fn parameters(&mut self) -> Result<Layer, ExpressionError> {
        let mut parameters = Vec::new();
        let mut variadic = false;
        while self.take(&[")"]).is_none() {
            if self.take(&["."]).is_some() {
                self.expect(".")?;
                self.expect(".")?;
                variadic = true;
            } else {
                parameters.push(self.type_name()?);
            }
            if self.peek(0) != Some(&Token::Sign(")")) {
                self.expect(",")?;
            }
        }
        if let [TypeName { base: Base::Void, layers, .. }] = parameters.as_slice()
            && layers.is_empty()
        {
            parameters.clear();
        }
        Ok(Layer::Function { parameters, variadic })
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
            ("_Bool", ..) => "_Bool",
            ("float", ..) => "float",
            ("double", ..) => "double",
            _ => return None,
        },
    })
}
