//! Every phase of a connection ends in time, whatever the client leaves unfinished.

use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::fixture::{PREFACE, REQUEST, World, run};

const TLS: &str = "tls: { certificates: [{ certificate: edge.pem, key: edge.key }] }";
const PROXY: &str = "proxy_protocol: { trusted: [192.0.2.0/24] }";

/// The start of a client's first record: 512 bytes of a handshake.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn a_client_that_begins_and_does_not_go_on_is_let_go_in_time() {
    for (what, fields, bytes, seconds, answer) in [
        ("nothing, clear text", "", &b""[..], 10, ""),
        ("nothing, TLS", TLS, b"", 10, ""),
        ("nothing, PROXY protocol", PROXY, b"", 10, ""),
        ("half a preface", "", &PREFACE[..10], 10, ""),
        ("half a PROXY header", PROXY, b"PROXY TCP4 ", 10, ""),
        ("a PROXY header alone", PROXY, b"PROXY UNKNOWN\r\n", 10, ""),
        ("half a handshake", TLS, HELLO, 10, ""),
        ("half a head", "", b"GET / HTTP/1.1\r\nHo", 10, "HTTP/1.1 408"),
    ] {
        run(async {
            let world = World::new(fields, "");
            let mut client = world.connect();
            client.send(bytes).await;
            let said = String::from_utf8_lossy(&client.rest().await).into_owned();
            assert_eq!(client.seconds(), seconds, "{what}");
            assert!(
                said.starts_with(answer) && said.is_empty() == answer.is_empty(),
                "{what}: {said}"
            );
            drop(client.stream);
            client.task.await.unwrap();
        });
    }
}

#[test]
fn each_phase_has_its_own_time() {
    run(async {
        let world = World::new(TLS, "");
        let mut client = world.connect();
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.send(HELLO).await;
        assert!(client.rest().await.is_empty());
        assert_eq!(client.seconds(), 19);
        assert_eq!(world.metric("rhumb_tls_handshakes_total"), 1.0);
        assert_eq!(
            world.metric("rhumb_tls_handshakes_total{listener=\"127.0.0.1:0\",result=\"timeout\"}"),
            1.0
        );
    });
}

#[test]
fn a_silent_client_after_its_handshake_is_let_go_too() {
    for alpn in [&[][..], &["h2"], &["http/1.1"]] {
        run(async {
            let world = World::new(TLS, "");
            let client = world.connect();
            let name = ServerName::try_from("edge.test").unwrap();
            let connector = TlsConnector::from(world.tls(alpn));
            let mut stream = connector.connect(name, client.stream).await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!((client.since.elapsed() + Duration::from_millis(20)).as_secs(), 10);
        });
    }
}

#[test]
fn a_request_before_and_after_the_connection_gave_its_buffers_back() {
    for fields in ["", TLS] {
        run(async {
            let world = World::new(fields, "");
            let mut client = world.connect();
            if fields.is_empty() {
                for pause in [0, 1, 2, 30] {
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                    client.send(REQUEST).await;
                    assert!(client.answer().await.starts_with("HTTP/1.1 404"), "{pause}");
                }
                return;
            }
            let name = ServerName::try_from("edge.test").unwrap();
            let connector = TlsConnector::from(world.tls(&["http/1.1"]));
            let mut stream = connector.connect(name, client.stream).await.unwrap();
            for pause in [0, 1, 2, 30] {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                stream.write_all(REQUEST.as_bytes()).await.unwrap();
                let mut start = [0; 12];
                stream.read_exact(&mut start).await.unwrap();
                assert_eq!(&start, b"HTTP/1.1 404", "{pause}");
                let mut rest = vec![0; 4096];
                let _ = stream.read(&mut rest).await.unwrap();
            }
        });
    }
}

#[test]
fn an_idle_connection_is_closed_after_a_minute() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.send(REQUEST).await;
        client.answer().await;
        assert!(client.rest().await.is_empty());
        assert!((60..=70).contains(&client.seconds()));
    });
}

