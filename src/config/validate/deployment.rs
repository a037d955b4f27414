//! Deployments: which regions they use and how.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::compression::compression;
use super::endpoint::endpoints;
use super::hosts::{hosts, path_prefix};
use super::known_regions::KnownRegions;
use super::ranking::{ranking, strategy};
use super::rule::rules;
use super::stay::{affinity, collisions, writes};
use super::streams::streams;
use super::tenant::tenant;
use super::timing::{failover, health_check, retries, timeouts};
use super::values::{Seen, choice, count, name, optional};
use super::wishes::{hints, priorities, replay};
use super::{Context, advice, effect, elements, policy, residency};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State};
use crate::config::raw;
use crate::config::settings::{
    Affinity, Deployment, Endpoint, Hints, Priorities, RankingSettings, Region, RegionSettings,
    TenantSource, WhenAllDown, Writes,
};
use crate::model::RegionId;
use crate::model::limits::{REGIONS_PER_DEPLOYMENT, WEIGHT_MAX};

/// Weight of a region, or of a rule's target, that has none of its own.
pub(super) const DEFAULT_WEIGHT: u32 = 1;

pub(super) fn deployments<'f>(
    field: &'f Field<Vec<Field<raw::Deployment>>>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Vec<Arc<Deployment>>> {
    let help = "describe at least one API that is routed";
    let list = elements(field, NodeId::ROOT, "deployments", help, cx.report)?;
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let name = name(&raw.name, element.at, "name", cx.report);
        let name = name.filter(|name| seen.first((*name).to_owned(), name, raw.name.at, cx.report));
        let deployment = one(name, raw, element.at, known, cx);
        all.extend(deployment.map(|deployment| (element.at, Arc::new(deployment))));
    }
    advice::never_reached(&all, cx.report);
    (all.len() == list.len()).then(|| all.into_iter().map(|(_, deployment)| deployment).collect())
}

fn one<'f>(
    name: Option<&str>,
    raw: &'f raw::Deployment,
    at: NodeId,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Deployment> {
    let hosts = hosts(&raw.hosts, cx);
    let path_prefix = path_prefix(&raw.path_prefix, cx.report);
    let members = members(raw, at, known, cx);
    let strategy = strategy(&raw.routing_strategy);
    let settings = settings(&raw.regions, &members, known, cx);
    let steering = steering(raw, &members, known, cx);
    let rules = rules(&raw.routing_rules, &members, known, cx);
    let health_check = health_check(&raw.health_check, cx);
    let failover = failover(&raw.failover, cx);
    let timeouts = timeouts(&raw.timeouts, cx);
    let streams = streams(raw, cx);
    let compression = compression(&raw.compression, cx);
    let retries = retries(&raw.retries, cx);
    advice::deployment(raw, at, &members, cx.report);
    advice::weights(raw, strategy, &members, cx.report);
    effect::check(raw, &members, known, cx);
    let when_all_down = choice(&raw.when_all_down, WhenAllDown::LastResort, |when| match when {
        raw::WhenAllDown::LastResort => WhenAllDown::LastResort,
        raw::WhenAllDown::Refuse => WhenAllDown::Refuse,
    });

    let (steering, rules) = (steering?, rules?);
    let regions = regions(&members, settings, known);
    let primary = members.primary?;
    let mut deployment = Deployment {
        name: name.unwrap_or_default().into(),
        hosts: hosts?,
        path_prefix: path_prefix?,
        regions: regions?,
        excluded_regions: members.excluded.iter().map(|id| (*id).into()).collect(),
        primary_region: primary.into(),
        strategy: strategy?,
        ranking: steering.ranking,
        tenant: steering.tenant,
        residency: Vec::new(),
        writes: steering.writes,
        affinity: steering.affinity,
        hints: steering.hints,
        replay_regions: steering.replay_regions,
        priorities: steering.priorities,
        rules: Vec::new(),
        health_check: health_check?,
        failover: failover?,
        timeouts: timeouts?,
        streams: streams?,
        compression: compression?,
        retries: retries?,
        when_all_down: when_all_down?,
    };
    residency::check(&deployment, &steering.residency, &rules, cx.report);
    deployment.residency = steering.residency.into_iter().map(|placed| placed.policy).collect();
    deployment.rules = rules.into_iter().map(|placed| placed.rule).collect();
    name.map(|_| deployment)
}

/// What modifies the way to a region.
struct Steering {
    ranking: RankingSettings,
    tenant: Option<TenantSource>,
    residency: Vec<policy::Placed>,
    writes: Writes,
    affinity: Affinity,
    hints: Hints,
    replay_regions: Vec<RegionId>,
    priorities: Option<Priorities>,
}

fn steering<'f>(
    raw: &raw::Deployment,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Steering> {
    let ranking = ranking(raw, cx);
    let tenant = tenant(&raw.tenant, cx);
    let residency = policy::policies(&raw.residency, known, cx);
    let writes = writes(&raw.writes, cx);
    let affinity = affinity(&raw.affinity, cx);
    let hints = hints(&raw.hints, cx);
    let replay_regions = replay(&raw.replay, members, known, cx);
    let priorities = priorities(&raw.priorities, cx);
    if let (Some(tenant), Some(writes), Some(affinity)) = (&tenant, &writes, &affinity) {
        collisions(raw, tenant.as_ref(), writes, affinity, cx.report);
    }
    Some(Steering {
        ranking: ranking?,
        tenant: tenant?,
        residency: residency?,
        writes: writes?,
        affinity: affinity?,
        hints: hints?,
        replay_regions: replay_regions?,
        priorities: priorities?,
    })
}

