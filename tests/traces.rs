//! Traces: the context that origins see, the spans that a receiver gets, and that neither a bad
//! context nor a bad receiver changes anything for requests.

use std::collections::BTreeSet;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::client::Request;
use crate::support::edge::Authority;
use crate::support::load::Load;
use crate::support::origin::{Exchange, Origin};
use crate::support::otlp::{Manner, Received, Receiver};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Taken, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

fn sampled() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// Trace, parent and flags as an origin was told them.
fn told(origin: &Origin) -> (String, String, String) {
    let head = origin.last().head;
    let text = head.get("traceparent").expect("a traceparent").to_owned();
    let parts: Vec<_> = text.split('-').map(str::to_owned).collect();
    let [version, trace, parent, flags] = &parts[..] else { panic!("{text}") };
    assert_eq!((version.as_str(), trace.len(), parent.len()), ("00", 32, 16), "{text}");
    (trace.clone(), parent.clone(), flags.clone())
}

fn dropped(proxy: &Proxy, why: &str) -> f64 {
    let label = format!("why=\"{why}\"");
    proxy.metric("rhumb_trace_spans_dropped_total", &[&label])
}

fn exported(proxy: &Proxy) -> f64 {
    proxy.metric("rhumb_trace_spans_exported_total", &[])
}

#[test]
fn without_traces_the_context_of_clients_is_passed_on() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let nonsense = Request::get("/").with("Traceparent", "nonsense").with("tracestate", "=,=");
    proxy.ask(&nonsense.with("TraceParent", "more of it"));
    let head = origin.last().head;
    assert_eq!(head.all("traceparent"), ["nonsense", "more of it"]);
    assert_eq!(head.get("tracestate"), Some("=,="));
    proxy.ask(&Request::get("/"));
    assert_eq!(origin.last().head.get("traceparent"), None);
}

#[test]
fn a_recorded_request_is_a_span_with_a_span_in_it_for_each_attempt() {
    // The first endpoint resets the connection, the second one refuses it, the third one answers.
    let bad = Origin::with("us", Exchange::reset);
    let good = Origin::named("eu");
    let receiver = Receiver::start();
    let gone = Taken::refusing();
    let regions = [("us", bad.address), ("ap", gone.address), ("eu", good.address)];
    let proxy = Setup::over(&regions)
        .top(&receiver.tracing("sample: 0, service_name: edge-test"))
        .deployment(
            "routing_strategy: failover\nhealth_check: { interval_seconds: 3600 }\n\
             failover: { auto_failover_enabled: false }\nretries: { attempts: 2 }",
        )
        .start();
    let request = Request::get("/things/7?token=secret")
        .with("traceparent", sampled())
        .with("tracestate", "rojo=1, congo=t61rcWkgMzE")
        .with("User-Agent", "tests/1.0");
    let response = proxy.ask(&request);
    assert_eq!(response.region(), "eu");

    let spans = receiver.take(4);
    let [server, first, second, third] = &spans[..] else { unreachable!() };
    assert_eq!(
        spans.iter().map(|it| it.span.kind).collect::<Vec<_>>(),
        [SERVER, CLIENT, CLIENT, CLIENT]
    );
    for span in &spans {
        assert_eq!(span.trace(), TRACE);
        assert_eq!(span.span.name, "GET");
        assert_eq!(span.span.trace_state, "rojo=1,congo=t61rcWkgMzE");
        assert_eq!(span.resource["service.name"], "edge-test");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert!(span.span.start_time_unix_nano <= span.span.end_time_unix_nano);
        // Queries are nobody's business.
        assert!(!format!("{span:?}").contains("secret"));
    }
    assert_eq!(spans.iter().map(Received::id).collect::<BTreeSet<_>>().len(), 4);
    // The caller is the parent of the request, which is the parent of the attempts.
    assert_eq!(server.parent(), CALLER);
    for attempt in [first, second, third] {
        assert_eq!(attempt.parent(), server.id());
        assert!(attempt.span.start_time_unix_nano >= server.span.start_time_unix_nano);
        assert!(attempt.span.end_time_unix_nano <= server.span.end_time_unix_nano);
    }
    // And those are the parents of whatever origins do.
    assert_eq!(told(&bad), (TRACE.to_owned(), first.id(), "01".to_owned()));
    assert_eq!(told(&good), (TRACE.to_owned(), third.id(), "01".to_owned()));
    assert_eq!(good.last().head.get("tracestate"), Some("rojo=1, congo=t61rcWkgMzE"));

    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/things/7"),
        ("server.address", "api.test"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "tests/1.0"),
        ("http.response.status_code", "200"),
        ("rhumb.deployment", "api"),
        ("rhumb.region", "us"),
        ("rhumb.reason", "failover"),
        ("rhumb.request_id", good.last().head.get("x-request-id").unwrap()),
    ] {
        assert_eq!(server.get(key), value, "{key}: {server:#?}");
    }
    assert!(server.get("rhumb.generation").parse::<u64>().is_ok(), "{server:#?}");
    let seen = |span: &Received| {
        let status = span.span.status.as_ref().map_or(0, |status| status.code);
        let what = [
            "rhumb.region",
            "error.type",
            "http.response.status_code",
            "http.request.resend_count",
        ]
        .map(|key| span.get(key).to_owned());
        (status == ERROR, what)
    };
    let expected = |error, what: [&str; 4]| (error, what.map(str::to_owned));
    assert_eq!(seen(first), expected(true, ["us", "upstream_reset", "", ""]));
    assert_eq!(seen(second), expected(true, ["ap", "upstream_unreachable", "", "1"]));
    assert_eq!(seen(third), expected(false, ["eu", "", "200", "2"]));
    assert_eq!(third.get("url.full"), format!("http://{}/things/7", good.address));
    assert!(third.get("rhumb.connect_ms").parse::<f64>().unwrap() >= 0.0);
    assert!(third.get("rhumb.first_byte_ms").parse::<f64>().unwrap() > 0.0);
    until("the count", || exported(&proxy) == 4.0);
}

