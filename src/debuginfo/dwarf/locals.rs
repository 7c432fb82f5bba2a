//! The parameters and variables of the functions at an address, and where they are.

use super::functions::Entry;
use super::location::{Activation, Evaluated, Function, Place};
use super::{Dwarf, DwarfError, Reader};
use crate::dump::VirtAddr;
use gimli::{AttributeValue, DebugInfoOffset, Unit};

/// Variables of one frame; a generated function may have hundreds.
const MAX_LOCALS: usize = 4096;
/// Typedefs and qualifiers before a type has a size.
const MAX_TYPES: u32 = 32;
/// Bytes of a value that lies in several places.
const MAX_SIZE: usize = 1 << 16;

/// A parameter or variable in a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Where its type stands in `.debug_info`.
    pub ty: Option<u32>,
    /// Whether the function was given it.
    pub parameter: bool,
    /// Whose it is: the number of its function in [`Dwarf::positions`].
    pub position: usize,
    /// Where its value is.
    pub place: LocalPlace,
}

/// Where a variable's value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalPlace {
    /// In memory.
    Address(VirtAddr),
    /// In registers or nowhere: these bytes are the value.
    Bytes(Vec<u8>),
    /// The compiler keeps it nowhere here.
    OptimizedOut,
    /// It is somewhere, but not to be had; why.
    Unreadable(String),
}

impl Dwarf {
    /// The parameters and variables of the functions at a frame's place, the innermost inlined
    /// function's first, and in each function the outermost block's.
    ///
    /// # Errors
    /// [`DwarfError`] when the unit of the code cannot be read.
    pub fn locals(&self, frame: &Activation<'_>) -> Result<Vec<Local>, DwarfError> {
        let at = self.linked(frame.at());
        let Some(offset) = self.unit_of(at) else { return Ok(Vec::new()) };
        let dwarf = self.gimli();
        let unit = Dwarf::unit(&dwarf, offset)?;
        let scopes = self.scopes(&dwarf, &unit, offset, at);
        let Some(outermost) = scopes.first() else { return Ok(Vec::new()) };
        let function = Function { dwarf: &dwarf, unit: &unit, entry: outermost };
        let is_inlined = |scope: &&Entry<'_>| scope.tag() == gimli::DW_TAG_inlined_subroutine;
        let mut position = scopes.iter().filter(is_inlined).count();
        let mut locals = Vec::new();
        for scope in &scopes {
            position -= usize::from(is_inlined(&scope));
            for entry in variables(&unit, scope) {
                if locals.len() >= MAX_LOCALS {
                    break;
                }
                locals.extend(self.local(function, &entry, position, frame));
            }
        }
        locals.sort_by_key(|local| local.position);
        Ok(locals)
    }

    fn local<'d>(
        &self,
        function: Function<'_, 'd>,
        entry: &Entry<'d>,
        position: usize,
        frame: &Activation<'_>,
    ) -> Option<Local> {
        let Function { dwarf, unit, .. } = function;
        // Declared here, defined elsewhere: not the frame's.
        if entry.attr(gimli::DW_AT_declaration).is_some() {
            return None;
        }
        let name = self.name_of(dwarf, unit, entry)?;
        let ty = self.attribute(dwarf, unit, entry, gimli::DW_AT_type, |unit, value| {
            let offset = match value {
                AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(&unit.header)?,
                AttributeValue::DebugInfoRef(offset) => offset,
                _ => return None,
            };
            Some((offset, self.size_of(dwarf, unit, value)))
        });
        let size = ty.and_then(|(_, size)| size);
        let place = match self.place(function, entry, size, frame) {
            Ok(place) => place,
            Err(reason) => LocalPlace::Unreadable(reason),
        };
        Some(Local {
            name,
            ty: ty.and_then(|(offset, _): (DebugInfoOffset, _)| u32::try_from(offset.0).ok()),
            parameter: entry.tag() == gimli::DW_TAG_formal_parameter,
            position,
            place,
        })
    }

    fn place<'d>(
        &self,
        function: Function<'_, 'd>,
        entry: &Entry<'d>,
        size: Option<usize>,
        frame: &Activation<'_>,
    ) -> Result<LocalPlace, String> {
        let Function { dwarf, unit, .. } = function;
        let constant = |_: &Unit<Reader<'d>>, value| Some(value);
        if let Some(value) = self.attribute(dwarf, unit, entry, gimli::DW_AT_const_value, constant)
        {
            return Ok(LocalPlace::Bytes(constant_bytes(&value, size)?));
        }
        // Without a location the compiler kept it nowhere; a list of them that leaves this place
        // out says the same of it.
        let location = entry.attr_value(gimli::DW_AT_location);
        let expression = location.and_then(|value| self.expression_at(function, value, frame.at()));
        let Some(expression) = expression.filter(|expression| !expression.0.is_empty()) else {
            return Ok(LocalPlace::OptimizedOut);
        };
        let parts = self.evaluate(expression, unit.encoding(), Some(function), frame, None, 0)?;
        gathered(parts, size, frame)
    }

    /// Bytes of a value of the type that an attribute refers to.
    fn size_of<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<Reader<'d>>,
        reference: AttributeValue<Reader<'d>>,
    ) -> Option<usize> {
        let (mut elsewhere, mut ty) = self.referred(dwarf, unit, reference)?;
        for _ in 0..MAX_TYPES {
            if let Some(size) = ty.attr_value(gimli::DW_AT_byte_size) {
                return usize::try_from(size.udata_value()?).ok();
            }
            let wraps = [
                gimli::DW_TAG_typedef,
                gimli::DW_TAG_const_type,
                gimli::DW_TAG_volatile_type,
                gimli::DW_TAG_restrict_type,
                gimli::DW_TAG_atomic_type,
                gimli::DW_TAG_enumeration_type,
            ];
            if ty.tag() == gimli::DW_TAG_pointer_type {
                return Some(8);
            }
            if !wraps.contains(&ty.tag()) {
                return None;
            }
            let here = elsewhere.as_ref().unwrap_or(unit);
            let (other, its) = self.referred(dwarf, here, ty.attr_value(gimli::DW_AT_type)?)?;
            ty = its;
            elsewhere = other.or(elsewhere);
        }
        None
    }
}

