//! Each condition, by its edges.

use http::Method;
use jiff::tz::TimeZone;

use super::fixture::{Request, country, rule};
use super::{found, header_match, named, regex};
use crate::config::{HostPattern, Pattern, Rule, TextMatch, TimeWindow, WeekdaySet};
use crate::model::{Continent, Subdivision};
use crate::routing::draws::Salt;

fn empty() -> Rule {
    rule("r", &["eu"], &[])
}

/// Whether a rule holds: alone, where it is scanned, and among its like, where it is filed.
fn holds(rule: &Rule, request: &Request) -> bool {
    let alone = found(vec![rule.clone()], request).is_some();
    let among = found(vec![rule.clone(); 12], request);
    assert_eq!(among, alone.then_some(0), "{rule:?} {request:?}");
    alone
}

/// Whether `rule` holds for each request.
fn check<T: AsRef<str>>(rule: &Rule, cases: &[(T, bool)], request: impl Fn(&str) -> Request) {
    for (text, expected) in cases {
        let text = text.as_ref();
        assert_eq!(holds(rule, &request(text)), *expected, "`{text}` for {rule:?}");
    }
}

#[test]
fn a_rule_without_conditions_always_holds_unless_it_is_disabled() {
    assert!(holds(&empty(), &Request::default()));
    assert!(!holds(&Rule { enabled: false, ..empty() }, &Request::default()));
}

#[test]
fn hosts_are_exact_or_one_or_more_labels_below() {
    let hosts = vec![
        HostPattern::Exact("api.example.com".to_owned()),
        HostPattern::Wildcard("example.org".to_owned()),
    ];
    let cases = [
        ("api.example.com", true),
        ("api.example.com.", true),
        ("b.api.example.com", false),
        ("example.com", false),
        ("a.example.org", true),
        ("a.b.example.org", true),
        ("a.example.org.", true),
        ("example.org", false),
        (".example.org", false),
        ("aexample.org", false),
        ("é.example.org", true),
        ("éexample.org", false),
        ("", false),
    ];
    check(&Rule { hosts, ..empty() }, &cases, |host| Request::default().to(host, "/"));
}

#[test]
fn path_prefixes_end_where_segments_end() {
    let rule = |prefix: &str| Rule { path_prefixes: vec![prefix.to_owned()], ..empty() };
    let at = |path: &str| Request::default().to("h", path);
    let cases = [
        ("/v1", true),
        ("/v1/", true),
        ("/v1/users", true),
        ("/v10", false),
        ("/v1.0", false),
        ("/V1", false),
        ("/", false),
        ("/x/v1", false),
        ("/v1%2fusers", false),
        ("/vé", false),
        ("", false),
    ];
    check(&rule("/v1"), &cases, at);
    check(&rule("/v1/"), &cases, at);
    check(&rule("/"), &[("/", true), ("/v1", true), ("*", true), ("", true)], at);
    let both = Rule { path_prefixes: vec!["/a".to_owned(), "/b/c".to_owned()], ..empty() };
    check(&both, &[("/a/x", true), ("/b", false), ("/b/c", true), ("/b/cd", false)], at);
}

#[test]
fn methods_are_told_apart_by_case() {
    let methods = vec![Method::POST, Method::from_bytes(b"PURGE").unwrap()];
    let cases = [("POST", true), ("PURGE", true), ("GET", false), ("post", false)];
    check(&Rule { methods, ..empty() }, &cases, |method| Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        ..Request::default()
    });
}

#[test]
fn places_hold_only_for_clients_whose_place_is_known() {
    let from = |place: &str| match place.split_once('-') {
        _ if place.is_empty() => Request::default(),
        Some((code, part)) => {
            let mut request = Request::default().in_country(code);
            request.location.subdivision = Subdivision::new(part);
            request
        }
        None => Request::default().in_country(place),
    };
    let countries = Rule { source_countries: ["DE", "FR"].map(country).into(), ..empty() };
    check(&countries, &[("DE", true), ("FR-75", true), ("US", false), ("", false)], from);
    let continents = Rule { source_continents: vec![Continent::Eu, Continent::As], ..empty() };
    // Nobody knows where XK is.
    let cases = [("IE", true), ("JP", true), ("US", false), ("XK", false), ("", false)];
    check(&continents, &cases, from);
    let part = |code, part| (country(code), Subdivision::new(part).unwrap());
    let subdivisions =
        Rule { source_subdivisions: vec![part("US", "CA"), part("DE", "BE")], ..empty() };
    let cases = [("US-CA", true), ("DE-BE", true), ("US-BE", false), ("DE-CA", false)];
    check(&subdivisions, &cases, from);
    check(&subdivisions, &[("US", false), ("", false)], from);
}

