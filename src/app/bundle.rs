//! A configuration with everything it names, read and checked.
//!
//! When it is read again is the business of `files`.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::load_error::LoadError;
use super::tenants;
use crate::bounded_file;
use crate::config::{self, Config, ConfigError, FileWatch, Loaded, Overridden, Overrides};
use crate::geo::{self, Age, Databases};
use crate::model::{Continent, Country, limits};
use crate::routing::{EndpointIds, LatencyTable, Plan, Table, Tables};
use crate::snapshot::Snapshot;
use crate::tls::Tls;
use crate::tokens::{Keys, KeysError};

/// A configuration with everything it names.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The configuration.
    pub config: Arc<Config>,
    /// The tables that it names.
    pub tables: Tables,
    /// The databases.
    pub geo: Arc<Databases>,
    /// The keys.
    pub keys: Arc<Keys>,
    /// What handshakes need; nothing until it is asked for ([`Self::with_tls`]).
    pub tls: Arc<Tls>,
    /// What is probably not meant.
    pub warnings: Vec<ConfigError>,
    /// What the environment has set of the configuration.
    pub overridden: Vec<Overridden>,
    /// The environment, for when the file is read again.
    pub(super) overrides: Overrides,
}

impl Bundle {
    /// Reads the configuration at `path` and the files that it names, but for those of TLS. What the
    /// environment sets counts as for the proxy itself.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, with everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let overrides = Overrides::of_process().lenient();
        Self::load_watched(path, &mut FileWatch::new([]), overrides)
    }

    /// The same with what handshakes need: who only asks where requests would go need not be able to
    /// read private keys.
    pub(super) fn with_tls(self) -> Result<Self, LoadError> {
        let tls = Arc::new(Tls::load(&self.config, None)?);
        Ok(Self { tls, ..self })
    }

    /// What the data plane reads when it goes by this table.
    pub(super) fn snapshot(&self, table: Arc<Table>) -> Snapshot {
        Snapshot {
            table,
            config: Arc::clone(&self.config),
            tls: Arc::clone(&self.tls),
            geo: Arc::clone(&self.geo),
            trust: Arc::new(self.config.client.clone()),
            keys: Arc::clone(&self.keys),
            hops: self.config.hops.clone(),
            shadow: None,
        }
    }

    /// What it would read if all regions were healthy.
    pub fn healthy(&self) -> Snapshot {
        let sources = self.tables.sources(continent_of);
        let plan = Plan::compile(&self.config, sources, &mut EndpointIds::default());
        self.snapshot(Arc::new(Table::healthy(1, Arc::new(plan))))
    }

    /// The same, with every file under watch before it is read, so that no change is missed.
    pub(super) fn load_watched(
        path: &Path,
        watch: &mut FileWatch,
        overrides: Overrides,
    ) -> Result<Self, LoadError> {
        watch.set_paths([path.to_owned()]);
        let Loaded { config, warnings, files, overridden, .. } = load_config(path, &overrides)?;
        watch.set_paths(paths(&config, path).into_iter().chain(files));
        let geo = open_geoip(&config)?;
        let (latency, tenants) = (load_latency(&config)?, tenants::load(&config)?);
        let tables = Tables { latency, tenants, ..Tables::default() };
        let keys = Arc::new(load_keys(&config)?);
        let tls = Arc::default();
        let config = Arc::new(config);
        Ok(Self { config, tables, geo, keys, tls, warnings, overridden, overrides })
    }
}

/// Every file that a configuration consists of.
pub(super) fn paths(config: &Config, path: &Path) -> Vec<PathBuf> {
    let Config { geoip, latency, tenants, .. } = config;
    let mut paths = vec![path.to_owned()];
    paths.extend(geoip.databases.iter().cloned());
    paths.extend(geoip.asn_database.clone());
    paths.extend(latency.table.clone());
    paths.extend(tenants.as_ref().map(|tenants| tenants.file.clone()));
    paths.extend(Keys::paths(config).map(Path::to_owned));
    paths.extend(Tls::paths(config).map(Path::to_owned));
    paths
}