#[test]
fn a_head_that_stops_after_an_idle_time_has_ten_seconds() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.send(REQUEST).await;
        client.answer().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        client.send("GET / HT").await;
        assert!(client.rest().await.starts_with(b"HTTP/1.1 408"));
        assert!((30..=40).contains(&client.seconds()));
    });
}

#[test]
fn what_waits_outside_of_a_request_ends_when_the_process_does() {
    for (fields, bytes) in [("", ""), (TLS, ""), (TLS, "\x16"), (PROXY, "PROXY"), ("", "PRI")] {
        run(async {
            let world = World::new(fields, "");
            let mut client = world.connect();
            client.send(bytes).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.drain().await;
            // What it waits for may be on its way, and has a second to come.
            assert_eq!(client.seconds(), 2, "{fields} {bytes:?}");
        });
    }
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.send(REQUEST).await;
        client.answer().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        tokio::join!(world.drain(), async { assert!(client.rest().await.is_empty()) });
    });
}

#[test]
fn clear_text_on_a_tls_port_is_told_so_in_clear_text() {
    run(async {
        let world = World::new(TLS, "");
        let mut client = world.connect();
        client.send(REQUEST).await;
        let said = String::from_utf8(client.rest().await).unwrap();
        assert!(said.starts_with("HTTP/1.1 400"), "{said}");
        assert_eq!(client.seconds(), 0);
        drop(client.stream);
        client.task.await.unwrap();
        let labels = "{listener=\"127.0.0.1:0\",result=\"clear_text\"}";
        assert_eq!(world.metric(&format!("rhumb_tls_handshakes_total{labels}")), 1.0);
    });
}

#[test]
fn refusals_of_what_was_never_a_request_say_what_every_answer_says() {
    for (bytes, status) in [("nonsense\r\n\r\n", "400"), ("GET / HTTP/1.1\r\nHo", "408")] {
        run(async {
            let world = World::new(&format!("{TLS}, hsts: true"), "");
            let client = world.connect();
            let name = ServerName::try_from("edge.test").unwrap();
            let connector = TlsConnector::from(world.tls(&["http/1.1"]));
            let mut stream = connector.connect(name, client.stream).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
            assert!(said.contains("strict-transport-security: max-age=31536000\r\n"), "{said}");
        });
    }
}

#[test]
fn a_reload_changes_what_new_connections_meet_and_no_others() {
    run(async {
        let world = World::new("", "");
        let mut old = world.connect();
        world.reload("http2: false", "");
        let mut fresh = world.connect();
        for client in [&mut old, &mut fresh] {
            client.send(PREFACE).await;
            client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        }
        assert!(fresh.rest().await.is_empty(), "hyper does not answer a preface");
        let mut settings = [0; 4];
        old.stream.read_exact(&mut settings).await.unwrap();
        assert_eq!(settings[3], 4, "SETTINGS comes first");
    });
}

#[test]
fn a_header_of_the_proxy_protocol_goes_before_tls() {
    run(async {
        let world = World::new(&format!("{TLS}, {PROXY}"), "");
        let mut client = world.connect();
        client.send("PROXY TCP4 198.51.100.7 192.0.2.1 7777 443\r\n").await;
        let name = ServerName::try_from("edge.test").unwrap();
        let connector = TlsConnector::from(world.tls(&["h2", "http/1.1"]));
        let stream = connector.connect(name, client.stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        for bad in ["GET / HTTP/1.1\r\n", "PROXY TCP9"] {
            let mut client = world.connect();
            client.send(bad).await;
            assert!(client.rest().await.is_empty());
        }
        let stranger = world.connect_from("198.51.100.9:1");
        let mut stranger = stranger;
        stranger.send("PROXY UNKNOWN\r\n").await;
        assert!(stranger.rest().await.is_empty());
        assert_eq!(world.metric("rhumb_proxy_protocol_errors_total"), 3.0);
    });
}
