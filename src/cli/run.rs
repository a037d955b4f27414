//! `rhumb run`: starts the proxy and keeps it running until a signal ends it.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, AppError};
use crate::config::{Overridden, Overrides};

/// Arguments of `rhumb run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration file; read again when it changes and on SIGHUP
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Write where it listens to standard output, as one line of JSON, once it is ready
    #[arg(long)]
    pub json: bool,
}

/// Runs until SIGTERM or SIGINT. Exit code 0: ended as asked; 1: did not start or did not end well.
pub fn run(args: &RunArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", describe(&error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &RunArgs) -> Result<bool, AppError> {
    let app = App::start(&args.config, Overrides::of_process()).await?;
    for Overridden { variable, path } in &app.overridden {
        tracing::info!(variable, "the environment sets {path}");
    }
    for warning in &app.warnings {
        tracing::warn!("{warning}");
    }
    announce(args, &app);
    let mut signals = Signals::new().map_err(AppError::Signals)?;
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                tracing::info!("SIGHUP: reading the configuration again");
                app.reload();
            }
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    tracing::info!("stopping: finishing requests under way");
    let clean = app.stop();
    tracing::info!(clean, "stopped");
    Ok(clean)
}

fn announce(args: &RunArgs, app: &App) {
    let addresses: Vec<_> = app.addresses.iter().map(ToString::to_string).collect();
    tracing::info!(
        listeners = addresses.join(", "),
        admin = %app.admin,
        workers = app.worker_count,
        "ready"
    );
    if args.json {
        let line = serde_json::json!({
            "listeners": addresses,
            "admin": app.admin.to_string(),
            "workers": app.worker_count,
            "pid": std::process::id(),
        });
        println!("{line}");
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

fn describe(error: &AppError) -> String {
    if let AppError::Load(error) = error {
        return error.report();
    }
    super::report_error(error)
}
