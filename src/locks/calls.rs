//! What the functions that code calls do with locks: the kernel's own by their names, all others by
//! their code.
//!
//! A driver's `get` that takes a lock and returns with it, or its `put`, is followed like any code
//! ([`crate::unwind::flow::Summary`]); so are the functions that these call. Such functions are
//! short, and longer ones are not looked at: what a call means is asked for every call that any
//! frame of any task has made.

use super::api;
use super::{LockKind, Mode};
use crate::dump::{PAGE_SIZE, VirtAddr};
use crate::kernel::Session;
use crate::memory::VirtualMemory;
use crate::unwind::Register;
use crate::unwind::flow::{Base, Effect, Effects, FUNCTION_LIMIT, Function, Value, Writes};
use foldhash::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many calls deep a function may take a lock for its caller.
const DEEP: u32 = 3;
/// Bytes of a function that is followed for its caller's sake, and of one that such a one calls.
const LENGTH: [u64; 4] = [0, 512, 512, 1024];

/// A pointer to a function is read through so many others.
const POINTERS: u32 = 3;

/// The bit of a page's flags, its first word, that is its lock: the first in `enum pageflags`.
const PG_LOCKED: u64 = 0;

/// A cache from addresses, shared by threads.
pub(super) struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K: std::hash::Hash + Eq, V: Clone> Cache<K, V> {
    pub(super) fn new() -> Self {
        Cache(Mutex::new(HashMap::default()))
    }

    /// The value of `key`; `make` may run more than once when threads meet.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> V) -> V {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let value = make();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value.clone());
            value
        })
    }
}

/// Registers with the numbers that they hold.
type Numbers = Box<[(Register, i64)]>;

/// The functions of a dump and what calling them means.
pub(super) struct Calls<'s> {
    session: &'s Session,
    /// By where they begin, and by any address in them that was asked for.
    functions: Cache<VirtAddr, Option<Arc<Function>>>,
    covering: Cache<VirtAddr, Option<Arc<Function>>>,
    effects: Cache<(VirtAddr, u32), Effect>,
    /// Where some arguments are known to be numbers.
    with_numbers: Cache<(VirtAddr, u32, Numbers), Effect>,
    writes: Cache<(VirtAddr, u32), Option<Arc<Writes>>>,
    stores: Cache<VirtAddr, Arc<[Value]>>,
    /// `percpu_rw_semaphore.read_count`: the pointer through which readers count themselves.
    read_count: Option<i64>,
}

