//! `rhumb token sign`: tokens for requests that may say where they go, or ask why they went there.
//!
//! Not here: what a token is made of (`tokens`), and what it does to a request (`proxy`).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::config::{self, Config};
use crate::model::limits::OPERATOR_TOKEN_MAX;
use crate::tokens::{Claim, Keyring, Purpose};

/// Arguments of `rhumb token`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// What to do
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Sign a token with the first key of a configuration, and print it
    Sign(SignArgs),
}

/// Arguments of `rhumb token sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// What the token is good for
    #[arg(long)]
    pub purpose: SignPurpose,
    /// The deployment that it is for
    #[arg(long, value_name = "NAME")]
    pub deployment: String,
    /// The region to force or prefer
    #[arg(long, value_name = "ID", required_if_eq_any([("purpose", "force"), ("purpose", "prefer")]))]
    pub region: Option<String>,
    /// How long it is good, up to 30 days
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=OPERATOR_TOKEN_MAX.as_secs()))]
    pub ttl: u64,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Purposes of tokens that operators sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignPurpose {
    /// Only this region will do: `X-Rhumb-Force-Region`
    Force,
    /// Rather this region: `X-Rhumb-Prefer-Region`
    Prefer,
    /// Show the decision: `X-Rhumb-Explain`
    Explain,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("{0}")]
    Config(config::ConfigErrors),
    #[error("the configuration has no signing key: add one under `signing`")]
    NoKey,
    #[error("the configuration has no deployment {0:?}")]
    NoDeployment(String),
    #[error("deployment {deployment:?} has no region {region:?}")]
    NoRegion { deployment: String, region: String },
    #[error("the token would be too long")]
    TooLong,
}

/// Signs. Exit code 0, or 1 when there is no such deployment, region or key.
pub fn run(args: &TokenArgs) -> ExitCode {
    let TokenCommand::Sign(args) = &args.command;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let expires = now.saturating_add(args.ttl);
    let overrides = config::Overrides::of_process().lenient();
    let signed = config::load(&args.config, &config::environment, &overrides)
        .map_err(SignError::Config)
        .and_then(|loaded| sign(&loaded.config, args, now, expires));
    let printed = match signed {
        Ok(token) if args.json => {
            writeln!(io::stdout(), "{}", serde_json::json!({ "token": token, "expires": expires }))
        }
        Ok(token) => writeln!(io::stdout(), "{token}"),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sign(config: &Config, args: &SignArgs, now: u64, expires: u64) -> Result<String, SignError> {
    let keys = Keyring::new(&config.signing);
    if keys.is_empty() {
        return Err(SignError::NoKey);
    }
    let deployment = config.deployments.iter().find(|known| known.name.as_str() == args.deployment);
    let deployment = deployment.ok_or_else(|| SignError::NoDeployment(args.deployment.clone()))?;
    let region = args.region.as_deref().filter(|_| args.purpose != SignPurpose::Explain);
    let serves = |id: &str| deployment.regions.iter().any(|known| known.region.id.as_str() == id);
    if let Some(region) = region.filter(|id| !serves(id)) {
        let (deployment, region) = (args.deployment.clone(), region.to_owned());
        return Err(SignError::NoRegion { deployment, region });
    }
    let purpose = match args.purpose {
        SignPurpose::Force => Purpose::Force,
        SignPurpose::Prefer => Purpose::Prefer,
        SignPurpose::Explain => Purpose::Explain,
    };
    let claim = Claim {
        purpose,
        deployment: deployment.name.as_str(),
        subject: region.unwrap_or_default(),
        issued: now,
        expires: Some(expires),
    };
    keys.sign(&claim).ok_or(SignError::TooLong)
}
