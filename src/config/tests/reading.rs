//! What an accepted file means.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::super::{
    Affinity, AffinityMode, Freshness, Hints, Hops, Host, HostPattern, OnFailure, Overrides,
    RankingSettings, Rule, Strategy, TenantSource, TokenCarrier, WeekdaySet, WhenAllDown, Writes,
    load, parse,
};
use super::{BASE, read, with_deployment, with_line};
use crate::model::{Continent, RegionId};

#[test]
fn defaults_are_those_of_the_documentation() {
    let loaded = read(BASE).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    assert_eq!(config.admin.address, "127.0.0.1:9090".parse::<SocketAddr>().unwrap());
    assert_eq!(config.workers, None);
    assert!(config.geoip.databases.is_empty() && config.latency.table.is_none());
    assert!(config.client.trusted_proxies.is_empty());
    assert_eq!(
        config.client.country_headers,
        ["cf-ipcountry", "cloudfront-viewer-country", "x-client-geo-country"]
    );
    let deployment = &config.deployments[0];
    assert!(deployment.hosts.is_empty() && deployment.rules.is_empty());
    assert_eq!(deployment.path_prefix, "/");
    assert_eq!(deployment.strategy, Strategy::Latency);
    assert_eq!(deployment.when_all_down, WhenAllDown::LastResort);
    assert_eq!(deployment.regions.iter().map(|r| r.weight).collect::<Vec<_>>(), [1, 1]);
    let check = deployment.health_check.as_ref().unwrap();
    assert_eq!((check.path.as_str(), check.expected_status, &check.host), ("/health", 200, &None));
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (2, 3));
    assert_eq!(check.interval, Duration::from_secs(30));
    assert_eq!(check.timeout, Duration::from_secs(10));
    assert_eq!(check.fast_interval, Duration::from_millis(25));
    assert!(deployment.failover.auto_failover_enabled);
    assert_eq!(deployment.failover.threshold, 3);
    assert_eq!(deployment.failover.cooldown, Duration::from_secs(300));
    assert_eq!(deployment.timeouts.connect, Duration::from_secs(1));
    assert_eq!(deployment.timeouts.first_byte, Duration::from_secs(15));
    assert_eq!(deployment.timeouts.request, Duration::from_secs(60));
    assert_eq!(deployment.retries.attempts, 2);
}

#[test]
fn defaults_of_steering_are_those_of_the_documentation() {
    let config = read(BASE).unwrap().config;
    let seconds = |soft, hard| Freshness {
        soft: Some(Duration::from_secs(soft)),
        hard: Some(Duration::from_secs(hard)),
    };
    assert_eq!(config.latency.freshness, seconds(3_600, 86_400));
    let measured = &config.latency.measured;
    assert_eq!(measured.half_life, Duration::from_secs(10));
    assert_eq!(measured.freshness, seconds(60, 600));
    assert_eq!((measured.by_client_network, measured.min_samples), (false, 20));
    assert_eq!(measured.max_networks, 65_536);
    assert_eq!(config.geoip.freshness, Freshness::default());
    assert!(config.tenants.is_none() && config.signing.is_empty() && config.shadow.is_none());
    assert_eq!(config.hops, Hops { id: None, most: 8 });
    let region = &config.regions[0];
    assert_eq!((region.cost_multiplier, region.max_in_flight), (1.0, None));
    assert!(region.compliance.is_empty());
    let deployment = &config.deployments[0];
    assert_eq!(deployment.ranking, RankingSettings::default());
    assert!(deployment.tenant.is_none() && deployment.residency.is_empty());
    assert_eq!(deployment.writes, Writes::default());
    assert_eq!(deployment.affinity, Affinity::default());
    assert_eq!(deployment.hints, Hints::default());
    assert!(deployment.replay_regions.is_empty() && deployment.priorities.is_none());
    // The same with empty mappings, where those may be empty.
    let empty = "    writes: {}\n    affinity: {}\n    replica_regions: [eu]";
    let text = format!("latency: {{}}\n{}", with_line(13, empty));
    assert_eq!(read(&text).unwrap().config, config);
    let text = format!("latency: {{ measured: {{}} }}\n{BASE}");
    assert_eq!(read(&text).unwrap().config, config);
}

