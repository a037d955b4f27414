//! Which region answers a live request.

use std::collections::BTreeMap;

use crate::support::client::{Client, Request};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};

/// An address of each of a few countries, as the shipped database has them.
const GERMANY: &str = "193.99.144.80";
const JAPAN: &str = "133.11.0.1";
const USA: &str = "8.8.8.8";

struct World {
    us: Origin,
    eu: Origin,
    ap: Origin,
}

impl World {
    fn new() -> Self {
        Self { us: Origin::named("us"), eu: Origin::named("eu"), ap: Origin::named("ap") }
    }

    fn setup(&self) -> Setup {
        Setup::over(&[("us", self.us.address), ("eu", self.eu.address), ("ap", self.ap.address)])
    }

    fn geolocation(&self) -> Proxy {
        self.setup()
            .top("client: { trusted_proxies: [127.0.0.1/32] }")
            .deployment("routing_strategy: geolocation")
            .start()
    }
}

fn region(client: &mut Client, request: &Request) -> String {
    let response = client.ask(request);
    assert_eq!(response.status(), 200, "{response:#?}");
    response.region().to_owned()
}

/// `address,country` as another implementation reads them in the shipped database.
fn readings() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("data/countries.csv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(',').unwrap()).collect()
}

/// A proxy that shows by the region which third of the world a client is in; `home` is for
/// clients of no country.
struct Thirds {
    proxy: Proxy,
    of_country: BTreeMap<&'static str, &'static str>,
    _origins: Vec<Origin>,
}

impl Thirds {
    fn new() -> Self {
        const THIRDS: [&str; 3] = ["first", "second", "third"];
        let mut of_country = BTreeMap::new();
        for (_, country) in readings() {
            let next = THIRDS[of_country.len() % 3];
            if !country.is_empty() {
                of_country.entry(country).or_insert(next);
            }
        }
        let mut rules = "routing_strategy: failover\nrouting_rules:\n".to_owned();
        for third in THIRDS {
            let countries: Vec<_> =
                of_country.iter().filter(|(_, t)| **t == third).map(|(c, _)| *c).collect();
            let countries = countries.join("\", \"");
            rules += &format!(
                "  - {{ id: {third}, source_countries: [\"{countries}\"], target_regions: [{third}] }}\n"
            );
        }
        let origins: Vec<_> =
            ["home", "first", "second", "third"].map(Origin::named).into_iter().collect();
        let regions: Vec<_> = origins.iter().map(|o| (o.name.as_str(), o.address)).collect();
        let proxy = Setup::over(&regions)
            .top("client: { trusted_proxies: [127.0.0.1/32] }")
            .deployment(&rules)
            .start();
        Self { proxy, of_country, _origins: origins }
    }
}

#[test]
fn ten_thousand_addresses_reach_the_region_of_the_country_that_another_reader_finds() {
    let thirds = Thirds::new();
    let readings = readings();
    assert!(readings.len() >= 10_000);
    std::thread::scope(|scope| {
        for part in readings.chunks(readings.len().div_ceil(4)) {
            let thirds = &thirds;
            scope.spawn(move || {
                let mut client = thirds.proxy.client();
                for (address, country) in part {
                    let expected = thirds.of_country.get(country).copied().unwrap_or("home");
                    let found = region(&mut client, &Request::get("/").from(*address));
                    assert_eq!(found, expected, "{address} in {country:?}");
                }
            });
        }
    });
}

#[test]
fn x_forwarded_for_of_an_untrusted_peer_changes_nothing() {
    let thirds = Thirds::new();
    let mut stranger = thirds.proxy.client_from("127.0.0.2");
    for (address, _) in readings().iter().step_by(40) {
        assert_eq!(region(&mut stranger, &Request::get("/").from(*address)), "home", "{address}");
    }
}

