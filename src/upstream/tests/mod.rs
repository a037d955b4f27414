//! The pools against origins in the same process, which do as the test says.

mod dialling;
mod multiplexing;
mod origin;
mod tls;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{Caller, ConnectError, Endpoint, Lease, Route, SendError};
use crate::config::{EndpointUrl, Host, Scheme, Transport};
use crate::model::EndpointId;

/// Nothing here is expected to take long; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

type Body = Full<Bytes>;

fn url(scheme: Scheme, address: std::net::SocketAddr) -> EndpointUrl {
    EndpointUrl { scheme, host: Host::Address(address.ip()), port: address.port() }
}

fn route(scheme: Scheme, address: std::net::SocketAddr) -> Route {
    Route {
        url: url(scheme, address),
        address: Some(address),
        twin: None,
        transport: Arc::new(Transport::default()),
        tls: None,
        allowed: Arc::default(),
    }
}

fn endpoint<B>(route: Route) -> Rc<Endpoint<B>> {
    Rc::new(Endpoint::new(EndpointId(0), route))
}

fn caller() -> Caller {
    Caller {
        source: "192.0.2.7:4711".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "api.example").body(Full::default()).unwrap()
}

/// What a request does: a connection that is there, or a new one.
async fn lease(endpoint: &Rc<Endpoint<Body>>) -> Result<Lease<Body>, ConnectError> {
    match endpoint.checkout(std::time::Instant::now(), &caller()) {
        Some(lease) => Ok(lease),
        None => endpoint.connect(PATIENCE, &caller()).await,
    }
}

async fn ask(
    endpoint: &Rc<Endpoint<Body>>,
    path: &str,
) -> Result<(Response<Incoming>, Lease<Body>), SendError<Body>> {
    let mut lease = lease(endpoint).await.unwrap();
    let response = lease.send(get(path)).await?;
    Ok((response, lease))
}

/// Runs a test as a worker runs: one thread, tasks of its own.
fn worker<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let test = async { tokio::time::timeout(PATIENCE, test).await.expect("in time") };
    runtime.block_on(local.run_until(test));
}
