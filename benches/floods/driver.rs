//! HTTP/2 floods against a running proxy, beside victims that behave: what do they notice, how much
//! memory does it cost, how much reaches the origin. `tests/suites/run` starts proxies for it.
//!
//! Here: the order of phases. Not here: what an attack sends (`attack`), what is too much (`verdict`).

mod attack;
mod attacker;
mod frame;
mod origin;
mod process;
mod urgency;
mod verdict;
mod victim;

use std::io::{self, Write as _};
use std::iter;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum as _};
use tokio::time::{Instant, sleep};

use attack::Attack;
use attacker::{Plan, Seen};
use origin::InHand;
use process::Process;
use urgency::Urgency;
use verdict::{Round, Suffering};
use victim::{Ports, Protocol, Victim};

/// Between an attack and the calm before the next one.
const REST: Duration = Duration::from_secs(2);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Flood a proxy with HTTP/2 while others use it
#[derive(Debug, Parser)]
struct Options {
    /// Port on which the proxy speaks HTTP/1.1
    #[arg(long)]
    http1: u16,
    /// Port on which it speaks HTTP/2 with prior knowledge
    #[arg(long)]
    http2: u16,
    /// Port of another proxy, which is attacked first: what victims suffer then is the machine's doing
    #[arg(long)]
    decoy: Option<u16>,
    /// Process to look at
    #[arg(long)]
    pid: u32,
    /// Port to serve HTTP/1.1 on; the proxy leads web.test and sockets.test there
    #[arg(long)]
    web: u16,
    /// Port to serve gRPC on; the proxy leads grpc.test there
    #[arg(long)]
    grpc: u16,
    /// Port to serve attackers on; the proxy leads one.test there
    #[arg(long)]
    attacked: u16,
    /// Attacks, separated by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Attack>,
    /// How long each attack lasts
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long the calm before it lasts
    #[arg(long, default_value_t = 10)]
    calm: u64,
    /// How often each attack and the calm before it are measured; of the slowdowns the median counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Connections that attack at once
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// How long a connection that was ended waits before it comes again
    #[arg(long, default_value_t = 100)]
    pause_ms: u64,
    /// Exchanges per second of each victim
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// A 99th percentile below this is never too slow
    #[arg(long, default_value_t = 0.0)]
    floor_ms: f64,
    /// Unit of /proc/PID/stat
    #[arg(long, default_value_t = 100.0)]
    ticks_per_second: f64,
    /// One JSON object a line on standard output
    #[arg(long)]
    json: bool,
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

/// Everything; whether every attack passed.
fn run(options: &Options) -> io::Result<bool> {
    let in_hand = InHand::default();
    let (web, grpc) = (origin::listen(options.web)?, origin::listen(options.grpc)?);
    let attacked = origin::listen(options.attacked)?;
    // What victims use has threads of its own, and goes before what attacks.
    background(Urgency::Normal, async move {
        let (web, grpc) = tokio::join!(origin::web(web, InHand::default()), origin::grpc(grpc));
        web.and(grpc)
    });
    let counted = in_hand.clone();
    background(Urgency::Idle, async move { origin::web(attacked, counted).await });
    let victims: Vec<_> = Protocol::ALL.map(Victim::new).into();
    let ports = Ports { http1: options.http1, http2: options.http2 };
    let rate = options.rate;
    for victim in victims.clone() {
        background(Urgency::Normal, async move {
            victim.live(ports, rate).await;
            Ok(())
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(phases(options, &victims, &in_hand))
}

/// A thread of its own for some work.
fn background(urgency: Urgency, work: impl Future<Output = io::Result<()>> + Send + 'static) {
    thread::spawn(move || {
        urgency.take();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Err(error) = runtime.and_then(|runtime| runtime.block_on(work)) {
            eprintln!("error: {error}");
        }
    });
}

/// Calm, attack, rest, and again.
async fn phases(options: &Options, victims: &[Victim], in_hand: &InHand) -> io::Result<bool> {
    let mut good = true;
    let ids = Arc::new(AtomicU64::new(1));
    if !options.json {
        println!("{}", verdict::heading());
    }
    sleep(REST).await;
    let chosen = if options.only.is_empty() { Attack::value_variants() } else { &options.only };
    for &attack in chosen {
        let mut result = measure(options, attack, victims, in_hand, &ids).await;
        for _ in 1..options.rounds {
            if result.alive {
                sleep(REST).await;
                result.add(measure(options, attack, victims, in_hand, &ids).await);
            }
        }
        let faults = result.faults(options.floor_ms);
        good &= faults.is_empty();
        if options.json {
            println!("{}", result.json(options.floor_ms));
        } else {
            println!("{}", result.line(options.floor_ms));
            for fault in &faults {
                println!("    {fault}");
            }
        }
        io::stdout().flush()?;
        if !result.alive {
            break;
        }
        sleep(REST).await;
    }
    Ok(good)
}

/// One attack, the calm before it, and the attack on a decoy between them.
async fn measure(
    options: &Options,
    attack: Attack,
    victims: &[Victim],
    in_hand: &InHand,
    ids: &Arc<AtomicU64>,
) -> verdict::Result {
    let process = Process(options.pid);
    let outcomes = || victims.iter().map(Victim::take).collect::<Vec<_>>();
    let before_it = Duration::from_secs(options.calm);
    outcomes();
    sleep(before_it).await;
    let calm = outcomes();
    let mut decoyed = Vec::new();
    if let Some(decoy) = options.decoy {
        assault(options, attack, decoy, Instant::now() + before_it, ids);
        sleep(before_it).await;
        decoyed = outcomes();
        sleep(REST).await;
        outcomes();
    }
    in_hand.take();
    let before = process.resident().unwrap_or(0);
    let busy_before = process.busy(options.ticks_per_second);

    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds);
    let seen = assault(options, attack, options.http2, end, ids);
    let mut most = before;
    while Instant::now() < end {
        sleep(LOOK).await;
        most = most.max(process.resident().unwrap_or(0));
    }
    let seconds = start.elapsed().as_secs_f64();
    let busy = process.busy(options.ticks_per_second).zip(busy_before);
    let floods = outcomes();
    let decoyed = decoyed.into_iter().map(Some).chain(iter::repeat_with(|| None));
    let victims = victims.iter().zip(calm).zip(decoyed).zip(floods);
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    verdict::Result {
        attack: attack.to_possible_value().map_or(String::new(), |name| name.get_name().to_owned()),
        seconds,
        connections: read(&seen.connections),
        refused: read(&seen.refused),
        ended: read(&seen.ended),
        frames: read(&seen.frames),
        bytes: read(&seen.bytes),
        answers: read(&seen.answers),
        resets: read(&seen.resets),
        goaways: seen.goaways(),
        in_hand: in_hand.take(),
        memory: most.saturating_sub(before),
        busy: busy.map_or(0.0, |(after, before)| (after - before) / seconds),
        alive: process.resident().is_some(),
        victims: victims
            .map(|(((victim, calm), decoy), flood)| Suffering {
                protocol: victim.protocol,
                rounds: vec![Round { calm, decoy, flood }],
            })
            .collect(),
    }
}

/// Attacks a port over all connections until `end`.
fn assault(
    options: &Options,
    attack: Attack,
    port: u16,
    end: Instant,
    ids: &Arc<AtomicU64>,
) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    for _ in 0..options.connections {
        let plan = Plan {
            attack,
            port,
            authority: "one.test".to_owned(),
            end,
            pause: Duration::from_millis(options.pause_ms),
        };
        let (ids, seen) = (Arc::clone(ids), Arc::clone(&seen));
        background(Urgency::Idle, async move {
            attacker::attack(plan, ids, seen).await;
            Ok(())
        });
    }
    seen
}
