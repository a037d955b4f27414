//! Addresses that are on no map: private, local, documentation, multicast, reserved.
//!
//! After IANA's special-purpose address registries (RFC 6890 and its successors). Databases made
//! from registry data do place some of them (one has 192.168.0.0/16 in Australia), so the answer
//! for these does not come from a database. IPv6 is turned around: only 2000::/3 is in use for
//! global unicast, so everything else is special.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 addresses at which special addresses begin or end, ascending.
pub(super) const IPV4_EDGES: [u32; 24] = [
    edge(1, 0, 0),
    edge(10, 0, 0),
    edge(11, 0, 0),
    edge(100, 64, 0),
    edge(100, 128, 0),
    edge(127, 0, 0),
    edge(128, 0, 0),
    edge(169, 254, 0),
    edge(169, 255, 0),
    edge(172, 16, 0),
    edge(172, 32, 0),
    edge(192, 0, 0),
    edge(192, 0, 1),
    edge(192, 0, 2),
    edge(192, 0, 3),
    edge(192, 168, 0),
    edge(192, 169, 0),
    edge(198, 18, 0),
    edge(198, 20, 0),
    edge(198, 51, 100),
    edge(198, 51, 101),
    edge(203, 0, 113),
    edge(203, 0, 114),
    edge(224, 0, 0),
];

const fn edge(a: u8, b: u8, c: u8) -> u32 {
    u32::from_be_bytes([a, b, c, 0])
}

/// Whether no place can be right for `address`; IPv4-mapped IPv6 must be unmapped before.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => ipv4(address),
        IpAddr::V6(address) => ipv6(address),
    }
}

fn ipv4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127 | 224..=255, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    }
}

fn ipv6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [first, ..] if first >> 13 != 1 => true,
        // Documentation (RFC 3849, RFC 9637) and benchmarks (RFC 5180).
        [0x2001, 0x0db8, ..] | [0x2001, 2, 0, ..] => true,
        [0x3fff, second, ..] => second < 0x1000,
        // ORCHID and its successors: identifiers, not places (RFC 4843, RFC 7343).
        [0x2001, second, ..] => matches!(second & 0xfff0, 0x10 | 0x20 | 0x30),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_where_networks_of_24_bits_change() {
        let special = |net: u32| ipv4(Ipv4Addr::from_bits(net << 8));
        let edges = (1..1 << 24).filter(|net| special(*net) != special(net - 1));
        assert!(edges.map(|net| net << 8).eq(IPV4_EDGES));
    }

    #[test]
    fn blocks_begin_and_end_where_the_registries_say() {
        for (inside, outside) in [
            ("0.255.255.255", "1.0.0.0"),
            ("10.0.0.0", "9.255.255.255"),
            ("10.255.255.255", "11.0.0.0"),
            ("100.64.0.0", "100.63.255.255"),
            ("100.127.255.255", "100.128.0.0"),
            ("127.0.0.1", "126.255.255.255"),
            ("169.254.0.0", "169.253.255.255"),
            ("172.16.0.0", "172.15.255.255"),
            ("172.31.255.255", "172.32.0.0"),
            ("192.0.0.1", "192.0.1.1"),
            ("192.0.2.255", "192.0.3.0"),
            ("192.168.0.0", "192.167.255.255"),
            ("198.18.0.0", "198.17.255.255"),
            ("198.19.255.255", "198.20.0.0"),
            ("198.51.100.7", "198.51.101.0"),
            ("203.0.113.7", "203.0.114.0"),
            ("224.0.0.0", "223.255.255.255"),
            ("255.255.255.255", "8.8.8.8"),
            ("::1", "2000::"),
            ("1fff:ffff::", "2001:4860:4860::8888"),
            ("4000::", "3ffe::"),
            ("2001:db8::", "2001:db7:ffff::"),
            ("2001:db8:ffff::", "2001:db9::"),
            ("2001:2::", "2001:2:1::"),
            ("3fff:fff::", "3fff:1000::"),
            ("2001:1f::", "2001:f::"),
            ("fe80::1", "2a00::"),
            ("fc00::1", "2600::"),
            ("ff02::1", "2c00::"),
        ] {
            assert!(is_special(inside.parse().unwrap()), "{inside}");
            assert!(!is_special(outside.parse().unwrap()), "{outside}");
        }
    }
}
