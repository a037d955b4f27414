//! Streams, and the connections they are spread over.

use std::time::Instant;

use h2::Reason;
use http::Version;
use http_body_util::BodyExt;
use tokio::task::spawn_local;

use super::origin::{Exchange, Origin};
use super::*;
use crate::model::limits;
use crate::upstream::{Broken, DialError};

/// Asks so many times at once, and waits until the origin has all of it.
async fn all_at_once(
    origin: &Origin,
    endpoint: &Rc<Endpoint<Body>>,
    requests: usize,
) -> (Vec<tokio::task::JoinHandle<()>>, Vec<Exchange>) {
    let clients = (0..requests)
        .map(|_| {
            let endpoint = Rc::clone(endpoint);
            spawn_local(async move {
                let (response, lease) = ask(&endpoint, "/").await.unwrap();
                assert_eq!(response.version(), Version::HTTP_2);
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
                lease.give_back(Instant::now());
            })
        })
        .collect();
    let mut exchanges = Vec::new();
    while exchanges.len() < requests {
        // If one waited for another's stream, it would not come: nothing is answered yet.
        exchanges.push(origin.next().await);
    }
    (clients, exchanges)
}

async fn answered(clients: Vec<tokio::task::JoinHandle<()>>, exchanges: Vec<Exchange>) {
    exchanges.into_iter().for_each(Exchange::answer);
    for client in clients {
        client.await.unwrap();
    }
}

#[test]
fn no_request_waits_for_the_stream_of_another_and_connections_are_few() {
    for (allowed, requests, fewest, most) in
        [(Some(1), 20, 20, 20), (Some(10), 40, 4, 5), (Some(100), 60, 1, 1), (None, 200, 1, 2)]
    {
        worker(async move {
            let origin = Origin::allowing(allowed).await;
            let endpoint = endpoint(route(Scheme::H2c, origin.address));
            for round in 0..3 {
                let (clients, exchanges) = all_at_once(&origin, &endpoint, requests).await;
                for connection in 1..=origin.connections() {
                    let streams = exchanges.iter().filter(|e| e.connection == connection).count();
                    assert!(streams <= allowed.unwrap_or(u32::MAX) as usize, "{streams}");
                }
                answered(clients, exchanges).await;
                // The first round may not know how much a connection carries.
                let made = origin.connections();
                assert!((fewest..=most + most.min(fewest)).contains(&made), "{round}: {made}");
            }
            assert_eq!(endpoint.outstanding(), 0);
        });
    }
}

