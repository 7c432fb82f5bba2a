//! A command line taken apart: words, and the filters behind `|`.

use super::CommandError;

/// The words of one command and the pieces that they came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// The text between the `|`s.
    pub(super) text: String,
    /// Where it starts in the line, in characters.
    pub(super) column: usize,
    /// Its words, quotes taken off.
    pub(super) words: Vec<String>,
}

/// The pieces of a line: the command, then its filters. A `|` inside quotes or brackets is none of
/// the line's.
pub(super) fn pieces(line: &str) -> Result<Vec<Piece>, CommandError> {
    let mut pieces = Vec::new();
    let mut open = 0_u32;
    let mut quote = None;
    let mut start = 0;
    let chars: Vec<char> = line.chars().collect();
    for (column, &c) in chars.iter().enumerate() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[') => open += 1,
            (None, ')' | ']') => open = open.saturating_sub(1),
            (None, '|') if open == 0 => {
                pieces.push(piece(&chars, start, column)?);
                start = column + 1;
            }
            (None, _) => {}
        }
    }
    pieces.push(piece(&chars, start, chars.len())?);
    Ok(pieces)
}

fn piece(chars: &[char], start: usize, end: usize) -> Result<Piece, CommandError> {
    let part = chars.get(start..end).unwrap_or_default();
    let blank = part.iter().take_while(|c| c.is_whitespace()).count();
    let text: String = part.iter().collect();
    let column = start + blank;
    Ok(Piece { words: words(&text, column)?, text: text.trim().to_owned(), column })
}

fn words(text: &str, column: usize) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(mark) = quote {
        return Err(CommandError::at(column, format!("the quote {mark} is not closed")));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<Vec<String>> {
        pieces(line).unwrap().into_iter().map(|piece| piece.words).collect()
    }

    #[test]
    fn a_line_is_a_command_and_its_filters() {
        assert_eq!(split("ps | grep UN|wc -l"), [vec!["ps"], vec!["grep", "UN"], vec!["wc", "-l"]]);
        assert_eq!(split("p (1 | 2)"), [["p", "(1", "|", "2)"]]);
        assert_eq!(
            split("ps | grep 'a | b' -c \"\""),
            [vec!["ps"], vec!["grep", "a | b", "-c", ""]]
        );
        assert_eq!(split(""), [Vec::<String>::new()]);
    }

    #[test]
    fn an_open_quote_is_an_error() {
        let error = pieces("ps | grep 'UN").unwrap_err();
        assert_eq!(error.message, "the quote ' is not closed");
        assert_eq!(pieces("ps |  wc").unwrap()[1].column, 6);
    }
}
