//! The explorer in a pseudo-terminal, driven by keys, on the dump that the program carries.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes seconds on an idle machine; a loaded one gets its time.
const PATIENCE: Duration = Duration::from_secs(60);

struct Explorer {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Explorer {
    fn start(arguments: &[&str], columns: u16, rows: u16) -> Explorer {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_hangscope"));
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let cells = |count| NonZeroU16::new(count).unwrap();
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        Explorer { child, _master: pty.master, keys, output, screen }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !wanted(&self.text()) {
            assert!(start.elapsed() < PATIENCE, "{what} never came:\n{}", self.text());
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(50)) {
                self.screen.process(&bytes);
            }
        }
    }

    fn until_shown(&mut self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end; gives the exit status, and checks that the terminal was given back.
    fn end(mut self) -> u32 {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.screen.process(&bytes);
        }
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the shell's screen is not back");
        assert!(!screen.hide_cursor(), "the cursor is not back");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        status.exit_code()
    }
}

#[test]
fn the_case_from_the_verdict_to_the_holder_and_back() {
    let mut explorer = Explorer::start(&["--demo"], 120, 40);
    // Without a keystroke: the verdict, and the deadlocks as trees.
    explorer.until_shown("deadlock of 2");
    explorer.until_shown("abba-1[111]");
    // The blocked tasks alone.
    explorer.press("u");
    explorer.until("the filtered list", |screen| screen.contains("UN blocked first"));
    // The bystander of the deadlock, and what it waits for.
    explorer.press("/bystander\r");
    explorer.until_shown("abba-bystander[113] UN");
    explorer.until_shown("for mutex hu_abba_a");
    explorer.press("\r");
    explorer.until_shown("waits");
    // Down to the wait, to its lock, to the task that holds it.
    explorer.press("jjjj\r");
    explorer.until_shown("Space unfold");
    explorer.press("h\r");
    explorer.until_shown("Backtrace  abba-2[112]");
    explorer.press("g111\r");
    explorer.until_shown("Backtrace  abba-1[111]");
    // An address, and back again.
    explorer.press("g0xffffffff81000000\r");
    explorer.until_shown("Memory");
    explorer.press("o");
    explorer.until_shown("Backtrace  abba-1[111]");
    explorer.press("gmutex hu_abba_a\r");
    explorer.until_shown("wait_list = list of 2");
    explorer.until_shown("owner = 0x");
    explorer.press("gno such thing\r");
    explorer.until_shown("no type no");
    explorer.press("\x1b");
    explorer.until("the prompt to close", |screen| !screen.contains("go to"));
    explorer.press(":sys\r");
    explorer.until_shown("RELEASE: 6.1.0");
    explorer.press("q");
    assert_eq!(explorer.end(), 0);
}

#[test]
fn a_task_read_as_an_mm_is_warned_of_on_the_screen() {
    let mut explorer = Explorer::start(&["--demo"], 120, 40);
    explorer.until_shown("deadlock of 2");
    explorer.press("gmm_struct 0xffff88ca4132b000\r");
    explorer.until_shown("is the task_struct of mm-holder[142], not a mm_struct");
    explorer.press("w");
    explorer.until_shown("CACHE: ffff88ca411b9800  task_struct");
    // A command says it too.
    explorer.press(":struct mm_struct.mmap_lock 0xffff88ca4132b000\r");
    explorer.until_shown("warning: 0xffff88ca4132b000 is the task_struct of mm-holder[142]");
    explorer.press("q");
    assert_eq!(explorer.end(), 0);
}

#[test]
fn why_a_task_hangs_from_its_wait_to_the_root_and_the_code_that_says_so() {
    let mut explorer = Explorer::start(&["--demo"], 100, 40);
    explorer.until_shown("3 deadlocks");
    // A page fault behind mmap_lock, which a reader holds that spins for a lock of another CPU.
    explorer.press("g146\r");
    explorer.until_shown("Backtrace  mm-fault[146]");
    explorer.press("b");
    explorer.until_shown("Why is it blocked?");
    explorer.until_shown("(read) by mm-holder[142]");
    explorer.until_shown("spins for spinlock hu_mm_spin");
    explorer.until_shown("mm-spinner[147] RU CPU 1 holds up 7");
    // What the claim rests on: the call that took the lock.
    explorer.until_shown("called down_read at hu_write+469");
    explorer.press("9G");
    explorer.until_shown("9/");
    explorer.press("\r");
    explorer.until_shown("Code  hu_write");
    explorer.press("o");
    explorer.until_shown("Why is it blocked?");
    // From the root down to everybody behind it.
    explorer.press("g147\rB");
    explorer.until_shown("Whom does it block? 7: 1 directly, 6 behind those");
    explorer.until_shown("3 more readers like these");
    // The graph as a whole, by what holds up most.
    explorer.press("L");
    explorer.until_shown("By blocked tasks");
    explorer.press("q");
    assert_eq!(explorer.end(), 0);
}

#[test]
fn it_is_usable_in_a_small_terminal() {
    let mut explorer = Explorer::start(&["--demo"], 80, 24);
    explorer.until_shown("deadlock of 2");
    explorer.press("\t");
    explorer.until_shown("__schedule+0x");
    explorer.press("?");
    explorer.until_shown("type to filter");
    explorer.press("\x1b");
    explorer.until("the help to close", |screen| !screen.contains("type to filter"));
    explorer.press("\x03");
    assert_eq!(explorer.end(), 0);
}

#[cfg(unix)]
#[test]
fn signals_end_it_and_give_the_terminal_back() {
    for signal in ["TERM", "HUP", "INT"] {
        let mut explorer = Explorer::start(&["--demo"], 80, 24);
        explorer.until_shown("deadlock of 2");
        let pid = explorer.child.process_id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
        assert_ne!(explorer.end(), 0, "SIG{signal} is told to the parent");
    }
}

#[test]
fn a_terminal_that_hangs_up_ends_it() {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_hangscope"));
    command.arg("--demo");
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    // It has taken the terminal once it writes to it.
    assert!(reader.read(&mut [0; 64]).unwrap() > 0);
    drop((reader, pty.master));
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it goes on without a terminal");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_no_dump_is_said_on_the_shells_screen() {
    let mut explorer = Explorer::start(&["Cargo.toml"], 80, 24);
    explorer.until_shown("Cargo.toml");
    assert_eq!(explorer.end(), 1);
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hangscope"))
        .arg("--demo")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("needs a terminal") && said.contains("hangscope report"), "{said}");
}

#[test]
fn a_screenshot_shows_the_same_screen_each_time() {
    let picture = |name: &str| {
        let out = std::env::temp_dir().join(format!("{name}-{}.svg", std::process::id()));
        let path = out.to_str().unwrap();
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_hangscope"))
            .args(["--demo", "--screenshot", "g111<enter>", "--size", "100x30", "--out", path])
            .status()
            .unwrap();
        assert!(status.success());
        let svg = std::fs::read_to_string(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        svg
    };
    let first = picture("first");
    assert!(first.starts_with("<svg") && first.contains("abba-1[111]"));
    assert_eq!(first, picture("second"));
}
