//! `task`: what the kernel writes down of a task.

use super::structure::{some, whole};
use super::words::Words;
use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::kernel::Task;
use crate::object::Object;
use crate::present::{Document, Printed, Radix, Stack};

pub(super) const TASK: Command = Command {
    name: "task",
    usage: "task [-R MEMBER[,MEMBER...]] [-x] [-d] [PID | TASK | COMM ...]",
    summary: "the task_struct of tasks, or some of its members; without arguments of the current one",
    details: "-R  only these members: of the task_struct, otherwise of the thread_info\n-x  numbers in hex\n-d  numbers in decimal",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut words = Words::of(call.words);
    let mut chosen: Option<Vec<&Task>> = None;
    let mut members: Vec<&str> = Vec::new();
    let mut radix = Radix::Decimal;
    while let Some(word) = words.next() {
        match word {
            "-R" => {
                let list = words.value("members")?;
                members.extend(list.split(',').filter(|member| !member.is_empty()));
            }
            "-x" => radix = Radix::Hex,
            "-d" => radix = Radix::Decimal,
            option if option.starts_with('-') => return Err(TASK.unknown(option)),
            word => chosen.get_or_insert_default().extend(select::tasks(console.tasks()?, word)?),
        }
    }
    let tasks = match chosen {
        Some(tasks) => tasks,
        None => vec![console.current()?],
    };
    let mut values = Vec::new();
    for task in tasks {
        let mut printed = of_task(console, task, call, &members, radix)?;
        if let Some(first) = printed.first_mut() {
            first.heading = vec![Stack::heading_of(task).text];
            if !values.is_empty() {
                first.heading.insert(0, String::new());
            }
        }
        values.extend(printed);
    }
    Ok(Document::Values(values).into())
}

/// What is asked for of one task.
fn of_task(
    console: &Console<'_>,
    task: &Task,
    call: &Call<'_>,
    members: &[&str],
    radix: Radix,
) -> Result<Vec<Printed>, CommandError> {
    let session = console.session;
    let types = session.types();
    let object = session.object(types.structure("task_struct")?, task.at);
    // With CONFIG_THREAD_INFO_IN_TASK it is the first member, before that it lies at the end of the
    // stack.
    let info = match object.member("thread_info") {
        Ok(info) => info,
        Err(_) => session.object(types.structure("thread_info")?, task.stack),
    };
    let mut printed = Vec::new();
    if members.is_empty() {
        printed.push(whole(console, &object, radix)?);
        printed.push(whole(console, &info, radix)?);
    }
    let has = |object: &Object<'_>, member: &str| object.ty().member(member).is_ok();
    let (own, others): (Vec<&str>, Vec<&str>) =
        members.iter().copied().partition(|member| has(&object, member));
    if let Some(member) = others.iter().find(|member| !has(&info, member)) {
        let before = call.text.split(*member).next().unwrap_or_default();
        return Err(CommandError::at(
            call.column + before.chars().count(),
            format!("{member} is no member of task_struct or thread_info"),
        ));
    }
    for (object, members) in [(&object, own), (&info, others)] {
        if !members.is_empty() {
            printed.push(some(console, object, &members, radix)?);
        }
    }
    Ok(printed)
}