/// The parameters and variables that stand directly in a function or block.
fn variables<'d>(unit: &Unit<Reader<'d>>, scope: &Entry<'d>) -> Vec<Entry<'d>> {
    let mut found = Vec::new();
    let Ok(mut entries) = unit.entries_raw(Some(scope.offset())) else { return found };
    let mut entry = Entry::null();
    if entries.read_entry(&mut entry).is_err() {
        return found;
    }
    while !entries.is_empty() && entries.next_depth() > 0 && found.len() < MAX_LOCALS {
        match entries.read_entry(&mut entry) {
            Ok(true) if entry.depth() == 1 => {
                let wanted = [gimli::DW_TAG_formal_parameter, gimli::DW_TAG_variable];
                if wanted.contains(&entry.tag()) {
                    found.push(entry.clone());
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    found
}

/// A constant as the bytes of a value.
fn constant_bytes(
    value: &AttributeValue<Reader<'_>>,
    size: Option<usize>,
) -> Result<Vec<u8>, String> {
    if let AttributeValue::Block(bytes) = value {
        return Ok(bytes.slice().to_vec());
    }
    let number = value.sdata_value().map(i64::cast_unsigned).or_else(|| value.udata_value());
    let number = number.ok_or("a constant of an unknown form")?;
    Ok(cut(number.to_le_bytes().to_vec(), size))
}

fn cut(mut bytes: Vec<u8>, size: Option<usize>) -> Vec<u8> {
    bytes.truncate(size.unwrap_or(usize::MAX));
    bytes
}

/// The parts of a value as one.
fn gathered(
    parts: Vec<Evaluated>,
    size: Option<usize>,
    frame: &Activation<'_>,
) -> Result<LocalPlace, String> {
    const IMPLICIT: &str = "it points to a value that the compiler keeps nowhere as a whole";
    let mut parts = parts;
    if let [Evaluated { size: None, .. }] = parts.as_slice() {
        return match parts.pop().map(|part| part.place) {
            Some(Place::Address(at)) => Ok(LocalPlace::Address(at)),
            Some(Place::Bytes(bytes)) => Ok(LocalPlace::Bytes(cut(bytes, size))),
            Some(Place::Implicit) => Err(IMPLICIT.to_owned()),
            Some(Place::Nowhere) | None => Ok(LocalPlace::OptimizedOut),
        };
    }
    if parts.iter().all(|part| matches!(part.place, Place::Nowhere)) {
        return Ok(LocalPlace::OptimizedOut);
    }
    let mut bytes = Vec::new();
    for part in parts {
        let len = part.size.unwrap_or(0);
        if bytes.len().saturating_add(len) > MAX_SIZE {
            return Err("it is too large for a value in several places".to_owned());
        }
        match part.place {
            Place::Address(at) => {
                let start = bytes.len();
                bytes.resize(start + len, 0);
                frame.read(at, bytes.get_mut(start..).unwrap_or_default())?;
            }
            Place::Bytes(mut part) => {
                part.resize(len, 0);
                bytes.extend(part);
            }
            Place::Nowhere => return Err("a part of it is optimized out".to_owned()),
            Place::Implicit => return Err(IMPLICIT.to_owned()),
        }
    }
    Ok(LocalPlace::Bytes(cut(bytes, size)))
}
