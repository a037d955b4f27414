//! Broken rules and conditions, and exactly what is said of them.

use super::super::{read, with_deployment};
use super::{Row, check, check_one};
use crate::config::Severity;

#[test]
fn fields_of_a_rule() {
    let rule = "deployments[0].routing_rules[0]";
    let cases: &[(&str, &str, &str)] = &[
        ("target_regions: [us]", ".id", "`id` is missing"),
        ("id: a", ".target_regions", "`target_regions` is missing"),
        ("id: a, target_regions: []", ".target_regions", "is empty"),
        ("id: a, target_regions: [ap]", ".target_regions[0]", "no region `ap`"),
        (
            "id: a, target_regions: [us], fallback_regions: [ap]",
            ".fallback_regions[0]",
            "no region",
        ),
        ("id: a, target_regions: [us], priority: high", ".priority", "whole number"),
        ("id: a, target_regions: [us], priority: 9000000000", ".priority", "range"),
        ("id: a, target_regions: [us], enabled: 1", ".enabled", "true or false"),
        ("id: a, target_regions: [us], source_countries: []", ".source_countries", "is empty"),
        (
            "id: a, target_regions: [us], source_countries: [DE, de]",
            ".source_countries[1]",
            "listed twice",
        ),
        (
            "id: a, target_regions: [us], source_countries: [EUR]",
            ".source_countries[0]",
            "not a country",
        ),
        ("id: a, target_regions: [us], header_conditions: {}", ".header_conditions", "is empty"),
        (
            "id: a, target_regions: [us], header_conditions: { x: 1 }",
            ".header_conditions.x",
            "found the number 1",
        ),
        (
            "id: a, target_regions: [us], header_conditions: { x: ' a' }",
            ".header_conditions.x",
            "never match",
        ),
        (
            "id: a, target_regions: [us], header_conditions: { x: \"a\\n\" }",
            ".header_conditions.x",
            "no header can have",
        ),
        (
            "id: a, target_regions: [us], header_conditions: { x y: a }",
            ".header_conditions[\"x y\"]",
            "cannot be the name",
        ),
        (
            "id: a, target_regions: [us], header_conditions: { x: a, X: b }",
            ".header_conditions.X",
            "listed twice",
        ),
        (
            "id: a, target_regions: [us], weights: { eu: 1 }",
            ".weights.eu",
            "not one of the rule's targets",
        ),
        ("id: a, target_regions: [us], weights: { us: 0 }", ".weights", "above 0"),
        ("id: a, target_regions: [us], weights: { us: 1.5 }", ".weights.us", "whole number"),
        ("id: a, target_regions: [us], weights: {}", ".weights", "is empty"),
    ];
    for (fields, path, part) in cases {
        let text = with_deployment(&format!("    routing_rules: [{{ {fields} }}]"));
        let error = read(&text).unwrap_err().into_iter().find(|e| e.severity == Severity::Error);
        let error = error.unwrap();
        assert_eq!((error.line, error.path), (15, format!("{rule}{path}")), "{fields}");
        assert!(error.message.contains(part), "{fields}: {}", error.message);
    }
    let twice =
        "    routing_rules: [{ id: a, target_regions: [us] }, { id: a, target_regions: [us] }]";
    check(&with_deployment(twice), &[(15, "deployments[0].routing_rules[1].id", "listed twice")]);
}

