//! `rhumb upgrade`: asks the running process to put the binary on disk in its place, and waits for
//! the outcome.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::{LoadError, causes};
use crate::config::{self, Upgrade};
use crate::handover::{AskError, ask};

/// Arguments of `rhumb upgrade`.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// Configuration file of the running process; its `upgrade.socket` is asked
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Write the outcome to standard output, as one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, thiserror::Error)]
enum UpgradeError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the configuration has no `upgrade.socket`; add one, or send SIGUSR2 to the process")]
    NoSocket,
    #[error("cannot start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Exit code 0: the new process serves; 1: the old one serves on.
pub fn run(args: &UpgradeArgs) -> ExitCode {
    match upgrade(args) {
        Ok(pid) => {
            match args.json {
                true => println!("{}", serde_json::json!({ "upgraded": true, "pid": pid })),
                false => println!("process {pid} serves"),
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if args.json {
                let reason = causes(&error);
                println!("{}", serde_json::json!({ "upgraded": false, "reason": reason }));
            }
            let report = match &error {
                UpgradeError::Load(error) => super::report_load_error(error),
                error => super::report_error(error),
            };
            eprintln!("{report}");
            ExitCode::FAILURE
        }
    }
}

fn upgrade(args: &UpgradeArgs) -> Result<u32, UpgradeError> {
    let overrides = config::Overrides::of_process().lenient();
    let loaded = config::load(&args.config, &config::environment, &overrides);
    let loaded = loaded.map_err(LoadError::Config)?;
    let Upgrade { socket, ready } = loaded.config.upgrade;
    let socket = socket.ok_or(UpgradeError::NoSocket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(UpgradeError::Runtime)?;
    Ok(runtime.block_on(ask(&socket, ready))?)
}
