//! What may stand on the command line.

use super::output::Failure;
use crate::debuginfo::SourceTree;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A full-screen terminal explorer for Linux kernel crash dumps: why does this machine hang, and
/// who holds it up?
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Exit status: 0 done; 1 the dump or a command could not be read or was wrong; \
    2 the command line was wrong."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) action: Option<Action>,

    #[command(flatten)]
    pub(super) source: Source,

    #[command(flatten)]
    pub(super) look: Look,

    /// Press these keys, draw one screen and leave
    #[arg(long, value_name = "KEYS", hide = true, requires = "out")]
    pub(super) screenshot: Option<String>,

    /// The size of that screen, as WIDTHxHEIGHT
    #[arg(long, value_name = "WxH", hide = true, default_value = "120x36")]
    pub(super) size: String,

    /// Where that screen goes, as SVG
    #[arg(long, value_name = "FILE.svg", hide = true)]
    pub(super) out: Option<PathBuf>,

    /// Print a part of the documentation, as Markdown
    #[arg(long, value_name = "PART", hide = true)]
    pub(super) generate: Option<Part>,
}

impl Arguments {
    /// Columns and rows of the picture.
    pub(super) fn size(&self) -> Result<(u16, u16), Failure> {
        let parts = self.size.split_once('x');
        let parts = parts.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let wrong = || Failure::Usage(format!("{} is no size like 120x36", self.size));
        parts.filter(|(w, h): &(u16, u16)| *w > 0 && *h > 0).ok_or_else(wrong)
    }
}

/// Parts of the documentation that are made from the program's own tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Part {
    /// The explorer's keys
    Keys,
    /// The commands of exec
    Commands,
}

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Run crash-style commands, in order, and print their answers
    Exec(Exec),
    /// Say why the machine hangs: verdict, locks, cycles, root blockers
    Report(Report),
    /// Say what the file is, what it holds, and which debug information was found
    Info(Info),
    /// Write the smallest dump that still answers everything
    Trim(Trim),
    /// Check whether this machine is ready to catch its own hang
    Doctor(Doctor),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What to open.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// The crash dump; several files when it is split
    #[arg(value_name = "DUMP")]
    pub(super) dumps: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) debug: Debug,
}

/// Where names and types come from.
#[derive(Args, Clone, Debug)]
pub(super) struct Debug {
    /// Open a dump that is part of this program instead of a file
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true,
        default_missing_value = "deadlock")]
    pub(super) demo: Option<Demo>,

    /// The kernel's vmlinux, with symbols and debug information, or a module's NAME.ko (may be
    /// repeated)
    #[arg(short = 's', long, value_name = "FILE")]
    pub(super) vmlinux: Vec<PathBuf>,

    /// Look for debug information here, too (may be repeated)
    #[arg(long, value_name = "DIR")]
    pub(super) debug_dir: Vec<PathBuf>,

    /// Take a vmlinux that does not belong to the dump, too
    #[arg(long)]
    pub(super) force_debuginfo: bool,

    /// Do without BTF: take all types from DWARF
    #[arg(long, conflicts_with = "no_debuginfo")]
    pub(super) no_btf: bool,

    /// Look for source files in DIR, or for those under FROM in TO (may be repeated)
    #[arg(long, value_name = "DIR|FROM=TO", value_parser = tree)]
    pub(super) source: Vec<SourceTree>,

    /// Use only what the dump itself carries
    #[arg(long, conflicts_with_all = ["vmlinux", "debug_dir"])]
    pub(super) no_debuginfo: bool,

    /// What stacks are unwound by first: the kernel's own tables, or debug information alone
    #[arg(long, value_name = "HOW", default_value = "orc")]
    pub(super) unwind: Unwind,
}

/// What stacks are unwound by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Unwind {
    /// ORC tables, debug information where there are none
    Orc,
    /// Debug information alone (DWARF's call frame information)
    Dwarf,
}

fn tree(text: &str) -> Result<SourceTree, std::convert::Infallible> {
    Ok(SourceTree::parse(text))
}

/// The dumps that are part of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Demo {
    /// A real dump of a real deadlock
    Deadlock,
    /// Synthetic: a published case of CentOS 6 replayed, up to where nothing shows who holds it up
    Seed,
    /// Synthetic: the same case, in which a stack shows it
    SeedFound,
}

/// How output looks.
#[derive(Args, Clone, Debug)]
pub(super) struct Look {
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(super) color: Color,

    /// Draw with ASCII only
    #[arg(long, global = true)]
    pub(super) ascii: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Args, Debug)]
pub(super) struct Exec {
    #[command(flatten)]
    pub(super) source: Source,

    /// A command, as in crash (may be repeated); - reads them from standard input, one a line
    #[arg(short, long = "command", value_name = "CMD", required = true)]
    pub(super) command: Vec<String>,

    /// Print one JSON array, one element a command
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Report {
    #[command(flatten)]
    pub(super) source: Source,

    /// Print JSON
    #[arg(long, conflicts_with = "dot")]
    pub(super) json: bool,

    /// Print the graph of waiting, for Graphviz
    #[arg(long)]
    pub(super) dot: bool,
}

#[derive(Args, Debug)]
pub(super) struct Info {
    #[command(flatten)]
    pub(super) source: Source,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Trim {
    /// The dump, or the files of a split one, and where the new dump goes
    #[arg(value_name = "DUMP... OUT", required = true)]
    pub(super) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) debug: Debug,
}

#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_demo_stands_wherever_a_dump_may() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words);
        let demo = parse(&["hangscope", "--demo"]).unwrap();
        assert_eq!(demo.source.debug.demo, Some(Demo::Deadlock));
        let exec = parse(&["hangscope", "exec", "--demo", "-c", "ps", "-c", "bt -a"]).unwrap();
        let Some(Action::Exec(exec)) = exec.action else { panic!("not exec") };
        assert_eq!(exec.source.debug.demo, Some(Demo::Deadlock));
        assert_eq!(exec.command, ["ps", "bt -a"]);
        let found = parse(&["hangscope", "report", "--demo=seed-found"]).unwrap();
        let Some(Action::Report(report)) = found.action else { panic!("not report") };
        assert_eq!(report.source.debug.demo, Some(Demo::SeedFound));
        assert!(parse(&["hangscope", "--demo=nothing"]).is_err());
        assert!(parse(&["hangscope", "exec", "vmcore"]).is_err());
        assert!(parse(&["hangscope", "vmcore", "--screenshot", "q"]).is_err());
    }
}
