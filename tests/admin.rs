//! The admin address: what it shows agrees with what is, and what it refuses it refuses clearly.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Client, Request, Response};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, rhumb};
use crate::support::until;

fn world() -> (Origin, Origin, Proxy) {
    let (us, eu) = (Origin::named("us"), Origin::named("eu"));
    let proxy = Setup::over(&[("us", us.address), ("eu", eu.address)])
        .trusting()
        .deployment(
            "routing_strategy: failover\n\
             health_check: { path: /health, interval_seconds: 1, timeout_seconds: 60 }",
        )
        .start();
    (us, eu, proxy)
}

fn send(proxy: &Proxy, request: &Request) -> Response {
    Client::connect(proxy.admin).ask(request)
}

fn assert_json_problem(response: &Response, status: u16, reason: &str) {
    assert_eq!(response.status(), status, "{response:#?}");
    assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
    assert_eq!(response.json()["reason"], reason, "{response:#?}");
    assert_eq!(response.json()["status"], status);
}

#[test]
fn a_started_program_is_alive_and_ready() {
    let (_us, _eu, proxy) = world();
    for path in ["/livez", "/readyz"] {
        let answer = proxy.inspect(path);
        assert_eq!(answer.status(), 200, "{answer:#?}");
        assert_eq!(answer.head.get("cache-control"), Some("no-store"));
        let head = send(&proxy, &Request::new("HEAD", path));
        assert_eq!((head.status(), head.body.bytes.len()), (200, 0));
    }
}

#[test]
fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let (_us, _eu, proxy) = world();
    for path in ["/", "/nothing", "/metrics/", "/api/v1", "/api/v2/regions", "/API/v1/regions"] {
        assert_json_problem(&proxy.inspect(path), 404, "no_such_path");
    }
    for (method, path, allowed) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/v1/regions", "GET, HEAD"),
        ("PUT", "/livez", "GET, HEAD"),
        ("GET", "/api/v1/route", "POST"),
    ] {
        let answer = send(&proxy, &Request::new(method, path));
        assert_json_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.head.get("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn a_description_that_is_none_is_refused() {
    let (_us, _eu, proxy) = world();
    let route = |body: &str| send(&proxy, &Request::post("/api/v1/route", body));
    for body in ["", "nonsense", "[]", "{\"hots\":\"a\"}", "{\"peer\":\"x\"}", "{\"entropy\":-1}"] {
        assert_json_problem(&route(body), 400, "malformed_request");
    }
    for body in ["{\"method\":\"a b\"}", "{\"path\":\"x\"}", "{\"host\":\"a b\"}"] {
        assert_eq!(route(body).status(), 422, "{body}");
    }
    let deep = format!("{{\"headers\":{}", "[".repeat(100_000));
    assert_json_problem(&route(&deep), 400, "malformed_request");
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let (_us, _eu, proxy) = world();
    let mut client = Client::connect(proxy.admin);
    let large = vec![b' '; (1 << 20) + 1];
    // It may be refused before it has been sent to its end.
    let _ = client.try_send(Request::post("/api/v1/route", large).bytes());
    assert_json_problem(&client.read("POST"), 413, "body_too_large");
    let fits = " ".repeat((1 << 20) - 2) + "{}";
    assert_eq!(send(&proxy, &Request::post("/api/v1/route", fits)).status(), 200);
}

#[test]
fn regions_and_deployments_show_the_live_state() {
    let (us, _eu, proxy) = world();
    proxy.ask(&Request::get("/"));
    let of = |page: &Value, id: &str| {
        let regions = page["regions"].as_array().unwrap().clone();
        regions.into_iter().find(|r| r["id"] == id || r["region"] == id).unwrap()
    };
    let regions = proxy.inspect("/api/v1/regions").json();
    assert_eq!(regions["total"], 2, "{regions}");
    assert_eq!(of(&regions, "us")["country"], "US");
    let deployments = proxy.inspect("/api/v1/deployments").json();
    let api = &deployments["deployments"][0];
    assert_eq!(api["name"], "api");
    assert_eq!(api["routing_strategy"], "failover");
    assert_eq!(api["primary_region"], "us");
    assert_eq!(of(api, "us")["state"], "healthy");
    assert_eq!(of(api, "us")["endpoints"][0], format!("http://{}", us.address));

    us.set_healthy(false);
    proxy.until_state("us", "down");
    let regions = proxy.inspect("/api/v1/regions").json();
    assert!(of(&regions, "us").to_string().contains("\"down\""), "{regions}");
    assert!(!of(&regions, "eu").to_string().contains("\"down\""), "{regions}");
    let deployments = proxy.inspect("/api/v1/deployments").json();
    let check = &of(&deployments["deployments"][0], "us")["checks"][0];
    assert_eq!((&check["up"], &check["last_failure"]), (&json!(false), &check["last_failure"]));
    assert!(check["last_failure"].as_str().unwrap().contains("500"), "{check}");
    let generation = deployments["generation"].as_f64().unwrap();
    assert_eq!(generation, proxy.generation());
}

#[test]
fn events_tell_every_change_in_order() {
    let (us, _eu, proxy) = world();
    assert_eq!(proxy.inspect("/api/v1/events").json()["events"], json!([]));
    us.set_healthy(false);
    proxy.until_state("us", "down");
    let page = proxy.inspect("/api/v1/events").json();
    let events = page["events"].as_array().unwrap();
    assert_eq!(page["total"], events.len());
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted() && ids[0] == 1, "{ids:?}");
    let last = events.last().unwrap();
    assert_eq!((&last["deployment"], &last["region"]), (&json!("api"), &json!("us")));
    assert_eq!(last["to"], "down");
    assert!(last["uptime_seconds"].as_f64() <= page["uptime_seconds"].as_f64(), "{page}");
}

