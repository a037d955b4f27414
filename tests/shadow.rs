//! A candidate configuration beside a running proxy: it counts, it is read again, and it never
//! changes where a request goes.

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, replace};
use crate::support::until;

const SHADOW: &str = "shadow: { config: candidate.yaml, sample_percent: 100 }";

/// Two regions behind a proxy, which prefers `us`.
struct Stage {
    us: Origin,
    eu: Origin,
}

impl Stage {
    fn new() -> Self {
        Self { us: Origin::named("us"), eu: Origin::named("eu") }
    }

    fn setup(&self) -> Setup {
        Setup::over(&[("us", self.us.address), ("eu", self.eu.address)]).trusting()
    }

    fn yaml(&self, fields: &str) -> String {
        self.setup().deployment(fields).yaml()
    }

    /// The live configuration.
    fn live(&self) -> Setup {
        self.setup().deployment("routing_strategy: failover")
    }

    /// The live configuration with this candidate beside it.
    fn start(&self, candidate: &str) -> Proxy {
        let dir = tempfile::TempDir::new().unwrap();
        std::fs::write(dir.path().join("candidate.yaml"), candidate).unwrap();
        std::fs::write(dir.path().join("rhumb.yaml"), self.live().top(SHADOW).yaml()).unwrap();
        Proxy::start_in(std::sync::Arc::new(dir))
    }
}

fn shadow(proxy: &Proxy) -> Value {
    proxy.inspect("/api/v1/shadow").json()["shadow"].clone()
}

fn until_read(proxy: &Proxy) {
    until("the candidate", || shadow(proxy)["config"].is_string());
}

/// Requests of a German client.
fn ask(proxy: &Proxy, count: usize) {
    let request = Request::get("/things").from("193.99.144.80");
    for _ in 0..count {
        assert_eq!(proxy.ask(&request).status(), 200);
    }
}

#[test]
fn a_candidate_is_compared_with_live_traffic_and_changes_nothing() {
    let stage = Stage::new();
    let proxy = stage.start(&stage.yaml("routing_strategy: geolocation"));
    until_read(&proxy);
    ask(&proxy, 5);
    let found = shadow(&proxy);
    assert_eq!((&found["compared"], &found["differing"]), (&json!(5), &json!(5)), "{found}");
    assert_eq!(found["countries"][0]["country"], "DE");
    let example = &found["examples"][0];
    assert_eq!(example["client"], "193.99.144.0/24");
    assert_eq!(
        (&example["live"]["region"], &example["candidate"]["region"]),
        (&json!("us"), &json!("eu"))
    );
    let labels = ["deployment=\"api\"", "result=\"different\""];
    assert_eq!(proxy.metric("rhumb_shadow_decisions_total", &labels), 5.0);
    let decided = ["region=\"us\"", "reason=\"failover\""];
    assert_eq!(proxy.metric("rhumb_decisions_total", &decided), 5.0);
    assert_eq!(proxy.metric("rhumb_decisions_total", &["region=\"eu\""]), 0.0);
}

#[test]
fn a_candidate_that_is_the_live_configuration_never_differs() {
    let stage = Stage::new();
    let proxy = stage.start(&stage.live().yaml());
    until_read(&proxy);
    ask(&proxy, 20);
    let found = shadow(&proxy);
    assert_eq!((&found["compared"], &found["differing"]), (&json!(20), &json!(0)), "{found}");
}

#[test]
fn a_broken_candidate_is_told_and_touches_nothing() {
    let stage = Stage::new();
    let good = stage.yaml("routing_strategy: geolocation");
    let proxy = stage.start("nonsense: true");
    until("the error", || shadow(&proxy)["error"].is_string());
    assert!(shadow(&proxy)["config"].is_null());
    assert!(shadow(&proxy)["error"].as_str().unwrap().contains("candidate.yaml"));
    ask(&proxy, 1);
    assert_eq!(proxy.metric("rhumb_config_last_reload_successful", &[]), 1.0);
    assert_eq!(proxy.reloads("shadow", "failure"), 1.0);

    let file = proxy.dir().join("candidate.yaml");
    replace(&file, good.as_bytes());
    until_read(&proxy);
    assert!(shadow(&proxy)["error"].is_null());
    ask(&proxy, 3);
    assert_eq!(shadow(&proxy)["differing"], 3);
    replace(&file, b"nonsense: true");
    until("the error", || shadow(&proxy)["error"].is_string());
    ask(&proxy, 1);
    assert_eq!(shadow(&proxy)["differing"], 4, "the last good candidate goes on");
}

#[test]
fn without_a_candidate_there_is_nothing_and_one_can_come_and_go() {
    let stage = Stage::new();
    let proxy = stage.live().start();
    assert!(shadow(&proxy).is_null());
    assert!(!proxy.metrics().contains("rhumb_shadow_decisions_total{"));
    let candidate = stage.yaml("routing_strategy: geolocation");
    std::fs::write(proxy.dir().join("candidate.yaml"), candidate).unwrap();
    proxy.reload(&stage.live().top(SHADOW).yaml());
    until_read(&proxy);
    ask(&proxy, 1);
    assert_eq!(shadow(&proxy)["differing"], 1);
    proxy.reload(&stage.live().yaml());
    until("the candidate to go", || shadow(&proxy).is_null());
    ask(&proxy, 1);
}
