//! Where a kernel's debug information is looked for, and what to install when there is none.
//!
//! A file is taken when its build id is that of the dump. VMCOREINFO has had the build id since
//! 5.9; without it the release must do.

use super::advice::Advice;
use super::elf::{ElfError, ElfFile};
use std::ffi::{CStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Which kernel crashed, as far as the dump says.
#[derive(Clone, Default, Debug)]
pub struct Identity {
    /// `uname -r`: `6.1.0-50-cloud-amd64`
    pub release: Option<String>,
    /// `uname -v`: `#1 SMP Debian 6.1.176-1`
    pub version: Option<String>,
    /// In hex.
    pub build_id: Option<String>,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Places {
    /// The one file to take, if the user named it.
    pub vmlinux: Option<PathBuf>,
    /// Directories of the user's choice.
    pub debug_dirs: Vec<PathBuf>,
    /// The root directory.
    pub root: PathBuf,
    /// Where debuginfod's client may keep what it got.
    pub debuginfod_caches: Vec<PathBuf>,
    /// Take a file that does not belong to the dump, too.
    pub force: bool,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be used at all.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// It is of another kernel.
    #[error("it is of another kernel: its {what} is {its}, the dump's is {dump}")]
    Other {
        /// Build id or release.
        what: &'static str,
        /// The file's.
        its: String,
        /// The dump's.
        dump: String,
    },
    /// It is another build of the module.
    #[error("it is another build of the module: its build id is {its}, the dump's is {dump}")]
    OtherModule {
        /// The file's.
        its: String,
        /// The loaded module's.
        dump: String,
    },
    /// It has no debug information, nor was that found where its `.gnu_debuglink` says.
    #[error("it has no debug information (.debug_info)")]
    Stripped,
}

/// A file that belongs to the dump.
pub struct Found {
    /// Where it was.
    pub path: PathBuf,
    /// The file.
    pub file: ElfFile,
    /// That it does not belong to the dump, where it was taken by force.
    pub warning: Option<Refused>,
}

/// There was no file.
#[derive(Debug)]
pub struct NotFound {
    /// Files that were there and were not taken.
    pub refused: Vec<(PathBuf, Refused)>,
    /// What to do about it.
    pub advice: Advice,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, refused) in &self.refused {
            writeln!(f, "{}: {refused}", path.display())?;
        }
        write!(f, "no vmlinux of this kernel found. {}", self.advice)
    }
}

impl std::error::Error for NotFound {}

impl Default for Places {
    fn default() -> Places {
        Places {
            vmlinux: None,
            debug_dirs: Vec::new(),
            root: PathBuf::from("/"),
            debuginfod_caches: Vec::new(),
            force: false,
        }
    }
}

impl Places {
    /// The usual places of this machine.
    #[must_use]
    pub fn of_this_machine() -> Places {
        let variable = |name: &str| std::env::var_os(name);
        Places { debuginfod_caches: debuginfod_caches(&variable), ..Places::default() }
    }

    /// Every path where the kernel's vmlinux may be, best first.
    #[must_use]
    pub fn candidates(&self, of: &Identity) -> Vec<PathBuf> {
        if let Some(named) = &self.vmlinux {
            return vec![named.clone()];
        }
        let release = of.release.as_deref().filter(|release| is_plain(release));
        let build_id = of.build_id.as_deref().filter(|id| id.len() > 2 && is_plain(id));
        let mut found = Vec::new();
        for dir in &self.debug_dirs {
            // It may be a copy of the root directory, of /usr/lib/debug, or of neither.
            found.extend(under_debug(dir, release, build_id));
            found.extend(under_debug(&dir.join("usr/lib/debug"), release, build_id));
            found.extend(release.into_iter().flat_map(|release| beside_kernel(dir, release)));
            found.push(dir.join("vmlinux"));
        }
        found.extend(under_debug(&self.root.join("usr/lib/debug"), release, build_id));
        found.extend(release.into_iter().flat_map(|release| beside_kernel(&self.root, release)));
        for cache in &self.debuginfod_caches {
            let files = |id| ["debuginfo", "executable"].map(|kind| cache.join(id).join(kind));
            found.extend(build_id.into_iter().flat_map(files));
        }
        found
    }

