//! What may stand behind a `|`: the few tools that people put there, without a shell.

use super::CommandError;
use crate::present::Line;
use std::collections::VecDeque;

/// Usage and meaning of each filter, for help.
pub const FILTERS: [(&str, &str); 6] = [
    ("grep [-v] [-i] [-w] [-c] [-A N] [-B N] [-C N] TEXT", "lines that hold TEXT (plain text)"),
    ("wc -l", "how many lines"),
    ("head [-n N]", "the first lines"),
    ("tail [-n N]", "the last lines"),
    ("sort [-n] [-r] [-u] [-k FIELD]", "lines in order"),
    ("uniq [-c]", "equal neighbours once"),
];

/// A filter, ready to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Filter {
    Grep(Grep),
    Count,
    Head(usize),
    Tail(usize),
    Sort { numeric: bool, reverse: bool, unique: bool, field: usize },
    Uniq { count: bool },
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Grep {
    texts: Vec<String>,
    invert: bool,
    ignore_case: bool,
    word: bool,
    count: bool,
    after: usize,
    before: usize,
}

impl Filter {
    /// The filter of these words.
    pub(super) fn parse(words: &[String]) -> Result<Filter, CommandError> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(CommandError::new("nothing stands after |"));
        };
        let mut arguments = Arguments { name, rest: arguments };
        match name.as_str() {
            "grep" => Grep::parse(arguments).map(Filter::Grep),
            "wc" => {
                while let Some(argument) = arguments.next() {
                    if argument != "-l" {
                        return Err(arguments.unknown(&argument));
                    }
                }
                Ok(Filter::Count)
            }
            "head" => arguments.lines().map(Filter::Head),
            "tail" => arguments.lines().map(Filter::Tail),
            "sort" => {
                let (mut numeric, mut reverse, mut unique, mut field) = (false, false, false, 0);
                while let Some(argument) = arguments.next() {
                    if argument == "-k" {
                        field = arguments.number()?;
                        continue;
                    }
                    for letter in arguments.letters(&argument)? {
                        match letter {
                            'n' => numeric = true,
                            'r' => reverse = true,
                            'u' => unique = true,
                            _ => return Err(arguments.unknown(&argument)),
                        }
                    }
                }
                Ok(Filter::Sort { numeric, reverse, unique, field })
            }
            "uniq" => {
                let mut count = false;
                while let Some(argument) = arguments.next() {
                    match argument.as_str() {
                        "-c" => count = true,
                        _ => return Err(arguments.unknown(&argument)),
                    }
                }
                Ok(Filter::Uniq { count })
            }
            _ => Err(CommandError::new(format!(
                "no filter {name}: after | may stand grep, wc, head, tail, sort, uniq"
            ))),
        }
    }

    /// What it makes of these lines.
    pub(super) fn run(&self, mut lines: Vec<Line>) -> Vec<Line> {
        match self {
            Filter::Grep(grep) => grep.run(lines),
            Filter::Count => vec![lines.len().to_string().into()],
            Filter::Head(count) => {
                lines.truncate(*count);
                lines
            }
            Filter::Tail(count) => {
                lines.drain(..lines.len().saturating_sub(*count));
                lines
            }
            Filter::Sort { numeric, reverse, unique, field } => {
                let key = |line: &Line| match field {
                    0 => line.text.clone(),
                    field => line.text.split_whitespace().nth(field - 1).unwrap_or("").to_owned(),
                };
                if *numeric {
                    lines.sort_by_cached_key(|line| leading_number(&key(line)));
                } else {
                    lines.sort_by_cached_key(key);
                }
                if *unique {
                    lines.dedup_by(|a, b| a.text == b.text);
                }
                if *reverse {
                    lines.reverse();
                }
                lines
            }
            Filter::Uniq { count } => {
                let mut groups: Vec<(usize, Line)> = Vec::new();
                for line in lines {
                    match groups.last_mut() {
                        Some((times, last)) if last.text == line.text => *times += 1,
                        _ => groups.push((1, line)),
                    }
                }
                let group = |(times, line): (usize, Line)| match count {
                    true => Line { text: format!("{times:>7} {}", line.text), link: line.link },
                    false => line,
                };
                groups.into_iter().map(group).collect()
            }
        }
    }
}