/// The eligible regions in order, as this deployment uses them.
fn regions(
    members: &Members<'_>,
    settings: Option<HashMap<&str, Own>>,
    known: &KnownRegions<'_>,
) -> Option<Vec<RegionSettings>> {
    let mut settings = settings?;
    let regions = members.eligible.iter().map(|id| {
        let region = known.region(id)?;
        let own = settings.remove(id).unwrap_or_default();
        let endpoints = own.endpoints.unwrap_or_else(|| region.endpoints.clone());
        Some(RegionSettings { weight: own.weight.unwrap_or(DEFAULT_WEIGHT), endpoints, region })
    });
    regions.collect()
}

/// Regions that a deployment names, each of which exists.
pub(super) struct Members<'f> {
    pub(super) primary: Option<&'f str>,
    /// Primary and replicas, excluded ones too.
    pub(super) named: HashSet<&'f str>,
    /// Primary and replicas in order, less the excluded ones.
    pub(super) eligible: Vec<&'f str>,
    pub(super) excluded: Vec<&'f str>,
    /// Whether all of the above could be read.
    pub(super) complete: bool,
}

fn members<'f>(
    raw: &'f raw::Deployment,
    at: NodeId,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Members<'f> {
    let help = "name one of the regions; it leads, and is the first choice where nothing is known";
    let field = &raw.primary_region;
    let primary_text = cx.report.required(field, at, "primary_region", help);
    let primary = primary_text.and_then(|text| known.id(field.at, text));
    let (replicas, replicas_complete) = ids(&raw.replica_regions, known, cx);
    let (excluded, excluded_complete) = ids(&raw.excluded_regions, known, cx);

    let mut eligible: Vec<&str> = primary.into_iter().collect();
    for (field, id) in replicas {
        if Some(id) == primary {
            let message = format!("{} is the primary region already", Quoted(id));
            let help = "replicas are the other regions; remove it here";
            cx.report.error(field, message, help);
        } else {
            eligible.push(id);
        }
    }
    let named: HashSet<_> = eligible.iter().copied().collect();
    let complete = primary.is_some() && replicas_complete && excluded_complete;
    for (field, id) in &excluded {
        if complete && !named.contains(id) {
            let message = format!("{} is not one of this deployment's regions", Quoted(id));
            cx.report.warning(*field, message, "excluding it changes nothing; remove it here");
        }
    }
    let out: HashSet<_> = excluded.iter().map(|(_, id)| *id).collect();
    eligible.retain(|id| !out.contains(id));
    if eligible.is_empty() && complete {
        let help = "leave at least one of its regions in";
        let message = "this excludes every region of the deployment";
        cx.report.error(raw.excluded_regions.at, message, help);
    }
    if eligible.len() > REGIONS_PER_DEPLOYMENT {
        let message = format!("{} regions are more than {REGIONS_PER_DEPLOYMENT}", eligible.len());
        cx.report.error(raw.replica_regions.at, message, "split the deployment by host or path");
    }
    named.iter().for_each(|id| known.mark_used(id));
    let excluded = excluded.into_iter().map(|(_, id)| id).collect();
    Members { primary, named, eligible, excluded, complete }
}

/// The regions of a list, and whether every element was one; none of them twice.
pub(super) fn ids<'f>(
    field: &Field<Vec<Field<String>>>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> (Vec<(NodeId, &'f str)>, bool) {
    let list = match &field.state {
        State::Absent => return (Vec::new(), true),
        State::Broken => return (Vec::new(), false),
        State::Present(list) => list,
    };
    let mut seen = Seen::new();
    let mut complete = true;
    let mut ids = Vec::with_capacity(list.len());
    for element in list {
        match element.value().and_then(|text| known.id(element.at, text)) {
            None => complete = false,
            Some(id) => {
                if seen.first(id, id, element.at, cx.report) {
                    ids.push((element.at, id));
                }
            }
        }
    }
    (ids, complete)
}

/// What a deployment sets for one region.
#[derive(Default)]
struct Own {
    weight: Option<u32>,
    endpoints: Option<Vec<Endpoint>>,
}

fn settings<'f>(
    field: &Field<Entries<raw::RegionUse>>,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<HashMap<&'f str, Own>> {
    let entries = match &field.state {
        State::Absent => return Some(HashMap::new()),
        State::Broken => return None,
        State::Present(Entries(entries)) => entries,
    };
    let mut all = HashMap::with_capacity(entries.len());
    for (key, value) in entries {
        let id = key.value().and_then(|text| known.id(key.at, text));
        if let Some(id) = id
            && members.complete
            && !members.named.contains(id)
        {
            let message = format!("{} is not one of this deployment's regions", Quoted(id));
            let help = "add it to `replica_regions`, or remove it here";
            cx.report.error(key.at, message, help);
        }
        let region = id.and_then(|id| known.region(id));
        let own = value.value().and_then(|raw| region_use(raw, value.at, region.as_deref(), cx));
        all.extend(id.zip(own));
    }
    (all.len() == entries.len()).then_some(all)
}

fn region_use(
    raw: &raw::RegionUse,
    at: NodeId,
    region: Option<&Region>,
    cx: Context<'_>,
) -> Option<Own> {
    let weight = &raw.weight;
    let weight = optional(weight, |_| count(weight, 0..=WEIGHT_MAX, DEFAULT_WEIGHT, cx.report))?;
    if raw.endpoints.is_absent() {
        return Some(Own { weight, endpoints: None });
    }
    // All endpoints of a region are spoken to in one way.
    let transport =
        region.and_then(|region| region.endpoints.first()).map(|first| &first.transport);
    let endpoints = endpoints(&raw.endpoints, at, transport, cx)?;
    Some(Own { weight, endpoints: Some(endpoints) })
}
