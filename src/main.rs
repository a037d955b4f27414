//! The `rhumb` program: arguments, logging, and the command.

use std::process::ExitCode;

use clap::Parser;
use rhumb::cli::{Cli, LogFormat};
use rhumb::log_level::{LogLevel, LogLevelError};

/// Gives memory back to the system when a flood is over, and can tell what it holds for the next one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
