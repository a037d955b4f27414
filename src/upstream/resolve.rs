//! From an endpoint's host to the addresses that may be connected to.
//!
//! Literals and the answers of the resolver are judged alike, right before they are used: a name
//! that is resolved again may say something else than when the configuration was checked.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::dial::DialError;
use crate::config::{EndpointUrl, Host};
use crate::model::{limits, refused_address};

/// The addresses of an endpoint in the order to try them, without those in refused networks.
///
/// # Errors
///
/// When the name has no address, or only refused ones.
pub(super) async fn addresses(
    url: &EndpointUrl,
    allowed: &[IpNet],
) -> Result<Addresses, DialError> {
    match &url.host {
        Host::Address(address) => permitted(std::iter::once((*address, url.port).into()), allowed),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((&**name, url.port));
            permitted(found.await.map_err(|source| DialError::Resolve(source.into()))?, allowed)
        }
    }
}

/// Few, and most often one.
pub(super) type Addresses = arrayvec::ArrayVec<SocketAddr, { limits::ADDRESSES_PER_NAME }>;

/// What of the resolver's answer may be connected to.
pub(super) fn permitted(
    found: impl Iterator<Item = SocketAddr>,
    allowed: &[IpNet],
) -> Result<Addresses, DialError> {
    let mut addresses = Addresses::new();
    let mut refused: Option<IpAddr> = None;
    for address in found {
        if refused_address(address.ip(), allowed) {
            refused.get_or_insert(address.ip());
        } else if !addresses.contains(&address) && addresses.try_push(address).is_err() {
            break;
        }
    }
    match refused {
        _ if !addresses.is_empty() => Ok(addresses),
        Some(address) => Err(DialError::Refused(address)),
        None => {
            let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            Err(DialError::Resolve(none.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(found: &[&str], allowed: &[&str]) -> Result<Vec<String>, String> {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let found = found.iter().map(|address| address.parse().unwrap());
        match permitted(found, &allowed) {
            Ok(addresses) => Ok(addresses.iter().map(ToString::to_string).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn refused_addresses_are_left_out_and_alone_are_an_error() {
        let good = ["10.0.0.1:80", "[::1]:80"];
        for found in [
            vec!["169.254.169.254:80", good[0], good[1]],
            vec![good[0], "[::ffff:169.254.169.254]:80", good[1], good[1]],
            vec![good[0], good[1], "0.0.0.0:80"],
        ] {
            assert_eq!(of(&found, &[]).unwrap(), good, "{found:?}");
        }
        for found in ["169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.1.2]:80"] {
            assert!(of(&[found], &[]).unwrap_err().contains("refused"), "{found}");
        }
        let metadata = "169.254.170.2:80";
        assert_eq!(of(&[metadata], &["169.254.170.2/32"]).unwrap(), [metadata]);
        assert!(of(&[], &[]).unwrap_err().contains("address"));
    }

    #[test]
    fn an_endless_answer_is_cut() {
        let many: Vec<String> =
            (0..1_000).map(|i| format!("10.0.{}.{}:1", i / 250, i % 250)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(of(&many, &[]).unwrap().len(), limits::ADDRESSES_PER_NAME);
    }
}