#[test]
fn a_share_of_the_traces_that_start_here_is_recorded() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    let setup =
        |fields: &str| Setup::over(&[("us", origin.address)]).top(&receiver.tracing(fields));
    let proxy = setup("sample: 1").start();
    proxy.ask(&Request::get("/"));
    let spans = receiver.take(2);
    let (trace, parent, flags) = told(&origin);
    assert_eq!((spans[0].trace(), spans[0].parent()), (trace, String::new()));
    assert_eq!((spans[1].id(), flags.as_str()), (parent, "03"));

    // Of those that are not recorded, origins are told so, each time of another trace.
    proxy.reload(&setup("sample: 0").yaml());
    let mut client = proxy.client();
    let traces: BTreeSet<_> = (0..20)
        .map(|_| {
            client.ask(&Request::get("/"));
            let (trace, _, flags) = told(&origin);
            assert_eq!(flags, "02");
            trace
        })
        .collect();
    assert_eq!(traces.len(), 20);
    // Whatever is recorded here, callers decide for their own.
    proxy.ask(&Request::get("/").with("traceparent", sampled()));
    let spans = receiver.take(2);
    assert_eq!(spans[0].parent(), CALLER);
    let unsampled = sampled().replace("-01", "-00");
    proxy.reload(&setup("sample: 1").yaml());
    proxy.ask(&Request::get("/").with("traceparent", &unsampled));
    let (trace, parent, flags) = told(&origin);
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
    assert_ne!(parent, CALLER);
    proxy.ask(&Request::get("/after"));
    assert_eq!(receiver.take(2)[0].get("url.path"), "/after");
}

#[test]
fn a_context_that_is_not_good_is_left_for_a_new_trace() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    let proxy = Setup::over(&[("us", origin.address)]).top(&receiver.tracing("sample: 0")).start();
    let mut client = proxy.client();
    let mut ask = |lines: &[(&str, &str)]| {
        let request =
            lines.iter().fold(Request::get("/"), |it, (name, value)| it.with(name, *value));
        client.ask(&request);
        let state = origin.last().head.get("tracestate").map(str::to_owned);
        (told(&origin).0 == TRACE, state)
    };
    let good = sampled();
    let state = |text: &str| Some(text.to_owned());
    assert_eq!(ask(&[("traceparent", &good), ("tracestate", "a=1")]), (true, state("a=1")));
    let lines = [
        ("traceparent", &*good),
        ("tracestate", "a=1"),
        ("TraceState", ""),
        ("tracestate", " b=2 "),
    ];
    assert_eq!(ask(&lines), (true, state("a=1,b=2")));
    // A bad state changes nothing for its trace.
    assert_eq!(ask(&[("traceparent", &good), ("tracestate", "A=1")]), (true, None));
    assert_eq!(ask(&[("traceparent", &good), ("tracestate", "")]), (true, None));
    // A bad parent takes its state with it, and so does one that is not there.
    assert_eq!(ask(&[("tracestate", "a=1")]), (false, None));
    assert_eq!(
        ask(&[("traceparent", &good), ("traceparent", &good), ("tracestate", "a=1")]),
        (false, None)
    );
    for bad in ["", "00", &good.to_uppercase(), &good.replace("00-", "ff-"), &format!("{good}-x")] {
        assert_eq!(ask(&[("traceparent", bad), ("tracestate", "a=1")]), (false, None), "{bad}");
    }
    let later = format!("{}-and-more", good.replacen("00-", "01-", 1));
    assert_eq!(ask(&[("traceparent", &later), ("tracestate", "a=1")]), (true, state("a=1")));
    // What a client has taken off by `Connection` is not there; what Rhumb puts on stays.
    assert_eq!(ask(&[("traceparent", &good), ("Connection", "traceparent")]), (false, None));
}

