//! Endpoints by name: traffic follows the answers of a DNS server that changes them, fails and lies,
//! and nothing fails that had a good answer.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::support::client::{Client, Request};
use crate::support::dns::{Dns, Manner};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, rhumb};
use crate::support::until;

/// Origins on these addresses of loopback, all on one port.
fn origins<const N: usize>(hosts: [&str; N]) -> [Origin; N] {
    for _ in 0..100 {
        let first = TcpListener::bind((hosts[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = hosts[1..].iter().map(|host| TcpListener::bind((*host, port)));
        let Ok(others) = others.collect::<Result<Vec<_>, _>>() else { continue };
        let mut listeners = std::iter::once(first).chain(others);
        return hosts.map(|host| {
            Origin::on(listeners.next().unwrap(), host, |exchange| {
                exchange.read_body()?;
                exchange.answer_own_name()
            })
        });
    }
    panic!("no port is free on all of {hosts:?}");
}

fn named(dns: &Dns, name: &str, port: u16) -> Setup {
    Setup::empty().top(&dns.setting()).region_at("us", &[format!("http://{name}:{port}")])
}

fn addresses(proxy: &Proxy) -> Vec<String> {
    let regions = proxy.inspect("/api/v1/regions").json();
    let places = &regions["regions"][0]["endpoints"][0]["name"]["places"];
    let places = places.as_array().expect("places of the name").iter();
    places.map(|place| place["address"].as_str().unwrap().to_owned()).collect()
}

/// Waits until requests are sent to these addresses: the table knows a moment after the book.
fn until_addresses(proxy: &Proxy, expected: &[&str]) {
    until(&format!("the addresses to be {expected:?}"), || {
        let deployments = proxy.inspect("/api/v1/deployments").json();
        let found = &deployments["deployments"][0]["regions"][0]["addresses"];
        let host = |found: &serde_json::Value| found.as_str()?.parse::<SocketAddr>().ok();
        let found = found.as_array().unwrap().iter().filter_map(host);
        found.map(|found| found.ip().to_string()).eq(expected.iter().copied())
    });
}

fn lookups(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("rhumb_names_lookups_total", &[&format!("result=\"{result}\"")])
}

#[test]
fn every_address_is_an_endpoint_and_traffic_follows_the_answers() {
    let all @ [two, three, four] = &origins(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["127.0.0.2", "127.0.0.3"]);
    let proxy = named(&dns, "api.test", two.address.port()).start();
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    load.until_more_from("127.0.0.2", 20);
    load.until_more_from("127.0.0.3", 20);
    assert_eq!(four.count(), 0);
    for host in ["127.0.0.4", "127.0.0.2", "127.0.0.3"] {
        dns.addresses("api.test", 0, &[host]);
        until_addresses(&proxy, &[host]);
        load.until_more_from(host, 20);
        // What was under way elsewhere ends; then there is nothing but the one.
        until("the others to be left", || {
            let counts = || all.iter().filter(|it| it.name != host).map(Origin::count).sum();
            let before: usize = counts();
            load.until_more_from(host, 20);
            before == counts()
        });
    }
    let tally = load.stop();
    assert_eq!(tally.failed, Vec::<String>::new());
    assert_eq!(proxy.metric("rhumb_retries_total", &[]), 0.0, "nothing was tried twice");
    assert!(three.requests().iter().all(|it| it.head.get("host") == Some("api.test")));
}

#[test]
fn an_answer_is_good_for_its_ttl_within_the_limits() {
    let [two] = &origins(["127.0.0.2"]);
    let dns = Dns::new();
    dns.addresses("slow.test", 3_600, &["127.0.0.2"]);
    dns.addresses("fast.test", 0, &["127.0.0.2"]);
    let port = two.address.port();
    let urls = [format!("http://slow.test:{port}"), format!("http://fast.test:{port}")];
    let proxy = Setup::empty().top(&dns.setting()).region_at("us", &urls).start();
    until("the name of no TTL to be asked for again", || dns.count("fast.test") >= 12);
    assert_eq!(dns.count("slow.test"), 2, "once for each family");
    let setting = dns.setting().replace("timeout", "max_ttl_seconds: 0.1, timeout");
    proxy.reload(&Setup::empty().top(&setting).region_at("us", &urls).yaml());
    until("the name to be asked for again", || dns.count("slow.test") >= 6);
}

#[test]
fn what_goes_wrong_leaves_the_last_good_answer() {
    let [two] = &origins(["127.0.0.2"]);
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let proxy = named(&dns, "api.test", two.address.port()).start();
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    for (manner, result) in [
        (Manner::Silent, "timeout"),
        (Manner::Failing, "error"),
        (Manner::Denying, "empty"),
        (Manner::Empty, "empty"),
        (Manner::Garbage, "error"),
    ] {
        dns.answer(manner);
        let before = lookups(&proxy, result);
        until(&format!("lookups to end in {result}"), || lookups(&proxy, result) > before);
        assert_eq!(addresses(&proxy), ["127.0.0.2"], "{manner:?}");
        load.until_more(20);
        dns.answer(Manner::Honest);
        until("it to be well", || proxy.metric("rhumb_names_failures", &[]) == 0.0);
    }
    assert_eq!(load.stop().failed, Vec::<String>::new());
    proxy.until_logged("the last one stays");
}

#[test]
fn lies_are_not_believed() {
    let [two, lie] = &origins(["127.0.0.2", "127.0.0.66"]);
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let proxy = named(&dns, "api.test", two.address.port()).start();
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    for manner in [Manner::WrongId, Manner::WrongQuestion] {
        dns.answer(manner);
        let before = lookups(&proxy, "timeout");
        until("the lie to be waited out", || lookups(&proxy, "timeout") > before);
        dns.answer(Manner::Honest);
        until("it to be well", || proxy.metric("rhumb_names_failures", &[]) == 0.0);
    }
    for manner in [Manner::LieFirst, Manner::Talkative] {
        let before = lookups(&proxy, "unchanged");
        dns.answer(manner);
        until("true answers", || lookups(&proxy, "unchanged") > before + 2.0);
    }
    assert_eq!(load.stop().failed, Vec::<String>::new());
    assert_eq!(lie.connections(), 0);
    assert_eq!(addresses(&proxy), ["127.0.0.2"]);
}

/// Accepts connections to `127.0.0.1`, where those to `0.0.0.0` end, and counts them.
fn trap(port: u16) -> Option<Arc<AtomicUsize>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
    let caught = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&caught);
    std::thread::spawn(move || {
        while listener.accept().is_ok() {
            count.fetch_add(1, SeqCst);
        }
    });
    Some(caught)
}

/// Whether the system knows of a connection, or an attempt at one, to 169.254.169.254.
fn knocks_at_metadata() -> bool {
    std::fs::read_to_string("/proc/net/tcp").unwrap().contains("FEA9FEA9:")
}

#[test]
fn a_name_that_flips_to_a_refused_address_is_not_followed() {
    let (two, caught) = (0..100)
        .find_map(|_| {
            let [two] = origins(["127.0.0.2"]);
            let caught = trap(two.address.port())?;
            Some((two, caught))
        })
        .unwrap();
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let check = "health_check: { path: /health, interval_seconds: 0.05, timeout_seconds: 0.05 }";
    let proxy = named(&dns, "api.test", two.address.port()).deployment(check).start();
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    for flip in [
        &["169.254.169.254"][..],
        &["0.0.0.0"],
        &["0.0.0.0", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "::"],
    ] {
        let before = lookups(&proxy, "refused");
        dns.addresses("api.test", 0, flip);
        until("the answer to be refused", || {
            assert!(!knocks_at_metadata());
            lookups(&proxy, "refused") > before
        });
        load.until_more(50);
        assert_eq!(addresses(&proxy), ["127.0.0.2"]);
    }
    // Among good ones they are left out.
    dns.addresses("api.test", 0, &["0.0.0.0", "127.0.0.2", "169.254.169.254"]);
    until("an answer with good ones", || proxy.metric("rhumb_names_failures", &[]) == 0.0);
    load.until_more(50);
    assert_eq!(load.stop().failed, Vec::<String>::new());
    assert!(!knocks_at_metadata());
    assert_eq!(caught.load(SeqCst), 0, "nothing is sent there");
    assert!(proxy.metric("rhumb_names_refused_addresses_total", &[]) >= 3.0);
    proxy.until_logged("lies in a network that origins.allow does not name");
    // The trap works: an operator who wants it gets it.
    let allowed = "origins: { allow: [0.0.0.0/8] }";
    let yaml = named(&dns, "api.test", two.address.port()).top(allowed).yaml();
    dns.addresses("api.test", 0, &["0.0.0.0"]);
    proxy.reload(&yaml);
    until_addresses(&proxy, &["0.0.0.0"]);
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the trap to snap", || caught.load(SeqCst) > 0);
}

#[test]
fn answers_that_are_cut_are_asked_for_over_tcp() {
    let [two, three] = &origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::new();
    dns.answer(Manner::Cut);
    dns.addresses("api.test", 0, &["127.0.0.3", "127.0.0.2"]);
    let proxy = named(&dns, "api.test", two.address.port()).start();
    assert_eq!(addresses(&proxy), ["127.0.0.2", "127.0.0.3"]);
    assert!(dns.asked().iter().any(|asked| asked.tcp));
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    load.until_more_from("127.0.0.2", 5);
    load.until_more_from("127.0.0.3", 5);
    assert_eq!(load.stop().failed, Vec::<String>::new());
    assert!(three.count() > 0);
}

#[test]
fn an_alias_is_followed() {
    let [two] = &origins(["127.0.0.2"]);
    let dns = Dns::new();
    dns.alias("www.test", 3_600, "api.test");
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let proxy = named(&dns, "www.test", two.address.port()).start();
    assert_eq!(proxy.ask(&Request::get("/")).region(), "127.0.0.2");
    until("the shortest TTL to count", || dns.count("www.test") >= 6);
}

#[test]
fn an_address_that_stays_keeps_its_connections_and_one_that_goes_ends_its_requests() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let held = gate.lock().unwrap();
    let [three] = origins(["127.0.0.3"]);
    let port = three.address.port();
    let two = {
        let gate = Arc::clone(&gate);
        let listener = TcpListener::bind(("127.0.0.2", port)).unwrap();
        Origin::on(listener, "127.0.0.2", move |exchange| {
            if exchange.head.start.contains("/wait") {
                drop(gate.lock().unwrap());
            }
            exchange.read_body()?;
            exchange.answer_own_name()
        })
    };
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let proxy = named(&dns, "api.test", port).workers(1).start();
    assert_eq!(proxy.ask(&Request::get("/")).region(), "127.0.0.2");
    dns.addresses("api.test", 0, &["127.0.0.2", "127.0.0.3"]);
    until_addresses(&proxy, &["127.0.0.2", "127.0.0.3"]);
    until("both to be used", || {
        proxy.ask(&Request::get("/"));
        two.count() > 20 && three.count() > 20
    });
    assert_eq!((two.connections(), three.connections()), (1, 1), "kept over every answer");
    let waits = |origin: &Origin| {
        origin.requests().iter().filter(|it| it.head.start.contains("/wait")).count()
    };
    let mut clients = Vec::new();
    until("a request to wait", || {
        let arrived = waits(&two) + waits(&three) == clients.len();
        if arrived && waits(&two) == 0 {
            let mut client = proxy.client();
            client.send(Request::get("/wait").bytes());
            clients.push(client);
        }
        waits(&two) > 0
    });
    // The others are with the one that answers at once.
    let mut waiting = clients.pop().unwrap();
    dns.addresses("api.test", 0, &["127.0.0.3"]);
    until_addresses(&proxy, &["127.0.0.3"]);
    let before = three.count();
    for _ in 0..10 {
        assert_eq!(proxy.ask(&Request::get("/")).region(), "127.0.0.3");
    }
    assert!(three.count() >= before + 10);
    drop(held);
    assert_eq!(waiting.read("GET").region(), "127.0.0.2", "it ends where it began");
    until("its connection to be closed", || two.open() == 0);
}

