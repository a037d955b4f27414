//! The one writer's mind: `(state, input, now) -> (state, effects)`, pure.
//!
//! It knows the configuration, the health of everything that is checked, and the table that
//! follows from both. It reads no clock, opens no socket, and stores nothing: the controller does
//! what the effects say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, EndpointUrl};
use crate::health::{
    CheckId, CheckState, EndpointHealth, Evidence, Failure, ProbeOrder, RegionMachine, Transition,
};
use crate::model::{DeploymentName, EndpointId, EndpointSignal, RegionId, RegionState};
use crate::routing::{ContinentOf, DeploymentHealth, EndpointIds, Plan, Table, Tables};

use super::event::{Cause, Event};
use super::members::{Adoption, Check, Member, settled_at};

/// What the policy is told.
#[derive(Debug)]
pub enum Input {
    /// A valid configuration was read, with the tables that belong to it: all go into one routing
    /// table, so that no request sees one without the others.
    Config(Arc<Config>, Tables),
    /// Something else that decisions depend on was replaced, such as a GeoIP database.
    Refresh,
    /// A probe ended.
    Probed {
        /// Which check it belonged to.
        check: CheckId,
        /// How long a success took, or why it failed.
        result: Result<Duration, Failure>,
    },
    /// A request met a failure.
    Signal(EndpointSignal),
    /// The time that [`Policy::next_wake`] named has come.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Put this table in place.
    Publish(Arc<Table>),
    /// Make this probe and report its end.
    Probe(ProbeOrder),
    /// Tell people.
    Announce(Event),
}

/// An endpoint that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedEndpoint<'a> {
    /// What it is called.
    pub url: &'a EndpointUrl,
    /// Where it is, as far as is known.
    pub address: Option<SocketAddr>,
}

/// Everything the policy knows.
#[derive(Debug)]
pub struct Policy {
    continent_of: ContinentOf,
    config: Arc<Config>,
    tables: Tables,
    ids: EndpointIds,
    table: Arc<Table>,
    epoch: Option<u64>,
    checks: BTreeMap<CheckId, Check>,
    by_endpoint: HashMap<EndpointId, Vec<CheckId>>,
    due: BTreeSet<(Duration, CheckId)>,
    members: Vec<Vec<Member>>,
    next_check: u64,
    next_event: u64,
}

impl Policy {
    /// A policy with its first table, of generation 1, in which everything is healthy.
    pub fn new(
        config: Arc<Config>,
        tables: Tables,
        continent_of: ContinentOf,
        now: Duration,
    ) -> Self {
        let mut ids = EndpointIds::default();
        let plan = Plan::compile(&config, tables.sources(continent_of), &mut ids);
        let mut policy = Self {
            continent_of,
            config,
            tables,
            ids,
            table: Arc::new(Table::healthy(1, Arc::new(plan))),
            epoch: None,
            checks: BTreeMap::new(),
            by_endpoint: HashMap::new(),
            due: BTreeSet::new(),
            members: Vec::new(),
            next_check: 0,
            next_event: 0,
        };
        policy.adopt_members(now);
        policy
    }

    /// Says when durations start, in Unix seconds, so that people can be told how old things are.
    #[must_use]
    pub fn counting_from(self, unix: u64) -> Self {
        Self { epoch: Some(unix), ..self }
    }

    /// The table that follows from everything known so far.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The tables in use that files hold.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The configuration in use.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// When [`Input::Tick`] is wanted next.
    pub fn next_wake(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Since when a region is in its state.
    pub fn since(&self, deployment: usize, region: usize) -> Option<Duration> {
        Some(self.members.get(deployment)?.get(region)?.machine.since())
    }

    /// What the checks of a region's endpoints know: usual duration and the latest failure.
    pub fn checks_of(
        &self,
        deployment: usize,
        region: usize,
    ) -> impl Iterator<Item = (CheckedEndpoint<'_>, &CheckState, bool)> {
        let member = self.members.get(deployment).and_then(|members| members.get(region));
        member.into_iter().flat_map(|member| &member.endpoints).filter_map(|(id, health)| {
            let check = self.checks.get(id)?;
            let endpoint = CheckedEndpoint { url: &check.url, address: check.address };
            Some((endpoint, &check.state, health.up))
        })
    }

    /// Takes in what happened at `now`. `entropy` is a fresh random number.
    pub fn handle(&mut self, input: Input, now: Duration, entropy: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Config(config, tables) => {
                self.tables = tables;
                self.reconfigure(config, now, &mut effects);
            }
            Input::Refresh => self.publish(&mut effects),
            Input::Probed { check, result } => self.probed(check, result, now, &mut effects),
            Input::Signal(signal) => self.signalled(signal, now),
            Input::Tick => {}
        }
        self.start_probes(now, entropy, &mut effects);
        effects
    }

