//! `rhumb check`: every error and warning of a configuration file, without starting anything.
//!
//! Not here: finding them (`config`, and whoever reads the files that a configuration names).

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::json;

use crate::app::Inspection;
use crate::config::{self, Config, ConfigError, Loaded, Overridden, Overrides, Severity};
use crate::names::NameReport;
use crate::tls::CertificateInfo;

/// Arguments of `rhumb check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Look up the names of endpoints as well, and say where they are
    #[arg(long)]
    pub resolve: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// Checks the file and the files that it names. Exit code 0: it is valid; 1: it is not.
pub fn run(args: &CheckArgs) -> ExitCode {
    let now = SystemTime::now();
    run_with(args, now, &|config| {
        let mut inspection = crate::app::inspect(config, &args.config, now);
        if args.resolve {
            crate::app::inspect_names(config, &args.config, &mut inspection);
        }
        inspection
    })
}

/// Checks the file, and with `inspect` what an accepted configuration names, such as databases.
pub fn run_with(
    args: &CheckArgs,
    now: SystemTime,
    inspect: &dyn Fn(&Config) -> Inspection,
) -> ExitCode {
    let overrides = Overrides::of_process();
    let loaded = config::load(&args.config, &config::environment, &overrides);
    let outcome = Outcome::of(loaded, inspect);
    let printed = match args.json {
        true => outcome.print_json(args, now),
        false => outcome.print(args, now),
    };
    match printed {
        Ok(()) if outcome.errors == 0 => ExitCode::SUCCESS,
        // A closed pipe leaves nobody to tell.
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

struct Outcome {
    problems: Vec<ConfigError>,
    errors: usize,
    /// What the file describes, when it could be read.
    summary: Option<String>,
    certificates: Vec<CertificateInfo>,
    overridden: Vec<Overridden>,
    names: Vec<NameReport>,
}

impl Outcome {
    fn of(
        result: Result<Loaded, config::ConfigErrors>,
        inspect: &dyn Fn(&Config) -> Inspection,
    ) -> Self {
        let (problems, summary, certificates, overridden, names) = match result {
            Err(errors) => (errors.into_iter().collect(), None, vec![], vec![], vec![]),
            Ok(Loaded { config, mut warnings, overridden, .. }) => {
                let Inspection { problems, certificates, names } = inspect(&config);
                warnings.extend(problems);
                (warnings, Some(summary(&config)), certificates, overridden, names)
            }
        };
        let is_error = |problem: &&ConfigError| problem.severity == Severity::Error;
        let errors = problems.iter().filter(is_error).count();
        Self { problems, errors, summary, certificates, overridden, names }
    }

    fn print(&self, args: &CheckArgs, now: SystemTime) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        for problem in &self.problems {
            writeln!(stderr, "{problem}\n")?;
        }
        for Overridden { variable, path } in &self.overridden {
            writeln!(io::stdout(), "{variable} sets {path}")?;
        }
        for info in &self.certificates {
            writeln!(io::stdout(), "{}", certificate(info, now))?;
        }
        for name in self.names.iter().filter(|name| !name.places.is_empty()) {
            writeln!(io::stdout(), "{name}")?;
        }
        let warnings = counted(self.problems.len() - self.errors, "warning");
        let file = args.config.display();
        if self.errors > 0 {
            return writeln!(
                stderr,
                "{file}: {}, {warnings}: not valid",
                counted(self.errors, "error")
            );
        }
        let summary = self.summary.as_deref().unwrap_or_default();
        writeln!(io::stdout(), "{file}: valid: {summary}, {warnings}")
    }

    fn print_json(&self, args: &CheckArgs, now: SystemTime) -> io::Result<()> {
        let of = |severity| -> Vec<_> {
            self.problems.iter().filter(|problem| problem.severity == severity).collect()
        };
        let certificates: Vec<_> = self.certificates.iter().map(|info| info.report(now)).collect();
        let mut result = json!({
            "file": args.config.display().to_string(),
            "valid": self.errors == 0,
            "errors": of(Severity::Error),
            "warnings": of(Severity::Warning),
            "certificates": certificates,
            "overridden": self.overridden,
        });
        if args.resolve
            && let Some(object) = result.as_object_mut()
        {
            object.insert("names".to_owned(), json!(self.names));
        }
        writeln!(io::stdout(), "{result:#}")
    }
}

/// A line about a certificate: whose it is, who sees it, and for how long it is good.
fn certificate(info: &CertificateInfo, now: SystemTime) -> String {
    let shown_by = match info.listener {
        Some(listener) => format!("listener {listener}"),
        None => "towards endpoints".to_owned(),
    };
    let left = match info.days_left(now) {
        days @ 0.. => format!("{} left", counted(days.unsigned_abs(), "day")),
        _ => "expired".to_owned(),
    };
    let file = info.file.display().to_string();
    format!("{}: {} ({shown_by}): {left}", file.escape_debug(), info.name())
}

fn summary(config: &Config) -> String {
    let rules: usize = config.deployments.iter().map(|deployment| deployment.rules.len()).sum();
    format!(
        "{}, {}, {}, {}",
        counted(config.listeners.len(), "listener"),
        counted(config.regions.len(), "region"),
        counted(config.deployments.len(), "deployment"),
        counted(rules, "rule"),
    )
}

fn counted<N: Copy + PartialEq + From<u8> + Display>(count: N, noun: &str) -> String {
    format!("{count} {noun}{}", if count == N::from(1) { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DOUBTFUL: &str = "
listeners: [{ address: \"0.0.0.0:80\" }]
regions: [{ id: a, latitude: 1, longitude: 2, country: DE, endpoints: [http://a] }]
deployments: [{ name: d, primary_region: a }]
";

    fn outcome(text: &str, inspect: &dyn Fn(&Config) -> Inspection) -> Outcome {
        Outcome::of(config::parse(text, "f", Path::new(""), &|_| None), inspect)
    }

    #[test]
    fn warnings_do_not_make_a_file_invalid() {
        let outcome = outcome(DOUBTFUL, &|_| Inspection::default());
        assert_eq!((outcome.errors, outcome.problems.len()), (0, 2));
        let summary = outcome.summary.unwrap();
        assert_eq!(summary, "1 listener, 1 region, 1 deployment, 0 rules");
    }

    #[test]
    fn what_the_configuration_names_can_make_it_invalid() {
        let problem = ConfigError::of_file(Path::new("x.mmdb"), "is missing");
        let missing =
            |_: &Config| Inspection { problems: vec![problem.clone()], ..Inspection::default() };
        assert_eq!(outcome(DOUBTFUL, &missing).errors, 1);
    }

    #[test]
    fn errors_and_warnings_of_a_refused_file_are_both_told() {
        let outcome =
            outcome(&DOUBTFUL.replace("country: DE", "country: D"), &|_| Inspection::default());
        assert_eq!((outcome.errors, outcome.problems.len()), (1, 3));
        assert!(outcome.summary.is_none());
    }

    #[test]
    fn a_certificate_is_told_with_its_days() {
        use std::time::{Duration, UNIX_EPOCH};
        let mut info = CertificateInfo {
            listener: Some("127.0.0.1:8443".parse().unwrap()),
            file: "edge.pem".into(),
            names: ["a.test".to_owned(), "b.test".to_owned()].into(),
            addresses: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            not_before: 0,
            not_after: 10 * 86_400,
        };
        let at = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400 + 1);
        let line = certificate(&info, at(1));
        assert_eq!(line, "edge.pem: a.test (listener 127.0.0.1:8443): 8 days left");
        info.listener = None;
        assert_eq!(certificate(&info, at(8)), "edge.pem: a.test (towards endpoints): 1 day left");
        assert_eq!(certificate(&info, at(10)), "edge.pem: a.test (towards endpoints): expired");
    }
}
