//! The whole way from text to a configuration or to every error, on real and on hostile files.

mod access_log;
mod broken;
mod compression;
mod edge;
mod examples;
mod hostile;
mod names;
mod reading;
mod tracing;
mod warnings;

use std::path::Path;

use super::{ConfigErrors, Loaded, parse};

/// A configuration that is valid and gives no warning; line numbers in the tests refer to it.
const BASE: &str = "\
listeners:
  - address: 0.0.0.0:8080
regions:
  - id: us
    latitude: 38.95
    longitude: -77.45
    country: US
    endpoints: [http://10.0.1.10:8000]
  - { id: eu, latitude: 53.35, longitude: -6.26, country: IE, endpoints: [http://10.0.2.10:8000] }
deployments:
  - name: api
    primary_region: us
    replica_regions: [eu]
    health_check: { path: /health }
";

fn read(text: &str) -> Result<Loaded, ConfigErrors> {
    parse(text, "test.yaml", Path::new("/etc/rhumb"), &|_| None)
}

/// The base with one line replaced by others; lines count from 1.
fn with_line(line: usize, replacement: &str) -> String {
    let mut lines: Vec<_> = BASE.lines().collect();
    lines[line - 1] = replacement;
    lines.join("\n") + "\n"
}

/// The base with more fields of its deployment.
fn with_deployment(fields: &str) -> String {
    format!("{BASE}{fields}\n")
}
