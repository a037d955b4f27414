//! `rhumb simulate`: what a failure, an operator or another configuration would do to requests, by
//! the code that decides live traffic.
//!
//! Reads files and arguments; the simulation is `simulate`, the layout for people `screen`.

pub(super) mod args;
mod progress;
mod screen;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub use self::args::SimulateArgs;
use self::args::hundredths;
use self::progress::Progress;
use crate::app::{Bundle, LoadError, continent_of};
use crate::config::Config;
use crate::geo::AddressSpace;
use crate::routing::{EndpointIds, Plan, Scenario, ScenarioError, Table};
use crate::simulate::{
    Population, PopulationError, Report, Side, Simulation, Tally, Target, TenantNames,
    sample_tenants,
};

/// What the command ends with when more moves than `--max-moved` allows.
const TOO_MUCH_MOVED: u8 = 3;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Population(#[from] PopulationError),
    #[error("{} has no line that is a request", .0.display())]
    NoRequest(PathBuf),
    #[error(
        "--max-moved needs something to compare: --against, --fail, --drain, --shift or --ramp"
    )]
    NothingToCompare,
    #[error("cannot write the report")]
    Write(#[source] io::Error),
}

/// Simulates. Exit code 0: done; 1: not done, the message says why; 3: done, and more has moved
/// than `--max-moved` allows.
pub fn run(args: &SimulateArgs) -> ExitCode {
    match simulate(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(TOO_MUCH_MOVED),
        Err(SimulateError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(SimulateError::Load(error)) => {
            eprintln!("{}", super::report_load_error(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}", super::report_error(&error));
            ExitCode::FAILURE
        }
    }
}

/// Whether no more moved than may.
fn simulate(args: &SimulateArgs) -> Result<bool, SimulateError> {
    let scenario = args.scenario();
    if args.max_moved.is_some() && scenario.is_empty() && args.against.is_none() {
        return Err(SimulateError::NothingToCompare);
    }
    let live = Loaded::read(&args.config)?;
    let other = args.against.as_deref().map(Loaded::read).transpose()?;
    let mut tables = vec![&live.table];
    tables.extend(other.as_ref().map(|other| &other.table));
    scenario.check(&tables)?;
    let (first, second) = match &other {
        Some(other) => {
            (scenario.applied(&live.table), Some((scenario.applied(&other.table), other)))
        }
        None if scenario.is_empty() => (live.table.clone(), None),
        None => (live.table.clone(), Some((scenario.applied(&live.table), &live))),
    };
    let before = live.side(&first);
    let after = second.as_ref().map(|(table, loaded)| loaded.side(table));
    let simulation =
        Simulation::new(before, after, args.pace(), args.seed).on_threads(args.threads());
    let tally = args.tally(&simulation, &live.bundle.config, &live)?;
    let report = Report::of(&simulation, &tally, args.top);
    args.print(&report, &scenario).map_err(SimulateError::Write)?;
    Ok(args.within(&report))
}

/// A configuration with everything it names, compiled.
struct Loaded {
    bundle: Bundle,
    table: Table,
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, SimulateError> {
        let bundle = Bundle::load(path)?;
        let sources = bundle.tables.sources(continent_of);
        let plan = Plan::compile(&bundle.config, sources, &mut EndpointIds::default());
        Ok(Self { table: Table::healthy(1, Arc::new(plan)), bundle })
    }

    fn side<'a>(&'a self, table: &'a Table) -> Side<'a> {
        Side { table, geo: &self.bundle.geo, requests: self.bundle.config.requests }
    }
}

impl SimulateArgs {
    fn tally(
        &self,
        simulation: &Simulation<'_>,
        config: &Config,
        live: &Loaded,
    ) -> Result<Tally, SimulateError> {
        if let Some(path) = &self.log {
            return self.replay(simulation, Path::new(path));
        }
        let count = self.synthetic.unwrap_or(0);
        let space = Arc::new(AddressSpace::of(&live.bundle.geo));
        let population = Population::new(space, self.targets(config), self.seed)?
            .with_tenants(self.tenants(config)?)
            .with_writes(hundredths(self.writes));
        let progress = Progress::of_requests(count);
        let tally = simulation.population(&population, count, &|more| progress.add(more));
        progress.end();
        Ok(tally)
    }

    fn replay(&self, simulation: &Simulation<'_>, path: &Path) -> Result<Tally, SimulateError> {
        let failed = |source| SimulateError::Read { path: path.to_owned(), source };
        let (input, length): (Box<dyn Read + Send>, _) = if path.as_os_str() == "-" {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let progress = Progress::of_bytes(path, length);
        let tally = simulation.log(input, &|more| progress.add(more)).map_err(failed)?;
        progress.end();
        for bad in &tally.bad_lines().first {
            eprintln!("{}:{}: error: {}", path.display(), bad.line, bad.error);
        }
        let more = tally.bad_lines().count - tally.bad_lines().first.len() as u64;
        if more > 0 {
            eprintln!("{}: {more} more lines are no requests", path.display());
        }
        if tally.requests() == 0 {
            return Err(SimulateError::NoRequest(path.to_owned()));
        }
        Ok(tally)
    }

    fn targets(&self, config: &Config) -> Vec<Vec<Target>> {
        let mut targets = Target::of(config);
        for target in targets.iter_mut().flatten() {
            if let Some(host) = &self.host {
                target.host = host.to_ascii_lowercase();
            }
            if let Some(path) = &self.path {
                target.path.clone_from(path);
            }
        }
        targets
    }

    fn tenants(&self, config: &Config) -> Result<TenantNames, SimulateError> {
        let Some(tenants) = &config.tenants else { return Ok(TenantNames::default()) };
        let failed = |source| SimulateError::Read { path: tenants.file.clone(), source };
        let mut file = BufReader::new(File::open(&tenants.file).map_err(failed)?);
        sample_tenants(&mut file, self.seed).map_err(failed)
    }

    fn print(&self, report: &Report, scenario: &Scenario) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            let mut value = serde_json::to_value(report).map_err(io::Error::other)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("config".to_owned(), self.config.display().to_string().into());
                let against = self.against.as_ref().map(|path| path.display().to_string());
                object.insert("against".to_owned(), against.into());
                object.insert("supposed".to_owned(), scenario.told().into());
                object.insert("seed".to_owned(), self.seed.into());
                object.insert("max_moved_percent".to_owned(), self.max_moved.into());
                object.insert("within_max_moved".to_owned(), self.within(report).into());
            }
            return writeln!(out, "{value:#}");
        }
        write!(out, "{}", screen::Screen { report, told: &self.told(scenario) })?;
        match (self.max_moved, &report.change) {
            (Some(most), Some(change)) if self.within(report) => {
                writeln!(out, "\nwithin the limit: {:.2} % of {most} %", change.moved_percent)
            }
            (Some(most), Some(change)) => {
                writeln!(out, "\nTOO MUCH MOVED: {:.2} %, at most {most} %", change.moved_percent)
            }
            _ => Ok(()),
        }
    }

    fn told(&self, scenario: &Scenario) -> Vec<String> {
        let config = self.config.display();
        let mut told = Vec::new();
        match &self.against {
            Some(against) => {
                told.push(format!("before: {config}"));
                told.push(format!("after:  {}", against.display()));
                if !scenario.is_empty() {
                    told.push(format!("both with {}", scenario.told()));
                }
            }
            None if scenario.is_empty() => told.push(config.to_string()),
            None => {
                told.push(format!("before: {config}"));
                told.push(format!("after:  the same with {}", scenario.told()));
            }
        }
        told
    }

    fn within(&self, report: &Report) -> bool {
        let moved = report.change.as_ref().map(|change| change.moved_percent);
        !self.max_moved.zip(moved).is_some_and(|(most, moved)| moved > most)
    }
}
