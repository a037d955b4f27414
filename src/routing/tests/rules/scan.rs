//! The index against a scan of all rules, written from the words of the documentation.

use std::cmp::Reverse;
use std::net::IpAddr;

use http::Method;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;

use super::fixture::{Request, continent_of, country, rule, table};
use super::{decided, header_match, named, regex, with_rules};
use crate::config::{HostPattern, NamedMatch, Rule, TextMatch, TimeWindow, WeekdaySet};
use crate::model::{Continent, Country, Subdivision};
use crate::routing::Draws;
use crate::routing::draws::Salt;

const PLACES: [(&str, &str); 6] =
    [("DE", "BE"), ("DE", "BY"), ("US", "CA"), ("JP", "13"), ("XK", "1"), ("FR", "75")];
const NAMES: [&str; 3] = ["x-a", "x-b", "accept"];
const HEADER_VALUES: [&str; 8] = ["a", "ab", "b", "aXb", "a b", "abab", "c", ""];
const PARAMETERS: [&str; 16] = [
    "p=a",
    "p=%61",
    "p=a+b",
    "p=a%20b",
    "p=%6",
    "p=%zz",
    "p",
    "%70=ab",
    "q=ab",
    "p=a=b",
    "=a",
    "p=%2561",
    "p=aXb%",
    "q=",
    "P=a",
    "p=%61%62%61%62",
];
const COOKIES: [&str; 8] =
    ["p=a", "q=ab; p=b", "p=aXb;p=c", "p", "q=\"a\"", " p=ab ", ";=;p=a b", "q=%61"];
const HOSTS: [&str; 8] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "example",
    "xexample",
    "",
    ".a.example",
    "a.example.",
];
const PATHS: [&str; 9] =
    ["/", "/v1", "/v1/", "/v10", "/v1/a", "/v1/ab", "/v1/a/b/c", "*", "/v1%2Fa"];
const PREFIXES: [&str; 6] = ["/", "/v1", "/v1/a", "/v10", "/v1/a/b", "/v1/a/"];
const ADDRESSES: [&str; 7] =
    ["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1", "::1", "::ffff:10.1.2.3"];
const NETWORKS: [&str; 9] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3/32",
    "::ffff:10.1.2.3/112",
    "2001:db8:0:0:1::/32",
    "::/0",
    "10.1.2.3/9",
    "192.0.2.0/24",
];
const TENANTS: [&str; 3] = ["acme", "umbrella", "x"];

fn list<T: Clone + std::fmt::Debug + 'static>(pool: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![8 => Just(Vec::new()), 2 => prop::collection::vec(select(pool), 1..4)]
}

/// Made once: expressions are slow to compile.
fn texts() -> Vec<TextMatch> {
    let exact = ["a", "a b", "ab", "", "%61", "\"a\""].map(|text| TextMatch::Exact(text.into()));
    let prefixes = ["", "a", "ab", "aba"].map(|text| TextMatch::Prefix(text.into()));
    let suffixes = ["", "b", "ab", "bab"].map(|text| TextMatch::Suffix(text.into()));
    let patterns = ["^a.*b$", "b", "^$"].map(regex);
    let mut all: Vec<_> = [exact.as_slice(), &prefixes, &suffixes, &patterns].concat();
    all.push(TextMatch::Present);
    all
}

fn conditions() -> impl Strategy<Value = Vec<NamedMatch>> {
    let all = texts().into_iter().flat_map(|text| [named("p", text.clone()), named("q", text)]);
    list(all.collect())
}

