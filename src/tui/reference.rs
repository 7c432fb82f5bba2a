//! What the words of a claim refer to: a frame, an instruction, a word in memory.
//!
//! A claim says in words what it rests on: `its frame #2 hu_write+594 called down_read at
//! hu_write+469 with this lock`. What is named so can be opened.

/// Something that words name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reference {
    /// A frame of the task that the words are about, and the code that it is in.
    Frame(usize, Option<String>),
    /// A place in code: `hu_write+469`.
    Code(String),
    /// A word in memory: `0xffffc900001a3d98`.
    Memory(String),
}

/// The fewest digits of an address: what has fewer is a number.
const ADDRESS_DIGITS: usize = 9;

/// Everything that words refer to, in their order, each once.
pub(crate) fn references(words: &str) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    let mut words = words.split_whitespace().map(bare).peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        let reference = if before == "frame" {
            let number = word.strip_prefix('#').and_then(|number| number.parse().ok());
            // What follows the number is the frame's own place.
            number.map(|number| {
                let place = words.next_if(|next| is_code(next));
                Reference::Frame(number, place.map(str::to_owned))
            })
        } else if is_code(word) {
            Some(Reference::Code(word.to_owned()))
        } else if before != "=" && is_address(word) {
            // After `=` stands what is in the word, not where it is.
            Some(Reference::Memory(word.to_owned()))
        } else {
            None
        };
        found.extend(reference.filter(|reference| !found.contains(reference)));
        before = word;
    }
    found
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| matches!(c, '(' | ')' | ',' | ';' | ':' | '.'))
}

fn is_address(word: &str) -> bool {
    word.strip_prefix("0x").is_some_and(|digits| {
        digits.len() >= ADDRESS_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// `schedule+0x2a`, `hu_write+469`.
fn is_code(word: &str) -> bool {
    let Some((name, offset)) = word.split_once('+') else { return false };
    let digits = offset.strip_prefix("0x").unwrap_or(offset);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.'))
        && !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_code_and_words_are_found_and_values_are_not() {
        let found = references(
            "its frame #2 hu_write+594 called down_read at hu_write+469 with this lock (its waiter \
             at 0xffffc900001a3d98); owner = 0xffff88ca4132b003 names it, hu_write+469 again",
        );
        let expected = [
            Reference::Frame(2, Some("hu_write+594".to_owned())),
            Reference::Code("hu_write+469".to_owned()),
            Reference::Memory("0xffffc900001a3d98".to_owned()),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            references("frame #1 _raw_spin_lock was called with 0xffffffffc054e040"),
            [Reference::Frame(1, None), Reference::Memory("0xffffffffc054e040".to_owned())]
        );
        assert!(references("place 2 of 3, 1+1, count 0x3, frame").is_empty());
    }
}
