//! Whose request it is: the client's address, and where that is.
//!
//! Headers are believed only as far as trusted proxies vouch for them. The spelling of headers is
//! in `forwarded`; the PROXY protocol replaces the peer before this is asked.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarded::{FromRight, forwarded_address, plain_address};
use super::{Databases, countries};
use crate::config::ClientTrust;
use crate::model::{Client, ClientSource, Country, Location, LocationSource};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Elements that are looked at. Real chains have fewer than ten; the rest is somebody's attempt
/// to cost time.
const HOPS: usize = 100;

/// The address that a request from `peer` is attributed to.
///
/// A peer that is not trusted is the client, whatever it sends. Behind a trusted peer, the client
/// is the rightmost address that is not a trusted proxy, in `X-Forwarded-For` if there is one, else
/// in `Forwarded`; if all are trusted, the leftmost. Where both are, `X-Forwarded-For` wins, because
/// most proxies write it and pass a `Forwarded` that their client made up through. An element that does not name an address
/// (`unknown`, an obfuscated or malformed one) ends the search: what stands left of it is vouched
/// for by nobody who can be named, so the last good address to its right is the client.
pub fn client(peer: IpAddr, headers: &HeaderMap, trust: &ClientTrust) -> Client {
    let peer = Client { address: peer.to_canonical(), source: ClientSource::Peer };
    if !trust.trusts(peer.address) {
        return peer;
    }
    let mut lines = lines_from_right(headers, X_FORWARDED_FOR).peekable();
    if lines.peek().is_some() {
        let elements = lines.flat_map(|line| FromRight::plain(line.as_bytes()));
        first_untrusted(peer, ClientSource::XForwardedFor, elements, plain_address, trust)
    } else {
        let elements = lines_from_right(headers, FORWARDED)
            .flat_map(|line| FromRight::quoted(line.as_bytes()));
        first_untrusted(peer, ClientSource::Forwarded, elements, forwarded_address, trust)
    }
}

/// Several lines of one header are one list, in the order of the lines.
fn lines_from_right(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
    headers.get_all(name).iter().rev()
}

fn first_untrusted<'a>(
    peer: Client,
    source: ClientSource,
    elements: impl Iterator<Item = &'a [u8]>,
    address_in: impl Fn(&[u8]) -> Option<IpAddr>,
    trust: &ClientTrust,
) -> Client {
    let mut client = peer;
    // Empty elements are allowed in any list (RFC 9110, 5.6.1) and mean nothing.
    for element in elements.take(HOPS).filter(|element| !element.is_empty()) {
        let Some(address) = address_in(element) else { break };
        client = Client { address, source };
        if !trust.trusts(address) {
            break;
        }
    }
    client
}

/// Where `client` is: what a geo header of a trusted peer says, else what the databases say.
///
/// The autonomous system always comes from the databases; so do subdivision and coordinates,
/// unless the header names another country: then the coordinates are that country's centroid.
pub fn locate(
    databases: &Databases,
    client: &Client,
    peer_trusted: bool,
    headers: &HeaderMap,
    trust: &ClientTrust,
) -> Location {
    vouched(databases.lookup(client.address), peer_trusted, headers, trust)
}

/// The same for a place that the databases have been asked for already.
pub fn vouched(
    known: Location,
    peer_trusted: bool,
    headers: &HeaderMap,
    trust: &ClientTrust,
) -> Location {
    let vouched = if peer_trusted { header_country(headers, trust) } else { None };
    vouched.map_or(known, |country| placed(known, country))
}

/// A place that the databases know, once somebody who is believed has said which country it is in.
pub fn placed(known: Location, country: Country) -> Location {
    if known.country == Some(country) {
        return Location { source: LocationSource::Header, ..known };
    }
    Location {
        country: Some(country),
        subdivision: None,
        coordinates: countries::get(country).map(|facts| facts.centroid),
        asn: known.asn,
        source: LocationSource::Header,
    }
}

