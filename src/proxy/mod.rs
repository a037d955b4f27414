//! The way of a request through one worker.
//!
//! ```text
//! handler ─ screen ─ identify ─ decide ─ forward ─ respond
//! ```
//!
//! [`handler`] is the table of contents. Everything here belongs to one worker thread: `Rc` and
//! `Cell`, no locks. Accepting connections is `server`; what is decided is `routing`.

mod body;
mod context;
mod error;
mod expect;
mod forward;
mod handler;
mod headers;
mod places;
mod present;
mod refusal;
mod retry;
mod saved;
pub mod screen;
mod shadow;
mod ticket;
mod watch;

pub use body::{RequestBody, ResponseBody};
pub use context::{Connection, WorkerContext};
pub use error::{ErrorReason, Problem};
pub use handler::handle;
pub use present::Present;
pub use refusal::refusal_bytes;
pub use watch::{Phase, Watch};
