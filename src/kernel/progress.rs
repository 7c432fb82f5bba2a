//! How far a long piece of work is, and whether somebody wants it to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Work that goes on, as seen by those who do it and by those who wait for it. Shared between
/// threads; nothing else hangs on its numbers, so their order among each other does not matter.
#[derive(Default, Debug)]
pub struct Progress {
    what: Mutex<&'static str>,
    done: AtomicUsize,
    total: AtomicUsize,
    stopped: AtomicBool,
}

impl Progress {
    /// Now `total` pieces of `what` are to be done.
    pub fn begin(&self, what: &'static str, total: usize) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Another piece is begun; `false` when there should be no more.
    pub fn step(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        !self.stopped()
    }

    /// Asks whoever does the work to leave the rest.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the rest should be left.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// `stacks 1,200 of 4,059`; `None` before anything has begun.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let total = self.total.load(Ordering::Relaxed);
        let what = *self.what.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.done.load(Ordering::Relaxed).min(total);
        (total > 0).then(|| format!("{what} {} of {}", grouped(done), grouped(total)))
    }
}

/// `4,059`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is_and_when_to_stop() {
        let progress = Progress::default();
        assert_eq!(progress.words(), None);
        progress.begin("stacks", 1_234_567);
        for _ in 0..1200 {
            assert!(progress.step());
        }
        assert_eq!(progress.words().as_deref(), Some("stacks 1,200 of 1,234,567"));
        progress.begin("code", 2);
        assert_eq!(progress.words().as_deref(), Some("code 0 of 2"));
        progress.stop();
        assert!(!progress.step() && progress.stopped());
    }
}