#[test]
fn a_cold_start_makes_one_connection_and_the_one_who_began_may_leave() {
    worker(async {
        let origin = Origin::allowing(Some(100)).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        let first = {
            let endpoint = Rc::clone(&endpoint);
            spawn_local(async move { drop(ask(&endpoint, "/").await) })
        };
        tokio::task::yield_now().await;
        first.abort();
        let (clients, exchanges) = all_at_once(&origin, &endpoint, 50).await;
        answered(clients, exchanges).await;
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn heads_have_what_http2_wants_and_nothing_of_http1() {
    worker(async {
        let origin = Origin::allowing(None).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        let mut lease = lease(&endpoint).await.unwrap();
        let mut request = get("/a/b?c=%2F");
        for (name, value) in [
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("x-stays", "1"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let exchange = lease.send(request);
        let client = spawn_local(async move { exchange.await.map(|_| ()) });
        let exchange = origin.next().await;
        let head = &exchange.request;
        assert_eq!(head.uri().to_string(), "http://api.example/a/b?c=%2F");
        let names: Vec<_> = head.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains(&"te") && names.contains(&"x-stays"), "{names:?}");
        exchange.answer();
        client.await.unwrap().unwrap();
        let mut nonsense = get("/");
        nonsense.headers_mut().insert("host", "a b".parse().unwrap());
        let mut error = lease.send(nonsense).await.unwrap_err();
        assert_eq!(error.broken(), Broken::Protocol);
        assert_eq!(error.take_message().unwrap().headers()["host"], "a b");
    });
}

#[test]
fn how_an_origin_ends_a_stream_tells_whether_it_worked_on_the_request() {
    for (reason, expected) in [
        (Reason::REFUSED_STREAM, Broken::Refused),
        (Reason::ENHANCE_YOUR_CALM, Broken::Reset),
        (Reason::INTERNAL_ERROR, Broken::Reset),
        (Reason::PROTOCOL_ERROR, Broken::Reset),
        (Reason::CANCEL, Broken::Reset),
        (Reason::NO_ERROR, Broken::Reset),
    ] {
        worker(async move {
            let origin = Origin::allowing(None).await;
            let endpoint = endpoint(route(Scheme::H2c, origin.address));
            let client = {
                let endpoint = Rc::clone(&endpoint);
                spawn_local(async move { ask(&endpoint, "/").await.map(|_| ()).unwrap_err() })
            };
            origin.next().await.refuse(reason);
            let mut error = client.await.unwrap();
            assert_eq!(error.broken(), expected, "{reason:?}");
            assert!(error.take_message().is_none());
            // The connection is as good as before.
            let (clients, exchanges) = all_at_once(&origin, &endpoint, 3).await;
            answered(clients, exchanges).await;
            assert_eq!(origin.connections(), 1, "{reason:?}");
        });
    }
}

#[test]
fn a_request_that_is_given_up_ends_its_stream_and_not_the_connection() {
    worker(async {
        let origin = Origin::allowing(Some(2)).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        for _ in 0..10 {
            let client = {
                let endpoint = Rc::clone(&endpoint);
                spawn_local(async move { drop(ask(&endpoint, "/").await) })
            };
            let exchange = origin.next().await;
            client.abort();
            assert_eq!(exchange.given_up().await, Reason::CANCEL);
        }
        assert_eq!(origin.connections(), 1);
        assert_eq!(endpoint.outstanding(), 0);
    });
}

#[test]
fn an_upload_stops_when_its_response_is_over() {
    worker(async {
        let origin = Origin::allowing(None).await;
        let endpoint = endpoint::<Endless>(route(Scheme::H2c, origin.address));
        let mut lease = endpoint.connect(PATIENCE, &caller()).await.unwrap();
        let request = Request::post("/").header("host", "a").body(Endless::default()).unwrap();
        let exchange = lease.send(request);
        let client = spawn_local(async move {
            let response = exchange.await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
            // The request never ends: the stream is not given back.
            drop(lease);
        });
        let mut exchange = origin.next().await;
        let response = http::Response::builder().status(413).body(()).unwrap();
        let mut body = exchange.respond.send_response(response, false).unwrap();
        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
        client.await.unwrap();
        let ended = exchange.request.into_body();
        let end = drain(ended).await;
        assert_eq!(end, Some(Reason::CANCEL));
    });
}

async fn drain(mut body: h2::RecvStream) -> Option<Reason> {
    while let Some(frame) = body.data().await {
        match frame {
            Ok(data) => body.flow_control().release_capacity(data.len()).unwrap(),
            Err(error) => return error.reason(),
        }
    }
    None
}

/// A body of one part that never ends.
#[derive(Debug, Default)]
struct Endless(bool);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match std::mem::replace(&mut self.0, true) {
            false => std::task::Poll::Ready(Some(Ok(http_body::Frame::data("part".into())))),
            true => std::task::Poll::Pending,
        }
    }
}

#[test]
fn after_a_goodbye_nothing_new_goes_there_and_what_is_under_way_ends_well() {
    worker(async {
        let origin = Origin::allowing(Some(100)).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        let (clients, exchanges) = all_at_once(&origin, &endpoint, 5).await;
        origin.say_goodbye();
        // The next ones are not sent there, or come back unsent or refused: none is lost.
        let later = {
            let endpoint = Rc::clone(&endpoint);
            spawn_local(async move {
                for _ in 0..20 {
                    let mut tries = 0;
                    loop {
                        tries += 1;
                        match ask(&endpoint, "/").await {
                            Ok((_, lease)) => break lease.give_back(Instant::now()),
                            Err(error) => assert!(
                                matches!(error.broken(), Broken::Unsent | Broken::Refused),
                                "{error:?}"
                            ),
                        }
                        assert!(tries <= limits::UPSTREAM_REFUSALS, "refused again and again");
                    }
                }
            })
        };
        for _ in 0..20 {
            origin.next().await.answer();
        }
        later.await.unwrap();
        answered(clients, exchanges).await;
        assert_eq!(origin.connections(), 2);
        origin.until_open(1).await;
    });
}

#[test]
fn connections_are_closed_when_idle_and_retired_when_old_or_dead() {
    worker(async {
        let origin = Origin::allowing(Some(100)).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        let (clients, exchanges) = all_at_once(&origin, &endpoint, 2).await;
        let now = Instant::now();
        endpoint.reap(now + limits::POOL_IDLE_TIMEOUT * 2);
        assert_eq!(endpoint.sessions.count(), 1, "it is not idle");
        answered(clients, exchanges).await;
        endpoint.reap(now);
        endpoint.reap(now + limits::POOL_IDLE_TIMEOUT / 2);
        assert_eq!(endpoint.sessions.count(), 1, "it is not idle for long");
        endpoint.reap(now + limits::POOL_IDLE_TIMEOUT);
        assert_eq!(endpoint.sessions.count(), 0);
        origin.until_open(0).await;

        // Of old age.
        drop(lease(&endpoint).await.unwrap());
        assert!(endpoint.checkout(Instant::now(), &caller()).is_some());
        let old = Instant::now() + limits::POOL_CONNECTION_LIFETIME;
        assert!(endpoint.checkout(old, &caller()).is_none());

        // Of silence.
        let mut doubtful = lease(&endpoint).await.unwrap();
        let exchange = doubtful.send(get("/"));
        let waiting = spawn_local(exchange);
        drop(origin.next().await.request);
        doubtful.doubt();
        assert!(endpoint.checkout(Instant::now(), &caller()).is_none());
        waiting.abort();
    });
}

#[test]
fn who_does_not_speak_http2_is_found_out_before_anything_is_sent() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (answer, closes) in [("HTTP/1.1 400 Bad Request\r\n\r\n", true), ("", true), ("", false)] {
        worker(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = endpoint(route(Scheme::H2c, listener.local_addr().unwrap()));
            let server = spawn_local(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut preface = [0; 24];
                socket.read_exact(&mut preface).await.unwrap();
                socket.write_all(answer.as_bytes()).await.unwrap();
                if closes {
                    return;
                }
                std::future::pending::<()>().await;
            });
            let within = if closes { PATIENCE } else { Duration::from_millis(50) };
            let error = endpoint.connect(within, &caller()).await.map(|_: Lease<Body>| ());
            let error = error.unwrap_err();
            match error.source {
                DialError::Timeout(_) if !closes => {}
                DialError::Closed | DialError::Http(_) if closes => {}
                other => panic!("{other:?}"),
            }
            server.abort();
        });
    }
}

