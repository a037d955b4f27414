//! Lines: whole, harmless, and as others read them.

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use proptest::prelude::*;
use serde_json::json;

use super::super::logger::Ending;
use super::super::moment::Moments;
use super::super::{Entry, Head, Name, Secured, line};
use super::{ending, name, object, settings, sheet};
use crate::config::{AccessLog, LogFormat, LogPiece, LogTarget, LoggedQuery};

/// One line of what a client sent.
fn line(settings: AccessLog, ending: &Ending<'_>, note: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let sheet = sheet(settings);
    let mut entry = Entry::new(Rc::clone(&sheet), 1_700_000_000_123);
    note(&mut entry);
    let mut out = Vec::new();
    line::write(&mut out, &sheet, &entry.record(ending, &Moments::default()));
    out
}

fn head<'a>(path: &'a str, query: &'a str, headers: &'a HeaderMap) -> Head<'a> {
    let version = Version::HTTP_2;
    Head { method: "GET", host: "api.example.com", path, query, version, headers }
}

/// Names of a deployment, and of regions and endpoints of two attempts.
pub(super) fn names() -> [Rc<Name>; 5] {
    ["api", "us", "http://10.0.0.1:80", "eu", "http://10.0.0.2:80"].map(name)
}

/// Takes every note there is; what has names is told them.
pub(super) fn everything(entry: &mut Entry, headers: &HeaderMap, names: &[Rc<Name>; 5]) {
    let [deployment, us, first, eu, second] = names;
    entry.head(&head("/v1/a", "token=s", headers));
    entry.id(b"0f");
    entry.trace_id(b"4bf9");
    entry.client("2001:db8::1".parse().unwrap());
    entry.country(Some("DE".parse().unwrap()));
    entry.tenant("acme");
    entry.deployment(Rc::clone(deployment));
    entry.decided("rule", Some("eu_users"), 7);
    entry.attempt(Rc::clone(us), Rc::clone(first));
    entry.connected(Duration::from_millis(1));
    entry.attempt_ended("reset", None);
    entry.attempt(Rc::clone(eu), Rc::clone(second));
    entry.attempt_ended("ok", Some(Duration::from_micros(2_500)));
    entry.cut("client_left");
    entry.cut("too late to count");
    entry.received(3);
    entry.sent(4);
    entry.sent(5);
}

#[test]
fn a_line_has_all_that_is_known() {
    let logged = ["user-agent", "authorization", "x-absent"].map(HeaderName::from_static);
    let mut headers = HeaderMap::new();
    headers.append("user-agent", HeaderValue::from_static("curl \"8\""));
    headers.append("user-agent", HeaderValue::from_static("x"));
    headers.append("authorization", HeaderValue::from_static("Bearer s3cr3t"));
    let settings = AccessLog { headers: logged.to_vec(), ..settings(LogTarget::Stdout) };
    let secured =
        Secured { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", sni: "a.example" };
    let ending = Ending { secured: Some(secured), ..ending(200) };
    let line = line(settings, &ending, |entry| everything(entry, &headers, &names()));
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z",
        "id": "0f",
        "trace_id": "4bf9",
        "client": "2001:db8::1",
        "peer": "192.0.2.7",
        "country": "DE",
        "tenant_hash": object(&line)["tenant_hash"],
        "method": "GET",
        "host": "api.example.com",
        "path": "/v1/a",
        "query": "…",
        "protocol": "HTTP/2",
        "tls": { "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "sni": "a.example" },
        "deployment": "api",
        "region": "eu",
        "endpoint": "http://10.0.0.2:80",
        "reason": "rule",
        "rule": "eu_users",
        "generation": 7,
        "attempts": [
            { "region": "us", "endpoint": "http://10.0.0.1:80", "connect_ms": 1.0, "outcome": "reset" },
            { "region": "eu", "endpoint": "http://10.0.0.2:80", "first_byte_ms": 2.5, "outcome": "ok" },
        ],
        "status": 200,
        "cut": "client_left",
        "bytes_in": 3,
        "bytes_out": 9,
        "duration_ms": 12.345,
        "headers": { "user-agent": "curl \"8\", x", "authorization": "Bearer …" },
    });
    assert_eq!(object(&line), expected);
    assert!(!String::from_utf8(line).unwrap().contains("s3cr3t"));
}

#[test]
fn a_request_of_which_nothing_is_known_is_a_line_as_well() {
    let line = line(settings(LogTarget::Stdout), &ending(400), |entry| entry.refused("malformed"));
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z", "client": "192.0.2.7", "peer": "192.0.2.7",
        "status": 400, "error": "malformed", "bytes_in": 0, "bytes_out": 0, "duration_ms": 12.345,
    });
    assert_eq!(object(&line), expected);
}

