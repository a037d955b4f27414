//! A proxy is replaced, or its listeners come and go, again and again, while connections are made all
//! the time and others have requests, streams and WebSockets under way: how many are refused, reset or
//! cut? Rhumb, nginx and HAProxy, each as its own manual says.
//!
//! Here: the order of things, and the table. Not here: how a proxy is replaced (`contestant`), and
//! what counts as what (`tally`).

mod clients;
mod contestant;
mod origin;
mod tally;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::time::{Instant, sleep};

use clients::Load;
use contestant::{Contestant, Kind};
use tally::Tally;

/// Replace a proxy while it is used
#[derive(Debug, Parser)]
struct Options {
    /// Programs, separated by commas: rhumb, nginx and haproxy are told apart by their names
    #[arg(long, value_delimiter = ',', default_value = "target/release/rhumb")]
    programs: Vec<PathBuf>,
    /// What is done
    #[arg(long, value_enum, value_delimiter = ',', default_value = "upgrades,listeners")]
    what: Vec<What>,
    /// How often
    #[arg(long, default_value_t = 100)]
    times: u32,
    /// Time between two, in milliseconds
    #[arg(long, default_value_t = 500)]
    every_ms: u64,
    /// New connections per second
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Connections that are kept alive
    #[arg(long, default_value_t = 32)]
    kept: u32,
    /// Streamed answers under way at once
    #[arg(long, default_value_t = 32)]
    streams: u32,
    /// WebSockets open at once
    #[arg(long, default_value_t = 32)]
    websockets: u32,
    /// How long a streamed answer takes, and how long a WebSocket is open, in milliseconds
    #[arg(long, default_value_t = 3_000)]
    lasts_ms: u64,
    /// Workers of the proxy
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Where proxies write
    #[arg(long, default_value = "target/replacements")]
    work: PathBuf,
    /// One JSON object a line on standard output
    #[arg(long)]
    json: bool,
}

/// What happens to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The binary is replaced.
    Upgrades,
    /// A listener is added, or taken away again.
    Listeners,
    /// Nothing, for comparison.
    Nothing,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Everything; whether Rhumb, where it was among them, lost nothing.
fn run(options: &Options) -> io::Result<bool> {
    let origin = origin::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut good = true;
    for program in &options.programs {
        for what in &options.what {
            let kind = Kind::of(program)?;
            let tally = runtime.block_on(one(options, program, kind, *what, origin))?;
            print(options, kind, *what, &tally)?;
            good &= kind != Kind::Rhumb || tally.lost() == 0;
        }
    }
    Ok(good)
}

async fn one(
    options: &Options,
    program: &std::path::Path,
    kind: Kind,
    what: What,
    origin: u16,
) -> io::Result<Tally> {
    let mut contestant =
        Contestant::start(kind, program, &options.work, origin, options.workers).await?;
    let tally = Arc::new(Tally::default());
    let load = Load::start(options, &contestant, &tally);
    sleep(Duration::from_secs(1)).await;
    for turn in 0..options.times {
        let start = Instant::now();
        match what {
            What::Upgrades => contestant.upgrade().await?,
            What::Listeners => contestant.listen_more(turn % 2 == 0).await?,
            What::Nothing => {}
        }
        tally.done(start.elapsed());
        sleep(Duration::from_millis(options.every_ms)).await;
    }
    sleep(Duration::from_secs(1)).await;
    load.stop().await;
    drop(contestant);
    Ok(Arc::into_inner(tally).unwrap_or_default())
}

fn print(options: &Options, kind: Kind, what: What, tally: &Tally) -> io::Result<()> {
    let what = format!("{what:?}").to_lowercase();
    let mut out = io::stdout().lock();
    if options.json {
        let mut line = tally.json();
        line["proxy"] = kind.name().into();
        line["what"] = what.into();
        return writeln!(out, "{line}");
    }
    writeln!(out, "{} {what}\n{}", kind.name(), tally.table())
}
