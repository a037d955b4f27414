//! Which fields a message has, found in one pass: a look-up of each would hash a name each.

use http::{HeaderMap, HeaderName};

/// Fields that Rhumb cares about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present {
    pub(super) hosts: u32,
    pub(super) codings: u32,
    pub(super) connection: bool,
    pub(super) te: bool,
    pub(super) rare_hop: bool,
    pub(super) forwarded_for: bool,
    pub(super) forwarded_proto: bool,
    pub(super) forwarded_host: bool,
    pub(super) forwarded: bool,
    pub(super) request_id: bool,
    pub(super) expect: bool,
    lengths: u64,
}

impl Present {
    /// Looks at every field once.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, _) in headers {
            let name = name.as_str();
            present.lengths |= length_bit(name);
            match name {
                "host" => present.hosts += 1,
                "connection" => present.connection = true,
                "te" => present.te = true,
                "expect" => present.expect = true,
                "transfer-encoding" => {
                    present.codings += 1;
                    present.rare_hop = true;
                }
                "keep-alive"
                | "proxy-connection"
                | "upgrade"
                | "proxy-authenticate"
                | "proxy-authorization" => present.rare_hop = true,
                "x-forwarded-for" => present.forwarded_for = true,
                "x-forwarded-proto" => present.forwarded_proto = true,
                "x-forwarded-host" => present.forwarded_host = true,
                "forwarded" => present.forwarded = true,
                "x-request-id" => present.request_id = true,
                _ => {}
            }
        }
        present
    }

    /// False if there is certainly no field of that name: no name is as long.
    pub(super) fn may_have(&self, name: &HeaderName) -> bool {
        self.lengths & length_bit(name.as_str()) != 0
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
