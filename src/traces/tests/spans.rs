//! What spans say of a record.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Version};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::super::context::TraceContext;
use super::super::record::{DecisionNote, RequestSpan};
use super::super::spans::{Moment, push};
use super::{attempt, record};

fn spans(record: &RequestSpan) -> Vec<SpanData> {
    let mut batch = Vec::new();
    push(&mut batch, record, &InstrumentationScope::builder("rhumb").build(), Moment::now());
    batch
}

fn attributes(span: &SpanData) -> BTreeMap<String, String> {
    let all = span.attributes.iter();
    let found: BTreeMap<_, _> =
        all.map(|it| (it.key.to_string(), it.value.as_str().into_owned())).collect();
    assert_eq!(found.len(), span.attributes.len(), "one is there twice");
    found
}

#[test]
fn a_request_and_its_attempt() {
    let mut it = record();
    it.decision = Some(DecisionNote {
        deployment: "api".into(),
        region: Some("eu".into()),
        reason: "nearest",
        rule: Some("first".into()),
        generation: 7,
    });
    it.state = Some(HeaderValue::from_static("foo=1,bar=2"));
    it.status = Some(200);
    it.last_attempt().unwrap().answer = Some((200, Version::HTTP_2));
    it.ended = it.started + Duration::from_millis(250);
    let all = spans(&it);
    let [server, client] = &all[..] else { panic!("{all:?}") };

    assert_eq!((&server.span_kind, &*server.name), (&SpanKind::Server, "GET"));
    assert_eq!((&client.span_kind, &*client.name), (&SpanKind::Client, "GET"));
    assert_eq!(server.span_context.trace_id(), client.span_context.trace_id());
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    assert_eq!(server.span_context.trace_state().header(), "foo=1,bar=2");
    assert_eq!(
        server.end_time.duration_since(server.start_time).unwrap(),
        Duration::from_millis(250)
    );
    assert!(server.start_time.elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(client.end_time, server.end_time, "the last attempt ends with its request");
    assert_eq!((&server.status, &client.status), (&Status::Unset, &Status::Unset));

    let found = attributes(server);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/a/b"),
        ("server.address", "api.test"),
        ("server.port", "8443"),
        ("client.address", "198.51.100.7"),
        ("network.peer.address", "10.0.0.1"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "200"),
        ("rhumb.deployment", "api"),
        ("rhumb.region", "eu"),
        ("rhumb.reason", "nearest"),
        ("rhumb.rule", "first"),
        ("rhumb.generation", "7"),
        ("rhumb.request_id", "id-1"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}: {found:#?}");
    }
    assert!(!found.contains_key("error.type") && !found.contains_key("url.query"));
    let found = attributes(client);
    for (key, value) in [
        ("url.full", "http://[2001:db8::1]:81/a/b"),
        ("server.address", "2001:db8::1"),
        ("server.port", "81"),
        ("network.protocol.version", "2"),
        ("rhumb.region", "eu"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}: {found:#?}");
    }
    assert!(!found.contains_key("http.request.resend_count"));
}

#[test]
fn errors_are_those_of_whoever_made_them() {
    // (status, Rhumb's own reason, is an error of the server span, its word)
    for (status, error, failed, word) in [
        (Some(200), None, false, None),
        (Some(404), None, false, None),
        (Some(404), Some("no_deployment"), false, None),
        (Some(500), None, true, Some("500")),
        (Some(503), Some("overloaded"), true, Some("overloaded")),
        (None, None, false, Some("client_left")),
    ] {
        let mut it = record();
        (it.status, it.error) = (status, error);
        let server = &spans(&it)[0];
        let is_error = matches!(server.status, Status::Error { .. });
        let found = attributes(server);
        assert_eq!(
            (is_error, found.get("error.type").map(String::as_str)),
            (failed, word),
            "{it:?}"
        );
        assert_eq!(found.get("rhumb.error").map(String::as_str), error);
    }
    for (answer, error, failed, word) in [
        (Some((200, Version::HTTP_11)), None, false, None),
        (Some((404, Version::HTTP_11)), None, true, Some("404")),
        (None, Some("unreachable"), true, Some("unreachable")),
        (None, None, false, Some("client_left")),
    ] {
        let mut it = record();
        let attempt = it.last_attempt().unwrap();
        (attempt.answer, attempt.error) = (answer, error);
        let client = &spans(&it)[1];
        let is_error = matches!(client.status, Status::Error { .. });
        let found = attributes(client);
        assert_eq!((is_error, found.get("error.type").map(String::as_str)), (failed, word));
    }
}

#[test]
fn hostile_words_are_bounded_and_make_no_names() {
    let mut it = record();
    it.request.method = Method::from_bytes(b"X-EVERY-TIME-ANOTHER").unwrap();
    it.request.user_agent = Some(HeaderValue::from_bytes(&[0xff; 5_000]).unwrap());
    it.request.host = Some(HeaderValue::from_static("[::1]"));
    let server = &spans(&it)[0];
    assert_eq!(server.name, "HTTP");
    let found = attributes(server);
    assert_eq!(found["http.request.method"], "_OTHER");
    assert_eq!(found["http.request.method_original"], "X-EVERY-TIME-ANOTHER");
    assert_eq!(found["user_agent.original"].chars().count(), 1_024);
    assert_eq!(found["server.address"], "::1");
}

#[test]
fn a_trace_that_was_left_is_linked() {
    let mut it = record();
    let left = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    it.begun.left = TraceContext::parse(left);
    let all = spans(&it);
    let context = &all[0].links[0].span_context;
    assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
    assert!(all[1].links.is_empty());
}

#[test]
fn attempts_beyond_the_limit_are_counted() {
    let mut it = record();
    for _ in 0..40 {
        it.attempt(attempt());
    }
    assert!(it.last_attempt().is_none(), "it is not the one that began last");
    let all = spans(&it);
    assert_eq!(all.len(), 17);
    assert_eq!(it.spans(), 17);
    assert_eq!(attributes(&all[0])["rhumb.attempts_left_out"], "25");
    assert_eq!(attributes(&all[16])["http.request.resend_count"], "15");
    assert!(all.iter().all(|span| span.end_time <= SystemTime::now() + Duration::from_secs(1)));
}