/// The number that a line starts with; 0 without one, as `sort -n` has it.
fn leading_number(text: &str) -> i128 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<i128>().map_or(0, |number| sign * number)
}

struct Arguments<'w> {
    name: &'w str,
    rest: &'w [String],
}

impl Arguments<'_> {
    fn next(&mut self) -> Option<String> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    fn number(&mut self) -> Result<usize, CommandError> {
        let argument = self.next().unwrap_or_default();
        let bad = || CommandError::new(format!("{}: {argument:?} is no number", self.name));
        argument.parse().map_err(|_| bad())
    }

    fn letters(&self, argument: &str) -> Result<Vec<char>, CommandError> {
        match argument.strip_prefix('-') {
            Some(letters) if !letters.is_empty() => Ok(letters.chars().collect()),
            _ => Err(self.unknown(argument)),
        }
    }

    fn unknown(&self, argument: &str) -> CommandError {
        let usage = FILTERS.iter().find(|(usage, _)| usage.split(' ').next() == Some(self.name));
        let usage = usage.map_or("", |(usage, _)| usage);
        CommandError::new(format!("{}: {argument:?} does not belong here: {usage}", self.name))
    }

    /// `-n N` or `-N`; ten without any.
    fn lines(mut self) -> Result<usize, CommandError> {
        let mut count = 10;
        while let Some(argument) = self.next() {
            count = match argument.strip_prefix('-') {
                Some("n") => self.number()?,
                Some(number) => {
                    let number = number.strip_prefix('n').unwrap_or(number);
                    number.parse().map_err(|_| self.unknown(&argument))?
                }
                None => return Err(self.unknown(&argument)),
            };
        }
        Ok(count)
    }
}

/// `-A3`: the letter and its number.
fn context(argument: &str) -> Option<(char, usize)> {
    let mut rest = argument.strip_prefix('-')?.chars();
    let letter = rest.next().filter(|letter| matches!(letter, 'A' | 'B' | 'C'))?;
    Some((letter, rest.as_str().parse().ok()?))
}

