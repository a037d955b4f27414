//! What the oracle cannot say of the hashes, because it asks them: that shares come out as they are
//! written, only grow, and have nothing to do with one another.

use super::super::{decided, fixture, with_down};
use crate::config::{AffinityMode, Deployment, Rule, Strategy};
use crate::routing::{
    DeploymentHealth, DeploymentIndex, Draws, Reason, RegionHealth, RegionPosition, RuleIndex,
    Table,
};
use fixture::{Request, deployment, region_settings, rule, table};

const CLIENTS: u32 = 4_000;

/// By address, and every other one by tenant.
fn clients() -> impl Iterator<Item = Request> {
    (0..CLIENTS).map(|number| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        let request = Request::default().with_address(&address.to_string());
        let tenant = (number % 2 == 1).then(|| format!("tenant-{number}"));
        Request { tenant, ..request }
    })
}

fn regions(weights: &[u32]) -> Deployment {
    let ids = ["a", "b", "c", "d"].into_iter().zip(weights);
    let at = fixture::at(0.0, 0.0);
    let settings = ids.map(|(id, weight)| region_settings(id, at, 0, *weight));
    deployment("api", Strategy::Failover, settings.collect())
}

/// Where each client goes.
fn firsts(table: &Table) -> Vec<RegionPosition> {
    clients().map(|client| decided(table, &client, Draws::default()).unwrap().order[0]).collect()
}

/// Whether so many of so many are as good as a share, to four standard deviations.
#[track_caller]
fn about(count: usize, of: usize, share: f64) {
    let of = of as f64;
    let off = (count as f64 - of * share).abs();
    let limit = 4.0 * (of * share * (1.0 - share)).sqrt();
    assert!(off <= limit, "{count} of {of} is not {share}");
}

fn count(list: &[bool]) -> usize {
    list.iter().filter(|held| **held).count()
}

#[test]
fn a_percentage_is_that_share_of_clients_and_only_grows() {
    let mut before = vec![false; CLIENTS as usize];
    for percent in [0, 1, 100, 500, 2_500, 5_000, 9_000, 9_999, 10_000] {
        let rule = Rule { percent: Some(percent), ..rule("r", &["b"], &[]) };
        let table = table(vec![Deployment { rules: vec![rule], ..regions(&[1, 1]) }], None);
        let held: Vec<bool> = clients()
            .map(|client| decided(&table, &client, Draws::default()).unwrap().rule.is_some())
            .collect();
        assert!(before.iter().zip(&held).all(|(before, held)| !before || *held), "{percent}");
        about(count(&held), held.len(), f64::from(percent) / 10_000.0);
        before = held;
    }
}

#[test]
fn percentages_of_two_rules_are_independent() {
    let half = |id| Rule { percent: Some(5_000), ..rule(id, &["b"], &[]) };
    let both = Deployment { rules: vec![half("r"), half("s")], ..regions(&[1, 1]) };
    let table = table(vec![both], None);
    let rules = clients().map(|client| decided(&table, &client, Draws::default()).unwrap().rule);
    let rules: Vec<_> = rules.map(|rule| rule.map(RuleIndex::index)).collect();
    about(rules.iter().filter(|rule| **rule == Some(1)).count(), rules.len(), 0.25);
}

fn ramping(table: &Table, share: u16) -> Table {
    let slow = RegionHealth { share, ..RegionHealth::HEALTHY };
    let others = std::iter::repeat_n(RegionHealth::HEALTHY, 3);
    let health = DeploymentHealth::new(std::iter::once(slow).chain(others));
    table.with_health(2, DeploymentIndex(0), health)
}

#[test]
fn a_ramp_takes_that_share_of_clients_and_only_grows() {
    let table = table(vec![regions(&[1, 1, 1, 1])], None);
    let mut before = vec![false; CLIENTS as usize];
    for share in [0, 1, 500, 2_500, 5_000, 9_999, 10_000] {
        let there: Vec<bool> = firsts(&ramping(&table, share))
            .into_iter()
            .map(|first| first == RegionPosition(0))
            .collect();
        assert!(before.iter().zip(&there).all(|(before, there)| !before || *there), "{share}");
        about(count(&there), there.len(), f64::from(share) / 10_000.0);
        before = there;
    }
}

fn homes(weights: &[u32]) -> Table {
    let mut deployment = regions(weights);
    deployment.affinity.mode = AffinityMode::Client;
    table(vec![deployment], None)
}

#[test]
fn homes_are_given_by_weight_and_a_region_that_goes_moves_only_its_own() {
    let weights = [1, 2, 0, 5];
    let table = homes(&weights);
    let all = firsts(&table);
    for (place, weight) in (0..).zip(weights) {
        let there = all.iter().filter(|home| **home == RegionPosition(place)).count();
        about(there, all.len(), f64::from(weight) / 8.0);
    }
    for (place, id) in (0..).map(RegionPosition).zip(["a", "b", "c", "d"]) {
        let without = firsts(&with_down(&table, &[id]));
        for (home, now) in all.iter().zip(&without) {
            assert!(*home == place || home == now, "{id}");
        }
    }
}

#[test]
fn a_ramp_takes_its_share_of_those_at_home_too() {
    let table = homes(&[1, 1, 1, 1]);
    let home: Vec<bool> = firsts(&table).iter().map(|home| *home == RegionPosition(0)).collect();
    let ramped = firsts(&ramping(&table, 2_500));
    let still = home.iter().zip(&ramped).filter(|(home, now)| **home && **now == RegionPosition(0));
    about(still.count(), count(&home), 0.25);
}

#[test]
fn a_client_at_home_says_so() {
    let table = homes(&[1, 1, 1, 1]);
    for client in clients().take(100) {
        let decision = decided(&table, &client, Draws::default()).unwrap();
        assert_eq!(decision.reason, Reason::Affinity);
    }
}
