//! What the admin address tells somebody who looks for a fault: connections, tasks, memory, and what
//! the log tells.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use http::Request as Head;
use serde_json::{Value, json};

use crate::support::client::{Client, Request, Response};
use crate::support::http2;
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, eventually, until};

fn world() -> (Origin, Proxy) {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    (origin, proxy)
}

fn put(proxy: &Proxy, body: &Value) -> Response {
    let request = Request::new("PUT", "/api/v1/log-level").carrying(body.to_string());
    Client::connect(proxy.admin).ask(&request)
}

/// The lines of all workers.
fn connections(page: &Value) -> Vec<Value> {
    let workers = page["workers"].as_array().unwrap();
    assert!(workers.iter().all(|worker| worker["answered"] == true), "{page:#}");
    workers.iter().flat_map(|worker| worker["connections"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_client_connection_is_told_with_what_it_does() {
    let (_origin, proxy) = world();
    let mut idle = proxy.client();
    for _ in 0..3 {
        assert_eq!(idle.ask(&Request::get("/")).status(), 200);
    }
    let mut waiting = proxy.client_from("127.0.0.9");
    waiting.send("GET / HT");
    until("both to be told", || {
        let page = proxy.inspect("/api/v1/connections").json();
        let lines = connections(&page);
        let is = |line: &&Value, client: &str, stage: &str, phase: &str, requests: u64| {
            line["client"].as_str().unwrap().starts_with(client)
                && line["stage"] == stage
                && line["phase"] == phase
                && line["requests"] == requests
        };
        page["open"] == 2
            && lines.iter().any(|line| is(&line, "127.0.0.1:", "http1", "idle", 3))
            && lines.iter().any(|line| line["client"].as_str().unwrap().starts_with("127.0.0.9:"))
    });
    let page = proxy.inspect("/api/v1/connections?client=127.0.0.9").json();
    let lines = connections(&page);
    assert_eq!(lines.len(), 1, "{page:#}");
    assert!(lines[0]["ends_in_seconds"].as_f64().is_some_and(|left| left <= 10.0), "{page:#}");
    let endpoints: Vec<_> = page["workers"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|worker| worker["endpoints"].as_array().unwrap())
        .collect();
    assert_eq!(endpoints.len(), 1, "{page:#}");
    assert_eq!(endpoints[0]["idle_connections"], 1, "{page:#}");
    assert_eq!(endpoints[0]["outstanding"], 0, "{page:#}");
}

#[test]
fn streams_and_what_compresses_them_are_told() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let origin = Origin::with("us", move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n")?;
        exchange.send("transfer-encoding: chunked\r\n\r\n4\r\ntext\r\n")?;
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        exchange.send("0\r\n\r\n")
    });
    let setup = Setup::over(&[("us", origin.address)]).workers(1);
    let proxy = setup.deployment("compression: {}").start();
    let client = http2::Client::connect(proxy.address);
    let request = Head::get("http://api.test/").header("accept-encoding", "gzip");
    let (answer, _) = client.begin(request.body(()).unwrap(), true);
    let answer = client.wait(answer).unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let line = || connections(&proxy.inspect("/api/v1/connections").json()).pop().unwrap();
    let worker = || proxy.inspect("/api/v1/tasks").json()["workers"][0].clone();
    let now = line();
    assert_eq!((&now["stage"], &now["streams"]), (&json!("http2"), &json!(1)), "{now:#}");
    assert_eq!(now["requests"], 1, "{now:#}");
    let busy = worker();
    let under_way = json!({ "requests": 0, "streams": 1, "tunnels": 0 });
    assert_eq!(busy["under_way"], under_way, "{busy:#}");
    assert_eq!(busy["encoders"]["responses"], 1, "{busy:#}");
    let memory = proxy.inspect("/debug/memory").json();
    assert_eq!(memory["counts"]["responses_compressed"], 1, "{memory:#}");
    assert_eq!(memory["counts"]["encoder_bytes"], busy["encoders"]["bytes"], "{memory:#}");
    go.send(()).unwrap();
    let mut body = answer.into_body();
    while let Some(part) = client.wait(http2::next(&mut body)) {
        part.unwrap();
    }
    until("the stream to be gone", || {
        line()["streams"] == 0 && worker()["encoders"]["responses"] == 0
    });
}

#[test]
fn a_dump_is_as_long_as_was_asked_for() {
    let (_origin, proxy) = world();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = proxy.client();
            assert_eq!(client.ask(&Request::get("/")).status(), 200);
            client
        })
        .collect();
    let page = proxy.inspect("/api/v1/connections?limit=2").json();
    assert_eq!(page["open"], 20, "{page:#}");
    // Two of each worker that has some.
    assert!((2..=4).contains(&page["shown"].as_u64().unwrap()), "{page:#}");
    assert_eq!(connections(&proxy.inspect("/api/v1/connections").json()).len(), 20);
    drop(clients);
    for query in ["limit=0", "limit=100000", "client=me", "x=1"] {
        let refused = proxy.inspect(&format!("/api/v1/connections?{query}"));
        assert_eq!(refused.status(), 400, "{query}");
        assert_eq!(refused.json()["reason"], "malformed_request");
    }
}

