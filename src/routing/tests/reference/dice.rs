//! Choices out of a list of bytes, so that `proptest` can shrink what is made of them: a byte of 0
//! is always the simplest choice. What is chosen is not known here.

/// Bytes to choose by. When they have run out, every choice is the simplest.
pub(super) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Dice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// The next so many bytes for themselves, so that what they make does not move what follows.
    pub(super) fn cut(&mut self, length: usize) -> Self {
        let (head, tail) = self.bytes.as_slice().split_at(length.min(self.bytes.len()));
        self.bytes = tail.iter();
        Self::new(head)
    }

    fn roll(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// A number below `end`, which is at most 256; the smaller the simpler.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.roll()) * end / 256
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of these.
    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One of these in so many of a hundred cases.
    pub(super) fn maybe<T: Clone>(&mut self, percent: usize, of: &[T]) -> Option<T> {
        self.chance(percent).then(|| self.one(of))
    }

    /// From `least` to `most` of these, each at most once, in any order.
    pub(super) fn some<T: Clone>(&mut self, of: &[T], least: usize, most: usize) -> Vec<T> {
        let most = most.min(of.len());
        let count = least + self.below(most - least + 1);
        let mut left = of.to_vec();
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }

    /// Some of these in so many of a hundred cases, else none.
    pub(super) fn sometimes<T: Clone>(&mut self, percent: usize, of: &[T], most: usize) -> Vec<T> {
        if self.chance(percent) { self.some(of, 1, most) } else { Vec::new() }
    }

    /// 64 bits.
    pub(super) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.roll()))
    }
}
