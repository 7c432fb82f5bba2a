//! Work off the screen's thread: one slot a kind of question, the newest question wins.
//!
//! A slot has at most one job running and one waiting; asking again replaces the waiting one.
//! Every question carries its generation, and the [`Slot`] that asked takes no answer but the one
//! to its last question. A job that panics answers with an error; it takes nothing else down.

use super::event::Event;
use super::model::{
    CodeView, Inspection, LogLine, MemoryView, Output, Overview, Place, SourceView, Standing,
    Subject, Suggestion, TraceView,
};
use super::source::{Answer, Lines, Opener, Source};
use crate::dump::VirtAddr;
use crate::kernel::{Progress, Task};
use crate::locks::LockGraph;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// The kinds of questions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Id {
    Open,
    Overview,
    Tasks,
    Locks,
    Trace,
    Lines,
    Inspect,
    Log,
    Memory,
    Code,
    Source,
    Identify,
    Command,
    Resolve,
    Suggest,
}

/// A question.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Request {
    Open,
    Overview,
    Tasks,
    Locks,
    Trace(VirtAddr),
    Lines(VirtAddr),
    Inspect(Subject, BTreeSet<String>),
    Log,
    Memory(VirtAddr, u64),
    Code(VirtAddr),
    Source(VirtAddr),
    /// An address, looked at from a task.
    Identify(VirtAddr, Option<VirtAddr>),
    Command(String, Standing),
    Resolve(String, Standing),
    Suggest(String),
}

impl Request {
    /// Its kind.
    pub(crate) const fn id(&self) -> Id {
        match self {
            Request::Open => Id::Open,
            Request::Overview => Id::Overview,
            Request::Tasks => Id::Tasks,
            Request::Locks => Id::Locks,
            Request::Trace(_) => Id::Trace,
            Request::Lines(_) => Id::Lines,
            Request::Inspect(..) => Id::Inspect,
            Request::Log => Id::Log,
            Request::Memory(..) => Id::Memory,
            Request::Code(_) => Id::Code,
            Request::Source(_) => Id::Source,
            Request::Identify(..) => Id::Identify,
            Request::Command(..) => Id::Command,
            Request::Resolve(..) => Id::Resolve,
            Request::Suggest(_) => Id::Suggest,
        }
    }
}

