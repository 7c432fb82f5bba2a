//! `ps`: the tasks.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::kernel::Task;
use crate::present::{Document, Line, Link, Stack, ps_table};

pub(super) const PS: Command = Command {
    name: "ps",
    usage: "ps [-u | -k] [-A] [-G] [-m | -S] [PID | TASK | COMM ...]",
    summary: "the tasks, with state, CPU and memory; > marks those that were on their CPU",
    details: "-u  only tasks of user space\n-k  only kernel threads\n-A  only tasks that were on their CPU\n-G  only one task a process\n-m  how long ago each last ran, most recent first\n-S  how many tasks are in each state",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let session = console.session;
    let (mut user, mut kernel, mut active, mut leaders) = (false, false, false, false);
    let (mut recent, mut states) = (false, false);
    let mut chosen: Option<Vec<&Task>> = None;
    for word in call.words {
        match word.strip_prefix('-') {
            Some(letters) => {
                for letter in letters.chars() {
                    match letter {
                        'u' => user = true,
                        'k' => kernel = true,
                        'A' => active = true,
                        'G' => leaders = true,
                        'm' => recent = true,
                        'S' => states = true,
                        _ => return Err(PS.unknown(word)),
                    }
                }
            }
            None => chosen.get_or_insert_default().extend(select::tasks(console.tasks()?, word)?),
        }
    }
    let mut tasks = match chosen {
        Some(chosen) => chosen,
        None => console.tasks()?.iter().collect(),
    };
    tasks.retain(|task| {
        !(user && task.kernel_thread
            || kernel && !task.kernel_thread
            || active && !task.active
            || leaders && task.pid != task.tgid)
    });
    if states {
        return Ok(count_states(&tasks).into());
    }
    if recent {
        return Ok(last_ran(tasks).into());
    }
    let mut answer = Answer::from(Document::Table(ps_table(tasks)));
    answer.notes.extend(session.tasks().notes.iter().cloned());
    Ok(answer)
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
