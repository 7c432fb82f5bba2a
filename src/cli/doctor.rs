//! `doctor`: is this machine ready to catch its own hang?
//!
//! Each check says what it found, why that matters and how to set it. Nothing is changed.

use super::arguments::Doctor;
use super::json::Json;
use super::output::{self, Failure, Style};
use crate::debuginfo::{Advice, Identity, Places};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

pub(super) fn run(doctor: &Doctor, style: Style) -> Result<(), Failure> {
    let checks = examine(&Machine { root: PathBuf::from("/") });
    let mut out = output::stdout();
    if doctor.json {
        let mut json = Json::new(out);
        json.list(&checks, |json, check: &Check| {
            json.object(|json| {
                json.key("check")?.text(check.name)?;
                json.key("state")?.text(check.state.name())?;
                json.key("found")?.text(&check.found)?;
                json.key("why")?.text(check.why)?;
                json.key("how")?.text(&check.how)
            })
        })?;
        json.finish()?;
        return Ok(());
    }
    write_text(&mut out, &checks, style)?;
    out.flush()?;
    Ok(())
}

fn write_text(out: &mut impl Write, checks: &[Check], style: Style) -> io::Result<()> {
    for check in checks {
        let mark = match check.state {
            State::Good => style.good(style.pick("✓", "+")),
            State::Bad => style.bad(style.pick("✗", "x")),
            State::Unknown => style.faint("?"),
        };
        writeln!(out, "{mark} {}: {}", style.bold(check.name), check.found)?;
        if check.state != State::Good {
            writeln!(out, "    why: {}", check.why)?;
            writeln!(out, "    how: {}", check.how)?;
        }
    }
    let missing = checks.iter().filter(|check| check.state == State::Bad).count();
    let verdict = match missing {
        0 => "This machine is ready to catch its own hang.".to_owned(),
        1 => "One thing is missing to catch a hang of this machine.".to_owned(),
        n => format!("{n} things are missing to catch a hang of this machine."),
    };
    writeln!(out, "\n{}", style.bold(&verdict))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Good,
    Bad,
    Unknown,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            State::Good => "good",
            State::Bad => "bad",
            State::Unknown => "unknown",
        }
    }
}

struct Check {
    name: &'static str,
    state: State,
    found: String,
    why: &'static str,
    how: String,
}

/// The files that tell about a machine.
struct Machine {
    root: PathBuf,
}

