//! The address for operators, Rhumb's threads, and whom it believes.
//!
//! Where clients come in is `listener`'s business.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use http::HeaderName;
use ipnet::IpNet;

use super::Context;
use super::values::unique_texts;
use super::words::{header_name, network};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Admin, ClientTrust, Listener};
use crate::model::limits::WORKERS_MAX;

const DEFAULT_ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

/// Headers of well-known networks that carry a country.
const DEFAULT_COUNTRY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("cf-ipcountry"),
    HeaderName::from_static("cloudfront-viewer-country"),
    HeaderName::from_static("x-client-geo-country"),
];

pub(super) fn admin(field: &Field<raw::Admin>, cx: Context<'_>) -> Option<Admin> {
    let default = Some(Admin { address: DEFAULT_ADMIN });
    let admin = match &field.state {
        State::Absent => return default,
        State::Broken => return None,
        State::Present(admin) => admin,
    };
    match &admin.address.state {
        State::Absent => default,
        State::Broken => None,
        State::Present(text) => {
            let address = socket_address(admin.address.at, text, cx.report)?;
            Some(Admin { address })
        }
    }
}

/// The admin address must not be one that serves requests.
pub(super) fn admin_apart(
    field: &Field<raw::Admin>,
    admin: &Admin,
    raw_listeners: &Field<Vec<Field<raw::Listener>>>,
    listeners: &[Listener],
    cx: Context<'_>,
) {
    let Some(index) = listeners.iter().position(|l| overlap(l.address, admin.address)) else {
        return;
    };
    let listener = raw_listeners.value().and_then(|list| list.get(index));
    let address = listener.and_then(raw_address).map_or(raw_listeners.at, |address| address.at);
    let message = format!("{} is both the admin address and a listener", admin.address);
    match field.value().filter(|admin| !admin.address.is_absent()) {
        Some(raw) => {
            let help = format!("the listener is {}", cx.report.whereabouts(address));
            cx.report.error(raw.address.at, message, help);
        }
        None => {
            let help = "the admin address is 127.0.0.1:9090 unless `admin.address` says otherwise";
            cx.report.error(address, message, help);
        }
    }
}

fn raw_address(listener: &Field<raw::Listener>) -> Option<&Field<String>> {
    listener.value().map(|listener| &listener.address)
}

/// Whether two addresses cannot both be listened on. `[::]` and `0.0.0.0` can.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() != 0 && a.port() == b.port() && same_family && (everywhere || a.ip() == b.ip())
}

pub(super) fn socket_address(at: NodeId, text: &str, report: &Report<'_>) -> Option<SocketAddr> {
    let address: Option<SocketAddr> = text.parse().ok();
    if address.is_none() {
        let help = match text.strip_prefix(':') {
            Some(port) if port.parse::<u16>().is_ok() => {
                format!("write 0.0.0.0:{port} for every IPv4 address, or [::]:{port}")
            }
            _ => "write an IP address and a port, such as 0.0.0.0:8080 or [::1]:8080".to_owned(),
        };
        report.error(at, format!("{} is not an address with a port", Quoted(text)), help);
    }
    address
}

/// The outer `None` is an error; the inner one is "one for each core".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn workers(field: &Field<TextOr<i64>>, cx: Context<'_>) -> Option<Option<NonZeroUsize>> {
    let help = format!("write `auto`, or a number from 1 to {WORKERS_MAX}");
    match &field.state {
        State::Absent => Some(None),
        State::Broken => None,
        State::Present(TextOr::Text(text)) if text == "auto" => Some(None),
        State::Present(TextOr::Text(text)) => {
            let message = format!("{} is not a number of workers", Quoted(text));
            cx.report.error(field.at, message, help);
            None
        }
        State::Present(TextOr::Other(number)) => {
            let workers = usize::try_from(*number).ok().and_then(NonZeroUsize::new);
            let workers = workers.filter(|workers| workers.get() <= WORKERS_MAX);
            if workers.is_none() {
                cx.report.error(field.at, format!("there cannot be {number} workers"), help);
            }
            workers.map(Some)
        }
    }
}

pub(super) fn client(field: &Field<raw::Client>, cx: Context<'_>) -> Option<ClientTrust> {
    let nobody = Field::default();
    let defaults = Field::default();
    let (proxies, headers) = match &field.state {
        State::Absent => (&nobody, &defaults),
        State::Broken => return None,
        State::Present(client) => (&client.trusted_proxies, &client.country_headers),
    };
    let trusted_proxies = match &proxies.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(list) => unique_texts(list, cx.report, network_of),
    };
    let country_headers = match &headers.state {
        State::Absent => Some(DEFAULT_COUNTRY_HEADERS.to_vec()),
        State::Broken => None,
        State::Present(list) => unique_texts(list, cx.report, header_name),
    };
    Some(ClientTrust { trusted_proxies: trusted_proxies?, country_headers: country_headers? })
}

/// A network of trusted peers.
fn network_of(at: NodeId, text: &str, report: &Report<'_>) -> Option<IpNet> {
    let net = network(at, text, report)?;
    if net.prefix_len() == 0 {
        let help = "list the networks of your own proxies and load balancers only";
        report.warning(at, format!("{net} lets every client say where it is"), help);
    }
    Some(net)
}