#[test]
fn services_say_where_they_are_with_port_priority_and_weight() {
    let [main, second] = [Origin::named("main"), Origin::named("second")];
    let spare = Origin::named("spare");
    let dns = Dns::new();
    let (a, b, c) = (main.address.port(), second.address.port(), spare.address.port());
    dns.service(
        "_http._tcp.api.test",
        0,
        &[(1, 1, a, "m.test"), (1, 9, b, "m.test"), (2, 1, c, "s.test")],
    );
    dns.addresses("m.test", 0, &["127.0.0.1"]);
    dns.addresses("s.test", 0, &["127.0.0.1"]);
    let setup = Setup::empty()
        .top(&dns.setting())
        .region_at("us", &["http://unused.test".to_owned()])
        .deployment(
            "regions: { us: { endpoints: [{ url: \"http://_http._tcp.api.test\", srv: true }] } }",
        );
    let proxy = setup.start();
    let client = || proxy.ask(&Request::get("/"));
    for _ in 0..200 {
        client();
    }
    let shares = (main.count(), second.count(), spare.count());
    assert!(shares.0 > 0 && shares.1 > 3 * shares.0 && shares.2 == 0, "{shares:?}");
    assert_eq!(dns.count("unused.test"), 0, "no deployment uses it");
    // Nobody of the best priority has an address; then it moves to another port.
    dns.service("_http._tcp.api.test", 0, &[(1, 1, a, "gone.test"), (2, 1, c, "s.test")]);
    until("the spare to answer", || client().region() == "spare");
    dns.service("_http._tcp.api.test", 0, &[(7, 0, b, "s.test")]);
    until("the second to answer", || client().region() == "second");
    // "Decidedly not available" is no reason to fail.
    dns.service("_http._tcp.api.test", 0, &[(0, 0, 0, "")]);
    let before = lookups(&proxy, "empty");
    until("it to be asked again", || lookups(&proxy, "empty") > before);
    assert_eq!(client().region(), "second");
}

