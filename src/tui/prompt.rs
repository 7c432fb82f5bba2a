//! What lies over the screen: prompts with their choices, help, a long text.

use super::action::Action;
use super::app::App;
use super::keymap::{self, bindings_in};
use super::widget::window::Window;
use foldhash::HashSet;
use fuzzy_matcher::FuzzyMatcher;
use fuzzy_matcher::skim::SkimMatcherV2;
use std::cmp::Reverse;

/// What lies over the screen.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Overlay {
    /// A line to type on.
    Prompt(Prompt),
    /// The keys, and what filters them.
    Help { filter: String, window: Window },
    /// The verdict as a whole.
    Verdict(Window),
}

/// What a prompt is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Filter,
    Search,
    Jump,
    Palette,
}

impl Purpose {
    /// What stands before the text.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Purpose::Filter | Purpose::Search => "/",
            Purpose::Jump => "go to ",
            Purpose::Palette => ":",
        }
    }

    /// What stands in the place of a text that is still empty.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Purpose::Filter => "words to find in pid, name, state, lock",
            Purpose::Search => "text to search for",
            Purpose::Jump => "pid, name, symbol, 0xADDRESS, TYPE ADDRESS, task_struct.mm ADDRESS",
            Purpose::Palette => {
                "an action, or a crash command: bt 1, ps, sys, log, struct mutex ADDRESS"
            }
        }
    }
}

/// A line to type on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Prompt {
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
    /// The chosen suggestion.
    pub(crate) picked: Option<usize>,
    /// Why the last Enter went nowhere.
    pub(crate) error: Option<String>,
}

/// Something to choose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    /// What Enter takes.
    pub(crate) does: Does,
    /// How it reads.
    pub(crate) text: String,
    /// What it is.
    pub(crate) note: String,
}

/// What a choice does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Does {
    /// An action.
    Act(Action),
    /// This text on the line, and Enter.
    Take(String),
    /// This text on the line, for arguments to follow.
    Complete(String),
}

/// How many choices are offered.
const CHOICES: usize = 10;

impl Prompt {
    /// An empty line.
    pub(crate) fn new(purpose: Purpose, text: String) -> Prompt {
        Prompt { purpose, text, picked: None, error: None }
    }

    /// The text to ask the source for suggestions with.
    pub(crate) fn wants_suggestions(&self) -> Option<String> {
        let text = self.text.trim();
        (self.purpose == Purpose::Jump && text.len() > 1).then(|| text.to_owned())
    }

    /// What there is to choose now.
    pub(crate) fn choices(&self, app: &App) -> Vec<Choice> {
        match self.purpose {
            Purpose::Filter | Purpose::Search => Vec::new(),
            Purpose::Jump => self.places(app),
            Purpose::Palette => self.actions(app),
        }
    }

    /// Tasks by name or number, then what the source suggests.
    fn places(&self, app: &App) -> Vec<Choice> {
        let text = self.text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let matcher = SkimMatcherV2::default().ignore_case();
        let mut tasks: Vec<(i64, Choice)> = app
            .rows
            .iter()
            .filter_map(|row| {
                let label = row.task.label();
                let score = matcher.fuzzy_match(&label, text)?;
                let pid = row.task.pid.to_string();
                let state = row.task.state.as_ref().map_or("??", |state| state.letters());
                let note = format!("task {pid} {state}");
                Some((score, Choice { does: Does::Take(pid), text: label, note }))
            })
            .collect();
        tasks.sort_by_key(|(score, _)| Reverse(*score));
        let tasks = tasks.into_iter().map(|(_, choice)| choice).take(CHOICES / 2);
        let symbols = app.suggest.ready().into_iter().flatten().map(|found| Choice {
            does: Does::Take(found.text.clone()),
            text: found.text.clone(),
            note: found.note.clone(),
        });
        tasks.chain(symbols).take(CHOICES).collect()
    }

    /// The actions that hold here and the commands, by how well they fit.
    fn actions(&self, app: &App) -> Vec<Choice> {
        let text = self.text.trim();
        let matcher = SkimMatcherV2::default().ignore_case();
        let commands = app.open.ready().into_iter().flatten().map(|(name, doc)| Choice {
            does: Does::Complete(format!("{name} ")),
            text: (*name).to_owned(),
            note: (*doc).to_owned(),
        });
        let mut offered = HashSet::default();
        let actions = bindings_in(app.context()).filter(|binding| offered.insert(binding.action));
        let actions = actions.map(|binding| Choice {
            does: Does::Act(binding.action),
            text: binding.doc.replace('`', ""),
            note: format!("key {}", binding.first_keys()),
        });
        let mut fitting: Vec<(i64, Choice)> = commands
            .chain(actions)
            .filter_map(|choice| {
                let name = matcher.fuzzy_match(&choice.text, text);
                let note = matcher.fuzzy_match(&choice.note, text).map(|score| score / 2);
                Some((name.max(note)?, choice))
            })
            .collect();
        fitting.sort_by_key(|(score, _)| Reverse(*score));
        fitting.into_iter().map(|(_, choice)| choice).take(CHOICES).collect()
    }

    /// Whether the text already names a command, so that Enter runs it as it stands.
    pub(crate) fn is_command(&self, app: &App) -> bool {
        let name = self.text.split_whitespace().next();
        self.purpose == Purpose::Palette
            && app.open.ready().into_iter().flatten().any(|(known, _)| Some(*known) == name)
    }
}

/// The lines of the help: heading (no keys) or key and explanation.
pub(crate) fn help_lines(filter: &str) -> Vec<(String, String)> {
    let matcher = SkimMatcherV2::default().ignore_case();
    let mut lines = Vec::new();
    for (when, bindings) in keymap::sections() {
        let fits = |binding: &&keymap::Binding| {
            filter.is_empty()
                || binding.all_keys() == filter
                || matcher.fuzzy_match(binding.doc, filter).is_some()
        };
        let fitting: Vec<_> = bindings.iter().filter(fits).collect();
        if !fitting.is_empty() {
            lines.push((String::new(), when.title().to_owned()));
            lines.extend(fitting.iter().map(|b| (b.all_keys(), b.doc.to_owned())));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_filtered_by_what_is_typed() {
        let all = help_lines("");
        assert!(all.len() > 50);
        let few = help_lines("hexadecimal");
        assert!(few.len() < all.len());
        assert!(few.iter().any(|(keys, _)| keys == "x"), "{few:?}");
        assert!(help_lines("qqqqzzzz").is_empty());
    }
}
