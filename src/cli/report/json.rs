//! The report as JSON: what scripts rely on. Fields are added, none is renamed or dropped.

use super::Facts;
use crate::cli::json::Json;
use crate::dump::VirtAddr;
use crate::locks::{
    Cycle, Holder, Lock, LockGraph, Spot, StateValue, TaskRef, Undecided, Waiter, Why,
};
use std::io::{self, Write};

pub(super) fn write<W: Write>(
    json: &mut Json<W>,
    graph: &LockGraph,
    facts: &Facts,
) -> io::Result<()> {
    json.object(|json| {
        json.key("verdict")?.text(&graph.verdict)?;
        json.key("release")?.maybe(facts.release.as_deref(), Json::text)?;
        json.key("panic")?.maybe(facts.panic.as_deref(), Json::text)?;
        json.key("counts")?.object(|json| {
            facts.counts.iter().try_for_each(|(state, n)| json.key(state)?.plain(n))
        })?;
        json.key("locks")?.list(&graph.locks, write_lock)?;
        json.key("cycles")?.list(&graph.cycles, |json, cycle: &Cycle| {
            json.object(|json| {
                json.key("tasks")?.list(&cycle.tasks, |json, task| json.plain(task.pid))?;
                json.key("locks")?.list(&cycle.locks, |json, at| json.address(*at))
            })
        })?;
        json.key("roots")?.list(&graph.roots, |json, root| {
            json.object(|json| {
                write_task(json, &root.task)?;
                json.key("blocks")?.plain(root.blocks)?;
                json.key("doing")?.text(&root.doing)?;
                json.key("log")?.list(&root.log, |json, record| json.plain(record))
            })
        })?;
        json.key("others")?.list(&graph.others, |json, other| {
            json.object(|json| {
                write_task(json, &other.task)?;
                json.key("on")?.text(&other.on)?;
                let since = other.since.map(|since| since.as_millis());
                json.key("since_ms")?.maybe(since, |json, ms| json.plain(ms))
            })
        })?;
        let notes = graph.notes.iter().chain(&facts.notes);
        json.key("notes")?.list(notes, |json, note| json.text(note))
    })
}

fn write_lock<W: Write>(json: &mut Json<W>, lock: &Lock) -> io::Result<()> {
    json.object(|json| {
        json.key("address")?.address(lock.at)?;
        json.key("kind")?.text(lock.kind.name())?;
        json.key("symbol")?.maybe(lock.symbol.as_deref(), Json::text)?;
        json.key("place")?.maybe(lock.place.as_deref(), Json::text)?;
        json.key("type")?.text(lock.ty)?;
        json.key("name")?.text(&lock.name)?;
        json.key("state")?.object(|json| {
            lock.state.iter().try_for_each(|(name, value)| {
                let json = json.key(name)?;
                match value {
                    StateValue::Number(number) => json.plain(number),
                    StateValue::Flag(set) => json.plain(set),
                    StateValue::Bits(bits) => json.address(VirtAddr(*bits)),
                    StateValue::Text(text) => json.text(text),
                }
            })
        })?;
        json.key("words")?.text(&lock.words)?;
        json.key("blocks")?.plain(lock.blocks)?;
        json.key("readers")?.maybe(lock.readers, |json, n| json.plain(n))?;
        json.key("holders")?.list(&lock.holders, write_holder)?;
        json.key("waiters")?.list(&lock.waiters, write_waiter)?;
        json.key("undecided")?.maybe(lock.undecided.as_ref(), write_undecided)?;
        json.key("doubts")?.list(&lock.doubts, |json, doubt| json.text(doubt))
    })
}

