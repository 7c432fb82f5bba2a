//! Tasks by what people call them.

use super::CommandError;
use crate::dump::VirtAddr;
use crate::kernel::{Task, Tasks};

/// A number in hex, with or without `0x`.
pub(super) fn hex(word: &str) -> Option<VirtAddr> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok().map(VirtAddr)).flatten()
}

/// The tasks that a word stands for: a pid (0: all idle tasks), the address of a `task_struct`, or
/// a name. A name that looks like a number is written with a backslash before it.
pub(super) fn tasks<'s>(all: &'s Tasks, word: &str) -> Result<Vec<&'s Task>, CommandError> {
    let (name, forced) = match word.strip_prefix('\\') {
        Some(name) => (name, true),
        None => (word, false),
    };
    if !forced {
        if let Ok(pid) = name.parse::<u32>() {
            let found: Vec<&Task> = all.iter().filter(|task| task.pid == pid).collect();
            let missing = || CommandError::new(format!("no task with pid {pid}"));
            return if found.is_empty() { Err(missing()) } else { Ok(found) };
        }
        let wide = name.len() >= 9 || name.starts_with("0x");
        if let Some(at) = hex(name).filter(|_| wide) {
            let missing = || CommandError::new(format!("no task_struct at {at}"));
            return all.at(at).map(|task| vec![task]).ok_or_else(missing);
        }
    }
    let found: Vec<&Task> = all.iter().filter(|task| &*task.comm == name).collect();
    if found.is_empty() {
        return Err(CommandError::new(format!("no task named {name}")));
    }
    Ok(found)
}

/// The numbers in a list like `0,2-4`.
pub(super) fn numbers(list: &str) -> Result<Vec<u32>, CommandError> {
    let bad = || CommandError::new(format!("{list} is no list of CPUs like 0,2-4"));
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().map_err(|_| bad())?;
        let last: u32 = last.parse().map_err(|_| bad())?;
        if last.checked_sub(first).ok_or_else(bad)? > 8192 {
            return Err(bad());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

/// Words with what stands in one pair of parentheses, or behind a cast, put together again:
/// `&((struct task_struct *)0xffff…)->mm` is one argument.
pub(super) fn rejoined(words: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut open = 0_i64;
    for word in words {
        match joined.last_mut().filter(|_| open > 0) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => joined.push(word.clone()),
        }
        for c in word.chars() {
            open += i64::from(matches!(c, '(' | '[')) - i64::from(matches!(c, ')' | ']'));
        }
        open = open.max(0);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_one_argument() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            rejoined(&words("list_head &((struct task_struct *)0x10)->tasks 2")),
            ["list_head", "&((struct task_struct *)0x10)->tasks", "2"]
        );
        assert_eq!(rejoined(&words("a ) b (c d")), ["a", ")", "b", "(c d"]);
    }

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(numbers("0,2-4").unwrap(), [0, 2, 3, 4]);
        for wrong in ["", "a", "4-2", "0-4000000000", "1,"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_in_hex_need_no_prefix() {
        assert_eq!(hex("ffff888000000000"), Some(VirtAddr(0xffff_8880_0000_0000)));
        assert_eq!(hex("0x10"), Some(VirtAddr(0x10)));
        for wrong in ["", "0x", "java", "11112222333344445"] {
            assert_eq!(hex(wrong), None, "{wrong}");
        }
    }
}
