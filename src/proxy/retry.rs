//! Whether a failed attempt may be made again, and where: pure.
//!
//! The one rule above all: a request that is not idempotent and that an origin may have received
//! is never sent twice.

use arrayvec::ArrayVec;
use http::Method;

use crate::model::{EndpointId, limits};
use crate::routing::{Decision, RegionPosition, Table, choose_endpoint};

/// Endpoints tried in one region before the next region is.
const TRIES_PER_REGION: u32 = 2;
const ATTEMPTS: usize = limits::RETRY_ATTEMPTS_MAX as usize + 1;

/// Whether a request may be sent again although an origin may have received it (RFC 9110 section
/// 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// What was tried for one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried(ArrayVec<EndpointId, ATTEMPTS>);

impl Tried {
    /// Attempts so far.
    pub(super) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn push(&mut self, endpoint: EndpointId) {
        // Beyond the limit no further attempt is made, so there is nothing to remember.
        let _ = self.0.try_push(endpoint);
    }

    fn mask(&self, table: &Table, decision: &Decision, position: RegionPosition) -> u128 {
        let region = table.plan.deployment(decision.deployment).and_then(|d| d.region(position));
        region.map_or(0, |region| {
            let tried = region.endpoints.iter().enumerate();
            let tried = tried.filter(|(_, endpoint)| self.0.contains(&endpoint.id));
            tried.fold(0, |bits, (i, _)| bits | 1_u128.checked_shl(i as u32).unwrap_or(0))
        })
    }
}

/// The next endpoint to try, in the order of the decision: a second endpoint of a region, then
/// the next region; when every region had its tries, the remaining endpoints.
pub(super) fn next_target(
    table: &Table,
    decision: &Decision,
    tried: &Tried,
    entropy: u64,
    load: impl Fn(EndpointId) -> u32,
) -> Option<(RegionPosition, usize)> {
    let (plan, health) = table.deployment(decision.deployment)?;
    let pick = |position: RegionPosition, most: u32| {
        let mask = tried.mask(table, decision, position);
        if mask.count_ones() >= most {
            return None;
        }
        let up = health.region(position).endpoints_up;
        // Each attempt draws anew, or the endpoint drawn second would never be drawn first.
        let entropy = entropy.wrapping_add(u64::from(tried.count()));
        let index = choose_endpoint(plan.region(position)?, up, mask, entropy, &load)?;
        Some((position, index))
    };
    let regions = || decision.order.iter().copied();
    regions()
        .find_map(|position| pick(position, TRIES_PER_REGION))
        .or_else(|| regions().find_map(|position| pick(position, u32::MAX)))
}

/// The same, among the regions that the request may be sent to: `permits` is asked right before, and
/// a region that it refuses is taken out of the decision for good. The decision has seen to that
/// already; this does not rely on it.
pub(super) fn next_permitted(
    table: &Table,
    decision: &mut Decision,
    tried: &Tried,
    entropy: u64,
    load: impl Fn(EndpointId) -> u32,
    mut permits: impl FnMut(RegionPosition) -> bool,
) -> Option<(RegionPosition, usize)> {
    loop {
        let target = next_target(table, decision, tried, entropy, &load)?;
        if permits(target.0) {
            return Some(target);
        }
        decision.order.retain(|position| *position != target.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idempotent_methods_are_repeated() {
        for (method, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("PUT", true),
            ("DELETE", true),
            ("TRACE", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("PROPFIND", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(is_idempotent(&method), expected, "{method}");
        }
    }

    fn table() -> Table {
        let text = r#"
            listeners: [{ address: "127.0.0.1:0" }]
            regions:
              - { id: a, latitude: 0, longitude: 0, country: US, endpoints: ["http://1.1.1.1:1", "http://1.1.1.1:2", "http://1.1.1.1:3"] }
              - { id: b, latitude: 1, longitude: 0, country: US, endpoints: ["http://1.1.1.2:1"] }
            deployments:
              - { name: api, primary_region: a, replica_regions: [b], routing_strategy: failover }
        "#;
        let loaded = crate::config::parse(text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        let mut ids = crate::routing::EndpointIds::default();
        let plan = crate::routing::Plan::compile(
            &loaded.config,
            crate::routing::Sources::none(|_| None),
            &mut ids,
        );
        Table::healthy(1, std::sync::Arc::new(plan))
    }

    #[test]
    fn a_region_that_may_not_see_the_request_is_passed_over_whatever_was_decided() {
        let table = table();
        let decided = Decision {
            deployment: crate::routing::DeploymentIndex(0),
            order: [RegionPosition(0), RegionPosition(1)].into_iter().collect(),
            reason: crate::routing::Reason::Failover,
            rule: None,
            ignoring_health: true,
            keeps_token: false,
            reported: false,
        };
        for forbidden in [&[0][..], &[1], &[0, 1]] {
            let (mut decision, mut tried, mut refused) = (decided.clone(), Tried::default(), 0);
            let mut reached = std::collections::BTreeSet::new();
            while let Some((position, index)) = next_permitted(
                &table,
                &mut decision,
                &tried,
                7,
                |_| 0,
                |position| {
                    let permitted = !forbidden.contains(&position.0);
                    refused += usize::from(!permitted);
                    permitted
                },
            ) {
                let (plan, _) = table.deployment(decision.deployment).unwrap();
                tried.push(plan.region(position).unwrap().endpoints[index].id);
                reached.insert(position.0);
            }
            let expected = (0..2).filter(|position| !forbidden.contains(position)).collect();
            assert_eq!(reached, expected, "{forbidden:?}");
            assert_eq!(refused, forbidden.len(), "each is refused once: {forbidden:?}");
        }
    }

    #[test]
    fn a_second_endpoint_of_the_region_then_the_next_region_then_what_is_left() {
        let table = table();
        let decision = Decision {
            deployment: crate::routing::DeploymentIndex(0),
            order: [RegionPosition(0), RegionPosition(1)].into_iter().collect(),
            reason: crate::routing::Reason::Failover,
            rule: None,
            ignoring_health: false,
            keeps_token: false,
            reported: false,
        };
        for entropy in 0..200 {
            let mut tried = Tried::default();
            let mut regions = Vec::new();
            while let Some((position, index)) =
                next_target(&table, &decision, &tried, entropy, |_| 0)
            {
                let (plan, _) = table.deployment(decision.deployment).unwrap();
                let endpoint = plan.region(position).unwrap().endpoints[index].id;
                assert!(!tried.0.contains(&endpoint), "an endpoint was tried twice");
                tried.push(endpoint);
                regions.push(position.0);
            }
            assert_eq!(regions, [0, 0, 1, 0]);
        }
    }
}
