//! Headers as the specification has them, as HAProxy sends them, and as nobody should.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::{Header, Looks, Part, ProxyProtocolError as Error, SIGNATURE, starts_like, write};
use crate::config::ProxyProtocolVersion::{self, V1, V2};
use crate::model::limits::{PROXY_HEADER_BYTES, PROXY_LINE_BYTES};

const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

fn between(source: &str, destination: &str) -> Header {
    Header {
        source: Some(source.parse().unwrap()),
        destination: Some(destination.parse().unwrap()),
        local: false,
    }
}

fn local() -> Header {
    Header { local: true, ..Header::UNKNOWN }
}

/// Version 2 with this command, family and body.
fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

/// 192.0.2.1:4660 to 198.51.100.2:443.
const INET: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 1, 187];

fn inet() -> Header {
    between("192.0.2.1:4660", "198.51.100.2:443")
}

/// 2001:db8::1 port 4660 to 2001:db8::2 port 443.
fn inet6_body() -> Vec<u8> {
    let mut body = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets().to_vec();
    body.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
    body.extend([0x12, 0x34, 1, 187]);
    body
}

fn inet6() -> Header {
    between("[2001:db8::1]:4660", "[2001:db8::2]:443")
}

fn value(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut value = vec![kind];
    value.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    value.extend(bytes);
    value
}

/// CRC-32C bit by bit: another way than the code's.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// The header with a checksum between `before` and `behind`.
fn with_checksum(
    command: u8,
    family: u8,
    addresses: &[u8],
    before: &[u8],
    behind: &[u8],
) -> Vec<u8> {
    let body = [addresses, before, &value(3, &[0; 4]), behind].concat();
    let mut header = version_2(command, family, &body);
    let crc = crc32c(&header).to_be_bytes();
    let at = header.len() - behind.len() - 4;
    header[at..at + 4].copy_from_slice(&crc);
    header
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// It is that header, at any length and whatever comes behind, and no part of it is.
fn assert_reads(bytes: &[u8], header: Header) {
    let shown = bytes.escape_ascii();
    assert_eq!(Header::read(bytes), Ok(Some((header, bytes.len()))), "{shown}");
    for behind in [&b"GET / HTTP/1.1\r\n\r\n"[..], SIGNATURE, b"\n", &[0; 8192]] {
        let more = [bytes, behind].concat();
        assert_eq!(Header::read(&more), Ok(Some((header, bytes.len()))), "{shown} and more");
    }
    for length in 0..bytes.len() {
        assert_eq!(Header::read(&bytes[..length]), Ok(None), "{length} bytes of {shown}");
        assert_ne!(starts_like(&bytes[..length]), Looks::No, "{length} bytes of {shown}");
    }
    assert_eq!(starts_like(bytes), Looks::Yes, "{shown}");
}

#[track_caller]
fn assert_refused(bytes: &[u8], error: Error) {
    assert_eq!(Header::read(bytes), Err(error), "{}", bytes.escape_ascii());
}

#[test]
fn lines_of_version_1() {
    let table: &[(&str, Header)] = &[
        // The specification's example, and its longest lines.
        (
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            between("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            between("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            between(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("PROXY UNKNOWN\r\n", Header::UNKNOWN),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Header::UNKNOWN,
        ),
        // What stands behind UNKNOWN is passed over, whatever it is.
        ("PROXY UNKNOWN \r\n", Header::UNKNOWN),
        ("PROXY UNKNOWN TCP4 1.2.3.4 \0 \u{e9}\r\n", Header::UNKNOWN),
        // All ports are ports; hexadecimal digits are of either case; zeros can be left out.
        ("PROXY TCP4 0.0.0.0 10.0.0.1 0 0\r\n", between("0.0.0.0:0", "10.0.0.1:0")),
        ("PROXY TCP6 2001:DB8::a ::1 1 2\r\n", between("[2001:db8::a]:1", "[::1]:2")),
        ("PROXY TCP6 :: 1::2:3 1 2\r\n", between("[::]:1", "[1::2:3]:2")),
        // IPv4 is IPv4, also where one of the two is not.
        ("PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", between("1.2.3.4:1", "[::1]:2")),
        ("PROXY TCP6 ::ffff:102:304 ::ffff:1.2.3.5 1 2\r\n", between("1.2.3.4:1", "1.2.3.5:2")),
    ];
    for (line, header) in table {
        assert_reads(line.as_bytes(), *header);
    }
    let longest = table.iter().map(|(line, _)| line.len()).max();
    assert_eq!(longest, Some(PROXY_LINE_BYTES));
}

#[test]
fn lines_of_version_1_that_are_none() {
    let part = |part| Error::Part(part);
    let table: &[(&str, Error)] = &[
        ("PROXY \r\n", part(Part::Family)),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Family)),
        ("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Error::NotAHeader),
        ("PROXYxTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Error::NotAHeader),
        ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Error::NotAHeader),
        ("\r\nPROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Error::NotAHeader),
        ("PROXY TCP4\r\n", part(Part::Family)),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Family)),
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Family)),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Family)),
        ("PROXY UNKNOWNx\r\n", part(Part::Family)),
        ("PROXY UNKNOWN\t1\r\n", part(Part::Family)),
        ("PROXY TCP4\u{e9} 1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Family)),
        // Addresses of the other family, or of none.
        ("PROXY TCP4 ::1 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.4 ::1 1 2\r\n", part(Part::Destination)),
        ("PROXY TCP6 1.2.3.4 ::1 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 ::1 1.2.3.4 1 2\r\n", part(Part::Destination)),
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 16909060 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.4 localhost 1 2\r\n", part(Part::Destination)),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", part(Part::Destination)),
        ("PROXY TCP4 1.2.3.4:80 1.2.3.4 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 fe80::1%2 ::1 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 1::2::3 ::1 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 12345::1 ::1 1 2\r\n", part(Part::Source)),
        ("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", part(Part::Source)),
        // Ports.
        ("PROXY TCP4 1.2.3.4 1.2.3.4\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", part(Part::DestinationPort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 \r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", part(Part::DestinationPort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n", part(Part::DestinationPort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 99999999999999999999\r\n", part(Part::DestinationPort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2\r\n", part(Part::SourcePort)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", part(Part::End)),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", part(Part::End)),
        // CR and LF end a line together or not at all.
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Error::Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n", Error::Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", Error::Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rG", Error::Line),
        ("PROXY UNKNOWN\rG", Error::Line),
        ("PROXY UNKNOWN\nGET / HTTP/1.1\r\n", Error::Line),
    ];
    for (line, error) in table {
        assert_refused(line.as_bytes(), *error);
    }
}