#[test]
fn conditions_of_a_rule() {
    let rows: &[Row] = &[
        ("hosts: []", "hosts", "is empty"),
        ("hosts: ['a:80']", "hosts[0]", "not a host"),
        ("path_prefixes: [v1]", "path_prefixes[0]", "does not start"),
        ("path_prefixes: [/v1, /v1/]", "path_prefixes[1]", "listed twice"),
        ("path_prefixes: [/v1?a]", "path_prefixes[0]", "query"),
        ("methods: [get]", "methods[0]", "not a method"),
        ("methods: ['G T']", "methods[0]", "not a method"),
        ("methods: [GET, GET]", "methods[1]", "listed twice"),
        ("source_continents: [Europe]", "source_continents[0]", "not a continent"),
        ("source_continents: [AM]", "source_continents[0]", "not a continent"),
        ("source_continents: [EU, eu]", "source_continents[1]", "listed twice"),
        ("source_subdivisions: [CA]", "source_subdivisions[0]", "not a subdivision"),
        ("source_subdivisions: [US-CALI]", "source_subdivisions[0]", "not a subdivision"),
        ("source_cidrs: [10.0.0.1/8]", "source_cidrs[0]", "bits set"),
        ("source_cidrs: ['2001:db8::1/32']", "source_cidrs[0]", "bits set"),
        ("source_cidrs: [10.0.0.0/33]", "source_cidrs[0]", "not a network"),
        (
            "source_cidrs: [203.0.113.0/24, '::ffff:203.0.113.0/120']",
            "source_cidrs[1]",
            "listed twice",
        ),
        ("source_asns: [0]", "source_asns[0]", "not an autonomous system"),
        ("source_asns: [-1]", "source_asns[0]", "not an autonomous system"),
        ("source_asns: [4294967296]", "source_asns[0]", "not an autonomous system"),
        ("source_asns: [AS-1]", "source_asns[0]", "not an autonomous system"),
        ("source_asns: ['AS+1']", "source_asns[0]", "not an autonomous system"),
        ("source_asns: [64500, AS64500]", "source_asns[1]", "listed twice"),
        ("source_asns: [1.5]", "source_asns[0]", "whole number"),
        ("tenants: ['']", "tenants[0]", "cannot be a tenant"),
        ("tenants: [\"a\\nb\"]", "tenants[0]", "cannot be a tenant"),
        ("tenants: [7]", "tenants[0]", "expected text"),
        ("percent: 100.5", "percent", "0 to 100"),
        ("percent: -1", "percent", "0 to 100"),
        ("percent: .nan", "percent", "expected a number"),
        ("percent: 12.345", "percent", "decimals"),
        ("header_conditions: { x: {} }", "header_conditions.x", "says nothing"),
        (
            "header_conditions: { x: { prefix: a, suffix: b } }",
            "header_conditions.x",
            "exclude each other",
        ),
        ("header_conditions: { x: { prefx: a } }", "header_conditions.x.prefx", "unknown field"),
        ("header_conditions: { x: { prefix: '' } }", "header_conditions.x.prefix", "every text"),
        ("header_conditions: { x: { prefix: ' a' } }", "header_conditions.x.prefix", "never match"),
        ("header_conditions: { x: { suffix: 'a ' } }", "header_conditions.x.suffix", "never match"),
        ("header_conditions: { x: { suffix: 'ü\x07' } }", "", "not valid YAML"),
        ("header_conditions: { x: { present: false } }", "header_conditions.x.present", "only"),
        ("header_conditions: { x: { regex: '' } }", "header_conditions.x.regex", "every text"),
        ("header_conditions: { x: { regex: '(' } }", "header_conditions.x.regex", "unclosed group"),
        (
            "header_conditions: { x: { regex: '(a)\\1' } }",
            "header_conditions.x.regex",
            "backreferences are not supported",
        ),
        (
            "header_conditions: { x: { regex: '((a{100}){100}){100}' } }",
            "header_conditions.x.regex",
            "bytes when it is compiled",
        ),
        (
            "header_conditions: { x: { regex: '(?:\\w{500}){500}' } }",
            "header_conditions.x.regex",
            "bytes when it is compiled",
        ),
        ("query_conditions: { '': a }", "query_conditions[\"\"]", "name of a parameter"),
        ("query_conditions: {}", "query_conditions", "is empty"),
        ("cookie_conditions: { 'a b': c }", "cookie_conditions[\"a b\"]", "name of a cookie"),
        ("cookie_conditions: { a: 'b;c' }", "cookie_conditions.a", "no cookie can have"),
        ("time_windows: []", "time_windows", "is empty"),
        ("time_windows: [{}]", "time_windows[0]", "open all the time"),
        ("time_windows: [{ timezone: UTC }]", "time_windows[0]", "open all the time"),
        ("time_windows: [{ days: [] }]", "time_windows[0].days", "is empty"),
        ("time_windows: [{ days: [mon, mon] }]", "time_windows[0].days[1]", "listed twice"),
        ("time_windows: [{ days: [monday] }]", "time_windows[0].days[0]", "not one of the choices"),
        ("time_windows: [{ from: '8:00' }]", "time_windows[0].from", "not a time of day"),
        ("time_windows: [{ from: '24:00' }]", "time_windows[0].from", "not a time of day"),
        ("time_windows: [{ until: '24:01' }]", "time_windows[0].until", "not a time of day"),
        ("time_windows: [{ until: '12:60' }]", "time_windows[0].until", "not a time of day"),
        ("time_windows: [{ from: 800 }]", "time_windows[0].from", "expected text"),
        (
            "time_windows: [{ from: '08:00', timezone: Europe/Berlim }]",
            "time_windows[0].timezone",
            "no time zone `Europe/Berlim`",
        ),
        (
            "time_windows: [{ from: '08:00', timezone: ../../etc/passwd }]",
            "time_windows[0].timezone",
            "no time zone",
        ),
        ("routing_strategy: 1", "routing_strategy", "expected text"),
    ];
    for (fields, path, part) in rows {
        let rule = format!("    routing_rules: [{{ id: a, target_regions: [us], {fields} }}]");
        let text = format!("{}    tenant: {{ header: x-t }}\n", with_deployment(&rule));
        let whole = if path.is_empty() {
            continue_with_syntax(&text);
            continue;
        } else {
            format!("deployments[0].routing_rules[0].{path}")
        };
        check_one(&text, &whole, part);
    }
}

