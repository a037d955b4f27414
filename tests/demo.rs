//! The commands that show Rhumb: the demo's story, its origin, and the probe.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::client::{Client, Request};
use crate::support::proxy::rhumb;

#[test]
fn the_story_ends_without_a_failed_request() {
    let output = rhumb(&["demo", "--json", "--seconds-scale", "0.2"]);
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&told);
    assert!(output.status.success(), "{told}\n{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["failed_requests"], 0);
    assert_eq!(report["failover"]["region"], "eu-west-1");
    assert!(report["failover"]["detected_ms"].as_f64().unwrap() > 0.0);
    let recovery = &report["recovery"];
    assert!(
        recovery["back_after_seconds"].as_f64().unwrap()
            >= recovery["cooldown_seconds"].as_f64().unwrap(),
        "{report:#}"
    );
    assert!(report["reload"]["moved_requests"].as_u64().unwrap() > 0);
    let names: Vec<_> =
        report["phases"].as_array().unwrap().iter().map(|phase| &phase["name"]).collect();
    assert_eq!(names, ["steady", "outage", "recovered", "reloaded"]);
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = rhumb(&["demo", "--script", "--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("port {port} ")), "{stderr}");
}

/// A running `rhumb origin`.
struct Running(Child, SocketAddr);

impl Running {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rhumb"))
            .args(["origin", "--json", "--region", "eu-west-1", "--address", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self(child, ready["address"].as_str().unwrap().parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_origin_answers_what_it_is_asked_for() {
    let origin = Running::start();
    let mut client = Client::connect(origin.1);
    let any = client.ask(&Request::post("/v1/x?y", "abc").with("x-a", "1"));
    let body = any.json();
    assert_eq!((any.status(), any.region()), (200, "eu-west-1"));
    assert_eq!((&body["path"], &body["body_bytes"]), (&"/v1/x?y".into(), &3.into()));
    assert_eq!(body["headers"]["x-a"], "1");
    assert_eq!(client.ask(&Request::get("/status/503")).status(), 503);
    assert_eq!(client.ask(&Request::get("/status/204")).status(), 204);
    assert_eq!(client.ask(&Request::get("/bytes/100001")).body.bytes.len(), 100_001);
    assert_eq!(client.ask(&Request::post("/echo", "abc")).body.bytes, b"abc");
    assert_eq!(client.ask(&Request::get("/health")).json()["region"], "eu-west-1");
    assert_eq!(client.ask(&Request::get("/bytes/-1")).status(), 400);
}

#[test]
fn a_probe_ends_as_the_answer_says() {
    let origin = Running::start();
    let url = |path: &str| format!("http://{}{path}", origin.1);
    assert_eq!(rhumb(&["probe", &url("/health")]).status.code(), Some(0));
    let failed = rhumb(&["probe", &url("/status/503")]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("503"));
    assert_eq!(rhumb(&["probe", "ftp://x/"]).status.code(), Some(2));
}