/// What a job says.
pub(crate) enum Message {
    /// What it is busy with.
    Progress(&'static str),
    /// It ended.
    Done(Reply),
}

/// An answer, by the kind of its question.
pub(crate) enum Reply {
    Open(Answer<Vec<(&'static str, &'static str)>>),
    Overview(Answer<Overview>),
    Tasks(Answer<Vec<Task>>),
    Locks(Answer<LockGraph>),
    Trace(Answer<TraceView>),
    Lines(Answer<Lines>),
    Inspect(Answer<Inspection>),
    Log(Answer<Vec<LogLine>>),
    Memory(Answer<MemoryView>),
    Code(Answer<CodeView>),
    Source(Answer<SourceView>),
    Identify(Answer<String>),
    Command(Answer<Output>),
    Resolve(Answer<Place>),
    Suggest(Answer<Vec<Suggestion>>),
}

impl Reply {
    /// The answer of a job that could not answer.
    fn failed(id: Id, why: String) -> Reply {
        match id {
            Id::Open => Reply::Open(Err(why)),
            Id::Overview => Reply::Overview(Err(why)),
            Id::Tasks => Reply::Tasks(Err(why)),
            Id::Locks => Reply::Locks(Err(why)),
            Id::Trace => Reply::Trace(Err(why)),
            Id::Lines => Reply::Lines(Err(why)),
            Id::Inspect => Reply::Inspect(Err(why)),
            Id::Log => Reply::Log(Err(why)),
            Id::Memory => Reply::Memory(Err(why)),
            Id::Code => Reply::Code(Err(why)),
            Id::Source => Reply::Source(Err(why)),
            Id::Identify => Reply::Identify(Err(why)),
            Id::Command => Reply::Command(Err(why)),
            Id::Resolve => Reply::Resolve(Err(why)),
            Id::Suggest => Reply::Suggest(Err(why)),
        }
    }
}

fn answer(source: &dyn Source, request: &Request, progress: &Arc<Progress>) -> Reply {
    match request {
        Request::Open => Reply::Open(Ok(source.commands())),
        Request::Overview => Reply::Overview(source.overview()),
        Request::Tasks => Reply::Tasks(source.tasks()),
        Request::Locks => Reply::Locks(source.locks(progress)),
        Request::Trace(task) => Reply::Trace(source.trace(*task)),
        Request::Lines(task) => Reply::Lines(source.lines(*task)),
        Request::Inspect(subject, open) => Reply::Inspect(source.inspect(subject, open)),
        Request::Log => Reply::Log(source.log()),
        Request::Memory(at, rows) => Reply::Memory(source.memory(*at, *rows)),
        Request::Code(at) => Reply::Code(source.code(*at)),
        Request::Source(at) => Reply::Source(source.text(*at)),
        Request::Identify(at, task) => Reply::Identify(source.identify(*at, *task)),
        Request::Command(text, standing) => {
            Reply::Command(source.command(text, *standing, progress))
        }
        Request::Resolve(text, standing) => Reply::Resolve(source.resolve(text, *standing)),
        Request::Suggest(text) => Reply::Suggest(source.suggest(text)),
    }
}

/// What the workers share.
struct Shared {
    opener: Mutex<Option<Opener>>,
    source: OnceLock<Arc<dyn Source>>,
    /// For each kind whose job runs, the question that waits behind it.
    queue: Mutex<BTreeMap<Id, Option<(u64, Request)>>>,
    /// How far the jobs are that run.
    running: Mutex<BTreeMap<Id, Arc<Progress>>>,
    events: Sender<Event>,
}

/// The workers.
pub(crate) struct Jobs(Arc<Shared>);

impl Jobs {
    /// Workers that open their source with `opener` and report to `events`.
    pub(crate) fn new(opener: Opener, events: Sender<Event>) -> Jobs {
        Jobs(Arc::new(Shared {
            opener: Mutex::new(Some(opener)),
            source: OnceLock::new(),
            queue: Mutex::new(BTreeMap::new()),
            running: Mutex::new(BTreeMap::new()),
            events,
        }))
    }

    /// Asks. The answer comes as an event, unless a newer question of the kind replaces this one
    /// while it waits.
    pub(crate) fn start(&self, generation: u64, request: Request) {
        let id = request.id();
        let mut queue = lock(&self.0.queue);
        if let Some(waiting) = queue.get_mut(&id) {
            *waiting = Some((generation, request));
            // Nobody waits any more for what runs.
            if let Some(running) = lock(&self.0.running).get(&id) {
                running.stop();
            }
            return;
        }
        queue.insert(id, None);
        drop(queue);
        let shared = Arc::clone(&self.0);
        let name = format!("{id:?}").to_lowercase();
        let spawned =
            thread::Builder::new().name(name).spawn(move || work(&shared, generation, request));
        if let Err(error) = spawned {
            lock(&self.0.queue).remove(&id);
            let reply = Reply::failed(id, format!("no thread for this: {error}"));
            _ = self.0.events.send(Event::Job(generation, Message::Done(reply)));
        }
    }

    /// Asks every job that runs to stop.
    pub(crate) fn stop(&self) {
        lock(&self.0.running).values().for_each(|progress| progress.stop());
    }

    /// How far the jobs of a kind are, in words.
    pub(crate) fn so_far(&self, id: Id) -> Option<String> {
        lock(&self.0.running).get(&id)?.words()
    }