#[test]
fn without_tls_there_are_no_certificates() {
    let (_us, _eu, proxy) = world();
    let page = proxy.inspect("/api/v1/certificates").json();
    assert_eq!(page, json!({ "total": 0, "certificates": [], "insecure_endpoints": [] }));
}

/// A family of the text format: its name, kind and samples.
fn check_exposition(page: &str) -> usize {
    let mut kind_of = std::collections::BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(helped.insert(name), "HELP twice: {line}");
            assert!(!help.is_empty());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kind_of.insert(name, kind).is_none(), "TYPE twice: {line}");
        } else {
            let (id, value) = line.rsplit_once(' ').expect(line);
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            assert!(series.insert(id), "twice: {line}");
            let name = id.split('{').next().unwrap();
            assert!(name.starts_with("rhumb_"), "{line}");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|family| kind_of.get(family) == Some(&"histogram"))
                .unwrap_or(name);
            assert!(kind_of.contains_key(family) && helped.contains(family), "{line}");
            let labels = &id[name.len()..];
            let quoted = labels.is_empty()
                || labels
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'))
                    .is_some_and(|labels| labels.split("\",").all(|label| label.contains("=\"")));
            assert!(quoted, "{line}");
        }
    }
    series.len()
}

#[test]
fn metrics_are_in_the_text_format_and_promtool_finds_nothing_wrong() {
    let (us, _eu, proxy) = world();
    for method in ["GET", "POST", "HEAD"] {
        proxy.ask(&Request::new(method, "/").with("X-Odd", "\"\\"));
    }
    us.set_healthy(false);
    proxy.until_state("us", "down");
    let answer = proxy.inspect("/metrics");
    let kind = answer.head.get("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let page = answer.body.text();
    assert!(check_exposition(&page) > 50, "{page}");
    for name in [
        "rhumb_requests_total",
        "rhumb_request_duration_seconds_count",
        "rhumb_upstream_duration_seconds_count",
        "rhumb_decisions_total",
        "rhumb_region_state",
        "rhumb_region_up",
        "rhumb_health_check_duration_seconds_count",
        "rhumb_failovers_total",
        "rhumb_retries_total",
        "rhumb_in_flight",
        "rhumb_connections",
        "rhumb_config_generation",
        "rhumb_config_last_reload_successful",
        "rhumb_config_last_reload_success_timestamp_seconds",
        "rhumb_geoip_build_timestamp_seconds",
    ] {
        let is_there = page
            .lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(is_there, "{name} is missing:\n{page}");
    }
    promtool(&page);
}

fn promtool(page: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        // Written past the capture of the test runner, so that it is seen.
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "SKIPPED `promtool check metrics`: promtool is not installed");
        return;
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
}

