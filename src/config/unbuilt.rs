//! Words of Rhumb's configuration that this version does not have yet. They are errors like any
//! unknown word, but the message says so, because the reader has met them in a newer manual.

/// Shape, fields, and what to do without them.
const FIELDS: &[(&str, &[&str], &str)] = &[
    ("File", &["tenants"], "remove it; tenants cannot be told apart yet"),
    ("Listener", &["tls"], "remove it, and end TLS in front of Rhumb"),
    (
        "Listener",
        &["proxy_protocol"],
        "remove it; use `client.trusted_proxies` and X-Forwarded-For",
    ),
    ("Admin", &["token", "tokens", "tls"], "remove it, and keep the admin address private"),
    (
        "Latency",
        &["soft_ttl_seconds", "hard_ttl_seconds"],
        "remove it; rows of the table do not age yet",
    ),
    ("Region", &["compliance"], "remove it; list the regions each deployment may use instead"),
    ("Region", &["cost_multiplier"], "remove it; there is no `cost` strategy yet"),
    ("Region", &["max_in_flight"], "remove it; regions have no capacity limit yet"),
    ("Deployment", &["tenant"], "remove it; tenants cannot be told apart yet"),
    (
        "Deployment",
        &["residency"],
        "remove it; list only regions that may see the requests instead",
    ),
    (
        "Deployment",
        &["writes", "affinity"],
        "remove it; every request is routed by the same strategy",
    ),
    (
        "Deployment",
        &["latency_tolerance_ms"],
        "remove it; the region with the lowest latency is taken",
    ),
    ("Deployment", &["hooks", "safety"], "remove it; watch the log and the metrics instead"),
    (
        "Rule",
        &[
            "hosts",
            "path_prefixes",
            "methods",
            "source_continents",
            "source_subdivisions",
            "source_cidrs",
            "source_asns",
            "tenants",
            "percent",
        ],
        "remove it; rules have `source_countries` and `header_conditions`",
    ),
    ("HealthCheck", &["steps", "service"], "remove it; checks are of type `http`"),
    ("Failover", &["failback"], "remove it; regions come back by themselves"),
    ("Failover", &["hold_seconds", "ramp"], "remove it; a region comes back at once"),
    ("Retries", &["budget_percent"], "remove it; only `attempts` limits retries"),
];

/// Choice, and words that it will have.
const VALUES: &[(&str, &[&str])] = &[
    ("Strategy", &["capacity", "cost", "health", "compliance"]),
    ("CheckType", &["tcp", "grpc", "script"]),
];

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