fn write_undecided<W: Write>(json: &mut Json<W>, undecided: &Undecided) -> io::Result<()> {
    json.object(|json| {
        json.key("cases")?.list(&undecided.cases, |json, case| {
            json.object(|json| {
                json.key("place")?.text(case.place)?;
                json.key("pids")?.list(&case.tasks, |json, task| json.plain(task.pid))?;
                json.key("says")?.text(&case.says)?;
                json.key("log")?.maybe(case.log, |json, record| json.plain(record))
            })
        })?;
        json.key("wanted")?.list(&undecided.wanted, |json, wanted| json.text(wanted))
    })
}

fn write_holder<W: Write>(json: &mut Json<W>, holder: &Holder) -> io::Result<()> {
    json.object(|json| {
        write_task(json, &holder.task)?;
        json.key("mode")?.text(holder.mode.name())?;
        json.key("confidence")?.text(holder.confidence.name())?;
        write_why(json, &holder.why)
    })
}

fn write_waiter<W: Write>(json: &mut Json<W>, waiter: &Waiter) -> io::Result<()> {
    json.object(|json| {
        write_task(json, &waiter.task)?;
        json.key("mode")?.text(waiter.mode.name())?;
        json.key("position")?.maybe(waiter.position, |json, n| json.plain(n))?;
        json.key("spinning")?.plain(waiter.spinning)?;
        let since = waiter.since.map(|since| since.as_millis());
        json.key("since_ms")?.maybe(since, |json, ms| json.plain(ms))?;
        json.key("confidence")?.text(waiter.confidence.name())?;
        write_why(json, &waiter.why)
    })
}

/// The reason as a sentence, and piece by piece with where each can be seen.
fn write_why<W: Write>(json: &mut Json<W>, why: &Why) -> io::Result<()> {
    json.key("why")?.text(&why.to_string())?;
    json.key("evidence")?.list(why.evidence(), |json, piece| {
        json.object(|json| {
            json.key("says")?.text(&piece.says)?;
            let (place, at) = match &piece.spot {
                None => return json.key("place")?.null(),
                Some(Spot::Frame { task, number }) => {
                    json.key("place")?.text("frame")?;
                    json.key("task")?.address(*task)?;
                    return json.key("frame")?.plain(number);
                }
                Some(Spot::Register { task, number, name }) => {
                    json.key("place")?.text("register")?;
                    json.key("task")?.address(*task)?;
                    json.key("frame")?.plain(number)?;
                    return json.key("register")?.text(name);
                }
                Some(Spot::Log(record)) => {
                    json.key("place")?.text("log")?;
                    return json.key("record")?.plain(record);
                }
                Some(Spot::Object { ty, at }) => {
                    json.key("type")?.text(ty)?;
                    ("object", at)
                }
                Some(Spot::Code(at)) => ("code", at),
                Some(Spot::Member(at)) => ("member", at),
                Some(Spot::Word(at)) => ("word", at),
            };
            json.key("place")?.text(place)?;
            json.key("address")?.address(*at)
        })
    })
}

fn write_task<W: Write>(json: &mut Json<W>, task: &TaskRef) -> io::Result<()> {
    json.key("pid")?.plain(task.pid)?;
    json.key("task")?.address(task.at)?;
    json.key("comm")?.text(&task.comm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::json::written;
    use crate::cli::report::tests::{abba, facts};

    #[test]
    fn the_json_is_what_scripts_rely_on() {
        let text = written(|json| write(json, &abba(), &facts()));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["counts"]["UN"], 2);
        assert_eq!(json["panic"], serde_json::Value::Null);
        assert_eq!(json["cycles"][0]["tasks"], serde_json::json!([7, 8]));
        assert_eq!(json["cycles"][0]["locks"], serde_json::json!(["0x20", "0x10"]));
        let lock = &json["locks"][0];
        assert_eq!(lock["state"], serde_json::json!({"owner": "0x7", "locked": true}));
        assert_eq!(lock["holders"][0]["confidence"], "certain");
        assert_eq!(lock["waiters"][0]["since_ms"], 412_000);
        assert_eq!(json["roots"][0]["blocks"], 1);
        assert_eq!(json["roots"][0]["log"], serde_json::json!([3]));
    }
}
