//! Routing rules of a deployment.

use std::collections::{HashMap, HashSet};

use http::HeaderValue;

use super::deployment::{DEFAULT_WEIGHT, Members, ids};
use super::known_regions::KnownRegions;
use super::values::{Seen, count, country, header_name, integer, name, unique_list};
use super::{Context, advice, elements};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{HeaderMatch, Rule, TextMatch};
use crate::model::limits::{PRIORITY_MAX, RULES_PER_DEPLOYMENT, WEIGHT_MAX};
use crate::model::{Country, RegionId};

pub(super) fn rules<'f>(
    field: &Field<Vec<Field<raw::Rule>>>,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Vec<Rule>> {
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
        let rule = one(id, raw, element.at, members, known, cx);
        all.extend(rule.map(|rule| (element.at, rule)));
    }
    advice::shadowed_rules(&all, cx.report);
    (all.len() == list.len()).then(|| all.into_iter().map(|(_, rule)| rule).collect())
}

fn one<'f>(
    id: Option<&str>,
    raw: &raw::Rule,
    at: NodeId,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Rule> {
    let report = cx.report;
    let limit = i64::from(PRIORITY_MAX);
    let priority = integer(&raw.priority, -limit..=limit, 0, report);
    let source_countries = countries(&raw.source_countries, report);
    let header_conditions = header_conditions(&raw.header_conditions, report);

    let help = "name the regions that these requests go to";
    let named = elements(&raw.target_regions, at, "target_regions", help, report).is_some();
    let (targets, targets_complete) = ids(&raw.target_regions, known, cx);
    let (fallbacks, fallbacks_complete) = ids(&raw.fallback_regions, known, cx);
    let weights = weights(&raw.weights, &targets, named && targets_complete, known, report);
    advice::rule_regions(raw, &targets, &fallbacks, members, report);

    if !named || !targets_complete || !fallbacks_complete || raw.enabled.is_broken() {
        return None;
    }
    let region_ids = |ids: Vec<(NodeId, &str)>| ids.into_iter().map(|(_, id)| id.into()).collect();
    Some(Rule {
        id: id?.into(),
        name: raw.name.value().cloned(),
        priority: i32::try_from(priority?).ok()?,
        enabled: raw.enabled.value().copied().unwrap_or(true),
        hosts: Vec::new(),
        path_prefixes: Vec::new(),
        methods: Vec::new(),
        source_countries: source_countries?,
        source_continents: Vec::new(),
        source_subdivisions: Vec::new(),
        source_cidrs: Vec::new(),
        source_asns: Vec::new(),
        tenants: Vec::new(),
        query_conditions: Vec::new(),
        cookie_conditions: Vec::new(),
        percent: None,
        time_windows: Vec::new(),
        strategy: None,
        header_conditions: header_conditions?,
        target_regions: region_ids(targets),
        weights: weights?,
        fallback_regions: region_ids(fallbacks),
    })
}

fn countries(field: &Field<Vec<Field<String>>>, report: &Report<'_>) -> Option<Vec<Country>> {
    match &field.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(list) if list.is_empty() => {
            let help = "name a country, or remove the field to match any client";
            report.error(field.at, "`source_countries` is empty", help);
            None
        }
        State::Present(list) => {
            unique_list(list, report, |field, text| country(field.at, text, report))
        }
    }
}

fn header_conditions(
    field: &Field<Entries<TextOr<raw::HeaderCondition>>>,
    report: &Report<'_>,
) -> Option<Vec<HeaderMatch>> {
    let entries = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(Entries(entries)) if entries.is_empty() => {
            let help = "name a header, or remove the field to match any request";
            report.error(field.at, "`header_conditions` is empty", help);
            return None;
        }
        State::Present(Entries(entries)) => entries,
    };
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = key.value().and_then(|text| header_name(key.at, text, report));
        let name = name.filter(|name| seen.first(name.clone(), name.as_str(), key.at, report));
        let value = header_value(value, report);
        all.extend(name.zip(value).map(|(name, value)| HeaderMatch { name, value }));
    }
    (all.len() == entries.len()).then_some(all)
}

fn header_value(
    field: &Field<TextOr<raw::HeaderCondition>>,
    report: &Report<'_>,
) -> Option<TextMatch> {
    let text = match field.value()? {
        TextOr::Text(text) => text,
        TextOr::Other(raw::HeaderCondition) => {
            let message =
                "conditions other than an exact value are not built in this version of Rhumb";
            let help = "write the exact value, such as `x-preferred-region: asia`";
            report.error(field.at, message, help);
            return None;
        }
    };
    if text.trim_matches([' ', '\t']) != text {
        let help = "headers are compared without the blanks around them; remove those";
        report.error(field.at, format!("{} can never match", Quoted(text)), help);
        return None;
    }
    let value = HeaderValue::from_bytes(text.as_bytes()).ok();
    if value.is_none() {
        let message = format!("{} has a character that no header can have", Quoted(text));
        report.error(field.at, message, "");
    }
    value.map(|_| TextMatch::Exact(text.as_str().into()))
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
        let weight = if value.is_broken() {
            None
        } else {
            count(value, 0..=WEIGHT_MAX, DEFAULT_WEIGHT, report)
        };
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
