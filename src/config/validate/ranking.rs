//! How a deployment ranks its regions: the strategy and what modifies it.

use super::Context;
use super::values::{choice, number};
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::settings::{Objectives, RankingSettings, Strategy};
use crate::model::limits::{FACTOR_MAX, LATENCY_MARGIN_MS_MAX};

pub(super) fn strategy(field: &Field<raw::Strategy>) -> Option<Strategy> {
    choice(field, Strategy::Latency, |strategy| match strategy {
        raw::Strategy::Failover => Strategy::Failover,
        raw::Strategy::Geolocation => Strategy::Geolocation,
        raw::Strategy::Latency => Strategy::Latency,
        raw::Strategy::Weighted => Strategy::Weighted,
        raw::Strategy::RoundRobin => Strategy::RoundRobin,
        raw::Strategy::Capacity => Strategy::Capacity,
        raw::Strategy::Cost => Strategy::Cost,
        raw::Strategy::Health => Strategy::Health,
        raw::Strategy::Compliance => Strategy::Compliance,
        raw::Strategy::Score => Strategy::Score,
    })
}

pub(super) fn ranking(raw: &raw::Deployment, cx: Context<'_>) -> Option<RankingSettings> {
    let margin = |field| number(field, 0.0..=LATENCY_MARGIN_MS_MAX, 0.0, cx.report);
    let tolerance = margin(&raw.latency_tolerance_ms);
    let switch = margin(&raw.latency_switch_ms);
    let objectives = objectives(&raw.objectives, cx);
    Some(RankingSettings {
        latency_tolerance_ms: tolerance?,
        latency_switch_ms: switch?,
        objectives: objectives?,
    })
}

fn objectives(field: &Field<raw::Objectives>, cx: Context<'_>) -> Option<Objectives> {
    let raw = match &field.state {
        State::Absent => return Some(Objectives::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let weight = |field| number(field, 0.0..=FACTOR_MAX, 0.0, cx.report);
    let (latency, cost, load) = (weight(&raw.latency), weight(&raw.cost), weight(&raw.load));
    let objectives = Objectives { latency: latency?, cost: cost?, load: load? };
    if objectives == Objectives::default() && !cx.report.has_unknown_field(field.at) {
        let help = "such as `objectives: { latency: 0.6, cost: 0.3, load: 0.1 }`";
        cx.report.error(field.at, "no objective has a weight above 0", help);
        return None;
    }
    Some(objectives)
}