#[test]
fn a_name_without_an_answer_leaves_its_requests_to_the_next_region() {
    let eu = Origin::named("eu");
    let [two] = &origins(["127.0.0.2"]);
    let dns = Dns::new();
    dns.answer(Manner::Silent);
    dns.addresses("api.test", 0, &["127.0.0.2"]);
    let setup = named(&dns, "api.test", two.address.port()).region("eu", &[eu.address]);
    let proxy = setup.deployment("routing_strategy: failover").start();
    assert_eq!(addresses(&proxy), Vec::<String>::new());
    assert_eq!(proxy.ask(&Request::get("/")).region(), "eu");
    dns.answer(Manner::Honest);
    until("the name to be known", || proxy.ask(&Request::get("/")).region() == "127.0.0.2");
}

#[test]
fn a_reload_knows_where_its_new_names_are() {
    let [two, three] = &origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::new();
    dns.addresses("old.test", 0, &["127.0.0.2"]);
    dns.addresses("new.test", 0, &["127.0.0.3"]);
    let port = two.address.port();
    // A region whose first check failed would be out for five minutes.
    let check = "health_check: { path: /health, interval_seconds: 0.5, timeout_seconds: 0.5 }";
    let with = |name: &str| named(&dns, name, port).deployment(check);
    let proxy = with("old.test").start();
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    load.until_more_from("127.0.0.2", 10);
    proxy.reload(&with("new.test").yaml());
    load.until_more_from("127.0.0.3", 10);
    assert_eq!(load.stop().failed, Vec::<String>::new());
    assert_eq!(proxy.state("us"), "healthy");
    assert_eq!(proxy.metric("rhumb_upstream_failures_total", &[]), 0.0);
    let names = proxy.metrics();
    assert!(!names.contains("old.test"), "what is gone is forgotten");
    until("the new address to be checked", || three.checks() > 0);
}