#[test]
fn callers_are_followed_or_left() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    let setup = |parent: &str| {
        let fields = format!("sample: 1, parent: {parent}");
        let trust = "client: { trusted_proxies: [127.0.0.2/32] }";
        Setup::over(&[("us", origin.address)]).top(trust).top(&receiver.tracing(&fields))
    };
    let request = Request::get("/").with("traceparent", sampled()).with("tracestate", "a=1");
    let (proxy, mut now) = (setup("ignore").start(), "ignore");
    for (parent, client, followed) in [
        ("ignore", "127.0.0.2", false),
        ("trusted", "127.0.0.3", false),
        ("trusted", "127.0.0.2", true),
        ("follow", "127.0.0.3", true),
    ] {
        if std::mem::replace(&mut now, parent) != parent {
            proxy.reload(&setup(parent).yaml());
        }
        proxy.client_from(client).ask(&request);
        let spans = receiver.take(2);
        let (trace, _, _) = told(&origin);
        assert_eq!((trace == TRACE, spans[0].trace() == TRACE), (followed, followed), "{parent}");
        assert_eq!(origin.last().head.get("tracestate").is_some(), followed, "{parent}");
        let links: Vec<_> = spans[0].span.links.iter().map(|link| link.trace_id.len()).collect();
        assert_eq!(links, vec![16; usize::from(!followed)], "{parent}");
    }
}

#[test]
fn refusals_are_spans_without_attempts() {
    let (gone, receiver) = (Taken::refusing(), Receiver::start());
    let proxy = Setup::over(&[("us", gone.address)])
        .top(&receiver.tracing("sample: 1"))
        .deployment("hosts: [api.test]\nwhen_all_down: last_resort\nretries: { attempts: 0 }")
        .start();
    proxy.ask(&Request::get("/").with("Host", "nobody.test")).assert_problem(404, "no_deployment");
    let spans = receiver.take(1);
    assert_eq!(spans[0].get("rhumb.error"), "no_deployment");
    assert_eq!(spans[0].get("http.response.status_code"), "404");
    assert_eq!(spans[0].get("rhumb.deployment"), "");
    // Not an error of the server, as what it made of the request is.
    assert_eq!(spans[0].span.status.as_ref().map_or(0, |status| status.code), 0);
    proxy.ask(&Request::get("/")).assert_problem(502, "upstream_unreachable");
    let spans = receiver.take(2);
    assert_eq!(spans[0].get("error.type"), "upstream_unreachable");
    assert_eq!(spans[0].get("rhumb.deployment"), "api");
    assert_eq!(spans[0].span.status.as_ref().unwrap().code, ERROR);
    assert_eq!(spans[1].get("error.type"), "upstream_unreachable");
}

#[test]
fn a_receiver_that_is_gone_slow_or_wrong_changes_nothing_for_requests() {
    let origin = Origin::named("us");
    let mut receiver = Receiver::start();
    let address = receiver.address();
    let tracing = format!(
        "tracing: {{ otlp: {{ endpoint: \"http://{address}\", timeout_seconds: 0.5 }}, sample: 1 }}"
    );
    let proxy = Setup::over(&[("us", origin.address)]).top(&tracing).start();
    let asks = |count: usize| {
        let mut client = proxy.client();
        for _ in 0..count {
            assert_eq!(client.ask(&Request::get("/")).status(), 200);
        }
    };
    let mut lost = 0.0;
    for manner in [Manner::Status("500 No"), Manner::Status("400 No"), Manner::Silent] {
        receiver.set(manner.clone());
        asks(5);
        lost += 10.0;
        until(&format!("spans to be given up: {manner:?}"), || dropped(&proxy, "unsent") == lost);
    }
    proxy.until_logged("spans are dropped");
    receiver.set(Manner::Rejecting(3));
    asks(5);
    until("spans to be rejected", || {
        dropped(&proxy, "rejected") > 0.0 && dropped(&proxy, "rejected") + exported(&proxy) == 10.0
    });
    receiver.stop();
    asks(5);
    lost += 10.0;
    until("spans to be given up", || dropped(&proxy, "unsent") == lost);
    // It comes back, and gets what happens from then on.
    let receiver = Receiver::on(TcpListener::bind(address).unwrap());
    asks(5);
    receiver.take(10);
    proxy.until_logged("traces are sent again");
}