#[test]
fn a_line_ends_within_its_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}", "x".repeat(length - 14)).into_bytes();
    assert_reads(&[&line(105)[..], b"\r\n"].concat(), Header::UNKNOWN);
    assert_refused(&[&line(106)[..], b"\r\n"].concat(), Error::Line);
    assert_refused(&[&line(106)[..], b"\r"].concat(), Error::Line);
    assert_refused(&line(107), Error::Line);
    assert_refused(&line(5_000), Error::Line);
    assert_eq!(Header::read(&line(106)), Ok(None));
}

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

#[test]
fn the_first_bytes_tell_a_header_from_everything_else() {
    for (bytes, looks) in [
        (&b""[..], Looks::Maybe),
        (b"P", Looks::Maybe),
        (b"PR", Looks::Maybe),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Looks::No),
        (b"PRO", Looks::Maybe),
        (b"PROPFIND / HTTP/1.1\r\n", Looks::No),
        (b"PROXY", Looks::Maybe),
        (b"PROXY ", Looks::Yes),
        (b"PROXY / HTTP/1.1\r\n", Looks::Yes),
        (b"PROXYING / HTTP/1.1\r\n", Looks::No),
        (b"POST / HTTP/1.1\r\n", Looks::No),
        (b"\r\n", Looks::Maybe),
        (b"\r\n\r\n", Looks::Maybe),
        (b"\r\n\r\n\0\r\nQUIT", Looks::Maybe),
        (b"\r\n\r\n\0\r\nQUIT\n", Looks::Yes),
        (b"\r\n\r\nGET / HTTP/1.1\r\n", Looks::No),
        (b"\r\nGET / HTTP/1.1\r\n", Looks::No),
        (b"GET / HTTP/1.1\r\n", Looks::No),
        (b"\x16\x03\x01\x02\x00\x01\x00", Looks::No),
        (b"\0", Looks::No),
    ] {
        assert_eq!(starts_like(bytes), looks, "{}", bytes.escape_ascii());
    }
}

