//! Headers as the specification has them, as HAProxy sends them, and as nobody should.

mod binary;
mod properties;
mod text;
mod written;

use std::net::Ipv6Addr;

use super::{Header, Looks, ProxyProtocolError as Error, SIGNATURE, starts_like};

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
