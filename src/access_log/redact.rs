//! What of a request is kept out of the log: what is, or may be, a secret.
//!
//! Decided before anything is kept, so that a secret is not even in the memory of the log.

use http::HeaderName;

use crate::config::LoggedQuery;

/// Stands for what is left out.
pub(super) const LEFT_OUT: &[u8] = "…".as_bytes();

/// Words in the names of fields that carry secrets.
const SECRET_WORDS: [&str; 10] = [
    "authorization",
    "authentication",
    "cookie",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "session",
    "signature",
];
/// Header fields whose values have queries of their own.
const WITH_QUERY: [&str; 5] =
    ["referer", "x-original-uri", "x-original-url", "x-rewrite-url", "x-forwarded-uri"];
/// What may stand in front of a secret and is none (the registry of HTTP authentication schemes,
/// and what clouds sign requests with).
const SCHEMES: [&str; 9] = [
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hoba",
    "negotiate",
    "ntlm",
    "mutual",
    "aws4-hmac-sha256",
];
/// Longest name of a parameter or a cookie that is taken for one.
const NAME_BYTES: usize = 64;

/// What of a header field may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// All of it.
    Whole,
    /// That it is there.
    Nothing,
    /// The scheme in front of the secret.
    Scheme,
    /// The names of cookies.
    CookieNames,
    /// What stands before the query, and of that what the settings say.
    Query,
}

impl Rule {
    pub(super) fn of(name: &HeaderName) -> Self {
        let name = name.as_str();
        match name {
            "authorization" | "proxy-authorization" => Self::Scheme,
            "cookie" => Self::CookieNames,
            _ if WITH_QUERY.contains(&name) => Self::Query,
            _ if SECRET_WORDS.iter().any(|word| name.contains(word)) => Self::Nothing,
            // Tokens of Rhumb's own.
            _ if name.starts_with("rhumb-") || name.starts_with("x-rhumb-") => Self::Nothing,
            _ => Self::Whole,
        }
    }

    /// Appends what may be logged of a value.
    pub(super) fn apply(self, out: &mut Vec<u8>, value: &[u8], query: LoggedQuery) {
        match self {
            Self::Whole => out.extend_from_slice(value),
            Self::Nothing => out.extend_from_slice(LEFT_OUT),
            Self::Scheme => scheme(out, value),
            Self::CookieNames => pairs(out, value, b"; ", |byte| byte == b';'),
            Self::Query => {
                let at = value.iter().position(|byte| *byte == b'?');
                let (before, rest) = value.split_at(at.unwrap_or(value.len()));
                out.extend_from_slice(before);
                if let Some((mark, rest)) = rest.split_first() {
                    out.push(*mark);
                    self::query(out, rest, query);
                }
            }
        }
    }
}

/// Appends what may be logged of a query, which is not empty.
pub(super) fn query(out: &mut Vec<u8>, query: &[u8], logged: LoggedQuery) {
    match logged {
        LoggedQuery::Keep => out.extend_from_slice(query),
        LoggedQuery::Redact => out.extend_from_slice(LEFT_OUT),
        LoggedQuery::KeepNames => pairs(out, query, b"&", |byte| byte == b'&'),
    }
}

fn scheme(out: &mut Vec<u8>, value: &[u8]) {
    let first = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_scheme = |scheme: &&str| scheme.as_bytes().eq_ignore_ascii_case(first);
    if first.len() < value.len() && SCHEMES.iter().any(is_scheme) {
        out.extend_from_slice(first);
        out.push(b' ');
    }
    out.extend_from_slice(LEFT_OUT);
}

/// Names of `name=value`. What has no `=`, or too long a name, may be a secret by itself.
fn pairs(out: &mut Vec<u8>, value: &[u8], between: &[u8], ends: fn(u8) -> bool) {
    for (place, pair) in value.split(|byte| ends(*byte)).enumerate() {
        if place > 0 {
            out.extend_from_slice(between);
        }
        let name = pair.iter().position(|byte| *byte == b'=').and_then(|end| pair.get(..end));
        if let Some(name) = name.map(<[u8]>::trim_ascii).filter(|name| name.len() <= NAME_BYTES) {
            out.extend_from_slice(name);
            out.push(b'=');
        }
        out.extend_from_slice(LEFT_OUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(name: &str, value: &str, query: LoggedQuery) -> String {
        let mut out = Vec::new();
        Rule::of(&name.parse().unwrap()).apply(&mut out, value.as_bytes(), query);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn of_secrets_only_what_is_none_is_logged() {
        for (name, value, expected) in [
            ("user-agent", "curl/8", "curl/8"),
            ("authorization", "Bearer eyJ0.x", "Bearer …"),
            ("authorization", "basic dTpw", "basic …"),
            ("authorization", "hunter2 and more", "…"),
            ("authorization", "Bearer", "…"),
            ("proxy-authorization", "Basic eDp5", "Basic …"),
            ("cookie", "a=1; session=s3cr3t;b", "a=…; session=…; …"),
            ("x-api-key", "k", "…"),
            ("x-amz-security-token", "k", "…"),
            ("x-csrf-token", "k", "…"),
            ("x-hub-signature-256", "k", "…"),
            ("rhumb-region", "v1.x", "…"),
            ("referer", "https://a.example/p?token=s#f", "https://a.example/p?…"),
            ("referer", "https://a.example/p", "https://a.example/p"),
        ] {
            assert_eq!(logged(name, value, LoggedQuery::Redact), expected, "{name}: {value}");
        }
        let referer = "https://a.example/p?a=1&s";
        assert_eq!(logged("referer", referer, LoggedQuery::Keep), referer);
        let names = "https://a.example/p?a=…&…";
        assert_eq!(logged("referer", referer, LoggedQuery::KeepNames), names);
    }

    #[test]
    fn of_a_query_names_are_logged_where_that_is_asked_for() {
        let mut out = Vec::new();
        let long = "x".repeat(NAME_BYTES + 1);
        query(&mut out, format!("a=1&&b=&{long}=1&c").as_bytes(), LoggedQuery::KeepNames);
        assert_eq!(String::from_utf8(out).unwrap(), "a=…&…&b=…&…&…");
    }
}
