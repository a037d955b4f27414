//! What can keep the comparison from running. Not here: what a contestant answered wrongly while it
//! ran (`load::Fault`), which is a result and no error.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum BenchError {
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot read the country database {}", path.display())]
    Database { path: PathBuf, source: maxminddb::MaxMindDbError },
    #[error("the country database {} has no two-letter `country_code` fields", path.display())]
    NoCountries { path: PathBuf },
    #[error("cannot {doing}")]
    Io { doing: &'static str, source: io::Error },
    #[error("cannot start {program}")]
    Start { program: String, source: io::Error },
    #[error("{0}")]
    Unready(String),
    #[error("does not do the same work: {0}")]
    OtherWork(String),
    #[error("{0}")]
    Usage(&'static str),
}

impl BenchError {
    /// The error and its causes, on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
