//! How requests and answers follow each other on a connection: keep-alive, pipelining, interim
//! answers, early answers, and what happens to the connections behind them.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use crate::support::client::Request;
use crate::support::http::Pattern;
use crate::support::origin::Origin;
use crate::support::proxy::Setup;
use crate::support::{PATIENCE, until};

const MIB: usize = 1 << 20;

/// Answers with the path, after the body has been read.
fn echo() -> Origin {
    Origin::with("us", |exchange| {
        let body = exchange.read_body()?;
        let echo = format!("{} {}", exchange.head.word(1), body.text());
        exchange.answer("200 OK", "", echo.as_bytes())
    })
}

#[test]
fn many_requests_share_one_connection_on_both_sides() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for number in 0..200 {
        let answer = client.ask(&Request::post(&format!("/{number}"), number.to_string()));
        assert_eq!(answer.body.text(), format!("/{number} {number}"));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    let mut all = Vec::new();
    for number in 0..100 {
        all.extend(match number % 3 {
            0 => Request::get(&format!("/{number}")).bytes(),
            1 => Request::post(&format!("/{number}"), "fixed").bytes(),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3\r\nchu\r\n4\r\nnked\r\n0\r\n\r\n"
            )
            .into_bytes(),
        });
    }
    client.send(all);
    for number in 0..100 {
        let body = ["", "fixed", "chunked"][number % 3];
        assert_eq!(client.read("GET").body.text(), format!("/{number} {body}"));
    }
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        for byte in Request::post("/x", "hi").bytes() {
            client.send([byte]);
        }
        assert_eq!(client.read("POST").body.text(), "/x hi");
    }
}

#[test]
fn an_empty_line_before_a_request_is_ignored() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("\r\n").send(Request::get("/x").bytes());
        assert_eq!(client.read("GET").status(), 200);
    }
}

#[test]
fn connection_close_of_the_client_is_honoured() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    let answer = client.ask(&Request::get("/").with("Connection", "close"));
    assert!(answer.head.lists("connection", "close"), "{answer:#?}");
    assert!(client.is_closed());
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    assert_eq!(origin.connections(), 1, "it is about the client's connection only");
}

#[test]
fn http_1_0_closes_unless_it_asks_to_stay() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.read("GET").body.text(), "/x ");
    assert!(client.is_closed());

    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.read("GET");
        assert_eq!(answer.body.text(), "/x ");
        assert!(answer.head.lists("connection", "keep-alive"), "{answer:#?}");
    }
}

