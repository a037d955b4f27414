//! What a request is: which deployment it is for, which conditions it meets, which policies apply.

use std::net::IpAddr;

use http::header;

use super::super::oracle::Oracle;
use super::super::world::{Asked, World};
use crate::config::{
    HeaderMatch, HostPattern, NamedMatch, ResidencyPolicy, Rule, TextMatch, TimeWindow, Unknown,
};
use crate::routing::tests::fixture::continent_of;

/// The deployment that answers: the most specific host, then the longest path, then file order.
pub(super) fn deployment(world: &World, asked: &Asked) -> Option<usize> {
    let mut best: Option<(usize, (usize, usize, usize))> = None;
    for (index, deployment) in world.config.deployments.iter().enumerate() {
        let of_hosts = deployment.hosts.iter();
        let host = if deployment.hosts.is_empty() {
            Some((0, 0))
        } else {
            of_hosts.filter_map(|pattern| specificity(pattern, &asked.request.host)).max()
        };
        let Some((kind, length)) = host else { continue };
        if !below(&asked.request.path, &deployment.path_prefix) {
            continue;
        }
        let rank = (kind, length, deployment.path_prefix.len());
        if best.is_none_or(|(_, other)| rank > other) {
            best = Some((index, rank));
        }
    }
    best.map(|(index, _)| index)
}

fn specificity(pattern: &HostPattern, host: &str) -> Option<(usize, usize)> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match pattern {
        HostPattern::Exact(name) => (name == host).then_some((2, 0)),
        HostPattern::Wildcard(suffix) => {
            host.ends_with(&format!(".{suffix}")).then_some((1, suffix.len()))
        }
    }
}

fn below(path: &str, prefix: &str) -> bool {
    prefix == "/" || path == prefix || path.starts_with(&format!("{prefix}/"))
}

/// Whether a policy applies.
pub(super) fn applies(policy: &ResidencyPolicy, asked: &Asked) -> bool {
    let to = &policy.applies_to;
    let unknown = policy.when_unknown == Unknown::Apply;
    let country = match asked.request.location.country {
        Some(country) => to.countries.contains(&country),
        None => unknown,
    };
    let tenant = match &asked.request.tenant {
        Some(tenant) => to.tenants.iter().any(|other| other.as_str() == tenant),
        None => unknown,
    };
    (to.countries.is_empty() || country)
        && (to.tenants.is_empty() || tenant)
        && (to.headers.is_empty() || to.headers.iter().any(|matched| has_header(matched, asked)))
        && (to.path_prefixes.is_empty()
            || to.path_prefixes.iter().any(|prefix| {
                let path = &asked.request.path;
                below(path, prefix) || below(&as_a_server_may_read(path), prefix)
            }))
}

/// A path with its escapes decoded, and without empty segments and dots.
fn as_a_server_may_read(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let path = unescaped(path);
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether every condition of a rule is met.
pub(super) fn holds(deployment: &str, rule: &Rule, asked: &Asked, oracle: &Oracle) -> bool {
    let request = &asked.request;
    let location = request.location;
    let query = pairs(&request.query, '&', decoded);
    let lines = request.headers.get_all(header::COOKIE).iter();
    let cookies: Vec<_> =
        lines.flat_map(|line| pairs(line.to_str().unwrap(), ';', str::to_owned)).collect();
    let continent = location.country.and_then(continent_of);
    let subdivision = location.country.zip(location.subdivision);
    let tenant = request.tenant.as_deref();
    any(&rule.hosts, |host| specificity(host, &request.host).is_some())
        && any(&rule.path_prefixes, |prefix| below(&request.path, prefix))
        && any(&rule.methods, |method| request.method == *method)
        && any(&rule.source_countries, |country| location.country == Some(*country))
        && any(&rule.source_continents, |there| continent == Some(*there))
        && any(&rule.source_subdivisions, |there| subdivision == Some(*there))
        && any(&rule.source_cidrs, |net| within(&net.to_string(), request.client.address))
        && any(&rule.source_asns, |number| location.asn == Some(*number))
        && any(&rule.tenants, |other| tenant == Some(other.as_str()))
        && rule.header_conditions.iter().all(|matched| has_header(matched, asked))
        && rule.query_conditions.iter().all(|matched| has_pair(matched, &query))
        && rule.cookie_conditions.iter().all(|matched| has_pair(matched, &cookies))
        && rule.percent.is_none_or(|percent| match percent {
            0 => false,
            10_000 => true,
            percent => oracle.in_percent(deployment, &rule.id, percent, asked),
        })
        && any(&rule.time_windows, |window| open(window, request.now))
}

fn any<T>(list: &[T], mut is_met: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(&mut is_met)
}

/// Whether an address is in a network, by comparing bits one by one.
pub(super) fn within(network: &str, address: IpAddr) -> bool {
    let (network, length) = network.split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    };
    let (network, address) = (bits(network.parse().unwrap()), bits(address));
    network.len() == address.len() && network[..length] == address[..length]
}

fn has_header(matched: &HeaderMatch, asked: &Asked) -> bool {
    let lines = asked.request.headers.get_all(&matched.name);
    lines.iter().any(|line| is(&matched.value, line.to_str().unwrap()))
}

fn has_pair(matched: &NamedMatch, pairs: &[(String, String)]) -> bool {
    pairs.iter().any(|(name, value)| *name == *matched.name && is(&matched.value, value))
}

/// Names and values, each as `read` makes it.
fn pairs(text: &str, between: char, read: fn(&str) -> String) -> Vec<(String, String)> {
    let parts = text.split(between).map(str::trim).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| (read(name), read(value))).collect()
}

fn decoded(text: &str) -> String {
    unescaped(&text.replace('+', " "))
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        out.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        out += rest;
    }
    out
}

fn is(value: &TextMatch, text: &str) -> bool {
    match value {
        TextMatch::Exact(expected) => text == &**expected,
        TextMatch::Prefix(start) => text.len() >= start.len() && text[..start.len()] == **start,
        TextMatch::Suffix(end) => {
            text.len() >= end.len() && text[text.len() - end.len()..] == **end
        }
        // The few that are generated.
        TextMatch::Regex(pattern) => match pattern.to_string().as_str() {
            "^al" => text.starts_with("al"),
            "et$" => text.ends_with("et"),
            "lph" => text.contains("lph"),
            other => panic!("{other} is not known"),
        },
        TextMatch::Present => true,
    }
}

/// Whether a window is open: one that began today, or yesterday and goes beyond midnight.
fn open(window: &TimeWindow, now: u64) -> bool {
    let offset = window.zone.to_fixed_offset().unwrap().seconds();
    let local = i64::try_from(now).unwrap() + i64::from(offset);
    let minutes = local.div_euclid(60);
    let today = minutes.div_euclid(24 * 60);
    [today, today - 1].into_iter().any(|day| {
        // The first day of all was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        let midnight = day * 24 * 60;
        let beyond = if window.until <= window.from { 24 * 60 } else { 0 };
        let from = midnight + i64::from(window.from);
        let until = midnight + i64::from(window.until) + beyond;
        let days = format!("{:07b}", window.days.0);
        let listed = days.chars().rev().nth(weekday as usize) == Some('1');
        listed && from <= minutes && minutes < until
    })
}