fn places() -> impl Strategy<Value = Rule> {
    let parts = PLACES.map(|(at, part)| (country(at), Subdivision::new(part).unwrap()));
    (
        list(PLACES.map(|(at, _)| country(at)).into()),
        list(vec![Continent::Eu, Continent::As, Continent::Na, Continent::Sa]),
        list(parts.into()),
        list(NETWORKS.map(|network| network.parse().unwrap()).into()),
        list(vec![1u32, 2]),
    )
        .prop_map(|(countries, continents, subdivisions, networks, asns)| Rule {
            source_countries: countries,
            source_continents: continents,
            source_subdivisions: subdivisions,
            source_cidrs: networks,
            source_asns: asns,
            ..rule("r", &["eu"], &[])
        })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let exact = ["a.example", "b.a.example"].map(|host| HostPattern::Exact(host.to_owned()));
    let below = ["example", "a.example"].map(|host| HostPattern::Wildcard(host.to_owned()));
    let headers =
        texts().into_iter().flat_map(|text| NAMES.map(|name| header_match(name, text.clone())));
    let window = |from, until, zone: &str| TimeWindow {
        days: WeekdaySet(0b101_1010),
        from,
        until,
        zone: TimeZone::get(zone).unwrap(),
    };
    let windows = vec![window(0, 720, "UTC"), window(1200, 300, "Asia/Tokyo")];
    let target = (
        list([exact, below].concat()),
        list(PREFIXES.map(str::to_owned).into()),
        list(vec![Method::GET, Method::POST]),
        list(TENANTS.map(Into::into).into()),
    );
    let rest = (
        prop_oneof![6 => Just(None), 1 => select(vec![0u16, 1, 2_500, 9_999, 10_000]).prop_map(Some)],
        list(windows),
        -2..3,
        prop::bool::weighted(0.9),
        0..1_000u32,
    );
    (places(), target, list(headers.collect()), conditions(), conditions(), rest).prop_map(
        |(places, (hosts, path_prefixes, methods, tenants), headers, queries, cookies, rest)| {
            let (percent, time_windows, priority, enabled, id) = rest;
            Rule {
                id: format!("r{id}").as_str().into(),
                hosts,
                path_prefixes,
                methods,
                tenants,
                header_conditions: headers,
                query_conditions: queries,
                cookie_conditions: cookies,
                percent,
                time_windows,
                priority,
                enabled,
                ..places
            }
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let place = prop::option::weighted(0.8, (select(&PLACES[..]), any::<bool>()));
    let headers = prop::collection::vec((select(&NAMES[..]), select(&HEADER_VALUES[..])), 0..5);
    let cookies = prop::collection::vec(select(&COOKIES[..]), 0..3);
    let query = prop::collection::vec(select(&PARAMETERS[..]), 0..5);
    let who = (select(&ADDRESSES[..]), prop::option::of(select(&TENANTS[..])), 0..3u32);
    let what = (select(&HOSTS[..]), select(&PATHS[..]), any::<bool>(), 0..14u64);
    (place, headers, cookies, query, who, what).prop_map(
        |(place, headers, cookies, query, (address, tenant, asn), (host, path, post, moment))| {
            let mut request = Request::default().to(host, path).with_address(address);
            if let Some(((code, part), with_part)) = place {
                request = request.in_country(code);
                request.location.subdivision = with_part.then(|| Subdivision::new(part).unwrap());
            }
            let cookies = cookies.into_iter().map(|line| ("cookie", line));
            for (name, value) in headers.into_iter().chain(cookies) {
                request = request.with_header(name, value);
            }
            request.location.asn = (asn > 0).then_some(asn);
            request.tenant = tenant.map(str::to_owned);
            request.query = query.join("&");
            request.method = if post { Method::POST } else { Method::GET };
            request.now = 1_767_225_600 + moment * 43_201;
            request
        },
    )
}

fn is(expected: &TextMatch, text: &[u8]) -> bool {
    match expected {
        TextMatch::Exact(exact) => text == exact.as_bytes(),
        TextMatch::Prefix(prefix) => text.get(..prefix.len()) == Some(prefix.as_bytes()),
        TextMatch::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
        TextMatch::Regex(pattern) => pattern.is_found_in(text),
        TextMatch::Present => true,
    }
}

fn decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let plus = |text: &str| text.replace('+', " ").into_bytes();
    let mut all = plus(parts.next().unwrap());
    for part in parts {
        let digits = part.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits {
            Some(digits) => {
                all.push(u8::from_str_radix(digits, 16).unwrap());
                all.extend(plus(&part[2..]));
            }
            None => {
                all.push(b'%');
                all.extend(plus(part));
            }
        }
    }
    all
}

fn query(request: &Request) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parameters = request.query.split('&').filter(|parameter| !parameter.is_empty());
    let pairs = parameters.map(|parameter| match parameter.find('=') {
        Some(at) => (decode(&parameter[..at]), decode(&parameter[at + 1..])),
        None => (decode(parameter), Vec::new()),
    });
    pairs.collect()
}

fn cookies(request: &Request) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for line in request.headers.get_all("cookie") {
        for pair in line.to_str().unwrap().split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                all.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
            }
        }
    }
    all
}

fn contains(network: &IpNet, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    let mapped = |bits: u128| bits >> 32 == 0xffff;
    let length = match network {
        IpNet::V4(network) => u32::from(network.prefix_len()) + 96,
        IpNet::V6(network) => u32::from(network.prefix_len()),
    };
    let (first, bits) = (bits(network.addr()), bits(address));
    // Networks of IPv6 that are larger than all of IPv4 do not mean IPv4.
    let same_family = mapped(first) == mapped(bits);
    same_family && (first ^ bits).checked_shr(128 - length).unwrap_or(0) == 0
}

