//! How names are looked up, and endpoints that are names of services.

use std::time::Duration;

use super::super::Names;
use super::{BASE, read, with_line};
use crate::model::{Question, Sought};

fn names(fields: &str) -> Result<Names, String> {
    let text = format!("names: {{ {fields} }}\n{BASE}");
    match read(&text) {
        Ok(loaded) => Ok(loaded.config.names),
        Err(errors) => Err(errors.to_string()),
    }
}

#[test]
fn what_is_not_written_has_a_default_that_gives_way() {
    assert_eq!(read(BASE).unwrap().config.names, Names::default());
    assert_eq!(names("").unwrap(), Names::default());
    let seconds = Duration::from_secs;
    let both = |fields| names(fields).map(|names| (names.min_ttl, names.max_ttl)).unwrap();
    assert_eq!(both(""), (seconds(1), seconds(300)));
    assert_eq!(both("min_ttl_seconds: 600"), (seconds(600), seconds(600)));
    assert_eq!(both("max_ttl_seconds: 0.5"), (seconds(1) / 2, seconds(1) / 2));
    assert_eq!(both("min_ttl_seconds: 2, max_ttl_seconds: 2"), (seconds(2), seconds(2)));
    let servers = names("servers: [10.0.0.2, \"10.0.0.3:5353\", fd00::2, \"[fd00::3]:54\"]");
    let servers: Vec<_> = servers.unwrap().servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.2:53", "10.0.0.3:5353", "[fd00::2]:53", "[fd00::3]:54"]);
}

#[test]
fn what_cannot_be_is_told() {
    for (fields, part) in [
        ("servers: []", "0 servers"),
        (
            "servers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8, 1.1.1.9]",
            "9 servers",
        ),
        ("servers: [dns.example]", "not the address of a DNS server"),
        ("servers: [\"10.0.0.1:0\"]", "not the address of a DNS server"),
        ("servers: [0.0.0.0]", "not the address of a DNS server"),
        ("servers: [10.0.0.1, \"10.0.0.1:53\"]", "twice"),
        ("min_ttl_seconds: 0.01", "not in the range"),
        ("max_ttl_seconds: 86401", "not in the range"),
        ("timeout_seconds: 61", "not in the range"),
        ("min_ttl_seconds: 9, max_ttl_seconds: 8", "longer than `max_ttl_seconds`"),
        ("ttl_seconds: 9", "unknown field"),
    ] {
        let error = names(fields).unwrap_err();
        assert!(error.contains(part), "{fields}: {error}");
    }
}

#[test]
fn a_service_goes_by_its_domain_and_is_asked_for_by_its_name() {
    for (url, shown, name) in [
        ("http://_http._tcp.api.internal", "http://api.internal:80", "_http._tcp.api.internal"),
        (
            "https://_HTTPS._tcp.API.internal.",
            "https://api.internal.:443",
            "_https._tcp.api.internal.",
        ),
        ("http://api.service.consul", "http://api.service.consul:80", "api.service.consul"),
        ("http://_tcp", "http://_tcp:80", "_tcp"),
    ] {
        let text = with_line(8, &format!("    endpoints: [{{ url: \"{url}\", srv: true }}]"));
        let loaded = read(&text).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let endpoint = &loaded.config.regions[0].endpoints[0];
        assert_eq!(endpoint.url.to_string(), shown);
        let question = Question { name: name.into(), sought: Sought::Service };
        assert_eq!(endpoint.question(), Some(question.clone()));
        assert!(loaded.config.questions().contains(&question));
    }
    for (endpoint, part) in [
        ("{ url: \"http://10.0.0.1\", srv: true }", "which has no SRV records"),
        ("{ url: \"http://_http._tcp.a:81\", srv: true }", "has a port"),
        ("{ url: \"http://a\", srv: maybe }", "expected true or false"),
        ("{ url: \"http://a.b\", srv: true }, { url: \"http://a.b\", srv: true }", "twice"),
    ] {
        let text = with_line(8, &format!("    endpoints: [{endpoint}]"));
        let errors = read(&text).unwrap_err().to_string();
        assert!(errors.contains(part), "{endpoint}: {errors}");
    }
    let both = "{ url: \"http://_a._tcp.b\", srv: true }, { url: \"http://b\" }";
    assert!(read(&with_line(8, &format!("    endpoints: [{both}]"))).is_ok());
    let plain = read(&with_line(8, "    endpoints: [\"http://_http._tcp.api.internal\"]")).unwrap();
    assert!(plain.warnings[0].message.contains("looks like the name of a service"));
}
