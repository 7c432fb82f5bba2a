//! From a name to the DIE that defines it.
//!
//! DWARF has no table of names that can be trusted to be there, so the units are gone through: of
//! each unit the DIEs at its top, past all that is below them (`DW_AT_sibling`). That is done in
//! rounds, in the order of the file, each round some megabytes on all CPUs, and ends as soon as the
//! name that is asked for is defined: `struct task_struct` is in the first unit that comes from C.
//! What was gone through is remembered. A name that is in no table of strings is not looked for at
//! all, and the whole file is only read for one that is there and names something else.
//!
//! Nearly every DIE repeats what earlier units had, since all of them include the same headers. The
//! linker keeps a string once, so where it stands tells names apart: a bit for each of those places
//! says what is already defined, and nothing more is done about those DIEs.
//!
//! The first definition in the file's order wins, whatever the number of threads: a round's parts
//! are merged in order, and the bits only change between rounds. The threads are the scan's own and
//! not rayon's: a thread of that pool, waiting for its part, may begin other work that asks for a
//! name, and would then wait for itself.

use super::die::{Name, string};
use super::units::Start;
use super::{Dwarf, Reader};
use crate::debuginfo::types::Tag;
use gimli::Section;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes of `.debug_info` that one thread goes through at a time.
const PART: usize = 256 << 10;
/// Parts of the largest round, for each thread.
const MAX_PARTS: usize = 32;
/// Compilers put shorter names into the DIE itself, with their zero: a string table would only give
/// them an offset of four bytes.
const SHORTEST_IN_TABLE: usize = 4;

/// What a name may name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Space {
    Tag(Tag),
    Variable,
    Function,
}

/// A DIE that defines or declares a name.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// Its number.
    die: u32,
    space: Space,
    declared: bool,
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Index {
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// Units that were gone through.
    units: usize,
    /// Rounds that were made.
    rounds: u32,
    /// By the hash of name and space.
    names: HashMap<u64, Named, Hashed>,
    defined: Bits,
}

/// The number of a [`Space`].
const SPACES: usize = 8;

impl Space {
    fn of(tag: gimli::DwTag) -> Option<Space> {
        Some(match tag {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => Space::Tag(Tag::Struct),
            gimli::DW_TAG_union_type => Space::Tag(Tag::Union),
            gimli::DW_TAG_enumeration_type => Space::Tag(Tag::Enum),
            gimli::DW_TAG_typedef => Space::Tag(Tag::Typedef),
            gimli::DW_TAG_base_type => Space::Tag(Tag::Base),
            gimli::DW_TAG_variable => Space::Variable,
            gimli::DW_TAG_subprogram => Space::Function,
            _ => return None,
        })
    }

    const fn number(self) -> u8 {
        match self {
            Space::Tag(Tag::Struct) => 0,
            Space::Tag(Tag::Union) => 1,
            Space::Tag(Tag::Enum) => 2,
            Space::Tag(Tag::Typedef) => 3,
            Space::Tag(Tag::Base) => 4,
            Space::Variable => 5,
            Space::Function => 6,
        }
    }

    /// The key of a name.
    fn key(self, name: &[u8]) -> u64 {
        // FNV-1a: it only runs over names that are new.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        mix(name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| mix(hash, byte)), self.number())
    }
}

/// Which names are defined: a bit for each space and place in `.debug_str`, and in that of the
/// supplementary file.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn place(offset: usize, space: Space) -> Option<(usize, u64)> {
        let bit = offset.checked_mul(SPACES)?.checked_add(usize::from(space.number()))?;
        Some((bit / 64, 1 << (bit % 64)))
    }

    fn has(&self, offset: usize, space: Space) -> bool {
        Bits::place(offset, space)
            .and_then(|(word, bit)| Some(self.0.get(word)? & bit != 0))
            .unwrap_or(false)
    }

    fn set(&mut self, offset: usize, space: Space) {
        if let Some((word, bit)) = Bits::place(offset, space)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }
}

/// The key of a name inside of one part: where it is in `.debug_str`, or its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    At(usize, Space),
    Hash(u64),
}

/// The first definitions of one part.
type Part = HashMap<Key, Named, Hashed>;

/// Keys are hashes already, or places that one multiplication spreads.
type Hashed = BuildHasherDefault<Spread>;