/// From the words of the documentation.
fn holds(rule: &Rule, request: &Request) -> bool {
    let any = |is_empty: bool, holds: bool| is_empty || holds;
    let location = &request.location;
    let from = |wanted: &[Country]| location.country.is_some_and(|at| wanted.contains(&at));
    let host = request.host.trim_end_matches('.');
    let is_host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => host == name,
        HostPattern::Wildcard(suffix) => {
            host.ends_with(&format!(".{suffix}")) && host.len() > suffix.len() + 1
        }
    };
    let is_below = |prefix: &String| {
        let prefix = prefix.trim_end_matches('/');
        prefix.is_empty() || format!("{}/", request.path).starts_with(&format!("{prefix}/"))
    };
    let is_pair = |pairs: &[(Vec<u8>, Vec<u8>)], NamedMatch { name, value }: &NamedMatch| {
        pairs.iter().any(|(other, text)| other == name.as_bytes() && is(value, text))
    };
    let (query, cookies) = (query(request), cookies(request));
    let continent = location.country.and_then(continent_of);
    let part = location.country.zip(location.subdivision);
    let tenant = request.tenant.as_deref();
    let share = || {
        let salt = Salt::of(&["api", "percent", rule.id.as_str()]);
        salt.per_10_000(request.facts().stable_key())
    };
    rule.enabled
        && any(rule.hosts.is_empty(), rule.hosts.iter().any(is_host))
        && any(rule.path_prefixes.is_empty(), rule.path_prefixes.iter().any(is_below))
        && any(rule.methods.is_empty(), rule.methods.contains(&request.method))
        && any(rule.source_countries.is_empty(), from(&rule.source_countries))
        && any(
            rule.source_continents.is_empty(),
            continent.is_some_and(|continent| rule.source_continents.contains(&continent)),
        )
        && any(
            rule.source_subdivisions.is_empty(),
            part.is_some_and(|part| rule.source_subdivisions.contains(&part)),
        )
        && any(
            rule.source_cidrs.is_empty(),
            rule.source_cidrs.iter().any(|network| contains(network, request.client.address)),
        )
        && any(
            rule.source_asns.is_empty(),
            location.asn.is_some_and(|asn| rule.source_asns.contains(&asn)),
        )
        && any(rule.tenants.is_empty(), rule.tenants.iter().any(|id| Some(id.as_str()) == tenant))
        && rule.header_conditions.iter().all(|condition| {
            let mut lines = request.headers.iter();
            lines.any(|(name, line)| {
                *name == condition.name && is(&condition.value, line.as_bytes())
            })
        })
        && rule.query_conditions.iter().all(|condition| is_pair(&query, condition))
        && rule.cookie_conditions.iter().all(|condition| is_pair(&cookies, condition))
        && rule.percent.is_none_or(|percent| share() < percent)
        && any(
            rule.time_windows.is_empty(),
            rule.time_windows.iter().any(|window| window.contains(request.now)),
        )
}

fn the_index_equals_a_scan(rules: Vec<Rule>, requests: &[Request]) -> Result<(), TestCaseError> {
    let api = with_rules(rules);
    let table = table(vec![api.clone()], None);
    for request in requests {
        let mut holding: Vec<_> =
            (0..).zip(&api.rules).filter(|(_, rule)| holds(rule, request)).collect();
        holding.sort_by_key(|(index, rule)| (Reverse(rule.priority), *index));
        let found = decided(&table, request, Draws::default()).unwrap().rule;
        let expected: Option<u32> = holding.first().map(|(index, _)| *index);
        prop_assert_eq!(found.map(|rule| rule.0), expected, "{:?}", request);
    }
    Ok(())
}

fn check(books: u32) {
    let config = ProptestConfig {
        cases: books,
        max_shrink_iters: 20_000,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let cases =
        (prop::collection::vec(any_rule(), 0..40), prop::collection::vec(any_request(), 10));
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let run =
        |(rules, requests): (Vec<Rule>, Vec<Request>)| the_index_equals_a_scan(rules, &requests);
    if let Err(error) = runner.run(&cases, run) {
        panic!("{error}");
    }
}

#[test]
fn the_index_equals_a_scan_of_ten_thousand_requests() {
    check(1_000);
}

#[test]
#[ignore = "long: run it with `--release -- --ignored`"]
fn the_index_equals_a_scan_of_a_million_requests() {
    check(100_000);
}