    /// Opens the first file that belongs to the dump.
    ///
    /// # Errors
    /// [`NotFound`], with the files that were there and do not belong, and what to install.
    pub fn find(&self, of: &Identity) -> Result<Found, NotFound> {
        let mut refused = Vec::new();
        for path in self.candidates(of) {
            if self.vmlinux.is_none() && !path.is_file() {
                continue;
            }
            match self.check(&path, of) {
                Ok(found) => return Ok(self.with_split_off(found, of)),
                Err(why) => refused.push((path, why)),
            }
        }
        Err(NotFound { refused, advice: Advice::new(of) })
    }

    fn check(&self, path: &Path, of: &Identity) -> Result<Found, Refused> {
        let file = ElfFile::open(path)?;
        let warning = match belongs(&file, of) {
            Err(why) if !self.force => return Err(why),
            belongs => belongs.err(),
        };
        Ok(Found { path: path.to_owned(), file, warning })
    }

    /// Instead of a file without debug information the one that it was split off to, if that is
    /// there.
    fn with_split_off(&self, found: Found, of: &Identity) -> Found {
        if found.file.has_debug_info() {
            return found;
        }
        let split = self.split_off(&found.file, &found.path).into_iter();
        let mut split = split.filter_map(|path| self.check(&path, of).ok());
        split.find(|split| split.file.has_debug_info()).unwrap_or(found)
    }

    /// Where the debug information of the file at `path` may have been split off to, as its
    /// `.gnu_debuglink` says: a name, with the checksum of the file behind it, which a build id tells
    /// better. It lies beside the file, in `.debug` there, or in the same place below a directory
    /// like `/usr/lib/debug`.
    pub(super) fn split_off(&self, file: &ElfFile, path: &Path) -> Vec<PathBuf> {
        let link = file.section(".gnu_debuglink");
        let name = link.and_then(|link| CStr::from_bytes_until_nul(link.bytes).ok());
        let Some(name) = name.and_then(|name| name.to_str().ok()).filter(|name| is_plain(name))
        else {
            return Vec::new();
        };
        let Some(folder) = path.parent() else { return Vec::new() };
        let mut found = vec![folder.join(name), folder.join(".debug").join(name)];
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let below = real.strip_prefix(&root).or_else(|_| real.strip_prefix("/")).unwrap_or(&real);
        for dir in &self.debug_dirs {
            found.extend([dir.join(below), dir.join("usr/lib/debug").join(below), dir.clone()]);
        }
        found.push(self.root.join("usr/lib/debug").join(below));
        for dir in found.iter_mut().skip(2) {
            dir.push(name);
        }
        found.retain(|found| found.is_file() && found != path);
        found
    }
}

/// Where debuginfod's client keeps what it got: in `DEBUGINFOD_CACHE_PATH` alone when that is set,
/// else in `.debuginfod_client_cache` in the home directory where that is left from older versions,
/// and in `debuginfod_client` in `XDG_CACHE_HOME` or in `.cache`.
fn debuginfod_caches(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = path("DEBUGINFOD_CACHE_PATH") {
        return vec![named];
    }
    let home = path("HOME");
    let older = home.as_ref().map(|home| home.join(".debuginfod_client_cache"));
    let caches = [path("XDG_CACHE_HOME"), home.map(|home| home.join(".cache"))];
    let caches = caches.into_iter().flatten().map(|caches| caches.join("debuginfod_client"));
    older.into_iter().chain(caches).collect()
}

/// Where distributions put it in a directory like `/usr/lib/debug`.
fn under_debug(dir: &Path, release: Option<&str>, build_id: Option<&str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    found.extend(build_id.map(|id| by_build_id(dir, id)));
    if let Some(release) = release {
        let names = [
            // Debian, Ubuntu, SUSE
            format!("boot/vmlinux-{release}"),
            format!("boot/vmlinux-{release}.debug"),
            // Red Hat and its like
            format!("lib/modules/{release}/vmlinux"),
            format!("usr/lib/modules/{release}/vmlinux"),
            // SUSE since 15
            format!("usr/lib/modules/{release}/vmlinux.debug"),
            format!("lib/modules/{release}/vmlinux.debug"),
            // Debian until 8
            format!("vmlinux-{release}"),
        ];
        found.extend(names.map(|name| dir.join(name)));
    }
    found
}

