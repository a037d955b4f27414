//! Traces: what accepted settings mean, and what is said of others.

use std::path::Path;
use std::time::Duration;

use super::super::{Severity, TraceParents, Tracing, diff};
use super::{BASE, read};
use crate::model::limits;

const OTLP: &str = "otlp: { endpoint: \"http://10.0.0.9:4318\" }";

fn with(fields: &str) -> String {
    format!("{BASE}tracing: {{ {fields} }}\n")
}

#[track_caller]
fn tracing(fields: &str) -> Tracing {
    let loaded = read(&with(fields)).unwrap_or_else(|errors| panic!("{fields}\n{errors}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config.tracing.unwrap()
}

#[test]
fn defaults_of_traces_are_those_of_the_documentation() {
    assert_eq!(read(BASE).unwrap().config.tracing, None);
    let found = tracing(OTLP);
    assert_eq!((found.sample, found.parents), (0.01, TraceParents::Follow));
    assert_eq!((&*found.service_name, found.otlp.timeout), ("rhumb", limits::OTLP_TIMEOUT));
    assert_eq!(limits::OTLP_TIMEOUT, Duration::from_secs(10));
    assert_eq!(found.otlp.tls.ca, None);
    let written = format!("{OTLP}, sample: 0.01, parent: follow, service_name: rhumb");
    assert_eq!(tracing(&written), found);
}

#[test]
fn receivers_have_an_address_and_a_path() {
    for (text, expected) in [
        ("http://10.0.0.9:4318", "http://10.0.0.9:4318/v1/traces"),
        ("http://10.0.0.9:4318/", "http://10.0.0.9:4318/v1/traces"),
        ("HTTP://Collector", "http://collector:80/v1/traces"),
        ("https://otlp.example.com", "https://otlp.example.com:443/v1/traces"),
        ("https://otlp.example.com/otlp", "https://otlp.example.com:443/otlp/v1/traces"),
        ("https://otlp.example.com/otlp/v1/traces", "https://otlp.example.com:443/otlp/v1/traces"),
        ("http://[::1]:4318/a/b/", "http://[::1]:4318/a/b/v1/traces"),
    ] {
        let found = tracing(&format!("otlp: {{ endpoint: \"{text}\", protocol: http }}"));
        assert_eq!(format!("{}{}", found.otlp.url, found.otlp.path), expected);
    }
    let found = tracing("otlp: { endpoint: \"https://c\", ca: c.pem, timeout_seconds: 0.5 }");
    assert_eq!(found.otlp.tls.ca.as_deref(), Some(Path::new("/etc/rhumb/c.pem")));
    assert_eq!(found.otlp.timeout, Duration::from_millis(500));
}

#[test]
fn broken_settings_are_told_where_they_are() {
    let endpoint = |text: &str| format!("otlp: {{ endpoint: \"{text}\" }}");
    let more = |fields: &str| format!("{OTLP}, {fields}");
    for (fields, path, part) in [
        (String::new(), "tracing.otlp", "is missing"),
        ("otlp: {}".to_owned(), "tracing.otlp.endpoint", "is missing"),
        ("otlp: http://10.0.0.9:4318".to_owned(), "tracing.otlp", "expected a mapping"),
        (endpoint(""), "tracing.otlp.endpoint", "has no scheme"),
        (endpoint("10.0.0.9:4318"), "tracing.otlp.endpoint", "has no scheme"),
        (endpoint("grpc://10.0.0.9:4317"), "tracing.otlp.endpoint", "has a scheme other"),
        (endpoint("h2c://10.0.0.9:4317"), "tracing.otlp.endpoint", "not HTTP/1.1"),
        (endpoint("http://u:p@10.0.0.9"), "tracing.otlp.endpoint", "has a user name"),
        (endpoint("http://10.0.0.9/a?b=c"), "tracing.otlp.endpoint", "has a bad path"),
        (endpoint("http://10.0.0.9/ä"), "tracing.otlp.endpoint", "has a bad path"),
        (endpoint("http:///a"), "tracing.otlp.endpoint", "has a bad host"),
        (
            "otlp: { endpoint: \"http://a\", protocol: grpc }".to_owned(),
            "tracing.otlp.protocol",
            "not one of the choices",
        ),
        (
            "otlp: { endpoint: \"http://a\", ca: c.pem }".to_owned(),
            "tracing.otlp.ca",
            "nothing without TLS",
        ),
        (
            "otlp: { endpoint: \"http://a\", timeout_seconds: 0 }".to_owned(),
            "tracing.otlp.timeout_seconds",
            "from 0.1 to 60 seconds",
        ),
        (more("sample: 1.5"), "tracing.sample", "from 0 to 1"),
        (more("sample: -0.1"), "tracing.sample", "from 0 to 1"),
        (more("sample: all"), "tracing.sample", "expected a number"),
        (more("parent: maybe"), "tracing.parent", "not one of the choices"),
        (more("service_name: \"\""), "tracing.service_name", "cannot be a name"),
        (more("service_name: \"a\\nb\""), "tracing.service_name", "cannot be a name"),
        (more("sampel: 1"), "tracing.sampel", "unknown field"),
    ] {
        let Err(errors) = read(&with(&fields)) else { panic!("accepted: {fields}") };
        let found: Vec<_> = errors.iter().filter(|it| it.severity == Severity::Error).collect();
        assert_eq!(found.len(), 1, "{fields}\n{errors}");
        assert_eq!(found[0].path, path, "{fields}\n{errors}");
        assert!(found[0].message.contains(part), "{fields}\n{errors}");
    }
}

#[test]
fn trust_in_nobody_is_probably_not_meant() {
    let loaded = read(&with(&format!("{OTLP}, parent: trusted"))).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].path, "tracing.parent");
    let trusting = format!("client: {{ trusted_proxies: [10.0.0.1] }}\n{BASE}");
    let text = format!("{trusting}tracing: {{ {OTLP}, parent: trusted }}\n");
    assert!(read(&text).unwrap().warnings.is_empty());
}

#[test]
fn a_reload_tells_what_changes() {
    let config = |fields: &str| read(&with(fields)).unwrap().config;
    let one = config(OTLP);
    let two = config(&format!("{OTLP}, sample: 0.5, service_name: edge"));
    let told: Vec<_> = diff(&one, &two).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["tracing.sample: 0.01 -> 0.5", "tracing.service_name: rhumb -> edge"]);
    let none = read(BASE).unwrap().config;
    assert_eq!(diff(&none, &one).len(), 5);
    assert!(diff(&one, &one.clone()).is_empty());
    assert!(diff(&none, &one).iter().all(|change| !change.needs_restart));
}
