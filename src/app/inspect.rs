//! What is wrong with the files that a configuration names: everything at once, for `rhumb check`.

use std::path::Path;
use std::time::{Instant, SystemTime};

use super::bundle::{load_keys, load_latency};
use super::load_error::{LoadError, causes};
use super::prefixes::odd_prefixes;
use super::tenants;
use crate::config::{self, Config, ConfigError, Severity};
use crate::geo::{Age, Databases};
use crate::names::{Book, NameReport, first_answers_blocking};
use crate::routing::LineError;
use crate::tls::{CertificateInfo, Tls, TlsError, TlsWarning, Validity};
use crate::tokens::KeysError;

/// What `rhumb check` finds in the files that a valid configuration names.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Everything that is wrong with them.
    pub problems: Vec<ConfigError>,
    /// The certificates that Rhumb would show.
    pub certificates: Vec<CertificateInfo>,
    /// Where the names of endpoints are, if that was asked for.
    pub names: Vec<NameReport>,
}

/// Looks into the files that a valid configuration names, at `now`; `file` is the configuration's own.
pub fn inspect(config: &Config, file: &Path, now: SystemTime) -> Inspection {
    let mut problems = odd_prefixes(config, file);
    match Databases::open(&config.geoip) {
        Ok(databases) => problems.extend(too_old(&databases, now)),
        Err(error) => {
            problems.push(ConfigError::of_file(error.path(), causes(&error)));
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
        problems.push(ConfigError::of_file(path, causes(&error)));
    }
    let (tls, errors) = Tls::inspect(config);
    problems.extend(tls_problems(&tls, errors, config, now));
    let certificates = tls.shown().into_iter().cloned().collect();
    Inspection { problems, certificates, names: Vec::new() }
}

/// Looks every name of endpoints up once. A name without an address is an error of the file.
pub fn inspect_names(config: &Config, file: &Path, inspection: &mut Inspection) {
    let epoch = Instant::now();
    let book = first_answers_blocking(config, None, epoch).unwrap_or_else(|error| {
        let what = format!("names of endpoints cannot be looked up: {error}");
        inspection.problems.push(ConfigError::of_file(file, what));
        Book::default()
    });
    inspection.names = book.status(epoch.elapsed()).map(NameReport::from).collect();
    let missing = inspection.names.iter().filter(|name| name.places.is_empty());
    let missing =
        missing.map(|name| ConfigError::of_file(file, format!("name of endpoints {name}")));
    inspection.problems.extend(missing);
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
        let report = causes(&error);
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
    let lines = match error {
        LoadError::Latency { errors, .. } | LoadError::Tenants { errors, .. } => errors,
        error => return vec![ConfigError::of_file(file, causes(&error))],
    };
    let problem = |LineError { line, message }| {
        let mut problem = ConfigError::of_file(file, message);
        problem.line = u32::try_from(line).unwrap_or(u32::MAX);
        problem.column = 1;
        problem
    };
    lines.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::config::{Alpn, CertificateFiles, Listener, ListenerTls, TlsVersion};

    /// 2030-04-01, when the certificate ends.
    const ENDS: u64 = 1_901_232_000;
    const DAY: u64 = 86_400;

    fn listening(dir: &Path, ports: &[u16]) -> Config {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rhumb.yaml");
        let mut config =
            config::load(&example, &|_| None, &config::Overrides::none()).unwrap().config;
        let files =
            CertificateFiles { certificate: dir.join("a.pem"), key: dir.join("a.key"), ocsp: None };
        let tls = ListenerTls {
            certificates: vec![files],
            min_version: TlsVersion::Tls12,
            alpn: vec![Alpn::Http11],
            client: None,
        };
        let at = |port: &u16| Listener {
            tls: Some(tls.clone()),
            ..Listener::cleartext(([127, 0, 0, 1], *port).into())
        };
        config.listeners = ports.iter().map(at).collect();
        config
    }

    fn write_pair(dir: &Path) {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 4, 1);
        let key = KeyPair::generate().unwrap();
        fs::write(dir.join("a.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(dir.join("a.key"), key.serialize_pem()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir.join("a.key"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What is said of the certificate, and how bad it is.
    fn said(inspection: &Inspection) -> Vec<(Severity, &str)> {
        let about = inspection.problems.iter().filter(|problem| problem.file.contains("a."));
        about.map(|problem| (problem.severity, problem.message.as_str())).collect()
    }

    #[test]
    fn the_days_of_certificates_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        write_pair(dir.path());
        let config = listening(dir.path(), &[8_443, 9_443]);
        let at =
            |seconds| inspect(&config, Path::new(""), UNIX_EPOCH + Duration::from_secs(seconds));
        let fine = at(ENDS - 30 * DAY);
        assert_eq!(said(&fine), []);
        assert_eq!(fine.certificates.len(), 2);
        for (seconds, severity, words) in [
            (ENDS - 100 * DAY, Severity::Warning, "not valid yet"),
            (ENDS - 20 * DAY, Severity::Warning, "expires in 20 days"),
            (ENDS + 1, Severity::Error, "has expired"),
        ] {
            let inspection = at(seconds);
            let said = said(&inspection);
            assert!(said.len() == 1 && said[0].0 == severity, "once for both listeners: {said:?}");
            assert!(said[0].1.contains(words), "{said:?}");
        }
    }

    #[test]
    fn the_database_that_is_bad_is_the_one_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = listening(dir.path(), &[]);
        let bad = dir.path().join("bad.mmdb");
        fs::write(&bad, "nothing").unwrap();
        let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/country.mmdb");
        config.geoip.databases = vec![good, bad.clone()];
        let problems = inspect(&config, Path::new(""), UNIX_EPOCH).problems;
        let found = problems.iter().find(|problem| problem.message.contains("MaxMind"));
        assert_eq!(found.map(|problem| problem.file.as_str()), bad.to_str());
    }

    #[test]
    fn a_file_of_tls_that_cannot_be_used_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        write_pair(dir.path());
        fs::write(dir.path().join("a.key"), "").unwrap();
        let inspection =
            inspect(&listening(dir.path(), &[8_443, 9_443]), Path::new(""), UNIX_EPOCH);
        let said = said(&inspection);
        assert!(said.len() == 1 && said[0].0 == Severity::Error, "{said:?}");
        assert!(said[0].1.contains("is empty"), "{said:?}");
        assert!(inspection.certificates.is_empty());
    }
}
