//! A request that the two decide differently, as much of it as may be shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::model::limits::SHADOW_EXAMPLE_CHARS;
use crate::model::{Country, DeploymentName, RegionId, RuleId};
use crate::routing::{Decision, Facts, Plan, Refusal};

/// A request that the two decide differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The client's network, no closer than /24 or /48.
    pub client: String,
    /// Its country.
    pub country: Option<Country>,
    /// The method.
    pub method: String,
    /// The beginning of the host.
    pub host: String,
    /// The beginning of the path.
    pub path: String,
    /// What the live configuration does.
    pub live: Fate,
    /// What the candidate would.
    pub candidate: Fate,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The deployment, if there is one.
    pub deployment: Option<DeploymentName>,
    /// The region; `None`: it is refused.
    pub region: Option<RegionId>,
    /// Why, in either case.
    pub reason: &'static str,
    /// The rule that holds.
    pub rule: Option<RuleId>,
}

impl Example {
    pub(super) fn of(facts: &Facts<'_>, live: Fate, candidate: Fate) -> Self {
        Self {
            client: network(facts.client.address),
            country: facts.location.country,
            method: shown(facts.method.as_str()),
            host: shown(facts.host),
            path: shown(facts.path),
            live,
            candidate,
        }
    }

    /// Whether it shows the same as another.
    pub(super) fn is_like(&self, live: &Fate, candidate: &Fate) -> bool {
        self.live == *live && self.candidate == *candidate
    }
}

impl Fate {
    pub(super) fn of(plan: &Plan, outcome: Result<&Decision, &Refusal>) -> Self {
        match outcome {
            Ok(decision) => {
                let deployment = plan.deployment(decision.deployment);
                let first = decision.order.first();
                let region = deployment.and_then(|known| known.region(*first?));
                let rule = deployment.and_then(|known| known.rule(decision.rule?));
                Self {
                    deployment: deployment.map(|known| known.name.clone()),
                    region: region.map(|region| region.id.clone()),
                    reason: decision.reason.as_str(),
                    rule: rule.map(|rule| rule.id.clone()),
                }
            }
            Err(refusal) => {
                let deployment = refusal.deployment.and_then(|index| plan.deployment(index));
                Self {
                    deployment: deployment.map(|known| known.name.clone()),
                    region: None,
                    reason: refusal.reason(),
                    rule: None,
                }
            }
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHADOW_EXAMPLE_CHARS).collect()
}

fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & !0xff))
        }
        IpAddr::V6(address) => {
            let kept = address.to_bits() >> 80 << 80;
            format!("{}/48", Ipv6Addr::from_bits(kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_client_is_shown_than_its_network() {
        for (address, expected) in
            [("193.99.144.80", "193.99.144.0/24"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48")]
        {
            assert_eq!(network(address.parse().unwrap()), expected);
        }
        assert_eq!(shown(&"é".repeat(500)).chars().count(), SHADOW_EXAMPLE_CHARS);
    }
}