#[test]
fn one_limit_of_an_age_makes_the_other_give_way() {
    let age = |fields: &str| {
        let latency = format!("latency: {{ table: t.csv, {fields} }}\n{BASE}");
        let Freshness { soft, hard } = read(&latency).unwrap().config.latency.freshness;
        (soft.unwrap().as_secs(), hard.unwrap().as_secs())
    };
    assert_eq!(age("hard_ttl_seconds: 60"), (60, 60));
    assert_eq!(age("soft_ttl_seconds: 60"), (60, 86_400));
    assert_eq!(age("soft_ttl_seconds: 7, hard_ttl_seconds: 9e6"), (7, 9_000_000));
    let text = format!("geoip: {{ soft_ttl_seconds: 5 }}\n{BASE}");
    let freshness = read(&text).unwrap().config.geoip.freshness;
    assert_eq!((freshness.soft, freshness.hard), (Some(Duration::from_secs(5)), None));
}

fn rule_with(fields: &str) -> Rule {
    let rule = format!("    routing_rules: [{{ id: a, target_regions: [us], {fields} }}]");
    let text = format!("{}    tenant: {{ header: x-t }}\n", with_deployment(&rule));
    let config = read(&text).unwrap_or_else(|errors| panic!("{fields}\n{errors}")).config;
    config.deployments[0].rules[0].clone()
}

#[test]
fn conditions_become_what_is_compared() {
    let rule = rule_with(
        "source_cidrs: [10.0.0.0/8, 192.0.2.7, '::ffff:203.0.113.0/120', '2001:DB8::/32'], \
         source_asns: [64500, AS64501, as64502, '64503'], source_continents: [eu, NA], \
         source_subdivisions: [us-ca], percent: 12.5, hosts: ['*.A.example'], path_prefixes: [/a/]",
    );
    let cidrs: Vec<_> = rule.source_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(cidrs, ["10.0.0.0/8", "192.0.2.7/32", "203.0.113.0/24", "2001:db8::/32"]);
    assert_eq!(rule.source_asns, [64_500, 64_501, 64_502, 64_503]);
    assert_eq!(rule.source_continents, [Continent::Eu, Continent::Na]);
    let (country, part) = rule.source_subdivisions[0];
    assert_eq!((country.as_str(), part.as_str()), ("US", "CA"));
    assert_eq!(rule.percent, Some(1_250));
    assert_eq!(rule.hosts, [HostPattern::Wildcard("a.example".into())]);
    assert_eq!(rule.path_prefixes, ["/a"]);
    for (percent, expected) in [("0.01", 1), ("100", 10_000), ("33.33", 3_333), ("0.29", 29)] {
        assert_eq!(rule_with(&format!("percent: {percent}")).percent, Some(expected), "{percent}");
    }
}

#[test]
fn texts_are_compared_as_they_are_written() {
    let matches = |condition: &str, text: &str| {
        let rule = rule_with(&format!("header_conditions: {{ x: {condition} }}"));
        rule.header_conditions[0].value.matches(text.as_bytes())
    };
    for (condition, yes, no) in [
        ("abc", "abc", "abcd"),
        ("''", "", "a"),
        ("{ prefix: ab }", "abc", "cab"),
        ("{ suffix: bc }", "abc", "bca"),
        ("{ regex: 'b+c' }", "abbbcd", "ab"),
        ("{ regex: '^b+$' }", "bb", "abb"),
    ] {
        assert!(matches(condition, yes) && !matches(condition, no), "{condition}");
    }
    assert!(matches("{ present: true }", ""));
}

#[test]
fn windows_of_time() {
    let window = |text: &str| rule_with(&format!("time_windows: [{text}]")).time_windows[0].clone();
    let berlin = window("{ days: [fri], from: '22:00', until: '06:00', timezone: Europe/Berlin }");
    // Friday, 20 November 2026, 22:00 in Berlin is 21:00 UTC.
    let friday = 1_795_208_400;
    assert!(berlin.contains(friday) && !berlin.contains(friday - 1));
    assert!(berlin.contains(friday + 8 * 3_600 - 1) && !berlin.contains(friday + 8 * 3_600));
    assert!(!berlin.contains(friday + 24 * 3_600), "not on Saturday night");
    let always = window("{ from: '00:00' }");
    assert_eq!((always.days, always.from, always.until), (WeekdaySet::ALL, 0, 1_440));
    assert_eq!(window("{ until: '00:00' }").until, 1_440);
    assert_eq!(window("{ days: [sun, mon] }").days, WeekdaySet(0b100_0001));
    assert_eq!(window("{ days: [mon] }").zone.iana_name(), Some("UTC"));
}