#[test]
fn counts_are_right() {
    let (_us, _eu, proxy) = world();
    let mut client = proxy.client();
    for _ in 0..7 {
        client.ask(&Request::get("/"));
    }
    let us = ["deployment=\"api\"", "region=\"us\""];
    let with = |label| [us[0], us[1], label];
    // A request is counted when its last byte has been handed over, which a client may outrun.
    until("all to be counted", || {
        proxy.metric("rhumb_requests_total", &with("code=\"200\"")) == 7.0
    });
    assert_eq!(proxy.metric("rhumb_request_duration_seconds_count", &us), 7.0);
    assert_eq!(proxy.metric("rhumb_upstream_duration_seconds_count", &us), 7.0);
    assert_eq!(proxy.metric("rhumb_decisions_total", &us), 7.0);
    assert_eq!(proxy.metric("rhumb_retries_total", &[]), 0.0);
    assert_eq!(proxy.metric("rhumb_in_flight", &[]), 0.0);
    assert_eq!(proxy.metric("rhumb_connections", &[]), 1.0);
    assert_eq!(proxy.metric("rhumb_connections_accepted_total", &[]), 1.0);
    drop(client);
    until("the connection to be gone", || proxy.metric("rhumb_connections", &[]) == 0.0);
}

#[test]
fn a_client_cannot_grow_the_set_of_series() {
    let (us, eu) = (Origin::named("us"), Origin::named("eu"));
    let deployment = "routing_strategy: failover\n\
         health_check: { path: /health, interval_seconds: 300, timeout_seconds: 60 }";
    let regions = [("us", us.address), ("eu", eu.address)];
    let proxy = Setup::over(&regions).trusting().deployment(deployment).start();
    let series = || -> BTreeSet<String> {
        let page = proxy.metrics();
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
    };
    // What checks find out has series of its own, and nobody asked for it.
    let checked = |region| {
        let page = proxy.metrics();
        ["rhumb_health_check_duration_seconds_count", "rhumb_measured_connect_seconds"]
            .iter()
            .all(|name| page.contains(&format!("{name}{{region=\"{region}\"")))
    };
    until("the first checks", || checked("us") && checked("eu"));
    let ask = |rng: &mut fastrand::Rng| {
        let name: String = std::iter::repeat_with(|| rng.alphabetic()).take(12).collect();
        proxy.ask(
            &Request::new(&name.to_uppercase(), &format!("/{name}"))
                .with("Host", format!("{name}.test"))
                .with("X-Request-Id", &name)
                .with("CF-IPCountry", &name[..2]),
        );
    };
    let mut rng = fastrand::Rng::with_seed(1);
    ask(&mut rng);
    let before = series();
    for _ in 0..50 {
        ask(&mut rng);
    }
    let after = series();
    assert!(after.len() > 100, "{after:?}");
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), <[&String; 0]>::default());
}

/// A configuration with something of everything that does not draw lots.
fn varied() -> (Vec<Origin>, Proxy) {
    let origins: Vec<_> = ["us", "eu", "ap"].map(Origin::named).into_iter().collect();
    let regions: Vec<_> = origins.iter().map(|o| (o.name.as_str(), o.address)).collect();
    // By rows alone: what is measured here changes from one request to the next.
    let yaml = Setup::over(&regions)
        .top("client: { trusted_proxies: [127.0.0.1/32, 10.0.0.0/8] }\nlatency: { table: rtt.csv }")
        .deployment(
            "routing_strategy: geolocation\nhosts: [geo.test, \"*.geo.test\"]\n\
             routing_rules:\n\
             \x20 - { id: germans, source_countries: [DE, FR], target_regions: [ap, us] }\n\
             \x20 - { id: asked, priority: 5, header_conditions: { x-go: eu }, target_regions: [eu] }",
        )
        .deployment("name: fixed\nhosts: [geo.test]\npath_prefix: /fixed\nrouting_strategy: failover")
        .deployment("name: near\npath_prefix: /near\nrouting_strategy: latency")
        .yaml();
    let dir = Arc::new(TempDir::new().expect("a directory"));
    std::fs::write(dir.path().join("rhumb.yaml"), yaml).unwrap();
    let rows = "client,region,rtt_ms\n*,us,50\n*,eu,60\n*,ap,70\nEU,eu,20\nAS13335,ap,5\nJP,ap,9\n";
    std::fs::write(dir.path().join("rtt.csv"), rows).unwrap();
    (origins, Proxy::start_in(dir))
}

struct Asked {
    host: String,
    path: String,
    peer: &'static str,
    headers: Vec<(&'static str, String)>,
}

fn random_request(rng: &mut fastrand::Rng) -> Asked {
    let host = rng.choice(["geo.test", "a.geo.test", "GEO.test:80", "other.test"]).unwrap();
    let path = rng.choice(["/", "/fixed", "/fixed/x?y", "/fixedx", "/near/", "/x"]).unwrap();
    let peer = rng.choice(["127.0.0.1", "127.0.0.2"]).unwrap();
    let mut headers = Vec::new();
    if rng.u8(..) < 200 {
        let v4 = std::net::Ipv4Addr::from(rng.u32(..)).to_string();
        let list = if rng.bool() { v4 } else { format!("{v4}, 10.1.2.3") };
        headers.push(("X-Forwarded-For", list));
    }
    if rng.u8(..) < 80 {
        let country = rng.choice(["DE", "JP", "US", "BR", "zz", ""]).unwrap();
        headers.push(("CF-IPCountry", country.to_owned()));
    }
    if rng.u8(..) < 80 {
        headers.push(("X-Go", rng.choice(["eu", "us"]).unwrap().to_owned()));
    }
    Asked { host: host.to_owned(), path: path.to_owned(), peer, headers }
}

impl Asked {
    fn description(&self) -> Value {
        let headers: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({ "host": self.host, "path": self.path, "peer": self.peer, "headers": headers })
    }