/// The country in the first of the configured headers that names one. Stand-ins (`XX`, `T1`,
/// empty) are not countries, and a header that comes twice has a second author: both are passed over.
fn header_country(headers: &HeaderMap, trust: &ClientTrust) -> Option<Country> {
    trust.country_headers.iter().find_map(|name| {
        let mut lines = headers.get_all(name).iter();
        let value = lines.next().filter(|_| lines.next().is_none())?;
        let country = Country::new(value.as_bytes().trim_ascii())?;
        countries::get(country).map(|facts| facts.code)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    static DATABASES: LazyLock<Databases> = LazyLock::new(|| Databases::embedded().unwrap());

    fn trust() -> ClientTrust {
        ClientTrust {
            trusted_proxies: ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:7::/48"]
                .iter()
                .map(|net| net.parse::<IpNet>().unwrap())
                .collect(),
            country_headers: ["cf-ipcountry", "x-client-geo-country"]
                .map(HeaderName::from_static)
                .into(),
        }
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    fn found(peer: &str, lines: &[(&str, &str)]) -> (String, ClientSource) {
        let client = client(peer.parse().unwrap(), &headers(lines), &trust());
        (client.address.to_string(), client.source)
    }

    const XFF: &str = "x-forwarded-for";
    const FWD: &str = "forwarded";

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_sends() {
        for lines in [
            &[(XFF, "1.1.1.1")][..],
            &[(FWD, "for=1.1.1.1")],
            &[(XFF, "1.1.1.1"), (FWD, "for=2.2.2.2")],
        ] {
            assert_eq!(found("8.8.8.8", lines), ("8.8.8.8".into(), ClientSource::Peer));
            assert_eq!(found("::ffff:8.8.8.8", lines), ("8.8.8.8".into(), ClientSource::Peer));
        }
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy() {
        use ClientSource::{Forwarded, Peer, XForwardedFor};
        for (lines, address, source) in [
            (&[][..], "127.0.0.1", Peer),
            (&[(XFF, "1.1.1.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "6.6.6.6, 1.1.1.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "6.6.6.6, 1.1.1.1, 10.0.0.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "6.6.6.6"), (XFF, "1.1.1.1"), (XFF, "10.0.0.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "1.1.1.1:443 ,[2001:db8:7::1]:80")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "::ffff:1.1.1.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, "1.1.1.1,::ffff:10.0.0.1")], "1.1.1.1", XForwardedFor),
            (&[(XFF, " , 1.1.1.1 ,, ")], "1.1.1.1", XForwardedFor),
            (&[(FWD, "for=6.6.6.6, for=1.1.1.1;by=10.0.0.1, for=10.0.0.2")], "1.1.1.1", Forwarded),
            (&[(FWD, "for=1.1.1.1"), (FWD, "for=10.0.0.2")], "1.1.1.1", Forwarded),
            (&[(XFF, "2.2.2.2"), (FWD, "for=1.1.1.1")], "2.2.2.2", XForwardedFor),
            // All are trusted: the leftmost.
            (&[(XFF, "10.0.0.3, 10.0.0.2, 10.0.0.1")], "10.0.0.3", XForwardedFor),
            // Nothing is read through garbage.
            (&[(XFF, "1.1.1.1, unknown")], "127.0.0.1", Peer),
            (&[(XFF, "1.1.1.1, unknown, 10.0.0.1")], "10.0.0.1", XForwardedFor),
            (&[(XFF, "1.1.1.1, 2.2.2.2.2, 10.0.0.1")], "10.0.0.1", XForwardedFor),
            (&[(XFF, "1.1.1.1 10.0.0.1")], "127.0.0.1", Peer),
            (&[(FWD, "for=1.1.1.1, for=_x, for=10.0.0.1")], "10.0.0.1", Forwarded),
            (&[(FWD, "for=1.1.1.1, proto=http")], "127.0.0.1", Peer),
            (&[(FWD, "for=2.2.2.2"), (XFF, "1.1.1.1, unknown")], "127.0.0.1", Peer),
            (&[(XFF, "\u{e9}")], "127.0.0.1", Peer),
        ] {
            assert_eq!(found("127.0.0.1", lines), (address.to_owned(), source), "{lines:?}");
        }
    }

    #[test]
    fn a_chain_without_end_is_cut() {
        let chain = format!("1.1.1.1{}", ", 10.0.0.1".repeat(HOPS));
        assert_eq!(found("127.0.0.1", &[(XFF, &chain)]).0, "10.0.0.1");
        let commas = format!("1.1.1.1{}", ",".repeat(HOPS));
        assert_eq!(found("127.0.0.1", &[(XFF, &commas)]).0, "127.0.0.1");
    }

    /// One element of a header, and the address it names.
    fn element() -> impl Strategy<Value = (String, Option<IpAddr>)> {
        let named = |text: &str| (text.to_owned(), Some(text.parse().unwrap()));
        prop_oneof![
            4 => Just(named("10.0.0.1")),
            2 => Just(named("127.9.9.9")),
            2 => Just(named("2001:db8:7::9")),
            1 => Just(named("203.0.113.9")),
            1 => Just(named("2a00::1")),
            1 => any::<u32>().prop_map(move |bits| {
                named(&std::net::Ipv4Addr::from_bits(bits).to_string())
            }),
            1 => prop::sample::select(vec!["unknown", "_hidden", "-", "10.0.0", "1.2.3.4.5"])
                .prop_map(|text| (text.to_owned(), None)),
        ]
    }

    /// The rule, said once more in the simplest words: from right to left.
    fn naive(peer: IpAddr, chain: &[(String, Option<IpAddr>)], trust: &ClientTrust) -> IpAddr {
        let mut answer = peer;
        if !trust.trusts(peer) {
            return peer;
        }
        for (_, address) in chain.iter().rev() {
            match address {
                None => return answer,
                Some(address) if trust.trusts(*address) => answer = *address,
                Some(address) => return *address,
            }
        }
        answer
    }

    proptest! {
        #[test]
        fn both_headers_agree_with_the_rule(
            chain in prop::collection::vec(element(), 0..12),
            lines in 1usize..4,
            trusted_peer: bool,
        ) {
            let trust = trust();
            let peer = if trusted_peer { "127.0.0.1" } else { "198.51.100.1" }.parse().unwrap();
            let expected = naive(peer, &chain, &trust);
            let plain = |(text, _): &(String, _)| text.clone();
            let quoted = |(text, _): &(String, _)| {
                let node = if text.contains(':') { format!("[{text}]") } else { text.clone() };
                format!("proto=http;for=\"{node}\";by=\"a,b;c\"")
            };
            for (name, write) in [(XFF, &plain as &dyn Fn(&_) -> String), (FWD, &quoted)] {
                let mut headers = HeaderMap::new();
                for part in chain.chunks(chain.len().div_ceil(lines).max(1)) {
                    let line = part.iter().map(write).collect::<Vec<_>>().join(" , ");
                    let name = name.parse::<HeaderName>().unwrap();
                    headers.append(name, line.parse().unwrap());
                }
                prop_assert_eq!(client(peer, &headers, &trust).address, expected, "{:?}", headers);
            }
        }

        #[test]
        fn hostile_lines_never_panic_and_never_beat_an_untrusted_peer(
            lines in prop::collection::vec(prop::collection::vec(0x20u8..0x7f, 0..80), 0..4),
            forwarded: bool,
        ) {
            let trust = trust();
            let mut headers = HeaderMap::new();
            for line in lines {
                let name = if forwarded { FORWARDED } else { X_FORWARDED_FOR };
                headers.append(name, HeaderValue::from_bytes(&line).unwrap());
            }
            client("127.0.0.1".parse().unwrap(), &headers, &trust);
            let peer = "192.0.2.1".parse().unwrap();
            prop_assert_eq!(client(peer, &headers, &trust).address, peer);
        }
    }

    fn located(address: &str, peer_trusted: bool, lines: &[(&str, &str)]) -> Location {
        let client = Client { address: address.parse().unwrap(), source: ClientSource::Peer };
        locate(&DATABASES, &client, peer_trusted, &headers(lines), &trust())
    }

    #[test]
    fn a_geo_header_counts_only_from_a_trusted_peer_and_only_if_it_names_a_country() {
        use LocationSource::{Database, Header, Unknown};
        let first = "cf-ipcountry";
        let second = "x-client-geo-country";
        for (address, trusted, lines, country, source) in [
            ("8.8.8.8", true, &[][..], Some("US"), Database),
            ("8.8.8.8", false, &[(first, "DE")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "DE")], Some("DE"), Header),
            ("8.8.8.8", true, &[(first, " de ")], Some("DE"), Header),
            ("8.8.8.8", true, &[(first, "US")], Some("US"), Header),
            ("8.8.8.8", true, &[(first, "XX"), (second, "FR")], Some("FR"), Header),
            ("8.8.8.8", true, &[(first, "DE"), (second, "FR")], Some("DE"), Header),
            ("8.8.8.8", true, &[(second, "FR")], Some("FR"), Header),
            ("8.8.8.8", true, &[(first, "XX")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "T1")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "Germany")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "EU")], Some("US"), Database),
            ("8.8.8.8", true, &[(first, "DE"), (first, "FR")], Some("US"), Database),
            ("8.8.8.8", true, &[("x-other", "DE")], Some("US"), Database),
            ("10.0.0.1", true, &[(first, "XK")], Some("XK"), Header),
            ("10.0.0.1", true, &[], None, Unknown),
        ] {
            let location = located(address, trusted, lines);
            let code = location.country.map(|country| country.to_string());
            assert_eq!((code.as_deref(), location.source), (country, source), "{lines:?}");
            let centroid = location.country.and_then(countries::get).map(|facts| facts.centroid);
            assert_eq!(location.coordinates, centroid);
        }
    }
}
