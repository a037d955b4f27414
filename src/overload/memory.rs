//! How much memory the process has, as the system counts it, and how much of that its allocator holds
//! for what comes next.
//!
//! What has been freed stays with the process for some seconds. It is no reason to refuse anything:
//! the next request uses it, and the process does not grow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tikv_jemalloc_ctl::{epoch, stats};

/// Where the system says it: pages, the second number.
const STATM: &str = "/proc/self/statm";

/// Memory at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that the process has.
    pub resident: u64,
    /// Bytes of them that nothing is in.
    pub free: u64,
}

impl Memory {
    /// Bytes that something is in.
    pub fn used(self) -> u64 {
        self.resident.saturating_sub(self.free)
    }
}

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

    /// Looks.
    ///
    /// # Errors
    ///
    /// When the system does not say any more.
    pub fn look(&self) -> io::Result<Memory> {
        let mut text = [0; 128];
        let count = self.file.read_at(&mut text, 0)?;
        let pages = resident_pages(text.get(..count).unwrap_or_default());
        let pages = pages.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let resident = pages.saturating_mul(self.page);
        // Where another allocator is in use, as in tests, this one holds nothing.
        let free = held(resident).unwrap_or(0);
        Ok(Memory { resident, free })
    }
}

/// Bytes that the allocator has freed and not given back yet, of so many that the process has.
fn held(resident: u64) -> Result<u64, tikv_jemalloc_ctl::Error> {
    // The numbers are those of this moment.
    epoch::advance()?;
    let taken = stats::active::read()?.saturating_add(stats::metadata::read()?);
    let held = stats::resident::read()?.saturating_sub(taken);
    let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    // What it takes for resident may have been given back already.
    Ok(bytes(held).min(resident.saturating_sub(bytes(taken))))
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
        let before = resident.look().unwrap().used();
        assert!(before > 1 << 20);
        let block = vec![7_u8; 64 << 20];
        let after = resident.look().unwrap().used();
        assert!(after > before + (32 << 20), "{before} {after} {}", block.len());
    }
}