#[test]
fn the_nearest_region_answers() {
    let world = World::new();
    let proxy = world.geolocation();
    let mut client = proxy.client();
    for (address, expected) in [
        (GERMANY, "eu"),
        (JAPAN, "ap"),
        (USA, "us"),
        ("1.1.1.1", "ap"),
        ("2001:4860:4860::8888", "us"),
        ("2a02:8071::1", "eu"),
        ("::ffff:193.99.144.80", "eu"),
        ("[2a02:8071::1]:1234", "eu"),
        ("133.11.0.1:443", "ap"),
    ] {
        assert_eq!(region(&mut client, &Request::get("/").from(address)), expected, "{address}");
    }
}

#[test]
fn a_client_of_unknown_place_goes_to_the_primary() {
    let world = World::new();
    let proxy = world.geolocation();
    let mut client = proxy.client();
    for address in ["10.0.0.1", "127.0.0.1", "192.168.1.1", "::1", "unknown", "_hidden", "x", ""] {
        let found = region(&mut client, &Request::get("/").from(address));
        assert_eq!(found, "us", "{address:?}");
    }
    assert_eq!(region(&mut client, &Request::get("/")), "us");
}

#[test]
fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
    let world = World::new();
    let proxy = world.geolocation();
    let mut client = proxy.client();
    for (list, expected) in [
        (format!("{GERMANY}, {JAPAN}"), "ap"),
        (format!("{JAPAN}, {GERMANY}"), "eu"),
        (format!("{JAPAN}, {GERMANY}, 127.0.0.1"), "eu"),
        (format!("{JAPAN},{GERMANY} ,127.0.0.1 , 127.0.0.1"), "eu"),
        // 127.0.0.2 is not trusted, so what stands before it is only its claim.
        (format!("{GERMANY}, 127.0.0.2"), "us"),
    ] {
        assert_eq!(region(&mut client, &Request::get("/").from(&list)), expected, "{list}");
    }
    let lines = Request::get("/").from(GERMANY).from(JAPAN);
    assert_eq!(region(&mut client, &lines), "ap", "several lines are one list");
}

#[test]
fn forwarded_of_a_trusted_peer_is_read() {
    let world = World::new();
    let proxy = world.geolocation();
    let mut client = proxy.client();
    for (value, expected) in [
        (format!("for={GERMANY}"), "eu"),
        (format!("For={JAPAN};proto=https;by=10.0.0.1"), "ap"),
        (format!("for={GERMANY}, for={JAPAN}"), "ap"),
        (format!("for=\"{GERMANY}:4711\""), "eu"),
        ("for=\"[2a02:8071::1]:80\"".to_owned(), "eu"),
        ("for=unknown".to_owned(), "us"),
        ("proto=https".to_owned(), "us"),
    ] {
        let request = Request::get("/").with("Forwarded", &value);
        assert_eq!(region(&mut client, &request), expected, "{value}");
    }
    let mut stranger = proxy.client_from("127.0.0.2");
    let request = Request::get("/").with("Forwarded", format!("for={JAPAN}"));
    assert_eq!(region(&mut stranger, &request), "us", "of an untrusted peer it changes nothing");
}

#[test]
fn a_country_header_of_a_trusted_peer_wins_over_the_database() {
    let world = World::new();
    let proxy = world.geolocation();
    let mut trusted = proxy.client();
    let mut stranger = proxy.client_from("127.0.0.2");
    for name in ["CF-IPCountry", "CloudFront-Viewer-Country", "X-Client-Geo-Country"] {
        let request = Request::get("/").from(JAPAN).with(name, "DE");
        assert_eq!(region(&mut trusted, &request), "eu", "{name}");
        assert_eq!(region(&mut stranger, &request), "us", "{name}");
    }
    for nonsense in ["", "X", "DEU", "XX", "T1", "1A", "de;q=1"] {
        let request = Request::get("/").from(JAPAN).with("CF-IPCountry", nonsense);
        assert_eq!(region(&mut trusted, &request), "ap", "{nonsense:?} is no country");
    }
}

