//! Upstream addresses: `http://host:port`, `https://host:port`, `h2c://host:port`; or with `srv`, the
//! name of a service in place of host and port.

use std::net::IpAddr;
use std::sync::Arc;

use super::Context;
use super::transport::check_address;
use super::values::{Seen, count, flag};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Endpoint, EndpointUrl, Host, Scheme, Transport};
use crate::model::limits::{ENDPOINTS_PER_REGION, WEIGHT_MAX};

/// A list of endpoints, none of them twice. `transport`: `None` when it could not be read.
pub(super) fn endpoints(
    field: &Field<Vec<Field<TextOr<raw::Endpoint>>>>,
    parent: NodeId,
    transport: Option<&Arc<Transport>>,
    cx: Context<'_>,
) -> Option<Vec<Endpoint>> {
    let help = "list at least one, such as http://10.0.1.10:8000";
    let list = super::elements(field, parent, "endpoints", help, cx.report)?;
    if list.len() > ENDPOINTS_PER_REGION {
        let message = format!("{} endpoints are more than {ENDPOINTS_PER_REGION}", list.len());
        cx.report.error(field.at, message, "put a load balancer in front of some of them");
    }
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(Written { at, url, weight, srv }) =
            element.value().and_then(|raw| one(element.at, raw, cx.report))
        else {
            continue;
        };
        let shown = srv.as_deref().map_or_else(|| url.to_string(), ToOwned::to_owned);
        let first = seen.first((url.clone(), srv.clone()), &shown, at, cx.report);
        if check_address(at, &url, cx.origins, cx.report) && first {
            let transport = transport.map(Arc::clone).unwrap_or_default();
            all.push(Endpoint { url, weight, transport, srv });
        }
    }
    (all.len() == list.len()).then_some(all)
}

/// One endpoint as it is written.
struct Written {
    at: NodeId,
    url: EndpointUrl,
    weight: u32,
    srv: Option<Arc<str>>,
}

fn one(at: NodeId, raw: &TextOr<raw::Endpoint>, report: &Report<'_>) -> Option<Written> {
    match raw {
        TextOr::Text(text) => {
            let url = url(at, text, report)?;
            advise_srv(at, &url, report);
            Some(Written { at, url, weight: 1, srv: None })
        }
        TextOr::Other(raw::Endpoint { url: field, weight, srv }) => {
            let weight = count(weight, 1..=WEIGHT_MAX, 1, report);
            let srv = flag(srv, false);
            let help = "an address such as http://10.0.1.10:8000";
            let text = report.required(field, at, "url", help)?;
            let url = url(field.at, text, report)?;
            let (url, srv) = match srv? {
                true => service(field.at, text, url, report).map(|(url, srv)| (url, Some(srv)))?,
                false => {
                    advise_srv(field.at, &url, report);
                    (url, None)
                }
            };
            Some(Written { at: field.at, url, weight: weight?, srv })
        }
    }
}

/// A URL whose host is the name of a service, and that name. Requests and certificates go by the
/// domain in it (RFC 2782, RFC 6125 section 6.5.1).
fn service(
    at: NodeId,
    text: &str,
    mut url: EndpointUrl,
    report: &Report<'_>,
) -> Option<(EndpointUrl, Arc<str>)> {
    let Host::Name(name) = &url.host else {
        let message = format!("{} is an address, which has no SRV records", Quoted(text));
        report.error(at, message, "write the name of a service, or leave `srv` out");
        return None;
    };
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    if authority.contains(':') {
        let message = format!("{} has a port, which SRV records say", Quoted(text));
        report.error(at, message, format!("write {}://{name}", url.scheme.as_str()));
        return None;
    }
    let service = Arc::clone(name);
    let mut domain = &*service;
    while let Some((label, rest)) = domain.split_once('.')
        && label.starts_with('_')
        && !rest.is_empty()
    {
        domain = rest;
    }
    url.host = Host::Name(domain.into());
    Some((url, service))
}

/// Warns of the name of a service that is looked up as one of a host.
fn advise_srv(at: NodeId, url: &EndpointUrl, report: &Report<'_>) {
    let Host::Name(name) = &url.host else { return };
    let labels = name.split('.').take_while(|label| label.starts_with('_')).count();
    if labels >= 2 {
        let message = format!("{} looks like the name of a service", Quoted(name));
        let help =
            "to have its SRV records looked up, write `{ url: …, srv: true }` without a port";
        report.warning(at, message, help);
    }
}

/// One address, without weight and path.
pub(super) fn url(at: NodeId, text: &str, report: &Report<'_>) -> Option<EndpointUrl> {
    match parse(text) {
        Ok(url) => Some(url),
        Err((what, help)) => {
            report.error(at, format!("{} {what}", Quoted(text)), help);
            None
        }
    }
}

