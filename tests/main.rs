//! The promises of the program, checked from outside: the real binary as a child process, real
//! origins, real clients, raw bytes where they matter. Each test is named after what it checks.
//!
//! Not here: what a single module does, which is tested beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is an interface"
)]

mod access_log;
mod admin;
mod bodies;
mod capacity;
mod cli;
mod compression;
mod corpus;
mod demo;
mod diagnostics;
mod drain;
mod edge;
mod environment;
mod exchanges;
mod failover;
mod handover;
mod headers;
mod layering;
mod limits;
mod malformed;
mod names;
mod origins;
mod overload;
mod reload;
mod routing;
mod shadow;
mod simulate;
mod steering;
mod streams;
mod support;
mod traces;
mod upgrade;
