//! Type definitions as text: `struct TYPE` and `struct -o TYPE`.

use super::Line;
use crate::debuginfo::{Kind, Member, Type};
use crate::dump::VirtAddr;

/// Anonymous structs are opened up to this depth; deeper nesting is damage.
const MAX_DEPTH: usize = 32;
/// Types that one question looks at; more come only from damaged debug information.
const MAX_VISITS: u32 = 4096;

/// What stands before each member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offsets {
    /// Nothing.
    None,
    /// Its offset in bytes.
    Bytes,
    /// Its address in the object that lies there.
    From(VirtAddr),
}

/// What stands before each member, and how wide it is: as crash has it, wide enough for the size
/// of the whole.
#[derive(Clone, Copy)]
struct Marks {
    offsets: Offsets,
    width: usize,
}

impl Marks {
    fn new(offsets: Offsets, ty: Type<'_>) -> Marks {
        let width = match offsets {
            Offsets::None => 3,
            Offsets::Bytes => ty.size().unwrap_or(0).to_string().len() + 4,
            Offsets::From(_) => 20,
        };
        Marks { offsets, width }
    }

    fn mark(self, offset: Option<u64>) -> String {
        let mark = match (self.offsets, offset) {
            (Offsets::None, _) | (_, None) => String::new(),
            (Offsets::Bytes, Some(offset)) => format!("[{offset}]"),
            (Offsets::From(at), Some(offset)) => format!("[{:x}]", at.plus(offset)),
        };
        format!("{mark:>width$} ", width = self.width)
    }
}

/// The definition of a struct, union, enum or typedef.
#[must_use]
pub fn definition(ty: Type<'_>, offsets: Offsets) -> Vec<Line> {
    let mut lines = Vec::new();
    let opened = ty.resolved();
    match opened.kind() {
        Kind::Struct(_) | Kind::Union(_) => {
            lines.push(format!("{} {{", opened.name().replace(" {...}", "")).into());
            body(opened, Marks::new(offsets, ty), 0, 0, &mut lines);
            lines.push("}".into());
        }
        Kind::Enum { values, .. } => {
            lines.push(format!("{} {{", opened.name().replace(" {...}", "")).into());
            let value = |named: &crate::debuginfo::Enumerator| {
                Line::from(format!("  {} = {}", named.name, named.value))
            };
            lines.extend(values.iter().map(value));
            lines.push("};".into());
        }
        _ => lines.push(opened.name().into()),
    }
    if opened != ty {
        if let Some(first) = lines.first_mut() {
            first.text.insert_str(0, "typedef ");
        }
        if let (Some(last), Kind::Typedef { .. }) = (lines.last_mut(), ty.kind()) {
            last.text += &format!(" {};", ty.name());
        }
    }
    if let Some(size) = ty.size().filter(|_| !matches!(ty.kind(), Kind::Enum { .. })) {
        lines.push(format!("SIZE: {size}").into());
    }
    lines
}

/// One member, with its offset: `struct -o TYPE.member`.
#[must_use]
pub fn member_definition(
    ty: Type<'_>,
    name: &str,
    member: &Member<'_>,
    offsets: Offsets,
) -> Vec<Line> {
    let offsets = if offsets == Offsets::None { Offsets::Bytes } else { offsets };
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut lines = vec![format!("{} {{", ty.name()).into()];
    let depth = depth_of(ty, name, 0, &mut { MAX_VISITS }).unwrap_or(0);
    one(Some(last), member, Marks::new(offsets, ty), 0, depth, &mut lines);
    lines.push("}".into());
    lines
}

/// In how many anonymous structs a member stands.
fn depth_of(ty: Type<'_>, name: &str, depth: usize, visits: &mut u32) -> Option<usize> {
    *visits = visits.checked_sub(1)?;
    ty.members().find_map(|(its, member)| match its {
        Some(its) => (its == name).then_some(depth),
        None if depth < MAX_DEPTH => depth_of(member.ty, name, depth + 1, visits),
        None => None,
    })
}

fn body(ty: Type<'_>, marks: Marks, base: u64, depth: usize, lines: &mut Vec<Line>) {
    for (name, member) in ty.members() {
        one(name, &member, marks, base, depth, lines);
    }
}

fn one(
    name: Option<&str>,
    member: &Member<'_>,
    marks: Marks,
    base: u64,
    depth: usize,
    lines: &mut Vec<Line>,
) {
    let offset = base.saturating_add(member.offset());
    let indent = "    ".repeat(depth);
    let bits = member.bit_size.map(|width| format!(" : {width}")).unwrap_or_default();
    // Only types without a name of their own are opened, also behind an array.
    let mut inner = member.ty;
    let mut counts = String::new();
    for _ in 0..MAX_DEPTH {
        let Kind::Array { of, count } = inner.kind() else { break };
        counts += &format!("[{count}]");
        inner = inner.types().get(*of);
    }
    let anonymous = matches!(inner.kind(), Kind::Struct(_) | Kind::Union(_))
        && inner.def().name.is_none()
        && depth < MAX_DEPTH;
    if anonymous {
        let keyword = if matches!(inner.kind(), Kind::Struct(_)) { "struct" } else { "union" };
        lines.push(format!("{}{indent}{keyword} {{", marks.mark(None)).into());
        body(inner, marks, offset, depth + 1, lines);
        let name = name.map(|name| format!(" {name}{counts}")).unwrap_or_default();
        let mark = marks.mark(Some(offset).filter(|_| !name.is_empty()));
        lines.push(format!("{mark}{indent}}}{name};").into());
    } else {
        let declared = member.ty.declare(name.unwrap_or(""));
        lines.push(format!("{}{indent}{declared}{bits};", marks.mark(Some(offset))).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::testing::world;

    fn text(lines: Vec<Line>) -> String {
        lines.into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn a_definition_reads_as_crash_prints_it() {
        let world = world();
        let node = world.scope().types.structure("node").unwrap();
        assert_eq!(
            text(definition(node, Offsets::Bytes)),
            "struct node {
   [0] int pid;
   [4] unsigned int low : 3;
   [4] unsigned int high : 5;
   [8] struct list_head list;
  [24] char comm[16];
  [40] struct node *parent;
       union {
  [48]     int (*wake)(struct node *);
  [48]     enum mode mode;
       };
  [56] int pair[2];
}
SIZE: 64
"
        );
        assert!(text(definition(node, Offsets::None)).contains("\n    struct node *parent;\n"));
        let at = Offsets::From(VirtAddr(0xffff_8880_0000_0000));
        assert!(
            text(definition(node, at)).contains("\n  [ffff888000000008] struct list_head list;")
        );
    }

    #[test]
    fn one_member_tells_its_offset() {
        let world = world();
        let node = world.scope().types.structure("node").unwrap();
        let member = node.member("list.prev").unwrap();
        assert_eq!(
            text(member_definition(node, "list.prev", &member, Offsets::None)),
            "struct node {\n  [16] struct list_head *prev;\n}\n"
        );
    }
}
