//! What is to run, before anything does: so that a file that cannot be used costs nobody a socket.

use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use super::load_error::LoadError;
use crate::config::{Config, FileWatch, Overrides};

/// A configuration with everything it names, read for the first time.
#[derive(Debug)]
pub struct Plans {
    pub(super) path: PathBuf,
    pub(super) watch: FileWatch,
    pub(super) bundle: Bundle,
}

impl Plans {
    /// Reads the configuration at `path`, with what `overrides` set of it, and what it names.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, LoadError> {
        let mut watch = FileWatch::new([]);
        let bundle = Bundle::load_watched(path, &mut watch, overrides)?.with_tls()?;
        Ok(Self { path: path.to_owned(), watch, bundle })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.bundle.config
    }
}
