//! Reads the candidate configuration that the live one names, and reads it again when one of its
//! files changes. Its errors are its own: they never touch what is live.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::bundle::{Bundle, continent_of};
use super::load_error::causes;
use crate::config::{self, FileWatch, Overrides};
use crate::failover::Command;
use crate::routing::{EndpointIds, Plan};
use crate::shadow::Candidate;

/// Reads the candidate.
#[derive(Debug)]
pub(super) struct ShadowReader {
    /// What was read last, whether or not it was valid.
    current: Option<config::Shadow>,
    watch: FileWatch,
    commands: mpsc::Sender<Command>,
    /// What the environment sets of the candidate as well, as it will when that is live.
    overrides: Overrides,
}

impl ShadowReader {
    pub(super) fn new(commands: mpsc::Sender<Command>, overrides: Overrides) -> Self {
        let overrides = overrides.lenient();
        Self { current: None, watch: FileWatch::new([]), commands, overrides }
    }

    /// Sends the controller what it does not know yet of the candidate that is `wanted`.
    pub(super) fn look(&mut self, wanted: Option<&config::Shadow>, forced: bool) {
        let touched = !self.watch.poll().is_empty();
        if wanted == self.current.as_ref() && !(touched || forced && wanted.is_some()) {
            return;
        }
        self.current = wanted.cloned();
        let read = wanted.map(|wanted| self.read(wanted));
        if read.is_none() {
            self.watch.set_paths([]);
        }
        // The controller is gone only when the process ends, or has said so loudly.
        let _ = self.commands.blocking_send(Command::Shadow(read));
    }

    fn read(&mut self, wanted: &config::Shadow) -> Result<Arc<Candidate>, String> {
        let overrides = self.overrides.clone();
        let bundle = Bundle::load_watched(&wanted.config, &mut self.watch, overrides);
        let bundle = bundle.map_err(|error| causes(&error))?;
        let sources = bundle.tables.sources(continent_of);
        let plan = Plan::compile(&bundle.config, sources, &mut EndpointIds::default());
        Ok(Arc::new(Candidate {
            config: wanted.config.clone(),
            sample: wanted.sample,
            plan: Arc::new(plan),
        }))
    }
}
