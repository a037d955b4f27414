//! What a worker notes of a request that is recorded: plain values, turned into spans on another
//! thread.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Version};

use super::context::SpanId;
use super::sampling::Begun;
use crate::config::EndpointUrl;
use crate::model::{DeploymentName, RegionId, RuleId, limits};

/// A request from its head to its end.
#[derive(Debug)]
pub struct RequestSpan {
    /// Its place in its trace.
    pub begun: Begun,
    /// The `tracestate` that goes with it.
    pub state: Option<HeaderValue>,
    /// When its head was there.
    pub started: Instant,
    /// When its response, or its tunnel, had ended.
    pub ended: Instant,
    /// What was asked for.
    pub request: RequestNote,
    /// What was decided, if a deployment answers it.
    pub decision: Option<DecisionNote>,
    /// Why Rhumb answered itself, if it did.
    pub error: Option<&'static str>,
    /// Status of the response; `None`: the client left before there was one.
    pub status: Option<u16>,
    /// What was sent to origins, in order.
    attempts: Vec<AttemptSpan>,
    /// Attempts that there was no room for.
    pub left_out: u32,
}

/// What was asked for, by whom.
#[derive(Clone, Debug)]
pub struct RequestNote {
    /// The method.
    pub method: Method,
    /// `Host`, with a port if there is one.
    pub host: Option<HeaderValue>,
    /// The path, or the beginning of it.
    pub path: Box<str>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The version of HTTP it came in.
    pub version: Version,
    /// The client.
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
    /// The request's id.
    pub id: Option<Box<str>>,
}

/// What was decided.
#[derive(Clone, Debug)]
pub struct DecisionNote {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The region that came first; `None`: the request was refused.
    pub region: Option<RegionId>,
    /// Why that one, or why none.
    pub reason: &'static str,
    /// The rule that holds for the request.
    pub rule: Option<RuleId>,
    /// The table that was decided on.
    pub generation: u64,
}

/// One attempt at an endpoint.
#[derive(Debug)]
pub struct AttemptSpan {
    /// Its place in the trace; the origin's parent.
    pub span: SpanId,
    /// When it began.
    pub started: Instant,
    /// When it had failed; `None`: it ended with the request.
    pub ended: Option<Instant>,
    /// The region.
    pub region: RegionId,
    /// The endpoint.
    pub endpoint: EndpointUrl,
    /// How long a connection took to make; `None`: there was one.
    pub connect: Option<Duration>,
    /// From its beginning to the head of the response.
    pub first_byte: Option<Duration>,
    /// Status of the origin's response, and the version of HTTP it came in.
    pub answer: Option<(u16, Version)>,
    /// Why there was no response.
    pub error: Option<&'static str>,
}

impl AttemptSpan {
    /// Of an attempt that begins.
    pub fn new(span: SpanId, started: Instant, region: RegionId, endpoint: EndpointUrl) -> Self {
        Self {
            span,
            started,
            ended: None,
            region,
            endpoint,
            connect: None,
            first_byte: None,
            answer: None,
            error: None,
        }
    }
}

impl RequestSpan {
    /// Of a request that has just been read.
    pub fn new(
        begun: Begun,
        state: Option<HeaderValue>,
        started: Instant,
        request: RequestNote,
    ) -> Self {
        Self {
            begun,
            state,
            started,
            ended: started,
            request,
            decision: None,
            error: None,
            status: None,
            attempts: Vec::new(),
            left_out: 0,
        }
    }

    /// Notes that an attempt begins; the one before it has ended then.
    pub fn attempt(&mut self, attempt: AttemptSpan) {
        if let Some(last) = self.last_attempt() {
            last.ended.get_or_insert(attempt.started);
        }
        match self.attempts.len() < limits::TRACE_ATTEMPTS {
            true => self.attempts.push(attempt),
            false => self.left_out += 1,
        }
    }

    /// The attempt that began last, if there was room for it.
    pub fn last_attempt(&mut self) -> Option<&mut AttemptSpan> {
        if self.left_out > 0 { None } else { self.attempts.last_mut() }
    }

    /// What was sent to origins, in order.
    pub fn attempts(&self) -> &[AttemptSpan] {
        &self.attempts
    }

    /// How many spans it makes.
    pub fn spans(&self) -> u64 {
        1 + self.attempts.len() as u64
    }
}
