//! The options of the comparison: those that `run --help` shows, and those that the script fills in.

use std::path::PathBuf;

use clap::Parser;

use crate::contestant::{Kind, Programs};
use crate::scenario::Scenario;
use crate::way::Protocol;

/// Compare Rhumb, nginx, HAProxy, Envoy and a byte relay.
#[derive(Debug, Parser)]
#[command(name = "benches/peers/run")]
pub(crate) struct Options {
    /// JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Rounds; each measures every contestant once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Measured seconds of each window
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Seconds of load before each window
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) warmup: f64,
    /// Client connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,
    /// Contestants, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::USUAL)]
    pub(crate) only: Vec<Kind>,
    /// What clients speak
    #[arg(long, value_enum, default_value_t = Protocol::Http)]
    pub(crate) protocol: Protocol,
    /// Requests under way at once on each connection of HTTP/2
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=100))]
    streams: u16,
    /// What is asked and answered
    #[arg(long, value_enum, default_value_t = Scenario::Get)]
    pub(crate) scenario: Scenario,
    /// How requests are sent
    #[arg(long, value_enum, default_value_t = Modes::Both)]
    pub(crate) mode: Modes,
    /// Requests per second at the fixed rate [default: half of the slowest's saturated throughput]
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    #[command(flatten)]
    pub(crate) programs: Programs,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

impl Options {
    /// Requests under way at once on each connection.
    pub(crate) fn streams(&self) -> usize {
        if self.protocol.is_http2() { self.streams.into() } else { 1 }
    }
}

/// What the script finds out.
#[derive(Debug, clap::Args)]
pub(crate) struct Machine {
    /// Directory for temporary files
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
    /// Country database
    #[arg(long, value_name = "FILE")]
    pub(crate) database: PathBuf,
    /// Core of the contestant
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_core: usize,
    /// Unit of /proc/PID/stat
    #[arg(long, default_value_t = 100.0)]
    pub(crate) ticks_per_second: f64,
    /// Versions of what is compared, for the report; repeatable
    #[arg(long, value_name = "TEXT")]
    pub(crate) about: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Modes {
    Saturated,
    Fixed,
    Both,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=3600.0).contains(&value) { Ok(value) } else { Err("must be 0.1 to 3600".into()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of requests per second".to_owned())?;
    if (1.0..=1e7).contains(&value) { Ok(value) } else { Err("must be 1 to 10000000".into()) }
}