impl Grep {
    fn parse(mut arguments: Arguments<'_>) -> Result<Grep, CommandError> {
        let mut grep = Grep::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-A" => grep.after = arguments.number()?,
                "-B" => grep.before = arguments.number()?,
                "-C" => {
                    grep.after = arguments.number()?;
                    grep.before = grep.after;
                }
                numbered if context(numbered).is_some() => {
                    let (letter, lines) = context(numbered).unwrap_or_default();
                    if letter != 'B' {
                        grep.after = lines;
                    }
                    if letter != 'A' {
                        grep.before = lines;
                    }
                }
                "-e" => grep.texts.extend(arguments.next()),
                letters if letters.starts_with('-') && letters.len() > 1 => {
                    for letter in arguments.letters(letters)? {
                        match letter {
                            'v' => grep.invert = true,
                            'i' => grep.ignore_case = true,
                            'w' => grep.word = true,
                            'c' => grep.count = true,
                            // Plain text is all that there is.
                            'F' => {}
                            _ => return Err(arguments.unknown(letters)),
                        }
                    }
                }
                text if grep.texts.is_empty() => grep.texts.push(text.to_owned()),
                text => return Err(arguments.unknown(text)),
            }
        }
        if grep.texts.is_empty() {
            return Err(CommandError::new("grep: what to look for is missing"));
        }
        if grep.ignore_case {
            grep.texts.iter_mut().for_each(|text| *text = text.to_lowercase());
        }
        Ok(grep)
    }

    fn matches(&self, line: &str) -> bool {
        let lower;
        let line = if self.ignore_case {
            lower = line.to_lowercase();
            &lower
        } else {
            line
        };
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let found = |text: &String| {
            line.match_indices(text.as_str()).any(|(at, text)| {
                !self.word
                    || edge(line[..at].chars().next_back())
                        && edge(line[at + text.len()..].chars().next())
            })
        };
        self.texts.iter().any(found) != self.invert
    }

    fn run(&self, lines: Vec<Line>) -> Vec<Line> {
        if self.count {
            let count = lines.iter().filter(|line| self.matches(&line.text)).count();
            return vec![count.to_string().into()];
        }
        let context = self.before > 0 || self.after > 0;
        let mut kept: Vec<Line> = Vec::new();
        let mut before: VecDeque<Line> = VecDeque::new();
        let mut left = 0;
        let mut gap = false;
        for line in lines {
            if self.matches(&line.text) {
                if context && gap && !kept.is_empty() {
                    kept.push("--".into());
                }
                kept.extend(before.drain(..));
                kept.push(line);
                left = self.after;
                gap = false;
            } else if left > 0 {
                left -= 1;
                kept.push(line);
            } else {
                before.push_back(line);
                if before.len() > self.before {
                    before.pop_front();
                    gap = true;
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &[&str], lines: &[&str]) -> Vec<String> {
        let words: Vec<String> = filter.iter().map(|word| (*word).to_owned()).collect();
        let lines = lines.iter().map(|line| Line::from(*line)).collect();
        let filter = Filter::parse(&words).unwrap();
        filter.run(lines).into_iter().map(|line| line.text).collect()
    }

    const LINES: [&str; 6] = ["init", "java UN", "java IN", "JAVA UN", "tail", "javac UN"];

    #[test]
    fn grep_keeps_what_matches() {
        assert_eq!(run(&["grep", "java"], &LINES), ["java UN", "java IN", "javac UN"]);
        assert_eq!(run(&["grep", "-w", "java"], &LINES), ["java UN", "java IN"]);
        assert_eq!(run(&["grep", "-vi", "java"], &LINES), ["init", "tail"]);
        assert_eq!(run(&["grep", "-c", "UN"], &LINES), ["3"]);
        assert_eq!(run(&["grep", "-e", "IN", "-e", "tail"], &LINES), ["java IN", "tail"]);
        assert_eq!(
            run(&["grep", "-A", "1", "-B", "1", "tail"], &LINES),
            ["JAVA UN", "tail", "javac UN"]
        );
        assert_eq!(run(&["grep", "-A1", "init"], &["init", "x"]).len(), 2);
        assert_eq!(
            run(&["grep", "-A", "0", "-B", "1", "c"], &["c", "b", "a", "c"]),
            ["c", "--", "a", "c"]
        );
    }

    #[test]
    fn lines_are_counted_cut_and_ordered() {
        assert_eq!(run(&["wc", "-l"], &LINES), ["6"]);
        assert_eq!(run(&["head", "-n", "2"], &LINES), ["init", "java UN"]);
        assert_eq!(run(&["tail", "-1"], &LINES), ["javac UN"]);
        assert_eq!(run(&["sort", "-rn"], &["10 a", "9 b", "-1 c"]), ["10 a", "9 b", "-1 c"]);
        assert_eq!(run(&["sort", "-k", "2"], &["1 b", "2 a"]), ["2 a", "1 b"]);
        assert_eq!(run(&["uniq", "-c"], &["a", "a", "b"]), ["      2 a", "      1 b"]);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Filter::parse(&words).unwrap_err().message
        };
        assert!(parse(&["awk", "{print $1}"]).starts_with("no filter awk"));
        assert_eq!(parse(&["head", "-n", "x"]), "head: \"x\" is no number");
        assert!(parse(&["grep", "-E", "a"]).contains("does not belong here: grep [-v]"));
        assert_eq!(parse(&["grep"]), "grep: what to look for is missing");
        assert_eq!(parse(&[]), "nothing stands after |");
    }
}
