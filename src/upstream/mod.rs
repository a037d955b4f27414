//! Connections to endpoints: each worker's own pools, and the load they carry.
//!
//! Which endpoint a request goes to is `routing`'s choice; what is sent there is `proxy`'s.

mod carried;
mod connect;
mod dial;
mod failure;
mod http2_head;
mod interim;
mod lease;
mod permitted;
mod pool;
mod race;
mod session;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;
mod traffic;

pub use connect::ConnectError;
pub use dial::{Caller, DialError, Protocol, Route};
pub use failure::{Broken, SendError};
pub use lease::Lease;
pub use pool::Endpoint;
pub use stream::Stream;
