//! What follows from an answer. Answers to questions that nobody asks any more are dropped.

use super::App;
use crate::present::TaskRow;
use crate::tui::job::{Message, Reply};
use crate::tui::prompt::Overlay;
use crate::tui::theme::Role;
use crate::tui::trace::TraceRow;

impl App {
    /// Takes what a job said. Answers to old questions are dropped.
    pub(crate) fn receive(&mut self, generation: u64, message: Message) {
        let reply = match message {
            Message::Progress(stage) => {
                self.stage = stage;
                return;
            }
            Message::Done(reply) => reply,
        };
        match reply {
            Reply::Open(answer) => _ = self.open.receive(generation, answer),
            Reply::Overview(answer) => _ = self.overview.receive(generation, answer),
            Reply::Tasks(answer) => {
                if self.tasks.receive(generation, answer) {
                    self.join();
                }
            }
            Reply::Locks(answer) => {
                if self.locks.receive(generation, answer) {
                    self.lock_rows_key = None;
                    self.evidence_key = None;
                    self.join();
                    self.select_culprit();
                }
            }
            Reply::Trace(answer) => _ = self.trace.receive(generation, answer),
            Reply::Lines(answer) => {
                // Rows come in between: the selection stays on its row.
                let selected = self.trace_rows.get(self.here.windows.trace.cursor).copied();
                if self.lines.receive(generation, answer) {
                    self.list_trace();
                    let row = self.trace_rows.iter().position(|row| Some(*row) == selected);
                    if let Some(row) = row.filter(|_| selected != Some(TraceRow::Frame(0))) {
                        self.here.windows.trace.cursor = row;
                    }
                }
            }
            Reply::Inspect(answer) => _ = self.inspection.receive(generation, answer),
            Reply::Log(answer) => {
                if self.log.receive(generation, answer) {
                    // The end of the log is where it happened.
                    self.here.windows.log.cursor = usize::MAX;
                }
            }
            Reply::Memory(answer) => _ = self.memory.receive(generation, answer),
            Reply::Code(answer) => {
                if self.code.receive(generation, answer) {
                    self.code_rows_key = None;
                }
            }
            Reply::Source(answer) => _ = self.source.receive(generation, answer),
            Reply::Identify(answer) => _ = self.identity.receive(generation, answer),
            Reply::Command(answer) => _ = self.output.receive(generation, answer),
            Reply::Suggest(answer) => _ = self.suggest.receive(generation, answer),
            Reply::Resolve(answer) => {
                if self.resolve.receive(generation, answer) {
                    self.resolved();
                }
            }
        }
    }

    fn resolved(&mut self) {
        match self.resolve.value.take() {
            Some(Ok(place)) => {
                self.overlay = None;
                self.go(&place);
            }
            Some(Err(why)) => match &mut self.overlay {
                Some(Overlay::Prompt(prompt)) => prompt.error = Some(why),
                _ => self.message = Some((Role::Fault, why)),
            },
            None => {}
        }
        self.resolve.forget();
    }

    fn join(&mut self) {
        let tasks = self.tasks.ready().map_or(&[][..], |tasks| tasks);
        self.rows = TaskRow::join(tasks, self.locks.ready());
        self.rows_version += 1;
    }

    /// Until the user moves, the selected task is one that is to blame: of the first deadlock, or
    /// the first root blocker.
    fn select_culprit(&mut self) {
        let Some(graph) = self.locks.ready().filter(|_| !self.moved) else { return };
        let cycle = graph.cycles.first().and_then(|cycle| cycle.tasks.first());
        let culprit = cycle.or_else(|| graph.roots.first().map(|root| &root.task));
        if let Some(task) = culprit.map(|task| task.at) {
            self.here.show_task(task);
        }
    }
}