#[test]
fn a_subdivision_without_its_country_is_none() {
    let part = Subdivision::new("CA").unwrap();
    let rule = Rule { source_subdivisions: vec![(country("US"), part)], ..empty() };
    let mut request = Request::default();
    request.location.subdivision = Some(part);
    assert!(!holds(&rule, &request));
}

#[test]
fn networks_may_overlap_and_mapped_ones_are_ipv4() {
    let at = |address: &str| Request::default().with_address(address);
    let rule = |networks: &[&str]| Rule {
        source_cidrs: networks.iter().map(|network| network.parse().unwrap()).collect(),
        ..empty()
    };
    let nested = rule(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32"]);
    let cases = [
        ("10.1.2.3", true),
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("9.255.255.255", false),
        ("::ffff:10.1.2.3", true),
        ("2001:db8::1", true),
        ("2001:db9::", false),
        ("::a01:203", false),
    ];
    check(&nested, &cases, at);
    check(&rule(&["::ffff:10.1.0.0/112"]), &[("10.1.9.9", true), ("10.2.0.0", false)], at);
    // Bits behind the prefix say nothing.
    check(&rule(&["10.1.2.3/8"]), &[("10.9.9.9", true), ("11.1.2.3", false)], at);
    check(&rule(&["2001:db8::5/32"]), &[("2001:db8::1", true), ("2001:db9::5", false)], at);
    check(&rule(&["::ffff:10.1.2.3/112"]), &[("10.1.0.0", true), ("10.2.2.3", false)], at);
    let all_of_four = [("0.0.0.0", true), ("255.255.255.255", true), ("::1", false)];
    check(&rule(&["0.0.0.0/0"]), &all_of_four, at);
    check(&rule(&["::/0"]), &[("::1", true), ("192.0.2.1", false)], at);
    check(&rule(&["255.255.255.255/32"]), &[("255.255.255.255", true), ("0.0.0.0", false)], at);
}

#[test]
fn of_two_rules_whose_networks_overlap_the_first_wins_whichever_is_smaller() {
    let rule = |network: &str| Rule { source_cidrs: vec![network.parse().unwrap()], ..empty() };
    let many = (0..20).map(|n| rule(&format!("192.0.{n}.0/24")));
    let rules: Vec<_> = [rule("10.0.0.0/8"), rule("10.1.0.0/16")].into_iter().chain(many).collect();
    let request = Request::default().with_address("10.1.0.1");
    assert_eq!(found(rules.clone(), &request), Some(0));
    let reversed = rules.into_iter().rev().collect();
    assert_eq!(found(reversed, &request), Some(20));
}

#[test]
fn autonomous_systems_and_tenants() {
    let with_asn = |asn: &str| {
        let mut request = Request::default();
        request.location.asn = asn.parse().ok();
        request
    };
    let asns = Rule { source_asns: vec![64_500, 4_294_967_295], ..empty() };
    let cases = [("64500", true), ("4294967295", true), ("64501", false), ("", false)];
    check(&asns, &cases, with_asn);
    let of = |tenant: &str| Request {
        tenant: (!tenant.is_empty()).then(|| tenant.to_owned()),
        ..Request::default()
    };
    let tenants = Rule { tenants: vec!["acme".into(), "Ünion".into()], ..empty() };
    let cases = [("acme", true), ("Ünion", true), ("ACME", false), ("acme2", false), ("", false)];
    check(&tenants, &cases, of);
}

#[test]
fn one_line_of_a_header_is_enough() {
    let rule = |value| Rule { header_conditions: vec![header_match("x-plan", value)], ..empty() };
    let lines = |text: &str| {
        let lines = text.split('|').filter(|line| *line != "-");
        lines.fold(Request::default(), |request, line| request.with_header("x-plan", line))
    };
    let cases = [("gold", true), ("tin|gold", true), ("tin", false), ("Gold", false), ("-", false)];
    check(&rule(TextMatch::Exact("gold".into())), &cases, lines);
    check(&rule(TextMatch::Exact("".into())), &[("", true), ("a", false), ("-", false)], lines);
    let cases = [("gold", true), ("golden", true), ("gol", false), ("a|gold!", true), ("", false)];
    check(&rule(TextMatch::Prefix("gold".into())), &cases, lines);
    let cases = [("gold", true), ("old gold", true), ("golden", false), ("old", false)];
    check(&rule(TextMatch::Suffix("gold".into())), &cases, lines);
    let cases = [("gold 7", true), ("x|gold 42", true), ("gold", false), ("", false), ("-", false)];
    check(&rule(regex(r"^gold \d+$")), &cases, lines);
    for anything in [TextMatch::Present, TextMatch::Prefix("".into()), regex("")] {
        check(&rule(anything), &[("", true), ("x", true), ("-", false)], lines);
    }
}

#[test]
fn every_header_condition_has_to_hold_and_bytes_need_not_be_text() {
    let headers = vec![
        header_match("x-a", TextMatch::Exact("1".into())),
        header_match("x-b", TextMatch::Present),
        header_match("x-a", TextMatch::Suffix("2".into())),
    ];
    let both = Rule { header_conditions: headers, ..empty() };
    let one = Request::default().with_header("x-a", "1").with_header("x-b", "");
    assert!(!holds(&both, &one));
    assert!(holds(&both, &one.with_header("x-a", "12")));

    let mut latin = Request::default();
    latin.headers.insert("x-a", http::HeaderValue::from_bytes(b"caf\xe9").unwrap());
    for (value, expected) in [
        (TextMatch::Prefix("caf".into()), true),
        (TextMatch::Suffix("é".into()), false),
        (regex(r"^caf(?-u:\xe9)$"), true),
    ] {
        let rule = Rule { header_conditions: vec![header_match("x-a", value)], ..empty() };
        assert_eq!(holds(&rule, &latin), expected, "{rule:?}");
    }
}

#[test]
fn beginnings_inside_one_another_are_all_found() {
    let texts = ["a", "ab", "abc", "abd", "b", "abcde", "aa", "ac"];
    for (value, expected) in [("abcd", ["a", "ab", "abc"].as_slice()), ("ad", &["a"]), ("c", &[])] {
        for (number, text) in texts.iter().enumerate() {
            // The others lie beside it in the index, and none of them is chosen before it.
            let others = texts.iter().enumerate().filter(|(other, _)| *other != number);
            let rules = |as_match: fn(Box<str>) -> TextMatch, turn: fn(&str) -> String| {
                let one = |text: &str| {
                    let value = as_match(turn(text).into());
                    Rule { header_conditions: vec![header_match("x-a", value)], ..empty() }
                };
                let others = others.clone().map(|(_, other)| Rule { priority: -1, ..one(other) });
                std::iter::once(one(text)).chain(others).collect::<Vec<_>>()
            };
            let backwards = |text: &str| text.chars().rev().collect::<String>();
            let expected = expected.contains(text);
            let request = Request::default().with_header("x-a", value);
            let prefixes = rules(TextMatch::Prefix, str::to_owned);
            assert_eq!(found(prefixes, &request) == Some(0), expected, "{text} {value}");
            let request = Request::default().with_header("x-a", &backwards(value));
            let suffixes = rules(TextMatch::Suffix, |text| text.chars().rev().collect());
            assert_eq!(found(suffixes, &request) == Some(0), expected, "{text} {value}");
        }
    }
}

#[test]
fn query_parameters_are_decoded_before_they_are_compared() {
    let rule = |value| Rule { query_conditions: vec![named("a b", value)], ..empty() };
    let with = |query: &str| Request { query: query.to_owned(), ..Request::default() };
    let cases = [
        ("a+b=1+2", true),
        ("a%20b=1%202", true),
        ("%61%20%62=%31%20%32", true),
        ("x=y&a+b=1+2&a+b=z", true),
        ("a+b=z&a+b=1+2", true),
        ("&&a+b=1+2&", true),
        ("a b=1 2", true),
        ("a+b=1%2b2", false),
        ("a%2bb=1+2", false),
        ("a+b=1+2+", false),
        ("a+b=1%202%", false),
        ("a+b", false),
        ("a+b=", false),
        ("A+b=1+2", false),
        ("", false),
    ];
    check(&rule(TextMatch::Exact("1 2".into())), &cases, with);
    // What is no escape stays as it is.
    let cases = [("a+b=%", false), ("a+b=%2", false), ("a+b=%zz", true), ("a+b=%25zz", true)];
    check(&rule(TextMatch::Exact("%zz".into())), &cases, with);
    let cases = [("a+b=%+1", true), ("a+b=%2B1", false), ("a+b=%25%201", true)];
    check(&rule(TextMatch::Exact("% 1".into())), &cases, with);
    // Only once.
    let cases = [("a+b=%2541", true), ("a+b=%41", false)];
    check(&rule(TextMatch::Exact("%41".into())), &cases, with);
    // `=` and `&` from escapes part nothing.
    let cases = [("a+b=x=y", true), ("a+b=x%3Dy", true), ("a+b%3Dx=y", false), ("a+b=x", false)];
    check(&rule(TextMatch::Exact("x=y".into())), &cases, with);
    check(&rule(TextMatch::Exact("x&y".into())), &[("a+b=x%26y", true), ("a+b=x&y", false)], with);
    let cases = [("a+b", true), ("a+b=", true), ("a%20b=x", true), ("ab", false), ("", false)];
    for anything in [TextMatch::Present, TextMatch::Suffix("".into()), regex("")] {
        check(&rule(anything), &cases, with);
    }
    let cases = [("a+b=%31%30", true), ("a+b=x&a+b=11", true), ("a+b=%2531", false)];
    check(&rule(regex("^1[01]$")), &cases, with);
    check(&rule(TextMatch::Prefix("%3".into())), &[("a+b=%253", true), ("a+b=%33", false)], with);
    check(&rule(TextMatch::Suffix("é".into())), &[("a+b=%C3%A9", true), ("a+b=%A9", false)], with);
}

#[test]
fn a_query_longer_than_a_request_may_have_harms_nothing() {
    let rule = Rule { query_conditions: vec![named("a", regex("^x*$"))], ..empty() };
    let long = |length: usize| Request {
        query: format!("a=%78{}", "x".repeat(length)),
        ..Request::default()
    };
    assert!(holds(&rule, &long(8_000)));
    // More than there is room to decode: passed over.
    assert!(!holds(&rule, &long(9_000)));
}

#[test]
fn cookies_come_in_pairs_over_several_lines() {
    let rule = |value| Rule { cookie_conditions: vec![named("plan", value)], ..empty() };
    let lines = |text: &str| {
        let lines = text.split('|').filter(|line| *line != "-");
        lines.fold(Request::default(), |request, line| request.with_header("cookie", line))
    };
    let cases = [
        ("plan=gold", true),
        ("a=b; plan=gold", true),
        ("a=b;plan=gold;c=d", true),
        (" plan=gold ", true),
        ("a=b|plan=gold", true),
        ("plan=tin; plan=gold", true),
        ("plan=gold=", false),
        ("plan=\"gold\"", false),
        ("plan =gold", false),
        ("Plan=gold", false),
        ("xplan=gold", false),
        ("plan", false),
        ("plan=", false),
        ("x=plan=gold", false),
        (";;=;", false),
        ("plan=go%6cd", false),
        ("-", false),
    ];
    check(&rule(TextMatch::Exact("gold".into())), &cases, lines);
    let cases = [("plan=", true), ("plan=x", true), ("plan", false), ("-", false)];
    check(&rule(TextMatch::Present), &cases, lines);
    let cases = [("plan=gold7", true), ("plan=x|a=b; plan=gold8", true), ("a=gold7", false)];
    check(&rule(regex(r"^gold\d$")), &cases, lines);
}

#[test]
fn time_windows_cross_midnight_and_follow_the_clocks_of_their_zone() {
    let window = |days: u8, from: u16, until: u16, zone: &str| TimeWindow {
        days: WeekdaySet(days),
        from,
        until,
        zone: TimeZone::get(zone).unwrap(),
    };
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second() as u64;
    let at = |text: &str| Request { now: seconds(text), ..Request::default() };
    // Friday night, from 22:00 to 06:00 in Berlin; 2026-03-27 is a Friday.
    let night = Rule { time_windows: vec![window(1 << 4, 1320, 360, "Europe/Berlin")], ..empty() };
    let cases = [
        ("2026-03-27T20:59:59Z", false),
        ("2026-03-27T21:00:00Z", true),
        ("2026-03-28T04:59:59Z", true),
        ("2026-03-28T05:00:00Z", false),
        ("2026-03-28T21:30:00Z", false),
        ("2026-03-27T02:00:00Z", false),
    ];
    check(&night, &cases, at);
    // Clocks go from 02:00 to 03:00 on 2026-03-29, and back from 03:00 to 02:00 on 2026-10-25.
    let small_hours =
        Rule { time_windows: vec![window(0x7f, 120, 180, "Europe/Berlin")], ..empty() };
    let cases = [
        ("2026-03-28T01:30:00Z", true),
        ("2026-03-29T00:59:59Z", false),
        ("2026-03-29T01:00:00Z", false),
        ("2026-10-24T23:59:59Z", false),
        ("2026-10-25T00:00:00Z", true),
        ("2026-10-25T01:59:59Z", true),
        ("2026-10-25T02:00:00Z", false),
    ];
    check(&small_hours, &cases, at);
    let two = vec![window(0x7f, 0, 60, "UTC"), window(0x7f, 720, 780, "UTC")];
    let cases = [
        ("2026-01-01T00:59:59Z", true),
        ("2026-01-01T01:00:00Z", false),
        ("2026-01-01T12:00:00Z", true),
    ];
    check(&Rule { time_windows: two, ..empty() }, &cases, at);
    let never = Request { now: u64::MAX, ..Request::default() };
    assert!(!holds(&night, &never), "a moment that no calendar has");
}

/// Which of these clients a rule takes at a percentage.
fn takes(percent: u16, id: &str, clients: &[Request]) -> Vec<bool> {
    let salt = Salt::of(&["api", "percent", id]);
    let own = |request: &Request| salt.per_10_000(request.facts().stable_key()) < percent;
    let taken: Vec<bool> = clients.iter().map(own).collect();
    let rule = Rule { percent: Some(percent), ..rule(id, &["eu"], &[]) };
    for (request, taken) in clients.iter().zip(&taken).step_by(97) {
        assert_eq!(holds(&rule, request), *taken);
    }
    taken
}

fn clients(count: u32) -> Vec<Request> {
    let address = |n: u32| {
        Request::default().with_address(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255))
    };
    let tenant = |n: u32| Request { tenant: Some(format!("tenant-{n}")), ..Request::default() };
    (0..count).map(|n| if n % 2 == 0 { address(n) } else { tenant(n) }).collect()
}

