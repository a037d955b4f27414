//! Rhumb beside nginx, HAProxy and a plain byte relay: same work, same database, same origins, same
//! load, one core for the proxy and one for everything else. Started by `benches/peers/run`, which
//! pins it to the load's core and cleans up after it; see docs/benchmarks.md for what it measures.
//!
//! Here: the order of measurements. Not here: how anything is measured.

mod check;
mod client;
mod contestant;
mod countries;
mod error;
mod idle;
mod load;
mod message;
mod options;
mod origin;
mod regions;
mod report;
mod sample;
mod scenario;
mod streams;
mod usage;
mod way;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tokio::task::LocalSet;

use contestant::{Kind, Running, Surroundings};
use error::BenchError;
use load::{Plan, Workload};
use options::{Modes, Options};
use regions::Region;
use report::{Spread, Standing};
use sample::{Mode, Sample};
use scenario::Scenario;
use usage::Watch;
use way::{Certificate, Way};

/// How often a start is tried: between finding a free port and listening, another may take it.
const STARTS: usize = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|source| BenchError::Io { doing: "start the runtime", source })
        .and_then(|runtime| LocalSet::new().block_on(&runtime, compare(&options)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

/// The whole comparison; whether every contestant that is installed answered everything right.
async fn compare(options: &Options) -> Result<bool, BenchError> {
    if options.mode == Modes::Fixed && options.rate.is_none() {
        return Err(BenchError::Usage("--mode fixed needs --rate"));
    }
    let machine = &options.machine;
    let countries = countries::prepare(&machine.database, &machine.directory)?;
    let [mut us, mut eu, mut ap] = [None; 3];
    for (slot, region) in [&mut us, &mut eu, &mut ap].into_iter().zip(Region::ALL) {
        *slot = Some(origin::start(region).await?);
    }
    let (Some(us), Some(eu), Some(ap)) = (us, eu, ap) else {
        return Err(BenchError::Usage("an origin did not start"));
    };
    let certificate = Certificate::issue(&machine.directory)?;
    let around = Surroundings {
        protocol: options.protocol,
        programs: &options.programs,
        directory: &machine.directory,
        database: &machine.database,
        countries: &countries,
        origins: [us, eu, ap],
        core: machine.proxy_core,
    };
    describe(options, &around);
    let bench = Bench {
        options,
        workload: Rc::new(Workload::new(options.scenario, &countries.clients)),
        around,
        certificate,
    };
    let (contestants, mut right) = bench.check_all().await;
    if options.scenario == Scenario::Idle {
        return bench.hold(&contestants, right).await;
    }
    let mut samples = Vec::new();
    if options.mode != Modes::Fixed {
        bench.measure(&contestants, Mode::Saturated, None, &mut samples).await?;
    }
    let rate = options.rate.or_else(|| half_of_the_slowest(&samples));
    if let Some(rate) = rate.filter(|_| options.mode != Modes::Saturated) {
        bench.measure(&contestants, Mode::Fixed, Some(rate), &mut samples).await?;
    }
    right &= samples.iter().all(|sample| sample.faults.is_empty()) && !samples.is_empty();
    let report = report(options, &bench.around, rate, &samples);
    std::io::stdout()
        .write_all(report.as_bytes())
        .map_err(|source| BenchError::Io { doing: "write the report", source })?;
    Ok(right)
}

/// What every measurement needs.
struct Bench<'a> {
    options: &'a Options,
    workload: Rc<Workload>,
    around: Surroundings<'a>,
    certificate: Certificate,
}

impl Bench<'_> {
    /// The contestants that are installed and do the work; `false` if one of them does not.
    async fn check_all(&self) -> (Vec<Kind>, bool) {
        let mut contestants = Vec::new();
        let mut right = true;
        for kind in Kind::ALL.into_iter().filter(|kind| self.options.only.contains(kind)) {
            if let Err(missing) = self.around.programs.of(kind) {
                eprintln!("{}: skipped: {missing}", kind.name());
                continue;
            }
            if let Some(lack) = kind.lacks(self.options.protocol) {
                eprintln!("{}: skipped: {lack}", kind.name());
                continue;
            }
            match self.check(kind).await {
                Ok(()) => contestants.push(kind),
                Err(error) => {
                    eprintln!("{}: skipped: {}", kind.name(), error.chain());
                    right = false;
                }
            }
        }
        (contestants, right)
    }

    async fn check(&self, kind: Kind) -> Result<(), BenchError> {
        let (running, way) = self.start(kind).await?;
        check::same_work(kind, &way, &self.around.countries.clients).await?;
        running.stop().await;
        eprintln!("{}: every client reaches its country's region", kind.name());
        Ok(())
    }

    /// Starts `kind` and waits until it answers.
    async fn start(&self, kind: Kind) -> Result<(Running, Way), BenchError> {
        let mut tries = 1..=STARTS;
        loop {
            let last = tries.next().is_none_or(|number| number == STARTS);
            let mut running = Running::start(kind, &self.around)?;
            let way = Way::new(self.options.protocol, running.address, &self.certificate)?;
            let clients = &self.around.countries.clients;
            match check::ready(kind, (&mut running, &way), clients).await {
                Ok(()) => return Ok((running, way)),
                Err(error) if last => return Err(error),
                Err(_) => running.stop().await,
            }
        }
    }

    /// All rounds of idle connections, interleaved, and the report.
    async fn hold(&self, contestants: &[Kind], mut right: bool) -> Result<bool, BenchError> {
        let mut all = Vec::new();
        for round in 1..=usize::from(self.options.rounds) {
            for &kind in contestants {
                let (running, way) = self.start(kind).await?;
                let machine = &self.options.machine;
                let watch = Watch::new(running.id(), machine.proxy_core, machine.ticks_per_second);
                let count = self.options.connections.into();
                match idle::hold((kind, round), &way, &self.workload, &watch, count).await {
                    Ok(held) => {
                        eprintln!("round {round} {}", held.line());
                        all.push(held);
                    }
                    Err(fault) => {
                        eprintln!("round {round} {}: {fault:?}", kind.name());
                        right = false;
                    }
                }
                running.stop().await;
            }
        }
        match self.options.json {
            true => println!("{:#}", json!({ "about": self.options.machine.about, "held": all })),
            false => print!("{}", idle::table(&all)),
        }
        Ok(right && !all.is_empty())
    }

    /// All rounds of `mode`, interleaved.
    async fn measure(
        &self,
        contestants: &[Kind],
        mode: Mode,
        rate: Option<f64>,
        samples: &mut Vec<Sample>,
    ) -> Result<(), BenchError> {
        for round in 1..=usize::from(self.options.rounds) {
            for &kind in contestants {
                let (running, way) = self.start(kind).await?;
                let machine = &self.options.machine;
                let watch = Watch::new(running.id(), machine.proxy_core, machine.ticks_per_second);
                let plan = Plan {
                    way,
                    connections: self.options.connections.into(),
                    streams: self.options.streams(),
                    warmup: Duration::from_secs_f64(self.options.warmup),
                    window: Duration::from_secs_f64(self.options.seconds),
                    rate,
                    routed: kind.routes(),
                };
                let outcome = load::run(&self.workload, plan, &watch).await;
                let memory = watch.memory();
                let processes = watch.processes();
                let sample = Sample::new((kind, mode, round), &outcome, processes, memory);
                let load = rate.map_or("saturated".into(), |rate| format!("{rate:.0}/s"));
                eprintln!("round {round} {load:<10} {}", sample.line());
                samples.push(sample);
                running.stop().await;
            }
        }
        Ok(())
    }
}

