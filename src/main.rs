//! The `rhumb` program: arguments, logging, and the command.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clap::Parser;
use rhumb::cli::{Cli, LogFormat};
use tracing_subscriber::EnvFilter;

/// Costs less than the system's on the path of a request, and gives memory back when a flood is over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli.log_filter();
    let filter = match EnvFilter::try_new(log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: --log {log:?} is no log filter: {error}");
            return ExitCode::from(2);
        }
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match cli.log_format {
        LogFormat::Text => log.with_target(false).with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    cli.command.run()
}
