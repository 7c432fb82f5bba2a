//! Objects as trees for the inspector.
//!
//! Only what is visible is read: the members of the object, and of what is expanded in it. The
//! number of nodes is bounded, since types and pointers come out of the dump.

use super::{IMAGE, Opened};
use crate::debuginfo::{Kind, Member, Tag, Type, Types};
use crate::dump::{VirtAddr, scrub};
use crate::kernel::walk;
use crate::object::Object;
use crate::tui::model::{Inspection, Node, Place, Subject, Value};
use crate::tui::source::Answer;
use std::collections::BTreeSet;

/// Lines of one inspection.
const MOST_NODES: usize = 50_000;
/// Elements of an array or a list that are shown.
const MOST_ELEMENTS: u64 = 1000;
/// Anonymous structs and unions inside each other.
const DEEPEST: u16 = 32;
/// Bytes of a text that are shown.
const LONGEST_TEXT: usize = 256;

/// Heads of lists: the struct and member that hold one, and the struct and member of its entries.
const HEADS: &[(&str, &str, &str, &str)] = &[
    ("task_struct", "children", "task_struct", "sibling"),
    ("task_struct", "tasks", "task_struct", "tasks"),
    ("task_struct", "thread_group", "task_struct", "thread_group"),
    ("signal_struct", "thread_head", "task_struct", "thread_node"),
    ("mutex", "wait_list", "mutex_waiter", "list"),
    ("rw_semaphore", "wait_list", "rwsem_waiter", "list"),
    ("semaphore", "wait_list", "semaphore_waiter", "list"),
    ("swait_queue_head", "task_list", "swait_queue", "task_list"),
    ("wait_queue_head", "head", "wait_queue_entry", "entry"),
    ("module", "list", "module", "list"),
    ("dentry", "d_subdirs", "dentry", "d_child"),
    ("super_block", "s_inodes", "inode", "i_sb_list"),
    ("worker_pool", "worklist", "work_struct", "entry"),
    ("worker_pool", "workers", "worker", "node"),
    ("workqueue_struct", "pwqs", "pool_workqueue", "pwqs_node"),
];

/// The type of a name as people write it: with or without its keyword.
pub(super) fn find_type<'t>(types: &'t Types, name: &str) -> Answer<Type<'t>> {
    let tags = [
        ("struct ", Tag::Struct),
        ("union ", Tag::Union),
        ("enum ", Tag::Enum),
        ("", Tag::Typedef),
        ("", Tag::Base),
    ];
    let name = name.trim();
    let spelt = tags.iter().find_map(|(keyword, tag)| {
        let bare = name.strip_prefix(keyword).filter(|_| !keyword.is_empty())?;
        types.find(*tag, bare.trim()).ok()
    });
    let found = spelt.or_else(|| tags.iter().find_map(|(_, tag)| types.find(*tag, name).ok()));
    found.ok_or_else(|| format!("no type {name} in the debug information at hand"))
}

/// What the inspector shows of a subject.
pub(super) fn inspect(
    opened: &Opened,
    subject: &Subject,
    open: &BTreeSet<String>,
) -> Answer<Inspection> {
    let builder = Builder::new(opened, open);
    match subject {
        Subject::Object { ty, at } => builder.subject(ty, *at),
        Subject::Frame { task, n } => builder.frame(*task, *n),
    }
}

pub(super) struct Builder<'s> {
    pub(super) opened: &'s Opened,
    pub(super) open: &'s BTreeSet<String>,
    pub(super) nodes: Vec<Node>,
}

/// Where a node stands in the tree.
pub(super) struct Spot<'p> {
    depth: u16,
    path: String,
    /// The struct that it is a member of, and its own name there.
    member_of: Option<&'p str>,
    name: String,
    pub(super) offset: Option<u64>,
}