#[test]
fn a_host_of_two_families_is_reached_by_the_one_that_answers() {
    let [one] = &origins(["127.0.0.1"]);
    let dns = Dns::new();
    dns.addresses("dual.test", 0, &["::1", "127.0.0.1"]);
    let proxy = named(&dns, "dual.test", one.address.port()).start();
    for _ in 0..40 {
        assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    }
    assert_eq!(proxy.metric("rhumb_retries_total", &[]), 0.0);
    assert_eq!(proxy.metric("rhumb_upstream_failures_total", &[]), 0.0);
    // The family that does not answer checks is out, whatever its requests reach.
    let check = "health_check: { path: /health, interval_seconds: 0.05, timeout_seconds: 0.05 }";
    let port = one.address.port();
    proxy.reload(&named(&dns, "dual.test", port).deployment(check).yaml());
    let up = |address: &str| proxy.metric("rhumb_endpoint_up", &[address]);
    if addresses(&proxy).len() == 2 {
        until("one to be down", || up("(::1)") == 0.0 && up("(127.0.0.1)") == 1.0);
    }
    assert_eq!(proxy.state("us"), "healthy");
}

#[test]
fn a_check_says_where_names_are_if_it_is_asked() {
    let dns = Dns::new();
    dns.addresses("api.test", 0, &["10.0.0.1", "2001:db8::1", "169.254.169.254"]);
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("rhumb.yaml");
    let check = |setup: &Setup, more: &[&str]| {
        std::fs::write(&file, setup.yaml()).unwrap();
        let file = file.to_str().unwrap();
        let output = rhumb(&[&["check", "-c", file], more].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let setup = named(&dns, "api.test", 80);
    check(&setup, &[]);
    assert_eq!(dns.asked(), [], "nothing is asked unasked");
    let (code, said, _) = check(&setup, &["--resolve"]);
    assert_eq!(code, Some(0));
    assert!(said.lines().any(|line| line.starts_with("api.test: ") && line.contains("10.0.0.1")));
    assert!(!said.contains("169.254"), "{said}");
    let (code, said, _) = check(&setup, &["--resolve", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["names"][0]["name"]), (Some(0), &"api.test".into()));
    let (code, _, complaint) = check(&named(&dns, "gone.test", 80), &["--resolve"]);
    assert_eq!(code, Some(1));
    assert!(
        complaint.contains("gone.test: no address: the name has no such records"),
        "{complaint}"
    );
}

#[test]
fn operators_see_where_names_are_and_how_old_that_is() {
    let [two] = &origins(["127.0.0.2"]);
    let dns = Dns::new();
    dns.addresses("api.test", 1, &["127.0.0.2"]);
    let proxy = named(&dns, "api.test", two.address.port()).start();
    let regions = proxy.inspect("/api/v1/regions").json();
    let endpoint = &regions["regions"][0]["endpoints"][0];
    assert_eq!(endpoint["url"], format!("http://api.test:{}", two.address.port()));
    let name = &endpoint["name"];
    assert_eq!((&name["name"], &name["sought"]), (&"api.test".into(), &"addresses".into()));
    assert!(name["answer_age_seconds"].as_f64().unwrap() >= 0.0, "{name}");
    assert_eq!((&name["failures"], &name["expired"]), (&0.into(), &false.into()));
    let asked = Request::post("/api/v1/route", "{ \"path\": \"/\" }");
    let route = Client::connect(proxy.admin).ask(&asked).json();
    assert_eq!(route["decision"]["address"], two.address.to_string(), "{route}");
    assert_eq!(proxy.metric("rhumb_names_addresses", &["name=\"api.test\""]), 1.0);
    dns.answer(Manner::Failing);
    until("it to be old", || {
        let regions = proxy.inspect("/api/v1/regions").json();
        let name = &regions["regions"][0]["endpoints"][0]["name"];
        let failed = name["trouble"].as_str().is_some_and(|it| it.contains("Server Failure"));
        failed && name["expired"] == true
    });
}
