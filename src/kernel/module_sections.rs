//! Where the sections of a module were loaded: what `/sys/module/NAME/sections` shows.
//!
//! `sect_attrs` of `struct module` points to a `struct module_sect_attrs` (kernel/module/sysfs.c,
//! earlier kernel/module.c) with an array of `struct module_sect_attr`: a name and an address. Since
//! 6.14 it is an array of `struct bin_attribute`, whose `private` is the address, and how many there
//! are tells only the list of pointers to them in `grp`.

use super::fields::Field;
use super::image::Kernel;
use super::{Known, Unknown};
use crate::debuginfo::build_id;
use crate::dump::{VirtAddr, scrub};
use crate::memory::VirtualMemory;

/// More sections than any module has.
const MAX_SECTIONS: u64 = 4096;
/// Bytes of the longest name of a section.
const MAX_NAME: usize = 256;
/// Bytes of a note with a build id: header, name, and the 20 bytes of a SHA-1.
const NOTE: usize = 36;

/// Where these things are in the kernel's structs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionFields {
    pointer: Field,
    count: Option<Field>,
    listed: Option<Field>,
    first: u64,
    size: u64,
    name: Field,
    address: Field,
}

impl SectionFields {
    pub(super) fn probe(kernel: Kernel<'_>) -> Known<SectionFields> {
        let pointer = kernel.field("module", "sect_attrs")?;
        let all = kernel.structure("module_sect_attrs")?;
        let array = all.member("attrs")?;
        let attribute = array.ty.target();
        let attribute = attribute.ok_or_else(|| Unknown::because("sections are in no array"))?;
        let size = attribute.size().filter(|size| (1..=4096).contains(size));
        Ok(SectionFields {
            pointer,
            count: Field::of(all, "nsections").ok(),
            listed: Field::first_of(all, &["grp.bin_attrs", "grp.bin_attrs_new"]).ok(),
            first: array.offset(),
            size: size.ok_or_else(|| Unknown::because("the size of a section is impossible"))?,
            name: Field::first_of(attribute, &["name", "battr.attr.name", "attr.name"])?,
            address: Field::first_of(attribute, &["address", "private"])?,
        })
    }

    /// Names and addresses of the sections of the module at `module`.
    pub(super) fn read(
        &self,
        memory: &dyn VirtualMemory,
        module: VirtAddr,
    ) -> Known<Vec<(String, VirtAddr)>> {
        let all = VirtAddr(self.pointer.read(memory, module)?);
        if all.is_null() {
            return Err(Unknown::because("the kernel kept no list of its sections"));
        }
        let count = match (self.count, self.listed) {
            (Some(count), _) => count.read(memory, all)?,
            (None, Some(list)) => {
                let list = VirtAddr(list.read(memory, all)?);
                let end = (0..MAX_SECTIONS).find(|number| {
                    memory.read_ptr(list.plus(number * 8)).is_ok_and(VirtAddr::is_null)
                });
                end.unwrap_or(0)
            }
            (None, None) => 0,
        };
        let mut found = Vec::new();
        for number in 0..count.min(MAX_SECTIONS) {
            let at = all.plus(self.first).plus(number * self.size);
            let name = VirtAddr(self.name.read(memory, at)?);
            let name = scrub(&memory.read_cstr(name, MAX_NAME)?);
            found.push((name, VirtAddr(self.address.read(memory, at)?)));
        }
        Ok(found)
    }
}

/// The build id of a loaded module, of which `sections` are these.
pub(super) fn loaded_build_id(
    memory: &dyn VirtualMemory,
    sections: &[(String, VirtAddr)],
) -> Option<String> {
    let (_, at) = sections.iter().find(|(name, _)| name == ".note.gnu.build-id")?;
    build_id(&memory.read_vec(*at, NOTE).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols, Types};
    use crate::kernel::testing::{Image, TypeTable};

    const MODULE: u64 = 0x1000;

    fn image() -> Image {
        let mut image = Image::default();
        image.put_u64(MODULE + 8, 0x2000);
        image.put(0x5000, &[0; 2 * MAX_NAME]);
        image.put(0x5000, b".text\0");
        image.put(0x5010, b".note.gnu.build-id\0");
        image.put(0x6000, &[4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0]);
        image.put(0x600c, b"GNU\0");
        image.put(0x6010, &[0xab; 20]);
        image
    }

    fn check(types: &Types, image: &Image) {
        let symbols = Symbols::new(SymbolTable::new(None), Vec::new());
        let kernel = Kernel { memory: image, types, symbols: &symbols };
        let sections = SectionFields::probe(kernel).unwrap().read(image, VirtAddr(MODULE)).unwrap();
        let names: Vec<_> = sections.iter().map(|(name, at)| (&**name, at.0)).collect();
        assert_eq!(names, [(".text", 0xc000), (".note.gnu.build-id", 0x6000)]);
        assert_eq!(loaded_build_id(image, &sections), Some("ab".repeat(20)));
    }

    #[test]
    fn sections_are_read_as_older_and_newer_kernels_keep_them() {
        let module = || TypeTable::new().with("module", 64, &[("sect_attrs", 8, 8)]);
        let older =
            module().with("module_sect_attr", 32, &[("name", 16, 8), ("address", 24, 8)]).with(
                "module_sect_attrs",
                16,
                &[("nsections", 8, 4), ("attrs[]: module_sect_attr", 16, 1)],
            );
        let mut image = image();
        image.put_u64(0x2008, 2);
        for (at, value) in [(0x20, 0x5000), (0x28, 0xc000), (0x40, 0x5010), (0x48, 0x6000)] {
            image.put_u64(0x2000 + at, value);
        }
        check(&older.types(), &image);
        let newer = module()
            .with("attribute", 8, &[("name", 0, 8)])
            .with("bin_attribute", 32, &[("attr: attribute", 0, 0), ("private", 24, 8)])
            .with("attribute_group", 16, &[("bin_attrs", 8, 8)])
            .with(
                "module_sect_attrs",
                16,
                &[("grp: attribute_group", 0, 0), ("attrs[]: bin_attribute", 16, 1)],
            );
        let mut image = self::image();
        image.put_u64(0x2008, 0x7000);
        for (at, value) in [(0x10, 0x5000), (0x28, 0xc000), (0x30, 0x5010), (0x48, 0x6000)] {
            image.put_u64(0x2000 + at, value);
        }
        for (at, value) in [(0, 0x2010), (8, 0x2030), (16, 0)] {
            image.put_u64(0x7000 + at, value);
        }
        check(&newer.types(), &image);
    }
}
