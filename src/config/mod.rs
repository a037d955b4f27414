//! From a YAML file to a [`Config`] that can be trusted.
//!
//! ```text
//! text ── document ──> nodes with positions ── raw ──> shapes ── validate ──> Config
//! ```
//!
//! Every step collects all errors it can find, each with file, line, column and field path; a
//! `Config` exists only when there was none. What a configuration *means* for a request is not
//! here but in `routing`.

mod document;
mod error;
mod settings;

pub use error::{ConfigError, ConfigErrors, Severity};
pub use settings::{
    Admin, ClientTrust, Config, Deployment, Endpoint, EndpointUrl, Failover, GeoipFiles,
    HeaderMatch, HealthCheck, Host, HostPattern, LatencyFile, Listener, Region, RegionSettings,
    Retries, Rule, Strategy, Timeouts, WhenAllDown,
};
