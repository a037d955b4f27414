//! Everything that the demo sets up, and the few things it then does to it: kill an origin, revive
//! it, reload the configuration. Taken down in order when it is dropped, whatever happened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::error::DemoError;
use super::origins::{Death, Origin, claim, ports};
use super::places::{COUNT, Each, PLACES, STRETCH, STRETCHED};
use super::sample;
use super::setting::Setting;
use super::traffic::{Shared, Traffic};
use super::watcher::{Notes, Watcher};
use crate::app::App;
use crate::config::Overrides;
use crate::failover::Status;

/// With `--port N`: Rhumb at N, its admin address at N + 1, the origins behind.
pub(super) const PORTS: u16 = 2 + COUNT as u16;

/// What to set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The first of the fixed ports; free ones otherwise.
    pub(super) port: Option<u16>,
    /// Requests a second.
    pub(super) rate: u32,
    /// A region that was taken out stays out at least this long.
    pub(super) cooldown: Duration,
}

/// The running demo.
#[derive(Debug)]
pub(super) struct Stage {
    // Clients first, then Rhumb, then the origins: so that nobody asks one that is gone.
    traffic: Option<Traffic>,
    app: Option<App>,
    origins: Each<Origin>,
    setting: Setting,
    directory: TempDir,
    pub(super) shared: Arc<Shared>,
    pub(super) notes: Notes,
}

/// A reload that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite {
    /// Just before the file was put in place.
    pub(super) at: Instant,
    /// The bias before.
    pub(super) from: i8,
    /// The bias now.
    pub(super) to: i8,
}

impl Stage {
    /// Starts the origins, Rhumb and the clients.
    pub(super) async fn set(plan: Plan) -> Result<Self, DemoError> {
        let directory =
            tempfile::Builder::new().prefix("rhumb-demo-").tempdir().map_err(DemoError::Files)?;
        if let Some(port) = plan.port {
            for own in [port, port.saturating_add(1)] {
                claim(own)?;
            }
        }
        let ports: Each<u16> = ports(plan.port.map(|port| port.saturating_add(2)))?;
        let [us, eu, ap] = &PLACES;
        let [us_port, eu_port, ap_port] = ports;
        let origins =
            [Origin::start(us, us_port)?, Origin::start(eu, eu_port)?, Origin::start(ap, ap_port)?];
        let setting = Setting {
            port: plan.port.unwrap_or(0),
            admin_port: plan.port.map_or(0, |port| port.saturating_add(1)),
            origins: origins.each_ref().map(Origin::address),
            cooldown: plan.cooldown,
            biases: [0; COUNT],
        };
        let path = file(directory.path());
        setting.save(&path).map_err(DemoError::Files)?;
        let app = App::start(&path, Overrides::none()).await.map_err(DemoError::App)?;
        let proxy = app.addresses.first().copied().unwrap_or(app.admin);
        let shared = Arc::new(Shared::new(
            sample::clients(),
            Arc::clone(app.live()),
            proxy,
            setting.origins,
        ));
        let watcher = Watcher::new(Arc::clone(app.registry()));
        let notes = watcher.notes();
        let mut stage =
            Self { traffic: None, app: Some(app), origins, setting, directory, shared, notes };
        stage.traffic = Some(Traffic::start(&stage.shared, watcher, plan.rate)?);
        Ok(stage)
    }

    /// The configuration file.
    pub(super) fn path(&self) -> PathBuf {
        file(self.directory.path())
    }

    /// The admin address.
    pub(super) fn admin(&self) -> String {
        self.app.as_ref().map_or_else(String::new, |app| app.admin.to_string())
    }

    /// The process of a region's origin, if it lives.
    pub(super) fn pid(&mut self, region: usize) -> Option<u32> {
        self.origins.get_mut(region)?.pid()
    }

    /// Kills a region's only origin. `None` when it is dead already.
    pub(super) fn kill(&mut self, region: usize) -> Result<Option<Death>, DemoError> {
        let Some(origin) = self.origins.get_mut(region) else { return Ok(None) };
        if origin.pid().is_none() {
            return Ok(None);
        }
        // Before the signal, so that no answer of the moment in between is taken for a wrong one.
        self.shared.world().died(region, Instant::now());
        origin.kill()
    }

    /// Starts a region's origin again.
    pub(super) fn revive(&mut self, region: usize) -> Result<(), DemoError> {
        if let Some(origin) = self.origins.get_mut(region) {
            origin.revive()?;
            self.shared.world().revived(region, Instant::now());
        }
        Ok(())
    }

    /// Changes how far a region reaches, in the configuration file. `None` while an earlier change
    /// was not taken up yet.
    pub(super) fn rewrite(&mut self) -> Result<Option<Rewrite>, DemoError> {
        let mut world = self.shared.world();
        if world.reloading() {
            return Ok(None);
        }
        let mut biases = world.biases();
        let Some(bias) = biases.get_mut(STRETCHED) else { return Ok(None) };
        let from = *bias;
        *bias = if from == 0 { STRETCH } else { 0 };
        let to = *bias;
        world.rewritten(biases);
        drop(world);
        self.setting.biases = biases;
        let at = Instant::now();
        self.setting.save(&self.path()).map_err(DemoError::Files)?;
        Ok(Some(Rewrite { at, from, to }))
    }

    /// How things are, and the instant that its times count from.
    pub(super) async fn status(&self) -> Result<(Instant, Status), DemoError> {
        let app = self.app.as_ref().ok_or(DemoError::ControllerGone)?;
        let status = app.handle().status().await.ok_or(DemoError::ControllerGone)?;
        let now = Instant::now();
        Ok((now.checked_sub(status.uptime).unwrap_or(now), status))
    }

    /// Stops the clients, so that the counts no longer change. False when one broke.
    pub(super) fn quiet(&mut self) -> bool {
        self.traffic.take().is_none_or(Traffic::stop)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.quiet();
        if let Some(app) = self.app.take()
            && !app.stop()
        {
            tracing::error!("Rhumb did not end well; this is a bug");
        }
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("rhumb.yaml")
}
