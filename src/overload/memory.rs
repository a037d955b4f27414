//! How much memory the process has, as the system counts it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the system says it: pages, the second number.
const STATM: &str = "/proc/self/statm";

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

    /// Bytes that the process has in memory.
    ///
    /// # Errors
    ///
    /// When the system does not say any more.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut text = [0; 128];
        let count = self.file.read_at(&mut text, 0)?;
        let pages = resident_pages(text.get(..count).unwrap_or_default());
        let pages = pages.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(pages.saturating_mul(self.page))
    }
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
        let before = resident.bytes().unwrap();
        assert!(before > 1 << 20);
        let block = vec![7_u8; 64 << 20];
        let after = resident.bytes().unwrap();
        assert!(after > before + (32 << 20), "{before} {after} {}", block.len());
    }
}
