//! Streams that wait until they may be worked on: first come, first served.

use std::collections::BTreeMap;
use std::task::Waker;

/// Those that wait, by the number that they drew.
#[derive(Debug, Default)]
pub(super) struct Line {
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gets in line; the number to ask with from now on.
    pub(super) fn enter(&mut self, waker: &Waker) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, waker.clone());
        number
    }

    /// Whether it has to wait on; if so, that is whom to wake.
    pub(super) fn holds(&mut self, number: u64, waker: &Waker) -> bool {
        let own = self.waiting.get_mut(&number);
        own.map(|own| own.clone_from(waker)).is_some()
    }

    /// Goes; whether it was still waiting.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        self.waiting.remove(&number).is_some()
    }

    /// Takes the first out of the line: whom to wake.
    pub(super) fn call(&mut self) -> Option<Waker> {
        self.waiting.pop_first().map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_still_there_is_called() {
        let (mut line, waker) = (Line::default(), Waker::noop());
        let numbers = [(); 3].map(|()| line.enter(waker));
        assert!(line.leave(numbers[0]));
        assert!(!line.leave(numbers[0]));
        assert!(line.call().is_some());
        assert!(!line.holds(numbers[1], waker), "called");
        assert!(line.holds(numbers[2], waker));
        assert!(line.call().is_some());
        assert!(line.is_empty() && line.call().is_none());
    }
}
