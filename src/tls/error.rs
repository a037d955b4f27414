//! Files that cannot be used for TLS, and what to do about each.

use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::InvalidDnsNameError;

use super::ocsp::StapleError;

/// A file or setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than such a file may be.
    #[error("{} has more than {limit} bytes: that is no file of certificates or keys", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What it may have.
        limit: u64,
    },
    /// There is nothing in it.
    #[error("{} is empty; write the file beside it and rename it, so that it is never seen half done", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is not text with PEM sections.
    #[error(
        "{} is in DER and not in PEM; convert it with `openssl {command} -inform DER -in FILE -out FILE.pem`",
        .path.display()
    )]
    Der {
        /// The file.
        path: PathBuf,
        /// The command of OpenSSL that reads it.
        command: &'static str,
    },
    /// A section of it is broken.
    #[error("{} has a broken PEM section: copy the file again, as a whole", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is broken.
        source: rustls_pki_types::pem::Error,
    },
    /// It has no certificate.
    #[error("{} has no certificate: a section `BEGIN CERTIFICATE` is needed", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// One of its certificates cannot be read.
    #[error("certificate {number} of {} is not a certificate that can be used: {reason}", .path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// Why not.
        reason: String,
    },
    /// A chain of so many certificates is no chain.
    #[error(
        "{} has more than {limit} certificates; it is to have the server's own and its intermediates, not a list of roots",
        .path.display()
    )]
    LongChain {
        /// The file.
        path: PathBuf,
        /// What it may have.
        limit: usize,
    },
    /// It has no private key.
    #[error("{} has no private key: a section `BEGIN PRIVATE KEY` is needed", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key asks for a password, and nobody is there to type it.
    #[error(
        "the private key in {} is encrypted; decrypt it with `openssl pkey -in FILE -out FILE.plain`, and keep the file readable for rhumb alone",
        .path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind or size that is not supported.
    #[error("the private key in {} cannot be used; use ECDSA (P-256), Ed25519 or RSA of 2048 bits or more", .path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Certificate and key are not of one pair.
    #[error(
        "the private key in {} does not belong to the certificate in {}; when both are replaced, replace both",
        .key.display(), .certificate.display()
    )]
    KeyMismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate that the key belongs to is in the chain, but not at its start.
    #[error(
        "the private key in {} belongs to certificate {number} of {}; put that one first, and each one's issuer behind it",
        .key.display(), .certificate.display()
    )]
    LeafNotFirst {
        /// The file of the chain.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Which one it belongs to, from 1.
        number: usize,
    },
    /// The OCSP response cannot be stapled.
    #[error("{} cannot be stapled to the certificate in {}", .path.display(), .certificate.display())]
    Staple {
        /// The file of the response.
        path: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
        /// Why not.
        source: StapleError,
    },
    /// The system trusts nobody, and an endpoint is to be verified.
    #[error(
        "the system has no trusted roots, which https endpoints are verified by{}; install its `ca-certificates`, or name a file with `ca` in the `tls` of the region",
        .reasons
    )]
    NoSystemRoots {
        /// What the system said, if it did.
        reasons: String,
    },
    /// A name that cannot be asked for.
    #[error(
        "`{name}` is not a name that TLS can verify; set `server_name` in the `tls` of the region"
    )]
    ServerName {
        /// The name.
        name: String,
        /// Why not.
        source: InvalidDnsNameError,
    },
    /// Two listeners that cannot be told apart.
    #[error(
        "two listeners at {listener} have different `tls`; with port 0, give them addresses of their own, such as 127.0.0.1 and 127.0.0.2"
    )]
    SameListener {
        /// Their address.
        listener: std::net::SocketAddr,
    },
    /// What the library says of the whole.
    #[error("TLS cannot be set up for {what}")]
    Setup {
        /// For whom.
        what: String,
        /// Why.
        source: rustls::Error,
    },
}

impl TlsError {
    /// The file to look at, if it is about one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Empty { path }
            | Self::Der { path, .. }
            | Self::Pem { path, .. }
            | Self::NoCertificate { path }
            | Self::BadCertificate { path, .. }
            | Self::LongChain { path, .. }
            | Self::NoKey { path }
            | Self::EncryptedKey { path }
            | Self::UnusableKey { path, .. }
            | Self::Staple { path, .. } => Some(path),
            Self::KeyMismatch { certificate, .. } | Self::LeafNotFirst { certificate, .. } => {
                Some(certificate)
            }
            Self::NoSystemRoots { .. }
            | Self::ServerName { .. }
            | Self::SameListener { .. }
            | Self::Setup { .. } => None,
        }
    }
}
