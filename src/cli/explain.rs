//! `rhumb explain`: where a request would go, and why, by the code that decides live traffic.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::Bundle;
use crate::inquiry::{HeaderValues, Inquiry, Suppose};
use crate::measure::Observed;
use crate::routing::{Plan, Shift};
use crate::snapshot::Snapshot;

/// Longest line of a batch.
const LINE_BYTES: u64 = 1 << 20;

/// Arguments of `rhumb explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Method
    #[arg(long, default_value = "GET")]
    pub method: String,
    /// Host
    #[arg(long)]
    pub host: Option<String>,
    /// Path, with its query if it has one
    #[arg(long, default_value = "/")]
    pub path: String,
    /// A header; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// The other end of the connection
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub peer: IpAddr,
    /// Makes random draws repeatable
    #[arg(long, default_value_t = 0)]
    pub entropy: u64,
    /// Turn of the round robin
    #[arg(long, default_value_t = 0)]
    pub turn: u64,
    /// The moment, as RFC 3339 or in Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub now: Option<u64>,
    /// Whose customer the request is, whatever it says itself
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// The region that it should rather go to, as a hint that is believed
    #[arg(long, value_name = "REGION")]
    pub prefer: Option<String>,
    /// The only region that will do, as a hint that is believed
    #[arg(long, value_name = "REGION")]
    pub force: Option<String>,
    /// The region that an origin asked for the request to be replayed in
    #[arg(long, value_name = "REGION")]
    pub replay: Option<String>,
    /// The region of a valid affinity token
    #[arg(long, value_name = "REGION")]
    pub affinity: Option<String>,
    /// The region of the client's last write
    #[arg(long, value_name = "REGION")]
    pub written: Option<String>,
    /// What is supposed of regions
    #[command(flatten)]
    pub suppose: SupposeArgs,
    /// Explain every line of a JSON Lines file (`-`: standard input), one decision a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "headers"])]
    pub batch: Option<PathBuf>,
    /// Print JSON; a batch always does
    #[arg(long)]
    pub json: bool,
}

/// What is supposed of regions.
#[derive(Debug, Default, clap::Args)]
pub struct SupposeArgs {
    /// Suppose that this region is down; may be given several times, as all that follow
    #[arg(long, value_name = "REGION")]
    pub fail: Vec<String>,
    /// Suppose that an operator took this region out
    #[arg(long, value_name = "REGION")]
    pub drain: Vec<String>,
    /// Suppose that an operator shifted a deployment to these regions, in order
    #[arg(long, value_name = "DEPLOYMENT=R1,R2", value_parser = super::simulate::args::shift)]
    pub shift: Vec<Shift>,
    /// Suppose that this region takes only a share of its clients
    #[arg(long, value_name = "REGION=PERCENT", value_parser = super::simulate::args::ramp)]
    pub ramp: Vec<(String, u16)>,
    /// Suppose that this region is answering so many requests
    #[arg(long, value_name = "REGION=N", value_parser = in_flight)]
    pub in_flight: Vec<(String, u32)>,
}

impl SupposeArgs {
    fn suppose(&self) -> Suppose {
        let ids = |names: &[String]| names.iter().map(|id| id.as_str().into()).collect();
        let ramp = self.ramp.iter().map(|(id, share)| (id, f64::from(*share) / 100.0));
        let shift = self.shift.iter().cloned();
        let in_flight = self.in_flight.iter().map(|(id, n)| (id.as_str().into(), *n));
        Suppose {
            fail: ids(&self.fail),
            drain: ids(&self.drain),
            ramp: ramp.map(|(id, percent)| (id.as_str().into(), percent)).collect(),
            shift: shift.map(|shift| (shift.deployment, shift.regions)).collect(),
            in_flight: in_flight.collect(),
        }
    }
}

