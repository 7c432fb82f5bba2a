//! The words of a command one after the other, and the values that options among them take.

use super::CommandError;
use std::slice;

/// The words that are left.
pub(super) struct Words<'w> {
    rest: slice::Iter<'w, String>,
    last: &'w str,
}

impl<'w> Words<'w> {
    pub(super) fn of(words: &'w [String]) -> Words<'w> {
        Words { rest: words.iter(), last: "" }
    }

    /// The value of the option that came last; `wanted` is what it is, with its article.
    pub(super) fn value(&mut self, wanted: &str) -> Result<&'w str, CommandError> {
        let value = self.rest.next().map(String::as_str);
        value.ok_or_else(|| CommandError::new(format!("{} wants {wanted}", self.last)))
    }
}

impl<'w> Iterator for Words<'w> {
    type Item = &'w str;

    fn next(&mut self) -> Option<&'w str> {
        self.last = self.rest.next()?;
        Some(self.last)
    }
}

/// A number in decimal, or in hex after `0x`.
pub(super) fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// How many.
pub(super) fn count(word: &str) -> Result<usize, CommandError> {
    let count = number(word).and_then(|number| usize::try_from(number).ok());
    count.ok_or_else(|| CommandError::new(format!("{word} is no count")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_takes_the_word_behind_it_or_says_what_it_wants() {
        let line = ["-m", "ff", "value", "-m"].map(str::to_owned);
        let mut words = Words::of(&line);
        assert_eq!(words.next(), Some("-m"));
        assert_eq!(words.value("a mask").unwrap(), "ff");
        assert_eq!((words.next(), words.next()), (Some("value"), Some("-m")));
        assert_eq!(words.value("a mask").unwrap_err().message, "-m wants a mask");
    }

    #[test]
    fn a_count_is_decimal_or_hex() {
        assert_eq!(count("16").unwrap(), 16);
        assert_eq!(count("0x10").unwrap(), 16);
        assert_eq!(count("-1").unwrap_err().message, "-1 is no count");
    }
}
