//! The commands of the program, one file each. Not here: what they command.
//!
//! Results go to standard output, errors to standard error. Exit codes: 0 done, 1 not done (the
//! message says why), 2 the command line itself was wrong.

pub mod check;
pub mod explain;
pub mod geoip;
pub mod run;
pub mod schema;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Edge traffic-routing proxy: decides which region answers each request, and says why.
#[derive(Debug, Parser)]
#[command(name = "rhumb", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Least severe messages to log: error, warn, info, debug, trace, or a filter such as
    /// `info,rhumb::failover=debug`
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL")]
    pub log: String,
    /// How to log
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
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
    /// Print every error of a configuration file
    Check(check::CheckArgs),
    /// Print the JSON Schema of the configuration file
    Schema(schema::SchemaArgs),
    /// Say where a request would go, and why
    Explain(explain::ExplainArgs),
    /// Ask the GeoIP databases
    Geoip(geoip::GeoipArgs),
}

impl Command {
    /// Carries the command out.
    pub fn run(&self) -> ExitCode {
        match self {
            Self::Run(args) => run::run(args),
            Self::Check(args) => check::run(args),
            Self::Schema(args) => schema::run(args),
            Self::Explain(args) => explain::run(args),
            Self::Geoip(args) => geoip::run(args),
        }
    }
}