    fn live(&self, proxy: &Proxy) -> Response {
        let mut request = Request::get(&self.path).with("Host", &self.host);
        for (name, value) in &self.headers {
            request = request.with(name, value);
        }
        proxy.client_from(self.peer).ask(&request)
    }
}

#[test]
fn explanations_agree_with_live_traffic_and_with_the_command() {
    let (_origins, proxy) = varied();
    let mut rng = fastrand::Rng::with_seed(200);
    let requests: Vec<_> = (0..200).map(|_| random_request(&mut rng)).collect();
    let mut explained = Vec::new();
    let mut reasons = BTreeSet::new();
    for asked in &requests {
        let body = asked.description().to_string();
        let answer = send(&proxy, &Request::post("/api/v1/route", body));
        assert_eq!(answer.status(), 200, "{answer:#?}");
        let explanation = answer.json();
        let live = asked.live(&proxy);
        if explanation["refusal"].is_object() {
            assert_eq!(explanation["refusal"]["status"], live.status(), "{explanation}");
            assert_eq!(explanation["refusal"]["reason"], live.json()["reason"], "{explanation}");
        } else {
            assert_eq!(explanation["decision"]["region"], live.region(), "{explanation}");
        }
        assert!(!explanation["steps"].as_array().unwrap().is_empty());
        reasons.insert(explanation["decision"]["reason"].to_string());
        explained.push(explanation);
    }
    assert!(reasons.len() >= 5, "the requests were not varied enough: {reasons:?}");

    let batch = proxy.dir().join("batch.jsonl");
    let lines: Vec<_> = requests.iter().map(|asked| asked.description().to_string()).collect();
    std::fs::write(&batch, lines.join("\n")).unwrap();
    let config = proxy.config();
    let output =
        rhumb(&["explain", "-c", config.to_str().unwrap(), "--batch", batch.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), explained.len());
    for (told, explained) in told.iter().zip(&explained) {
        assert_eq!(told, explained);
    }
}

#[test]
fn an_explanation_has_everything_that_was_promised() {
    let (_origins, proxy) = varied();
    let body = json!({
        "method": "GET", "host": "geo.test", "path": "/", "peer": "127.0.0.1",
        "headers": { "X-Forwarded-For": "193.99.144.80" }, "entropy": u64::MAX,
    });
    let explanation = send(&proxy, &Request::post("/api/v1/route", body.to_string())).json();
    assert_eq!(explanation["deployment"], "api");
    assert_eq!(explanation["generation"].as_f64(), Some(proxy.generation()));
    let client = &explanation["client"];
    assert_eq!(client["address"], "193.99.144.80");
    assert_eq!(client["source"], "x_forwarded_for");
    assert_eq!(client["country"], "DE");
    assert!(client["latitude"].is_number() && client["longitude"].is_number(), "{client}");
    let keys = client.as_object().unwrap();
    assert!(keys.contains_key("asn") && keys.contains_key("tenant"), "{client}");
    let decision = &explanation["decision"];
    assert_eq!(decision["rule"], "germans");
    assert_eq!(decision["region"], "us", "of its targets the nearest: {explanation}");
    assert_eq!(decision["alternates"], json!(["ap", "eu"]), "{explanation}");
    assert!(decision["endpoint"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(decision["reason"].is_string());
}

#[test]
fn requests_flow_while_the_admin_address_is_besieged() {
    let (_us, _eu, proxy) = world();
    let mut besiegers: Vec<_> = (0..300).map(|_| Client::connect(proxy.admin)).collect();
    for client in &mut besiegers {
        let _ =
            client.try_send("POST /api/v1/route HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    }
    let mut client = proxy.client();
    for _ in 0..100 {
        assert_eq!(client.ask(&Request::get("/")).region(), "us");
    }
    drop(besiegers);
    assert_eq!(proxy.inspect("/livez").status(), 200);
}
