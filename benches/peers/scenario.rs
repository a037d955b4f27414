//! What is asked and answered: the requests of each scenario and the documents of each region.
//!
//! Not here: sending them (`load`), answering them (`origin`).

use clap::ValueEnum;
use serde::Serialize;

use crate::countries::Client;
use crate::regions::Region;

/// The host that clients ask for.
pub(crate) const HOST: &str = "api.example.com";

/// What one request looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// GET, 1 KiB of JSON back
    Get,
    /// POST of 4 KiB, 1 KiB of JSON back
    Post,
    /// GET, 64 KiB of JSON back
    Large,
    /// GET, 1 KiB back, on a new connection each
    Connect,
    /// GET once on each connection, which then stays: what does it cost?
    Idle,
}

impl Scenario {
    /// Whether every request comes on a connection of its own.
    pub(crate) const fn connects_each_time(self) -> bool {
        matches!(self, Self::Connect)
    }

    /// One request of a client, head and body.
    pub(crate) fn request(self, client: &Client) -> Vec<u8> {
        let line = match self {
            Self::Get | Self::Connect | Self::Idle => "GET /v1/orders?status=open&limit=25",
            Self::Post => "POST /v1/orders",
            Self::Large => "GET /v1/export?format=json",
        };
        let mut request = head(line, client);
        if self == Self::Post {
            request.push_str("content-type: application/json\r\n");
            request.push_str(&format!("content-length: {POST_BYTES}\r\n"));
        }
        if self.connects_each_time() {
            request.push_str("connection: close\r\n");
        }
        request.push_str("\r\n");
        if self == Self::Post {
            request.push_str(&posted());
        }
        request.into_bytes()
    }
}

/// A request whose answer is the head that the origin saw.
pub(crate) fn echo_request(client: &Client) -> Vec<u8> {
    let mut request = head("GET /echo", client);
    request.push_str("\r\n");
    request.into_bytes()
}

/// Eight header fields, as an API client behind a load balancer sends them, and the region for a
/// contestant that cannot find it by itself.
fn head(line: &str, client: &Client) -> String {
    let (address, region) = (client.address, client.region.id());
    format!(
        "{line} HTTP/1.1\r\n\
         host: {HOST}\r\n\
         user-agent: orders-client/4.2.1 (linux; x86_64) http-kit/2.8\r\n\
         accept: application/json\r\n\
         accept-encoding: gzip, br\r\n\
         accept-language: en-GB,en;q=0.9\r\n\
         authorization: Bearer {}\r\n\
         x-forwarded-for: {address}\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
         x-bench-region: {region}\r\n",
        token()
    )
}

/// About 200 bytes, shaped like a signed token.
pub(crate) fn token() -> String {
    format!(
        "eyJhbGciOiJFUzI1NiJ9.{}.{}",
        "c3ViamVjdDo0MjcxO3Njb3BlOm9yZGVycw".repeat(3),
        "Kx7".repeat(25)
    )
}

pub(crate) const POST_BYTES: usize = 4 * 1024;
const SMALL_BYTES: usize = 1024;
const LARGE_BYTES: usize = 64 * 1024;

/// The body that a POST carries.
pub(crate) fn posted() -> String {
    document("client", POST_BYTES)
}

/// The bodies that a region answers with.
pub(crate) struct Documents {
    pub(crate) small: Vec<u8>,
    pub(crate) large: Vec<u8>,
}

impl Documents {
    pub(crate) fn of(region: Region) -> Self {
        Self {
            small: document(region.id(), SMALL_BYTES).into_bytes(),
            large: document(region.id(), LARGE_BYTES).into_bytes(),
        }
    }

    /// What `scenario` must be answered with.
    pub(crate) fn expected(&self, scenario: Scenario) -> &[u8] {
        match scenario {
            Scenario::Large => &self.large,
            Scenario::Get | Scenario::Post | Scenario::Connect | Scenario::Idle => &self.small,
        }
    }
}

/// JSON of exactly `length` bytes, different for each `author`.
fn document(author: &str, length: usize) -> String {
    const END: &str = "\"}";
    let mut text = format!("{{\"region\":\"{author}\",\"orders\":[");
    for id in 1000.. {
        let order = format!("{{\"id\":{id},\"state\":\"shipped\",\"total\":\"{id}.90\"}},");
        if text.len() + order.len() + 64 > length {
            break;
        }
        text.push_str(&order);
    }
    text.push_str("{}],\"padding\":\"");
    let padding = length.saturating_sub(text.len() + END.len());
    text.push_str(&"x".repeat(padding));
    text.push_str(END);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_their_length_and_tell_regions_apart() {
        let [us, eu, _] = Region::ALL.map(Documents::of);
        assert_eq!((us.small.len(), us.large.len()), (SMALL_BYTES, LARGE_BYTES));
        assert_eq!(posted().len(), POST_BYTES);
        assert_ne!(us.small, eu.small);
        assert!(serde_json::from_slice::<serde_json::Value>(&us.large).is_ok());
    }
}
