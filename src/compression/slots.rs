//! How many responses one worker compresses at once. Each costs memory for as long as it lasts, and
//! a client decides how long that is; what finds no slot is passed on as it is.

use std::cell::Cell;
use std::rc::Rc;

/// The slots of one worker.
#[derive(Debug)]
pub struct Slots {
    free: Cell<usize>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Slot(Rc<Slots>);

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Rc<Self> {
        Rc::new(Self { free: Cell::new(count) })
    }

    /// One of them, if one is free.
    pub fn take(self: &Rc<Self>) -> Option<Slot> {
        let left = self.free.get().checked_sub(1)?;
        self.free.set(left);
        Some(Slot(Rc::clone(self)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(), slots.take());
        assert!(first.is_some() && second.is_some() && slots.take().is_none());
        drop(first);
        let third = slots.take();
        assert!(third.is_some() && slots.take().is_none());
        drop((second, third));
        assert_eq!(slots.free.get(), 2);
        assert!(Slots::new(0).take().is_none());
    }
}
