//! `rhumb run`: starts the proxy, or takes the place of one that runs.
//!
//! What happens while it runs is `service`, and how it ends is `ending`.

mod ending;
mod service;
mod signals;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use self::service::Service;
use self::signals::Signals;
use crate::app::{App, AppError, Plans, systemd};
use crate::config::{Overridden, Overrides, Upgrade};
use crate::handover::{Desk, DeskError, Heir, HeirError, Inherited, Passed, Program, Role};
use crate::model::limits;

/// Arguments of `rhumb run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration file; read again when it changes and on SIGHUP
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Take the place of the process that listens at `upgrade.socket`, if there is one
    #[arg(long)]
    pub take_over: bool,
    /// Write where it listens to standard output, as one line of JSON, once it is ready
    #[arg(long)]
    pub json: bool,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Heir(#[from] HeirError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("--take-over needs `upgrade.socket` in the configuration")]
    NowhereToAsk,
}

/// Runs until it is told to end, or another process has taken over. Exit code 0: ended as asked, and
/// everything under way was finished; 1: did not start or did not end well; 3: something was cut;
/// 128 and the number of the signal: a second signal ended it at once.
pub fn run(args: &RunArgs) -> ExitCode {
    // While there is no other thread, because it changes the environment.
    let passed = systemd::passed();
    let program = Program::own();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let program = program.map_err(|error| tracing::warn!(%error, "there can be no upgrade")).ok();
    let code = match runtime.block_on(start(args, program, passed)) {
        Ok(service) => runtime.block_on(service.run()),
        Err(error) => {
            eprintln!("{}", describe(&error));
            ExitCode::FAILURE
        }
    };
    // A task may be in the middle of something that takes long, and nobody waits for it.
    runtime.shutdown_background();
    code
}

/// Starts everything. Where it takes another one's place, that one hears why it cannot.
async fn start(
    args: &RunArgs,
    program: Option<Program>,
    passed: Vec<std::net::TcpListener>,
) -> Result<Service, RunError> {
    let parent = Heir::of_parent().await?;
    let plans = Plans::read(&args.config, Overrides::of_process()).map_err(AppError::from);
    let plans = match plans {
        Ok(plans) => plans,
        Err(error) => return Err(give_up(parent, error.into()).await),
    };
    let known = match parent {
        None if args.take_over => {
            let Upgrade { socket, ready } = &plans.config().upgrade;
            let socket = socket.as_deref().ok_or(RunError::NowhereToAsk)?;
            Heir::of_socket(socket, *ready).await?
        }
        parent => parent,
    };
    let (mut heir, mut inherited) =
        known.map_or((None, Inherited::new()), |(heir, inherited)| (Some(heir), inherited));
    inherited.extend(systemd::sort(passed, plans.config()));
    match prepare(plans, &mut heir, &mut inherited).await {
        Ok((app, signals)) => begin(args, program, app, signals, heir, &inherited).await,
        Err(error) => Err(give_up(heir.map(|heir| (heir, inherited)), error).await),
    }
}

/// Everything that can fail, up to the moment when the old process lets go.
async fn prepare(
    plans: Plans,
    heir: &mut Option<Heir>,
    inherited: &mut Inherited,
) -> Result<(App, Signals), RunError> {
    let signals = Signals::new().map_err(AppError::Signals)?;
    let app = App::prepare(plans, inherited).await?;
    if let Some(heir) = heir {
        app.first_checks(limits::FIRST_CHECKS).await;
        heir.ready().await?;
    }
    Ok((app, signals))
}

/// Accepts connections.
async fn begin(
    args: &RunArgs,
    program: Option<Program>,
    mut app: App,
    signals: Signals,
    heir: Option<Heir>,
    unused: &[Passed],
) -> Result<Service, RunError> {
    let socket = app.live().load().config.upgrade.socket.clone();
    let open = async |replace| match &socket {
        Some(socket) => Desk::open(socket, replace).await.map(Some),
        None => Ok(None),
    };
    let desk = match heir {
        None => {
            let desk = open(false).await?;
            app.serve().await?;
            desk
        }
        Some(heir) => {
            app.serve().await?;
            let unused = unused.iter().filter(|passed| passed.role == Role::Listener);
            let mut left: Vec<_> = unused.filter_map(|it| it.socket.local_addr().ok()).collect();
            left.dedup();
            heir.serving(left).await;
            app.registry().control.upgrade(true);
            // Too late to turn back.
            let desk = open(true).await;
            desk.unwrap_or_else(|error| {
                tracing::error!(%error, "there is no upgrade socket");
                None
            })
        }
    };
    for Overridden { variable, path } in &app.overridden {
        tracing::info!(variable, "the environment sets {path}");
    }
    for warning in &app.warnings {
        tracing::warn!("{warning}");
    }
    announce(args, &app);
    systemd::ready();
    Ok(Service::new(app, signals, program, desk))
}

async fn give_up(heir: Option<(Heir, Inherited)>, error: RunError) -> RunError {
    if let Some((heir, _)) = heir {
        heir.failed(describe(&error)).await;
    }
    error
}

fn announce(args: &RunArgs, app: &App) {
    let addresses: Vec<_> = app.addresses.iter().map(ToString::to_string).collect();
    tracing::info!(
        listeners = addresses.join(", "),
        admin = %app.admin,
        workers = app.worker_count,
        pid = std::process::id(),
        "ready"
    );
    if args.json {
        let line = serde_json::json!({
            "listeners": addresses,
            "admin": app.admin.to_string(),
            "workers": app.worker_count,
            "pid": std::process::id(),
        });
        // Whoever started the first of several may have stopped reading.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn describe(error: &RunError) -> String {
    if let RunError::App(AppError::Load(error)) = error {
        return super::report_load_error(error);
    }
    super::report_error(error)
}
