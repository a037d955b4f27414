//! From a worker's record to the spans of OpenTelemetry: a `SERVER` span for the request and a
//! `CLIENT` span in it for each attempt, with the attributes of its semantic conventions for HTTP and
//! Rhumb's own under `rhumb.`.
//!
//! Queries are left out, because secrets travel in them.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Method, Version};
use opentelemetry::trace::{self, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::context::{SpanId, TraceContext};
use super::record::{AttemptSpan, RequestSpan};
use crate::config::Scheme;
use crate::model::limits::TRACE_TEXT_BYTES;

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    instant: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    fn wall(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.instant) {
            Some(later) => self.wall + later,
            None => self.wall - self.instant.saturating_duration_since(at),
        }
    }
}

/// Adds the spans of a request to `batch`, the request first.
pub(super) fn push(
    batch: &mut Vec<SpanData>,
    record: &RequestSpan,
    scope: &InstrumentationScope,
    now: Moment,
) {
    let making = Making { record, scope, now };
    batch.push(making.server());
    for (place, attempt) in record.attempts().iter().enumerate() {
        batch.push(making.client(attempt, place));
    }
}

/// The spans of one request in the making.
struct Making<'a> {
    record: &'a RequestSpan,
    scope: &'a InstrumentationScope,
    now: Moment,
}

