//! The three regions of the comparison, and which country goes to which.
//!
//! One table for every contestant: what nginx's `map`, HAProxy's map file and Rhumb's rules say is
//! written from here, and so is what the load generator expects. Not here: which address belongs
//! to which country.

use serde::Serialize;

/// Where a request may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Region {
    Us,
    Eu,
    Ap,
}

impl Region {
    pub(crate) const ALL: [Self; 3] = [Self::Us, Self::Eu, Self::Ap];

    /// Its id in every configuration.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Us => "us-east-1",
            Self::Eu => "eu-west-1",
            Self::Ap => "ap-northeast-1",
        }
    }

    pub(crate) fn of_id(id: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.id().as_bytes() == id)
    }

    /// The Americas to the US, East and South Asia and Oceania to Asia-Pacific, all others to the EU.
    pub(crate) fn of_country(country: &str) -> Self {
        let among = |list: &str| list.split(' ').any(|code| code == country);
        if among(AMERICAS) {
            Self::Us
        } else if among(ASIA_PACIFIC) {
            Self::Ap
        } else {
            Self::Eu
        }
    }
}

const AMERICAS: &str = "AG AI AN AR AW BB BL BM BO BQ BR BS BZ CA CL CO CR CU CW DM DO EC FK GD GF \
    GL GP GT GY HN HT JM KN KY LC MF MQ MS MX NI PA PE PM PR PY SR SV SX TC TT US UY VC VE VG VI";

const ASIA_PACIFIC: &str = "AS AU BD BN BT CC CK CN CX FJ FM GU HK ID IN IO JP KH KI KP KR LA LK \
    MH MM MN MO MP MV MY NC NF NP NR NU NZ PF PG PH PN PW SB SG TH TK TL TO TV TW UM VN VU WF WS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_go_to_their_part_of_the_world() {
        for (country, region) in [
            ("US", Region::Us),
            ("VI", Region::Us),
            ("AU", Region::Ap),
            ("IN", Region::Ap),
            ("DE", Region::Eu),
            ("ZA", Region::Eu),
            ("XK", Region::Eu),
        ] {
            assert_eq!(Region::of_country(country), region, "{country}");
        }
        let both = AMERICAS.split(' ').find(|a| ASIA_PACIFIC.split(' ').any(|b| *a == b));
        assert_eq!(both, None);
    }
}