#[test]
fn an_http_1_0_client_gets_no_chunks() {
    let origin = Origin::with("us", |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        exchange.send("5\r\nhello\r\n0\r\n\r\n")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    let rest = String::from_utf8(client.rest()).unwrap();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{rest}");
    assert_eq!(body, "hello");
}

#[test]
fn an_interim_answer_of_the_origin_is_swallowed() {
    let origin = Origin::with("us", |exchange| {
        exchange.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")?;
        exchange.send("HTTP/1.1 102 Processing\r\n\r\n")?;
        exchange.answer("200 OK", "", b"final")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.ask(&Request::get("/"));
        assert_eq!((answer.status(), answer.body.text()), (200, "final".to_owned()));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_an_error() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.send("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let upgrade = Request::get("/").with("Upgrade", "x").with("Connection", "upgrade");
    proxy.ask(&upgrade).assert_problem(502, "upstream_protocol");
}

const EXPECT: &str =
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_body_behind_expect_is_sent_when_the_origin_asks_for_it() {
    let (saw_head, head_seen) = sync_channel(16);
    let (go_on, may_go_on) = sync_channel(16);
    let hold = Mutex::new((saw_head, may_go_on));
    let origin = Origin::with("us", move |exchange| {
        {
            let hold = hold.lock().unwrap();
            hold.0.send(()).unwrap();
            hold.1.recv().unwrap();
        }
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        let body = exchange.read_body()?;
        exchange.answer("200 OK", "", &body.bytes)
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send(EXPECT);
        head_seen.recv_timeout(PATIENCE).unwrap();
        assert_eq!(origin.last().head.get("expect"), Some("100-continue"));
        go_on.send(()).unwrap();
        assert_eq!(client.head().word(1), "100");
        client.send("hello");
        let answer = client.read("POST");
        assert_eq!((answer.status(), answer.body.text()), (200, "hello".to_owned()));
    }
}

#[test]
fn a_body_that_the_origin_refuses_is_never_asked_for() {
    for status in ["417 Expectation Failed", "413 Content Too Large"] {
        let origin = Origin::with("us", move |exchange| {
            exchange.answer(status, "", b"no")?;
            // The connection is of no use to the proxy any more.
            exchange.closed_by_peer();
            Ok(())
        });
        let proxy = Setup::over(&[("us", origin.address)]).start();
        let mut client = proxy.client();
        client.send(EXPECT);
        let answer = client.read("POST");
        assert_eq!(answer.head.word(1), &status[..3], "and no 100 before it: {answer:#?}");
        assert_eq!(answer.body.text(), "no");
        // Whether the body still comes is now for the client to say, so the connection ends.
        assert!(answer.head.lists("connection", "close") || client.is_closed(), "{answer:#?}");
        assert_eq!(proxy.ask(&Request::get("/")).status().to_string(), status[..3]);
        assert_eq!(origin.connections(), 2, "the refused one is not used again");
    }
}

#[test]
fn an_origin_that_is_silent_about_expect_gets_the_body_after_a_while() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(EXPECT);
    assert_eq!(client.head().word(1), "100");
    client.send("hello");
    assert_eq!(client.read("POST").body.text(), "/x hello");
    assert_eq!(client.ask(&Request::get("/y")).body.text(), "/y ");
}

#[test]
fn a_client_that_does_not_wait_for_100_is_served_all_the_same() {
    let origin = Origin::with("us", |exchange| {
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        let body = exchange.read_body()?;
        exchange.answer("200 OK", "", &body.bytes)
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(format!("{EXPECT}hello"));
    let mut head = client.head();
    if head.word(1) == "100" {
        head = client.head();
    }
    assert_eq!(head.word(1), "200", "{head:#?}");
    let mut body = Vec::new();
    client
        .stream(head.framing().unwrap(), |part| {
            body.extend_from_slice(part);
            Ok(())
        })
        .unwrap();
    assert_eq!(body, b"hello");
}

#[test]
fn an_expect_refused_by_the_proxy_is_answered_without_100() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).deployment("hosts: [api.test]").start();
    let mut client = proxy.client();
    client.send(EXPECT);
    client.read("POST").assert_problem(404, "no_deployment");
    assert_eq!(origin.count(), 0);
}

#[test]
fn an_early_answer_ends_the_upload_and_does_not_poison_the_pool() {
    let origin = Origin::with("us", |exchange| {
        if exchange.head.word(0) == "GET" {
            return exchange.answer("200 OK", "", b"clean");
        }
        exchange.answer("403 Forbidden", "", b"stop")?;
        // It goes on reading for a while, as a polite server does.
        while !exchange.closed_by_peer() {}
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    for _ in 0..5 {
        let mut client = proxy.client();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 512 * MIB);
        client.send(head).send(Pattern::bytes(100_000));
        let answer = client.read("POST");
        assert_eq!((answer.status(), answer.body.text()), (403, "stop".to_owned()));
        // It is not made to send the rest of what nobody wants.
        let part = vec![0; MIB];
        while client.try_send(&part).is_ok() {}
        drop(client);
        assert_eq!(proxy.ask(&Request::get("/")).body.text(), "clean");
    }
    until("the early connections to be closed", || origin.open() <= 1);
}

#[test]
fn an_early_answer_to_a_chunked_upload_does_not_poison_the_pool() {
    let origin = Origin::with("us", |exchange| match exchange.head.word(0) {
        "GET" => exchange.answer("200 OK", "", b"clean"),
        _ => {
            exchange.answer("403 Forbidden", "", b"stop")?;
            while !exchange.closed_by_peer() {}
            Ok(())
        }
    });
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    for _ in 0..5 {
        let mut client = proxy.client();
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        assert_eq!(client.read("POST").status(), 403);
        // The rest of the upload must not be taken for a request, neither here nor there.
        let _ = client.try_send("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(proxy.ask(&Request::get("/clean")).body.text(), "clean");
    }
    let smuggled = |received: &&crate::support::origin::Received| {
        received.head.word(1) == "/smuggled" && received.connection != 0
    };
    let upstream = origin.requests();
    // As a further request of the same client it is legitimate; then it has the proxy's marks.
    for request in upstream.iter().filter(smuggled) {
        assert!(request.head.get("via").is_some(), "{request:#?}");
    }
}

#[test]
fn an_origin_that_closes_after_its_answer_is_connected_to_again() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.answer("200 OK", "Connection: close\r\n", b"bye")
    });
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    for _ in 0..20 {
        let answer = client.ask(&Request::get("/"));
        assert_eq!(answer.body.text(), "bye");
        assert!(!answer.head.lists("connection", "close"), "hop by hop: {answer:#?}");
    }
    assert_eq!(origin.connections(), 20);
}

#[test]
fn a_body_that_ends_with_the_origins_connection_is_whole() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.send("HTTP/1.1 200 OK\r\n\r\nall of it")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.ask(&Request::get("/")).body.text(), "all of it");
    }
}

#[test]
fn a_malformed_answer_of_an_origin_is_a_502_and_ends_its_connection() {
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        let origin = Origin::with("us", move |exchange| match exchange.head.word(1) {
            "/good" => exchange.answer("200 OK", "", b"good"),
            _ => {
                exchange.send(answer)?;
                exchange.closed_by_peer();
                Ok(())
            }
        });
        let proxy = Setup::over(&[("us", origin.address)]).start();
        let mut client = proxy.client();
        let response = client.ask(&Request::get("/bad"));
        assert_eq!(response.status(), 502, "{answer:?}: {response:#?}");
        response.assert_problem(502, "upstream_protocol");
        assert_eq!(client.ask(&Request::get("/good")).body.text(), "good", "{answer:?}");
    }
}

#[test]
fn bytes_behind_an_answer_are_not_taken_for_the_next_one() {
    let origin = Origin::with("us", |exchange| {
        exchange.send(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst\
             HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        )
    });
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    for number in 0..20 {
        let answer = client.try_ask(&Request::get(&format!("/{number}")));
        match answer {
            Ok(answer) => assert_ne!(answer.body.text(), "forged", "request {number}"),
            Err(_) => client = proxy.client(),
        }
    }
}

#[test]
fn a_client_that_leaves_ends_its_request_at_the_origin() {
    let (left, gone) = sync_channel(16);
    let left = Arc::new(Mutex::new(left));
    let origin = Origin::with("us", move |exchange| {
        left.lock().unwrap().send(exchange.closed_by_peer()).unwrap();
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the request to arrive", || origin.count() == 1);
    client.reset();
    assert!(gone.recv_timeout(PATIENCE).unwrap());
    until("it to be counted", || {
        proxy.metric("rhumb_requests_total", &["region=\"us\"", "code=\"499\""]) == 1.0
    });
    until("nothing to be in flight", || proxy.metric("rhumb_in_flight", &[]) == 0.0);
}