#[test]
fn what_there_is_no_room_for_is_dropped_and_counted() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    receiver.set(Manner::Silent);
    let tracing = receiver.tracing("sample: 1").replace(" },", ", timeout_seconds: 60 },");
    let mut proxy = Setup::over(&[("us", origin.address)]).workers(1).top(&tracing).start();
    let mut client = proxy.client();
    let mut asked = 0_u32;
    until("the queue to be full", || {
        for _ in 0..100 {
            assert_eq!(client.ask(&Request::get("/")).status(), 200);
        }
        asked += 100;
        dropped(&proxy, "queue_full") > 0.0
    });
    // A queue of 1,024 requests, and a batch that is on its way.
    assert!(asked > 1_000, "{asked}");
    // It does not wait for the receiver when it ends, either.
    proxy.signal(Signal::TERM);
    drop(client);
    proxy.ended();
}

#[test]
fn the_last_spans_are_sent_at_the_end() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    let mut proxy =
        Setup::over(&[("us", origin.address)]).top(&receiver.tracing("sample: 1")).start();
    for _ in 0..20 {
        proxy.ask(&Request::get("/"));
    }
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    assert_eq!(receiver.spans().len(), 40);
}

#[test]
fn a_reload_starts_moves_and_ends_traces() {
    let origin = Origin::named("us");
    let (one, two) = (Receiver::start(), Receiver::start());
    let plain = Setup::over(&[("us", origin.address)]);
    let proxy = plain.start();
    proxy.ask(&Request::get("/nobody"));
    proxy.reload(&plain.clone().top(&one.tracing("sample: 1")).yaml());
    proxy.ask(&Request::get("/one"));
    assert_eq!(one.take(2)[0].get("url.path"), "/one");
    proxy.reload(&plain.clone().top(&two.tracing("sample: 1, service_name: other")).yaml());
    proxy.ask(&Request::get("/two"));
    let spans = two.take(2);
    assert_eq!((spans[0].get("url.path"), &*spans[0].resource["service.name"]), ("/two", "other"));
    proxy.reload(&plain.yaml());
    proxy.ask(&Request::get("/nobody"));
    assert_eq!(origin.last().head.get("traceparent"), None);
    proxy.reload(&plain.clone().top(&two.tracing("sample: 1")).yaml());
    proxy.ask(&Request::get("/two"));
    assert_eq!(two.take(2)[0].get("url.path"), "/two");
    assert!(one.spans().is_empty());
}

#[test]
fn a_reload_leaves_a_receiver_that_is_gone_while_spans_keep_coming() {
    let (origin, gone, receiver) = (Origin::named("us"), Taken::refusing(), Receiver::start());
    let plain = Setup::over(&[("us", origin.address)]);
    let dead = format!(
        "tracing: {{ otlp: {{ endpoint: \"http://{}\", timeout_seconds: 0.2 }}, sample: 1 }}",
        gone.address
    );
    let proxy = plain.clone().top(&dead).start();
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    until("spans to be given up", || dropped(&proxy, "unsent") > 0.0);
    proxy.reload(&plain.top(&receiver.tracing("sample: 1")).yaml());
    until("spans", || !receiver.spans().is_empty());
    load.stop().assert_nothing_failed();
}

#[test]
fn receivers_may_speak_tls() {
    let origin = Origin::named("us");
    let receiver = Receiver::start();
    let authority = Authority::default();
    // Another Rhumb has the certificate.
    let edge = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue(&["localhost"]);
    for (name, text) in
        [("edge.pem", &certificate), ("edge.key", &key), ("ca.pem", &authority.pem())]
    {
        std::fs::write(edge.path().join(name), text).unwrap();
    }
    let file = |name: &str| edge.path().join(name).display().to_string();
    let tls = format!(
        "tls: {{ certificates: [{{ certificate: {}, key: {} }}] }}",
        file("edge.pem"),
        file("edge.key")
    );
    let front = Setup::over(&[("us", receiver.address())]).listener("127.0.0.1", &tls).start();
    let port = front.address.port();
    let setup = |host: &str| {
        let fields = format!(
            "endpoint: \"https://{host}:{port}\", ca: {}, timeout_seconds: 2",
            file("ca.pem")
        );
        let tracing = format!("tracing: {{ otlp: {{ {fields} }}, sample: 1 }}");
        Setup::over(&[("us", origin.address)]).top(&tracing)
    };
    let proxy = setup("localhost").start();
    proxy.ask(&Request::get("/private"));
    assert_eq!(receiver.take(2)[0].get("url.path"), "/private");
    // The certificate is not for that name.
    proxy.reload(&setup("127.0.0.1").yaml());
    proxy.ask(&Request::get("/refused"));
    until("spans to be given up", || dropped(&proxy, "unsent") == 2.0);
    proxy.until_logged("handshake failed");
    assert!(receiver.spans().is_empty());
}