/// Recorded from HAProxy 2.6 with the option that each line names.
#[test]
fn headers_that_haproxy_sends() {
    let loopback = "00000000000000000000000000000001";
    let signature = "0d0a0d0a000d0a515549540a";
    let table: &[(&str, String, Header)] = &[
        (
            "send-proxy",
            "50524f58592054435034203132372e302e302e31203132372e302e302e312033323933362031383330300d0a".to_owned(),
            between("127.0.0.1:32936", "127.0.0.1:18300"),
        ),
        (
            "send-proxy, IPv6",
            "50524f58592054435036203a3a31203a3a312033383538302031383330300d0a".to_owned(),
            between("[::1]:38580", "[::1]:18300"),
        ),
        (
            "send-proxy-v2",
            format!("{signature}2111000c7f0000017f000001da90477d"),
            between("127.0.0.1:55952", "127.0.0.1:18301"),
        ),
        (
            "send-proxy-v2, IPv6",
            format!("{signature}21210024{loopback}{loopback}9658477d"),
            between("[::1]:38488", "[::1]:18301"),
        ),
        (
            "send-proxy-v2-ssl-cn, clear text",
            format!("{signature}211100147f0000017f000001a2d8477e2000050000000000"),
            between("127.0.0.1:41688", "127.0.0.1:18302"),
        ),
        (
            "send-proxy-v2-ssl-cn, TLS",
            format!(
                "{signature}2111002f7f0000017f000001cbb047e22000200700000000210007544c5376312e3322000e636c69656e742e6578616d706c65"
            ),
            between("127.0.0.1:52144", "127.0.0.1:18402"),
        ),
        (
            "all of proxy-v2-options, clear text",
            format!(
                "{signature}2111002b7f0000017f000001e4bc477f0300047a6475bb05000d37463030303030313a453442432000050000000000"
            ),
            between("127.0.0.1:58556", "127.0.0.1:18303"),
        ),
        (
            "all of proxy-v2-options, IPv6",
            format!(
                "{signature}2121005b{loopback}{loopback}8eb2477f0300045507e0ea05002530303030303030303030303030303030303030303030303030303030303030313a384542322000050000000000"
            ),
            between("[::1]:36530", "[::1]:18303"),
        ),
        (
            "all of proxy-v2-options, TLS",
            format!(
                "{signature}211100857f0000017f000001b1e447e3030004f863e83002000c656467652e6578616d706c6505000d37463030303030313a423145342000500700000000210007544c5376312e3322000e636c69656e742e6578616d706c652500075253413230343824000a5253412d534841323536230016544c535f4145535f3235365f47434d5f534841333834"
            ),
            between("127.0.0.1:45540", "127.0.0.1:18403"),
        ),
        (
            "proxy-v2-options crc32c, a health check",
            format!("{signature}20000007030004a9b87e8f"),
            local(),
        ),
        (
            "send-proxy, a health check",
            "50524f58592054435034203132372e302e302e31203132372e302e302e312035373034362034373430310d0a".to_owned(),
            between("127.0.0.1:57046", "127.0.0.1:47401"),
        ),
    ];
    for (name, bytes, header) in table {
        let bytes = hex(bytes);
        assert_eq!(Header::read(&bytes), Ok(Some((*header, bytes.len()))), "{name}");
        assert_reads(&bytes, *header);
    }
}

#[test]
fn headers_that_are_written() {
    let written = |version, source: &str, destination: &str| {
        let mut out = b"before".to_vec();
        write(version, source.parse().unwrap(), destination.parse().unwrap(), &mut out);
        out.strip_prefix(b"before").unwrap().to_vec()
    };
    for (source, destination, line) in [
        ("192.0.2.1:4660", "198.51.100.2:443", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n"),
        (
            "[2001:db8::1]:4660",
            "[2001:db8::2]:443",
            "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n",
        ),
        ("[fe80::1%7]:1", "[::1]:2", "PROXY TCP6 fe80::1 ::1 1 2\r\n"),
        ("192.0.2.1:1", "[2001:db8::2]:2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"),
        ("[2001:db8::1]:1", "192.0.2.2:2", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 1 2\r\n"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.2:2", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("0.0.0.0:1", "192.0.2.2:2", "PROXY UNKNOWN\r\n"),
        ("[2001:db8::1]:1", "[::]:2", "PROXY UNKNOWN\r\n"),
        ("[::ffff:0.0.0.0]:1", "192.0.2.2:2", "PROXY UNKNOWN\r\n"),
    ] {
        assert_eq!(
            written(V1, source, destination).escape_ascii().to_string(),
            line.escape_default().to_string()
        );
    }
    let binary = |source, destination| written(V2, source, destination);
    assert_eq!(binary("192.0.2.1:4660", "198.51.100.2:443"), version_2(1, TCP4, &INET));
    let both = binary("[2001:db8::1]:4660", "[2001:db8::2]:443");
    assert_eq!(both, version_2(1, TCP6, &inet6_body()));
    assert_eq!(binary("0.0.0.0:1", "192.0.2.2:2"), version_2(0, 0, &[]));
    assert_eq!(binary("192.0.2.2:1", "[::]:0"), version_2(0, 0, &[]));
}

#[test]
fn an_error_says_what_was_wrong() {
    for (bytes, words) in [
        (&b"GET"[..], "does not start with a PROXY protocol header"),
        (b"PROXY TCP4 x y 1 2\r\n", "the source address in a PROXY"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "65551 bytes; at most 4096"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x41", "unknown kind, 0x41"),
    ] {
        let error = Header::read(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

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