    /// Whether nothing runs and nothing waits. Answers may still lie in the channel.
    pub(crate) fn idle(&self) -> bool {
        lock(&self.0.queue).is_empty()
    }
}

/// A poisoned queue is still a queue: nothing panics while holding it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Answers a question, and those that were asked meanwhile.
fn work(shared: &Shared, mut generation: u64, mut request: Request) {
    loop {
        let id = request.id();
        let asked = (generation, &request);
        let progress = Arc::new(Progress::default());
        lock(&shared.running).insert(id, Arc::clone(&progress));
        let reply = catch_unwind(AssertUnwindSafe(|| run(shared, asked.0, asked.1, &progress)))
            .unwrap_or_else(|_| Reply::failed(id, "a defect of hangscope stopped this".to_owned()));
        lock(&shared.running).remove(&id);
        // The event goes out before the slot is freed, so that an idle queue means that every
        // answer is in the channel.
        _ = shared.events.send(Event::Job(generation, Message::Done(reply)));
        let mut queue = lock(&shared.queue);
        match queue.get_mut(&id).and_then(Option::take) {
            Some(next) => (generation, request) = next,
            None => {
                queue.remove(&id);
                return;
            }
        }
    }
}

fn run(shared: &Shared, generation: u64, request: &Request, so_far: &Arc<Progress>) -> Reply {
    if let Some(opener) =
        matches!(request, Request::Open).then(|| lock(&shared.opener).take()).flatten()
    {
        let progress = |what| {
            _ = shared.events.send(Event::Job(generation, Message::Progress(what)));
        };
        match opener(&progress) {
            Ok(source) => _ = shared.source.set(source),
            Err(why) => return Reply::Open(Err(why)),
        }
    }
    match shared.source.get() {
        Some(source) => answer(source.as_ref(), request, so_far),
        None => Reply::failed(request.id(), "the dump is not open".to_owned()),
    }
}

/// What was asked last in one kind, and the last answer that came.
#[derive(Debug)]
pub(crate) struct Slot<K, V> {
    key: Option<K>,
    generation: u64,
    /// Whether the answer to the last question is still to come.
    pub(crate) loading: bool,
    /// The last answer, also to an older question while `loading`.
    pub(crate) value: Option<Answer<V>>,
}

impl<K, V> Default for Slot<K, V> {
    fn default() -> Slot<K, V> {
        Slot { key: None, generation: 0, loading: false, value: None }
    }
}

impl<K: PartialEq, V> Slot<K, V> {
    /// Makes `key` the question; gives its generation when it has to be asked.
    pub(crate) fn want(&mut self, key: K) -> Option<u64> {
        if self.key.as_ref() == Some(&key) {
            return None;
        }
        self.key = Some(key);
        self.generation += 1;
        self.loading = true;
        Some(self.generation)
    }

    /// Takes an answer, if it is the one to the last question.
    pub(crate) fn receive(&mut self, generation: u64, answer: Answer<V>) -> bool {
        let mine = self.loading && generation == self.generation;
        if mine {
            self.loading = false;
            self.value = Some(answer);
        }
        mine
    }

    /// Wants no answer any more; the next [`Slot::want`] asks anew.
    pub(crate) fn forget(&mut self) {
        *self = Slot { generation: self.generation, ..Slot::default() };
    }

    /// Stops waiting, and says so.
    pub(crate) fn cancel(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.loading);
        if waiting && self.value.is_none() {
            self.value = Some(Err("cancelled; Ctrl-l asks again".to_owned()));
        }
        waiting
    }

    /// The last answer, if it is a good one.
    pub(crate) fn ready(&self) -> Option<&V> {
        self.value.as_ref()?.as_ref().ok()
    }

    /// Why there is no good answer.
    pub(crate) fn error(&self) -> Option<&str> {
        self.value.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// What was asked last.
    pub(crate) fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_slot_takes_only_the_answer_to_its_last_question() {
        let mut slot = Slot::<u32, &str>::default();
        let first = slot.want(1).unwrap();
        assert_eq!(slot.want(1), None);
        let second = slot.want(2).unwrap();
        assert!(!slot.receive(first, Ok("old")));
        assert!(slot.loading && slot.ready().is_none());
        assert!(slot.receive(second, Ok("new")));
        assert_eq!(slot.ready(), Some(&"new"));
    }

    #[test]
    fn a_cancelled_question_takes_no_answer() {
        let mut slot = Slot::<u32, &str>::default();
        let asked = slot.want(1).unwrap();
        assert!(slot.cancel());
        assert!(!slot.receive(asked, Ok("late")));
        assert!(slot.error().unwrap().starts_with("cancelled"));
        slot.forget();
        assert!(slot.want(1).unwrap() > asked);
    }

    #[test]
    fn an_opener_that_panics_is_an_error_and_not_the_end() {
        let (events, inbox) = channel();
        let jobs = Jobs::new(Box::new(|_| panic!("on purpose")), events);
        jobs.start(1, Request::Open);
        let Ok(Event::Job(1, Message::Done(Reply::Open(Err(why))))) = inbox.recv() else {
            panic!("no answer");
        };
        assert!(why.contains("defect"));
        while !jobs.idle() {
            thread::yield_now();
        }
    }
}
