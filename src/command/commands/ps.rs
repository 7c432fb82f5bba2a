//! `ps`: the tasks.

use super::foreach::STATES;
use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::kernel::{Task, Tasks};
use crate::present::{Document, Line, Link, Stack, ps_table};

pub(super) const PS: Command = Command {
    name: "ps",
    usage: "ps [-u | -k] [-A] [-G] [-s] [-m | -S | -p | -c | -g] [STATE | PID | TASK | COMM ...]",
    summary: "the tasks, with state, CPU and memory; > marks those that were on their CPU",
    details: "-u  only tasks of user space\n-k  only kernel threads\n-A  only tasks that were on their CPU\n-G  only one task a process\n-m  how long ago each last ran, most recent first\n-S  how many tasks are in each state\n-s  with the kernel stack pointer in place of the task_struct\n-p  the parents of each, up to the first process\n-c  the children of each\n-g  the threads of each process\nSTATE is RU, IN, UN, ID, ZO, ST, TR, DE, NE, PA or WA",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut filter = Filter::default();
    let (mut recent, mut states, mut stacks) = (false, false, false);
    let mut family = None;
    let mut chosen: Option<Vec<&Task>> = None;
    for word in call.words {
        match word.strip_prefix('-') {
            Some(letters) => {
                for letter in letters.chars() {
                    match letter {
                        'u' => filter.user = true,
                        'k' => filter.kernel = true,
                        'A' => filter.active = true,
                        'G' => filter.leaders = true,
                        'm' => recent = true,
                        'S' => states = true,
                        's' => stacks = true,
                        'p' | 'c' | 'g' => family = Some(letter),
                        _ => return Err(PS.unknown(word)),
                    }
                }
            }
            None if STATES.contains(&word.as_str()) => filter.states.push(word),
            None => chosen.get_or_insert_default().extend(select::tasks(console.tasks()?, word)?),
        }
    }
    let all = console.tasks()?;
    let mut tasks = match chosen {
        Some(chosen) => chosen,
        None => all.iter().collect(),
    };
    tasks.retain(|task| filter.keeps(task));
    match family {
        Some('p') => return Ok(families(&tasks, |task| parents(all, task)).into()),
        Some('c') => return Ok(families(&tasks, |task| children(all, task)).into()),
        Some(_) => return Ok(families(&tasks, |task| threads(all, task)).into()),
        None => {}
    }
    if states {
        return Ok(count_states(&tasks).into());
    }
    if recent {
        return Ok(last_ran(tasks).into());
    }
    let mut table = ps_table(tasks.iter().copied());
    if stacks && let Some(lines) = &mut table.lines {
        with_stack_pointers(lines, &tasks);
    }
    let mut answer = Answer::from(Document::Table(table));
    answer.notes.extend(all.notes.iter().cloned());
    Ok(answer)
}

/// Which of the tasks are listed: those that fit all that was asked for.
#[derive(Default)]
struct Filter<'w> {
    user: bool,
    kernel: bool,
    active: bool,
    leaders: bool,
    /// Any of these states, where there are some.
    states: Vec<&'w str>,
}

impl Filter<'_> {
    fn keeps(&self, task: &Task) -> bool {
        let in_state = |letters: &str| self.states.contains(&letters);
        (self.states.is_empty() || task.state.as_ref().is_ok_and(|its| in_state(its.letters())))
            && (!self.user || !task.kernel_thread)
            && (!self.kernel || task.kernel_thread)
            && (!self.active || task.active)
            && (!self.leaders || task.pid == task.tgid)
    }
}

/// `ps -s`: the stack pointer where the `task_struct` stands.
fn with_stack_pointers(lines: &mut [Line], tasks: &[&Task]) {
    let Some((heading, rows)) = lines.split_first_mut() else { return };
    heading.text = heading.text.replace("       TASK        ", "      KSTACKP      ");
    for (line, task) in rows.iter_mut().zip(tasks) {
        let sp = task.sp.as_ref().map_or_else(|_| "–".to_owned(), |sp| format!("{sp:016x}"));
        line.text = line.text.replacen(&format!("{:016x}", task.at), &format!("{sp:<16}"), 1);
    }
}

