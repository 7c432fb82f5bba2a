//! The table of commands.

mod bt;
mod chain;
mod dis;
mod entries;
mod expression;
mod foreach;
mod frame;
mod help;
mod kmem;
mod kmem_totals;
mod list;
mod log;
mod modules;
mod ps;
mod rd;
mod runq;
mod search;
mod set;
mod source;
pub(super) mod structure;
mod sym;
mod sys;
mod task;
mod tree;
mod vtop;
mod whatis;
mod words;

use super::CommandError;
use super::console::{Answer, Call, Console};

/// A command: what it is called, what it does, how it is done.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// How it is written, one line a form.
    pub usage: &'static str,
    /// What it answers, in one line.
    pub summary: &'static str,
    /// The details, in lines; may be empty.
    pub details: &'static str,
    pub(super) run: fn(&mut Console<'_>, &Call<'_>) -> Result<Answer, CommandError>,
}

/// Every command, in alphabetical order.
pub static COMMANDS: &[Command] = &[
    bt::BT,
    dis::DIS,
    expression::EVAL,
    foreach::FOREACH,
    frame::FRAME,
    help::HELP,
    kmem::KMEM,
    source::L,
    list::LIST,
    log::LOG,
    modules::MOD,
    expression::P,
    expression::PD,
    ps::PS,
    expression::PX,
    rd::RD,
    runq::RUNQ,
    search::SEARCH,
    set::SET,
    structure::STRUCT,
    sym::SYM,
    sys::SYS,
    task::TASK,
    tree::TREE,
    structure::UNION,
    vtop::VTOP,
    whatis::WHATIS,
];

/// The command of that name; gdb's `p/x` is `px`.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    let name = match name {
        "p/x" => "px",
        "p/d" => "pd",
        name => name,
    };
    COMMANDS.iter().find(|command| command.name == name)
}

impl Command {
    /// The error of an argument that does not belong to this command.
    pub(super) fn unknown(&self, argument: &str) -> CommandError {
        let usage = self.usage.lines().collect::<Vec<_>>().join(", or ");
        CommandError::new(format!("{argument} does not belong here: {usage}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_usage_starts_with_its_name() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
        for command in COMMANDS {
            for usage in command.usage.lines() {
                assert_eq!(usage.split(' ').next(), Some(command.name));
            }
            assert!(!command.summary.is_empty() && !command.summary.ends_with('.'));
        }
    }
}
