//! Networks in which no endpoint lies by default: whoever can say where an origin is, in a file or
//! in the DNS, must not reach what only the host itself should, such as a cloud's metadata.
//!
//! Loopback and private networks are not among them: that is where origins usually are. Not here:
//! reading addresses, resolving names, and what becomes of an endpoint that is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The networks, and what is there.
const REFUSED: [(IpNet, &str); 11] = [
    (v4([169, 254, 0, 0], 16), "link-local addresses, such as a cloud's metadata"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local addresses"),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254], 128), "the metadata of AWS"),
    (v4([100, 100, 100, 200], 32), "the metadata of Alibaba Cloud"),
    (v4([168, 63, 129, 16], 32), "the metadata and platform services of Azure"),
    (v4([192, 0, 0, 192], 32), "the metadata of Oracle Cloud"),
    (v4([0, 0, 0, 0], 8), "this host itself"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "this host itself"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
];

/// IPv6 networks whose addresses stand for IPv4 ones.
const CARRIERS: [IpNet; 4] = [
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length))
}

/// A network that is refused by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedNetwork {
    /// The network.
    pub network: IpNet,
    /// What is there, for people.
    pub what: &'static str,
}

/// Whether no endpoint may have this address, unless it lies in one of the `allowed` networks.
///
/// An IPv6 address that stands for an IPv4 address is judged by both.
pub fn refused_address(address: IpAddr, allowed: &[IpNet]) -> bool {
    refused_network(address, allowed).is_some()
}

/// The same, and which network it is.
pub fn refused_network(address: IpAddr, allowed: &[IpNet]) -> Option<RefusedNetwork> {
    // The kernel itself takes a mapped address for the one of IPv4.
    let address = address.to_canonical();
    let forms = [Some(address), embedded(address)];
    let within = |net: &IpNet| forms.iter().flatten().any(|form| net.contains(form));
    let (network, what) = *REFUSED.iter().find(|(net, _)| within(net))?;
    (!allowed.iter().any(within)).then_some(RefusedNetwork { network, what })
}

/// Whether any address in the network is refused by default.
pub fn is_ever_refused(network: IpNet) -> bool {
    let overlaps = |other: &IpNet| network.contains(other) || other.contains(&network);
    REFUSED.iter().any(|(net, _)| overlaps(net)) || CARRIERS.iter().any(overlaps)
}

/// The IPv4 address that packets to an IPv6 address may end at, by way of a translator or tunnel.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let (high, low) = match address.segments() {
        // NAT64 (RFC 6052 section 2.1; RFC 8215, with the longest of its prefixes).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, .., high, low] => (high, low),
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => (high, low),
        // "IPv4-compatible" (RFC 4291 section 2.5.5.1); `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => (high, low),
        _ => return None,
    };
    Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        refused_address(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn the_networks_begin_and_end_where_they_should() {
        for (inside, outside) in [
            ("169.254.0.0", "169.253.255.255"),
            ("169.254.169.254", "169.255.0.0"),
            ("0.0.0.0", "1.0.0.0"),
            ("0.255.255.255", "10.0.0.1"),
            ("224.0.0.0", "223.255.255.255"),
            ("239.255.255.255", "240.0.0.0"),
            ("255.255.255.255", "255.255.255.254"),
            ("100.100.100.200", "100.100.100.201"),
            ("168.63.129.16", "168.63.129.17"),
            ("192.0.0.192", "192.0.0.191"),
            ("fe80::1", "fe7f:ffff::1"),
            ("febf:ffff::1", "fec0::1"),
            ("fd00:ec2::254", "fd00:ec2::253"),
            ("::", "::1"),
            ("ff02::1", "feff::1"),
            // Where origins usually are.
            ("169.254.170.2", "127.0.0.1"),
            ("169.254.170.23", "192.168.1.1"),
            ("169.254.1.1", "172.16.0.1"),
            ("fe80::", "fd00::1"),
        ] {
            assert!(refused(inside, &[]), "{inside}");
            assert!(!refused(outside, &[]), "{outside}");
        }
    }

    #[test]
    fn forms_of_an_ipv4_address_are_that_address() {
        for form in [
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:2:3:4:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2002:a9fe:a9fe:ffff::7",
            "::169.254.169.254",
        ] {
            assert!(refused(form, &[]), "{form}");
            assert!(refused(form, &["169.254.170.2/32"]), "{form}");
            assert!(!refused(form, &["169.254.169.254/32"]), "{form}");
            let harmless = form.replace("169.254.169.254", "10.1.2.3").replace("a9fe", "a01");
            assert!(!refused(&harmless, &[]), "{harmless}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_no_more() {
        let allowed = ["169.254.170.2/32", "fe80::/64"];
        assert!(!refused("169.254.170.2", &allowed));
        assert!(refused("169.254.170.3", &allowed));
        assert!(!refused("fe80::5", &allowed));
        assert!(refused("fe80:1::5", &allowed));
        assert!(!refused("64:ff9b::169.254.169.254", &["64:ff9b::/96"]), "named as it is written");
        assert!(refused("::ffff:169.254.169.254", &["::/0"]), "that is an address of IPv4");
        assert!(!refused("10.0.0.1", &["192.0.2.0/24"]), "the list only adds");
    }

    #[test]
    fn which_network_it_is_is_told() {
        let found = refused_network("2002:a9fe:a9fe::".parse().unwrap(), &[]).unwrap();
        assert_eq!(found.network.to_string(), "169.254.0.0/16");
        assert!(found.what.contains("metadata"));
    }

    proptest! {
        #[test]
        fn every_form_is_judged_like_the_address_itself(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let itself = refused_address(IpAddr::V4(v4), &[]);
            for form in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(refused_address(IpAddr::V6(form), &[]), itself, "{}", form);
            }
        }
    }
}
