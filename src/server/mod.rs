//! Workers: threads that accept connections and drive them. What a request meets on the way is
//! `proxy`; nothing here looks into one.

mod client_io;
mod connection;
mod head_scan;
mod listener;
mod worker;

pub use listener::{BindError, Listeners};
pub use worker::{StartError, Workers, WorkersParts};
