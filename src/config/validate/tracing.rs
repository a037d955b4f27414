//! Traces: a receiver that can be reached over HTTP, a share that is one.

use std::sync::Arc;

use super::Context;
use super::endpoint;
use super::values::{choice, number, optional, path, seconds};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{
    Alpn, EndpointUrl, Otlp, Scheme, TraceParents, Tracing, UpstreamTls,
};
use crate::model::limits::{
    OTLP_TIMEOUT, OTLP_TIMEOUT_MAX, OTLP_TIMEOUT_MIN, SERVICE_NAME_LENGTH, TRACE_SAMPLE, URI_BYTES,
};

const EXAMPLE: &str = "such as `otlp: { endpoint: \"http://127.0.0.1:4318\" }`";
/// Where OTLP over HTTP takes spans.
const SIGNAL: &str = "/v1/traces";

/// The outer `None` is an error; the inner one: there are no traces.
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn tracing(field: &Field<raw::Tracing>, cx: Context<'_>) -> Option<Option<Tracing>> {
    optional(field, |raw| {
        let otlp = cx.report.required(&raw.otlp, field.at, "otlp", EXAMPLE);
        let otlp = otlp.and_then(|otlp| receiver(otlp, raw.otlp.at, cx));
        let sample = number(&raw.sample, 0.0..=1.0, TRACE_SAMPLE, cx.report);
        let parents = choice(&raw.parent, TraceParents::Follow, |word| match word {
            raw::TraceParents::Follow => TraceParents::Follow,
            raw::TraceParents::Trusted => TraceParents::Trusted,
            raw::TraceParents::Ignore => TraceParents::Ignore,
        });
        let service_name = service_name(&raw.service_name, cx.report);
        let (otlp, sample, parents) = (Arc::new(otlp?), sample?, parents?);
        if parents == TraceParents::Trusted && !cx.around.trusted {
            let message = "nobody is trusted, so every trace starts here";
            let help = "list load balancers in `client.trusted_proxies`, or write `ignore`";
            cx.report.warning(raw.parent.at, message, help);
        }
        Some(Tracing { otlp, sample, parents, service_name: service_name?.into() })
    })
}

fn receiver(raw: &raw::Otlp, at: NodeId, cx: Context<'_>) -> Option<Otlp> {
    let help = "an address such as http://127.0.0.1:4318";
    let text = cx.report.required(&raw.endpoint, at, "endpoint", help);
    let address = text.and_then(|text| address(raw.endpoint.at, text, cx.report));
    let protocol = choice(&raw.protocol, (), |raw::OtlpProtocol::Http| ());
    let ca = optional(&raw.ca, |ca| path(raw.ca.at, ca, cx));
    let range = OTLP_TIMEOUT_MIN..=OTLP_TIMEOUT_MAX;
    let timeout = seconds(&raw.timeout_seconds, range, OTLP_TIMEOUT, cx.report);
    let ((url, path), (), ca) = (address?, protocol?, ca?);
    if ca.is_some() && url.scheme != Scheme::Https {
        let help = "write https://, or remove it";
        cx.report.error(raw.ca.at, "a `ca` verifies nothing without TLS", help);
        return None;
    }
    let tls = UpstreamTls { ca, alpn: vec![Alpn::Http11], ..UpstreamTls::default() };
    Some(Otlp { url, path, tls, timeout: timeout? })
}

/// The receiver, and the path where it takes spans.
fn address(at: NodeId, text: &str, report: &Report<'_>) -> Option<(EndpointUrl, String)> {
    let authority = text.find("://").map_or(0, |scheme| scheme + "://".len());
    let end = text.get(authority..)?.find('/').map_or(text.len(), |slash| authority + slash);
    let (base, path) = text.split_at_checked(end)?;
    let url = endpoint::url(at, base, report)?;
    let refuse = |what: &str, help: &str| {
        report.error(at, format!("{} {what}", Quoted(text)), help);
        None
    };
    if url.scheme == Scheme::H2c {
        return refuse("is not HTTP/1.1", "OTLP is sent over http:// or https://");
    }
    let path = path.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&b);
    if path.len() > URI_BYTES || !path.bytes().all(plain) {
        return refuse("has a bad path", "a path such as /otlp, without a query");
    }
    let path = match path.ends_with(SIGNAL) {
        true => path.to_owned(),
        false => format!("{path}{SIGNAL}"),
    };
    Some((url, path))
}

fn service_name<'f>(field: &'f Field<String>, report: &Report<'_>) -> Option<&'f str> {
    let name = match &field.state {
        State::Absent => return Some("rhumb"),
        State::Broken => return None,
        State::Present(name) => name.as_str(),
    };
    let length = name.chars().count();
    if !(1..=SERVICE_NAME_LENGTH).contains(&length) || name.chars().any(char::is_control) {
        let help = format!("up to {SERVICE_NAME_LENGTH} characters, such as edge-eu");
        report.error(field.at, format!("{} cannot be a name in traces", Quoted(name)), help);
        return None;
    }
    Some(name)
}