/// Where it is when the kernel was built on this machine, or its file was not packed away.
fn beside_kernel(root: &Path, release: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in ["lib/modules", "usr/lib/modules"] {
        let modules = root.join(path).join(release);
        found.extend(["build/vmlinux", "vmlinux"].map(|name| modules.join(name)));
    }
    found.push(root.join("boot").join(format!("vmlinux-{release}")));
    found
}

/// Where a file of that build id, plain and not empty, is in a directory like `/usr/lib/debug`.
pub(super) fn by_build_id(dir: &Path, id: &str) -> PathBuf {
    let (first, rest) = id.split_at_checked(2).unwrap_or((id, ""));
    dir.join(".build-id").join(first).join(format!("{rest}.debug"))
}

/// Whether text from a dump may be part of a path.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text.len() < 200
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte))
}

fn belongs(file: &ElfFile, of: &Identity) -> Result<(), Refused> {
    let same = |what, its: Option<String>, dump: &Option<String>| match (its, dump) {
        (Some(its), Some(dump)) if its.eq_ignore_ascii_case(dump) => Some(Ok(())),
        (Some(its), Some(dump)) => Some(Err(Refused::Other { what, its, dump: dump.clone() })),
        _ => None,
    };
    same("build id", file.build_id(), &of.build_id)
        .or_else(|| same("release", file.release(), &of.release))
        .unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::super::elf::tests::vmlinux;
    use super::*;
    use std::fs;

    /// A root directory with files in it, gone at the end of the test.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &[u8])]) -> Root {
            let root =
                std::env::temp_dir().join(format!("hangscope-{}-{name}", std::process::id()));
            for (path, bytes) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Root(root)
        }

        fn places(&self) -> Places {
            Places { root: self.0.clone(), ..Places::default() }
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    fn identity(release: &str, build_id: Option<&str>) -> Identity {
        Identity {
            release: Some(release.to_owned()),
            version: None,
            build_id: build_id.map(str::to_owned),
        }
    }

    #[test]
    fn a_file_that_matches_is_found_past_one_that_does_not() {
        let mut other = vmlinux();
        let id = other.windows(3).position(|three| three == [0xab, 0xcd, 0xef]).unwrap();
        other[id] = 0;
        let root = Root::new(
            "past",
            &[
                ("usr/lib/debug/boot/vmlinux-6.1.0-test", &other),
                ("usr/lib/debug/lib/modules/6.1.0-test/vmlinux", b"no ELF"),
                ("boot/vmlinux-6.1.0-test", &vmlinux()),
            ],
        );
        let found = root.places().find(&identity("6.1.0-test", Some("ABCDEF"))).ok().unwrap();
        assert_eq!(found.path, root.0.join("boot/vmlinux-6.1.0-test"));
        assert!(found.warning.is_none());
        let missing = root.places().find(&identity("6.1.0-test", Some("123456"))).err().unwrap();
        assert_eq!(missing.refused.len(), 3);
    }

    #[test]
    fn every_place_of_a_distribution_is_looked_into() {
        let debug = ["usr/lib/debug", "given/usr/lib/debug", "given"];
        let below = [
            "boot/vmlinux-6.1.0-test",
            "boot/vmlinux-6.1.0-test.debug",
            "lib/modules/6.1.0-test/vmlinux",
            "lib/modules/6.1.0-test/vmlinux.debug",
            "usr/lib/modules/6.1.0-test/vmlinux",
            "usr/lib/modules/6.1.0-test/vmlinux.debug",
            "vmlinux-6.1.0-test",
            ".build-id/ab/cdef.debug",
        ];
        let below = debug.iter().flat_map(|dir| below.map(|name| format!("{dir}/{name}")));
        let others = [
            "lib/modules/6.1.0-test/build/vmlinux",
            "lib/modules/6.1.0-test/vmlinux",
            "usr/lib/modules/6.1.0-test/build/vmlinux",
            "usr/lib/modules/6.1.0-test/vmlinux",
            "boot/vmlinux-6.1.0-test",
            "given/lib/modules/6.1.0-test/build/vmlinux",
            "given/vmlinux",
            "cache/abcdef/debuginfo",
            "cache/abcdef/executable",
            "older/abcdef/debuginfo",
        ];
        for (number, place) in below.chain(others.map(str::to_owned)).enumerate() {
            let root = Root::new(&format!("place-{number}"), &[(&place, &vmlinux())]);
            let places = Places {
                debug_dirs: vec![root.0.join("given")],
                debuginfod_caches: vec![root.0.join("older"), root.0.join("cache")],
                ..root.places()
            };
            let found = places.find(&identity("6.1.0-test", Some("abcdef")));
            let Ok(found) = found else { panic!("{place}") };
            assert_eq!(found.path, root.0.join(&place));
        }
    }

    #[test]
    fn the_caches_of_debuginfod_are_where_its_client_has_them() {
        let caches = |set: &[(&str, &str)]| -> Vec<String> {
            let value = |name: &str| {
                let found = set.iter().find(|(its, _)| *its == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let caches = debuginfod_caches(&value).into_iter();
            caches.map(|path| path.to_str().unwrap().to_owned()).collect()
        };
        let home = ("HOME", "/home/me");
        let older = "/home/me/.debuginfod_client_cache";
        assert_eq!(caches(&[home]), [older, "/home/me/.cache/debuginfod_client"]);
        assert_eq!(
            caches(&[home, ("XDG_CACHE_HOME", "/xdg")]),
            [older, "/xdg/debuginfod_client", "/home/me/.cache/debuginfod_client"]
        );
        let all = [home, ("XDG_CACHE_HOME", "/xdg"), ("DEBUGINFOD_CACHE_PATH", "/mine")];
        assert_eq!(caches(&all), ["/mine"]);
        assert_eq!(caches(&[("DEBUGINFOD_CACHE_PATH", ""), home]).len(), 2);
        assert_eq!(caches(&[]).len(), 0);
    }

    #[test]
    fn build_ids_find_files_of_any_name() {
        let root = Root::new(
            "id",
            &[("usr/lib/debug/.build-id/ab/cdef.debug", &vmlinux()), ("dir/vmlinux", &vmlinux())],
        );
        let wanted = identity("other", Some("abcdef"));
        let found = root.places().find(&wanted).ok().unwrap();
        assert!(found.path.ends_with(".build-id/ab/cdef.debug"));
        let places = Places { debug_dirs: vec![root.0.join("dir")], ..root.places() };
        assert_eq!(places.find(&wanted).ok().unwrap().path, root.0.join("dir/vmlinux"));
    }

    #[test]
    fn a_named_file_of_another_kernel_is_refused_with_both_ids_unless_forced() {
        let root = Root::new("named", &[("mine", &vmlinux())]);
        let mut places = Places { vmlinux: Some(root.0.join("mine")), ..root.places() };
        let wanted = identity("6.1.0-test", Some("1234"));
        let missing = places.find(&wanted).err().unwrap();
        let text = missing.to_string();
        assert!(text.contains("its build id is abcdef, the dump's is 1234"), "{text}");
        places.force = true;
        assert!(places.find(&wanted).ok().unwrap().warning.is_some());
        // Without a build id the release decides.
        places.force = false;
        assert!(places.find(&identity("6.1.0-test", None)).is_ok());
        let text = places.find(&identity("5.10", None)).err().unwrap().to_string();
        assert!(text.contains("its release is 6.1.0-test, the dump's is 5.10"), "{text}");
    }

    #[test]
    fn a_release_is_no_path() {
        let places = Places::default();
        for release in ["../../etc/x", "..", "a/b", ""] {
            let with = places.candidates(&identity(release, None));
            assert!(with.iter().all(|path| !path.to_string_lossy().contains("..")), "{with:?}");
            assert!(!with.iter().any(|path| path.to_string_lossy().contains("a/b")));
        }
    }
}
