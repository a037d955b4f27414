//! Tests of traces, by part.

mod context;
mod exporter;
mod outlet;
mod sampling;
mod spans;
mod state;

use std::time::Instant;

use http::{HeaderValue, Method, Version};

use super::context::{Flags, SpanId, TraceContext, TraceId};
use super::record::{AttemptSpan, RequestNote, RequestSpan};
use super::sampling::Begun;
use crate::config::{EndpointUrl, Host, Scheme};

/// Of a request that was sent to one endpoint.
fn record() -> RequestSpan {
    let trace = TraceId::from_entropy([1, 2]);
    let context =
        TraceContext { trace, span: SpanId::from_entropy(3), flags: Flags::started(true) };
    let now = Instant::now();
    let request = RequestNote {
        method: Method::GET,
        host: Some(HeaderValue::from_static("api.test:8443")),
        path: "/a/b".into(),
        secure: true,
        version: Version::HTTP_2,
        client: [198, 51, 100, 7].into(),
        peer: ([10, 0, 0, 1], 4_000).into(),
        user_agent: None,
        id: Some("id-1".into()),
    };
    let mut record =
        RequestSpan::new(Begun { context, parent: None, left: None }, None, now, request);
    record.attempt(attempt());
    record
}

fn attempt() -> AttemptSpan {
    let host = Host::Address("2001:db8::1".parse().unwrap());
    let endpoint = EndpointUrl { scheme: Scheme::Http, host, port: 81 };
    AttemptSpan::new(SpanId::from_entropy(4), Instant::now(), "eu".into(), endpoint)
}
