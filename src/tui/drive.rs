//! The loop: one event after the other goes into the application, and what follows is done.
//!
//! The same driver runs under a terminal and under a script, so that a screenshot shows what a
//! user would have seen.

use super::app::{App, Effect};
use super::event::{Event, Input};
use super::job::{Id, Jobs};
use super::key::Key;
use super::update::update;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Time between two ticks, while something is going on.
const TICK: Duration = Duration::from_millis(125);

/// How long a script waits before it looks again whether all jobs are done.
const REST: Duration = Duration::from_millis(1);

/// The application with its workers and its inbox.
pub(super) struct Driver {
    pub(super) app: App,
    pub(super) jobs: Jobs,
    pub(super) inbox: Receiver<Event>,
}

impl Driver {
    /// Waits for what happens next; [`Event::Tick`] when nothing does while something is going on.
    pub(super) fn next(&self) -> Event {
        if !self.app.loading() {
            return self.inbox.recv().unwrap_or(Event::End(None));
        }
        match self.inbox.recv_timeout(TICK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::Tick,
            Err(RecvTimeoutError::Disconnected) => Event::End(None),
        }
    }

    /// Applies an event and starts the jobs that it asks for; gives the other effects.
    pub(super) fn apply(&mut self, event: Event) -> Vec<Effect> {
        if matches!(event, Event::Tick) {
            self.app.locks_so_far = self.jobs.so_far(Id::Locks);
            self.app.command_so_far = self.jobs.so_far(Id::Command);
        }
        let mut others = Vec::new();
        for effect in update(&mut self.app, event) {
            match effect {
                Effect::Start(generation, request) => self.jobs.start(generation, request),
                Effect::Stop => self.jobs.stop(),
                other => others.push(other),
            }
        }
        others
    }

    /// Presses a key as a user would, and waits until every answer is in. Whether the application
    /// goes on.
    pub(super) fn press(&mut self, key: Key) -> bool {
        let effects = self.apply(Event::Input(Input::Key(key)));
        !effects.contains(&Effect::Quit) && self.rest()
    }

    /// Waits until every answer is in. Whether the application goes on.
    pub(super) fn rest(&mut self) -> bool {
        // A resize to the same size asks what the location wants, without anything else.
        let (columns, rows) = self.app.size;
        self.apply(Event::Resize(columns, rows));
        loop {
            // First whether anything runs, then the inbox: a job's answer is in before it is done.
            let idle = self.jobs.idle();
            match self.inbox.recv_timeout(REST) {
                Ok(event) => {
                    if self.apply(event).contains(&Effect::Quit) {
                        return false;
                    }
                }
                Err(_) if idle => return true,
                Err(_) => {}
            }
        }
    }
}
