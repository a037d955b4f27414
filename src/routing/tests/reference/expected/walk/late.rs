//! The steps that look at the moment: writes, affinity, wishes, health, capacity.

use http::Method;

use super::super::strategies::Moment;
use super::Walk;
use crate::config::{AffinityMode, OnFailure, WhenDown, WriteMode};

impl Walk<'_> {
    pub(super) fn writes(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
        if safe.contains(&asked.request.method) {
            if let Some(written) = asked.written.as_ref().filter(|id| self.has(id)) {
                self.put_first(written, "read_your_writes");
                self.placed = self.moment.up(written);
            }
            self.done("writes");
            return Ok(());
        }
        let primary = deployment.primary_region.to_string();
        let region = match deployment.writes.mode {
            WriteMode::Nearest => return Ok(()),
            WriteMode::Primary => primary,
            WriteMode::Home => self.home().map_or(primary, |(home, _)| home),
        };
        if self.has(&region) {
            self.put_first(&region, "write");
            self.placed = true;
        }
        if deployment.writes.when_down == WhenDown::ReadOnly {
            if !self.has(&region) || !self.moment.up(&region) {
                return Err("read_only");
            }
            // Nor does it go elsewhere when it is tried again.
            self.keep(|id| id == region);
        }
        self.done("writes");
        Ok(())
    }

    pub(super) fn affinity(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        if self.placed {
            return Ok(());
        }
        let token = asked.affinity.as_ref();
        let region = match deployment.affinity.mode {
            AffinityMode::None => return Ok(()),
            AffinityMode::Client => self.belongs_to(),
            AffinityMode::Token(_) => token.filter(|id| self.has(id)).cloned(),
        };
        let Some(region) = region else { return Ok(()) };
        let by_token = matches!(deployment.affinity.mode, AffinityMode::Token(_));
        let up = self.moment.up(&region);
        match deployment.affinity.on_failure {
            OnFailure::None if !up => return Err("no_healthy_region"),
            OnFailure::Sticky if by_token => self.keeps_token = Some(up),
            _ if by_token => self.keeps_token = Some(true),
            _ => {}
        }
        if up {
            self.put_first(&region, "affinity");
        }
        if deployment.affinity.on_failure == OnFailure::None {
            // Nor does it go elsewhere when it is tried again.
            self.keep(|id| id == region);
        }
        self.done("affinity");
        Ok(())
    }

    /// The first of the client's order that is not far busier than the others.
    pub(super) fn belongs_to(&self) -> Option<String> {
        let Moment { deployment, asked, .. } = self.moment;
        let listed = deployment.regions.iter().map(|settings| settings.region.id.as_str());
        let up: Vec<&str> = listed.filter(|id| self.has(id) && self.moment.up(id)).collect();
        // Regions without a weight get clients only when none has one; then all are alike.
        let given = |id: &str| self.moment.settings(id).weight;
        let none_has = up.iter().all(|id| given(id) == 0);
        let weight = |id: &str| if none_has { 1.0 } else { f64::from(given(id)) };
        let in_flight = |id: &str| f64::from(self.moment.in_flight(id).0);
        let all_weights: f64 = up.iter().map(|id| weight(id)).sum();
        let all: f64 = up.iter().map(|id| in_flight(id)).sum();
        let busy = all >= 8.0 * up.len() as f64;
        let too_busy = |id: &str| busy && in_flight(id) > 1.25 * all * weight(id) / all_weights;
        let candidates = up.iter().filter(|id| weight(id) > 0.0 && !too_busy(id));
        let candidates: Vec<_> = candidates.map(|id| (*id, given(id))).collect();
        self.oracle.home_of(deployment.name.as_str(), &candidates, asked).map(str::to_owned)
    }

    pub(super) fn prefer(&mut self) {
        if let Some(wish) = &self.moment.asked.prefer {
            if self.has(wish) && !self.placed {
                self.put_first(wish, "preferred");
            }
            self.done("prefer");
        }
    }

    /// The regions of the list that are up and take the client; where none does, all that are up.
    pub(super) fn takers(&self) -> Vec<String> {
        let Moment { deployment, asked, .. } = self.moment;
        let takes = |id: &str| match self.moment.health(id).share {
            0 => false,
            10_000 => true,
            share => self.oracle.takes(deployment.name.as_str(), id, share, asked),
        };
        let listed = self.list.iter().flat_map(|group| &group.ids);
        let up: Vec<String> = listed.filter(|id| self.moment.up(id)).cloned().collect();
        let takers: Vec<String> = up.iter().filter(|id| takes(id)).cloned().collect();
        if takers.is_empty() { up } else { takers }
    }

    pub(super) fn health(&mut self) -> Result<(), &'static str> {
        let takers = self.takers();
        self.keep(|id| takers.iter().any(|other| other == id));
        self.done("health");
        if self.forced && self.is_empty() { Err("region_unavailable") } else { Ok(()) }
    }

    pub(super) fn capacity(&mut self) -> Result<(), &'static str> {
        if self.is_empty() {
            return Ok(());
        }
        let moment = self.moment;
        let class = moment.deployment.priorities.as_ref().map_or(100, |priorities| {
            let named = priorities.classes.iter();
            let named = named.filter(|(name, _)| Some(&**name) == moment.asked.class);
            named.map(|(_, percent)| *percent).next().unwrap_or(priorities.default_percent)
        });
        let is_full = |id: &str| {
            let Some(limit) = moment.limit(id) else { return false };
            let (in_flight, spilling) = moment.in_flight(id);
            let limit = u64::from(limit) * u64::from(class);
            let in_flight = u64::from(in_flight);
            in_flight * 100 >= limit || spilling && in_flight * 100 * 100 >= limit * 85
        };
        self.keep(|id| !is_full(id));
        self.done("capacity");
        match (self.is_empty(), self.forced) {
            (true, true) => Err("region_unavailable"),
            (true, false) => Err("overloaded"),
            (false, _) => Ok(()),
        }
    }
}
