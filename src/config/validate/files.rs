//! Files that a configuration names, and how old what is in them may be. Reading them is the
//! business of whoever uses them.

use std::path::PathBuf;

use super::Context;
use super::values::{count, flag, freshness, hundredths, optional, path, seconds, unique_texts};
use crate::config::document::NodeId;
use crate::config::field::{Field, State, TextOr};
use crate::config::raw;
use crate::config::settings::{
    Freshness, GeoipFiles, LatencySources, MeasuredLatency, Shadow, TenantsFile,
};
use crate::model::limits::{
    MEASURED_HALF_LIFE_MAX, MEASURED_HALF_LIFE_MIN, MEASURED_NETWORKS_MAX, MEASURED_SAMPLES_MAX,
};

/// Part of the requests that a shadow decides as well, unless written, in hundredths of a percent.
const SHADOW_SAMPLE: u16 = 100;

pub(super) fn geoip(field: &Field<raw::Geoip>, cx: Context<'_>) -> Option<GeoipFiles> {
    let geoip = match &field.state {
        State::Absent => return Some(GeoipFiles::default()),
        State::Broken => return None,
        State::Present(geoip) => geoip,
    };
    let database = &geoip.database;
    let databases = match &database.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(TextOr::Text(text)) => path(database.at, text, cx).map(|path| vec![path]),
        State::Present(TextOr::Other(list)) if list.is_empty() => {
            let help = "name a database, or remove the field to use the built-in one";
            cx.report.error(database.at, "`database` is empty", help);
            None
        }
        State::Present(TextOr::Other(list)) => {
            unique_texts(list, cx.report, |at, text, _| path(at, text, cx))
        }
    };
    let asn = &geoip.asn_database;
    let asn_database = optional(asn, |text| path(asn.at, text, cx));
    let (soft, hard) = (&geoip.soft_ttl_seconds, &geoip.hard_ttl_seconds);
    let freshness = freshness(soft, hard, Freshness::default(), cx.report);
    Some(GeoipFiles { databases: databases?, asn_database: asn_database?, freshness: freshness? })
}

pub(super) fn latency(field: &Field<raw::Latency>, cx: Context<'_>) -> Option<LatencySources> {
    let default = LatencySources::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(latency) => latency,
    };
    let table = optional(&raw.table, |text| path(raw.table.at, text, cx));
    let (soft, hard) = (&raw.soft_ttl_seconds, &raw.hard_ttl_seconds);
    let freshness = freshness(soft, hard, default.freshness, cx.report);
    let written = [soft, hard].into_iter().find(|field| !field.is_absent());
    if let (State::Absent, Some(written)) = (&raw.table.state, written) {
        let message = "this is about the rows of a `table`, and there is none";
        let help = "add `table`, or write it under `measured`";
        cx.report.warning(written.at, message, help);
    }
    let measured = measured(&raw.measured, default.measured, cx);
    Some(LatencySources { table: table?, freshness: freshness?, measured: measured? })
}

fn measured(
    field: &Field<raw::Measured>,
    default: MeasuredLatency,
    cx: Context<'_>,
) -> Option<MeasuredLatency> {
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let report = cx.report;
    let range = MEASURED_HALF_LIFE_MIN..=MEASURED_HALF_LIFE_MAX;
    let half_life = seconds(&raw.half_life_seconds, range, default.half_life, report);
    let (soft, hard) = (&raw.soft_ttl_seconds, &raw.hard_ttl_seconds);
    let freshness = freshness(soft, hard, default.freshness, report);
    let by_network = flag(&raw.by_client_network, default.by_client_network);
    let samples = count(&raw.min_samples, 1..=MEASURED_SAMPLES_MAX, default.min_samples, report);
    let networks = u32::try_from(default.max_networks).unwrap_or(MEASURED_NETWORKS_MAX);
    let networks = count(&raw.max_networks, 1..=MEASURED_NETWORKS_MAX, networks, report);
    if by_network == Some(false) {
        for (name, at, absent) in [
            ("min_samples", raw.min_samples.at, raw.min_samples.is_absent()),
            ("max_networks", raw.max_networks.at, raw.max_networks.is_absent()),
        ] {
            if !absent {
                let message = format!("`{name}` has no effect without `by_client_network: true`");
                report.warning(at, message, "add it, or remove this");
            }
        }
    }
    Some(MeasuredLatency {
        half_life: half_life?,
        freshness: freshness?,
        by_client_network: by_network?,
        min_samples: samples?,
        max_networks: networks? as usize,
    })
}

/// The outer `None` is an error; the inner one is "no file".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn tenants(field: &Field<raw::Tenants>, cx: Context<'_>) -> Option<Option<TenantsFile>> {
    optional(field, |raw| {
        let help = "name a CSV file with the columns `tenant,region`";
        let file = named(&raw.file, field.at, "file", help, cx);
        let (soft, hard) = (&raw.soft_ttl_seconds, &raw.hard_ttl_seconds);
        let freshness = freshness(soft, hard, Freshness::default(), cx.report);
        Some(TenantsFile { file: file?, freshness: freshness? })
    })
}

/// The outer `None` is an error; the inner one is "no shadow".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn shadow(field: &Field<raw::Shadow>, cx: Context<'_>) -> Option<Option<Shadow>> {
    optional(field, |raw| {
        let config = named(&raw.config, field.at, "config", "name the candidate's file", cx);
        let percent = &raw.sample_percent;
        let sample = optional(percent, |value| hundredths(percent.at, *value, cx.report))?;
        let sample = sample.unwrap_or(SHADOW_SAMPLE);
        if sample == 0 {
            let help = "write a part above 0, or remove `shadow`";
            cx.report.warning(percent.at, "the candidate decides no request", help);
        }
        Some(Shadow { config: config?, sample })
    })
}

/// A path that has to be written.
fn named(
    field: &Field<String>,
    parent: NodeId,
    name: &'static str,
    help: &str,
    cx: Context<'_>,
) -> Option<PathBuf> {
    let text = cx.report.required(field, parent, name, help)?;
    path(field.at, text, cx)
}