#[test]
fn a_template_is_filled_in_and_cannot_be_broken_out_of() {
    use crate::config::LogField::{Attempts, Client, Path, Query, Region, Status, TraceId};
    let field = LogPiece::Field;
    let text = |text: &str| LogPiece::Text(text.into());
    let pieces = vec![
        field(Client),
        text(" "),
        field(Status),
        text(" \""),
        field(Path),
        text("\" "),
        field(Query),
        text(" "),
        field(Region),
        text(" "),
        field(Attempts),
        text(" "),
        field(TraceId),
        text(" "),
        LogPiece::Header(0),
        text(" "),
        LogPiece::Header(1),
    ];
    let settings = AccessLog {
        format: LogFormat::Template(pieces),
        headers: ["user-agent", "x-absent"].map(HeaderName::from_static).to_vec(),
        ..settings(LogTarget::Stdout)
    };
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_bytes(b"a\" 200 \xff\\").unwrap());
    let line = line(settings, &ending(502), |entry| {
        entry.head(&head("/a", "", &headers));
        entry.attempt(name("us"), name("http://a:1"));
    });
    let expected = "192.0.2.7 502 \"/a\" - us 1 - a\\x22 200 \\xff\\x5c -\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[test]
fn long_values_are_cut_between_characters_and_many_attempts_keep_the_last() {
    let headers = HeaderMap::new();
    let line = line(settings(LogTarget::Stdout), &ending(200), |entry| {
        entry.head(&head(&"é".repeat(3_000), &"x".repeat(5_000), &headers));
        for number in 0..100 {
            entry.attempt(name(&format!("r{number}")), name("http://a:1"));
        }
    });
    let object = object(&line);
    assert_eq!(object["path"], format!("{}…", "é".repeat(2_048)));
    assert_eq!(object["attempts"].as_array().unwrap().len(), 16);
    assert_eq!(object["region"], "r99");
    assert_eq!(object["attempts"][14]["region"], "r14");
    assert_eq!(object["attempts"][15]["outcome"], "abandoned");
}

#[test]
fn an_entry_that_is_used_again_remembers_nothing() {
    let sheet = sheet(settings(LogTarget::Stdout));
    let mut entry = Entry::new(Rc::clone(&sheet), 1);
    everything(&mut entry, &HeaderMap::new(), &names());
    entry.renew(&sheet, 1_700_000_000_123);
    let (mut used, mut new) = (Vec::new(), Vec::new());
    line::write(&mut used, &sheet, &entry.record(&ending(200), &Moments::default()));
    let fresh = Entry::new(Rc::clone(&sheet), 1_700_000_000_123);
    line::write(&mut new, &sheet, &fresh.record(&ending(200), &Moments::default()));
    assert_eq!(used, new);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        ".{0,40}".prop_map(String::into_bytes),
    ]
}

proptest! {
    /// Whatever clients send, wherever it ends up: one line, valid JSON, each value as it was.
    #[test]
    fn every_line_is_valid_json(
        (method, host, path, query) in (".{0,20}", ".{0,40}", ".{0,60}", ".{0,60}"),
        (id, trace) in (bytes(), bytes()),
        (deployment, region, endpoint) in (".{0,20}", ".{0,20}", ".{0,20}"),
        (rule, tenant) in (".{0,20}", ".{0,20}"),
        sni in ".{0,20}",
        value in bytes(),
        keep in any::<bool>(),
        (status, micros, sent) in (any::<u16>(), any::<u64>(), any::<u64>()),
    ) {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(&value).ok();
        if let Some(value) = &value {
            headers.insert("x-a", value.clone());
        }
        let settings = AccessLog {
            headers: vec![HeaderName::from_static("x-a")],
            query: if keep { LoggedQuery::Keep } else { LoggedQuery::KeepNames },
            ..settings(LogTarget::Stdout)
        };
        let secured = Some(Secured { version: "TLSv1.2", cipher: "", sni: &sni });
        let duration = Duration::from_micros(micros);
        let ending = Ending { status, duration, peer: b"::1", secured, entropy: 0 };
        let line = line(settings, &ending, |entry| {
            let version = Version::HTTP_11;
            let (path, query, headers) = (&*path, &*query, &headers);
            entry.head(&Head { method: &method, host: &host, path, query, version, headers });
            entry.id(&id);
            entry.trace_id(&trace);
            entry.tenant(&tenant);
            entry.decided("rule", Some(&rule), 1);
            entry.deployment(name(&deployment));
            entry.attempt(name(&region), name(&endpoint));
            entry.sent(sent);
        });
        let object = object(&line);
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        prop_assert_eq!(text("method"), method);
        prop_assert_eq!(text("path"), path);
        prop_assert_eq!(text("id"), String::from_utf8_lossy(&id));
        prop_assert_eq!(text("rule"), rule);
        prop_assert_eq!(text("deployment"), deployment);
        prop_assert_eq!(text("region"), &*region);
        prop_assert_eq!(text("endpoint"), &*endpoint);
        prop_assert_eq!(&object["attempts"][0]["region"], &region);
        prop_assert_eq!(&object["attempts"][0]["endpoint"], &endpoint);
        prop_assert_eq!(object["bytes_out"].as_u64(), Some(sent));
        if keep {
            prop_assert_eq!(text("query"), query);
        }
        let logged = object["headers"]["x-a"].as_str();
        let expected = value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
        prop_assert_eq!(logged, expected.as_deref());
    }
}