fn in_flight(text: &str) -> Result<(String, u32), String> {
    let wrong = || "expected `region=number`, such as `eu-west-1=500`".to_owned();
    let (region, number) = text.split_once('=').ok_or_else(wrong)?;
    Ok((region.to_owned(), number.parse().map_err(|_| wrong())?))
}

fn moment(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let wrong = "expected a time such as `2026-11-20T08:00:00Z`, or seconds since 1970";
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{wrong}: {error}"))?;
    u64::try_from(time.as_second()).map_err(|_| wrong.to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "expected `name: value`".to_owned())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Explains. Exit code 0: explained, also if the request would be refused; 1: the configuration
/// or a description is not valid.
pub fn run(args: &ExplainArgs) -> ExitCode {
    let snapshot = match snapshot(&args.config) {
        Ok(snapshot) => snapshot,
        Err(report) => {
            eprintln!("{report}");
            return ExitCode::FAILURE;
        }
    };
    let explained = match &args.batch {
        Some(path) => batch(&snapshot, path),
        None => single(&snapshot, args),
    };
    match explained {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The snapshot that `rhumb run` would start with: everything healthy.
fn snapshot(config: &Path) -> Result<Snapshot, String> {
    let bundle = Bundle::load(config).map_err(|error| super::report_load_error(&error))?;
    Ok(bundle.healthy())
}

fn single(snapshot: &Snapshot, args: &ExplainArgs) -> io::Result<bool> {
    let mut headers = std::collections::BTreeMap::<String, HeaderValues>::new();
    for (name, value) in &args.headers {
        let known = headers.remove(name);
        headers.insert(name.clone(), HeaderValues::joined(known, value.clone()));
    }
    let inquiry = Inquiry {
        method: Some(args.method.clone()),
        host: args.host.clone(),
        path: Some(args.path.clone()),
        headers,
        peer: Some(args.peer),
        entropy: Some(args.entropy),
        turn: Some(args.turn),
        now: args.now,
        tenant: args.tenant.clone(),
        prefer: args.prefer.clone(),
        force: args.force.clone(),
        replay: args.replay.clone(),
        affinity: args.affinity.clone(),
        written: args.written.clone(),
        suppose: args.suppose.suppose(),
    };
    match inquiry.explain(snapshot, unobserved) {
        Ok(explanation) if args.json => {
            let text = serde_json::to_string_pretty(&explanation).map_err(io::Error::other)?;
            writeln!(io::stdout(), "{text}")?;
            Ok(true)
        }
        Ok(explanation) => {
            writeln!(io::stdout(), "{explanation}")?;
            Ok(true)
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(false)
        }
    }
}

/// Nothing runs here, so nothing is observed.
fn unobserved(_: &Plan, _: IpAddr, _: u64) -> Observed {
    Observed::default()
}

fn batch(snapshot: &Snapshot, path: &Path) -> io::Result<bool> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
    };
    let mut input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(1 << 18, File::open(path).map_err(named)?))
    };
    let mut output = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut line = Vec::new();
    let mut all_valid = true;
    for number in 1_u64.. {
        line.clear();
        let read =
            io::Read::take(&mut input, LINE_BYTES).read_until(b'\n', &mut line).map_err(named)?;
        if read == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match explain_line(snapshot, &line) {
            Ok(explanation) => serde_json::to_writer(&mut output, &explanation)?,
            Err(error) => {
                all_valid = false;
                eprintln!("{}:{number}: error: {error}", path.display());
                // One line out for each line in, so that both files can be read side by side.
                serde_json::to_writer(&mut output, &serde_json::json!({ "error": error }))?;
            }
        }
        output.write_all(b"\n")?;
    }
    output.flush()?;
    Ok(all_valid)
}

fn explain_line(snapshot: &Snapshot, line: &[u8]) -> Result<crate::routing::Explanation, String> {
    let inquiry: Inquiry = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    inquiry.explain(snapshot, unobserved).map_err(|error| error.to_string())
}