impl<'s> Calls<'s> {
    pub(super) fn new(session: &'s Session) -> Calls<'s> {
        let sem = session.types().structure("percpu_rw_semaphore");
        let read_count = sem.and_then(|sem| sem.offset_of("read_count")).ok();
        Calls {
            session,
            functions: Cache::new(),
            covering: Cache::new(),
            effects: Cache::new(),
            with_numbers: Cache::new(),
            writes: Cache::new(),
            stores: Cache::new(),
            read_count: read_count.and_then(|offset| i64::try_from(offset).ok()),
        }
    }

    /// What a value is that was read from fixed addresses, `deep` of them at most.
    fn constant(&self, value: &Value, deep: u32) -> Option<u64> {
        let base = match &value.base {
            Base::Zero => 0,
            Base::Loaded { from, .. } => {
                let from = self.constant(from, deep.checked_sub(1)?)?;
                self.session.memory().read_u64(VirtAddr(from)).ok()?
            }
            _ => return None,
        };
        Some(base.wrapping_add_signed(value.offset))
    }

    /// Whether what lies at `at` goes on where a register points to.
    pub(super) fn goes_through_pointer(&self, at: VirtAddr) -> bool {
        matches!(self.of_call(at), Effect::Through(_))
    }

    /// The function that covers `at`, decoded.
    pub(super) fn function(&self, at: VirtAddr) -> Option<Arc<Function>> {
        self.covering.get(at, || {
            let (start, end) = self.session.symbols().bounds(at)?;
            let whole = self.functions.get(start, || self.decoded(start, end).map(Arc::new))?;
            let name = self.session.symbolize(start)?.symbol.name;
            match api::whole_of(name).and_then(|of| self.entry_of(of, &whole)) {
                // A part that is seldom run: it is followed from where its function begins.
                Some(entry) => self.function(entry).filter(|it| it.covers(start)).or(Some(whole)),
                None => Some(whole),
            }
        })
    }

    /// The function from `start` to `end` with its parts elsewhere.
    fn decoded(&self, start: VirtAddr, end: VirtAddr) -> Option<Function> {
        let function = Function::decode(&self.code(start, end)?, start);
        let name = self.session.symbolize(start)?.symbol.name;
        let is_part = |target: VirtAddr| {
            let found = self.session.symbolize(target)?;
            (api::whole_of(found.symbol.name) == Some(name)).then_some(target)
        };
        let Some(part) = function.jumps_out().find_map(is_part) else { return Some(function) };
        let (from, to) = self.session.symbols().bounds(part)?;
        let code = self.code(from, to);
        Some(code.map_or_else(|| function.clone(), |code| function.with_part(&code, from)))
    }

    /// Where the function of that name begins, a part of which is `part`: it jumps back there.
    fn entry_of(&self, name: &str, part: &Function) -> Option<VirtAddr> {
        let back = part.jumps_out().find_map(|target| {
            let found = self.session.symbolize(target)?;
            (found.symbol.name == name).then(|| self.session.symbols().bounds(target))?
        });
        back.map(|(start, _)| start).or_else(|| self.session.symbols().address(name))
    }

    fn code(&self, start: VirtAddr, end: VirtAddr) -> Option<Vec<u8>> {
        let len = usize::try_from(end.offset_from(start)?).ok()?;
        if len > FUNCTION_LIMIT {
            return None;
        }
        let code = readable(self.session.memory(), start, len);
        (!code.is_empty()).then_some(code)
    }

    /// The function that begins at `at`, if it is no longer than is allowed so `deep` below a frame.
    fn short(&self, at: VirtAddr, deep: u32) -> Option<Arc<Function>> {
        let (start, end) = self.session.symbols().bounds(at)?;
        let limit = usize::try_from(deep).ok().and_then(|deep| LENGTH.get(deep)).copied()?;
        let fits = start == at && end.offset_from(start).is_some_and(|len| len <= limit);
        if fits { self.function(at) } else { None }
    }

    /// What a call of `target` means, if what it calls may be followed `deep` calls deep.
    fn effect(&self, target: VirtAddr, deep: u32) -> Effect {
        self.effects.get((target, deep), || {
            let found = self.session.symbolize(target).filter(|found| found.offset == 0);
            let Some(found) = found else { return Effect::Nothing };
            match api::effect(found.symbol.name) {
                Effect::Nothing if !api::is_inside_locks(found.symbol.name) => {
                    self.followed(target, deep).unwrap_or(Effect::Nothing)
                }
                known => known,
            }
        })
    }

    /// The same where some arguments are numbers.
    fn effect_with(&self, target: VirtAddr, deep: u32, numbers: &[(Register, i64)]) -> Effect {
        self.with_numbers.get((target, deep, numbers.into()), || {
            let below = deep.checked_sub(1).map(|deep| Below { calls: self, deep });
            let function = below.as_ref().and_then(|_| self.short(target, deep));
            let summary = function.zip(below).and_then(|(it, b)| it.summary_with(numbers, &b));
            summary.map_or_else(|| self.effect(target, deep), |it| Effect::Several(Arc::new(it)))
        })
    }

    /// What the function at `target` writes through its arguments, if it is short.
    fn writes(&self, target: VirtAddr, deep: u32) -> Option<Arc<Writes>> {
        self.writes.get((target, deep), || {
            let below = Below { calls: self, deep: deep.checked_sub(1)? };
            let name = self.session.symbolize(target).filter(|it| it.offset == 0)?.symbol.name;
            if api::is_inside_locks(name) {
                return None;
            }
            Some(Arc::new(self.short(target, deep)?.summary(&below)?.writes))
        })
    }

    fn followed(&self, target: VirtAddr, deep: u32) -> Option<Effect> {
        let below = Below { calls: self, deep: deep.checked_sub(1)? };
        let function = self.short(target, deep)?;
        let matters = function.calls().chain(function.tail_calls()).any(|callee| {
            let effect = below.of_call(callee);
            !matches!(
                effect,
                Effect::Nothing | Effect::NoReturn | Effect::Return | Effect::Through(_)
            )
        });
        if !matters && !function.counts() && !function.sets_bits() {
            return None;
        }
        let summary = function.summary(&below)?;
        let nothing = summary.takes.is_empty() && summary.gives.is_empty();
        (!nothing).then(|| Effect::Several(Arc::new(summary)))
    }
}

/// The code from `start` on, as far as the dump has it: the symbol behind a function may be far away,
/// and what lies between not dumped.
fn readable(memory: &dyn VirtualMemory, start: VirtAddr, len: usize) -> Vec<u8> {
    memory.read_vec(start, len).unwrap_or_else(|_| {
        let mut code = Vec::new();
        while code.len() < len {
            let Some(at) = u64::try_from(code.len()).ok().and_then(|n| start.checked_add(n)) else {
                break;
            };
            let to_page_end = usize::try_from(PAGE_SIZE - at.0 % PAGE_SIZE).unwrap_or(1);
            let Ok(more) = memory.read_vec(at, to_page_end.min(len - code.len())) else { break };
            code.extend(more);
        }
        code
    })
}

impl Effects for Calls<'_> {
    fn of_call(&self, target: VirtAddr) -> Effect {
        self.effect(target, DEEP)
    }

    fn of_call_with(&self, target: VirtAddr, numbers: &[(Register, i64)]) -> Effect {
        self.effect_with(target, DEEP, numbers)
    }

    fn writes_of(&self, target: VirtAddr) -> Option<Arc<Writes>> {
        self.writes(target, DEEP)
    }

    fn stores_of(&self, target: VirtAddr) -> Arc<[Value]> {
        self.stores.get(target, || {
            let function = self.short(target, 1);
            function.map_or_else(|| Arc::new([]) as Arc<[Value]>, |it| it.releasing_stores())
        })
    }

