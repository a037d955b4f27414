//! Connections to endpoints: each worker's own pools, and the load they carry.
//!
//! Which endpoint a request goes to is `routing`'s choice; what is sent there is `proxy`'s.

mod connect;
mod interim;
mod pool;

pub use connect::ConnectError;
pub use interim::TooManyInterim;
pub use pool::{Endpoint, Lease};
