//! Version 1, a line.

use super::super::{Header, Part, ProxyProtocolError as Error};
use super::{assert_reads, assert_refused, between};
use crate::model::limits::PROXY_LINE_BYTES;

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
