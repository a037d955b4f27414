//! Why a GeoIP database was refused: which file, what is wrong with it, what to do.

use std::io;
use std::path::{Path, PathBuf};

use maxminddb::MaxMindDbError;

/// A GeoIP database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file cannot be read.
    #[error(
        "cannot read the GeoIP database {}: {source}; check the path and the file's permissions, \
         or fetch a database with geoip/update", .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any database should be.
    #[error(
        "the GeoIP database {} is larger than {limit} bytes; use a country or city database, \
         not an archive of several", .path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read.
        limit: u64,
    },
    /// The file is not a database in MaxMind's format, or its metadata are damaged.
    #[error(
        "{} is not a usable MaxMind DB (.mmdb) file: {source}; it may be cut short or still packed: \
         fetch it again and unpack it", .path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: MaxMindDbError,
    },
    /// The search tree is damaged.
    #[error("the GeoIP database {} is damaged: {problem}; fetch it again", .path.display())]
    Tree {
        /// The file.
        path: PathBuf,
        /// What is wrong with the tree.
        problem: TreeProblem,
    },
    /// A record is damaged.
    #[error(
        "the GeoIP database {} is damaged: the record of {network} cannot be read: {source}; \
         fetch it again", .path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// The first network that has this record.
        network: ipnet::IpNet,
        /// What the decoder said.
        source: MaxMindDbError,
    },
    /// The file is sound, but it is about something else.
    #[error(
        "the GeoIP database {} (type {database_type:?}) has no record with {wanted}; \
         use it for what it is made for, or choose another file", .path.display()
    )]
    NothingUseful {
        /// The file.
        path: PathBuf,
        /// What the file says it is.
        database_type: String,
        /// What was looked for.
        wanted: &'static str,
    },
}

impl GeoError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Format { path, .. }
            | Self::Tree { path, .. }
            | Self::Record { path, .. }
            | Self::NothingUseful { path, .. } => path,
        }
    }
}

/// What is wrong with a search tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeProblem {
    /// A node lies outside the file.
    #[error("its search tree names a node outside the file")]
    OutOfFile,
    /// A path is longer than an address.
    #[error("a path in its search tree is longer than an address (the tree has a cycle)")]
    TooDeep,
    /// More nodes were met than there are.
    #[error("its search tree reaches nodes on more than one path")]
    NotATree,
    /// A leaf points between the tree and the records.
    #[error("its search tree points into the gap before the records")]
    BadPointer,
    /// More distinct ranges than can be numbered.
    #[error("it has more address ranges than can be held")]
    TooManyRanges,
}