#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(u64::try_from(word).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, word: isize) {
        self.write_usize(word.cast_unsigned());
    }
}

impl Dwarf {
    /// The DIE that defines a name, or else the first that declares it.
    pub(super) fn named(&self, space: Space, name: &str) -> Option<u32> {
        let name = name.as_bytes();
        let key = space.key(name);
        let mut found = self.found();
        let known = |found: &Found| found.names.get(&key).copied();
        if known(&found).is_none() && !self.may_name(name) {
            return None;
        }
        while known(&found).is_none_or(|named| named.declared) && self.round(&mut found) {}
        let named = known(&found)?;
        drop(found);
        // Hashes may be equal where names are not.
        (self.die_name(named.die)? == name).then_some(named.die)
    }

    /// Every name of a space.
    pub(super) fn all_named(&self, tag: Tag) -> Vec<String> {
        let mut found = self.found();
        while self.round(&mut found) {}
        let all = found.names.values().filter(|named| named.space == Space::Tag(tag));
        let mut all: Vec<u32> = all.map(|named| named.die).collect();
        drop(found);
        // Units are then read one after the other.
        all.sort_unstable();
        all.into_iter().filter_map(|die| self.die_name(die).map(crate::dump::scrub)).collect()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.index.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a DIE may have that name.
    fn may_name(&self, name: &[u8]) -> bool {
        let dwarf = self.gimli();
        let strings = dwarf.debug_str.reader().slice();
        let shared = dwarf.sup().map(|shared| shared.debug_str.reader().slice());
        if name.is_empty() || name.contains(&0) {
            return false;
        }
        // Linkers keep one string for all that it ends in, so it may begin anywhere.
        let whole = [name, &[0]].concat();
        name.len() < SHORTEST_IN_TABLE
            || strings.is_empty()
            || memchr::memmem::find(strings, &whole).is_some()
            || shared.is_some_and(|strings| memchr::memmem::find(strings, &whole).is_some())
    }

    /// Goes through some more units. False when there are none left.
    fn round(&self, found: &mut Found) -> bool {
        let units = self.units();
        if found.units >= units.len() {
            return false;
        }
        if found.rounds == 0 {
            let dwarf = self.gimli();
            let shared = dwarf.sup().map_or(0, |shared| shared.debug_str.reader().len());
            let places = dwarf.debug_str.reader().len().saturating_add(shared);
            found.defined.0 = vec![0; places.saturating_mul(SPACES).div_ceil(64)];
        }
        let threads = thread::available_parallelism().map_or(1, |n| n.get());
        // The first round is one part: it has the names that everybody asks for.
        let most = threads.saturating_mul(MAX_PARTS);
        let count = 1_usize.checked_shl(found.rounds).unwrap_or(most).min(most);
        let parts = parts(units, found.units, count);
        found.rounds += 1;
        found.units = parts.last().map_or(units.len(), |last| last.end);
        let merged = self.scan(&parts, threads, &found.defined);
        let dwarf = self.gimli();
        for part in merged {
            for (key, named) in part {
                let hash = match key {
                    Key::Hash(hash) => hash,
                    Key::At(offset, space) => {
                        let Some(name) = string(&dwarf, offset) else { continue };
                        if !named.declared {
                            found.defined.set(offset, space);
                        }
                        space.key(name)
                    }
                };
                keep(found.names.entry(hash), named);
            }
        }
        true
    }

    /// Goes through the units of each part, on several threads.
    fn scan(&self, parts: &[Range<usize>], threads: usize, defined: &Bits) -> Vec<Part> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(units) = parts.get(number) else { return done };
                done.push((number, self.scan_part(units.clone(), defined)));
            }
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(parts.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            done.extend(others.into_iter().flat_map(|other| other.join().unwrap_or_default()));
            done
        });
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, part)| part).collect()
    }

    /// Goes through the DIEs at the top of a unit.
    fn scan_unit(
        &self,
        dwarf: &gimli::Dwarf<Reader<'_>>,
        at: Start,
        defined: &Bits,
        part: &mut Part,
    ) -> Result<(), gimli::Error> {
        let unit = self.passing_unit(dwarf, at)?;
        let mut entries = unit.header.entries_raw(&unit.own.abbreviations, None)?;
        let Some(root) = entries.read_abbreviation()? else { return Ok(()) };
        if !root.has_children() {
            return Ok(());
        }
        entries.skip_attributes(root.attributes())?;
        // How deep gimli says that the top is: it counts from where it began to read.
        let mut top = 1;
        while !entries.is_empty() && entries.next_depth() >= top {
            let depth = entries.next_depth();
            let offset = entries.next_offset();
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            let space = Space::of(abbreviation.tag());
            let children = abbreviation.has_children();
            if depth > top || space.is_none() && !children {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let (mut name, mut sibling, mut declared, mut specified) = (None, None, false, None);
            let mut rest = abbreviation.attributes();
            while let Some(next) = rest.iter().position(|spec| {
                matches!(
                    spec.name(),
                    gimli::DW_AT_name
                        | gimli::DW_AT_sibling
                        | gimli::DW_AT_declaration
                        | gimli::DW_AT_specification
                )
            }) {
                let (skipped, from) = rest.split_at(next);
                entries.skip_attributes(skipped)?;
                let Some((spec, after)) = from.split_first() else { break };
                rest = after;
                let value = entries.read_attribute_inline(*spec)?.raw_value();
                match spec.name() {
                    gimli::DW_AT_name => name = Some(value),
                    gimli::DW_AT_sibling => sibling = unit.local(&value),
                    gimli::DW_AT_specification => specified = self.referred_to(unit.start, &value),
                    _ => declared = true,
                }
            }
            entries.skip_attributes(rest)?;
            if let Some(space) = space {
                let mut name = name.and_then(|name| unit.name(dwarf, &name));
                if name.is_none()
                    && space == Space::Variable
                    && let Some(declaration) = specified
                {
                    name = self.name_at(dwarf, declaration);
                }
                if let (Some(name), Some(die)) = (name, unit.index(offset)) {
                    let named = Named { die, space, declared };
                    match name {
                        Name::At(place) if !defined.has(place, space) => {
                            keep(part.entry(Key::At(place, space)), named);
                        }
                        Name::Text(text) => {
                            keep(part.entry(Key::Hash(space.key(text))), named);
                        }
                        Name::At(_) => {}
                    }
                }
            }
            // Only forwards: a damaged one would lead round in circles.
            if children && let Some(sibling) = sibling.filter(|at| *at > entries.next_offset()) {
                entries = unit.header.entries_raw(&unit.own.abbreviations, Some(sibling))?;
                top = 0;
            }
        }
        Ok(())
    }

    /// The name of the DIE of that number.
    fn name_at<'d>(&self, dwarf: &gimli::Dwarf<Reader<'d>>, number: usize) -> Option<Name<'d>> {
        let index = u32::try_from(number).ok()?;
        let unit = self.type_unit(dwarf, index)?;
        let name = unit.entry(unit.offset(index)?).ok()?.attr_value_raw(gimli::DW_AT_name)?;
        unit.name(dwarf, &name)
    }

    fn scan_part(&self, units: Range<usize>, defined: &Bits) -> Part {
        let dwarf = self.gimli();
        let mut part = Part::default();
        for &at in self.units().get(units).unwrap_or_default() {
            // What comes before the damage in a damaged unit is kept.
            if let Err(error) = self.scan_unit(&dwarf, at, defined, &mut part) {
                self.note_unit(&dwarf, at, error);
            }
        }
        part
    }
}

/// Keeps the first definition, or else the first declaration.
fn keep<K>(entry: Entry<'_, K, Named>, named: Named) {
    match entry {
        Entry::Vacant(entry) => {
            entry.insert(named);
        }
        Entry::Occupied(mut entry) => {
            if entry.get().declared && !named.declared {
                entry.insert(named);
            }
        }
    }
}

/// Units from the number `first` on, in at most `count` ranges of about the same size.
fn parts(units: &[Start], first: usize, count: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = first;
    while start < units.len() && parts.len() < count {
        let from = units.get(start).map_or(0, |unit| unit.0);
        let rest = units.get(start..).unwrap_or_default();
        let end = start + rest.partition_point(|unit| unit.0 < from.saturating_add(PART)).max(1);
        parts.push(start..end);
        start = end;
    }
    parts
}
