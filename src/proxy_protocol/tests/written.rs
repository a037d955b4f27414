//! What is written for the endpoints of a region.

use super::super::write;
use super::{INET, TCP4, TCP6, inet6_body, version_2};
use crate::config::ProxyProtocolVersion::{V1, V2};

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
