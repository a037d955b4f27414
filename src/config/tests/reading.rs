//! What an accepted file means.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::super::{Host, HostPattern, Strategy, WhenAllDown, load, parse};
use super::{BASE, read, with_deployment, with_line};
use crate::model::RegionId;

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
fn the_documented_example_reads_as_it_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rhumb.yaml");
    let config = load(&path, &|_| None).unwrap().config;
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
fn the_digest_tells_texts_apart() {
    let one = read(BASE).unwrap();
    assert_eq!(one.digest, read(BASE).unwrap().digest);
    let other = read(&format!("{BASE}# more\n")).unwrap();
    assert_ne!(one.digest, other.digest);
    assert_eq!(one.config, other.config);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&dir.path().join("no.yaml"), &|_| None).unwrap_err();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing.iter().next().unwrap().line, 0);
    assert!(missing.to_string().contains("no.yaml"));
    assert!(load(dir.path(), &|_| None).unwrap_err().to_string().contains("directory"));
    let bytes = dir.path().join("bytes.yaml");
    std::fs::write(&bytes, b"a: 1\nb: \xff\n").unwrap();
    let error = load(&bytes, &|_| None).unwrap_err().into_iter().next().unwrap();
    assert_eq!((error.line, error.column), (2, 4));
    assert!(error.message.contains("UTF-8"));
}
