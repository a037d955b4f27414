//! The encoders of one worker. Each takes memory for as long as its response lasts, and a client
//! decides how long that is: so they share a budget, and a response that finds none of it left is
//! passed on as it is. Some that are not in use are kept, because making one costs more than a small
//! body.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::codec::{Codec, CodecError, memory};
use crate::config::CompressionLevel;
use crate::model::{Coding, limits};

/// What one worker has for compression.
pub struct Stock {
    /// Bytes that encoders may take.
    budget: usize,
    /// Those that they may still take.
    left: Cell<usize>,
    /// Encoders that are in use.
    lent: Cell<usize>,
    /// Encoders that nobody uses; they count as well.
    idle: RefCell<Vec<(Kind, Tools)>>,
}

/// What a body is compressed with.
pub(super) struct Tools {
    pub(super) codec: Codec,
    /// Where the result gathers, [`limits::COMPRESSED_FRAME_BYTES`].
    pub(super) output: Box<[u8]>,
}

type Kind = (Coding, CompressionLevel);

/// An encoder that is in use.
pub struct Loan {
    stock: Rc<Stock>,
    kind: Kind,
    /// `None` only while it is given back.
    tools: Option<Tools>,
}

impl std::fmt::Debug for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stock").field("left", &self.left.get()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Loan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loan").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Stock {
    /// A stock with so many bytes for encoders.
    pub fn new(bytes: usize) -> Rc<Self> {
        Rc::new(Self {
            budget: bytes,
            left: Cell::new(bytes),
            lent: Cell::default(),
            idle: RefCell::default(),
        })
    }

    /// Encoders that are in use.
    pub fn lent(&self) -> usize {
        self.lent.get()
    }

    /// Bytes that all encoders take.
    pub fn bytes(&self) -> usize {
        self.budget - self.left.get()
    }

    /// An encoder for one body; `None`: there is no memory left for it.
    ///
    /// # Errors
    ///
    /// When the system has none.
    pub fn lend(
        self: &Rc<Self>,
        coding: Coding,
        level: CompressionLevel,
    ) -> Result<Option<Loan>, CodecError> {
        let kind = (coding, level);
        let loan = |tools| {
            self.lent.set(self.lent.get() + 1);
            Some(Loan { stock: Rc::clone(self), kind, tools: Some(tools) })
        };
        let mut idle = self.idle.borrow_mut();
        if let Some(at) = idle.iter().position(|(known, _)| *known == kind) {
            return Ok(loan(idle.swap_remove(at).1));
        }
        let bytes = memory(coding, level);
        while self.left.get() < bytes {
            // Better in use than kept.
            let Some(((coding, level), _)) = idle.pop() else { return Ok(None) };
            self.left.set(self.left.get() + memory(coding, level));
        }
        let codec = Codec::new(coding, level)?;
        self.left.set(self.left.get() - bytes);
        Ok(loan(Tools { codec, output: vec![0; limits::COMPRESSED_FRAME_BYTES].into() }))
    }

    /// Takes an encoder back, whatever state it is in.
    fn put(&self, kind: Kind, Tools { codec, output }: Tools) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < limits::COMPRESSORS_KEPT
            && let Some(codec) = codec.renewed()
        {
            idle.push((kind, Tools { codec, output }));
        } else {
            self.left.set(self.left.get() + memory(kind.0, kind.1));
        }
    }
}

impl Loan {
    pub(super) fn coding(&self) -> Coding {
        self.kind.0
    }

    pub(super) fn tools(&mut self) -> Result<&mut Tools, CodecError> {
        let coding = self.kind.0;
        self.tools.as_mut().ok_or_else(|| CodecError::new(coding, "the encoder is gone"))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.stock.lent.set(self.stock.lent.get().saturating_sub(1));
        if let Some(tools) = self.tools.take() {
            self.stock.put(self.kind, tools);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GZIP: Kind = (Coding::Gzip, CompressionLevel::Fast);
    const BROTLI: Kind = (Coding::Brotli, CompressionLevel::Fast);

    fn lend(stock: &Rc<Stock>, kind: Kind) -> Option<Loan> {
        stock.lend(kind.0, kind.1).unwrap()
    }

    #[test]
    fn a_budget_bounds_what_is_in_use() {
        let each = memory(GZIP.0, GZIP.1);
        let stock = Stock::new(3 * each - 1);
        let (first, second) = (lend(&stock, GZIP), lend(&stock, GZIP));
        assert_eq!((stock.lent(), stock.bytes()), (2, 2 * each));
        assert!(first.is_some() && second.is_some() && lend(&stock, GZIP).is_none());
        drop(first);
        assert_eq!(stock.idle.borrow().len(), 1, "kept, and still counted");
        assert_eq!((stock.lent(), stock.left.get()), (1, each - 1));
        assert!(lend(&stock, GZIP).is_some(), "what was kept is used again");
        drop(second);
        assert_eq!(stock.idle.borrow().len(), 2);
        let other = lend(&stock, BROTLI);
        assert!(other.is_some(), "what is kept gives way");
        drop(other);
        assert!(stock.idle.borrow().len() < 2);
        assert!(lend(&Stock::new(0), GZIP).is_none());
    }

    #[test]
    fn what_is_kept_keeps_its_room() {
        let stock = Stock::new(usize::MAX);
        let room = |loan: Option<Loan>| loan.unwrap().tools().unwrap().output.as_ptr();
        let first = room(lend(&stock, GZIP));
        assert_eq!(room(lend(&stock, GZIP)), first);
    }

    #[test]
    fn few_are_kept() {
        let stock = Stock::new(usize::MAX);
        let all: Vec<_> =
            (0..2 * limits::COMPRESSORS_KEPT).map(|_| lend(&stock, GZIP).unwrap()).collect();
        drop(all);
        assert_eq!(stock.idle.borrow().len(), limits::COMPRESSORS_KEPT);
        stock.idle.borrow_mut().clear();
        let kept = limits::COMPRESSORS_KEPT * memory(GZIP.0, GZIP.1);
        assert_eq!((stock.lent(), stock.bytes()), (0, kept));
    }
}