type Refusal = (&'static str, String);

const SCHEMES: [Scheme; 3] = [Scheme::Http, Scheme::Https, Scheme::H2c];

fn parse(text: &str) -> Result<EndpointUrl, Refusal> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(("has no scheme", format!("write http://{text}, or https://{text}")));
    };
    let known = SCHEMES.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str()));
    let scheme = known.ok_or_else(|| unknown_scheme(scheme, rest))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        let help =
            format!("write {}://host:port; the path of each request is kept", scheme.as_str());
        return Err(("has a path", help));
    }
    if authority.contains('@') {
        let help = format!("write {}://host:port; Rhumb sends no credentials", scheme.as_str());
        return Err(("has a user name", help));
    }
    let default_port = if scheme == Scheme::Https { 443 } else { 80 };
    let (host, port) = split_port(authority, default_port)?;
    Ok(EndpointUrl { scheme, host: parse_host(host)?, port })
}

fn unknown_scheme(scheme: &str, rest: &str) -> Refusal {
    let help = match scheme.to_ascii_lowercase().as_str() {
        "ws" => format!("write http://{rest}; requests for a WebSocket start as HTTP"),
        "wss" => format!("write https://{rest}; requests for a WebSocket start as HTTP"),
        "grpc" | "http2" => format!("write h2c://{rest}, or https://{rest}"),
        "grpcs" | "h2" => format!("write https://{rest}"),
        _ => "write http://host:port, https://host:port or h2c://host:port".to_owned(),
    };
    ("has a scheme other than http, https and h2c", help)
}

fn split_port(authority: &str, default: u16) -> Result<(&str, u16), Refusal> {
    // The colons of an IPv6 address are inside brackets.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let tail = authority.get(host_end..).unwrap_or("");
    let Some(colon) = tail.find(':') else { return Ok((authority, default)) };
    let host = authority.get(..host_end + colon).unwrap_or("");
    let digits = tail.get(colon + 1..).unwrap_or("");
    let port = digits.parse().ok().filter(|port| *port != 0);
    match port.filter(|_| digits.bytes().all(|b| b.is_ascii_digit())) {
        Some(port) => Ok((host, port)),
        None if digits.contains(':') => {
            Err(("is not a host with a port", "write an IPv6 address in brackets: [::1]:80".into()))
        }
        None => Err(("has a bad port", "a port is a number from 1 to 65535".to_owned())),
    }
}

fn parse_host(host: &str) -> Result<Host, Refusal> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse().ok());
        return match address {
            Some(address) => Ok(Host::Address(IpAddr::V6(address))),
            None => Err(("has a bad IPv6 address", "such as http://[2001:db8::1]:8000".into())),
        };
    }
    if let Ok(address) = host.parse() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or("");
    if name.len() > 253 || !name.split('.').all(label) {
        return Err((
            "has a bad host",
            "such as http://10.0.1.10:8000 or http://origin:8000".into(),
        ));
    }
    // A name of digits would be taken for an address by some and for a name by others; so would
    // one that ends in a hexadecimal number.
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(("has a bad IPv4 address", "four numbers from 0 to 255".to_owned()));
    }
    Ok(Host::Name(host.to_ascii_lowercase().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_names() {
        for (text, expected) in [
            ("http://10.0.1.10:8000", "http://10.0.1.10:8000"),
            ("HTTP://Origin-US", "http://origin-us:80"),
            ("http://[2001:DB8::1]:81/", "http://[2001:db8::1]:81"),
            ("http://a_b.example.com.:1", "http://a_b.example.com.:1"),
            ("https://origin", "https://origin:443"),
            ("HTTPS://[::1]/", "https://[::1]:443"),
            ("https://origin:80", "https://origin:80"),
            ("h2c://10.0.0.1", "h2c://10.0.0.1:80"),
            ("h2c://origin:50051", "h2c://origin:50051"),
            ("http://0xg", "http://0xg:80"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for (text, part) in [
            ("10.0.1.10:8000", "no scheme"),
            ("ftp://a", "scheme other"),
            ("wss://a", "scheme other"),
            ("://a", "scheme other"),
            ("https:a", "no scheme"),
            ("https://a/b", "path"),
            ("h2c://u@a", "user name"),
            ("https://", "bad host"),
            ("http://0xa9fea9fe", "bad IPv4"),
            ("http://0XA9FEA9FE", "bad IPv4"),
            ("http://169.254.43518.0x", "bad IPv4"),
            ("http://2852039166", "bad IPv4"),
            ("http://", "bad host"),
            ("http:///", "bad host"),
            ("http://a/b", "path"),
            ("http://a?b", "path"),
            ("http://a#b", "path"),
            ("http://u:p@a", "user name"),
            ("http://a:", "bad port"),
            ("http://a:0", "bad port"),
            ("http://a:+1", "bad port"),
            ("http://a:65536", "bad port"),
            ("http://::1", "not a host"),
            ("http://[::1", "not a host"),
            ("http://[::1]x", "bad IPv6"),
            ("http://[fe80::1%eth0]", "bad IPv6"),
            ("http://256.1.1.1", "bad IPv4"),
            ("http://10.1", "bad IPv4"),
            ("http://a b", "bad host"),
            ("http://-a", "bad host"),
            ("http://a..b", "bad host"),
            ("http://ä", "bad host"),
            ("http://a\r\nb", "bad host"),
        ] {
            let (what, _) = parse(text).unwrap_err();
            assert!(what.contains(part), "{text}: {what}");
        }
    }
}