/// A control character is no YAML at all, whatever field it is in.
fn continue_with_syntax(text: &str) {
    assert!(read(text).is_err(), "{text}");
}

#[test]
fn suggestions_are_what_was_probably_meant() {
    let help = |fields: &str| {
        let rule = format!("    routing_rules: [{{ id: a, target_regions: [us], {fields} }}]");
        let errors = read(&with_deployment(&rule)).unwrap_err();
        errors.iter().find_map(|error| error.help.clone()).unwrap()
    };
    for (fields, part) in [
        ("time_windows: [{ from: '08:00', timezone: europe/berlni }]", "`Europe/Berlin`"),
        ("time_windows: [{ from: '08:00', timezone: Amerika/New_York }]", "`America/New_York`"),
        ("source_continents: [America]", "NA is North America"),
        ("source_continents: [DE]", "source_countries"),
        ("source_continents: [Europe]", "`EU`"),
        ("source_cidrs: [10.0.0.1/8]", "10.0.0.0/8"),
        ("methods: [get]", "`GET`"),
        ("percent: 12.345", "12.35"),
        ("header_conditions: { x: { prefx: a } }", "`prefix`"),
    ] {
        assert!(help(fields).contains(part), "{fields}: {}", help(fields));
    }
}

#[test]
fn expressions_are_bounded_in_number_and_length() {
    let rules = |count: usize, distinct: bool| {
        let rule = |n: usize| {
            let pattern = if distinct { n } else { 0 };
            format!(
                "      - {{ id: r{n}, target_regions: [us], header_conditions: {{ x: {{ regex: 'a{pattern}' }} }} }}\n"
            )
        };
        with_deployment(&format!(
            "    routing_rules:\n{}",
            (0..count).map(rule).collect::<String>()
        ))
    };
    assert!(read(&rules(1_000, true)).is_ok());
    check_one(
        &rules(1_001, true),
        "deployments[0].routing_rules[1000].header_conditions.x.regex",
        "more than 1000 different expressions",
    );
    assert!(read(&rules(1_001, false)).is_ok(), "equal ones count once");
    let long = format!(
        "    routing_rules: [{{ id: a, target_regions: [us], header_conditions: {{ x: {{ regex: '{}' }} }} }}]",
        "a".repeat(4_097)
    );
    let path = "deployments[0].routing_rules[0].header_conditions.x.regex";
    check_one(&with_deployment(&long), path, "more than 4096 bytes");
}
