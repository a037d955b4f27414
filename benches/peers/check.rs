//! Whether a contestant does the work that is compared, before anything is measured.
//!
//! Every client of the sample is sent once and must be answered by its country's region; then the
//! head that reached the origin must have the fields a proxy adds, and not those it must drop.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::{Client, Fault, Request};
use crate::contestant::{Kind, Running};
use crate::countries;
use crate::error::BenchError;
use crate::message;
use crate::regions::Region;
use crate::scenario::{self, Documents, Scenario};
use crate::way::{Protocol, Way};

/// For reading databases and finding the origins healthy.
const START: Duration = Duration::from_secs(30);
/// For one answer, while nothing is measured.
const ANSWER: Duration = Duration::from_secs(5);
/// Clients whose forwarded heads are looked at.
const HEADS: usize = 16;

/// Waits until it answers as it should for one client of each region.
pub(crate) async fn ready(
    kind: Kind,
    (running, way): (&mut Running, &Way),
    clients: &[countries::Client],
) -> Result<(), BenchError> {
    let deadline = Instant::now() + START;
    loop {
        if let Some(end) = running.ended() {
            return Err(BenchError::Unready(end));
        }
        let mut last = Ok(());
        for region in Region::ALL {
            let client = clients.iter().find(|client| client.region == region);
            let mut connection = Client::new(way, 0);
            for client in client.into_iter() {
                last = last.and(ask(kind, &mut connection, client).await);
            }
        }
        match last {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
            Err(fault) => {
                let seconds = START.as_secs();
                let said = running.last_words();
                return Err(BenchError::Unready(format!(
                    "not ready after {seconds} s (last answer: {fault:?}){said}"
                )));
            }
        }
    }
}

/// Whether it routes every client right and forwards heads as it should.
pub(crate) async fn same_work(
    kind: Kind,
    way: &Way,
    clients: &[countries::Client],
) -> Result<(), BenchError> {
    let mut connection = Client::new(way, 0);
    for client in clients {
        if let Err(fault) = ask(kind, &mut connection, client).await {
            return Err(BenchError::OtherWork(format!(
                "a client at {} must be answered by {}; fault: {fault:?}",
                client.address,
                client.region.id()
            )));
        }
    }
    if kind.routes() {
        for client in clients.iter().take(HEADS) {
            let head = echo(&mut connection, client).await.map_err(|fault| {
                BenchError::OtherWork(format!("no echo of a request's head; fault: {fault:?}"))
            })?;
            forwarded_as_expected(&head, client.address, connection.source(), way.protocol)
                .map_err(|wrong| {
                    let head = String::from_utf8_lossy(&head).into_owned();
                    BenchError::OtherWork(format!("{wrong}; the origin saw:\n{head}"))
                })?;
        }
    }
    Ok(())
}

async fn ask(kind: Kind, connection: &mut Client, client: &countries::Client) -> Result<(), Fault> {
    let request = Request::of(Scenario::Get.request(client)).ok_or(Fault::Malformed)?;
    let documents = Documents::of(client.region);
    let response =
        timeout(ANSWER, connection.exchange(&request)).await.unwrap_or(Err(Fault::Unanswered))?;
    response.verify(kind.routes().then_some(client.region), documents.expected(Scenario::Get))
}

/// The head that reached the origin.
async fn echo(connection: &mut Client, client: &countries::Client) -> Result<Vec<u8>, Fault> {
    let request = Request::of(scenario::echo_request(client)).ok_or(Fault::Malformed)?;
    let response =
        timeout(ANSWER, connection.exchange(&request)).await.unwrap_or(Err(Fault::Unanswered))?;
    if response.head.ok { Ok(response.body.to_vec()) } else { Err(Fault::Status) }
}

/// The fields that every contestant adds, keeps and drops.
fn forwarded_as_expected(
    head: &[u8],
    client: IpAddr,
    peer: IpAddr,
    protocol: Protocol,
) -> Result<(), String> {
    let values = |wanted: &str| {
        let all = message::fields(head)
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        all.collect::<Vec<_>>().join(", ")
    };
    let token = format!("Bearer {}", scenario::token());
    let path = format!("{client}, {peer}");
    for (name, expected) in [
        ("host", scenario::HOST),
        ("authorization", &token),
        ("x-forwarded-for", &path),
        ("x-forwarded-proto", protocol.scheme()),
        ("x-forwarded-host", scenario::HOST),
    ] {
        let found = values(name);
        // Lists may have a blank behind the comma or none.
        if found.replace(", ", ",") != expected.replace(", ", ",") {
            return Err(format!("`{name}` must be `{expected}` and is `{found}`"));
        }
    }
    // Each says the received version its own way when that is 2.
    if values("via").is_empty() || values("x-request-id").len() < 16 {
        return Err("`via` and a unique `x-request-id` must be added".into());
    }
    if values("connection").eq_ignore_ascii_case("close") {
        return Err("the connection to the origin must be kept alive".into());
    }
    Ok(())
}
