//! How much memory the process has, as the system counts it, and how what has been freed goes back.
//!
//! Not how much of it is in use: nobody asks for that who does not hold the process, and the system
//! counts what the process has when it kills.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the system says it: pages, the second number.
const STATM: &str = "/proc/self/statm";

/// More than the allocator has at hand, so that it has to go and look.
const FAR: usize = 2 << 20;

/// The open file: looking again needs no descriptor, for that is when it matters.
#[derive(Debug)]
pub struct Resident {
    file: File,
    page: u64,
}

impl Resident {
    /// Opens what says it.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn open() -> io::Result<Self> {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4_096);
        Ok(Self { file: File::open(STATM)?, page })
    }

    /// Looks: bytes.
    ///
    /// # Errors
    ///
    /// When the system does not say any more.
    pub fn look(&self) -> io::Result<u64> {
        let mut text = [0; 128];
        let count = self.file.read_at(&mut text, 0)?;
        let pages = resident_pages(text.get(..count).unwrap_or_default());
        let pages = pages.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(pages.saturating_mul(self.page))
    }
}

/// Lets what this thread has freed go back to the system. The allocator (mimalloc) gives back what
/// nobody has wanted for a second, and does so while it is asked for memory: a thread that refuses
/// everything, or has nothing to do, asks for none. So this asks for some and takes it back at once;
/// no page of it is touched.
pub fn give_back() {
    drop(black_box(Vec::<u8>::with_capacity(FAR)));
}

fn resident_pages(statm: &[u8]) -> Option<u64> {
    std::str::from_utf8(statm).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_counts() {
        assert_eq!(resident_pages(b"4711 815 300 1 0 99 0\n"), Some(815));
        for broken in [&b""[..], b"1", b"1 x", b"\xff \xff"] {
            assert_eq!(resident_pages(broken), None);
        }
    }

    #[test]
    fn memory_that_is_used_is_seen() {
        let resident = Resident::open().unwrap();
        let before = resident.look().unwrap();
        assert!(before > 1 << 20);
        let block = vec![7_u8; 64 << 20];
        let after = resident.look().unwrap();
        assert!(after > before + (32 << 20), "{before} {after} {}", block.len());
    }
}
