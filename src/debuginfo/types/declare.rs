//! A type as C writes it.

use super::Kind;
use super::handle::{MAX_DEPTH, MAX_VISITS, Type};

impl Type<'_> {
    /// Its C name: `struct task_struct *`, `unsigned long [4]`, `atomic_t`.
    #[must_use]
    pub fn name(self) -> String {
        self.declare("")
    }

    /// A C declaration of `what` with this type: `int (*fn)(void *)`, `char comm[16]`.
    #[must_use]
    pub fn declare(self, what: &str) -> String {
        self.declare_within(what.to_owned(), MAX_DEPTH, &mut { MAX_VISITS })
    }

    fn declare_within(self, what: String, depth: u32, visits: &mut u32) -> String {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), visits.checked_sub(1)) else {
            return format!("… {what}");
        };
        *visits = left;
        let def = self.def();
        let named = |keyword: &str| {
            let name = def.name.as_deref().map_or("{...}", as_written);
            let space = if what.is_empty() { "" } else { " " };
            format!("{keyword}{name}{space}{what}")
        };
        match &def.kind {
            Kind::Void => format!("void{}{what}", if what.is_empty() { "" } else { " " }),
            Kind::Int { .. } | Kind::Float { .. } | Kind::Typedef { .. } => named(""),
            Kind::Struct(_) | Kind::Forward { union: false } => named("struct "),
            Kind::Union(_) | Kind::Forward { union: true } => named("union "),
            Kind::Enum { .. } => named("enum "),
            Kind::Pointer { to } => {
                let to = self.types.get(*to);
                let what = match to.kind() {
                    Kind::Array { .. } | Kind::Function { .. } => format!("(*{what})"),
                    _ => format!("*{what}"),
                };
                to.declare_within(what, depth, visits)
            }
            Kind::Array { of, count } => {
                let count = if *count == 0 { String::new() } else { count.to_string() };
                self.types.get(*of).declare_within(format!("{what}[{count}]"), depth, visits)
            }
            Kind::Qualified { keyword, to } => {
                let to = self.types.get(*to);
                if keyword.is_empty() {
                    to.declare_within(what, depth, visits)
                } else if matches!(to.kind(), Kind::Pointer { .. }) {
                    // `* const name`, as gdb writes it.
                    let space = if what.is_empty() { "" } else { " " };
                    to.declare_within(format!(" {keyword}{space}{what}"), depth, visits)
                } else {
                    format!("{keyword} {}", to.declare_within(what, depth, visits))
                }
            }
            Kind::Function { returns, parameters, variadic } => {
                let mut list: Vec<String> = parameters
                    .iter()
                    .map(|(name, ty)| {
                        let name = name.as_deref().unwrap_or("").to_owned();
                        self.types.get(*ty).declare_within(name, depth, visits)
                    })
                    .collect();
                if *variadic {
                    list.push("...".to_owned());
                }
                let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
                self.types.get(*returns).declare_within(format!("{what}({list})"), depth, visits)
            }
        }
    }
}

/// The name of a basic type as people write it: compilers put `unsigned long` down as
/// `long unsigned int`.
fn as_written(name: &str) -> &str {
    match name {
        "short int" => "short",
        "short unsigned int" => "unsigned short",
        "long int" => "long",
        "long unsigned int" => "unsigned long",
        "long long int" => "long long",
        "long long unsigned int" => "unsigned long long",
        name => name,
    }
}