#[test]
fn own_country_headers_replace_the_usual_ones() {
    let world = World::new();
    let proxy = world
        .setup()
        .top("client: { trusted_proxies: [127.0.0.0/8], country_headers: [x-land] }")
        .deployment("routing_strategy: geolocation")
        .start();
    let mut client = proxy.client();
    let asks = |name| Request::get("/").from(JAPAN).with(name, "DE");
    assert_eq!(region(&mut client, &asks("X-Land")), "eu");
    assert_eq!(region(&mut client, &asks("CF-IPCountry")), "ap");
}

#[test]
fn rules_by_country_and_header_apply_by_priority() {
    let world = World::new();
    let proxy = world
        .setup()
        .trusting()
        .deployment(
            "routing_strategy: failover\n\
             routing_rules:\n\
             \x20 - { id: germans, source_countries: [DE, AT], target_regions: [eu] }\n\
             \x20 - { id: asked, priority: 10, header_conditions: { x-go: asia }, target_regions: [ap] }\n\
             \x20 - { id: both, priority: 20, source_countries: [DE],\n\
             \x20     header_conditions: { x-go: asia, x-tier: gold }, target_regions: [us] }\n\
             \x20 - { id: off, priority: 30, enabled: false, target_regions: [ap] }",
        )
        .start();
    let mut client = proxy.client();
    let from = |address: &str| Request::get("/").from(address);
    for (request, expected, why) in [
        (from(USA), "us", "no rule"),
        (from(GERMANY), "eu", "germans"),
        (from(GERMANY).with("X-Go", "asia"), "ap", "asked comes first"),
        (from(USA).with("X-Go", "asia"), "ap", "asked needs no country"),
        (from(GERMANY).with("x-go", "asia").with("x-tier", "gold"), "us", "both comes first"),
        (from(USA).with("x-go", "asia").with("x-tier", "gold"), "ap", "both needs the country"),
        (from(GERMANY).with("x-go", "Asia"), "eu", "values match exactly"),
        (from(GERMANY).with("x-go", "asia "), "ap", "space around a value is none of it"),
        (from(GERMANY).with("x-go", "europe").with("x-go", "asia"), "ap", "any line will do"),
    ] {
        assert_eq!(region(&mut client, &request), expected, "{why}: {request:?}");
    }
}

#[test]
fn a_rule_falls_back_to_its_fallback_regions_and_to_nothing_else() {
    let mut world = World::new();
    let proxy = world
        .setup()
        .trusting()
        .deployment(
            "routing_strategy: failover\nretries: { attempts: 7 }\n\
             routing_rules:\n\
             \x20 - { id: closed, header_conditions: { x-rule: closed },\n\
             \x20     target_regions: [eu], fallback_regions: [ap] }\n\
             \x20 - { id: open, header_conditions: { x-rule: open }, target_regions: [eu] }",
        )
        .start();
    world.eu.stop();
    let mut client = proxy.client();
    let rule = |name: &str| Request::get("/").with("x-rule", name);
    assert_eq!(region(&mut client, &rule("closed")), "ap", "its fallback");
    assert_eq!(region(&mut client, &rule("open")), "us", "no fallback: the strategy goes on");
    world.ap.stop();
    proxy.ask(&rule("closed")).assert_problem(502, "upstream_unreachable");
    assert_eq!(region(&mut client, &rule("open")), "us");
}

#[test]
fn a_rule_with_weights_draws_by_them() {
    let world = World::new();
    let proxy = world
        .setup()
        .deployment(
            "routing_rules:\n\
             \x20 - { id: split, target_regions: [eu, ap], weights: { eu: 9, ap: 1 } }",
        )
        .start();
    let counts = spread(&proxy, 1000);
    assert_eq!(counts.get("us"), None);
    // The chance to leave these bounds by luck is below 10^-12.
    assert!((820..970).contains(&counts["eu"]), "{counts:?}");
}

fn spread(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let mut client = proxy.client();
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        *counts.entry(region(&mut client, &Request::get("/"))).or_default() += 1;
    }
    counts
}