#[test]
fn an_origin_that_allows_no_stream_costs_one_connection() {
    worker(async {
        let origin = Origin::allowing(Some(0)).await;
        let endpoint = endpoint::<Body>(route(Scheme::H2c, origin.address));
        let error = endpoint.connect(PATIENCE, &caller()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error.source, DialError::NoStreams), "{error:?}");
        origin.until_open(0).await;
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn when_every_stream_of_every_connection_is_taken_a_request_waits_and_no_longer_than_it_may() {
    worker(async {
        let origin = Origin::allowing(Some(1)).await;
        let endpoint = endpoint(route(Scheme::H2c, origin.address));
        let most = limits::UPSTREAM_HTTP2_CONNECTIONS;
        let mut leases = Vec::new();
        for _ in 0..most {
            leases.push(lease(&endpoint).await.unwrap());
        }
        assert_eq!(origin.connections(), most);
        let soon = Duration::from_millis(20);
        let error = endpoint.connect(soon, &caller()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error.source, DialError::Busy(_)), "{error:?}");
        assert_eq!(error.signal(), None);
        let waiting = {
            let endpoint = Rc::clone(&endpoint);
            spawn_local(async move { endpoint.connect(PATIENCE, &caller()).await.map(|_| ()) })
        };
        tokio::task::yield_now().await;
        leases.pop();
        waiting.await.unwrap().unwrap();
        assert_eq!(origin.connections(), most);
    });
}
