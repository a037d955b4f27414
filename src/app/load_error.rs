//! Why a configuration, or a file that it names, cannot be used.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::access_log::OpenError;
use crate::config::ConfigErrors;
use crate::geo::GeoError;
use crate::model::limits;
use crate::routing::LineError;
use crate::server::BindError;
use crate::tls::TlsError;
use crate::tokens::KeysError;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration.
    #[error("{0}")]
    Config(ConfigErrors),
    /// A GeoIP database.
    #[error(transparent)]
    Geoip(#[from] GeoError),
    /// The latency table cannot be read.
    #[error(
        "cannot read the latency table {}: {source}; check the path and the file's permissions",
        .path.display()
    )]
    LatencyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The latency table is larger than allowed.
    #[error(
        "the latency table {} has more than {} bytes; give it fewer and larger networks",
        .path.display(), limits::LATENCY_TABLE_BYTES
    )]
    LatencyTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The latency table has errors.
    #[error("{}", line_report(.path, .errors))]
    Latency {
        /// The file.
        path: PathBuf,
        /// All of them.
        errors: Vec<LineError>,
    },
    /// The file of tenants cannot be read.
    #[error(
        "cannot read the file of tenants {}: {source}; check the path and the file's permissions",
        .path.display()
    )]
    TenantsUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of tenants is larger than allowed.
    #[error(
        "the file of tenants {} has more than {} bytes; leave out who may be answered anywhere",
        .path.display(), limits::TENANTS_BYTES
    )]
    TenantsTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file of tenants has errors.
    #[error("{}", line_report(.path, .errors))]
    Tenants {
        /// The file.
        path: PathBuf,
        /// All of them.
        errors: Vec<LineError>,
    },
    /// A key set cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The access log cannot be opened.
    #[error(transparent)]
    AccessLog(#[from] OpenError),
    /// An address that the configuration has added cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

fn line_report(path: &Path, errors: &[LineError]) -> String {
    let lines = errors.iter().take(limits::CONFIG_ERRORS).map(|LineError { line, message }| {
        format!("error: {message}\n  --> {}:{line}", path.display())
    });
    lines.collect::<Vec<_>>().join("\n")
}

impl LoadError {
    /// Which kind of file it is: the label of `rhumb_reloads_total`.
    pub fn file(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::AccessLog(_) | Self::Bind(_) => "config",
            Self::Geoip(_) => "geoip",
            Self::LatencyUnreadable { .. }
            | Self::LatencyTooLarge { .. }
            | Self::Latency { .. } => "latency",
            Self::TenantsUnreadable { .. }
            | Self::TenantsTooLarge { .. }
            | Self::Tenants { .. } => "tenants",
            Self::Keys(_) => "keys",
            Self::Tls(_) => "tls",
        }
    }

    /// Whether its words are a list of problems, each of which says itself that it is an error.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Latency { .. } | Self::Tenants { .. })
    }
}

/// An error with its causes, for people.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&words) {
            text.push_str(&format!(": {words}"));
        }
        cause = error.source();
    }
    text
}
