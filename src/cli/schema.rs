//! `rhumb schema`: the JSON Schema of the configuration file, for editors and pipelines.

use std::io::{self, Write};
use std::process::ExitCode;

/// Arguments of `rhumb schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Accepted like everywhere; the schema is JSON in any case
    #[arg(long)]
    pub json: bool,
}

/// Prints the schema. Exit code 0, or 1 when nobody reads it.
pub fn run(_: &SchemaArgs) -> ExitCode {
    match writeln!(io::stdout(), "{:#}", crate::config::schema()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
