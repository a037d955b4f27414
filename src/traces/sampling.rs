//! Where a trace starts, and which ones are recorded.
//!
//! Pure: randomness is an argument. A trace that starts here is recorded by its own id, so that
//! everyone who is asked for the same share of the same trace answers the same.

use super::context::{Flags, SpanId, TraceContext, TraceId};
use crate::config::{TraceParents, Tracing};

/// One more than the largest number that the random bits of a trace id make.
const ALL: u64 = 1 << 56;

/// What Rhumb does about the trace of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Rhumb's own span, and how it is passed on.
    pub context: TraceContext,
    /// The span that it is part of; `None`: the trace starts here.
    pub parent: Option<SpanId>,
    /// A context that was left for another trace.
    pub left: Option<TraceContext>,
}

impl Begun {
    /// Whether spans are recorded.
    pub fn is_sampled(&self) -> bool {
        self.context.flags.sampled()
    }
}

/// Goes on with the trace that a request belongs to, or starts one. `trusted`: whether the peer is
/// believed about its clients. `entropy`: fresh random bits.
pub fn begin(
    settings: &Tracing,
    received: Option<TraceContext>,
    trusted: bool,
    [high, low, span]: [u64; 3],
) -> Begun {
    let followed = match settings.parents {
        TraceParents::Follow => true,
        TraceParents::Trusted => trusted,
        TraceParents::Ignore => false,
    };
    let span = SpanId::from_entropy(span);
    if let Some(parent) = received.filter(|_| followed) {
        let context = TraceContext { span, ..parent };
        return Begun { context, parent: Some(parent.span), left: None };
    }
    let trace = TraceId::from_entropy([high, low]);
    let flags = Flags::started(is_sampled(settings.sample, trace));
    Begun { context: TraceContext { trace, span, flags }, parent: None, left: received }
}

/// Whether a trace belongs to that share of all.
fn is_sampled(share: f64, trace: TraceId) -> bool {
    trace.randomness() >= (ALL as f64 * (1.0 - share)) as u64
}
