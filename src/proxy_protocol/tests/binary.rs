//! Version 2, in binary.

use std::net::Ipv4Addr;

use super::super::{Header, ProxyProtocolError as Error, SIGNATURE};
use super::{
    INET, TCP4, TCP6, assert_reads, assert_refused, inet, inet6, inet6_body, local, value,
    version_2, with_checksum,
};
use crate::model::limits::PROXY_HEADER_BYTES;

#[test]
fn headers_of_version_2() {
    let unix = [0; 216];
    let with = |addresses: &[u8], kind, bytes: &[u8]| [addresses, &value(kind, bytes)].concat();
    let tls = [&[7, 0, 0, 0, 0], &value(0x21, b"TLSv1.3")[..], &value(0x22, b"cn")].concat();
    let table: &[(Vec<u8>, Header)] = &[
        (version_2(1, TCP4, &INET), inet()),
        (version_2(1, TCP6, &inet6_body()), inet6()),
        // Datagrams have the same addresses.
        (version_2(1, 0x12, &INET), inet()),
        (version_2(1, 0x22, &inet6_body()), inet6()),
        // No address that means anything here.
        (version_2(1, 0, &[]), Header::UNKNOWN),
        (version_2(1, 0x31, &unix), Header::UNKNOWN),
        (version_2(1, 0x32, &unix), Header::UNKNOWN),
        (version_2(1, 0x31, &with(&unix, 4, b"")), Header::UNKNOWN),
        (version_2(1, 0, &value(4, b"abc")), Header::UNKNOWN),
        // A peer that speaks for itself: the rest is skipped, even if it is nonsense.
        (version_2(0, 0, &[]), local()),
        (version_2(0, TCP4, &INET), local()),
        (version_2(0, TCP6, &INET), local()),
        (version_2(0, 0xff, &[1, 2, 3]), local()),
        (version_2(0, 0, &[1]), local()),
        (version_2(0, TCP4, &with(&INET, 5, &[0; 129])), local()),
        // Values, known and unknown.
        (version_2(1, TCP4, &with(&INET, 1, b"h2")), inet()),
        (version_2(1, TCP4, &with(&INET, 1, &[b'x'; 255])), inet()),
        (version_2(1, TCP4, &with(&INET, 2, &[b'x'; 255])), inet()),
        (version_2(1, TCP4, &with(&INET, 4, &[])), inet()),
        (version_2(1, TCP4, &with(&INET, 5, &[1; 128])), inet()),
        (version_2(1, TCP4, &with(&INET, 0x20, &tls)), inet()),
        (version_2(1, TCP4, &with(&INET, 0x20, &[0; 5])), inet()),
        (version_2(1, TCP4, &with(&INET, 0x30, b"blue")), inet()),
        (version_2(1, TCP4, &with(&INET, 0xea, b"\x01vpce-08d2bf15fac5001c9")), inet()),
        (version_2(1, TCP4, &with(&INET, 0xff, b"")), inet()),
        (version_2(1, TCP4, &with(&INET, 4, &[0; PROXY_HEADER_BYTES - 31])), inet()),
        // Checksums, wherever they stand.
        (with_checksum(1, TCP4, &INET, &[], &[]), inet()),
        (with_checksum(1, TCP4, &INET, &value(1, b"h2"), &value(4, &[0; 9])), inet()),
        (with_checksum(1, TCP6, &inet6_body(), &[], &value(2, b"a.example")), inet6()),
        (with_checksum(0, 0, &[], &[], &[]), local()),
        // IPv4 is IPv4.
        (
            version_2(
                1,
                TCP6,
                &[
                    &Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets()[..],
                    &Ipv4Addr::new(198, 51, 100, 2).to_ipv6_mapped().octets(),
                    &[0x12, 0x34, 1, 187],
                ]
                .concat(),
            ),
            inet(),
        ),
    ];
    for (bytes, header) in table {
        assert_reads(bytes, *header);
    }
}

