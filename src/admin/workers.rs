//! What the workers have at this moment: their client connections, their connections to endpoints,
//! their tasks. Not here: how they are asked (`dump`).

use std::net::IpAddr;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, json as answer_json, problem};
use super::memory;
use super::source::Admin;
use crate::dump::{Answer as Told, Wanted, WorkerDump};
use crate::model::limits;

/// `GET /api/v1/connections?limit=…&client=…`: the connections of each worker.
pub(super) async fn connections(admin: &Admin, query: Option<&str>) -> Answer {
    let wanted = match wanted(query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, "malformed_request", &detail),
    };
    let told = admin.census.ask(shared(wanted, admin.census.workers())).await;
    let of = |count: fn(&WorkerDump) -> usize| -> usize {
        told.iter().filter_map(|told| told.dump.as_ref()).map(|(dump, _)| count(dump)).sum()
    };
    let workers: Vec<_> = told
        .iter()
        .map(|told| match &told.dump {
            None => silent(told),
            Some((dump, _)) => json!({
                "worker": told.worker,
                "answered": true,
                "open": dump.connections_open,
                "connections": dump.connections,
                "endpoints": dump.endpoints,
            }),
        })
        .collect();
    answer_json(&json!({
        "open": of(|dump| dump.connections_open),
        "shown": of(|dump| dump.connections.len()),
        "workers": workers,
    }))
}

/// `GET /api/v1/tasks`: what each worker is busy with, and each thread.
pub(super) async fn tasks(admin: &Admin) -> Answer {
    let told = admin.census.ask(Wanted::COUNTS).await;
    let workers: Vec<_> = told
        .iter()
        .map(|told| match &told.dump {
            None => silent(told),
            Some((dump, took)) => json!({
                "worker": told.worker,
                "answered": true,
                "answered_in_seconds": took.as_secs_f64(),
                "under_way": dump.under_way,
                "encoders": dump.encoders,
                "tasks": dump.tasks,
            }),
        })
        .collect();
    answer_json(&json!({ "workers": workers, "threads": memory::threads() }))
}

/// A worker that is too busy, or stuck.
fn silent(told: &Told) -> Value {
    json!({
        "worker": told.worker,
        "answered": false,
        "waited_seconds": limits::DUMP_TIMEOUT.as_secs_f64(),
    })
}

/// What is asked of each of so many workers, so that all of them together do not tell too much.
fn shared(wanted: Wanted, workers: usize) -> Wanted {
    let share = |most: usize| (most / workers.max(1)).max(1);
    Wanted {
        connections: wanted.connections.min(share(limits::DUMPED_CONNECTIONS_MAX)),
        endpoints: share(wanted.endpoints),
        ..wanted
    }
}

fn wanted(query: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        connections: limits::DUMPED_CONNECTIONS,
        endpoints: limits::DUMPED_ENDPOINTS,
        client: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("limit", number)) => {
                let number = number.parse().ok();
                let fits = |number: &usize| (1..=limits::DUMPED_CONNECTIONS_MAX).contains(number);
                wanted.connections = number.filter(fits).ok_or_else(|| {
                    format!("`limit` is a number from 1 to {}", limits::DUMPED_CONNECTIONS_MAX)
                })?;
            }
            Some(("client", address)) => {
                let address = address.replace("%3A", ":").replace("%3a", ":");
                let address = address.parse::<IpAddr>().ok();
                wanted.client = Some(address.ok_or("`client` is an IP address")?);
            }
            _ => return Err("the parameters are `limit` and `client`".to_owned()),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_tell_no_more_than_few() {
        let all = wanted("limit=10000").unwrap();
        for (workers, expected) in [(0, 10_000), (1, 10_000), (64, 156), (20_000, 1)] {
            let each = shared(all, workers);
            assert_eq!((each.connections, each.endpoints), (expected, expected), "{workers}");
        }
        assert_eq!(shared(wanted("limit=5").unwrap(), 64).connections, 5);
    }

    #[test]
    fn a_question_is_bounded_and_said_clearly() {
        for (query, expected) in [
            ("", Some((100, None))),
            ("limit=5", Some((5, None))),
            ("limit=10000&", Some((10_000, None))),
            ("client=::1&limit=1", Some((1, Some("::1")))),
            ("client=2001%3Adb8%3a%3A1", Some((100, Some("2001:db8::1")))),
            ("limit=10001", None),
            ("limit=0", None),
            ("limit=-1", None),
            ("limit", None),
            ("client=localhost", None),
            ("size=1", None),
        ] {
            let found = wanted(query).ok().map(|wanted| (wanted.connections, wanted.client));
            let expected =
                expected.map(|(most, client)| (most, client.map(|text| text.parse().unwrap())));
            assert_eq!(found, expected, "{query}");
        }
    }
}
