//! Routing rules of a deployment.

use std::collections::{HashMap, HashSet};

use super::condition::{cookies, headers, parameters};
use super::deployment::{DEFAULT_WEIGHT, Members, ids};
use super::hosts::{hosts, prefix};
use super::known_regions::KnownRegions;
use super::ranking::strategy;
use super::values::{
    Seen, count, flag, hundredths, integer, name, optional, optional_list, optional_texts,
};
use super::window::time_windows;
use super::words::{asn, continent, country, method, network, subdivision, tenant};
use super::{Context, advice, elements, shadowed};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::Rule;
use crate::model::limits::{PRIORITY_MAX, RULES_PER_DEPLOYMENT, WEIGHT_MAX};
use crate::model::{RegionId, RuleId};

/// A rule, and where it and its regions are written.
pub(super) struct Placed<'f> {
    pub(super) at: NodeId,
    pub(super) rule: Rule,
    pub(super) targets: Vec<(NodeId, &'f str)>,
    pub(super) fallbacks: Vec<(NodeId, &'f str)>,
}

pub(super) fn rules<'f>(
    field: &Field<Vec<Field<raw::Rule>>>,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Vec<Placed<'f>>> {
    let list = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(list) => list,
    };
    if list.len() > RULES_PER_DEPLOYMENT {
        let message = format!("{} rules are more than {RULES_PER_DEPLOYMENT}", list.len());
        cx.report.error(field.at, message, "split the deployment by host or path");
        return None;
    }
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let id = name(&raw.id, element.at, "id", cx.report);
        let id = id.filter(|id| seen.first((*id).to_owned(), id, raw.id.at, cx.report));
        all.extend(one(id, raw, element.at, members, known, cx));
    }
    shadowed::rules(&all, cx.report);
    (all.len() == list.len()).then_some(all)
}

fn one<'f>(
    id: Option<&str>,
    raw: &raw::Rule,
    at: NodeId,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Placed<'f>> {
    let report = cx.report;
    let limit = i64::from(PRIORITY_MAX);
    let priority = integer(&raw.priority, -limit..=limit, 0, report);
    let enabled = flag(&raw.enabled, true);
    let strategy = optional(&raw.routing_strategy, |_| strategy(&raw.routing_strategy));
    let asked = place(raw, cx);
    let asked = request(raw, asked, cx);

    let help = "name the regions that these requests go to";
    let named = elements(&raw.target_regions, at, "target_regions", help, report).is_some();
    let (targets, targets_complete) = ids(&raw.target_regions, known, cx);
    let (fallbacks, fallbacks_complete) = ids(&raw.fallback_regions, known, cx);
    let weights = weights(&raw.weights, &targets, named && targets_complete, known, report);
    advice::rule_regions(raw, &targets, &fallbacks, members, report);

    if !named || !targets_complete || !fallbacks_complete {
        return None;
    }
    let region_ids = |ids: &[(NodeId, &str)]| ids.iter().map(|(_, id)| (*id).into()).collect();
    let rule = Rule {
        id: id?.into(),
        name: raw.name.value().cloned(),
        priority: i32::try_from(priority?).ok()?,
        enabled: enabled?,
        strategy: strategy?,
        target_regions: region_ids(&targets),
        weights: weights?,
        fallback_regions: region_ids(&fallbacks),
        ..asked?
    };
    Some(Placed { at, rule, targets, fallbacks })
}

/// A rule that asks nothing and goes nowhere.
fn blank() -> Rule {
    Rule {
        id: RuleId::from(""),
        name: None,
        priority: 0,
        enabled: true,
        hosts: Vec::new(),
        path_prefixes: Vec::new(),
        methods: Vec::new(),
        source_countries: Vec::new(),
        source_continents: Vec::new(),
        source_subdivisions: Vec::new(),
        source_cidrs: Vec::new(),
        source_asns: Vec::new(),
        tenants: Vec::new(),
        header_conditions: Vec::new(),
        query_conditions: Vec::new(),
        cookie_conditions: Vec::new(),
        percent: None,
        time_windows: Vec::new(),
        strategy: None,
        target_regions: Vec::new(),
        weights: Vec::new(),
        fallback_regions: Vec::new(),
    }
}