    fn compile(&mut self) -> Plan {
        // Numbers of endpoints that neither the table in use nor the new one names are free again;
        // one generation late, so that a worker never sees a number change under a table it holds.
        self.ids.retain([&*self.table.plan]);
        Plan::compile(&self.config, self.tables.sources(self.continent_of), &mut self.ids)
    }

    fn reconfigure(&mut self, config: Arc<Config>, now: Duration, effects: &mut Vec<Effect>) {
        self.config = config;
        let plan = self.compile();
        let old = Arc::clone(&self.table);
        self.table = Arc::new(Table::healthy(old.generation, Arc::new(plan)));
        let removed = self.adopt_members(now);
        self.publish(effects);
        for (deployment, region, transition) in removed {
            let event = self.event(deployment, region, transition, Cause::ChecksRemoved, now);
            effects.extend(event.map(Effect::Announce));
        }
    }

    /// Builds members and checks for the table's plan, keeping what is known of those that stay.
    /// Returns regions that were not healthy and are no longer checked.
    fn adopt_members(&mut self, now: Duration) -> Vec<(usize, usize, Transition)> {
        let mut known: HashMap<(DeploymentName, RegionId), Member> = HashMap::new();
        for member in self.members.drain(..).flatten() {
            known.insert((member.deployment.clone(), member.region.clone()), member);
        }
        let plan = Arc::clone(&self.table.plan);
        let mut checks = Adoption::of(std::mem::take(&mut self.checks), self.next_check);
        self.by_endpoint.clear();
        let mut removed = Vec::new();
        for (d, deployment) in plan.deployments.iter().enumerate() {
            let mut members = Vec::with_capacity(deployment.regions.len());
            for (r, region) in deployment.regions.iter().enumerate() {
                let before = known.remove(&(deployment.name.clone(), region.id.clone()));
                let mut machine = before.as_ref().map_or(RegionMachine::new(now), |m| m.machine);
                let mut endpoints = Vec::new();
                if let Some(check) = &deployment.settings.health_check {
                    for endpoint in &region.endpoints {
                        let id = checks.adopt(
                            (endpoint, check),
                            &region.id,
                            (d, r),
                            settled_at(&deployment.settings),
                            now,
                        );
                        let ids = self.by_endpoint.entry(endpoint.id).or_default();
                        if !ids.contains(&id) {
                            ids.push(id);
                        }
                        let health = before.as_ref().and_then(|member| {
                            member.endpoints.iter().find(|(known, _)| *known == id)
                        });
                        endpoints.push((id, health.map_or(EndpointHealth::new(), |(_, h)| *h)));
                    }
                } else if machine.state() != RegionState::Healthy {
                    let after = now.saturating_sub(machine.since());
                    let from = machine.state();
                    removed.push((d, r, Transition { from, to: RegionState::Healthy, after }));
                    machine = RegionMachine::new(now);
                }
                members.push(Member {
                    deployment: deployment.name.clone(),
                    region: region.id.clone(),
                    machine,
                    endpoints,
                });
            }
            self.members.push(members);
        }
        (self.checks, self.next_check) = checks.finish();
        self.due.clear();
        for (id, check) in &mut self.checks {
            check.scheduled = check.state.next_start(&check.spec);
            self.due.extend(check.scheduled.map(|at| (at, *id)));
        }
        removed
    }

    fn probed(
        &mut self,
        id: CheckId,
        result: Result<Duration, Failure>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        // A check that a reload removed while its probe was under way has nobody to tell.
        let Some(check) = self.checks.get_mut(&id) else { return };
        let passed = result.is_ok();
        check.state.finish(&check.spec, now, result);
        let cause = check.cause();
        if passed {
            check.signal = None;
        }
        let users = check.users.iter().copied().collect::<Vec<_>>();
        self.reschedule(id);
        let mut changed = false;
        let mut transitions = Vec::new();
        for (d, r) in users {
            let (endpoints, transition) = self.observe(d, r, now);
            changed |= endpoints || transition.is_some();
            transitions.extend(transition.map(|transition| (d, r, transition)));
        }
        if changed {
            self.publish(effects);
        }
        for (d, r, transition) in transitions {
            effects.extend(self.event(d, r, transition, cause.clone(), now).map(Effect::Announce));
        }
    }

