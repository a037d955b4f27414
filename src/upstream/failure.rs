//! A request that was given to a connection and brought no response: whether it may have been worked
//! on, and whose fault it is.

use h2::Reason;
use http::Request;
use hyper::client::conn::TrySendError;

use super::interim::TooManyInterim;

/// How an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nothing of the request left, because the connection was over.
    Unsent,
    /// The origin says that it did not work on the request (RFC 9113 sections 6.8 and 8.7), so that
    /// it may be sent again whatever its method is.
    Refused,
    /// The origin broke the rules of its protocol.
    Protocol,
    /// The connection or the stream ended.
    Reset,
}

/// A request that brought no response.
#[derive(Debug, thiserror::Error)]
#[error("the exchange broke")]
pub struct SendError<B> {
    /// Boxed, so that what nearly every exchange comes to, a response, is not as large.
    unsent: Option<Box<Request<B>>>,
    broken: Broken,
    source: Option<hyper::Error>,
}

impl<B> SendError<B> {
    /// hyper's, of a request whose body was wrapped on its way.
    pub(super) fn of<C>(mut error: TrySendError<Request<C>>, unwrap: impl FnOnce(C) -> B) -> Self {
        let unsent = error.take_message().map(|request| Box::new(request.map(unwrap)));
        let source = error.into_error();
        let broken = match judge(&source) {
            Broken::Protocol => Broken::Protocol,
            _ if unsent.is_some() => Broken::Unsent,
            broken => broken,
        };
        Self { unsent, broken, source: Some(source) }
    }

    /// A request that has no form in the protocol that is spoken.
    pub(super) fn unspeakable(request: Request<B>) -> Self {
        Self { unsent: Some(Box::new(request)), broken: Broken::Protocol, source: None }
    }

    /// Changes the request, if it is still there.
    pub(super) fn with_message(&mut self, change: impl FnOnce(&mut Request<B>)) {
        if let Some(request) = &mut self.unsent {
            change(request);
        }
    }

    /// The request, if not a byte of it was sent. Asks once.
    pub fn take_message(&mut self) -> Option<Request<B>> {
        self.unsent.take().map(|request| *request)
    }

    /// All that is known of the cause.
    pub fn detail(&self) -> String {
        let mut text = String::new();
        let mut source = self.source.as_ref().map(|error| error as &dyn std::error::Error);
        while let Some(error) = source {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{error}");
            source = error.source();
        }
        text
    }

    /// How it broke.
    pub fn broken(&self) -> Broken {
        self.broken
    }
}

fn judge(error: &hyper::Error) -> Broken {
    if error.is_parse() || is_endless(error) {
        return Broken::Protocol;
    }
    let Some(h2) = h2_error(error) else { return Broken::Reset };
    match h2.reason() {
        // A stream above the last one that the origin has seen; those below live on.
        Some(_) if h2.is_go_away() && h2.is_remote() => Broken::Refused,
        Some(Reason::REFUSED_STREAM) if h2.is_reset() && h2.is_remote() => Broken::Refused,
        // What the library objects to is the origin's doing.
        Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR | Reason::COMPRESSION_ERROR)
            if h2.is_library() =>
        {
            Broken::Protocol
        }
        Some(Reason::FLOW_CONTROL_ERROR | Reason::STREAM_CLOSED) if h2.is_library() => {
            Broken::Protocol
        }
        _ => Broken::Reset,
    }
}

/// Whether the connection was ended because of too many informational responses.
fn is_endless(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let cause = cause.and_then(std::io::Error::get_ref);
    cause.and_then(|cause| cause.downcast_ref::<TooManyInterim>()).is_some()
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}
