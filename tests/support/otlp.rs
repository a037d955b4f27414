//! A receiver of OTLP over HTTP, as collectors have one: it takes protobuf only, and keeps every span.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::eventually;
use super::origin::{Exchange, Origin};

/// A receiver that is there until it is dropped.
pub struct Receiver {
    origin: Origin,
    state: Arc<State>,
}

/// What became of what came.
#[derive(Default)]
struct State {
    spans: Mutex<Vec<Received>>,
    manner: Mutex<Manner>,
}

/// How it answers.
#[derive(Clone, Debug, Default)]
pub enum Manner {
    /// As it should.
    #[default]
    Good,
    /// With this status.
    Status(&'static str),
    /// Not at all.
    Silent,
    /// It takes the batch, but for so many spans.
    Rejecting(i64),
}

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The span.
    pub span: Span,
    /// What it says, as text.
    pub attributes: BTreeMap<String, String>,
    /// What it says of who made it.
    pub resource: BTreeMap<String, String>,
}

impl Received {
    /// An attribute; empty if it is not there.
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// The id of its trace, as headers write it.
    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Its id.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The id of its parent; empty: it has none.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }
}

impl Receiver {
    /// Starts one.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts one on a socket that listens already.
    pub fn on(listener: TcpListener) -> Self {
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let origin = Origin::on(listener, "otlp", move |exchange| shared.take(exchange));
        Self { origin, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.origin.address
    }

    /// The part of a configuration that sends it traces, with these other fields.
    pub fn tracing(&self, fields: &str) -> String {
        format!("tracing: {{ otlp: {{ endpoint: \"http://{}\" }}, {fields} }}", self.address())
    }

    /// Answers in another manner from now on.
    pub fn set(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// Every span so far, in the order they came.
    pub fn spans(&self) -> Vec<Received> {
        self.state.spans.lock().unwrap().clone()
    }

    /// Waits for so many spans, and takes them; the requests among them come first.
    pub fn take(&self, count: usize) -> Vec<Received> {
        let mut taken = eventually(&format!("{count} spans"), || {
            let mut spans = self.state.spans.lock().unwrap();
            (spans.len() >= count).then(|| std::mem::take(&mut *spans))
        });
        assert_eq!(taken.len(), count, "{taken:#?}");
        taken.sort_by_key(|it| (it.span.kind, it.span.start_time_unix_nano));
        taken
    }

    /// Stops listening and closes its connections.
    pub fn stop(&mut self) {
        self.origin.stop();
    }
}

impl State {
    fn take(&self, exchange: &mut Exchange) -> io::Result<()> {
        let body = exchange.read_body()?;
        let manner = self.manner.lock().unwrap().clone();
        let mut answer = ExportTraceServiceResponse::default();
        match manner {
            Manner::Good => {}
            Manner::Status(status) => return exchange.answer(status, "", b""),
            Manner::Silent => {
                exchange.closed_by_peer();
                return Ok(());
            }
            Manner::Rejecting(rejected_spans) => {
                let error_message = "not those".to_owned();
                answer.partial_success =
                    Some(ExportTracePartialSuccess { rejected_spans, error_message });
            }
        }
        assert_eq!(exchange.head.start, "POST /v1/traces HTTP/1.1");
        assert_eq!(exchange.head.get("content-type"), Some("application/x-protobuf"));
        let batch = ExportTraceServiceRequest::decode(&*body.bytes).expect("protobuf");
        let mut spans = self.spans.lock().unwrap();
        for part in batch.resource_spans {
            let resource = part.resource.map(|resource| texts(&resource.attributes));
            let resource = resource.unwrap_or_default();
            for span in part.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let attributes = texts(&span.attributes);
                spans.push(Received { span, attributes, resource: resource.clone() });
            }
        }
        drop(spans);
        let head = "content-type: application/x-protobuf\r\n";
        exchange.answer("200 OK", head, &answer.encode_to_vec())
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let found = attributes.iter().filter_map(|it| {
        let value = it.value.as_ref()?.value.as_ref()?;
        Some((it.key.clone(), text(value)))
    });
    found.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
