//! Rhumb: an edge proxy that decides, for every request, which region answers.
//!
//! ```text
//! listener ─> connection ─> identify ─> decide ─> forward ─> respond        (server, proxy)
//!                                         │
//!                              RoutingTable behind one ArcSwap              (snapshot)
//!                                         │
//! files, probes, signals, operators ─> controller: state + input -> effects (failover)
//! ```
//!
//! The two halves meet only at the snapshot and at the channel of signals. Layers import downwards;
//! `docs/architecture.md` has the map, and a test holds the code to it.
//!
//! | module | is about |
//! |---|---|
//! | [`model`] | words: ids, places, states, limits |
//! | [`bounded_file`] | files of which no more is read than they may have |
//! | [`config`] | from a YAML file to a configuration that can be trusted |
//! | [`geo`] | where a client is |
//! | [`tokens`] | what is signed, and by whom |
//! | [`routing`] | which region answers, pure |
//! | [`health`] | is an endpoint healthy |
//! | [`measure`] | how busy and how far regions are, live |
//! | [`failover`] | the one writer of the table |
//! | [`overload`] | what the process is short of, and what follows |
//! | [`tls`] | certificates, keys and trust, ready for handshakes |
//! | [`names`] | where the names of endpoints are |
//! | [`proxy_protocol`] | whom a peer connects for, in its first bytes |
//! | [`upstream`] | connections to endpoints |
//! | [`traces`] | which trace a request belongs to, and telling a collector |
//! | [`shadow`] | a candidate configuration beside the live one |
//! | [`simulate`] | requests that are decided but never sent |
//! | [`compression`] | responses made smaller on their way |
//! | [`snapshot`] | what workers read |
//! | [`access_log`] | a line for each request |
//! | [`proxy`] | a request's way through a worker |
//! | [`server`] | worker threads and their sockets |
//! | [`handover`] | a new process takes the place of an old one |
//! | [`inquiry`] | a request described instead of sent, explained |
//! | [`dump`] | what a worker has at this moment |
//! | [`log_level`] | what the log tells, while it runs |
//! | [`profile`] | where the process spends its time |
//! | [`admin`] | what operators and Prometheus see |
//! | [`metrics`] | counting without sharing |
//! | [`app`] | puts it all together |
//! | [`cli`] | the commands |

pub mod access_log;
pub mod admin;
pub mod app;
pub mod bounded_file;
pub mod cli;
pub mod compression;
pub mod config;
pub mod dump;
pub mod failover;
pub mod geo;
pub mod handover;
pub mod health;
pub mod inquiry;
pub mod log_level;
pub mod measure;
pub mod metrics;
pub mod model;
pub mod names;
pub mod overload;
pub mod profile;
pub mod proxy;
pub mod proxy_protocol;
pub mod routing;
pub mod server;
pub mod shadow;
pub mod simulate;
pub mod snapshot;
pub mod tls;
pub mod tokens;
pub mod traces;
pub mod upstream;
