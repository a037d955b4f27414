//! How the DNS names of endpoints are looked up.

use std::net::{IpAddr, SocketAddr};

use super::Context;
use super::values::{seconds, unique_texts};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::Names;
use crate::model::limits::{
    NAME_SERVERS, NAME_TIMEOUT_MAX, NAME_TTL_MAX, NAME_TTL_MIN, TIMEOUT_MIN,
};

const DNS_PORT: u16 = 53;

pub(super) fn names(field: &Field<raw::Names>, cx: Context<'_>) -> Option<Names> {
    let default = Names::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let servers = match &raw.servers.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(list) => servers(raw.servers.at, list, cx.report),
    };
    let range = NAME_TTL_MIN..=NAME_TTL_MAX;
    let min = seconds(&raw.min_ttl_seconds, range.clone(), default.min_ttl, cx.report);
    let max = seconds(&raw.max_ttl_seconds, range, default.max_ttl, cx.report);
    let most = TIMEOUT_MIN..=NAME_TIMEOUT_MAX;
    let timeout = seconds(&raw.timeout_seconds, most, default.timeout, cx.report);
    let (mut min, mut max) = (min?, max?);
    if min > max {
        // Where only one of them is written, the other one's default gives way.
        if raw.max_ttl_seconds.is_absent() {
            max = min;
        } else if raw.min_ttl_seconds.is_absent() {
            min = max;
        } else {
            let message = format!(
                "`min_ttl_seconds` is {}, longer than `max_ttl_seconds`, which is {}",
                min.as_secs_f64(),
                max.as_secs_f64(),
            );
            cx.report.error(raw.min_ttl_seconds.at, message, "swap them?");
            return None;
        }
    }
    Some(Names { servers: servers?, min_ttl: min, max_ttl: max, timeout: timeout? })
}

fn servers(at: NodeId, list: &[Field<String>], report: &Report<'_>) -> Option<Vec<SocketAddr>> {
    if list.is_empty() || list.len() > NAME_SERVERS {
        let message = format!("{} servers, where there may be 1 to {NAME_SERVERS}", list.len());
        report.error(at, message, "leave `servers` out to ask those of the system");
        return None;
    }
    unique_texts(list, report, server)
}

fn server(at: NodeId, text: &str, report: &Report<'_>) -> Option<SocketAddr> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    let address = address.or_else(|_| text.parse()).ok();
    let found = address.filter(|it| it.port() != 0 && !it.ip().is_unspecified());
    if found.is_none() {
        let help = "write an IP address, such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53";
        report.error(at, format!("{} is not the address of a DNS server", Quoted(text)), help);
    }
    found
}
