//! The configuration that the demo runs Rhumb with, and its file.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::places::{Biases, Each, PLACES};

/// What the demo's configuration depends on.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Where the proxy listens; 0 is any free port.
    pub(super) port: u16,
    /// Where the admin address is; 0 is any free port.
    pub(super) admin_port: u16,
    /// Where the origins listen.
    pub(super) origins: Each<SocketAddr>,
    /// A region that was taken out stays out at least this long.
    pub(super) cooldown: Duration,
    /// How far each region reaches.
    pub(super) biases: Biases,
}

impl Setting {
    /// The whole file.
    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# Written by `rhumb demo`; change it while the demo runs and watch.")?;
        writeln!(out, "listeners:\n  - address: 127.0.0.1:{}", self.port)?;
        writeln!(out, "admin: {{ address: 127.0.0.1:{} }}", self.admin_port)?;
        writeln!(out, "workers: 2")?;
        writeln!(out, "client:\n  trusted_proxies: [127.0.0.0/8]")?;
        writeln!(out, "regions:")?;
        for ((place, origin), bias) in PLACES.iter().zip(&self.origins).zip(self.biases) {
            writeln!(out, "  - id: {}", place.id)?;
            writeln!(out, "    name: {}", place.name)?;
            writeln!(out, "    location: {}", place.location)?;
            writeln!(out, "    latitude: {}", place.coordinates.latitude)?;
            writeln!(out, "    longitude: {}", place.coordinates.longitude)?;
            writeln!(out, "    country: {}", place.country)?;
            writeln!(out, "    bias: {bias}")?;
            writeln!(out, "    endpoints: [\"http://{origin}\"]")?;
        }
        let [primary, replicas @ ..] = &PLACES;
        let replicas: Vec<_> = replicas.iter().map(|place| place.id).collect();
        writeln!(out, "deployments:\n  - name: api")?;
        writeln!(out, "    primary_region: {}", primary.id)?;
        writeln!(out, "    replica_regions: [{}]", replicas.join(", "))?;
        writeln!(out, "    routing_strategy: geolocation")?;
        writeln!(out, "    health_check:")?;
        writeln!(out, "      type: http")?;
        writeln!(out, "      path: /health")?;
        writeln!(out, "      interval_seconds: 1")?;
        writeln!(out, "      timeout_seconds: 1")?;
        writeln!(out, "    failover:")?;
        writeln!(out, "      failover_threshold: 3")?;
        writeln!(out, "      failover_cooldown_seconds: {}", self.cooldown.as_secs_f64())
    }

    /// Puts the file in place at once, so that nobody reads half of it.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut fresh = PathBuf::from(path);
        fresh.set_extension("new");
        std::fs::write(&fresh, self.yaml())?;
        std::fs::rename(&fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_configuration_is_valid_without_warnings_and_says_what_was_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rhumb.yaml");
        let setting = Setting {
            port: 0,
            admin_port: 0,
            origins: [20_001, 20_002, 20_003].map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
            cooldown: Duration::from_millis(2_500),
            biases: [0, -5, 40],
        };
        setting.save(&path).unwrap();
        let loaded = config::load(&path, &|_| None, &config::Overrides::none()).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let biases: Vec<_> = loaded.config.regions.iter().map(|region| region.bias).collect();
        assert_eq!(biases, [0, -5, 40]);
        let deployment = &loaded.config.deployments[0];
        assert_eq!(deployment.strategy, config::Strategy::Geolocation);
        assert_eq!(deployment.failover.cooldown, setting.cooldown);
        assert_eq!(deployment.failover.threshold, 3);
        assert_eq!(deployment.health_check.as_ref().unwrap().interval, Duration::from_secs(1));
        assert_eq!(deployment.regions.len(), PLACES.len());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
