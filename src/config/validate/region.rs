//! Regions: ids that are unique, places on Earth, what they comply with, cost and hold, endpoints.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::endpoint::endpoints;
use super::policy::frameworks;
use super::transport::transport;
use super::values::{Seen, integer, name, number, optional};
use super::words::country;
use super::{Context, elements};
use crate::config::document::NodeId;
use crate::config::field::Field;
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::Region;
use crate::model::Coordinates;
use crate::model::limits::FACTOR_MAX;

/// One entry for each region of the file, `None` where it is wrong.
pub(super) fn regions(
    field: &Field<Vec<Field<raw::Region>>>,
    cx: Context<'_>,
) -> Option<Vec<Option<Arc<Region>>>> {
    let help = "list at least one place that serves";
    let list = elements(field, NodeId::ROOT, "regions", help, cx.report)?;
    let mut seen = Seen::new();
    let read = |raw: &Field<raw::Region>| {
        let region = raw.value()?;
        let id = name(&region.id, raw.at, "id", cx.report);
        let id = id.filter(|id| seen.first((*id).to_owned(), id, region.id.at, cx.report));
        one(id, region, raw.at, cx).map(Arc::new)
    };
    Some(list.iter().map(read).collect())
}

fn one(id: Option<&str>, raw: &raw::Region, at: NodeId, cx: Context<'_>) -> Option<Region> {
    let report = cx.report;
    let latitude = degrees(&raw.latitude, at, "latitude", 90.0, report);
    let longitude = degrees(&raw.longitude, at, "longitude", 180.0, report);
    let help = "two letters as in ISO 3166, such as `DE` or `US`";
    let country_field = report.required(&raw.country, at, "country", help);
    let country = country_field.and_then(|text| country(raw.country.at, text, report));
    let bias = integer(&raw.bias, -99..=99, 0, report).and_then(|bias| i8::try_from(bias).ok());
    let compliance = match &raw.compliance.value() {
        Some(list) if list.is_empty() => Some(Vec::new()),
        _ => frameworks(&raw.compliance, "compliance", report),
    };
    let cost_multiplier = number(&raw.cost_multiplier, 0.0..=FACTOR_MAX, 1.0, report);
    let max_in_flight = optional(&raw.max_in_flight, |_| {
        integer(&raw.max_in_flight, 1..=i64::from(u32::MAX), 1, report)
    });
    let transport = transport(id, raw, cx);
    let endpoints = endpoints(&raw.endpoints, at, transport.as_ref(), cx);
    transport?;
    Some(Region {
        id: id?.into(),
        name: raw.name.value().cloned(),
        location: raw.location.value().cloned(),
        coordinates: Coordinates::new(latitude?, longitude?)?,
        country: country?,
        bias: bias?,
        compliance: compliance?,
        cost_multiplier: cost_multiplier?,
        max_in_flight: max_in_flight?.and_then(|most| NonZeroU32::new(u32::try_from(most).ok()?)),
        endpoints: endpoints?,
    })
}

fn degrees(
    field: &Field<f64>,
    parent: NodeId,
    name: &'static str,
    limit: f64,
    report: &Report<'_>,
) -> Option<f64> {
    let help = "in decimal degrees, such as `latitude: 38.95` and `longitude: -77.45`";
    let value = *report.required(field, parent, name, help)?;
    if !(-limit..=limit).contains(&value) {
        let message = format!("the {name} {value} is not in the range from -{limit} to {limit}");
        report.error(field.at, message, help);
        return None;
    }
    Some(value)
}
