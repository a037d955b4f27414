//! Any headers, whole and damaged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::super::{Header, SIGNATURE, write};
use super::{
    INET, TCP4, TCP6, assert_reads, inet, inet6, inet6_body, local, value, version_2, with_checksum,
};
use crate::config::ProxyProtocolVersion::{self, V1, V2};
use crate::model::limits::PROXY_LINE_BYTES;

fn an_address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits)));
    let mapped = any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into());
    let few = prop_oneof![Just(0_u128), Just(1), Just(1 << 64)];
    let sparse = few.prop_map(|bits| Ipv6Addr::from(bits).into());
    (prop_oneof![v4, v6, mapped, sparse], any::<u16>()).prop_map(SocketAddr::from)
}

fn a_version() -> impl Strategy<Value = ProxyProtocolVersion> {
    prop_oneof![Just(V1), Just(V2)]
}

fn some_values() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(1_u8), Just(2), Just(4), Just(5), Just(0x30), 0x40_u8..];
    let value_ = (kind, prop::collection::vec(any::<u8>(), 0..60));
    prop::collection::vec(value_, 0..4)
        .prop_map(|all| all.iter().flat_map(|(kind, bytes)| value(*kind, bytes)).collect())
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        version in a_version(), source in an_address(), destination in an_address()
    ) {
        let mut bytes = Vec::new();
        write(version, source, destination, &mut bytes);
        let plain = |address: SocketAddr| {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        };
        let known = !plain(source).ip().is_unspecified() && !plain(destination).ip().is_unspecified();
        let expected = match (version, known) {
            (_, true) => Header {
                source: Some(plain(source)), destination: Some(plain(destination)), local: false,
            },
            (V1, false) => Header::UNKNOWN,
            (V2, false) => local(),
        };
        assert_reads(&bytes, expected);
        prop_assert!(bytes.len() <= PROXY_LINE_BYTES);
    }

    #[test]
    fn any_values_behind_the_addresses_change_nothing(
        six in any::<bool>(), before in some_values(), behind in some_values()
    ) {
        let (family, addresses, header) =
            if six { (TCP6, inet6_body(), inet6()) } else { (TCP4, INET.to_vec(), inet()) };
        assert_reads(&with_checksum(1, family, &addresses, &before, &behind), header);
        assert_reads(&version_2(1, family, &[addresses, before, behind].concat()), header);
    }

    /// The family is told by one byte. Changed as a whole from IPv4 to IPv6 it can make addresses of
    /// the very checksum; nothing in the protocol could show that. One bit of it cannot.
    #[test]
    fn a_damaged_header_with_a_checksum_is_never_one_about_somebody_else(
        six in any::<bool>(), before in some_values(), behind in some_values(),
        at in any::<prop::sample::Index>(), by in 1_u8..,
    ) {
        let (family, addresses, header) =
            if six { (TCP6, inet6_body(), inet6()) } else { (TCP4, INET.to_vec(), inet()) };
        let mut bytes = with_checksum(1, family, &addresses, &before, &behind);
        let at = at.index(bytes.len());
        bytes[at] ^= if at == 13 { 1 << (by % 8) } else { by };
        if let Ok(Some((damaged, _))) = Header::read(&bytes) {
            prop_assert!(damaged.source.is_none() || damaged == header, "byte {at}: {damaged:?}");
        }
    }

    /// More bytes never change what was said of fewer.
    #[test]
    fn an_answer_is_final(
        start in prop_oneof![
            Just(b"PROXY TCP4 1.2.3.4 ".to_vec()), Just(b"PROXY UNKNOWN".to_vec()),
            Just(version_2(1, TCP4, &INET)), Just(SIGNATURE.to_vec()), Just(Vec::new()),
            Just([&SIGNATURE[..], &[0x21, 0x11, 0]].concat()),
        ],
        rest in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300), "[0-9. ]{0,20}\r?\n?".prop_map(Vec::from),
        ],
    ) {
        let bytes = [start, rest].concat();
        let mut before = Ok(None);
        for length in 0..=bytes.len() {
            let now = Header::read(&bytes[..length]);
            if before != Ok(None) {
                prop_assert_eq!(now, before, "{} bytes", length);
            }
            if let Ok(Some((header, taken))) = now {
                prop_assert!(taken <= length);
                prop_assert_eq!(header.source.is_some(), header.destination.is_some());
            }
            before = now;
        }
    }
}
