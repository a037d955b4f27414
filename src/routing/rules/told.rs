//! What is said of the rule that holds: its conditions, as far as this request met them.
//!
//! Decides nothing, and finds out again what is said; only called when somebody listens.

use ipnet::IpNet;

use super::terms::canonical;
use crate::config::{HostPattern, NamedMatch, Rule, TextMatch, TimeWindow};
use crate::model::RegionId;
use crate::routing::facts::Facts;
use crate::routing::plan::DeploymentPlan;

/// Why the rule holds, and which of its regions cannot be had.
pub(in crate::routing) fn note(
    deployment: &DeploymentPlan,
    facts: &Facts<'_>,
    rule: &Rule,
) -> String {
    let mut because = Vec::new();
    place(deployment, facts, rule, &mut because);
    target(facts, rule, &mut because);
    texts(rule, &mut because);
    rest(facts, rule, &mut because);
    let because = if because.is_empty() { "no conditions".to_owned() } else { because.join(", ") };
    let mut note = format!("rule `{}` (priority {}) holds: {because}", rule.id, rule.priority);
    let named = || rule.target_regions.iter().chain(&rule.fallback_regions);
    let missing: Vec<&str> = named()
        .filter(|id| deployment.position(id.as_str()).is_none())
        .map(RegionId::as_str)
        .collect();
    if missing.len() == named().count() {
        note += "; none of its regions is eligible, so the strategy decides as if no rule held";
    } else if !missing.is_empty() {
        note += "; not eligible: ";
        note += &missing.join(", ");
    }
    note
}

/// Who asks, and from where.
fn place(deployment: &DeploymentPlan, facts: &Facts<'_>, rule: &Rule, because: &mut Vec<String>) {
    let country = facts.location.country;
    if let Some(country) = country.filter(|_| !rule.source_countries.is_empty()) {
        because.push(format!("country {country}"));
    }
    let continent = country.and_then(|country| deployment.rules.continent_of(country));
    if let Some(continent) = continent.filter(|_| !rule.source_continents.is_empty()) {
        because.push(format!("continent {}", continent.code()));
    }
    let part = country.zip(facts.location.subdivision);
    if let Some((country, part)) = part.filter(|_| !rule.source_subdivisions.is_empty()) {
        because.push(format!("subdivision {country}-{}", part.as_str()));
    }
    let address = facts.client.address.to_canonical();
    let networks = rule.source_cidrs.iter().map(|network| canonical(*network));
    let around = networks.filter(|network| network.contains(&address));
    if let Some(smallest) = around.max_by_key(IpNet::prefix_len) {
        because.push(format!("network {smallest}"));
    }
    if let Some(asn) = facts.location.asn.filter(|_| !rule.source_asns.is_empty()) {
        because.push(format!("AS{asn}"));
    }
    if let Some(tenant) = facts.tenant.filter(|_| !rule.tenants.is_empty()) {
        because.push(format!("tenant `{tenant}`"));
    }
}

/// What for.
fn target(facts: &Facts<'_>, rule: &Rule, because: &mut Vec<String>) {
    if !rule.methods.is_empty() {
        because.push(format!("method {}", facts.method));
    }
    let host = facts.host.strip_suffix('.').unwrap_or(facts.host);
    let found = rule.hosts.iter().find(|pattern| match pattern {
        HostPattern::Exact(name) => host == name,
        HostPattern::Wildcard(suffix) => {
            let labels = host.strip_suffix(suffix.as_str()).and_then(|rest| rest.strip_suffix('.'));
            labels.is_some_and(|labels| !labels.is_empty())
        }
    });
    because.extend(found.map(|pattern| format!("host {pattern}")));
    let below = rule.path_prefixes.iter().filter(|prefix| {
        let prefix = prefix.trim_end_matches('/');
        let rest = facts.path.strip_prefix(prefix);
        prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let longest = below.max_by_key(|prefix| prefix.len());
    because.extend(longest.map(|prefix| format!("path {prefix}")));
}

/// With which texts.
fn texts(rule: &Rule, because: &mut Vec<String>) {
    for condition in &rule.header_conditions {
        because.push(format!("{}: {}", condition.name, condition.value));
    }
    let mut named = |what: &str, conditions: &[NamedMatch]| {
        for NamedMatch { name, value } in conditions {
            because.push(match value {
                TextMatch::Present => format!("{what} {name} present"),
                value => format!("{what} {name}={value}"),
            });
        }
    };
    named("query", &rule.query_conditions);
    named("cookie", &rule.cookie_conditions);
}

/// For how many, and when.
fn rest(facts: &Facts<'_>, rule: &Rule, because: &mut Vec<String>) {
    if let Some(percent) = rule.percent {
        because.push(format!("among {} % of clients", f64::from(percent) / 100.0));
    }
    let window = rule.time_windows.iter().find(|window| window.contains(facts.now));
    because.extend(window.map(time));
}

fn time(window: &TimeWindow) -> String {
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let zone = window.zone.iana_name().unwrap_or("local time");
    format!("time {} to {} {zone}", clock(window.from), clock(window.until))
}
