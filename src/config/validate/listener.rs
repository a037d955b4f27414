//! Addresses that Rhumb listens on, and what clients speak there.
//!
//! What is inside `tls` is `tls`'s business.

use std::net::SocketAddr;

use http::HeaderValue;
use ipnet::IpNet;

use super::network::{overlap, socket_address};
use super::tls::listener_tls;
use super::values::{choice, count, flag, unique_texts};
use super::words::network;
use super::{Context, elements};
use crate::config::document::NodeId;
use crate::config::field::{Field, FlagOr, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{HttpsRedirect, Listener, ProxyProtocolFrom};
use crate::model::limits::{HSTS_MAX_AGE_SECONDS, HSTS_MAX_AGE_SECONDS_MAX, LISTENERS_MAX};

/// What the lists of hosts that browsers ship ask for at least.
const PRELOAD_MAX_AGE_SECONDS: u32 = 31_536_000;

pub(super) fn listeners(
    field: &Field<Vec<Field<raw::Listener>>>,
    cx: Context<'_>,
) -> Option<Vec<Listener>> {
    let help = "write for example `listeners: [{ address: \"0.0.0.0:8080\" }]`";
    let list = elements(field, NodeId::ROOT, "listeners", help, cx.report)?;
    if list.len() > LISTENERS_MAX {
        let message = format!("{} listeners are more than {LISTENERS_MAX}", list.len());
        cx.report.error(field.at, message, "an address such as 0.0.0.0:8080 listens on all");
        return None;
    }
    let mut seen: Vec<(SocketAddr, NodeId)> = Vec::new();
    let mut all: Vec<Listener> = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let address = address(&raw.address, element.at, &mut seen, cx.report);
        let listener = one(address, raw, cx);
        if let Some(listener) = &listener {
            told_apart(listener, raw.address.at, &all, cx.report);
        }
        all.extend(listener);
    }
    if all.len() < list.len() {
        return None;
    }
    if all.iter().all(|listener| listener.redirect.is_some()) {
        let message = "every listener sends its requests elsewhere, and no region gets any";
        cx.report.warning(field.at, message, "add a listener with `tls`");
    }
    Some(all)
}

fn address(
    field: &Field<String>,
    parent: NodeId,
    seen: &mut Vec<(SocketAddr, NodeId)>,
    report: &Report<'_>,
) -> Option<SocketAddr> {
    let help = "an address and a port, such as `0.0.0.0:8080`";
    let text = report.required(field, parent, "address", help)?;
    let address = socket_address(field.at, text, report)?;
    if let Some((_, first)) = seen.iter().find(|(other, _)| overlap(*other, address)) {
        let help = format!("the other is {}; remove one of them", report.whereabouts(*first));
        let message = format!("{address} is already taken by another listener");
        report.error(field.at, message, help);
    }
    seen.push((address, field.at));
    Some(address)
}

/// What belongs to a listener is found by its address as it is written, so that two of them can
/// have the same one (with port 0) only if they are the same.
fn told_apart(listener: &Listener, at: NodeId, others: &[Listener], report: &Report<'_>) {
    let same = |other: &&Listener| other.address == listener.address;
    if listener.address.port() == 0
        && others.iter().find(same).is_some_and(|other| other != listener)
    {
        let message = format!("{} is another listener's address as well", listener.address);
        let help = "with other settings it needs another address, or a port of its own";
        report.error(at, message, help);
    }
}

fn one(address: Option<SocketAddr>, raw: &raw::Listener, cx: Context<'_>) -> Option<Listener> {
    let tls = listener_tls(&raw.tls, &raw.http2, cx);
    let proxy_protocol = proxy_protocol(&raw.proxy_protocol, cx.report);
    let redirect = redirect(&raw.redirect_to_https, cx.report);
    let hsts = hsts(&raw.hsts, cx.report);
    if !raw.tls.is_absent() && matches!(redirect, Some(Some(_))) {
        let message = "clients of this listener speak HTTPS already";
        let help = "write it at a listener without `tls`, or remove it";
        cx.report.error(raw.redirect_to_https.at, message, help);
    }
    if raw.tls.is_absent() && matches!(hsts, Some(Some(_))) {
        let message = "browsers take `hsts` from nobody in clear text";
        cx.report.error(raw.hsts.at, message, "write it at a listener with `tls`, or remove it");
    }
    let (http2, tls) = tls?;
    Some(Listener {
        address: address?,
        tls,
        http2,
        proxy_protocol: proxy_protocol?,
        redirect: redirect?,
        hsts: hsts?,
    })
}

