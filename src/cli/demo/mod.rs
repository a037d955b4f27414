//! `rhumb demo`: three regions on this machine, real client addresses, and a region that dies.
//!
//! ```text
//! traffic ──> Rhumb, in this process ──> three origins, processes of their own
//!    │             │                        │
//!  tally        watcher                  origins: kill -9, revive
//!    └── judged by: world (what must be right)
//! stage    all of that, set up and taken down
//! script   plays a story and reports;  screen   shows it and takes keys
//! ```
//!
//! Nothing here is part of the proxy: it only starts one, as `rhumb run` does.

mod error;
mod interrupt;
mod origins;
mod places;
mod report;
mod sample;
mod screen;
mod script;
mod setting;
mod stage;
mod tally;
mod traffic;
mod watcher;
mod world;

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use error::DemoError;
use stage::Plan;

/// How long a region stays out at least; short, so that one sees it come back.
const COOLDOWN: Duration = Duration::from_secs(6);

/// Arguments of `rhumb demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Play a story of about 20 seconds and report, also on a terminal
    #[arg(long)]
    pub script: bool,
    /// Make the story so many times as long
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    pub seconds_scale: f64,
    /// Use this port and the four after it: Rhumb, its admin address, three origins [default: free
    /// ports]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(u16::MAX - stage::PORTS + 1)))]
    pub port: Option<u16>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(20..=5_000))]
    pub rate: u32,
    /// Play the story and print its report as JSON; the story itself goes to standard error
    #[arg(long)]
    pub json: bool,
}

impl DemoArgs {
    fn on_screen(&self) -> bool {
        !self.script && !self.json && stdout().is_terminal() && stdin().is_terminal()
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.2..=60.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number from 0.2 to 60".to_owned()),
    }
}

/// What is logged unless `--log` says otherwise: nothing that would spoil the screen.
pub(super) fn default_log(args: &DemoArgs) -> &'static str {
    // The story kills a region on purpose and tells of it; warnings of that would only repeat it.
    if args.on_screen() && stderr().is_terminal() { "off" } else { "rhumb=off,error" }
}

/// Plays the demo. Exit code 0: no request failed and everything that the story shows has
/// happened; 1: otherwise, or the demo could not be played.
pub fn run(args: &DemoArgs) -> ExitCode {
    match play(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The terminal may be gone: then there is nobody to tell.
            let _ = writeln!(stderr(), "{}", super::report_error(&error));
            ExitCode::FAILURE
        }
    }
}

fn play(args: &DemoArgs) -> Result<bool, DemoError> {
    let interrupted = interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DemoError::Runtime)?;
    let plan = Plan { port: args.port, rate: args.rate, cooldown: COOLDOWN };
    if args.on_screen() {
        return screen::run(&runtime, plan, &interrupted);
    }
    let cooldown = COOLDOWN.mul_f64(args.seconds_scale);
    let pace = script::Pace { scale: args.seconds_scale, json: args.json };
    runtime.block_on(script::play(Plan { cooldown, ..plan }, pace, interrupted))
}
