//! Where an origin wants a request to be replayed: `rhumb-replay: region=eu-west-1`.
//!
//! Not here: sending it there (`forward`), and keeping its body (`kept`).

use http::HeaderMap;

use super::headers::RHUMB_REPLAY;
use super::said::{RegionName, name};
use super::tenant::only;
use crate::config::Deployment;

/// What a response asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing; it is the answer.
    None,
    /// A replay in this region.
    Region(RegionName),
    /// A replay, but where is not said, or not in a way that is understood.
    Unclear,
}

impl Wish {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(&RHUMB_REPLAY) {
            return Self::None;
        }
        let region = only(headers, &RHUMB_REPLAY)
            .and_then(|value| value.to_str().ok()?.trim().strip_prefix("region="))
            .map(|id| id.strip_prefix('"').and_then(|id| id.strip_suffix('"')).unwrap_or(id))
            .filter(|id| !id.contains([';', ',', '"', ' ']));
        region.and_then(name).map_or(Self::Unclear, Self::Region)
    }
}

/// Whether origins of the deployment may ask for a replay in that region.
pub(super) fn may_go_to(deployment: &Deployment, region: &str) -> bool {
    deployment.replay_regions.iter().any(|known| known.as_str() == region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_names_one_region() {
        let wish = |lines: &[&str]| {
            Wish::of(&lines.iter().map(|line| (RHUMB_REPLAY, line.parse().unwrap())).collect())
        };
        let region = |id| Wish::Region(name(id).unwrap());
        assert_eq!(wish(&[]), Wish::None);
        assert_eq!(wish(&["region=eu-west-1"]), region("eu-west-1"));
        assert_eq!(wish(&[" region=eu-west-1 "]), region("eu-west-1"));
        assert_eq!(wish(&["region=\"eu-west-1\""]), region("eu-west-1"));
        let long = format!("region={}", "x".repeat(65));
        for unclear in [
            "",
            "eu-west-1",
            "region=",
            "region=a;instance=b",
            "region=a, region=b",
            "app=a",
            "region=\"a",
            &long,
        ] {
            assert_eq!(wish(&[unclear]), Wish::Unclear, "{unclear}");
        }
        assert_eq!(wish(&["region=a", "region=a"]), Wish::Unclear);
    }
}