/// The outer `None` is an error; the inner one is "nobody".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn proxy_protocol(
    field: &Field<raw::ProxyProtocol>,
    report: &Report<'_>,
) -> Option<Option<ProxyProtocolFrom>> {
    let raw = match &field.state {
        State::Absent => return Some(None),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let help = "list your load balancers, such as `trusted: [10.0.0.0/8]`";
    let list = elements(&raw.trusted, field.at, "trusted", help, report);
    let trusted = list.and_then(|list| unique_texts(list, report, believed));
    let required = choice(&raw.mode, true, |mode| match mode {
        raw::ProxyProtocolMode::Required => true,
        raw::ProxyProtocolMode::Optional => false,
    });
    Some(Some(ProxyProtocolFrom { trusted: trusted?, required: required? }))
}

/// A network of peers that are believed.
fn believed(at: NodeId, text: &str, report: &Report<'_>) -> Option<IpNet> {
    let net = network(at, text, report)?;
    if net.prefix_len() == 0 {
        let help = "list the networks of your own load balancers only";
        report.warning(at, format!("{net} lets every client say who it is"), help);
    }
    Some(net)
}

/// The longer form of a setting that can be just switched on. The outer `None` is an error; the
/// inner one is "off".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn switched<R, T>(
    field: &Field<FlagOr<R>>,
    on: T,
    read: impl FnOnce(&R) -> Option<T>,
) -> Option<Option<T>> {
    match &field.state {
        State::Absent | State::Present(FlagOr::Flag(false)) => Some(None),
        State::Broken => None,
        State::Present(FlagOr::Flag(true)) => Some(Some(on)),
        State::Present(FlagOr::Other(raw)) => read(raw).map(Some),
    }
}

#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn redirect(
    field: &Field<FlagOr<raw::Redirect>>,
    report: &Report<'_>,
) -> Option<Option<HttpsRedirect>> {
    let default = HttpsRedirect { port: 443, status: 308 };
    switched(field, default, |raw| {
        let port = count(&raw.port, 1..=u16::MAX.into(), default.port.into(), report);
        let status = choice(&raw.status, i64::from(default.status), |status| status);
        let known = status.filter(|status| matches!(status, 301 | 302 | 307 | 308));
        if let (Some(status), None) = (status, known) {
            let help = "write 308 or 301 (for good), 307 or 302 (for now)";
            report.error(raw.status.at, format!("{status} is not the status of a redirect"), help);
        }
        Some(HttpsRedirect {
            port: u16::try_from(port?).ok()?,
            status: u16::try_from(known?).ok()?,
        })
    })
}

#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn hsts(field: &Field<FlagOr<raw::Hsts>>, report: &Report<'_>) -> Option<Option<HeaderValue>> {
    let on = Hsts { max_age: HSTS_MAX_AGE_SECONDS, include_subdomains: false, preload: false };
    let hsts = switched(field, on, |raw| {
        let range = 0..=HSTS_MAX_AGE_SECONDS_MAX;
        let max_age = count(&raw.max_age_seconds, range, HSTS_MAX_AGE_SECONDS, report);
        let include_subdomains = flag(&raw.include_subdomains, false);
        let preload = flag(&raw.preload, false);
        let hsts =
            Hsts { max_age: max_age?, include_subdomains: include_subdomains?, preload: preload? };
        if hsts.preload && (!hsts.include_subdomains || hsts.max_age < PRELOAD_MAX_AGE_SECONDS) {
            let message = "the lists that browsers ship do not take this host";
            let help = "they ask for `include_subdomains: true` and `max_age_seconds` of a year, \
                        31536000, or more";
            report.warning(raw.preload.at, message, help);
        }
        Some(hsts)
    })?;
    match hsts {
        None => Some(None),
        Some(hsts) => HeaderValue::from_str(&hsts.to_string()).ok().map(Some),
    }
}

/// The parts of `Strict-Transport-Security`.
struct Hsts {
    max_age: u32,
    include_subdomains: bool,
    preload: bool,
}

impl std::fmt::Display for Hsts {
    /// As in RFC 6797 section 6.1.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "max-age={}", self.max_age)?;
        if self.include_subdomains {
            f.write_str("; includeSubDomains")?;
        }
        if self.preload { f.write_str("; preload") } else { Ok(()) }
    }
}
