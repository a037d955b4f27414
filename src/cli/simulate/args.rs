//! The arguments of `rhumb simulate`, and what they mean.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::limits;
use crate::routing::{Scenario, Shift};
use crate::simulate::Pace;

/// Arguments of `rhumb simulate`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("requests").required(true).args(["log", "synthetic"]))]
pub struct SimulateArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Replay an access log, a JSON object a line (`-`: standard input)
    // Takes the place of the option of all commands that has the same name.
    #[arg(long, value_name = "FILE")]
    pub log: Option<String>,
    /// Make so many requests up, from clients spread as the address space is
    #[arg(long, value_name = "N")]
    pub synthetic: Option<u64>,
    /// Suppose that this region is down; may be given several times, as the next three
    #[arg(long, value_name = "REGION")]
    pub fail: Vec<String>,
    /// Suppose that an operator has taken this region out
    #[arg(long, value_name = "REGION")]
    pub drain: Vec<String>,
    /// Suppose that an operator has shifted a deployment to these regions, first one first
    #[arg(long, value_name = "DEPLOYMENT=R1,R2", value_parser = shift)]
    pub shift: Vec<Shift>,
    /// Suppose that this region takes only a share of its clients
    #[arg(long, value_name = "REGION=PERCENT", value_parser = ramp)]
    pub ramp: Vec<(String, u16)>,
    /// Compare with this configuration; what is supposed then holds for both
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// End with exit code 3 if a larger part of the requests moves
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub max_moved: Option<f64>,
    /// What all random draws follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Requests a second, evenly spread; without it a log's own times count
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long a request takes that does not say so itself
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub duration_ms: u32,
    /// The moment of requests that do not say so themselves, RFC 3339; now unless given
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
    /// Host that made-up requests ask for, in place of those of the deployments
    #[arg(long, requires = "synthetic")]
    pub host: Option<String>,
    /// Path that made-up requests ask for, in place of the deployments' prefixes
    #[arg(long, requires = "synthetic")]
    pub path: Option<String>,
    /// Made-up requests that are writes
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent, requires = "synthetic")]
    pub writes: f64,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Countries, tenants and moves that are listed
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

pub(in crate::cli) fn shift(text: &str) -> Result<Shift, String> {
    let (deployment, regions) =
        text.split_once('=').ok_or("expected `deployment=region,region`")?;
    let regions: Vec<_> = regions.split(',').map(|id| id.trim().into()).collect();
    Ok(Shift { deployment: deployment.trim().into(), regions })
}

pub(in crate::cli) fn ramp(text: &str) -> Result<(String, u16), String> {
    let (region, share) = text.split_once('=').ok_or("expected `region=percent`")?;
    Ok((region.trim().to_owned(), hundredths(percent(share)?)))
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let number = number.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a percentage from 0 to 100, such as `5%`".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches("/s").parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected requests a second, such as `250` or `250/s`".to_owned())
}

pub(super) fn hundredths(percent: f64) -> u16 {
    (percent * 100.0).round() as u16
}

impl SimulateArgs {
    pub(super) fn scenario(&self) -> Scenario {
        let ids = |ids: &[String]| ids.iter().map(|id| id.as_str().into()).collect();
        let ramp = self.ramp.iter().map(|(id, share)| (id.as_str().into(), *share));
        Scenario {
            fail: ids(&self.fail),
            drain: ids(&self.drain),
            shift: self.shift.clone(),
            ramp: ramp.collect(),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let at = self.at.map(|at| u64::try_from(at.as_second()).unwrap_or(0));
        let duration = u64::from(self.duration_ms) * 1_000;
        let longest = limits::SIMULATED_DURATION.as_micros() as u64;
        Pace { now: at.unwrap_or(now), rate: self.rate, duration_us: duration.min(longest) }
    }

    pub(super) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.threads.unwrap_or(cores).clamp(1, limits::WORKERS_MAX)
    }
}
