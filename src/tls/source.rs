//! Reads files of certificates and keys, each once for a load, and never more of one than it may have.
//! What is in them is read by others.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::error::TlsError;
use crate::bounded_file::{self, Contents};
use crate::model::limits;

/// Read by anyone on the machine.
const READABLE_BY_OTHERS: u32 = 0o004;

/// What tells the same inputs from others.
pub(super) type Fingerprint = [u8; 32];

/// The files of one load. A file that is named twice is the same both times, whatever happens to it
/// meanwhile.
#[derive(Default)]
pub(super) struct Sources(HashMap<PathBuf, Source>);

/// A file that was read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) bytes: Arc<[u8]>,
    /// Whether every user of the machine can read it.
    pub(super) public: bool,
}

impl Sources {
    /// The file at `path`, which is not empty.
    pub(super) fn read(&mut self, path: &Path) -> Result<Source, TlsError> {
        if let Some(known) = self.0.get(path) {
            return Ok(known.clone());
        }
        let limit = limits::TLS_FILE_BYTES;
        let Contents { bytes, metadata } = bounded_file::read(path, limit).map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                ErrorKind::FileTooLarge => TlsError::TooLarge { path, limit },
                _ => TlsError::Unreadable { path, source },
            }
        })?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(TlsError::Empty { path: path.to_owned() });
        }
        let public = metadata.mode() & READABLE_BY_OTHERS != 0;
        let source = Source { bytes: bytes.into(), public };
        self.0.insert(path.to_owned(), source.clone());
        Ok(source)
    }
}

/// One fingerprint of several inputs.
pub(super) fn fingerprint<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    for input in inputs {
        // With its length, so that what ends one input cannot begin the next.
        context.update(&(input.len() as u64).to_be_bytes());
        context.update(input);
    }
    let mut fingerprint = Fingerprint::default();
    for (to, from) in fingerprint.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    fingerprint
}