#[test]
fn weighted_draws_by_weight() {
    let world = World::new();
    let proxy = world
        .setup()
        .deployment(
            "routing_strategy: weighted\n\
             regions: { us: { weight: 70 }, eu: { weight: 30 }, ap: { weight: 0 } }",
        )
        .start();
    let counts = spread(&proxy, 1000);
    assert_eq!(counts.get("ap"), None, "weight 0 takes no part in the draw");
    // The chance to leave these bounds by luck is below 10^-9.
    assert!((600..800).contains(&counts["us"]), "{counts:?}");
}

#[test]
fn round_robin_takes_turns() {
    let world = World::new();
    let proxy = world.setup().workers(1).deployment("routing_strategy: round_robin").start();
    let counts = spread(&proxy, 300);
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [100, 100, 100]);
}

#[test]
fn failover_prefers_the_primary_and_then_the_replicas_as_listed() {
    let mut world = World::new();
    let proxy = world
        .setup()
        .deployment("routing_strategy: failover\nprimary_region: eu\nreplica_regions: [ap, us]")
        .start();
    let mut client = proxy.client();
    assert_eq!(region(&mut client, &Request::get("/")), "eu");
    world.eu.stop();
    assert_eq!(region(&mut client, &Request::get("/")), "ap");
    world.ap.stop();
    assert_eq!(region(&mut client, &Request::get("/")), "us");
}

#[test]
fn an_excluded_region_never_answers() {
    let mut world = World::new();
    let proxy = world
        .setup()
        .trusting()
        .deployment("routing_strategy: geolocation\nexcluded_regions: [ap]")
        .start();
    let mut client = proxy.client();
    assert_ne!(region(&mut client, &Request::get("/").from(JAPAN)), "ap");
    world.us.stop();
    world.eu.stop();
    proxy.ask(&Request::get("/").from(JAPAN)).assert_problem(502, "upstream_unreachable");
    assert_eq!(world.ap.count(), 0);
}

#[test]
fn the_latency_table_decides_by_the_most_specific_row() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("latency.csv");
    std::fs::write(
        &table,
        "client,region,rtt_ms\n\
         *,us,10\n*,eu,50\n*,ap,90\n\
         DE,us,90\nDE,eu,50\nDE,ap,10\n\
         193.99.144.0/24,eu,1\n",
    )
    .unwrap();
    let proxy = world
        .setup()
        .trusting()
        .top(&format!("latency: {{ table: {} }}", table.display()))
        .deployment("routing_strategy: latency")
        .start();
    let mut client = proxy.client();
    for (address, expected) in
        [(JAPAN, "us"), ("84.128.0.1", "ap"), (GERMANY, "eu"), ("10.0.0.1", "us")]
    {
        assert_eq!(region(&mut client, &Request::get("/").from(address)), expected, "{address}");
    }
}

#[test]
fn latency_without_a_table_goes_by_distance() {
    let world = World::new();
    let proxy = world.setup().trusting().deployment("routing_strategy: latency").start();
    let mut client = proxy.client();
    for (address, expected) in [(GERMANY, "eu"), (JAPAN, "ap"), (USA, "us")] {
        assert_eq!(region(&mut client, &Request::get("/").from(address)), expected, "{address}");
    }
}

#[test]
fn bias_widens_the_reach_of_a_region() {
    let world = World::new();
    let deployment = "routing_strategy: geolocation";
    let yaml = world.setup().trusting().deployment(deployment).yaml();
    let wide = yaml.replace("id: eu,", "id: eu, bias: 99,");
    let proxy = Proxy::start(&wide);
    let mut client = proxy.client();
    assert_eq!(region(&mut client, &Request::get("/").from(USA)), "eu");
}

