//! `info`: what the file is, what it holds, and which debug information was found or where to get it.

use super::arguments::Info;
use super::json::Json;
use super::output::{self, Failure};
use super::source;
use crate::debuginfo::{Advice, Dwarf, Tag};
use crate::dump::{DumpInfo, scrub};
use crate::kernel::{Known, Session};
use std::io::{self, Write};
use std::path::Path;

pub(super) fn run(info: &Info) -> Result<(), Failure> {
    let session = source::open(&info.source)?;
    let name = source::name(&info.source.dumps, &info.source.debug);
    let facts = Facts::of(&session, name, info.json);
    let mut out = output::stdout();
    if info.json {
        let mut json = Json::new(out);
        facts.json(&mut json)?;
        json.finish()?;
    } else {
        facts.text(&mut out)?;
        out.flush()?;
    }
    Ok(())
}

struct Facts {
    name: String,
    dump: DumpInfo,
    release: Option<String>,
    version: Option<String>,
    build_id: Option<String>,
    kernel_offset: Option<u64>,
    cpus: usize,
    /// CPUs whose registers the dump has.
    registers: usize,
    symbols: usize,
    module_symbols: usize,
    /// `None` when the types are DWARF's, which takes a second to count, and nobody asked.
    structs: Option<usize>,
    has_btf: bool,
    modules: usize,
    /// The kernel's ELF file; or why there is none, and what to install.
    vmlinux: Result<String, (String, String)>,
    /// The DWARF of that file; or why it has none.
    dwarf: Result<String, String>,
    /// Modules, the files with their debug information, and what is in those.
    module_files: Vec<(String, String, String)>,
    notes: Vec<String>,
}

impl Facts {
    fn of(session: &Session, name: String, count: bool) -> Facts {
        let dump = session.dump().info();
        let notes = session.dump().vmcoreinfo();
        let uts = dump.utsname.as_ref();
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut tables = session.symbols().tables();
        let release = notes.release().map(str::to_owned).or(uts.and_then(|uts| text(&uts.release)));
        let build_id = notes.build_id().map(str::to_owned);
        let path = |path: &Path| scrub(path.as_os_str().as_encoded_bytes());
        let vmlinux = session.vmlinux();
        let summary = |dwarf: Known<&Dwarf>| match dwarf.map(Dwarf::summary) {
            Ok(Ok(summary)) => Ok(summary),
            Ok(Err(error)) => Err(error.to_string()),
            Err(unknown) => Err(unknown.to_string()),
        };
        let has_btf = session.has_btf();
        let module_files = session.modules().iter().enumerate().filter_map(|(number, module)| {
            let file = path(&session.module_file(number).ok()?.path);
            let dwarf = module.base.clone().and_then(|base| session.dwarf_of(base));
            let dwarf = summary(dwarf).unwrap_or_else(|why| why);
            Some((module.name.to_string(), file, dwarf))
        });
        let advice = Advice::new(&session.identity()).to_string();
        Facts {
            name,
            release,
            version: uts.and_then(|uts| text(&uts.version)),
            build_id,
            kernel_offset: notes.kernel_offset(),
            cpus: session.cpus().online(),
            registers: session.cpus().iter().filter(|cpu| cpu.registers.is_ok()).count(),
            symbols: tables.next().map_or(0, |kernel| kernel.len()),
            module_symbols: tables.map(|table| table.len()).sum(),
            structs: (has_btf || count).then(|| session.types().names(Tag::Struct).len()),
            has_btf,
            dwarf: summary(session.dwarf()),
            module_files: module_files.collect(),
            modules: session.modules().len(),
            vmlinux: vmlinux
                .map(|found| path(&found.path))
                .map_err(|missing| (missing.to_string(), advice)),
            notes: session.notes(),
            dump,
        }
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let dump = &self.dump;
        let mut line = |name: &str, value: String| writeln!(out, "{name:>14}: {value}");
        line("file", self.name.clone())?;
        line("format", dump.format.clone())?;
        if !dump.compressions.is_empty() {
            line("compression", self.compressions().join(", "))?;
        }
        let cut = if dump.complete { "" } else { "; INCOMPLETE: pages are lost" };
        line("size", format!("{}{cut}", bytes(dump.file_size)))?;
        let held = dump.pages.saturating_mul(dump.page_size);
        let machine = dump.max_mapnr.saturating_mul(dump.page_size);
        line(
            "memory",
            format!(
                "{} pages, {}; the machine's highest address is at {}",
                dump.pages,
                bytes(held),
                bytes(machine)
            ),
        )?;
        if let Some(level) = dump.dump_level {
            line("dump level", format!("{level}: without {}", excluded(level).join(", ")))?;
        }
        let unknown = || "unknown".to_owned();
        line("kernel", self.release.clone().unwrap_or_else(unknown))?;
        if let Some(version) = &self.version {
            line("version", version.clone())?;
        }
        line("build id", self.build_id.clone().unwrap_or_else(unknown))?;
        if let Some(offset) = self.kernel_offset {
            line("KASLR offset", format!("{offset:#x}"))?;
        }
        line("CPUs", format!("{} online, registers of {}", self.cpus, self.registers))?;
        line(
            "names",
            match self.symbols {
                0 => "none found".to_owned(),
                n => format!("{n} symbols, {} of {} modules", self.module_symbols, self.modules),
            },
        )?;
        line(
            "types",
            match (self.structs, &self.dwarf) {
                (Some(n), Ok(dwarf)) if self.has_btf => format!("{n} structs (BTF; and {dwarf})"),
                (Some(n), Err(_)) if self.has_btf => format!("{n} structs (BTF)"),
                (_, Ok(dwarf)) => dwarf.clone(),
                (_, Err(_)) => "none found".to_owned(),
            },
        )?;
        for note in &self.notes {
            line("note", note.clone())?;
        }
        match (&self.vmlinux, &self.dwarf) {
            (Ok(path), Ok(dwarf)) => line("vmlinux", format!("{path} ({dwarf})"))?,
            (Ok(path), Err(why)) => line("vmlinux", format!("{path} (no DWARF: {why})"))?,
            (Err((missing, _)), _) => line("vmlinux", missing.clone())?,
        }
        for (module, path, dwarf) in &self.module_files {
            line("module", format!("{module}: {path} ({dwarf})"))?;
        }
        Ok(())
    }

