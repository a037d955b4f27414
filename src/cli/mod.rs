//! The commands of the program, one file each. Not here: what they command.
//!
//! Results go to standard output, errors to standard error. Exit codes: 0 done, 1 not done (the
//! message says why), 2 the command line itself was wrong; `simulate` ends with 3 when more moves
//! than may, and `run` has [codes of its own](run::run).

pub mod check;
pub mod demo;
pub mod explain;
pub mod geoip;
pub mod origin;
pub mod probe;
pub mod run;
pub mod schema;
pub mod simulate;
pub mod token;
pub mod upgrade;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::app::{LoadError, causes};

/// Edge traffic-routing proxy: decides which region answers each request, and says why.
#[derive(Debug, Parser)]
#[command(name = "rhumb", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Least severe messages to log: error, warn, info, debug, trace, off, or a filter such as
    /// `info,rhumb::failover=debug` [default: info; less for demo]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// How to log
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

impl Cli {
    /// What is logged.
    pub fn log_filter(&self) -> &str {
        let own = self.log.as_deref().filter(|_| !self.command.has_own_log());
        own.unwrap_or_else(|| self.command.default_log())
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the proxy
    Run(run::RunArgs),
    /// Put the binary on disk in the place of the running one, without a connection lost
    Upgrade(upgrade::UpgradeArgs),
    /// Print every error of a configuration file
    Check(check::CheckArgs),
    /// Print the JSON Schema of the configuration file
    Schema(schema::SchemaArgs),
    /// Say where a request would go, and why
    Explain(Box<explain::ExplainArgs>),
    /// Say what would become of many requests, and what a change would move
    Simulate(Box<simulate::SimulateArgs>),
    /// Ask the GeoIP databases
    Geoip(geoip::GeoipArgs),
    /// Show routing and failover on this machine, with real client addresses
    Demo(demo::DemoArgs),
    /// Start a small regional API to route to
    Origin(origin::OriginArgs),
    /// Sign tokens for requests that may say where they go, or ask why
    Token(token::TokenArgs),
    /// Ask a URL once, for health checks of containers
    Probe(probe::ProbeArgs),
}

impl Command {
    /// Whether its `--log` is something else than that of the other commands.
    fn has_own_log(&self) -> bool {
        matches!(self, Self::Simulate(_))
    }

    /// Carries the command out.
    pub fn run(&self) -> ExitCode {
        match self {
            Self::Run(args) => run::run(args),
            Self::Upgrade(args) => upgrade::run(args),
            Self::Check(args) => check::run(args),
            Self::Schema(args) => schema::run(args),
            Self::Explain(args) => explain::run(args),
            Self::Simulate(args) => simulate::run(args),
            Self::Geoip(args) => geoip::run(args),
            Self::Demo(args) => demo::run(args),
            Self::Origin(args) => origin::run(args),
            Self::Token(args) => token::run(args),
            Self::Probe(args) => probe::run(args),
        }
    }

    /// What is logged unless `--log` says otherwise.
    pub fn default_log(&self) -> &'static str {
        match self {
            // It tells its story itself, on a screen that a log would spoil.
            Self::Demo(args) => demo::default_log(args),
            _ => "info",
        }
    }
}

/// An error with its causes, as it goes to standard error.
pub(crate) fn report_error(error: &dyn Error) -> String {
    format!("error: {}", causes(error))
}

/// The same of files that cannot be used.
pub(crate) fn report_load_error(error: &LoadError) -> String {
    if error.is_list() { causes(error) } else { report_error(error) }
}
