//! The `rhumb` program: arguments, logging, and the command.

use std::process::ExitCode;

use clap::Parser;
use rhumb::cli::{Cli, LogFormat};
use rhumb::log_level::{LogLevel, LogLevelError};

/// Costs less than the system's on the path of a request, and gives memory back when a flood is over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match LogLevel::install(cli.log_filter(), cli.log_format == LogFormat::Json) {
        Ok(()) => cli.command.run(),
        Err(LogLevelError::Malformed { filter, source }) => {
            eprintln!("error: --log {filter:?} is no log filter: {source}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: --log: {error}");
            ExitCode::from(2)
        }
    }
}
