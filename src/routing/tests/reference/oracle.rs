//! Asks the decision for the outcome of one hash. The hashes are not described but that they are
//! stable; a configuration that is as small as can be says how one of them falls.

use std::cell::RefCell;
use std::collections::HashMap;

use super::world::Asked;
use crate::config::{AffinityMode, Deployment, Strategy};
use crate::model::{Coordinates, RuleId};
use crate::routing::tests::fixture::{Request, deployment, region_settings, rule, table};
use crate::routing::tests::{decided, ids};
use crate::routing::{DeploymentHealth, DeploymentIndex, Draws, Reason, RegionHealth, Table};

/// Remembers what it was told: the outcomes are few.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    said: RefCell<HashMap<String, Option<String>>>,
}

/// A region with its weight.
pub(super) type Candidate<'a> = (&'a str, u32);

impl Oracle {
    /// Whether the client is in that share of a rule's clients.
    pub(super) fn in_percent(
        &self,
        deployment: &str,
        id: &RuleId,
        percent: u16,
        asked: &Asked,
    ) -> bool {
        let named = format!("percent {deployment} {id} {percent} {}", client(asked));
        let answer = self.remember(named, || {
            let rule = crate::config::Rule {
                id: id.clone(),
                percent: Some(percent),
                ..rule("", &["there"], &[])
            };
            let regions = [("here", 1), ("there", 1)];
            let probe = Deployment { rules: vec![rule], ..probe(deployment, &regions) };
            first(&table(vec![probe], None), asked, Reason::Rule)
        });
        answer.is_some()
    }

    /// Whether a region of that share takes the client.
    pub(super) fn takes(&self, deployment: &str, region: &str, share: u16, asked: &Asked) -> bool {
        let named = format!("ramp {deployment} {region} {share} {}", client(asked));
        let answer = self.remember(named, || {
            let probe = table(vec![probe(deployment, &[(region, 1), ("other", 1)])], None);
            let ramping = RegionHealth { share, ..RegionHealth::HEALTHY };
            let health = DeploymentHealth::new([ramping, RegionHealth::HEALTHY]);
            let probe = probe.with_health(2, DeploymentIndex(0), health);
            first(&probe, asked, Reason::Failover).filter(|first| first == region)
        });
        answer.is_some()
    }

    /// Which of two regions a client belongs to.
    fn belongs(&self, deployment: &str, pair: [Candidate<'_>; 2], asked: &Asked) -> Option<String> {
        let named = format!("belongs {deployment} {pair:?} {}", client(asked));
        self.remember(named, || {
            let mut probe = probe(deployment, &pair);
            probe.affinity.mode = AffinityMode::Client;
            first(&table(vec![probe], None), asked, Reason::Affinity)
        })
    }

    /// The region that a client belongs to: the one that stays so whichever others are there.
    pub(super) fn home_of<'a>(
        &self,
        deployment: &str,
        candidates: &[Candidate<'a>],
        asked: &Asked,
    ) -> Option<&'a str> {
        let (first, others) = candidates.split_first()?;
        let mut best = *first;
        for other in others {
            if self.belongs(deployment, [best, *other], asked).as_deref() == Some(other.0) {
                best = *other;
            }
        }
        let ahead = |other: &&Candidate<'_>| {
            other.0 != best.0
                && self.belongs(deployment, [best, **other], asked).as_deref() == Some(other.0)
        };
        assert_eq!(candidates.iter().find(ahead), None, "{} is not ahead of all", best.0);
        Some(best.0)
    }

    fn remember(&self, named: String, ask: impl FnOnce() -> Option<String>) -> Option<String> {
        if let Some(said) = self.said.borrow().get(&named) {
            return said.clone();
        }
        let said = ask();
        self.said.borrow_mut().insert(named, said.clone());
        said
    }
}

/// What clients are told apart by.
fn client(asked: &Asked) -> String {
    let address = asked.request.client.address;
    asked.request.tenant.as_ref().map_or(format!("at {address}"), |tenant| format!("of {tenant}"))
}

fn probe(name: &str, regions: &[Candidate<'_>]) -> Deployment {
    let at = Coordinates { latitude: 0.0, longitude: 0.0 };
    let settings = regions.iter().map(|(id, weight)| region_settings(id, at, 0, *weight));
    deployment(name, Strategy::Failover, settings.collect())
}

/// The region that comes first for that reason.
fn first(table: &Table, asked: &Asked, reason: Reason) -> Option<String> {
    let Request { client, tenant, .. } = asked.request.clone();
    let request = Request { client, tenant, ..Request::default() };
    let decision = decided(table, &request, Draws::default()).unwrap();
    (decision.reason == reason).then(|| ids(table, &decision).remove(0))
}