    /// Lets a region take in what its checks say; whether an endpoint or the score changed, and the
    /// transition.
    fn observe(&mut self, d: usize, r: usize, now: Duration) -> (bool, Option<Transition>) {
        let plan = Arc::clone(&self.table.plan);
        let Some(settings) = plan.deployments.get(d).map(|deployment| &deployment.settings) else {
            return (false, None);
        };
        let member = self.members.get_mut(d).and_then(|members| members.get_mut(r));
        let (Some(member), Some(spec)) = (member, &settings.health_check) else {
            return (false, None);
        };
        let mut changed = false;
        for (id, health) in &mut member.endpoints {
            if let Some(check) = self.checks.get(id) {
                changed |= health.observe(&check.state, spec);
            }
        }
        let states =
            member.endpoints.iter().filter_map(|(id, _)| Some(&self.checks.get(id)?.state));
        let transition = Evidence::of(states)
            .and_then(|evidence| member.machine.observe(now, evidence, spec, &settings.failover));
        let known = self.table.health.get(d).and_then(|health| health.regions().get(r));
        changed |= known.is_some_and(|known| known.score != member.score(&self.checks));
        (changed, transition)
    }

    fn signalled(&mut self, signal: EndpointSignal, now: Duration) {
        let ids = self.by_endpoint.get(&signal.endpoint).cloned().unwrap_or_default();
        for id in ids {
            if let Some(check) = self.checks.get_mut(&id) {
                check.state.suspect(&check.spec, now, signal.kind, signal.consecutive);
                if check.state.failures() == 0 {
                    check.signal = Some(signal.kind);
                }
                self.reschedule(id);
            }
        }
    }

    fn reschedule(&mut self, id: CheckId) {
        let Some(check) = self.checks.get_mut(&id) else { return };
        let next = check.state.next_start(&check.spec);
        if next != check.scheduled {
            if let Some(at) = check.scheduled {
                self.due.remove(&(at, id));
            }
            self.due.extend(next.map(|at| (at, id)));
            check.scheduled = next;
        }
    }

    fn start_probes(&mut self, now: Duration, entropy: u64, effects: &mut Vec<Effect>) {
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id));
            let Some(check) = self.checks.get_mut(&id) else { continue };
            check.scheduled = None;
            // Each check draws its own jitter from the one random number.
            let draw = (entropy ^ id.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            if let Some(plan) = check.state.begin(&check.spec, now, draw) {
                effects.push(Effect::Probe(ProbeOrder {
                    check: id,
                    url: check.url.clone(),
                    address: check.address,
                    transport: Arc::clone(&check.transport),
                    spec: Arc::clone(&check.spec),
                    timeout: plan.timeout,
                    region: check.region.clone(),
                }));
            }
            // Later, or not at all while enough are under way: the loop ends.
            self.reschedule(id);
        }
    }

    fn publish(&mut self, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.table.plan);
        let (checks, epoch) = (&self.checks, self.epoch);
        let health = self
            .members
            .iter()
            .map(|members| DeploymentHealth::new(members.iter().map(|m| m.health(checks, epoch))));
        let table = Table::new(self.table.generation + 1, plan, health.collect());
        self.table = Arc::new(table);
        effects.push(Effect::Publish(Arc::clone(&self.table)));
    }

    fn event(
        &mut self,
        d: usize,
        r: usize,
        transition: Transition,
        cause: Cause,
        now: Duration,
    ) -> Option<Event> {
        let deployment = self.table.plan.deployments.get(d)?;
        let members = self.members.get(d)?;
        let region = members.get(r)?.region.clone();
        let went_down = transition.to == RegionState::Down;
        let successor = members.iter().find(|m| m.machine.state().takes_traffic());
        self.next_event += 1;
        Some(Event {
            id: self.next_event,
            at: now,
            deployment: deployment.name.clone(),
            region,
            from: transition.from,
            to: transition.to,
            after: transition.after,
            cause,
            successor: successor.filter(|_| went_down).map(|member| member.region.clone()),
            generation: self.table.generation,
        })
    }
}