    fn of_pointer(&self, _: u64, pointer: &Value) -> Option<VirtAddr> {
        self.constant(pointer, POINTERS).map(VirtAddr)
    }

    fn of_bit(&self, bit: u64) -> Option<u16> {
        (bit == PG_LOCKED).then(|| api::class(LockKind::Folio, Mode::Excl))
    }

    fn of_count(&self, from: &Value) -> Option<(u16, Value)> {
        let offset = self.read_count?;
        let class = api::class(LockKind::PercpuRwsem, Mode::Read);
        Some((class, from.plus(offset.checked_neg()?)))
    }
}

/// The same for one frame's code, some of whose calls through pointers are known to lead to these
/// functions.
pub(super) struct Pointed<'c, 's> {
    pub(super) calls: &'c Calls<'s>,
    /// By the address of the call.
    pub(super) targets: HashMap<u64, VirtAddr>,
}

impl Effects for Pointed<'_, '_> {
    fn of_call(&self, target: VirtAddr) -> Effect {
        self.calls.of_call(target)
    }

    fn of_call_with(&self, target: VirtAddr, numbers: &[(Register, i64)]) -> Effect {
        self.calls.of_call_with(target, numbers)
    }

    fn writes_of(&self, target: VirtAddr) -> Option<Arc<Writes>> {
        self.calls.writes_of(target)
    }

    fn stores_of(&self, target: VirtAddr) -> Arc<[Value]> {
        self.calls.stores_of(target)
    }

    fn of_pointer(&self, ip: u64, pointer: &Value) -> Option<VirtAddr> {
        self.targets.get(&ip).copied().or_else(|| self.calls.of_pointer(ip, pointer))
    }

    fn of_bit(&self, bit: u64) -> Option<u16> {
        self.calls.of_bit(bit)
    }

    fn of_count(&self, from: &Value) -> Option<(u16, Value)> {
        self.calls.of_count(from)
    }
}

/// The same for code that is itself called by what is looked at.
struct Below<'c, 's> {
    calls: &'c Calls<'s>,
    deep: u32,
}

impl Effects for Below<'_, '_> {
    fn of_call(&self, target: VirtAddr) -> Effect {
        self.calls.effect(target, self.deep)
    }

    fn of_call_with(&self, target: VirtAddr, numbers: &[(Register, i64)]) -> Effect {
        self.calls.effect_with(target, self.deep, numbers)
    }

    fn writes_of(&self, target: VirtAddr) -> Option<Arc<Writes>> {
        self.calls.writes(target, self.deep)
    }

    fn sums_up(&self) -> bool {
        true
    }

    fn stores_of(&self, target: VirtAddr) -> Arc<[Value]> {
        self.calls.stores_of(target)
    }

    fn of_pointer(&self, ip: u64, pointer: &Value) -> Option<VirtAddr> {
        self.calls.of_pointer(ip, pointer)
    }

    fn of_bit(&self, bit: u64) -> Option<u16> {
        self.calls.of_bit(bit)
    }

    fn of_count(&self, from: &Value) -> Option<(u16, Value)> {
        self.calls.of_count(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::testing::demo;

    #[test]
    fn only_its_first_instruction_calls_a_function_and_only_a_short_one_is_followed() {
        let demo = demo();
        let calls = Calls::new(&demo);
        let at = demo.symbols().address("up_read").unwrap();
        assert!(calls.short(at, DEEP).is_some_and(|found| found.begins_at(at)));
        assert!(calls.short(at.plus(4), DEEP).is_none());
        // Nothing is followed below what is itself as deep as may be.
        assert!(calls.short(at, 0).is_none());
        let long = demo.symbols().address("vfs_read").unwrap();
        assert!(demo.symbols().bounds(long).is_some_and(|(start, end)| end.0 - start.0 > 512));
        assert!(calls.short(long, 1).is_none());
    }

    #[test]
    fn of_the_bits_of_a_word_the_first_is_the_lock_of_a_page() {
        let demo = demo();
        let calls = Calls::new(&demo);
        assert_eq!(calls.of_bit(0), Some(api::class(LockKind::Folio, Mode::Excl)));
        assert_eq!((1..64).find_map(|bit| calls.of_bit(bit)), None);
    }

    #[test]
    fn a_pointer_of_the_kernels_own_leads_on_and_one_that_code_was_given_does_not() {
        let demo = demo();
        let calls = Calls::new(&demo);
        let list = demo.symbols().address("hu_never").unwrap().0 + 8;
        let first = demo.memory().read_u64(VirtAddr(list)).unwrap();
        let through =
            |value: &Value| value.load(1, crate::unwind::flow::Slot::Register(Register::Rax));
        let here = through(&Value::number(list.cast_signed()));
        assert_eq!(calls.constant(&here, 1), Some(first));
        assert_eq!(calls.constant(&here, 0), None);
        assert_eq!(calls.constant(&through(&Value::entry(Register::Rdi)), POINTERS), None);
    }
}
