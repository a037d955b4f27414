//! `rhumb simulate` from outside: what it prints, how it ends, and what it makes of broken files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::proxy::{Setup, rhumb};

/// A directory with configurations and logs.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A configuration whose deployments are these.
    fn config(&self, name: &str, deployments: &[&str]) -> PathBuf {
        let address = "127.0.0.1:9".parse().unwrap();
        let setup = Setup::over(&[("us", address), ("eu", address), ("ap", address)]);
        let setup = deployments.iter().fold(setup, |setup, fields| setup.deployment(fields));
        self.file(name, &setup.yaml())
    }
}

fn simulate(config: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["simulate", "-c", config.to_str().unwrap()];
    all.extend(arguments);
    rhumb(&all)
}

fn report(output: &Output) -> Value {
    assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn requests(side: &Value, region: &str) -> u64 {
    let regions = side["regions"].as_array().unwrap();
    let found = regions.iter().find(|known| known["region"] == region).unwrap();
    found["requests"].as_u64().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Three clients from each of Germany, the United States and Japan, one a second.
fn log() -> String {
    let clients = ["193.99.144.80", "8.8.8.8", "133.11.93.1"];
    let mut log = String::new();
    for second in 0..9 {
        let line = json!({
            "time": 1_700_000_000 + second, "client": clients[second % 3], "host": "api.test",
            "path": "/x?y=z", "method": "GET", "duration_ms": 500, "status": 200,
        });
        let _ = writeln!(log, "{line}");
    }
    log
}

#[test]
fn a_log_is_replayed_and_a_failed_region_moves_its_requests_and_no_other() {
    let desk = Desk::new();
    let config = desk.config("a.yaml", &["routing_strategy: geolocation"]);
    let log = desk.file("access.jsonl", &log());
    let log = log.to_str().unwrap();
    let plain = report(&simulate(&config, &["--log", log, "--json"]));
    assert_eq!(plain["requests"], 9);
    assert_eq!(plain["seconds"], 8.0);
    assert!(plain["after"].is_null() && plain["change"].is_null());
    assert_eq!(["us", "eu", "ap"].map(|id| requests(&plain["before"], id)), [3, 3, 3]);
    assert_eq!(plain["before"]["regions"][0]["in_flight"]["mean"], 3.0 * 0.5 / 8.0);

    let failed = report(&simulate(&config, &["--log", log, "--fail", "eu", "--json"]));
    assert_eq!(failed["before"], plain["before"]);
    assert_eq!(requests(&failed["after"], "eu"), 0);
    assert_eq!(failed["change"]["moved"], 3);
    let moves = failed["change"]["moves"].as_array().unwrap();
    assert!(moves.iter().all(|moved| moved["from"] == "eu"), "{moves:?}");
    let countries = failed["change"]["countries"].as_array().unwrap();
    assert_eq!((countries.len(), &countries[0]["country"]), (1, &json!("DE")));
    let slower = failed["change"]["latency_mean_ms"].as_f64().unwrap();
    assert!(slower > 10.0, "Germans are sent over the Atlantic: {slower}");
}

#[test]
fn the_limit_of_moves_is_told_by_the_exit_code() {
    let desk = Desk::new();
    let config = desk.config("a.yaml", &["routing_strategy: geolocation"]);
    let run = |arguments: &[&str]| {
        let output = simulate(&config, &[&["--synthetic", "20000"], arguments].concat());
        (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    let (code, told, _) = run(&["--fail", "eu", "--max-moved", "5%"]);
    assert_eq!(code, Some(3));
    assert!(told.contains("TOO MUCH MOVED") && told.contains("eu -> us"), "{told}");
    let (code, told, _) = run(&["--fail", "eu", "--max-moved", "60"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("within the limit"), "{told}");
    let (code, _, said) = run(&["--max-moved", "5%"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--against"), "{said}");
    let (code, _, said) = run(&["--fail", "mars"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("mars") && said.contains("ap, eu, us"), "{said}");
    for wrong in
        [&["--max-moved", "500%"][..], &["--ramp", "eu"], &["--rate", "-1"], &["--log", "x"]]
    {
        let (code, _, said) = run(wrong);
        assert_eq!(code, Some(2), "{wrong:?}");
        assert!(said.contains("--help"), "{wrong:?}: {said}");
    }
}

#[test]
fn two_configurations_are_compared() {
    let desk = Desk::new();
    let old = desk.config("old.yaml", &["routing_strategy: geolocation"]);
    let rule = "routing_strategy: geolocation\n\
                routing_rules: [{ id: de, source_countries: [DE], target_regions: [us] }]";
    let new = desk.config("new.yaml", &[rule]);
    let log = desk.file("access.jsonl", &log());
    let arguments = ["--log", log.to_str().unwrap(), "--json", "--max-moved", "40%", "--against"];
    let compare = |other: &Path| {
        let output = simulate(&old, &[&arguments[..], &[other.to_str().unwrap()]].concat());
        report(&output)
    };
    let changed = compare(&new);
    assert_eq!(changed["change"]["moved"], 3);
    assert_eq!(changed["change"]["moves"], json!([{ "from": "eu", "to": "us", "requests": 3 }]));
    assert_eq!(changed["within_max_moved"], true);
    assert_eq!(changed["after"]["reasons"], json!({ "geolocation": 6, "rule": 3 }));
    assert_eq!(compare(&old)["change"]["moved"], 0);
    // What is supposed holds for both: only the rule makes a difference.
    let more = ["--against", new.to_str().unwrap(), "--fail", "eu", "--json", "--log"];
    let both = report(&simulate(&old, &[&more[..], &[log.to_str().unwrap()]].concat()));
    assert_eq!(requests(&both["before"], "eu"), 0);
    assert_eq!(both["change"]["moved"], 0, "{both}");
}

#[test]
fn a_seed_gives_the_same_report_on_any_number_of_threads() {
    let desk = Desk::new();
    let fields = "routing_strategy: weighted\nhosts: [a.test, \"*.b.test\"]\npath_prefix: /v1";
    let config = desk.config("a.yaml", &[fields, "name: other\nhosts: [c.test]"]);
    let run = |seed: &str, threads: &str| {
        let arguments = ["--synthetic", "30000", "--fail", "us", "--at", "2024-01-01T00:00:00Z"];
        let more = ["--json", "--rate", "500/s", "--seed", seed, "--threads", threads];
        report(&simulate(&config, &[&arguments[..], &more[..]].concat()))
    };
    let first = run("7", "1");
    assert_eq!(first["requests"], 30_000);
    assert_eq!(first["before"]["refused"], json!([]), "every host is a deployment's own");
    assert_ne!(first["before"]["regions"], run("8", "1")["before"]["regions"]);
    assert_eq!(first, run("7", "4"));
}

#[test]
fn bad_lines_are_numbered_and_only_a_log_of_nothing_else_is_an_error() {
    let desk = Desk::new();
    let config = desk.config("a.yaml", &["routing_strategy: geolocation"]);
    let mut lines: Vec<_> = log().lines().map(str::to_owned).collect();
    lines[1] = "nonsense".to_owned();
    lines[4] = json!({ "client": "not an address" }).to_string();
    lines.insert(6, "x".repeat(3 << 20));
    let broken = desk.file("broken.jsonl", &lines.join("\n"));
    let output = simulate(&config, &["--log", broken.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = report(&output);
    assert_eq!((&told["requests"], &told["bad_lines"]["count"]), (&json!(7), &json!(3)));
    let said = text(&output.stderr);
    for line in ["broken.jsonl:2:", "broken.jsonl:5:", "broken.jsonl:7:"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let many = desk.file("many.jsonl", &"{}\n".repeat(100));
    let empty = desk.file("empty.jsonl", "");
    for (path, said_more) in [(&many, "80 more"), (&empty, "no line")] {
        let output = simulate(&config, &["--log", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains(said_more) && said.contains("no line that is a request"), "{said}");
        assert!(output.stdout.is_empty());
    }
    let missing = simulate(&config, &["--log", "/nonexistent.jsonl"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/nonexistent.jsonl"));
}

#[test]
fn a_configuration_that_is_not_valid_is_an_error_on_either_side() {
    let desk = Desk::new();
    let good = desk.config("good.yaml", &["routing_strategy: geolocation"]);
    let bad = desk.config("bad.yaml", &["routing_strategy: astrology"]);
    let first = simulate(&bad, &["--synthetic", "10"]);
    let second = simulate(&good, &["--synthetic", "10", "--against", bad.to_str().unwrap()]);
    for output in [first, second] {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("bad.yaml"), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn people_get_a_table() {
    let desk = Desk::new();
    let config = desk.config("a.yaml", &["routing_strategy: geolocation"]);
    let arguments = ["--synthetic", "5000", "--drain", "us", "--rate", "100", "--top", "3"];
    let output = simulate(&config, &arguments);
    let told = text(&output.stdout);
    for part in [
        "after:  the same with us drained",
        "5,000 requests in 50.0 s",
        "share",
        "####",
        "expected round trip",
        "moved:",
        "country",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(text(&output.stderr).contains("simulating 5,000 requests"), "{output:?}");
    assert!(!text(&output.stderr).contains('\u{1b}'), "no bar without a terminal");
}
