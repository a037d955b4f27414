//! Words with a grammar of their own: headers, cookies, countries, continents, subdivisions,
//! networks, autonomous systems, methods, tenants, frameworks.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, DATE, FORWARDED, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, RETRY_AFTER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderName, Method};
use ipnet::{IpNet, Ipv4Net};

use super::values::is_name;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::TextOr;
use crate::config::report::Report;
use crate::model::limits::{PARAMETER_NAME_LENGTH, TENANT_LENGTH};
use crate::model::{Continent, Country, Framework, Subdivision, TenantId};

/// Headers that Rhumb or the connection writes itself, so that nothing else can be told by them.
const OWN_HEADERS: [HeaderName; 15] = [
    CONNECTION,
    CONTENT_LENGTH,
    COOKIE,
    DATE,
    FORWARDED,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    RETRY_AFTER,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
];
/// The same, of those that no standard names.
const OWN_WORDS: [&str; 8] = [
    "keep-alive",
    "proxy-connection",
    "proxy-status",
    "rhumb-replay",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// The name of a header, in lower case.
pub(super) fn header_name(at: NodeId, text: &str, report: &Report<'_>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    if name.is_none() {
        let help = "letters, digits and `-`, such as `x-preferred-region`";
        report.error(at, format!("{} cannot be the name of a header", Quoted(text)), help);
    }
    name
}

/// The name of a header that is free to carry something of the configuration's choice.
pub(super) fn free_header(at: NodeId, text: &str, report: &Report<'_>) -> Option<HeaderName> {
    let name = header_name(at, text, report)?;
    let word = name.as_str();
    if OWN_HEADERS.contains(&name) || OWN_WORDS.contains(&word) || word.starts_with("x-rhumb-") {
        let message = format!("{} is a header that Rhumb itself writes or reads", Quoted(word));
        report.error(at, message, "choose another name");
        return None;
    }
    Some(name)
}

/// The name of a cookie: a token (RFC 6265 section 4.1.1).
pub(super) fn cookie_name<'t>(at: NodeId, text: &'t str, report: &Report<'_>) -> Option<&'t str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > PARAMETER_NAME_LENGTH || !text.bytes().all(token) {
        let help = "up to 128 letters, digits and `-`, `_`, `.`, such as `rhumb-region`";
        report.error(at, format!("{} cannot be the name of a cookie", Quoted(text)), help);
        return None;
    }
    Some(text)
}

/// The name of a query parameter, as it is after decoding.
pub(super) fn parameter_name<'t>(
    at: NodeId,
    text: &'t str,
    report: &Report<'_>,
) -> Option<&'t str> {
    if text.is_empty() || text.len() > PARAMETER_NAME_LENGTH {
        let help = format!("a name of 1 to {PARAMETER_NAME_LENGTH} bytes");
        report.error(at, format!("{} cannot be the name of a parameter", Quoted(text)), help);
        return None;
    }
    Some(text)
}

/// A country code; whether it is assigned is not asked.
pub(super) fn country(at: NodeId, text: &str, report: &Report<'_>) -> Option<Country> {
    let country: Option<Country> = text.parse().ok();
    match country {
        None => {
            let help = "two letters as in ISO 3166, such as `DE` or `US`";
            report.error(at, format!("{} is not a country code", Quoted(text)), help);
        }
        Some(country) if country.as_str() == "EU" => {
            let help = "for Europe write `source_continents: [EU]`; for the European Union list \
                        its countries";
            report.warning(at, "`EU` is not the code of a country", help);
        }
        Some(_) => {}
    }
    country
}

/// A continent's code.
pub(super) fn continent(at: NodeId, text: &str, report: &Report<'_>) -> Option<Continent> {
    let found = Continent::ALL.into_iter().find(|c| c.code().eq_ignore_ascii_case(text));
    if found.is_some() {
        return found;
    }
    let known = "AF, AN, AS, EU, NA, OC or SA";
    let help = match text.to_ascii_lowercase().as_str() {
        "am" | "america" | "americas" | "the americas" => {
            "NA is North America with Central America and the Caribbean, SA is South America; \
             write the ones that are meant"
                .to_owned()
        }
        "africa" => "did you mean `AF`?".to_owned(),
        "antarctica" => "did you mean `AN`?".to_owned(),
        "asia" | "apac" => "did you mean `AS`?".to_owned(),
        "europe" => "did you mean `EU`?".to_owned(),
        "north america" | "north_america" => "did you mean `NA`?".to_owned(),
        "oceania" | "australia" | "au" => "did you mean `OC`?".to_owned(),
        "south america" | "south_america" | "latam" => "did you mean `SA`?".to_owned(),
        _ if text.parse::<Country>().is_ok() => {
            format!("a continent is {known}; a country belongs in `source_countries`")
        }
        _ => format!("a continent is {known}"),
    };
    report.error(at, format!("{} is not a continent", Quoted(text)), help);
    None
}

