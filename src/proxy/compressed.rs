//! Where a response goes through an encoder: what `compression` decides, done to the bodies of this
//! module.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method};
use http_body::Frame;

use super::answer::OriginBody;
use super::body::BoxError;
use super::forward::Forward;
use super::ticket::Ticket;
use crate::compression::{Asked, Stream};
use crate::config::Deployment;
use crate::metrics::{CompressedSeries, WorkerSeries};
use crate::model::Coding;

/// What a request says about compression, if its deployment compresses.
pub(super) fn asked_compression(
    settings: Option<&Deployment>,
    headers: &HeaderMap,
) -> Option<Box<Asked>> {
    let settings = settings?.compression.as_ref()?;
    Some(Box::new(Asked::of(settings, headers)))
}

impl Forward {
    /// Makes the head that of a compressed response, if it is to be one; `empty` is known of its
    /// body. The encoder, if there is something to encode.
    pub(super) fn compress(&self, asked: &Asked, parts: &mut Parts, empty: bool) -> Option<Stream> {
        // A reload may have turned it off since the request came.
        let settings = self.settings()?.compression.as_ref()?;
        let coding = asked.coding(settings, parts.status, &mut parts.headers)?;
        if self.routed.method == Method::HEAD {
            // What a GET would have said.
            Asked::encode(&mut parts.headers, coding);
            return None;
        }
        if empty {
            return None;
        }
        let worker = &self.ticket.connection().worker;
        let loan = worker.encoders.lend(coding, settings.level).unwrap_or_else(|error| {
            tracing::warn!(%error, "a response is passed on as it is");
            None
        });
        let Some(loan) = loan else {
            worker.series.compression_refused.increment();
            return None;
        };
        if let Some(series) = series(&worker.series, coding) {
            series.responses.increment();
        }
        Asked::encode(&mut parts.headers, coding);
        Some(Stream::new(loan))
    }
}

/// An origin's body on its way through an encoder.
#[derive(Debug)]
pub(super) struct Compressed {
    body: OriginBody,
    stream: Stream,
}

impl Compressed {
    pub(super) fn new(body: OriginBody, stream: Stream) -> Self {
        Self { body, stream }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        ticket: &Ticket,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, stream } = self;
        let mut taken = 0;
        let polled = stream.poll_frame(cx, |cx| {
            let polled = body.poll_frame(cx, ticket);
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                taken += length(frame);
            }
            polled
        });
        if let Some(series) = series(&ticket.connection().worker.series, stream.coding()) {
            series.bytes_in.add(taken);
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                series.bytes_out.add(length(frame));
            }
        }
        polled
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.stream.is_over()
    }

    /// Its end, for the connection that it came on.
    pub(super) fn finish(&mut self, now: Instant, ticket: Option<&Ticket>) {
        self.body.finish(now, ticket);
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |bytes| bytes.len() as u64)
}

fn series(worker: &Arc<WorkerSeries>, coding: Coding) -> Option<&CompressedSeries> {
    worker.compressed.get(coding as usize)
}
