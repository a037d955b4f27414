//! Settings from the environment: what counts, what is said of it, and that a reload keeps it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{Client, Request};
use crate::support::origin::Origin;
use crate::support::proxy::{Setup, replace};
use crate::support::until;

fn dir_with(yaml: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("rhumb.yaml"), yaml).unwrap();
    dir
}

fn program(dir: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(arguments).arg(dir.path().join("rhumb.yaml"));
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn check(dir: &TempDir, variables: &[(&str, &str)]) -> Output {
    program(dir, &["check", "--json", "-c"], variables).output().unwrap()
}

fn setup(origin: &Origin) -> Setup {
    Setup::over(&[("us", origin.address)]).deployment("health_check: { path: /health }")
}

#[test]
fn check_says_what_is_set_and_what_is_wrong_with_it() {
    let origin = Origin::named("us");
    let dir = dir_with(&setup(&origin).yaml());
    let good = check(&dir, &[("RHUMB_LIMITS_URI_BYTES", "1024"), ("RHUMB_SERVICE_HOST", "::1")]);
    let report: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(report["valid"], true, "{report:#}");
    assert_eq!(report["overridden"][0]["variable"], "RHUMB_LIMITS_URI_BYTES");
    assert_eq!(report["overridden"][0]["path"], "limits.uri_bytes");
    assert_eq!(report["overridden"].as_array().unwrap().len(), 1);

    let secret = "tiger-tiger-burning";
    let bad = check(
        &dir,
        &[("RHUMB_LIMITS_URI_BYTES", "many"), ("RHUMB_SIGNING_KEYS_K1_SECRET", secret)],
    );
    assert_eq!(bad.status.code(), Some(1));
    let text = String::from_utf8_lossy(&bad.stdout);
    assert!(!text.contains(secret), "{text}");
    let report: Value = serde_json::from_slice(&bad.stdout).unwrap();
    let variables: Vec<_> =
        report["errors"].as_array().unwrap().iter().map(|error| &error["variable"]).collect();
    assert_eq!(variables, ["RHUMB_LIMITS_URI_BYTES", "RHUMB_SIGNING_KEYS_K1_SECRET"]);
}

#[test]
fn the_names_for_a_file_are_those_that_set_its_fields() {
    let origin = Origin::named("us");
    let dir = dir_with(&setup(&origin).yaml());
    let listed = program(&dir, &["schema", "--environment", "--json", "-c"], &[]).output().unwrap();
    let settings: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let settings = settings.as_array().unwrap();
    assert!(settings.len() > 100, "{}", settings.len());
    let name = |path: &str| {
        let setting = settings.iter().find(|setting| setting["path"] == path);
        setting.unwrap_or_else(|| panic!("{path}"))["variable"].as_str().unwrap()
    };
    assert_eq!(name("regions[0].max_in_flight"), "RHUMB_REGIONS_US_MAX_IN_FLIGHT");
    assert_eq!(name("deployments[0].health_check.path"), "RHUMB_DEPLOYMENTS_API_HEALTH_CHECK_PATH");
    let one = check(&dir, &[(name("regions[0].max_in_flight"), "5")]);
    assert!(one.status.success(), "{}", String::from_utf8_lossy(&one.stdout));
    let plain = program(&dir, &["schema", "--environment", "-c"], &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&plain.stdout).lines().count(), settings.len());
}

/// Killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reload_reads_the_file_again_and_keeps_what_is_set() {
    let origin = Origin::named("us");
    let yaml = setup(&origin).yaml();
    let dir = dir_with(&yaml);
    let variables = [("RHUMB_DEPLOYMENTS_API_PATH_PREFIX", "/set")];
    let mut command = program(&dir, &["--log", "off", "run", "--json", "-c"], &variables);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["listeners"][0].as_str().unwrap().parse().unwrap();
    let status = |path: &str| Client::connect(address).ask(&Request::get(path)).status();
    assert_eq!((status("/set/x"), status("/other")), (200, 404));

    let more = format!("{yaml}  - {{ name: other, path_prefix: /other, primary_region: us }}\n");
    replace(&dir.path().join("rhumb.yaml"), more.as_bytes());
    until("the other deployment", || status("/other") == 200);
    assert_eq!((status("/set/x"), status("/")), (200, 404));
}

#[test]
fn what_sets_nothing_keeps_the_proxy_from_starting() {
    let origin = Origin::named("us");
    let dir = dir_with(&setup(&origin).yaml());
    let output = program(&dir, &["run", "-c"], &[("RHUMB_WORKRES", "2")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("environment: RHUMB_WORKRES"), "{text}");
    assert!(text.contains("did you mean `RHUMB_WORKERS`?"), "{text}");
}