/// A rule that asks only who the client is and where.
fn place(raw: &raw::Rule, cx: Context<'_>) -> Option<Rule> {
    let report = cx.report;
    let countries = optional_texts(&raw.source_countries, "source_countries", report, country);
    let continents = optional_texts(&raw.source_continents, "source_continents", report, continent);
    let subdivisions =
        optional_texts(&raw.source_subdivisions, "source_subdivisions", report, subdivision);
    let cidrs = optional_texts(&raw.source_cidrs, "source_cidrs", report, network);
    let shown = |_: &_, number: &u32| number.to_string();
    let asns = optional_list(&raw.source_asns, "source_asns", report, asn, shown);
    let tenants = optional_texts(&raw.tenants, "tenants", report, tenant);
    Some(Rule {
        source_countries: countries?,
        source_continents: continents?,
        source_subdivisions: subdivisions?,
        source_cidrs: cidrs?,
        source_asns: asns?,
        tenants: tenants?,
        ..blank()
    })
}

/// The same, and what the request is.
fn request(raw: &raw::Rule, place: Option<Rule>, cx: Context<'_>) -> Option<Rule> {
    let report = cx.report;
    let hosts = hosts(&raw.hosts, cx);
    let paths = optional_texts(&raw.path_prefixes, "path_prefixes", report, prefix);
    let methods = optional_texts(&raw.methods, "methods", report, method);
    let headers = headers(&raw.header_conditions, "header_conditions", cx);
    let query = parameters(&raw.query_conditions, "query_conditions", cx);
    let cookies = cookies(&raw.cookie_conditions, "cookie_conditions", cx);
    let percent = optional(&raw.percent, |value| {
        let percent = hundredths(raw.percent.at, *value, report)?;
        if percent == 0 {
            let help = "write a part above 0, or `enabled: false`";
            report.warning(raw.percent.at, "no request reaches this rule", help);
        }
        Some(percent)
    });
    let windows = time_windows(&raw.time_windows, cx);
    Some(Rule {
        hosts: hosts?,
        path_prefixes: paths?,
        methods: methods?,
        header_conditions: headers?,
        query_conditions: query?,
        cookie_conditions: cookies?,
        percent: percent?,
        time_windows: windows?,
        ..place?
    })
}

/// One weight for every target, in the targets' order; nothing when the rule has no weights.
fn weights<'f>(
    field: &Field<Entries<i64>>,
    targets: &[(NodeId, &'f str)],
    targets_complete: bool,
    known: &KnownRegions<'f>,
    report: &Report<'_>,
) -> Option<Vec<(RegionId, u32)>> {
    let entries = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(Entries(entries)) if entries.is_empty() => {
            let help = "remove the field to let the deployment's strategy order the targets";
            report.error(field.at, "`weights` is empty", help);
            return None;
        }
        State::Present(Entries(entries)) => entries,
    };
    let named: HashSet<_> = targets.iter().map(|(_, id)| *id).collect();
    let mut by_id = HashMap::with_capacity(entries.len());
    for (key, value) in entries {
        let id = key.value().and_then(|text| known.id(key.at, text));
        if let Some(id) = id
            && targets_complete
            && !named.contains(id)
        {
            let message = format!("{} is not one of the rule's targets", Quoted(id));
            report.error(key.at, message, "add it to `target_regions`, or remove it here");
        }
        let weight = count(value, 0..=WEIGHT_MAX, DEFAULT_WEIGHT, report);
        by_id.extend(id.zip(weight));
    }
    if by_id.len() != entries.len() || !by_id.keys().all(|id| named.contains(id)) {
        return None;
    }
    advice::unweighted_targets(field.at, targets, &by_id, report);
    let weight = |id: &str| by_id.get(id).copied().unwrap_or(DEFAULT_WEIGHT);
    if targets_complete && targets.iter().all(|(_, id)| weight(id) == 0) {
        report.error(field.at, "no target has a weight above 0", "give at least one a share");
        return None;
    }
    Some(targets.iter().map(|(_, id)| ((*id).into(), weight(id))).collect())
}