    fn compressions(&self) -> Vec<String> {
        self.dump.compressions.iter().map(|c| format!("{c:?}").to_lowercase()).collect()
    }

    fn json<W: Write>(&self, json: &mut Json<W>) -> io::Result<()> {
        let dump = &self.dump;
        json.object(|json| {
            json.key("file")?.text(&self.name)?;
            json.key("format")?.text(&dump.format)?;
            json.key("compression")?.list(self.compressions(), |json, c| json.text(&c))?;
            json.key("file_size")?.plain(dump.file_size)?;
            json.key("files")?.plain(dump.files)?;
            json.key("complete")?.plain(dump.complete)?;
            json.key("dump_level")?.maybe(dump.dump_level, |json, n| json.plain(n))?;
            let without = dump.dump_level.map(excluded).unwrap_or_default();
            json.key("excluded")?.list(without, |json, what| json.text(what))?;
            json.key("page_size")?.plain(dump.page_size)?;
            json.key("pages")?.plain(dump.pages)?;
            json.key("max_mapnr")?.plain(dump.max_mapnr)?;
            json.key("release")?.maybe(self.release.as_deref(), Json::text)?;
            json.key("version")?.maybe(self.version.as_deref(), Json::text)?;
            json.key("build_id")?.maybe(self.build_id.as_deref(), Json::text)?;
            let offset = self.kernel_offset.map(crate::dump::VirtAddr);
            json.key("kernel_offset")?.maybe(offset, Json::address)?;
            json.key("cpus")?.plain(self.cpus)?;
            json.key("symbols")?.plain(self.symbols)?;
            json.key("module_symbols")?.plain(self.module_symbols)?;
            json.key("structs")?.plain(self.structs.unwrap_or(0))?;
            json.key("btf")?.plain(self.has_btf)?;
            json.key("dwarf")?.maybe(self.dwarf.as_deref().ok(), Json::text)?;
            json.key("modules")?.plain(self.modules)?;
            json.key("vmlinux")?.maybe(self.vmlinux.as_deref().ok(), Json::text)?;
            json.key("module_files")?.list(&self.module_files, |json, (name, path, dwarf)| {
                json.object(|json| {
                    json.key("name")?.text(name)?;
                    json.key("path")?.text(path)?;
                    json.key("dwarf")?.text(dwarf)
                })
            })?;
            let missing = self.vmlinux.as_ref().err();
            json.key("no_vmlinux")?.maybe(missing, |json, (why, _)| json.text(why))?;
            json.key("advice")?.maybe(missing, |json, (_, advice)| json.text(advice))?;
            json.key("notes")?.list(&self.notes, |json, note| json.text(note))
        })
    }
}

/// What makedumpfile's level leaves out.
fn excluded(level: u32) -> Vec<&'static str> {
    [
        (1, "zero pages"),
        (2, "page cache"),
        (4, "private page cache"),
        (8, "user pages"),
        (16, "free pages"),
    ]
    .into_iter()
    .filter_map(|(bit, what)| (level & bit != 0).then_some(what))
    .collect()
}

/// A size in bytes, for people.
fn bytes(size: u64) -> String {
    let size = size as f64;
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| size >= f64::from(1 << shift));
    unit.map_or_else(
        || format!("{size} bytes"),
        |(shift, unit)| format!("{:.1} {unit}", size / f64::from(1 << shift)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_levels_read_well() {
        assert_eq!(bytes(512), "512 bytes");
        assert_eq!(bytes(6 << 20), "6.0 MiB");
        assert_eq!(excluded(17), ["zero pages", "free pages"]);
    }
}