#[test]
fn a_percentage_takes_its_share_and_growing_only_adds() {
    let clients = clients(20_000);
    let mut before = vec![false; clients.len()];
    for percent in [0, 1, 100, 1_000, 5_000, 9_000, 10_000] {
        let taken = takes(percent, "canary", &clients);
        let lost = before.iter().zip(&taken).filter(|(before, now)| **before && !**now).count();
        assert_eq!(lost, 0, "{percent} takes whom less took");
        let (n, p) = (clients.len() as f64, f64::from(percent) / 10_000.0);
        let count = taken.iter().filter(|taken| **taken).count() as f64;
        let off = (count - n * p).abs();
        assert!(off <= 3.0 * (n * p * (1.0 - p)).sqrt(), "{percent}: {count} of {n}");
        before = taken;
    }
}

#[test]
fn percentages_of_different_rules_are_independent_and_a_tenant_is_one_client() {
    let clients = clients(20_000);
    let a = takes(5_000, "a", &clients);
    let b = takes(5_000, "b", &clients);
    let both = a.iter().zip(&b).filter(|(a, b)| **a && **b).count() as f64;
    assert!((both - 5_000.0).abs() <= 3.0 * (20_000.0f64 * 0.25 * 0.75).sqrt(), "{both}");
    for n in 0..100 {
        let of = |address: &str| {
            let tenant = Some(format!("tenant-{n}"));
            Request { tenant, ..Request::default() }.with_address(address)
        };
        let from = [of("10.0.0.1"), of("2001:db8::7")];
        let taken = takes(5_000, "a", &from);
        assert_eq!(taken[0], taken[1]);
    }
}

#[test]
fn an_expression_that_explodes_is_refused_and_no_text_makes_one_slow() {
    let deep = "(".repeat(200) + &")".repeat(200);
    for bomb in ["(a{1000}){1000}", "((a{100}){100}){100}", r"\pL{5000}", &deep, "(", "a{2,1}"] {
        assert!(Pattern::new(bomb).is_err(), "{bomb:.40}");
    }
    // Exponential for engines that try one way after the other.
    let pattern = Pattern::new("^(a+)+$").unwrap();
    assert!(!pattern.is_found_in(&[b"a".repeat(8_000), b"b".to_vec()].concat()));
}
