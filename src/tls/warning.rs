//! What is wrong with files that can be used all the same.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::certificate::{CertificateInfo, Validity};

/// Something about a file that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsWarning {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub message: String,
}

impl fmt::Display for TlsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.message)
    }
}

impl TlsWarning {
    fn new(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into() }
    }

    pub(super) fn public_key_file(file: &Path) -> Self {
        Self::new(
            file,
            "every user of this machine can read the private key; take that away with `chmod o-r`",
        )
    }

    pub(super) fn chain_order(file: &Path, number: usize) -> Self {
        let next = number + 1;
        Self::new(
            file,
            format!(
                "certificate {number} is not issued by certificate {next}; clients may not find the \
                 way to a root: put each one's issuer behind it"
            ),
        )
    }

    pub(super) fn no_names(file: &Path) -> Self {
        Self::new(
            file,
            "the certificate is for no host and no address (it has no subject alternative names); no \
             client of today accepts it",
        )
    }

    pub(super) fn revoked(file: &Path) -> Self {
        Self::new(file, "the OCSP response says that the certificate is revoked; replace it")
    }

    pub(super) fn not_known(file: &Path) -> Self {
        Self::new(file, "the OCSP response says that the certificate is not known to its issuer")
    }

    pub(super) fn stale_staple(file: &Path) -> Self {
        Self::new(
            file,
            "the OCSP response is past its next update, and is not sent; write a newer one to the file",
        )
    }

    /// What is to be said of a certificate's time, and whether it is over.
    pub fn of_time(info: &CertificateInfo, now: SystemTime) -> Option<(Self, Validity)> {
        let (name, days) = (info.name(), info.days_left(now));
        let validity = info.validity(now);
        let message = match validity {
            Validity::Valid => return None,
            Validity::NotYet => {
                format!("the certificate of {name} is not valid yet; is the clock right?")
            }
            Validity::EndsSoon => {
                let plural = if days == 1 { "" } else { "s" };
                format!("the certificate of {name} expires in {days} day{plural}; renew it")
            }
            Validity::Expired => format!("the certificate of {name} has expired; renew it"),
        };
        Some((Self::new(&info.file, message), validity))
    }
}