#[test]
fn carriers_and_sources() {
    let deployment = |fields: &str| {
        let keys = "signing: { keys: [{ id: k, secret: 0123456789abcdef0123456789abcdef }] }";
        let text = format!("{keys}\n{}", with_deployment(&format!("    {fields}")));
        let config = read(&text).unwrap_or_else(|errors| panic!("{fields}\n{errors}")).config;
        config.deployments[0].clone()
    };
    let d = deployment("writes: { sticky_seconds: 5, header: X-Written }");
    assert_eq!(d.writes.carrier, TokenCarrier::Header("x-written".parse().unwrap()));
    let d = deployment("affinity: { mode: cookie }");
    let cookie = TokenCarrier::Cookie("rhumb-region".into());
    assert_eq!(d.affinity.mode, AffinityMode::Token(cookie));
    let d = deployment("affinity: { mode: header, ttl_seconds: 60, on_failure: none }");
    let header = TokenCarrier::Header("rhumb-region".parse().unwrap());
    assert_eq!(d.affinity.mode, AffinityMode::Token(header));
    assert_eq!(d.affinity.on_failure, OnFailure::None);
    let d = deployment("tenant: { jwt: { claim: org, jwks: keys.json } }");
    let Some(TenantSource::Jwt(jwt)) = &d.tenant else { panic!("a token") };
    assert_eq!((jwt.header.as_str(), &*jwt.claim), ("authorization", "org"));
    assert_eq!(jwt.jwks, Path::new("/etc/rhumb/keys.json"));
    for (fields, expected) in [
        ("tenant: { host_label: 0 }", TenantSource::HostLabel(0)),
        ("tenant: { path_segment: 2 }", TenantSource::PathSegment(2)),
        ("tenant: { cookie: t }", TenantSource::Cookie("t".into())),
        ("tenant: { header: X-T }", TenantSource::Header("x-t".parse().unwrap())),
    ] {
        assert_eq!(deployment(fields).tenant, Some(expected), "{fields}");
    }
}

#[test]
fn every_strategy_has_its_word() {
    for strategy in Strategy::ALL {
        let word = strategy.as_str();
        let text = with_deployment(&format!(
            "    routing_strategy: {word}\n    objectives: {{ load: 1 }}\n    residency: [{{ name: a, allowed_regions: [us, eu] }}]"
        ));
        assert_eq!(read(&text).unwrap().config.deployments[0].strategy, strategy, "{word}");
        let rule = format!(
            "    objectives: {{ load: 1 }}\n    residency: [{{ name: a, allowed_regions: [us, eu] }}]\n    \
             routing_rules: [{{ id: a, target_regions: [us], routing_strategy: {word} }}]"
        );
        let config = read(&with_deployment(&rule)).unwrap().config;
        assert_eq!(config.deployments[0].rules[0].strategy, Some(strategy), "{word}");
    }
}

#[test]
fn mapped_proxies_are_those_of_ipv4() {
    let text = format!("{BASE}client: {{ trusted_proxies: ['::ffff:10.0.0.0/104'] }}\n");
    assert!(read(&text).unwrap().config.client.trusts("10.1.2.3".parse().unwrap()));
}

#[test]
fn the_documented_example_reads_as_it_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rhumb.yaml");
    let config = load(&path, &|_| None, &Overrides::none()).unwrap().config;
    assert!(config.latency.table.unwrap().ends_with("config/latency.csv"));
    let [api, images] = &config.deployments[..] else { panic!("two deployments") };
    let hosts = [
        HostPattern::Exact("api.example.com".into()),
        HostPattern::Wildcard("api.example.org".into()),
    ];
    assert_eq!(api.hosts, hosts);
    let ids: Vec<_> = api.regions.iter().map(|r| r.region.id.as_str()).collect();
    assert_eq!(ids, ["us-east-1", "eu-west-1", "eu-central-1", "ap-northeast-1"]);
    let eu = &api.rules[0];
    assert_eq!((eu.priority, eu.source_countries.len()), (10, 5));
    let weights: [(RegionId, u32); 2] = [("eu-west-1".into(), 60), ("eu-central-1".into(), 40)];
    assert_eq!(eu.weights, weights);
    assert_eq!(api.rules[1].header_conditions[0].name, "x-preferred-region");
    assert_eq!(images.when_all_down, WhenAllDown::Refuse);
    assert_eq!(images.regions.iter().map(|r| r.weight).collect::<Vec<_>>(), [70, 30]);
    assert_eq!(images.regions[1].endpoints[0].url.to_string(), "http://10.0.1.20:8000");
    assert!(matches!(&config.regions[3].endpoints[0].url.host, Host::Address(a) if a.is_ipv6()));
}

