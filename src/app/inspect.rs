//! What is wrong with the files that a configuration names: everything at once, for `rhumb check`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::bundle::{load_keys, load_latency};
use super::load_error::LoadError;
use super::tenants;
use crate::config::{self, Config, ConfigError, Severity};
use crate::geo::{Age, Databases};
use crate::tls::{CertificateInfo, Tls, TlsError, TlsWarning, Validity};
use crate::tokens::KeysError;

/// What `rhumb check` finds in the files that a valid configuration names.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Everything that is wrong with them.
    pub problems: Vec<ConfigError>,
    /// The certificates that Rhumb would show.
    pub certificates: Vec<CertificateInfo>,
}

/// Looks into the files that a valid configuration names, at `now`.
pub fn inspect(config: &Config, now: SystemTime) -> Inspection {
    let mut problems = Vec::new();
    match Databases::open(&config.geoip) {
        Ok(databases) => problems.extend(too_old(&databases, now)),
        Err(error) => {
            let file = config.geoip.databases.first().or(config.geoip.asn_database.as_ref());
            let file = file.map_or(Path::new(""), PathBuf::as_path);
            problems.push(ConfigError::of_file(file, LoadError::Geoip(error).report()));
        }
    }
    if let Err(error) = load_latency(config) {
        let file = config.latency.table.as_deref();
        problems.extend(problems_of(error, file.unwrap_or(Path::new(""))));
    }
    match tenants::load(config) {
        Ok(table) => {
            let pins = table.iter().flat_map(|table| table.iter());
            let pins = pins.map(|(tenant, region, _)| (tenant, region.as_str()));
            problems.extend(config::pins_outside_policy(config, pins));
        }
        Err(error) => {
            let file = config.tenants.as_ref().map(|tenants| tenants.file.as_path());
            problems.extend(problems_of(error, file.unwrap_or(Path::new(""))));
        }
    }
    if let Err(error) = load_keys(config) {
        let (KeysError::Unreadable { path, .. } | KeysError::Unusable { path, .. }) = &error;
        let path = path.clone();
        problems.push(ConfigError::of_file(&path, LoadError::Keys(error).report()));
    }
    let (tls, errors) = Tls::inspect(config);
    problems.extend(tls_problems(&tls, errors, config, now));
    let certificates = tls.shown().into_iter().cloned().collect();
    Inspection { problems, certificates }
}

/// Errors and warnings of certificates and keys. One that has expired is an error here, although Rhumb
/// would start with it: the others are good all the same.
fn tls_problems(
    tls: &Tls,
    errors: Vec<TlsError>,
    config: &Config,
    now: SystemTime,
) -> Vec<ConfigError> {
    let mut problems: Vec<ConfigError> = Vec::new();
    for error in errors {
        let file = error.file().map(Path::to_owned);
        let file = file.or_else(|| Tls::paths(config).next().map(Path::to_owned));
        let report = LoadError::Tls(error).report();
        // A file that is named twice is wrong once.
        if !problems.iter().any(|known| known.message == report) {
            problems.push(ConfigError::of_file(&file.unwrap_or_default(), report));
        }
    }
    let warning = |warning: TlsWarning| {
        let mut problem = ConfigError::of_file(&warning.file, warning.message);
        problem.severity = Severity::Warning;
        problem
    };
    problems.extend(tls.warnings(now).into_iter().map(warning));
    for info in tls.shown() {
        let Some((said, validity)) = TlsWarning::of_time(info, now) else { continue };
        let mut problem = warning(said);
        if validity == Validity::Expired {
            problem.severity = Severity::Error;
        }
        if !problems
            .iter()
            .any(|known| known.file == problem.file && known.message == problem.message)
        {
            problems.push(problem);
        }
    }
    problems
}

/// Warnings of databases that would not be asked.
fn too_old(databases: &Databases, now: SystemTime) -> Vec<ConfigError> {
    let Some(aged) = databases.at(now) else { return Vec::new() };
    let expired = aged.info().zip(aged.ages(now)).filter(|(_, age)| *age == Age::Expired);
    let warning = |file: &Path| {
        let message = "it was built longer ago than `geoip` allows, and would not be asked";
        let mut problem = ConfigError::of_file(file, message);
        problem.severity = Severity::Warning;
        problem
    };
    expired.map(|(info, _)| warning(info.origin)).collect()
}

/// An error of a file, or all errors of its lines.
fn problems_of(error: LoadError, file: &Path) -> Vec<ConfigError> {
    let lines: Vec<_> = match error {
        LoadError::Latency { errors, .. } => {
            errors.into_iter().map(|error| (error.line, error.message)).collect()
        }
        LoadError::Tenants { errors, .. } => {
            errors.into_iter().map(|error| (error.line, error.message)).collect()
        }
        error => return vec![ConfigError::of_file(file, error.report())],
    };
    let problem = |(line, message)| {
        let mut problem = ConfigError::of_file(file, message);
        problem.line = u32::try_from(line).unwrap_or(u32::MAX);
        problem.column = 1;
        problem
    };
    lines.into_iter().map(problem).collect()
}
