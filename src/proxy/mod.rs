//! The way of a request through one worker.
//!
//! ```text
//! handler ─ screen ─ identify ─ decide ─ forward ─ respond
//! ```
//!
//! [`handler`] is the table of contents. Everything here belongs to one worker thread: `Rc` and
//! `Cell`, no locks. Accepting connections is `server`; what is decided is `routing`.

mod again;
mod answer;
mod attempt;
mod body;
mod claims;
mod clock;
mod compressed;
mod connection;
mod context;
mod cookies;
mod counted;
mod decide;
mod error;
mod expect;
mod forward;
mod forwarded;
mod frames;
mod given;
mod grpc;
mod handler;
mod headers;
mod hops;
mod host;
mod identify;
mod kept;
mod later;
mod metered;
mod noted;
mod patience;
mod peer;
mod places;
mod present;
mod receive;
mod redirect;
mod refusal;
mod replay;
mod respond;
mod retry;
mod said;
mod saved;
pub mod screen;
mod shadow;
mod shed;
mod shown;
mod target;
mod tenant;
mod terms;
mod ticket;
mod told;
mod trace;
mod trailers;
mod tunnel;
mod under_way;
mod upgrade;
mod uptake;
mod view;
mod watch;

pub use answer::ResponseBody;
pub use body::RequestBody;
pub use connection::Connection;
pub use context::{WorkerContext, WorkerParts};
pub use error::{ErrorReason, Problem};
pub use handler::handle;
pub use identify::{Asked, Given, Identity};
pub use peer::{Peer, Secure};
pub use present::Present;
pub use refusal::{overloaded_bytes, refusal_bytes, refusal_bytes_to};
pub use shown::{Shown, Stage};
pub use tunnel::Tunnel;
pub use under_way::{UnderWay, WorkCounts};
pub use watch::{Phase, Watch};