/// The continent of a country, for routing.
pub fn continent_of(country: Country) -> Option<Continent> {
    geo::countries::get(country).map(|facts| facts.continent)
}

pub(super) fn load_config(path: &Path, overrides: &Overrides) -> Result<Loaded, LoadError> {
    config::load(path, &config::environment, overrides).map_err(LoadError::Config)
}

/// The databases, less those that are too old by now.
pub(super) fn open_geoip(config: &Config) -> Result<Arc<Databases>, LoadError> {
    let databases = Databases::open(&config.geoip)?;
    Ok(Arc::new(match databases.at(SystemTime::now()) {
        Some(aged) => warned(aged),
        None => databases,
    }))
}

/// Says which databases are not asked.
pub(super) fn warned(databases: Databases) -> Databases {
    for (info, age) in databases.info().zip(databases.ages(SystemTime::now())) {
        let file = info.origin.display();
        match age {
            Age::Expired => tracing::warn!(%file, "GeoIP database is too old; it is not asked"),
            Age::Fresh | Age::Stale => tracing::info!(%file, "GeoIP database is asked"),
        }
    }
    databases
}

pub(super) fn load_latency(config: &Config) -> Result<Option<Arc<LatencyTable>>, LoadError> {
    let Some(path) = config.latency.table.clone() else { return Ok(None) };
    let unreadable = |source| LoadError::LatencyUnreadable { path: path.clone(), source };
    let read = bounded_file::read(&path, limits::LATENCY_TABLE_BYTES);
    let read = read.map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => LoadError::LatencyTooLarge { path: path.clone() },
        _ => unreadable(source),
    });
    let text = String::from_utf8(read?.bytes)
        .map_err(|_| unreadable(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8")))?;
    let known = |id: &str| config.regions.iter().any(|region| region.id.as_str() == id);
    match LatencyTable::parse(&text, &known) {
        Ok(table) => Ok(Some(Arc::new(table))),
        Err(errors) => Err(LoadError::Latency { path, errors }),
    }
}

pub(super) fn load_keys(config: &Config) -> Result<Keys, KeysError> {
    Keys::load(config, |path| Ok(bounded_file::read(path, limits::JWKS_BYTES)?.bytes))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const TEXT: &str = r#"
        listeners: [{ address: "127.0.0.1:0" }]
        latency: { table: FILE }
        tenants: { file: FILE }
        regions:
          - { id: eu, latitude: 0, longitude: 0, country: DE, endpoints: ["http://1.1.1.1:1"] }
        deployments:
          - { name: api, primary_region: eu, tenant: { jwt: { header: a, claim: b, jwks: FILE } } }
    "#;

    fn naming(path: &Path) -> Config {
        let text = TEXT.replace("FILE", path.to_str().unwrap());
        let loaded = config::parse(&text, "test.yaml", "/".as_ref(), &|_| None);
        loaded.unwrap_or_else(|errors| panic!("{errors}")).config
    }

    /// What is said when all three files are that one.
    fn said(path: &Path) -> [String; 3] {
        let config = naming(path);
        let keys = load_keys(&config).map_err(LoadError::Keys).unwrap_err();
        let errors =
            [load_latency(&config).unwrap_err(), tenants::load(&config).unwrap_err(), keys];
        errors.map(|error| super::super::causes(&error))
    }

    #[test]
    fn what_has_no_end_is_no_file_that_a_configuration_can_name() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero")] {
            for words in said(path) {
                assert!(words.contains("not a regular file; check the path"), "{words}");
                assert_eq!(words.matches("regular file").count(), 1, "{words}");
            }
        }
    }

    #[test]
    fn a_file_has_its_limit_and_is_read_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        std::fs::File::create(&path).unwrap().set_len(limits::TENANTS_BYTES + 1).unwrap();
        for words in said(&path) {
            assert!(words.contains("has more than"), "{words}");
        }
    }
}
