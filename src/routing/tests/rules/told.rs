//! Why a rule holds, in words: of each list what this request is in, and every text.

use jiff::tz::TimeZone;

use super::fixture::{Request, country, rule, table};
use super::{header_match, named, regex, with_rules};
use crate::config::{HostPattern, Rule, TextMatch, TimeWindow, WeekdaySet};
use crate::model::{Continent, Subdivision};
use crate::routing::{Conditions, Draws, explain};

#[test]
fn every_condition_that_holds_is_told() {
    let window = TimeWindow { days: WeekdaySet::ALL, from: 1320, until: 1439, zone: TimeZone::UTC };
    let rule = Rule {
        priority: 7,
        hosts: vec![HostPattern::Wildcard("example.com".to_owned())],
        path_prefixes: vec!["/v1".to_owned(), "/v1/a".to_owned(), "/v1/ab".to_owned()],
        methods: vec![http::Method::POST, http::Method::GET],
        source_countries: ["FR", "DE"].map(country).into(),
        source_continents: vec![Continent::As, Continent::Eu],
        source_subdivisions: vec![(country("DE"), Subdivision::new("BE").unwrap())],
        source_cidrs: ["10.0.0.0/8", "::ffff:10.1.2.3/112", "10.2.0.0/16"]
            .map(|network| network.parse().unwrap())
            .into(),
        source_asns: vec![1, 64_500],
        tenants: vec!["acme".into()],
        header_conditions: vec![header_match("x-a", TextMatch::Prefix("go".into()))],
        query_conditions: vec![named("q", regex("^1")), named("r", TextMatch::Present)],
        cookie_conditions: vec![named("c", TextMatch::Exact("2".into()))],
        percent: Some(10_000),
        time_windows: vec![window],
        ..rule("all", &["eu"], &[])
    };
    let mut request = Request::default()
        .to("api.example.com", "/v1/a/b")
        .in_country("DE")
        .with_address("10.1.9.9")
        .with_header("x-a", "gold")
        .with_header("cookie", "c=2");
    request.query = "q=10&r".to_owned();
    request.tenant = Some("acme".to_owned());
    request.location.subdivision = Subdivision::new("BE");
    request.location.asn = Some(64_500);
    let table = table(vec![with_rules(vec![rule])], None);
    let told = explain(&table, &request.facts(), &Conditions::NONE, Draws::default());
    let step = told.steps.iter().find(|step| step.step.as_str() == "rule").unwrap();
    let expected = "rule `all` (priority 7) holds: country DE, continent EU, subdivision DE-BE, \
                    network 10.1.0.0/16, AS64500, tenant `acme`, method GET, host *.example.com, \
                    path /v1/a, x-a: go…, query q=/^1/, query r present, cookie c=2, \
                    among 100 % of clients, time 22:00 to 23:59 UTC";
    assert_eq!(step.note.as_deref(), Some(expected));
}
