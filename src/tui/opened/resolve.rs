//! Where a text at the jump prompt leads.

use super::Opened;
use super::inspect::find_type;
use crate::command::Console;
use crate::debuginfo::{Kind, Type};
use crate::dump::VirtAddr;
use crate::kernel::TaskContext;
use crate::object::{Context, Outcome};
use crate::tui::model::{Place, Subject};
use crate::tui::source::Answer;
use std::collections::BTreeSet;

/// A pid, a task's name, an address, a symbol, `TYPE ADDRESS`, `TYPE.member ADDRESS`, or an
/// expression that gives an object or an address.
pub(super) fn resolve(opened: &Opened, text: &str, console: &Console<'_>) -> Answer<Place> {
    let text = text.trim();
    let bare = text.strip_prefix("struct ").or_else(|| text.strip_prefix("union ")).unwrap_or(text);
    if let Some((ty, address)) = bare.trim().split_once(' ')
        && is_path(ty)
    {
        return object(opened, ty, address.trim());
    }
    let context = console.context();
    if context.variable(text).is_some() {
        return expression(opened, &context, text);
    }
    if let Some(place) = task(opened, text) {
        return Ok(place);
    }
    if let Some(at) = hex(text) {
        return Ok(opened.place_at(at));
    }
    if let Some(place) = symbol(opened, text) {
        return Ok(place);
    }
    if find_type(opened.session.types(), text.split('.').next().unwrap_or(text)).is_ok() {
        return Err(format!("{text}: which one? An address has to follow"));
    }
    // What is no expression at all is rather a misspelt name.
    if !text.contains(['(', '*', '&', '>', '.', '[', '+']) {
        return Err(format!("{text}: no pid, task, symbol, address, TYPE ADDRESS or expression"));
    }
    expression(opened, &context, text)
}

/// By number, by name, or by both as messages write it: `java[30413]`.
fn task(opened: &Opened, text: &str) -> Option<Place> {
    let tasks = opened.session.tasks();
    let number =
        text.strip_suffix(']').and_then(|label| label.rsplit_once('[')).map_or(text, |l| l.1);
    let by_pid = number.parse().ok().and_then(|pid| tasks.by_pid(pid));
    let found = by_pid.or_else(|| tasks.iter().find(|task| *task.comm == *text))?;
    Some(Place::Task(found.at))
}

/// `0x…`, or at least nine hexadecimal digits: fewer are taken for a name.
fn hex(text: &str) -> Option<VirtAddr> {
    let digits = text.strip_prefix("0x").or_else(|| (text.len() > 8).then_some(text))?;
    u64::from_str_radix(digits, 16).ok().map(VirtAddr)
}

/// A symbol, perhaps with an offset: `init_task`, `schedule+0x2a`.
fn symbol(opened: &Opened, text: &str) -> Option<Place> {
    let at = symbol_address(opened, text)?;
    // Where the type of a variable is known it is shown as what it is.
    let ty = opened.session.types().variable(text).ok().map(Type::name);
    Some(match (ty, opened.place_at(at)) {
        (Some(ty), Place::Memory(_)) => Place::object(ty, at),
        (_, place) => place,
    })
}

fn symbol_address(opened: &Opened, text: &str) -> Option<VirtAddr> {
    let (name, offset) = text.split_once('+').unwrap_or((text, "0"));
    let offset = match offset.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => offset.parse().ok()?,
    };
    opened.session.symbols().address(name)?.checked_add(offset)
}

/// `task_struct`, `task_struct.mm`, `mm_struct.mmap_lock.count`.
fn is_path(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

fn object(opened: &Opened, path: &str, address: &str) -> Answer<Place> {
    let (name, members) = path.split_once('.').map_or((path, None), |(n, m)| (n, Some(m)));
    let ty = find_type(opened.session.types(), name)?;
    let open = members.map_or(Ok(BTreeSet::new()), |members| opened_at(ty, members))?;
    let of_pid = || {
        let pid = address.parse().ok().filter(|_| name == "task_struct")?;
        Some(opened.session.tasks().by_pid(pid)?.at)
    };
    let at = of_pid()
        .or_else(|| symbol_address(opened, address))
        .or_else(|| {
            let digits = address.strip_prefix("0x").unwrap_or(address);
            u64::from_str_radix(digits, 16).ok().map(VirtAddr)
        })
        .ok_or_else(|| format!("{address} is no address and no symbol"))?;
    Ok(Place::Object { subject: Subject::Object { ty: ty.name(), at }, open })
}

/// What has to be expanded so that a member can be seen; pointers on the way are followed.
fn opened_at(mut ty: Type<'_>, members: &str) -> Answer<BTreeSet<String>> {
    let mut open = BTreeSet::new();
    let mut path = String::new();
    for step in members.split('.') {
        if matches!(ty.resolved().kind(), Kind::Pointer { .. })
            && let Some(target) = ty.target()
        {
            ty = target;
        }
        ty = ty.resolved().member(step).map_err(|error| error.to_string())?.ty;
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(step);
        open.insert(path.clone());
    }
    Ok(open)
}

fn expression(opened: &Opened, context: &TaskContext<'_>, text: &str) -> Answer<Place> {
    let scope = context.scope();
    let outcome = scope
        .evaluate(text)
        .map_err(|error| format!("{} (column {})", error.message, error.column + 1))?;
    let typed = |ty: Type<'_>, at| match opened.place_at(at) {
        Place::Memory(_) => Place::object(ty.name(), at),
        place => place,
    };
    match outcome {
        // A pointer leads to what it points to, anything else to itself.
        Outcome::Place(object) => match (object.ty().resolved().kind(), object.pointer()) {
            (Kind::Pointer { .. }, Ok(to)) => Ok(match object.ty().target() {
                Some(target) if target.compound().is_some() => typed(target, to),
                _ => opened.place_at(to),
            }),
            _ if context.in_register(object.at()) => {
                Err(format!("{text} is in a register: its frame in the inspector shows it"))
            }
            _ => Ok(typed(object.ty(), object.at())),
        },
        Outcome::Value(ty, _) if ty.target().is_some_and(|to| to.size().is_some()) => {
            let at = scope.address(&outcome)?;
            Ok(ty.target().map_or_else(|| opened.place_at(at), |to| typed(to, at)))
        }
        outcome => scope.address(&outcome).map(|at| opened.place_at(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hexadecimal_words_are_names() {
        assert_eq!(hex("ffff888000000000"), Some(VirtAddr(0xffff_8880_0000_0000)));
        assert_eq!(hex("0x10"), Some(VirtAddr(0x10)));
        assert_eq!(hex("deadbeef"), None);
        assert_eq!(hex("0xnothing"), None);
    }

    #[test]
    fn a_type_and_its_members_are_a_path() {
        assert!(is_path("task_struct.mm"));
        assert!(!is_path("((struct") && !is_path("0x10") && !is_path(""));
    }
}
