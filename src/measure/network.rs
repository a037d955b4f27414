//! The network of a client: what stands for clients that share their way to the regions.

use std::net::IpAddr;

use crate::model::limits::{CLIENT_NETWORK_V4, CLIENT_NETWORK_V6};

/// The /24 of an IPv4 address, or the /48 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(u64);

impl Network {
    const V6: u64 = 1 << 63;

    /// The network of an address; IPv4-mapped ones count as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits() >> (32 - CLIENT_NETWORK_V4))),
            IpAddr::V6(address) => {
                Self((address.to_bits() >> (128 - CLIENT_NETWORK_V6)) as u64 | Self::V6)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_a_network_by_24_or_48_bits() {
        for (a, b, same) in [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("192.0.2.1", "::ffff:192.0.2.9", true),
            ("2001:db8:7::1", "2001:db8:7:ffff::1", true),
            ("2001:db8:7::1", "2001:db8:8::1", false),
            ("2001:db8:7::1", "2001:db9:7::1", false),
            ("::1", "0.0.0.0", false),
            ("::1", "0.0.0.1", false),
        ] {
            let [x, y] = [a, b].map(|text| Network::of(text.parse().unwrap()));
            assert_eq!(x == y, same, "{a} {b}");
        }
    }
}