impl Spot<'_> {
    /// At the top, under a path that no other node has.
    pub(super) fn top(path: &str, name: &str) -> Spot<'static> {
        let (path, name) = (path.to_owned(), name.to_owned());
        Spot { depth: 0, path, member_of: None, name, offset: None }
    }

    /// Under this one, but no member of a struct.
    fn under(&self, name: String, offset: Option<u64>) -> Spot<'static> {
        let path = format!("{}.{name}", self.path);
        Spot { depth: self.depth + 1, path, member_of: None, name, offset }
    }

    /// The node there, not expanded, leading nowhere.
    pub(super) fn node(&self, ty: String, at: Option<VirtAddr>, value: Value) -> Node {
        Node {
            depth: self.depth,
            path: self.path.clone(),
            offset: self.offset,
            name: self.name.clone(),
            ty,
            value,
            at,
            open: None,
            place: None,
        }
    }
}

impl<'s> Builder<'s> {
    pub(super) fn new(opened: &'s Opened, open: &'s BTreeSet<String>) -> Builder<'s> {
        Builder { opened, open, nodes: Vec::new() }
    }

    fn subject(mut self, ty: &str, at: VirtAddr) -> Answer<Inspection> {
        let session = &self.opened.session;
        let ty = find_type(session.types(), ty)?;
        let name = ty.name();
        let bare = name.strip_prefix("struct ").unwrap_or(&name);
        let mut title = format!("{bare} {at:x}");
        if at.0 >= IMAGE
            && let Some(symbol) = session.symbolize(at)
        {
            title.push_str(&format!(" <{symbol}>"));
        }
        let object = session.object(ty, at);
        // The title says the address already.
        let warning = session.doubt(at, ty).map(|warning| {
            let stripped = warning.strip_prefix(&format!("{at} ")).map(str::to_owned);
            stripped.unwrap_or(warning)
        });
        if let (None, Some(task)) = (&warning, session.tasks().at(at)) {
            title.push_str(&format!(" {}", task.label()));
        }
        if ty.resolved().compound().is_some() {
            self.members(&object, 0, "", 0);
        } else {
            self.node(&object, &Spot::top("*", "*"));
        }
        Ok(Inspection { title, warning, nodes: self.nodes })
    }

    /// The members of a struct or union; those of anonymous ones stand among them, as C has it.
    fn members(&mut self, object: &Object<'s>, depth: u16, prefix: &str, base: u64) {
        let ty = object.ty().resolved();
        let owner = ty.def().name.as_deref();
        for (name, member) in ty.members() {
            if self.nodes.len() >= MOST_NODES {
                return;
            }
            let its = part(object, &member);
            let offset = base + member.offset();
            let Some(name) = name else {
                if depth < DEEPEST && member.ty.resolved().compound().is_some() {
                    self.members(&its, depth, prefix, offset);
                }
                continue;
            };
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            let name = name.to_owned();
            let spot = Spot { depth, path, member_of: owner, name, offset: Some(offset) };
            match member.bit_size {
                Some(width) => self.bit_field(object, &spot, &member, width),
                None => self.node(&its, &spot),
            }
        }
    }

    fn bit_field(&mut self, object: &Object<'s>, spot: &Spot<'_>, member: &Member<'s>, width: u32) {
        let value = match object.member(&spot.name) {
            Ok(field) => self.number(&field),
            Err(error) => Value::Fault(error.to_string()),
        };
        let ty = format!("{} : {width}", member.ty.name());
        self.nodes.push(spot.node(ty, Some(object.at().plus(member.offset())), value));
    }

    /// One member, element or value, and what is expanded under it.
    pub(super) fn node(&mut self, object: &Object<'s>, spot: &Spot<'_>) {
        let ty = object.ty().resolved();
        let name = object.ty().name();
        let at = Some(object.at());
        match ty.kind() {
            Kind::Pointer { .. } => self.pointer(object, spot),
            Kind::Struct(_) if ty.def().name.as_deref() == Some("list_head") => {
                self.list(object, spot);
            }
            Kind::Struct(_) | Kind::Union(_) => {
                // atomic_t, kuid_t, refcount_t: a number in a coat.
                if let Ok(value) = object.integer() {
                    let value = self.spell(value, object);
                    let place = self.task_behind(object);
                    self.nodes.push(Node { place, ..spot.node(name, at, value) });
                    return;
                }
                let open = self.open.contains(&spot.path);
                let node = spot.node(name, at, Value::Note("{…}".to_owned()));
                self.nodes.push(Node { open: Some(open), ..node });
                if open {
                    self.members(object, spot.depth + 1, &spot.path, 0);
                }
            }
            Kind::Array { of, count } => self.array(object, spot, ty.types().get(*of), *count),
            Kind::Float { .. } | Kind::Function { .. } | Kind::Void | Kind::Forward { .. } => {
                self.nodes.push(spot.node(name, at, Value::Note("…".to_owned())));
            }
            _ => {
                let value = self.number(object);
                let place = self.task_behind(object);
                self.nodes.push(Node { place, ..spot.node(name, at, value) });
            }
        }
    }

    fn number(&self, object: &Object<'s>) -> Value {
        match object.integer() {
            Ok(value) => self.spell(value, object),
            Err(error) => Value::Fault(error.to_string()),
        }
    }

    /// A number as its type spells it: an enum's name, true or false, a word that points to a
    /// task or a symbol.
    fn spell(&self, value: i128, object: &Object<'s>) -> Value {
        let ty = object.ty().resolved();
        let low = u128::from_ne_bytes(value.to_ne_bytes()) & u128::from(u64::MAX);
        let mut bits = u64::try_from(low).unwrap_or(u64::MAX);
        match ty.kind() {
            Kind::Int { bool: true, .. } => {
                return Value::Name(if value == 0 { "false" } else { "true" }.to_owned(), value);
            }
            Kind::Enum { .. } => {
                let name = i64::try_from(value).ok().and_then(|value| ty.enumerator(value));
                if let Some(name) = name {
                    return Value::Name(name.to_owned(), value);
                }
            }
            _ => {}
        }
        match ty.size() {
            // What points into the kernel is shown as what it points to: mutex.owner.
            Some(8) if bits >> 47 == 0x1_ffff && self.opened.named(bits).is_some() => {
                return Value::Pointer { to: VirtAddr(bits), symbol: self.opened.named(bits) };
            }
            Some(size @ 1..8) => bits &= (1 << (size * 8)) - 1,
            _ => {}
        }
        Value::Number { value, bits }
    }

    /// The task that a word points to, perhaps with flags in its lowest bits.
    fn task_behind(&self, object: &Object<'s>) -> Option<Place> {
        let eight = object.ty().size() == Some(8);
        let word = object.u64().ok().filter(|_| eight)?;
        let task = self.opened.session.tasks().at(VirtAddr(word & !7))?;
        Some(Place::Task(task.at))
    }

    fn pointer(&mut self, object: &Object<'s>, spot: &Spot<'_>) {
        let session = &self.opened.session;
        let name = object.ty().name();
        let to = match object.pointer() {
            Ok(to) => to,
            Err(error) => {
                let value = Value::Fault(error.to_string());
                self.nodes.push(spot.node(name, Some(object.at()), value));
                return;
            }
        };
        let target = object.ty().target().map(Type::resolved);
        let compound = target.filter(|target| target.compound().is_some() && !to.is_null());
        let is_text =
            matches!(target.map(Type::kind), Some(Kind::Int { size: 1, bool: false, .. }));
        let text = is_text.then(|| session.memory().read_cstr(to, LONGEST_TEXT).ok()).flatten();
        let symbol = match text {
            Some(text) if !to.is_null() => Some(format!("\"{}\"", scrub(&text))),
            _ => self.opened.named(to.0),
        };
        let place = match compound {
            _ if to.is_null() => None,
            _ if session.tasks().at(to).is_some() => Some(Place::Task(to)),
            Some(target) if target.def().name.is_some() => Some(Place::object(target.name(), to)),
            _ => Some(self.opened.place_at(to)),
        };
        let open = compound.map(|_| self.open.contains(&spot.path));
        let node = spot.node(name, Some(object.at()), Value::Pointer { to, symbol });
        self.nodes.push(Node { open, place, ..node });
        if let (Some(target), Some(true)) = (compound, open) {
            let object = Object::new(session.memory(), target, to);
            self.members(&object, spot.depth + 1, &spot.path, 0);
        }
    }

    fn array(&mut self, object: &Object<'s>, spot: &Spot<'_>, of: Type<'s>, count: u64) {
        let name = object.ty().name();
        let at = Some(object.at());
        let size = of.size().unwrap_or(0);
        let char =
            matches!(of.resolved().kind(), Kind::Int { size: 1, signed: true, bool: false, .. });
        if char && count > 0 {
            let most = usize::try_from(count).unwrap_or(usize::MAX).min(LONGEST_TEXT);
            let value = match self.opened.session.memory().read_vec(object.at(), most) {
                Ok(bytes) => {
                    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                    Value::Text(scrub(bytes.get(..end).unwrap_or_default()))
                }
                Err(fault) => Value::Fault(fault.to_string()),
            };
            self.nodes.push(spot.node(name, at, value));
            return;
        }
        let has_elements = count > 0 && size > 0;
        let open = has_elements.then(|| self.open.contains(&spot.path));
        let node = spot.node(name, at, Value::Note(format!("[{count}]")));
        self.nodes.push(Node { open, ..node });
        if open == Some(true) {
            for index in 0..count.min(MOST_ELEMENTS) {
                let offset = index.saturating_mul(size);
                let element = Object::new(object.memory(), of, object.at().plus(offset));
                self.node(&element, &spot.under(format!("[{index}]"), Some(offset)));
            }
            if count > MOST_ELEMENTS {
                let value = Value::Note(format!("{} more", count - MOST_ELEMENTS));
                let rest = spot.under("…".to_owned(), None);
                self.nodes.push(rest.node(String::new(), None, value));
            }
        }
    }

    /// A list_head: its entries, as what they are entries of where that is known.
    fn list(&mut self, object: &Object<'s>, spot: &Spot<'_>) {
        let session = &self.opened.session;
        let most = usize::try_from(MOST_ELEMENTS).unwrap_or(0);
        let walked = walk::list(session.memory(), object.at(), most);
        let cut = walked.cut.as_ref().map(ToString::to_string);
        let entries = match (walked.found.len(), &cut) {
            (0, None) => "empty list".to_owned(),
            (n, None) => format!("list of {n}"),
            (n, Some(why)) => format!("list of {n} and more: {why}"),
        };
        let open = self.open.contains(&spot.path);
        let has_entries = !walked.found.is_empty();
        let node = spot.node(object.ty().name(), Some(object.at()), Value::Note(entries));
        self.nodes.push(Node { open: has_entries.then_some(open), ..node });
        if !open {
            return;
        }
        let known = HEADS
            .iter()
            .find(|(owner, member, ..)| Some(*owner) == spot.member_of && *member == spot.name);
        let entry = known.and_then(|(_, _, entry, member)| {
            let ty = session.types().structure(entry).ok()?;
            Some((ty, ty.offset_of(member).ok()?))
        });
        for (index, node) in walked.found.into_iter().enumerate() {
            let spot = spot.under(format!("[{index}]"), None);
            match entry {
                Some((ty, offset)) => self.entry(ty, node.minus(offset), &spot),
                None => {
                    let value = Value::Pointer { to: node, symbol: self.opened.named(node.0) };
                    let place = Some(Place::Memory(node));
                    let node = spot.node("struct list_head".to_owned(), Some(node), value);
                    self.nodes.push(Node { place, ..node });
                }
            }
        }
    }

    fn entry(&mut self, ty: Type<'s>, at: VirtAddr, spot: &Spot<'_>) {
        let session = &self.opened.session;
        let task = session.tasks().at(at);
        let place = match task {
            Some(task) => Place::Task(task.at),
            None => Place::object(ty.name(), at),
        };
        let open = self.open.contains(&spot.path);
        let value = Value::Pointer { to: at, symbol: self.opened.named(at.0) };
        let node = spot.node(ty.name(), Some(at), value);
        self.nodes.push(Node { open: Some(open), place: Some(place), ..node });
        if open {
            let object = Object::new(session.memory(), ty, at);
            self.members(&object, spot.depth + 1, &spot.path, 0);
        }
    }
}

/// A member as an object of its own. Bit-fields are read through their struct.
fn part<'s>(object: &Object<'s>, member: &Member<'s>) -> Object<'s> {
    Object::new(object.memory(), member.ty, object.at().plus(member.offset()))
}
