//! Words of Rhumb's configuration that this version does not have yet. They are errors like any
//! unknown word, but the message says so, because the reader has met them in a newer manual.

/// Shape, fields, and what to do without them.
const FIELDS: &[(&str, &[&str], &str)] = &[
    ("Admin", &["token", "tokens", "tls"], "remove it, and keep the admin address private"),
    ("Deployment", &["hooks", "safety"], "remove it; watch the log and the metrics instead"),
    ("HealthCheck", &["steps", "service"], "remove it; checks are of type `http`"),
    ("Failover", &["failback"], "remove it; regions come back by themselves"),
    ("Failover", &["hold_seconds", "ramp"], "remove it; a region comes back at once"),
    ("Retries", &["budget_percent"], "remove it; only `attempts` limits retries"),
];

/// Choice, and words that it will have.
const VALUES: &[(&str, &[&str])] = &[("CheckType", &["tcp", "grpc", "script"]), ("Alpn", &["h3"])];

/// What to do without a field, when it is one of those.
pub(super) fn field(shape: &str, name: &str) -> Option<&'static str> {
    FIELDS
        .iter()
        .find(|(of, fields, _)| *of == shape && fields.contains(&name))
        .map(|(_, _, help)| *help)
}

/// Whether the word is one of those.
pub(super) fn is_value(choice: &str, word: &str) -> bool {
    VALUES.iter().any(|(of, words)| *of == choice && words.contains(&word))
}