#[test]
fn headers_of_version_2_that_are_none() {
    let with = |kind, bytes: &[u8]| version_2(1, TCP4, &[&INET[..], &value(kind, bytes)].concat());
    let wrong = |kind| Error::Value { kind };
    let cut = |kind: u8, rest: &[u8]| version_2(1, TCP4, &[&INET[..], &[kind], rest].concat());
    let other_version = |byte| [&SIGNATURE[..], &[byte, TCP4, 0, 12], &INET].concat();
    let mut table = vec![
        (other_version(0x01), Error::Version(0)),
        (other_version(0x11), Error::Version(1)),
        (other_version(0x31), Error::Version(3)),
        (other_version(0xf1), Error::Version(15)),
        (version_2(1, TCP4, &[]), Error::Addresses { bytes: 0, needed: 12 }),
        (version_2(1, TCP4, &INET[..11]), Error::Addresses { bytes: 11, needed: 12 }),
        (version_2(1, TCP6, &inet6_body()[..35]), Error::Addresses { bytes: 35, needed: 36 }),
        (version_2(1, TCP6, &INET), Error::Addresses { bytes: 12, needed: 36 }),
        (version_2(1, 0x31, &[0; 215]), Error::Addresses { bytes: 215, needed: 216 }),
        // Values that are cut off, and lengths that cannot be.
        (cut(4, &[]), wrong(4)),
        (cut(4, &[0]), wrong(4)),
        (cut(4, &[0, 1]), wrong(4)),
        (cut(0xea, &[255, 255, 1, 2, 3]), wrong(0xea)),
        (cut(0, &[]), wrong(0)),
        (version_2(1, 0, &[9]), wrong(9)),
        (with(3, &[]), wrong(3)),
        (with(3, &[1, 2, 3]), wrong(3)),
        (with(3, &[1, 2, 3, 4, 5]), wrong(3)),
        (with(1, &[b'x'; 256]), wrong(1)),
        (with(2, &[b'x'; 256]), wrong(2)),
        (with(5, &[1; 129]), wrong(5)),
        (with(0x20, &[0; 4]), wrong(0x20)),
        (with(0x20, &[0, 0, 0, 0, 0, 0x22]), wrong(0x22)),
        (with(0x20, &[0, 0, 0, 0, 0, 0x22, 0, 3, 1, 2]), wrong(0x22)),
        (with(4, &[0; PROXY_HEADER_BYTES - 30]), Error::TooLong { bytes: PROXY_HEADER_BYTES + 1 }),
        (version_2(0, 0, &[0; 65_535]), Error::TooLong { bytes: 65_551 }),
        // Checksums.
        (with(3, &[1, 2, 3, 4]), Error::Checksum),
        (with_checksum(1, TCP4, &INET, &value(3, &[0; 4]), &[]), Error::Checksums),
        (version_2(0, 0, &value(3, &[1, 2, 3, 4])), Error::Checksum),
        (version_2(0, TCP4, &[&INET[..], &value(3, &[0; 4])].concat()), Error::Checksum),
    ];
    table.extend((2..16).map(|command| (version_2(command, TCP4, &INET), Error::Command(command))));
    let known = [0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32];
    let unknown = (0..=255).filter(|family| !known.contains(family));
    table.extend(unknown.map(|family| (version_2(1, family, &[0; 300]), Error::Family(family))));
    for (bytes, error) in table {
        assert_refused(&bytes, error);
        // It is not forgiven for what comes behind.
        assert_refused(&[&bytes[..], b"GET / HTTP/1.1\r\n\r\n"].concat(), error);
    }
}

#[test]
fn what_cannot_become_a_header_is_refused_before_the_rest_of_it_comes() {
    assert_refused(b"G", Error::NotAHeader);
    assert_refused(b"\x16\x03\x01", Error::NotAHeader);
    assert_refused(b"PR\r", Error::NotAHeader);
    let signature = |more: &[u8]| [&SIGNATURE[..], more].concat();
    assert_refused(&signature(&[0x11]), Error::Version(1));
    assert_refused(&signature(&[0x22]), Error::Command(2));
    assert_refused(&signature(&[0x21, 0x41]), Error::Family(0x41));
    assert_refused(&signature(&[0x21, 0x11, 0xff, 0xff]), Error::TooLong { bytes: 65_551 });
}
