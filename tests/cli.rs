//! The commands: what they print where, and how they end.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Request;
use crate::support::origin::Origin;
use crate::support::proxy::{Setup, rhumb};

const BAD: &str = "\
listeners:
  - address: 0.0.0.0:99999
regions:
  - { id: us, latitude: 138.95, longitude: -77.45, country: US, endpoints: [\"http://10.0.1.10\"] }
deployments:
  - name: api
    primary_region: eu
    routing_stratgy: latency
    hooks: []
";

/// Lines and columns of the mistakes above, and what each is about.
const MISTAKES: [(u64, u64, &str); 5] = [
    (2, 14, "listeners[0].address"),
    (4, 25, "regions[0].latitude"),
    (7, 21, "deployments[0].primary_region"),
    (8, 5, "deployments[0].routing_stratgy"),
    (9, 5, "deployments[0].hooks"),
];

struct File {
    path: PathBuf,
    _dir: TempDir,
}

fn file(content: &str) -> File {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("rhumb.yaml");
    std::fs::write(&path, content).unwrap();
    File { path, _dir: dir }
}

impl File {
    fn as_str(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn check_prints_every_mistake_at_once_with_its_place_and_exits_1() {
    let bad = file(BAD);
    let output = rhumb(&["check", "-c", bad.as_str()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "", "errors go to standard error");
    let report = stderr(&output);
    for (line, column, field) in MISTAKES {
        assert!(report.contains(&format!("{}:{line}:{column}", bad.as_str())), "{field}: {report}");
        assert!(report.contains(field), "{field}: {report}");
    }
    assert!(report.contains("did you mean `routing_strategy`?"), "{report}");
    assert!(report.contains("5 errors"), "{report}");
}

#[test]
fn check_prints_json_when_asked() {
    let bad = file(BAD);
    let output = rhumb(&["check", "--json", "-c", bad.as_str()]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["valid"], false);
    let errors = report["errors"].as_array().unwrap();
    let found: Vec<_> = errors
        .iter()
        .map(|e| {
            (
                e["line"].as_u64().unwrap(),
                e["column"].as_u64().unwrap(),
                e["path"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(found, MISTAKES);
}

#[test]
fn check_of_a_file_that_is_not_there_says_so() {
    for name in ["/nonexistent/rhumb.yaml", "/"] {
        let output = rhumb(&["check", "-c", name]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(name), "{output:?}");
    }
}

#[test]
fn a_wrong_command_line_exits_2() {
    for arguments in [&[][..], &["dance"], &["run"], &["check"], &["run", "-c"], &["schema", "--x"]]
    {
        let output = rhumb(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("--help"), "{output:?}");
    }
}

#[test]
fn every_file_in_config_passes_check() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let output = rhumb(&["check", "-c", path.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(0), "{}: {}", path.display(), stderr(&output));
            checked += 1;
        }
    }
    assert!(checked >= 2);
}

#[test]
fn schema_is_a_json_schema_that_the_examples_follow() {
    let output = rhumb(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json!({
        "listeners": [{ "address": "0.0.0.0:80" }],
        "regions": [{
            "id": "us", "latitude": 1, "longitude": 2, "country": "US",
            "endpoints": ["http://10.0.0.1"],
        }],
        "deployments": [{ "name": "api", "primary_region": "us" }],
    });
    assert!(validator.is_valid(&good));
    let mut bad = good.clone();
    bad["deployments"][0]["routing_stratgy"] = json!("latency");
    assert!(!validator.is_valid(&bad), "unknown fields are errors");
    let mut bad = good;
    bad["regions"][0].as_object_mut().unwrap().remove("country");
    assert!(!validator.is_valid(&bad), "missing fields are errors");
}

/// A configuration whose strategy draws lots.
fn weighted() -> File {
    let address = "127.0.0.1:9".parse().unwrap();
    let yaml = Setup::over(&[("us", address), ("eu", address)])
        .trusting()
        .deployment("routing_strategy: weighted\nhosts: [api.test]")
        .yaml();
    file(&yaml)
}

#[test]
fn explain_says_where_a_request_goes_and_why() {
    let config = weighted();
    let ask = |host: &str| {
        rhumb(&[
            "explain",
            "-c",
            config.as_str(),
            "--method",
            "GET",
            "--host",
            host,
            "--path",
            "/x",
            "--header",
            "X-Forwarded-For: 193.99.144.80",
            "--peer",
            "127.0.0.1",
            "--json",
        ])
    };
    let output = ask("api.test");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let explanation: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(explanation["client"]["country"], "DE");
    assert_eq!(explanation["deployment"], "api");
    assert!(explanation["decision"]["region"].is_string());

    let output = ask("other.test");
    assert_eq!(output.status.code(), Some(0), "a refusal is explained, too: {output:?}");
    let explanation: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(explanation["refusal"], json!({ "reason": "no_deployment", "status": 404 }));

    let text = rhumb(&["explain", "-c", config.as_str(), "--host", "api.test"]);
    let text = stdout(&text);
    assert!(text.contains("api") && (text.contains("us") || text.contains("eu")), "{text}");
}

#[test]
fn explain_of_what_is_no_request_exits_1() {
    let config = weighted();
    for arguments in [["--method", "a b"], ["--path", "x"], ["--host", "a b"]] {
        let output = rhumb(&["explain", "-c", config.as_str(), arguments[0], arguments[1]]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("error"), "{output:?}");
    }
}

#[test]
fn a_batch_gives_a_line_for_each_line_and_numbers_the_bad_ones() {
    let config = weighted();
    let dir = TempDir::new().unwrap();
    let batch = dir.path().join("requests.jsonl");
    let mut lines: Vec<_> = (0..300_u64)
        .map(|n| {
            json!({ "host": "api.test", "entropy": n.wrapping_mul(0x9e37_79b9_7f4a_7c15) })
                .to_string()
        })
        .collect();
    lines[99] = "nonsense".to_owned();
    lines[199] = json!({ "method": "a b" }).to_string();
    std::fs::write(&batch, lines.join("\n") + "\n").unwrap();
    let run = || rhumb(&["explain", "-c", config.as_str(), "--batch", batch.to_str().unwrap()]);
    let output = run();
    assert_eq!(output.status.code(), Some(1), "because of the bad lines");
    let told = stdout(&output);
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), lines.len());
    for (number, line) in told.iter().enumerate() {
        let bad = number == 99 || number == 199;
        assert_eq!(line["error"].is_string(), bad, "line {}: {line}", number + 1);
    }
    let errors = stderr(&output);
    assert!(errors.contains("requests.jsonl:100:"), "{errors}");
    assert!(errors.contains("requests.jsonl:200:"), "{errors}");
    let regions: std::collections::BTreeSet<_> =
        told.iter().filter_map(|line| line["decision"]["region"].as_str()).collect();
    assert_eq!(regions.len(), 2, "entropy moves the draw");
    assert_eq!(stdout(&run()), stdout(&output), "and the same entropy repeats it");
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let yaml = Setup::over(&[("us", origin.address)]).yaml();
    for (what, taken) in [("listeners", proxy.address), ("admin", proxy.admin)] {
        let line = yaml.lines().find(|line| line.starts_with(what)).unwrap();
        let config = file(&yaml.replace(line, &line.replace("127.0.0.1:0", &taken.to_string())));
        let output = rhumb(&["run", "-c", config.as_str()]);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let said = stderr(&output);
        assert!(said.contains(&taken.to_string()) && said.contains("taken"), "{what}: {said}");
    }
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200, "who was there first is not disturbed");
}

#[test]
fn run_with_a_bad_file_starts_nothing_and_exits_1() {
    let bad = file(BAD);
    let output = rhumb(&["run", "--json", "-c", bad.as_str()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains(&format!("{}:7:21", bad.as_str())), "{output:?}");
}

#[test]
fn run_with_a_database_or_table_that_is_not_there_exits_1() {
    let origin = Origin::named("us");
    for top in ["geoip: { database: nowhere.mmdb }", "latency: { table: nowhere.csv }"] {
        let config = file(&Setup::over(&[("us", origin.address)]).top(top).yaml());
        let output = rhumb(&["run", "-c", config.as_str()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("nowhere"), "{output:?}");
        assert!(stderr(&output).starts_with("error: "), "{output:?}");
        assert_eq!(stderr(&output).matches("error: ").count(), 1, "{output:?}");
    }
}

#[test]
fn a_file_without_an_end_is_read_to_its_limit_only() {
    for command in [&["schema", "--environment"][..], &["check"], &["run"]] {
        let output = rhumb(&[command, &["-c", "/dev/zero"]].concat());
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains("at most 64 MiB"), "{command:?}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{command:?}: {said}");
    }
}
