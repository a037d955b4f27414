//! Residency policies, each by itself. What they mean together is `residency`'s business.

use super::Context;
use super::condition::headers;
use super::deployment::ids;
use super::hosts::prefix;
use super::known_regions::KnownRegions;
use super::values::{Seen, choice, name, optional_texts};
use super::words::{country, framework, tenant};
use crate::config::document::NodeId;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Applies, Enforcement, ResidencyPolicy, Unknown};
use crate::model::Framework;
use crate::model::limits::{FRAMEWORKS, RESIDENCY_POLICIES};

/// A policy, and where it is written.
pub(super) struct Placed {
    pub(super) at: NodeId,
    pub(super) policy: ResidencyPolicy,
}

pub(super) fn policies<'f>(
    field: &Field<Vec<Field<raw::Policy>>>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Vec<Placed>> {
    let list = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(list) => list,
    };
    if list.len() > RESIDENCY_POLICIES {
        let message = format!("{} policies are more than {RESIDENCY_POLICIES}", list.len());
        cx.report.error(field.at, message, "join those that allow the same regions");
        return None;
    }
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let name = name(&raw.name, element.at, "name", cx.report);
        let name = name.filter(|name| seen.first((*name).to_owned(), name, raw.name.at, cx.report));
        let policy = one(name, raw, element.at, known, cx);
        all.extend(policy.map(|policy| Placed { at: element.at, policy }));
    }
    (all.len() == list.len()).then_some(all)
}

fn one<'f>(
    name: Option<&str>,
    raw: &raw::Policy,
    at: NodeId,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<ResidencyPolicy> {
    let applies_to = applies(&raw.applies_to, cx);
    let allowed = allowed(&raw.allowed_regions, known, cx);
    let required = frameworks(&raw.required_compliance, "required_compliance", cx.report);
    let unknown = choice(&raw.when_unknown, Unknown::Apply, |unknown| match unknown {
        raw::Unknown::Apply => Unknown::Apply,
        raw::Unknown::Skip => Unknown::Skip,
    });
    let enforcement = choice(&raw.enforcement, Enforcement::Strict, |kind| match kind {
        raw::Enforcement::Strict => Enforcement::Strict,
        raw::Enforcement::Report => Enforcement::Report,
    });
    let nothing = raw.allowed_regions.is_absent() && raw.required_compliance.is_absent();
    if nothing && !cx.report.has_unknown_field(at) {
        let help = "write `allowed_regions`, `required_compliance`, or both";
        cx.report.error(at, "this policy allows every region", help);
        return None;
    }
    let (applies_to, unknown) = (applies_to?, unknown?);
    let knows = applies_to.countries.is_empty() && applies_to.tenants.is_empty();
    if knows && !raw.when_unknown.is_absent() {
        let message = "`when_unknown` has no effect without `countries` or `tenants`";
        cx.report.warning(raw.when_unknown.at, message, "remove it");
    }
    Some(ResidencyPolicy {
        name: name?.into(),
        applies_to,
        allowed_regions: allowed?,
        required_compliance: required?,
        when_unknown: unknown,
        enforcement: enforcement?,
    })
}

#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn allowed<'f>(
    field: &Field<Vec<Field<String>>>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Option<Vec<crate::model::RegionId>>> {
    match &field.state {
        State::Absent => return Some(None),
        State::Present(list) if list.is_empty() => {
            let help = "name the regions that may see these requests";
            cx.report.error(field.at, "`allowed_regions` is empty", help);
            return None;
        }
        _ => {}
    }
    let (ids, complete) = ids(field, known, cx);
    // One that is listed twice has been reported and is not among them.
    let complete = complete && field.value().is_some_and(|list| list.len() == ids.len());
    complete.then(|| Some(ids.into_iter().map(|(_, id)| id.into()).collect()))
}

fn applies(field: &Field<raw::Applies>, cx: Context<'_>) -> Option<Applies> {
    let raw = match &field.state {
        State::Absent => return Some(Applies::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let report = cx.report;
    let countries = optional_texts(&raw.countries, "countries", report, country);
    let tenants = optional_texts(&raw.tenants, "tenants", report, tenant);
    let headers = headers(&raw.headers, "headers", cx);
    let paths = optional_texts(&raw.path_prefixes, "path_prefixes", report, prefix);
    Some(Applies {
        countries: countries?,
        tenants: tenants?,
        headers: headers?,
        path_prefixes: paths?,
    })
}

/// Compliance frameworks in lower case, sorted.
pub(super) fn frameworks(
    field: &Field<Vec<Field<String>>>,
    name: &'static str,
    report: &Report<'_>,
) -> Option<Vec<Framework>> {
    let mut frameworks = optional_texts(field, name, report, framework)?;
    if frameworks.len() > FRAMEWORKS {
        let message = format!("{} frameworks are more than {FRAMEWORKS}", frameworks.len());
        report.error(field.at, message, "name those that policies ask for");
        return None;
    }
    frameworks.sort();
    Some(frameworks)
}
