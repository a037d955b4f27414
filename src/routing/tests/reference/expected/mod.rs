//! What the documentation says that a request gets: the steps one after the other, over one list of
//! groups. How a group is ordered inside is said by keys, of which some are not comparable.

mod keys;
mod latency;
mod matching;
mod strategies;
mod walk;

pub(super) use keys::{Part, before};

use super::oracle::Oracle;
use super::world::{Asked, World};

/// What a request gets.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The deployment, by its place in the configuration.
    pub(super) deployment: Option<usize>,
    /// Where it goes, or the word of the refusal.
    pub(super) outcome: Result<Routed, &'static str>,
    /// The regions that residency lets see the request.
    pub(super) permitted: Vec<String>,
    /// The regions that policies which only report do not allow.
    pub(super) reported: Vec<String>,
    /// Which regions were in the list after which step, as far as the request came; in no order.
    pub(super) steps: Vec<(&'static str, Vec<String>)>,
    /// The rule that holds.
    pub(super) rule: Option<String>,
}

/// Where it goes.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    pub(super) reason: &'static str,
    /// Regions by groups, all of one group before all of the next.
    pub(super) groups: Vec<Vec<Ranked>>,
    pub(super) ignoring_health: bool,
    /// Whether the token is kept, where there is one that counts.
    pub(super) keeps_token: Option<bool>,
}

/// A region with what orders it in its group.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    pub(super) id: String,
    pub(super) key: Vec<Part>,
}

/// What the documentation says.
pub(super) fn expected(world: &World, asked: &Asked, oracle: &Oracle) -> Answer {
    match matching::deployment(world, asked) {
        Some(index) => walk::Walk::new(world, index, asked, oracle).answer(),
        None => Answer {
            deployment: None,
            outcome: Err("no_deployment"),
            permitted: Vec::new(),
            reported: Vec::new(),
            steps: Vec::new(),
            rule: None,
        },
    }
}