#[test]
fn excluded_regions_are_left_out_in_order() {
    let text = with_deployment("    excluded_regions: [us]");
    let config = read(&text).unwrap().config;
    let deployment = &config.deployments[0];
    assert_eq!(deployment.primary_region.as_str(), "us");
    let ids: Vec<_> = deployment.regions.iter().map(|r| r.region.id.as_str()).collect();
    assert_eq!(ids, ["eu"]);
}

#[test]
fn weights_of_a_rule_follow_its_targets() {
    let text = with_deployment(
        "    routing_rules: [{ id: a, source_countries: [DE], target_regions: [us, eu], weights: { eu: 3 } }]",
    );
    let config = read(&text).unwrap().config;
    let weights: [(RegionId, u32); 2] = [("us".into(), 1), ("eu".into(), 3)];
    assert_eq!(config.deployments[0].rules[0].weights, weights);
}

#[test]
fn variables_become_what_they_look_like() {
    let text = with_line(14, "    retries: { attempts: \"x\" }").replace("\"x\"", "1");
    let text = text.replace("38.95", "${LAT}").replace("path: /health", "path: ${NONE:-/ok}");
    let env = |name: &str| (name == "LAT").then(|| "12.5".to_owned());
    let config = parse(&text, "x", Path::new(""), &env).unwrap().config;
    assert_eq!(config.regions[0].coordinates.latitude, 12.5);
}

#[test]
fn relative_paths_start_at_the_file() {
    let text = format!(
        "{BASE}geoip: {{ database: [a.mmdb, /b.mmdb], asn_database: ../asn.mmdb }}\nlatency: {{ table: t.csv }}\n"
    );
    let config = read(&text).unwrap().config;
    assert_eq!(config.geoip.databases, [Path::new("/etc/rhumb/a.mmdb"), Path::new("/b.mmdb")]);
    assert_eq!(config.geoip.asn_database.unwrap(), Path::new("/etc/rhumb/../asn.mmdb"));
    assert_eq!(config.latency.table.as_deref(), Some(Path::new("/etc/rhumb/t.csv")));
}

#[test]
fn json_is_yaml() {
    let text = r#"{"listeners": [{"address": "[::]:80"}], "workers": 4,
      "regions": [{"id": "a", "latitude": 1, "longitude": 2, "country": "de", "endpoints": [{"url": "http://x", "weight": 5}]}],
      "deployments": [{"name": "d", "primary_region": "a"}]}"#;
    let config = read(text).unwrap().config;
    assert_eq!(config.workers.unwrap().get(), 4);
    assert_eq!(config.regions[0].country.as_str(), "DE");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&dir.path().join("no.yaml"), &|_| None, &Overrides::none()).unwrap_err();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing.iter().next().unwrap().line, 0);
    assert!(missing.to_string().contains("no.yaml"));
    assert!(
        load(dir.path(), &|_| None, &Overrides::none())
            .unwrap_err()
            .to_string()
            .contains("directory")
    );
    let bytes = dir.path().join("bytes.yaml");
    std::fs::write(&bytes, b"a: 1\nb: \xff\n").unwrap();
    let error =
        load(&bytes, &|_| None, &Overrides::none()).unwrap_err().into_iter().next().unwrap();
    assert_eq!((error.line, error.column), (2, 4));
    assert!(error.message.contains("UTF-8"));
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_do() {
    let said = |path: &str| {
        let errors = load(Path::new(path), &|_| None, &Overrides::none());
        errors.unwrap_err().to_string()
    };
    assert!(said("/").contains("name the file in it"), "{}", said("/"));
    assert!(said("/dev/zero").contains("a file has at most 64 MiB"), "{}", said("/dev/zero"));
    assert!(said("/nowhere").contains("check the name"), "{}", said("/nowhere"));
}
