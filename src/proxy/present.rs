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
    /// A word of a request about its region.
    pub(super) word: bool,
    /// What a response says to Rhumb, or Rhumb about its decision.
    pub(super) told: bool,
    lengths: u64,
}

impl Present {
    /// Looks at every field once.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, _) in headers {
            let name = name.as_str();
            present.lengths |= length_bit(name);
            // By length first: most names end there.
            match name.len() {
                2 => present.te |= name == "te",
                4 => present.hosts += u32::from(name == "host"),
                6 => present.expect |= name == "expect",
                7 => present.rare_hop |= name == "upgrade",
                9 => present.forwarded |= name == "forwarded",
                10 => {
                    present.connection |= name == "connection";
                    present.rare_hop |= name == "keep-alive";
                }
                12 => {
                    present.request_id |= name == "x-request-id";
                    present.told |= name == "rhumb-replay";
                }
                15 => {
                    present.forwarded_for |= name == "x-forwarded-for";
                    present.word |= name == "x-rhumb-explain";
                }
                16 => {
                    present.forwarded_host |= name == "x-forwarded-host";
                    present.rare_hop |= name == "proxy-connection";
                    present.told |= name == "x-rhumb-decision";
                }
                17 => {
                    present.forwarded_proto |= name == "x-forwarded-proto";
                    if name == "transfer-encoding" {
                        present.codings += 1;
                        present.rare_hop = true;
                    }
                }
                18 => present.rare_hop |= name == "proxy-authenticate",
                19 => present.rare_hop |= name == "proxy-authorization",
                20 => present.word |= name == "x-rhumb-force-region",
                21 => present.word |= name == "x-rhumb-prefer-region",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that is filed under the wrong length would never be found.
    #[test]
    fn every_field_is_found_by_its_name() {
        type Read = fn(&Present) -> bool;
        let fields: [(&'static str, Read); 21] = [
            ("te", |p| p.te),
            ("host", |p| p.hosts == 1),
            ("expect", |p| p.expect),
            ("upgrade", |p| p.rare_hop),
            ("forwarded", |p| p.forwarded),
            ("connection", |p| p.connection),
            ("keep-alive", |p| p.rare_hop),
            ("x-request-id", |p| p.request_id),
            ("x-forwarded-for", |p| p.forwarded_for),
            ("x-forwarded-host", |p| p.forwarded_host),
            ("x-forwarded-proto", |p| p.forwarded_proto),
            ("proxy-connection", |p| p.rare_hop),
            ("transfer-encoding", |p| p.codings == 1 && p.rare_hop),
            ("proxy-authenticate", |p| p.rare_hop),
            ("proxy-authorization", |p| p.rare_hop),
            ("rhumb-replay", |p| p.told),
            ("x-rhumb-decision", |p| p.told),
            ("x-rhumb-explain", |p| p.word),
            ("x-rhumb-force-region", |p| p.word),
            ("x-rhumb-prefer-region", |p| p.word),
            ("cf-ipcountry", |p| p.may_have(&HeaderName::from_static("cf-ipcountry"))),
        ];
        for (name, read) in fields {
            let mut headers = HeaderMap::new();
            assert!(!read(&Present::of(&headers)), "{name}");
            headers.insert(HeaderName::from_static(name), "x".parse().unwrap());
            assert!(read(&Present::of(&headers)), "{name}");
        }
    }
}
