//! Tests of what files make of TLS: real files, real certificates, handshakes in memory.

mod client_certificate;
mod close_notify;
mod endpoints;
mod files;
pub(super) mod fixture;
mod handshakes;
mod reload;
mod staples;
mod times;
