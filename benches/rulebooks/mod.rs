//! Books of rules with conditions of all kinds, for the benches, and requests to ask them.

#![allow(dead_code, unreachable_pub, reason = "each bench takes what it needs")]
#![allow(clippy::expect_used, reason = "a bench of a wrong fixture may stop")]

use std::net::Ipv4Addr;

use http::{HeaderName, Method};
use ipnet::{IpNet, Ipv4Net};
use jiff::tz::TimeZone;
use rhumb::config::{
    Deployment, HeaderMatch, HostPattern, NamedMatch, Pattern, Rule, Strategy, TextMatch,
    TimeWindow, WeekdaySet,
};
use rhumb::model::{Continent, Subdivision};

use super::fixture::{Request, at, country, deployment, header, region_settings, rule};

/// How many kinds of rules there are.
const KINDS: u32 = 12;

/// A deployment of 100 regions with so many rules, which have so many networks in all besides one
/// for each rule of that kind.
pub fn mixed(rules: u32, networks: u32) -> Deployment {
    let ids: Vec<String> = (0..100).map(|n| format!("region-{n}")).collect();
    let regions = ids.iter().zip(0..100u32).map(|(id, n)| {
        let place = at(f64::from(n * 37 % 120) - 60.0, f64::from(n * 71 % 360) - 180.0);
        region_settings(id, place, 0, 1 + n % 7)
    });
    // Few expressions and windows, as people write them.
    let patterns: Vec<_> = (0..10)
        .map(|n| Pattern::new(&format!("^Mozilla/{n}.*Mobile$")).expect("a valid expression"))
        .collect();
    let each = networks / (rules / KINDS).max(1);
    let rules = (0..rules).map(|n| {
        let (target, fallback) = (&ids[n as usize % 100], &ids[(n as usize + 1) % 100]);
        let bare = rule(&format!("rule-{n}"), &[target], &[fallback]);
        Rule { priority: (n % 10) as i32, ..of_kind(n, each, &patterns, bare) }
    });
    let rules = rules.collect();
    Deployment { rules, ..deployment("api", Strategy::Geolocation, regions.collect()) }
}

fn text(name: &str, value: String) -> Vec<NamedMatch> {
    vec![NamedMatch { name: name.into(), value: TextMatch::Exact(value.into()) }]
}

fn header_match(name: &'static str, value: TextMatch) -> HeaderMatch {
    HeaderMatch { name: HeaderName::from_static(name), value }
}

fn of_kind(n: u32, networks: u32, patterns: &[Pattern], bare: Rule) -> Rule {
    let from = vec![country(["DE", "FR", "US", "JP", "GB", "BR", "IN"][n as usize % 7])];
    let path = vec![format!("/v{}/{}", n % 3, n % 1_000)];
    match n % KINDS {
        0 => Rule { tenants: (0..3).map(|m| format!("tenant-{n}-{m}").into()).collect(), ..bare },
        1 => Rule { header_conditions: vec![header("x-customer", &n.to_string())], ..bare },
        2 => {
            let value = TextMatch::Prefix(format!("team-{n}-").into());
            let headers = vec![header_match("x-team", value)];
            Rule { header_conditions: headers, source_countries: from, ..bare }
        }
        3 => Rule { source_cidrs: (0..=networks).map(|m| network(n * 16 + m)).collect(), ..bare },
        4 => Rule { source_asns: vec![64_500 + n, 65_000 + n], ..bare },
        5 => Rule { path_prefixes: path, source_countries: from, ..bare },
        6 => {
            let host = match n % 24 {
                6 => HostPattern::Exact(format!("h{n}.example.com")),
                _ => HostPattern::Wildcard(format!("h{n}.example.com")),
            };
            Rule { hosts: vec![host], ..bare }
        }
        7 => {
            let cookies = text("plan", format!("plan-{n}"));
            Rule { methods: vec![Method::POST, Method::PUT], cookie_conditions: cookies, ..bare }
        }
        8 => Rule { query_conditions: text("version", n.to_string()), ..bare },
        9 => {
            let pattern = patterns[n as usize / 12 % patterns.len()].clone();
            let headers = vec![header_match("user-agent", TextMatch::Regex(pattern))];
            let path_prefixes = vec![format!("/mobile/{n}")];
            let source_continents = vec![Continent::Eu];
            Rule { header_conditions: headers, source_continents, path_prefixes, ..bare }
        }
        10 => Rule { percent: Some(500), path_prefixes: path, methods: vec![Method::GET], ..bare },
        _ => {
            let hour = (n % 20) as u16 * 60;
            let zone = TimeZone::get("Europe/Berlin").expect("a bundled time zone");
            let window = TimeWindow { days: WeekdaySet(0x1f), from: hour, until: hour + 240, zone };
            let part = Subdivision::new(["BE", "BY", "HH"][n as usize % 3]);
            let parts = part.map(|part| (country("DE"), part));
            let source_subdivisions = parts.into_iter().collect();
            let path_prefixes = vec![format!("/batch/{}", n % 500)];
            Rule { source_subdivisions, path_prefixes, time_windows: vec![window], ..bare }
        }
    }
}

/// Networks of 16 addresses, and around some of them larger ones.
fn network(n: u32) -> IpNet {
    let length = if n.is_multiple_of(50) { 22 } else { 28 };
    let first = Ipv4Addr::from_bits(0x0a00_0000 | (n << 4 & 0x00ff_ffff));
    Ipv4Net::new(first, length).expect("a length below 33").trunc().into()
}

/// A request that meets many values which rules ask for, and no rule.
pub fn visitor(request: Request) -> Request {
    let mut request = request
        .to("www.h99999.example.com", "/v1/users/1234567")
        .with_address("192.0.2.77")
        .with_header("x-customer", "someone")
        .with_header("x-team", "team-none")
        .with_header("cookie", "plan=free; theme=dark");
    request.query = "version=latest&q=a%20b+c&page=2".to_owned();
    request.tenant = Some("tenant-77".to_owned());
    request.location.asn = Some(3_320);
    request.location.subdivision = Subdivision::new("BE");
    request
}

/// The same from an address that the first rule of networks names.
pub fn member(request: Request) -> Request {
    visitor(request).with_address("10.0.3.1")
}
