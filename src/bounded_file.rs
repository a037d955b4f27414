//! Files of which no more is read than they may have, whatever their size says and whoever appends to
//! them meanwhile.
//!
//! Not here: what the files are for, and what is said when one cannot be read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// What was in a file, and what is known of it. Both are of the same file, also while another one is put
/// in its place.
#[derive(Clone, Debug)]
pub struct Contents {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its times and its permissions.
    pub metadata: Metadata,
}

/// Reads a regular file of up to `most` bytes. Nothing else is waited for: a pipe without a writer would
/// never be opened, and a device never end.
///
/// # Errors
///
/// What the system says; [`ErrorKind::FileTooLarge`] when it has more, [`ErrorKind::IsADirectory`] and
/// [`ErrorKind::InvalidInput`] when it is no regular file.
pub fn read(path: &Path, most: u64) -> io::Result<Contents> {
    // Such a number has the same bits with and without a sign.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(directory());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > most {
        return Err(too_large(most));
    }
    let room = usize::try_from(metadata.len()).unwrap_or(0);
    Ok(Contents { bytes: take(&file, most, room)?, metadata })
}

/// Reads what comes from a file of any kind, such as a pipe, to its end.
///
/// # Errors
///
/// What the system says; [`ErrorKind::FileTooLarge`] when more than `most` bytes come.
pub fn read_stream(file: &File, most: u64) -> io::Result<Vec<u8>> {
    if file.metadata()?.is_dir() {
        return Err(directory());
    }
    take(file, most, 0)
}

fn take(file: &File, most: u64, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(room);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn directory() -> io::Error {
    io::Error::new(ErrorKind::IsADirectory, "it is a directory and not a regular file")
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn kind(path: &Path, most: u64) -> ErrorKind {
        read(path, most).map(|found| found.bytes.len()).unwrap_err().kind()
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "12345").unwrap();
        symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            let Contents { bytes, metadata } = read(path, 5).unwrap();
            assert_eq!((bytes.as_slice(), metadata.len()), (&b"12345"[..], 5));
            assert_eq!(kind(path, 4), ErrorKind::FileTooLarge);
        }
        assert_eq!(kind(&dir.path().join("none"), 5), ErrorKind::NotFound);
        let stream = || File::open(&file).unwrap();
        assert_eq!(read_stream(&stream(), 5).unwrap(), b"12345");
        assert_eq!(read_stream(&stream(), 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(kind(&pipe, 5), ErrorKind::InvalidInput);
        assert_eq!(kind(Path::new("/dev/zero"), 5), ErrorKind::InvalidInput);
        assert_eq!(kind(dir.path(), 5), ErrorKind::IsADirectory);
    }

    #[test]
    fn a_stream_ends_at_its_limit() {
        let stream = |path: &str| read_stream(&File::open(path).unwrap(), 100);
        assert_eq!(stream("/dev/null").unwrap(), b"");
        assert_eq!(stream("/dev/zero").unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(stream("/").unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    /// It says that it has no bytes, and has some.
    #[test]
    fn a_size_is_not_believed() {
        let path = Path::new("/proc/self/status");
        assert!(read(path, 1 << 20).unwrap().bytes.len() > 100);
        assert_eq!(kind(path, 100), ErrorKind::FileTooLarge);
    }
}
