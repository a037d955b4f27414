//! `rhumb check`: every error and warning of a configuration file, without starting anything.
//!
//! Not here: finding them (`config`, and whoever reads the files that a configuration names).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::config::{self, Config, ConfigError, Loaded, Severity};

/// Arguments of `rhumb check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// Checks the file and the files that it names. Exit code 0: it is valid; 1: it is not.
pub fn run(args: &CheckArgs) -> ExitCode {
    run_with(args, &crate::app::inspect)
}

/// Checks the file, and with `inspect` what an accepted configuration names, such as databases.
pub fn run_with(args: &CheckArgs, inspect: &dyn Fn(&Config) -> Vec<ConfigError>) -> ExitCode {
    let outcome = Outcome::of(config::load(&args.config, &config::environment), inspect);
    let printed = if args.json { outcome.print_json(args) } else { outcome.print(args) };
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
}

impl Outcome {
    fn of(
        result: Result<Loaded, config::ConfigErrors>,
        inspect: &dyn Fn(&Config) -> Vec<ConfigError>,
    ) -> Self {
        let (problems, summary) = match result {
            Err(errors) => (errors.into_iter().collect(), None),
            Ok(Loaded { config, mut warnings, .. }) => {
                warnings.extend(inspect(&config));
                (warnings, Some(summary(&config)))
            }
        };
        let is_error = |problem: &&ConfigError| problem.severity == Severity::Error;
        let errors = problems.iter().filter(is_error).count();
        Self { problems, errors, summary }
    }

    fn print(&self, args: &CheckArgs) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        for problem in &self.problems {
            writeln!(stderr, "{problem}\n")?;
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

    fn print_json(&self, args: &CheckArgs) -> io::Result<()> {
        let of = |severity| -> Vec<_> {
            self.problems.iter().filter(|problem| problem.severity == severity).collect()
        };
        let result = json!({
            "file": args.config.display().to_string(),
            "valid": self.errors == 0,
            "errors": of(Severity::Error),
            "warnings": of(Severity::Warning),
        });
        writeln!(io::stdout(), "{result:#}")
    }
}

fn summary(config: &Config) -> String {
    let rules = config.deployments.iter().map(|deployment| deployment.rules.len()).sum();
    format!(
        "{}, {}, {}, {}",
        counted(config.listeners.len(), "listener"),
        counted(config.regions.len(), "region"),
        counted(config.deployments.len(), "deployment"),
        counted(rules, "rule"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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

    fn outcome(text: &str, inspect: &dyn Fn(&Config) -> Vec<ConfigError>) -> Outcome {
        Outcome::of(config::parse(text, "f", Path::new(""), &|_| None), inspect)
    }

    #[test]
    fn warnings_do_not_make_a_file_invalid() {
        let outcome = outcome(DOUBTFUL, &|_| Vec::new());
        assert_eq!((outcome.errors, outcome.problems.len()), (0, 2));
        let summary = outcome.summary.unwrap();
        assert_eq!(summary, "1 listener, 1 region, 1 deployment, 0 rules");
    }

    #[test]
    fn what_the_configuration_names_can_make_it_invalid() {
        let missing = |_: &Config| vec![ConfigError::of_file(Path::new("x.mmdb"), "is missing")];
        assert_eq!(outcome(DOUBTFUL, &missing).errors, 1);
    }

    #[test]
    fn errors_and_warnings_of_a_refused_file_are_both_told() {
        let outcome = outcome(&DOUBTFUL.replace("country: DE", "country: D"), &|_| Vec::new());
        assert_eq!((outcome.errors, outcome.problems.len()), (1, 3));
        assert!(outcome.summary.is_none());
    }
}