impl Machine {
    /// What a file says, without the space around it.
    fn read(&self, path: &str) -> io::Result<String> {
        let text = fs::read(self.root.join(path))?;
        Ok(crate::dump::scrub(text.trim_ascii()))
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// A setting under /proc/sys/kernel and the values of it that are good.
struct Setting {
    name: &'static str,
    good: fn(i64) -> bool,
    wanted: &'static str,
    why: &'static str,
}

/// One that is off with 0 and on with everything else.
const fn switch(name: &'static str, wanted: &'static str, why: &'static str) -> Setting {
    Setting { name, good: |value| value > 0, wanted, why }
}

const SETTINGS: [Setting; 7] = [
    switch(
        "hung_task_timeout_secs",
        "120",
        "after so many seconds in uninterruptible sleep a task counts as hung; 0 turns the watch off",
    ),
    switch(
        "hung_task_panic",
        "1",
        "without it a hung task is only logged, and no dump is taken of the deadlock",
    ),
    switch(
        "softlockup_panic",
        "1",
        "a CPU that spins in the kernel for 20 seconds should leave a dump",
    ),
    switch(
        "hardlockup_panic",
        "1",
        "a CPU that spins with interrupts off is seen by the NMI watchdog only",
    ),
    switch(
        "panic_on_oops",
        "1",
        "a task that dies in the kernel leaves its locks held: what hangs later is its fault",
    ),
    Setting {
        name: "sysrq",
        good: |bits| bits == 1 || bits & 8 != 0,
        wanted: "1",
        why: "Alt-SysRq-c dumps a machine that no longer lets anybody in (1, or bit 8, allows it)",
    },
    Setting {
        name: "panic",
        good: |_| true,
        wanted: "10",
        why: "seconds until a restart after a panic; kdump restarts by itself",
    },
];

fn examine(machine: &Machine) -> Vec<Check> {
    let mut checks = vec![crash_memory(machine), crash_kernel(machine), service(machine)];
    checks.extend(SETTINGS.iter().map(|setting| setting.check(machine)));
    checks.push(watchdog(machine));
    checks.push(types(machine));
    checks.push(debug_information(machine));
    checks
}

impl Setting {
    fn check(&self, machine: &Machine) -> Check {
        let read = machine.read(&format!("proc/sys/kernel/{}", self.name));
        let value = read.as_ref().ok().and_then(|text| text.parse::<i64>().ok());
        let (state, found) = match (value, read) {
            (Some(value), _) if (self.good)(value) => (State::Good, value.to_string()),
            (Some(value), _) => (State::Bad, value.to_string()),
            (None, Ok(text)) => (State::Unknown, text),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                (State::Bad, "this kernel has no such setting".to_owned())
            }
            (None, Err(error)) => (State::Unknown, error.to_string()),
        };
        let (name, wanted) = (self.name, self.wanted);
        let how = format!(
            "sysctl -w kernel.{name}={wanted}; to keep it, kernel.{name} = {wanted} in /etc/sysctl.d/90-hang.conf"
        );
        Check { name, state, found, why: self.why, how }
    }
}

fn crash_memory(machine: &Machine) -> Check {
    let line = machine.read("proc/cmdline");
    let asked = line
        .as_ref()
        .ok()
        .and_then(|line| line.split_whitespace().find(|word| word.starts_with("crashkernel=")));
    let size = machine.read("sys/kernel/kexec_crash_size").ok();
    let size = size.and_then(|size| size.parse::<u64>().ok());
    let (state, found) = match (asked, size) {
        (Some(asked), Some(0)) => (State::Bad, format!("{asked}, but nothing is reserved")),
        (Some(asked), Some(size)) => (State::Good, format!("{asked}, {} MiB reserved", size >> 20)),
        (Some(asked), None) => (State::Unknown, asked.to_owned()),
        (None, Some(size)) if size > 0 => (State::Good, format!("{} MiB reserved", size >> 20)),
        (None, _) => match line {
            Ok(_) => (State::Bad, "not on the kernel's command line".to_owned()),
            Err(error) => (State::Unknown, error.to_string()),
        },
    };
    Check {
        name: "crashkernel=",
        state,
        found,
        why: "the kernel that writes the dump runs in memory that is set aside at boot",
        how: "add crashkernel=256M (512M on large machines) to the kernel's command line, then restart".to_owned(),
    }
}

fn crash_kernel(machine: &Machine) -> Check {
    let (state, found) = match machine.read("sys/kernel/kexec_crash_loaded") {
        Ok(text) if text == "1" => (State::Good, "loaded".to_owned()),
        Ok(_) => (State::Bad, "not loaded".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (State::Bad, "this kernel cannot load one (CONFIG_KEXEC)".to_owned())
        }
        Err(error) => (State::Unknown, error.to_string()),
    };
    Check {
        name: "crash kernel",
        state,
        found,
        why: "at a panic the machine boots it to write the dump; if it is not loaded, nothing is written",
        how:
            "start the kdump service: systemctl enable --now kdump (Debian and Ubuntu: kdump-tools)"
                .to_owned(),
    }
}

fn service(machine: &Machine) -> Check {
    const UNITS: [(&str, &str); 2] =
        [("kdump", "/etc/kdump.conf"), ("kdump-tools", "/etc/default/kdump-tools")];
    let places = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
    let installed = UNITS.into_iter().find(|(unit, _)| {
        places.iter().any(|place| machine.exists(&format!("{place}/{unit}.service")))
    });
    let (state, found) = match installed {
        Some((unit, configuration)) => {
            (State::Good, format!("{unit}.service is installed, set up in {configuration}"))
        }
        None => (State::Bad, "no kdump service is installed".to_owned()),
    };
    Check {
        name: "kdump service",
        state,
        found,
        why: "it loads the crash kernel at boot and tells it where to write, by default /var/crash",
        how: "install kdump-tools (Debian, Ubuntu), kexec-tools (Red Hat), kdump (SUSE)".to_owned(),
    }
}

fn watchdog(machine: &Machine) -> Check {
    let (state, found) = match machine.read("proc/sys/kernel/nmi_watchdog") {
        Ok(text) if text == "1" => (State::Good, "on".to_owned()),
        Ok(_) => (State::Bad, "off".to_owned()),
        Err(_) => (State::Unknown, "this kernel has none".to_owned()),
    };
    Check {
        name: "nmi_watchdog",
        state,
        found,
        why: "only an NMI reaches a CPU that spins with interrupts off (virtual machines often lack it)",
        how: "sysctl -w kernel.nmi_watchdog=1".to_owned(),
    }
}

fn types(machine: &Machine) -> Check {
    let there = machine.exists("sys/kernel/btf/vmlinux");
    Check {
        name: "types in the kernel",
        state: if there { State::Good } else { State::Bad },
        found: if there { "BTF is built in" } else { "no /sys/kernel/btf/vmlinux" }.to_owned(),
        why: "with BTF a dump carries its own types, and no debug package is needed to find the deadlock",
        how: "a kernel with CONFIG_DEBUG_INFO_BTF=y; otherwise keep its vmlinux for -s".to_owned(),
    }
}

fn debug_information(machine: &Machine) -> Check {
    let release = machine.read("proc/sys/kernel/osrelease").ok();
    let version = machine.read("proc/sys/kernel/version").ok();
    let identity = Identity { release: release.clone(), version, build_id: None };
    let places = Places { root: machine.root.clone(), ..Places::of_this_machine() };
    let found = places.candidates(&identity).into_iter().find(|path| path.is_file());
    Check {
        name: "debug information",
        state: if found.is_some() { State::Good } else { State::Unknown },
        found: found.map_or_else(
            || {
                format!(
                    "no vmlinux of {} in the usual places",
                    release.as_deref().unwrap_or("this kernel")
                )
            },
            |path| crate::dump::scrub(path.as_os_str().as_encoded_bytes()),
        ),
        why: "it adds source lines and local variables; tasks, traces and locks come without it",
        how: Advice::new(&identity).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up machine in a directory of its own.
    fn machine(name: &str, files: &[(&str, &str)]) -> Machine {
        let root = std::env::temp_dir().join(format!("hangscope-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine { root }
    }

    fn states(machine: &Machine) -> Vec<(&'static str, State)> {
        let checks = examine(machine);
        let states = checks.iter().map(|check| (check.name, check.state)).collect();
        _ = fs::remove_dir_all(&machine.root);
        states
    }

    #[test]
    fn a_machine_that_is_ready_passes() {
        let ready = machine(
            "ready",
            &[
                ("proc/cmdline", "root=/dev/sda1 crashkernel=256M quiet\n"),
                ("sys/kernel/kexec_crash_size", "268435456\n"),
                ("sys/kernel/kexec_crash_loaded", "1\n"),
                ("usr/lib/systemd/system/kdump.service", ""),
                ("proc/sys/kernel/hung_task_timeout_secs", "120\n"),
                ("proc/sys/kernel/hung_task_panic", "1\n"),
                ("proc/sys/kernel/softlockup_panic", "1\n"),
                ("proc/sys/kernel/hardlockup_panic", "1\n"),
                ("proc/sys/kernel/panic_on_oops", "1\n"),
                ("proc/sys/kernel/sysrq", "184\n"),
                ("proc/sys/kernel/panic", "0\n"),
                ("proc/sys/kernel/nmi_watchdog", "1\n"),
                ("proc/sys/kernel/osrelease", "6.1.0\n"),
                ("sys/kernel/btf/vmlinux", ""),
                ("usr/lib/debug/boot/vmlinux-6.1.0", ""),
            ],
        );
        let bad: Vec<_> =
            states(&ready).into_iter().filter(|(_, state)| *state != State::Good).collect();
        assert_eq!(bad, []);
    }

    #[test]
    fn what_is_missing_is_named() {
        let bare = machine(
            "bare",
            &[
                ("proc/cmdline", "root=/dev/sda1 crashkernel=auto\n"),
                ("sys/kernel/kexec_crash_size", "0\n"),
                ("sys/kernel/kexec_crash_loaded", "0\n"),
                ("proc/sys/kernel/hung_task_panic", "0\n"),
                ("proc/sys/kernel/sysrq", "16\n"),
            ],
        );
        let states = states(&bare);
        for name in ["crashkernel=", "crash kernel", "kdump service", "hung_task_panic", "sysrq"] {
            assert!(states.contains(&(name, State::Bad)), "{name}: {states:?}");
        }
        assert!(states.contains(&("debug information", State::Unknown)));
    }
}
