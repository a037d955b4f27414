//! Why a token was not believed: words for metrics and logs.

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum TokenRefusal {
    /// It is no token, or not whole.
    Malformed,
    /// No key of that name is configured.
    UnknownKey,
    /// The signature does not fit.
    Forged,
    /// Its time is over, or has not come.
    Expired,
    /// It is valid, but for another purpose, deployment, issuer or audience.
    Misplaced,
}

impl TokenRefusal {
    /// Every kind, for metrics that show one series a kind.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::UnknownKey, Self::Forged, Self::Expired, Self::Misplaced];

    /// The word used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Misplaced => "misplaced",
        }
    }
}
