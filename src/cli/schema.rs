//! `rhumb schema`: what can be configured, for editors and pipelines: the JSON Schema of the file, or
//! the variables of the environment.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Setting};

/// Arguments of `rhumb schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// List the variables of the environment that set fields, in place of the JSON Schema
    #[arg(long)]
    pub environment: bool,
    /// With --environment: the variables for this file, with its own names in theirs
    #[arg(short, long, value_name = "FILE", requires = "environment")]
    pub config: Option<PathBuf>,
    /// Print the variables as JSON; the schema is JSON in any case
    #[arg(long)]
    pub json: bool,
}

/// Prints it. Exit code 0, or 1 when the file cannot be read or nobody reads what is printed.
pub fn run(args: &SchemaArgs) -> ExitCode {
    let printed = match (args.environment, &args.config) {
        (false, _) => writeln!(io::stdout(), "{:#}", config::schema()),
        (true, None) => print(&config::settings(), args.json),
        (true, Some(path)) => match of_file(path) {
            Ok(settings) => print(&settings, args.json),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        },
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn of_file(path: &Path) -> Result<Vec<Setting>, String> {
    let shown = path.display();
    let text = config::read_text(path).map_err(|errors| errors.to_string())?;
    config::settings_of(&text, &config::environment)
        .ok_or_else(|| format!("error: {shown} is not valid; see `rhumb check -c {shown}`"))
}

fn print(settings: &[Setting], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{:#}", serde_json::json!(settings));
    }
    let width = settings.iter().map(|setting| setting.variable.len()).max().unwrap_or(0);
    for Setting { variable, path, .. } in settings {
        writeln!(out, "{variable:width$}  {path}")?;
    }
    Ok(())
}
