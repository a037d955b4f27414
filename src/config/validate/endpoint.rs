//! Upstream addresses: `http://host:port`.

use std::net::IpAddr;
use std::sync::Arc;

use super::Context;
use super::values::{Seen, count};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Endpoint, EndpointUrl, Host, Scheme};
use crate::model::limits::{ENDPOINTS_PER_REGION, WEIGHT_MAX};

/// A list of endpoints, none of them twice.
pub(super) fn endpoints(
    field: &Field<Vec<Field<TextOr<raw::Endpoint>>>>,
    parent: NodeId,
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
        let Some((at, endpoint)) = element.value().and_then(|raw| one(element.at, raw, cx.report))
        else {
            continue;
        };
        if seen.first(endpoint.url.clone(), &endpoint.url.to_string(), at, cx.report) {
            all.push(endpoint);
        }
    }
    (all.len() == list.len()).then_some(all)
}

fn one(at: NodeId, raw: &TextOr<raw::Endpoint>, report: &Report<'_>) -> Option<(NodeId, Endpoint)> {
    match raw {
        TextOr::Text(text) => {
            let transport = Arc::default();
            Some((at, Endpoint { url: url(at, text, report)?, weight: 1, transport }))
        }
        TextOr::Other(raw::Endpoint { url: field, weight }) => {
            let weight = count(weight, 1..=WEIGHT_MAX, 1, report);
            let help = "an address such as http://10.0.1.10:8000";
            let text = report.required(field, at, "url", help)?;
            let url = url(field.at, text, report)?;
            Some((field.at, Endpoint { url, weight: weight?, transport: Arc::default() }))
        }
    }
}

fn url(at: NodeId, text: &str, report: &Report<'_>) -> Option<EndpointUrl> {
    match parse(text) {
        Ok(url) => Some(url),
        Err((what, help)) => {
            report.error(at, format!("{} {what}", Quoted(text)), help);
            None
        }
    }
}

type Refusal = (&'static str, String);

fn parse(text: &str) -> Result<EndpointUrl, Refusal> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            let help = format!("write http://{rest}; TLS to upstreams comes later");
            return Err(("uses https, which is not built in this version of Rhumb", help));
        }
        Some(_) => return Err(("has a scheme other than http", "write http://host:port".into())),
        None => return Err(("has no scheme", format!("write http://{text}"))),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        let help = "write http://host:port only; the path of each request is kept".to_owned();
        return Err(("has a path", help));
    }
    if authority.contains('@') {
        let help = "write http://host:port only; Rhumb sends no credentials".to_owned();
        return Err(("has a user name", help));
    }
    let (host, port) = split_port(authority)?;
    Ok(EndpointUrl { scheme: Scheme::Http, host: parse_host(host)?, port })
}

fn split_port(authority: &str) -> Result<(&str, u16), Refusal> {
    // The colons of an IPv6 address are inside brackets.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let tail = authority.get(host_end..).unwrap_or("");
    let Some(colon) = tail.find(':') else { return Ok((authority, 80)) };
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
    // A name of digits would be taken for an address by some and for a name by others.
    if last.bytes().all(|b| b.is_ascii_digit()) {
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
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for (text, part) in [
            ("10.0.1.10:8000", "no scheme"),
            ("https://a", "not built"),
            ("ftp://a", "scheme other"),
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