/// A paragraph for every task: its heading and those that belong to it, each further in by so much.
fn families<'t>(tasks: &[&'t Task], of: impl Fn(&'t Task) -> Vec<(usize, Line)>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        if index > 0 {
            lines.push(Line::default());
        }
        for (depth, line) in of(task) {
            lines.push(Line { text: format!("{:depth$}{}", "", line.text), link: line.link });
        }
    }
    lines
}

/// From the first process down to the task.
fn parents(all: &Tasks, task: &Task) -> Vec<(usize, Line)> {
    let mut line = vec![task];
    // Parents cannot go round, but a damaged dump may say so.
    while let Some(parent) = line.last().and_then(|task| parent(all, task))
        && !line.iter().any(|task| task.at == parent.at)
    {
        line.push(parent);
    }
    line.iter().rev().enumerate().map(|(depth, task)| (depth, Stack::heading_of(task))).collect()
}

/// The task of the parent; of the first processes that is the idle task of the first CPU.
fn parent<'t>(all: &'t Tasks, task: &Task) -> Option<&'t Task> {
    let ppid = *task.ppid.as_ref().ok().filter(|_| task.pid != 0)?;
    if ppid == 0 {
        return all.iter().find(|other| other.pid == 0);
    }
    all.by_pid(ppid)
}

fn children(all: &Tasks, task: &Task) -> Vec<(usize, Line)> {
    let its = |child: &&Task| child.at != task.at && child.ppid == Ok(task.tgid);
    let mut found: Vec<_> =
        all.iter().filter(its).map(|task| (2, Stack::heading_of(task))).collect();
    if found.is_empty() {
        found.push((2, "(no children)".into()));
    }
    found.insert(0, (0, Stack::heading_of(task)));
    found
}

fn threads(all: &Tasks, task: &Task) -> Vec<(usize, Line)> {
    let leader = all.by_pid(task.tgid).unwrap_or(task);
    let its =
        |thread: &&Task| thread.tgid == leader.tgid && thread.at != leader.at && thread.pid != 0;
    let mut found: Vec<_> =
        all.iter().filter(its).map(|task| (2, Stack::heading_of(task))).collect();
    if found.is_empty() {
        found.push((2, "(no threads)".into()));
    }
    found.insert(0, (0, Stack::heading_of(leader)));
    found
}

fn count_states(tasks: &[&Task]) -> Vec<Line> {
    let letters = |task: &Task| task.state.as_ref().map_or("??", |state| state.letters());
    // As crash has it: in the order in which the list of tasks meets them.
    let mut states: Vec<&str> = Vec::new();
    for task in tasks {
        if !states.contains(&letters(task)) {
            states.push(letters(task));
        }
    }
    let count = |state: &str| tasks.iter().filter(|task| letters(task) == state).count();
    states.into_iter().map(|state| format!("  {state}: {}", count(state)).into()).collect()
}

fn last_ran(mut tasks: Vec<&Task>) -> Vec<Line> {
    tasks.sort_by(|a, b| match (&a.since_ran, &b.since_ran) {
        (Ok(a), Ok(b)) => a.cmp(b),
        (a, b) => b.is_ok().cmp(&a.is_ok()),
    });
    let line = |task: &Task| {
        let since = match &task.since_ran {
            Ok(time) => {
                let seconds = time.as_secs();
                let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
                let (minutes, millis) = (seconds / 60 % 60, time.subsec_millis());
                format!("{days} {hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
            }
            Err(_) => "–".to_owned(),
        };
        let state = task.state.as_ref().map_or("??", |state| state.letters());
        let heading = Stack::heading_of(task).text;
        Line::to(Link::Task(task.at), format!("[{since}] [{state}]  {heading}"))
    };
    tasks.into_iter().map(line).collect()
}
