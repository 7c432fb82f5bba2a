//! The addresses that a line of text names: registers in an oops, objects in a command's answer.

use crate::dump::VirtAddr;
use std::ops::Range;

/// The fewest digits of an address behind `0x`: what has fewer is a number.
const PREFIXED_DIGITS: usize = 9;
/// The digits of an address without it, as `%px`, register dumps and crash print it.
const BARE_DIGITS: usize = 16;

/// The kernel's addresses in a text, with where they stand. A program's are left out: which
/// program's a text does not say.
pub(crate) fn addresses(text: &str) -> Vec<(Range<usize>, VirtAddr)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut from = 0;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let len = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let word = &word[..len];
        let digits = match word.strip_prefix("0x") {
            Some(digits) => Some(digits).filter(|digits| digits.len() >= PREFIXED_DIGITS),
            None => Some(word).filter(|word| word.len() == BARE_DIGITS),
        };
        let address = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(at) = address.filter(|at| at >> 47 == 0x1_ffff) {
            found.push((from + start..from + start + len, VirtAddr(at)));
        }
        from += start + len;
        rest = &rest[start + len..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_addresses_are_told_from_other_numbers() {
        let found = |text: &str| {
            let named = addresses(text).into_iter();
            named.map(|(place, at)| (text[place].to_owned(), at.0)).collect::<Vec<_>>()
        };
        let sp = 0xffff_c900_001a_3d98;
        assert_eq!(
            found("RSP: 0018:ffffc900001a3d98 EFLAGS: 00010246"),
            [("ffffc900001a3d98".to_owned(), sp)]
        );
        assert_eq!(
            found("at=0xffffc900001a3d98, FFFFC900001A3D98é"),
            [("0xffffc900001a3d98".to_owned(), sp), ("FFFFC900001A3D98".to_owned(), sp)]
        );
        for other in
            ["RAX: 0000000000000001", "0x7f91b8fc4000", "xffffc900001a3d98", "ffffc900", ""]
        {
            assert!(found(other).is_empty(), "{other}");
        }
    }
}
