//! Traces: which trace a request belongs to, and telling a collector what Rhumb did for it.
//!
//! ```text
//! request ── context, state, sampling ──> Begun ── (sampled) ──> RequestSpan ─┐ worker
//!                                                                    outlet (bounded)
//! collector <── receiver <── exporter <── spans ─────────────────────────────┘ rhumb-traces
//! ```
//!
//! Workers read and write headers, and hand a record of what was sampled on, without waiting for
//! anybody. Everything about OpenTelemetry is on the exporter's thread. Not here: when a request is
//! where (`proxy`), and log lines.

mod context;
mod exporter;
mod outlet;
mod receiver;
mod record;
mod sampling;
mod spans;
mod state;
#[cfg(test)]
mod tests;

pub use context::{Flags, SpanId, TRACEPARENT_BYTES, TraceContext, TraceId};
pub use exporter::{Exporter, ExporterParts};
pub use outlet::{Outlet, Traces};
pub use record::{AttemptSpan, DecisionNote, RequestNote, RequestSpan};
pub use sampling::{Begun, begin};
pub use state::{State, passed_on};