impl Making<'_> {
    fn server(&self) -> SpanData {
        let RequestSpan { begun, started, ended, error, status, .. } = self.record;
        let failed = error.filter(|_| status.is_none_or(|status| status >= 500));
        let status = match status {
            Some(500..) => Status::error(failed.unwrap_or_default()),
            _ => Status::Unset,
        };
        let mut links = SpanLinks::default();
        if let Some(left) = begun.left {
            let context = SpanContext::new(
                trace_id(left),
                span_id(left.span),
                TraceFlags::new(left.flags.bits()),
                true,
                TraceState::default(),
            );
            links.links.push(trace::Link::with_context(context));
        }
        let parent = begun.parent.map_or(trace::SpanId::INVALID, span_id);
        SpanData {
            parent_span_is_remote: begun.parent.is_some(),
            span_kind: SpanKind::Server,
            attributes: self.server_attributes(),
            links,
            status,
            ..self.span(begun.context.span, parent, (*started, *ended))
        }
    }

    fn client(&self, attempt: &AttemptSpan, place: usize) -> SpanData {
        let AttemptSpan { span, started, ended, answer, error, .. } = attempt;
        let status = match (answer, error) {
            (Some((400.., _)), _) => Status::error(""),
            (_, Some(error)) => Status::error(*error),
            _ => Status::Unset,
        };
        let times = (*started, ended.unwrap_or(self.record.ended));
        SpanData {
            span_kind: SpanKind::Client,
            attributes: self.client_attributes(attempt, place),
            status,
            ..self.span(*span, span_id(self.record.begun.context.span), times)
        }
    }

    fn span(
        &self,
        span: SpanId,
        parent_span_id: trace::SpanId,
        (started, ended): (Instant, Instant),
    ) -> SpanData {
        let context = self.record.begun.context;
        let state = self.record.state.as_ref().and_then(|state| state.to_str().ok()?.parse().ok());
        let span_context = SpanContext::new(
            trace_id(context),
            span_id(span),
            TraceFlags::new(context.flags.bits()),
            false,
            state.unwrap_or_default(),
        );
        SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name(&self.record.request.method),
            start_time: self.now.wall(started),
            end_time: self.now.wall(ended.max(started)),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn server_attributes(&self) -> Vec<KeyValue> {
        let RequestSpan { request, decision, error, status, left_out, .. } = self.record;
        let mut out = Attributes(Vec::with_capacity(24));
        out.method(&request.method);
        out.put("url.scheme", if request.secure { "https" } else { "http" });
        out.put("url.path", request.path.to_string());
        out.host(request.host.as_ref());
        out.put("network.protocol.version", version(request.version));
        out.put("client.address", request.client.to_string());
        out.put("network.peer.address", request.peer.ip().to_string());
        out.put("network.peer.port", i64::from(request.peer.port()));
        if let Some(agent) = &request.user_agent {
            out.put("user_agent.original", shown(agent.as_bytes()));
        }
        if let Some(id) = &request.id {
            out.put("rhumb.request_id", id.to_string());
        }
        if let Some(decision) = decision {
            out.put("rhumb.deployment", decision.deployment.to_string());
            out.put("rhumb.reason", decision.reason);
            out.put("rhumb.generation", i64::try_from(decision.generation).unwrap_or(i64::MAX));
            if let Some(region) = &decision.region {
                out.put("rhumb.region", region.to_string());
            }
            if let Some(rule) = &decision.rule {
                out.put("rhumb.rule", rule.to_string());
            }
        }
        if let Some(error) = error {
            out.put("rhumb.error", *error);
        }
        if *left_out > 0 {
            out.put("rhumb.attempts_left_out", i64::from(*left_out));
        }
        match status {
            Some(status) => out.status(*status, 500, *error),
            None => out.put("error.type", "client_left"),
        }
        out.0
    }

    fn client_attributes(&self, attempt: &AttemptSpan, place: usize) -> Vec<KeyValue> {
        let AttemptSpan { region, endpoint, connect, first_byte, answer, error, .. } = attempt;
        let request = &self.record.request;
        let mut out = Attributes(Vec::with_capacity(14));
        out.method(&request.method);
        let authority = endpoint.authority();
        let scheme = if endpoint.scheme == Scheme::Https { "https" } else { "http" };
        out.put("url.full", format!("{scheme}://{authority}{}", request.path));
        out.host(HeaderValue::try_from(authority).ok().as_ref());
        out.put("rhumb.region", region.to_string());
        if place > 0 {
            out.put("http.request.resend_count", i64::try_from(place).unwrap_or(i64::MAX));
        }
        if let Some(connect) = connect {
            out.put("rhumb.connect_ms", millis(*connect));
        }
        if let Some(first_byte) = first_byte {
            out.put("rhumb.first_byte_ms", millis(*first_byte));
        }
        match (answer, error) {
            (Some((status, spoken)), _) => {
                out.put("network.protocol.version", version(*spoken));
                out.status(*status, 400, None);
            }
            (None, Some(error)) => out.put("error.type", *error),
            // The client left while it was under way.
            (None, None) => out.put("error.type", "client_left"),
        }
        out.0
    }
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    fn method(&mut self, method: &Method) {
        match known(method) {
            Some(word) => self.put("http.request.method", word),
            None => {
                self.put("http.request.method", "_OTHER");
                self.put("http.request.method_original", shown(method.as_str().as_bytes()));
            }
        }
    }

    /// Where a request is sent to, from `host:port`.
    fn host(&mut self, host: Option<&HeaderValue>) {
        let Some(host) = host.and_then(|host| host.to_str().ok()) else { return };
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
            _ => (host, None),
        };
        let name = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        self.put("server.address", shown(name.as_bytes()));
        if let Some(port) = port {
            self.put("server.port", i64::from(port));
        }
    }

    /// `failing`: the first status that is an error of the span; `error`: a better word for it.
    fn status(&mut self, status: u16, failing: u16, error: Option<&'static str>) {
        self.put("http.response.status_code", i64::from(status));
        if status >= failing {
            let word = error.map_or_else(|| StringValue::from(status.to_string()), Into::into);
            self.put("error.type", word);
        }
    }
}

/// What no client chooses: names of spans are few.
fn name(method: &Method) -> Cow<'static, str> {
    Cow::Borrowed(known(method).unwrap_or("HTTP"))
}

/// The methods of RFC 9110 and RFC 5789.
fn known(method: &Method) -> Option<&'static str> {
    let all = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    all.into_iter().find(|known| *known == method.as_str())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What a client has written, as text of bounded length.
pub(super) fn shown(bytes: &[u8]) -> String {
    let bytes = bytes.get(..TRACE_TEXT_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

fn trace_id(context: TraceContext) -> trace::TraceId {
    trace::TraceId::from_bytes(context.trace.to_bytes())
}

fn span_id(span: SpanId) -> trace::SpanId {
    trace::SpanId::from_bytes(span.to_bytes())
}