#[test]
fn nothing_of_it_is_where_clients_are() {
    let (origin, proxy) = world();
    for path in ["/api/v1/connections", "/api/v1/tasks", "/api/v1/log-level", "/debug/memory"] {
        assert_eq!(proxy.ask(&Request::get(path)).region(), "us", "{path}");
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn tasks_and_threads_are_told() {
    let (_origin, proxy) = world();
    let page = proxy.inspect("/api/v1/tasks").json();
    let workers = page["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2, "{page:#}");
    for worker in workers {
        assert_eq!(worker["answered"], true, "{page:#}");
        assert!(worker["tasks"]["alive"].as_u64().unwrap() >= 3, "{page:#}");
        assert!(worker["answered_in_seconds"].as_f64().unwrap() > 0.0, "{page:#}");
    }
    let names: Vec<_> = page["threads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thread| thread["name"].as_str().unwrap())
        .collect();
    for name in ["rhumb-worker-0", "rhumb-worker-1", "rhumb-control", "rhumb-files"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn memory_is_told_with_what_takes_it() {
    let (_origin, proxy) = world();
    let mut client = proxy.client();
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
    let page = proxy.inspect("/debug/memory").json();
    let process = |name: &str| page["process"][name].as_u64().unwrap_or_default();
    assert!(process("resident_bytes") > 1 << 20, "{page:#}");
    assert!(process("resident_peak_bytes") >= process("resident_anonymous_bytes"), "{page:#}");
    assert!(process("descriptors") > 5 && process("threads") >= 4, "{page:#}");
    assert!(process("descriptors") < process("descriptors_limit"), "{page:#}");
    assert_eq!(page["counts"]["client_connections"], 1, "{page:#}");
    assert_eq!(page["counts"]["regions"], 1, "{page:#}");
}

#[test]
fn what_the_log_tells_can_be_changed_for_a_while() {
    let (_origin, proxy) = world();
    let page = proxy.inspect("/api/v1/log-level").json();
    assert_eq!(page, json!({ "filter": "info", "usual": "info", "expires_in_seconds": null }));
    let changed = put(&proxy, &json!({ "filter": "rhumb=trace", "expires_seconds": 3600 }));
    assert_eq!(changed.status(), 200, "{changed:#?}");
    assert_eq!(changed.json()["filter"], "rhumb=trace");
    assert!(changed.json()["expires_in_seconds"].as_f64().unwrap() > 3_000.0);
    proxy.ask(&Request::get("/"));
    proxy.until_logged("DEBUG request forwarded");
    let shorter = put(&proxy, &json!({ "filter": "rhumb=trace", "expires_seconds": 0.1 }));
    assert_eq!(shorter.status(), 200, "{shorter:#?}");
    until("the usual log", || proxy.inspect("/api/v1/log-level").json()["filter"] == "info");
    proxy.until_logged("the log tells what it usually does again");
    put(&proxy, &json!({ "filter": "debug" }));
    assert_eq!(put(&proxy, &json!({})).json()["filter"], "info");
}

#[test]
fn what_is_no_log_filter_changes_nothing() {
    let (_origin, proxy) = world();
    for body in [
        json!({ "filter": "a=b=c" }),
        json!({ "filter": "x".repeat(2_000) }),
        json!({ "filter": "debug", "expires_seconds": 0 }),
        json!({ "filter": "debug", "expires_seconds": -1 }),
        json!({ "filter": "debug", "expires_seconds": 1e300 }),
        json!({ "level": "debug" }),
        json!([]),
    ] {
        let refused = put(&proxy, &body);
        assert_eq!(refused.status(), 400, "{body}: {refused:#?}");
        assert_eq!(refused.json()["reason"], "malformed_request");
    }
    assert_eq!(proxy.inspect("/api/v1/log-level").json()["filter"], "info");
}

/// What the kernel of this machine does not let anybody look at cannot be looked at.
fn refused_by_the_kernel(answer: &Response) -> bool {
    answer.status() == 501
        && ["not_permitted", "unsupported"].map(Value::from).contains(&answer.json()["reason"])
}

#[test]
fn a_profile_tells_where_time_goes_and_there_is_one_at_a_time() {
    let (_origin, proxy) = world();
    {
        let _load = Load::of(proxy.address, 1, &Request::get("/"));
        // On a busy machine a worker may not have been seen at work in a second.
        let seen = |query: &str, sign: &[u8]| {
            eventually("a worker to be seen", || {
                let answer = proxy.inspect(&format!("/debug/pprof/profile?{query}"));
                let has = answer.body.bytes.windows(sign.len()).any(|bytes| bytes == sign);
                (has || answer.status() != 200).then_some(answer)
            })
        };
        let picture = seen("seconds=1&format=svg", b"rhumb-worker-");
        let profile = seen("seconds=0.2", b"rhumb-worker-");
        if refused_by_the_kernel(&picture) {
            assert!(refused_by_the_kernel(&profile), "{profile:#?}");
            return;
        }
        assert_eq!(picture.head.get("content-type"), Some("image/svg+xml"), "{picture:#?}");
        let picture = picture.body.text();
        assert!(picture.contains("rhumb-worker-"), "{picture}");
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"), "{picture}");
        assert_eq!(profile.status(), 200, "{profile:#?}");
        assert!(profile.body.bytes.windows(6).any(|bytes| bytes == b"thread"));
    }
    let is_made = || proxy.inspect("/api/v1/tasks").body.text().contains("rhumb-profile");
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| proxy.inspect("/debug/pprof/profile?seconds=5"));
        until("the profile to begin", || is_made() || first.is_finished());
        if !first.is_finished() {
            let second = proxy.inspect("/debug/pprof/profile?seconds=0.01");
            assert!(second.status() == 409 || first.is_finished(), "{second:#?}");
        }
        first.join().unwrap()
    });
    assert!(first.status() == 200 || refused_by_the_kernel(&first), "{first:#?}");
    for query in ["seconds=61", "seconds=x", "format=png", "x=1"] {
        let refused = proxy.inspect(&format!("/debug/pprof/profile?{query}"));
        assert_eq!(refused.status(), 400, "{query}");
    }
}
