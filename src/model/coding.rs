//! Content codings that responses can be compressed with (RFC 9110 section 8.4.1).

use http::HeaderValue;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`, in configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of that name; upper and lower case are the same, and `x-gzip` is `gzip`
    /// (RFC 9110 section 8.4.1.3).
    pub fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| coding.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The value of `Content-Encoding`.
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_list_and_names_are_read_again() {
        for (place, coding) in Coding::ALL.into_iter().enumerate() {
            assert_eq!(coding as usize, place);
            assert_eq!(Coding::of(coding.as_str().to_uppercase().as_bytes()), Some(coding));
        }
        assert_eq!(Coding::of(b"X-Gzip"), Some(Coding::Gzip));
        for other in [&b""[..], b"identity", b"deflate", b"compress", b"gzip ", b"*", b"x-br"] {
            assert_eq!(Coding::of(other), None);
        }
    }
}
