//! What is wrong with a PROXY protocol header.
//!
//! Numbers and places only: what a peer sent is not repeated, so it is safe in a log.

/// Bytes that are no PROXY protocol header. None can be mended: the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProtocolError {
    /// Neither version starts like this.
    #[error("the connection does not start with a PROXY protocol header; does the peer send one?")]
    NotAHeader,
    /// Version 1: no end of line where one has to be.
    #[error(
        "the line of a PROXY protocol header (version 1) does not end within 107 bytes in CR LF"
    )]
    Line,
    /// Version 1: a part of the line cannot be read.
    #[error("the {0} in a PROXY protocol header (version 1) cannot be read")]
    Part(Part),
    /// Version 2: a version that does not exist.
    #[error("a PROXY protocol header is of version {0}; 1 and 2 are known")]
    Version(u8),
    /// Version 2: a command that does not exist.
    #[error("a PROXY protocol header has command {0}; 0 (LOCAL) and 1 (PROXY) are known")]
    Command(u8),
    /// Version 2: a family and transport that do not exist.
    #[error("a PROXY protocol header is about addresses of an unknown kind, {0:#04x}")]
    Family(u8),
    /// Version 2: longer than is read.
    #[error(
        "a PROXY protocol header has {bytes} bytes; at most {} are read",
        crate::model::limits::PROXY_HEADER_BYTES
    )]
    TooLong {
        /// All of it.
        bytes: usize,
    },
    /// Version 2: it ends before its addresses do.
    #[error("a PROXY protocol header has {bytes} bytes for its addresses, which take {needed}")]
    Addresses {
        /// What there is.
        bytes: usize,
        /// What there should be.
        needed: usize,
    },
    /// Version 2: a value behind the addresses whose length cannot be.
    #[error("a PROXY protocol header has a value of type {kind:#04x} whose length cannot be")]
    Value {
        /// Its type; 0 if not even that is there.
        kind: u8,
    },
    /// Version 2: more than one checksum.
    #[error("a PROXY protocol header has more than one checksum")]
    Checksums,
    /// Version 2: the checksum is another one.
    #[error(
        "a PROXY protocol header does not have the checksum that it says; it was damaged on its way"
    )]
    Checksum,
}

/// A part of the line of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `TCP4`, `TCP6` or `UNKNOWN`.
    Family,
    /// The client's address.
    Source,
    /// The address that it connected to.
    Destination,
    /// The client's port.
    SourcePort,
    /// The port that it connected to.
    DestinationPort,
    /// What stands behind the last port.
    End,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Family => "family",
            Self::Source => "source address",
            Self::Destination => "destination address",
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
            Self::End => "end of the line",
        })
    }
}