#[test]
fn the_most_specific_host_and_then_the_longest_path_decide_the_deployment() {
    let names = ["exact", "exact-v1", "long", "short", "any", "any-v1"];
    let origins = names.map(Origin::named);
    let mut setup = Setup::empty();
    for origin in &origins {
        setup = setup.region(&origin.name, &[origin.address]);
    }
    for (name, fields) in [
        ("any", ""),
        ("any-v1", "path_prefix: /v1"),
        ("short", "hosts: [\"*.example.org\"]"),
        ("long", "hosts: [\"*.api.example.org\"]"),
        ("exact", "hosts: [www.api.example.org, API.example.com]"),
        ("exact-v1", "hosts: [www.api.example.org]\npath_prefix: /v1"),
    ] {
        setup = setup.deployment(&format!("name: {name}\nprimary_region: {name}\n{fields}"));
    }
    let proxy = setup.start();
    let mut client = proxy.client();
    for (host, path, expected) in [
        ("www.api.example.org", "/", "exact"),
        ("WWW.API.EXAMPLE.ORG:8080", "/", "exact"),
        ("www.api.example.org.", "/", "exact"),
        ("api.example.com", "/v1", "exact"),
        ("www.api.example.org", "/v1", "exact-v1"),
        ("www.api.example.org", "/v1/", "exact-v1"),
        ("www.api.example.org", "/v1/x?y=/v2", "exact-v1"),
        ("www.api.example.org", "/v1?x", "exact-v1"),
        ("www.api.example.org", "/v10", "exact"),
        ("www.api.example.org", "/V1", "exact"),
        ("www.api.example.org", "/?/v1", "exact"),
        ("a.api.example.org", "/v1", "long"),
        ("a.b.api.example.org", "/", "long"),
        ("api.example.org", "/v1", "short"),
        ("a.example.org", "/", "short"),
        ("example.org", "/", "any"),
        ("notexample.org", "/", "any"),
        ("example.org", "/v1/x", "any-v1"),
        ("[::1]:80", "/v1", "any-v1"),
        ("127.0.0.1", "/", "any"),
    ] {
        let request = Request::get(path).with("Host", host);
        assert_eq!(region(&mut client, &request), expected, "{host} {path}");
    }
}

#[test]
fn a_request_for_no_deployment_gets_a_404_that_explains_itself() {
    let world = World::new();
    let proxy = world.setup().deployment("hosts: [api.test]\npath_prefix: /v1").start();
    let mut client = proxy.client();
    for (host, path) in [("api.test", "/"), ("other.test", "/v1"), ("api.test.evil", "/v1")] {
        let response = client.ask(&Request::get(path).with("Host", host));
        response.assert_problem(404, "no_deployment");
        let status = response.head.get("proxy-status");
        assert_eq!(status, Some("rhumb; error=destination_not_found"));
        let id = response.json()["request_id"].clone();
        assert!(id.as_str().is_some_and(|id| !id.is_empty()), "{response:#?}");
    }
    assert_eq!(region(&mut client, &Request::get("/v1/x")), "us", "the connection lives on");
    assert_eq!(world.us.count() + world.eu.count() + world.ap.count(), 1);
}

#[test]
fn endpoints_of_a_region_share_its_requests_by_weight() {
    let origins = ["a", "b"].map(Origin::named);
    let [a, b] = &origins;
    let yaml = Setup::empty().region("us", &[a.address]).yaml();
    let old = format!("[\"http://{}\"]", a.address);
    let new = format!(
        "[{{ url: \"http://{}\", weight: 9 }}, {{ url: \"http://{}\" }}]",
        a.address, b.address
    );
    assert!(yaml.contains(&old));
    let proxy = Proxy::start(&yaml.replace(&old, &new));
    let counts = spread(&proxy, 1000);
    assert!(counts["a"] > 700 && counts["b"] > 20, "{counts:?}");
}

#[test]
fn a_deployment_may_have_endpoints_of_its_own_in_a_region() {
    let world = World::new();
    let own = Origin::named("own");
    let proxy = world
        .setup()
        .deployment(&format!(
            "routing_strategy: failover\npath_prefix: /own\n\
             regions: {{ us: {{ endpoints: [\"http://{}\"] }} }}",
            own.address
        ))
        .deployment("routing_strategy: failover")
        .start();
    let mut client = proxy.client();
    assert_eq!(region(&mut client, &Request::get("/own")), "own");
    assert_eq!(region(&mut client, &Request::get("/")), "us");
}