/// Half of what the slowest could do when saturated, by medians.
fn half_of_the_slowest(samples: &[Sample]) -> Option<f64> {
    let throughput = |kind: Kind| {
        let of_kind = samples.iter().filter(|s| s.proxy == kind && s.mode == Mode::Saturated);
        Spread::of(of_kind.map(|sample| sample.requests_per_second).collect())
    };
    let slowest = Kind::ALL.into_iter().filter_map(throughput).map(|spread| spread.median);
    slowest.min_by(f64::total_cmp).map(|slowest| (slowest / 2.0).round().max(1.0))
}

/// Says what is compared, before it is.
fn describe(options: &Options, around: &Surroundings<'_>) {
    let countries = around.countries;
    for line in &options.machine.about {
        eprintln!("{line}");
    }
    eprintln!(
        "{} networks of {} countries; {} client addresses, {}",
        countries.networks,
        countries.codes.len(),
        countries.clients.len(),
        Region::ALL
            .map(|region| {
                let count = countries.clients.iter().filter(|c| c.region == region).count();
                format!("{count} of {}", region.id())
            })
            .join(", ")
    );
}

/// The report, as text or JSON.
fn report(
    options: &Options,
    around: &Surroundings<'_>,
    rate: Option<f64>,
    samples: &[Sample],
) -> String {
    let of = |mode| report::standings(samples, mode);
    let standings: Vec<Standing> = [of(Mode::Saturated), of(Mode::Fixed)].concat();
    let doubts = report::doubts(samples);
    if options.json {
        let report = json!({
            "about": options.machine.about,
            "protocol": options.protocol,
            "streams": options.streams(),
            "scenario": options.scenario,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "warmup_seconds": options.warmup,
            "connections": options.connections,
            "fixed_rate": rate,
            "networks": around.countries.networks,
            "countries": around.countries.codes.len(),
            "clients": around.countries.clients.len(),
            "standings": standings,
            "doubts": doubts,
            "samples": samples,
        });
        return format!("{report:#}\n");
    }
    let mut text = String::new();
    let (connections, rounds) = (options.connections, options.rounds);
    for mode in [Mode::Saturated, Mode::Fixed] {
        let tables = report::tables(&standings, mode);
        if tables.is_empty() {
            continue;
        }
        let load = match mode {
            Mode::Saturated => "as fast as it answers".to_owned(),
            Mode::Fixed => format!("{:.0} requests/s", rate.unwrap_or_default()),
        };
        let _ = writeln!(
            text,
            "\n=== {:?} by {:?}, {load}, {connections} connections of {} streams, {rounds} rounds of {} s ===",
            options.scenario,
            options.protocol,
            options.streams(),
            options.seconds
        );
        text.push_str(&tables);
    }
    for doubt in &doubts {
        let _ = writeln!(text, "\nnote: {doubt}");
    }
    let wrong: u64 = samples.iter().flat_map(|sample| sample.faults.values()).sum();
    let requests: usize = samples.iter().map(|sample| sample.requests).sum();
    let _ = writeln!(
        text,
        "\n{requests} measured requests; {wrong} wrong or missing answers, warm-up included"
    );
    text
}