/// A country with a part of it.
pub(super) fn subdivision(
    at: NodeId,
    text: &str,
    report: &Report<'_>,
) -> Option<(Country, Subdivision)> {
    let parts = text.split_once('-');
    let found = parts.and_then(|(country, part)| Some((country.parse().ok()?, part)));
    let found = found.and_then(|(country, part)| Some((country, Subdivision::new(part)?)));
    if found.is_none() {
        let help = "a country and a part of it as in ISO 3166-2, such as `US-CA`";
        report.error(at, format!("{} is not a subdivision", Quoted(text)), help);
    }
    found
}

/// `10.0.0.0/8`, or one address. Networks of IPv4 addresses that are mapped into IPv6 become those
/// of IPv4, because that is how clients are known.
pub(super) fn network(at: NodeId, text: &str, report: &Report<'_>) -> Option<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(net) = net else {
        let help = "write a network such as 10.0.0.0/8, or an address such as 10.1.2.3";
        report.error(at, format!("{} is not a network", Quoted(text)), help);
        return None;
    };
    if net.trunc() != net {
        let message = format!("{net} has bits set behind its prefix");
        report.error(at, message, format!("did you mean {}?", net.trunc()));
        return None;
    }
    Some(unmapped(net))
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    v4.map_or(net, IpNet::V4)
}

/// The number of an autonomous system, with or without `AS`.
pub(super) fn asn(at: NodeId, raw: &TextOr<i64>, report: &Report<'_>) -> Option<u32> {
    let (shown, number) = match raw {
        TextOr::Other(number) => (number.to_string(), u32::try_from(*number).ok()),
        TextOr::Text(text) => {
            let prefix = text.get(..2).filter(|prefix| prefix.eq_ignore_ascii_case("as"));
            let digits = prefix.and_then(|_| text.get(2..)).unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            (text.clone(), digits.parse().ok().filter(|_| plain))
        }
    };
    let number = number.filter(|number| *number > 0);
    if number.is_none() {
        let help = "a number from 1 to 4294967295, such as 64500 or `AS64500`";
        report.error(at, format!("{} is not an autonomous system", Quoted(&shown)), help);
    }
    number
}

/// A request method, in upper case as requests have it.
pub(super) fn method(at: NodeId, text: &str, report: &Report<'_>) -> Option<Method> {
    let upper = text.to_ascii_uppercase();
    let method = Method::from_bytes(text.as_bytes()).ok();
    if method.is_none() || upper != text {
        let help = if method.is_some() {
            format!("did you mean `{upper}`? Methods are compared letter by letter")
        } else {
            "such as `GET` or `POST`".to_owned()
        };
        report.error(at, format!("{} is not a method", Quoted(text)), help);
        return None;
    }
    method
}

/// A tenant, as requests name it.
pub(super) fn tenant(at: NodeId, text: &str, report: &Report<'_>) -> Option<TenantId> {
    if text.is_empty() || text.len() > TENANT_LENGTH || text.chars().any(char::is_control) {
        let help = format!("1 to {TENANT_LENGTH} bytes, without control characters");
        report.error(at, format!("{} cannot be a tenant", Quoted(text)), help);
        return None;
    }
    Some(text.into())
}

/// A compliance framework, in lower case.
pub(super) fn framework(at: NodeId, text: &str, report: &Report<'_>) -> Option<Framework> {
    if !is_name(text) {
        let help = "letters, digits, `-`, `_` and `.`, such as `gdpr` or `pci-dss`";
        report.error(at, format!("{} cannot be a framework", Quoted(text)), help);
        return None;
    }
    Some(text.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_become_those_of_ipv4() {
        for (text, expected) in [
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:203.0.113.9/128", "203.0.113.9/32"),
            ("::/0", "::/0"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ] {
            let net: IpNet = text.parse().unwrap();
            assert_eq!(unmapped(net.trunc()).to_string(), expected, "{text}");
        }
    }
}
