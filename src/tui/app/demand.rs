//! The questions that a place raises: going somewhere only says where, the data follows.

use super::{App, Effect};
use crate::dump::VirtAddr;
use crate::tui::history::Screen;
use crate::tui::job::Request;
use crate::tui::model::ROW;
use crate::tui::prompt::Overlay;

impl App {
    /// The questions that the location raises and that are not asked yet.
    pub(super) fn demand(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut ask = |generation: Option<u64>, request: Request| {
            if let Some(generation) = generation {
                effects.push(Effect::Start(generation, request));
            }
        };
        ask(self.open.want(()), Request::Open);
        if self.open.ready().is_none() {
            return effects;
        }
        ask(self.overview.want(()), Request::Overview);
        ask(self.tasks.want(()), Request::Tasks);
        if self.tasks.ready().is_none() {
            return effects;
        }
        ask(self.locks.want(()), Request::Locks);
        if let Some(task) = self.here.task {
            ask(self.trace.want(task), Request::Trace(task));
            // The trace does not wait for its lines.
            if !self.trace.loading && self.trace.ready().is_some() {
                ask(self.lines.want(task), Request::Lines(task));
            }
        }
        match self.here.screen {
            Screen::Overview => {
                if let Some(subject) = self.subject() {
                    let key = (subject, self.here.open.clone());
                    let request = Request::Inspect(key.0.clone(), key.1.clone());
                    ask(self.inspection.want(key), request);
                }
            }
            Screen::Locks | Screen::Why => {}
            Screen::Log => ask(self.log.want(()), Request::Log),
            Screen::Memory => {
                // A page before and after, so that scrolling finds its rows there already.
                let page = crate::dump::PAGE_SIZE;
                let start = VirtAddr(self.memory_top().0 & !(page - 1)).minus(page);
                let rows = 4 * page / ROW;
                ask(self.memory.want((start, rows)), Request::Memory(start, rows));
            }
            Screen::Code => ask(self.code.want(self.here.code), Request::Code(self.here.code)),
            Screen::Source => {
                let at = self.here.source.at;
                ask(self.source.want(at), Request::Source(at));
            }
            Screen::Output => {
                let (command, standing) = (self.here.command.clone(), self.here.standing);
                let request = Request::Command(command.clone(), standing);
                ask(self.output.want((command, standing)), request);
            }
        }
        if let Some(Overlay::Prompt(prompt)) = &self.overlay
            && let Some(text) = prompt.wants_suggestions()
        {
            ask(self.suggest.want(text.clone()), Request::Suggest(text));
        }
        effects
    }

    /// What the address under the cursor is; asked when the cursor has its place.
    pub(super) fn ask_identity(&mut self) -> Option<Effect> {
        let Some(at) = self.pointed().filter(|_| self.tasks.ready().is_some()) else {
            self.identity.forget();
            return None;
        };
        let task = self.here.task;
        let generation = self.identity.want((at, task))?;
        Some(Effect::Start(generation, Request::Identify(at, task)))
    }
}
