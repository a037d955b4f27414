//! What the demo knows to be true: which origins live, and which biases are written. From that
//! follows which regions may answer a request, whatever Rhumb believes.
//!
//! Between two certain states lies a moment in which both are right: an origin dies while a
//! request is under way, a reload is written but not yet taken up. Then either answer is accepted.

use std::time::{Duration, Instant};

use super::places::{Biases, COUNT, Each, PLACES};
use super::sample::SampleClient;
use crate::config::Strategy;
use crate::model::RegionState;
use crate::snapshot::Snapshot;

/// After a revival that Rhumb never noticed, the region is expected to answer again.
const UNNOTICED: Duration = Duration::from_secs(3);

/// Whether a region's origin can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It lives, and Rhumb has no reason to pass it by.
    Serving,
    /// Its process was killed.
    Dead,
    /// It lives again, but Rhumb may still keep it out.
    Returning,
}

/// What is known of one region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) presence: Presence,
    /// Since when.
    since: Instant,
    /// Whether Rhumb has taken it out since it died.
    taken_out: bool,
}

/// Biases that were in use before the present ones.
#[derive(Clone, Copy, Debug)]
struct Former {
    biases: Biases,
    /// When the table with the present ones was seen.
    replaced: Option<Instant>,
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub(super) struct World {
    posts: Each<Post>,
    biases: Biases,
    former: Option<Former>,
    /// Somebody edited the file by hand, and it is no longer one that can be judged by.
    foreign: bool,
    /// Somebody edited the file by hand: what was sent before this is not judged.
    unjudged_before: Option<Instant>,
}

/// Which regions the table in use sends requests to.
pub(super) type Open = Each<bool>;

/// What is thought of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The right region answered.
    Right {
        /// Before the latest reload another region would have been the right one.
        moved: bool,
    },
    /// Another region should have answered.
    Wrong {
        /// The one.
        expected: usize,
    },
}

/// An answer to judge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The region that answered.
    pub(super) region: usize,
    /// When the request was sent.
    pub(super) sent: Instant,
    /// The regions that the table let in when the request was sent or when it was answered.
    pub(super) open: Open,
}

impl World {
    /// All alive since `now`.
    pub(super) fn new(biases: Biases, now: Instant) -> Self {
        let post = Post { presence: Presence::Serving, since: now, taken_out: false };
        Self { posts: [post; COUNT], biases, former: None, foreign: false, unjudged_before: None }
    }

    pub(super) fn presence(&self, region: usize) -> Option<Presence> {
        self.posts.get(region).map(|post| post.presence)
    }

    pub(super) fn biases(&self) -> Biases {
        self.biases
    }

    /// Whether a reload was written that no table has yet.
    pub(super) fn reloading(&self) -> bool {
        self.former.is_some_and(|former| former.replaced.is_none())
    }

    /// An origin was killed at `now`.
    pub(super) fn died(&mut self, region: usize, now: Instant) {
        if let Some(post) = self.posts.get_mut(region) {
            *post = Post { presence: Presence::Dead, since: now, taken_out: false };
        }
    }

    /// An origin was started again, and listens.
    pub(super) fn revived(&mut self, region: usize, now: Instant) {
        if let Some(post) = self.posts.get_mut(region) {
            post.presence = Presence::Returning;
            post.since = now;
        }
    }

    /// Other biases are about to be written.
    pub(super) fn rewritten(&mut self, biases: Biases) {
        self.former = Some(Former { biases: self.biases, replaced: None });
        self.biases = biases;
    }

    /// Looks at the table in use.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Instant) {
        let open = open(snapshot);
        for (post, open) in self.posts.iter_mut().zip(open) {
            post.observe(open, now);
        }
        self.take_up(biases(snapshot), now);
    }

    /// A table has these biases; none when it is not of a configuration like the demo's own.
    fn take_up(&mut self, found: Option<Biases>, now: Instant) {
        let Some(found) = found else {
            self.foreign = true;
            self.former = None;
            return;
        };
        let awaited = self.former.as_mut().filter(|former| former.replaced.is_none());
        match awaited {
            Some(former) if found == self.biases => former.replaced = Some(now),
            Some(former) if found == former.biases => {}
            _ if found == self.biases && !self.foreign => {}
            _ => {
                self.biases = found;
                self.former = None;
                self.unjudged_before = Some(now);
            }
        }
        self.foreign = false;
    }

    /// Judges an answer.
    pub(super) fn judge(&self, client: &SampleClient, answer: Answer) -> Verdict {
        if self.foreign || self.unjudged_before.is_some_and(|at| answer.sent < at) {
            return Verdict::Right { moved: false };
        }
        let expected = match self.candidates(client.ranking(self.biases), answer) {
            Ok(()) => {
                return Verdict::Right { moved: self.moved(client, answer) };
            }
            Err(expected) => expected,
        };
        match self.former {
            Some(former)
                if former.replaced.is_none_or(|at| answer.sent < at)
                    && self.candidates(client.ranking(former.biases), answer).is_ok() =>
            {
                Verdict::Right { moved: false }
            }
            _ => Verdict::Wrong { expected },
        }
    }

    /// Whether the region that answered is among those that may; else the one that should have.
    fn candidates(&self, ranking: Each<usize>, answer: Answer) -> Result<(), usize> {
        let mut expected = None;
        for region in ranking {
            let Some(post) = self.posts.get(region) else { continue };
            let open = answer.open.get(region).copied().unwrap_or(false);
            let (may, must) = post.stand(answer.sent, open);
            if may && region == answer.region {
                return Ok(());
            }
            if must {
                expected = Some(region);
                break;
            }
        }
        Err(expected.unwrap_or(answer.region))
    }

    fn moved(&self, client: &SampleClient, answer: Answer) -> bool {
        self.former.is_some_and(|former| {
            former.replaced.is_some_and(|at| answer.sent >= at)
                && client.ranking(former.biases).first() != Some(&answer.region)
                && client.ranking(self.biases).first() == Some(&answer.region)
        })
    }
}

impl Post {
    fn observe(&mut self, open: bool, now: Instant) {
        if self.presence != Presence::Serving && !open {
            self.taken_out = true;
        }
        let unnoticed = now.saturating_duration_since(self.since) > UNNOTICED;
        if self.presence == Presence::Returning && open && (self.taken_out || unnoticed) {
            *self = Self { presence: Presence::Serving, since: now, taken_out: false };
        }
    }

    /// Whether it may have answered a request sent at `sent`, and whether it must have.
    fn stand(&self, sent: Instant, open: bool) -> (bool, bool) {
        match self.presence {
            Presence::Serving => (true, sent >= self.since),
            // It may have answered before it died.
            Presence::Dead => (true, false),
            Presence::Returning => (open, false),
        }
    }
}

/// The regions that the table lets in.
pub(super) fn open(snapshot: &Snapshot) -> Open {
    let mut open = [false; COUNT];
    for (open, state) in open.iter_mut().zip(states(snapshot)) {
        *open = state.takes_traffic();
    }
    open
}

/// The state of each region, in the order of the demo's places.
pub(super) fn states(snapshot: &Snapshot) -> Each<RegionState> {
    let mut states = [RegionState::Healthy; COUNT];
    if let Some((_, health)) = snapshot.table.deployment(crate::routing::DeploymentIndex(0)) {
        for (state, health) in states.iter_mut().zip(health.regions()) {
            *state = health.state;
        }
    }
    states
}

/// The biases in a table, if it says nothing else that changes where requests go.
fn biases(snapshot: &Snapshot) -> Option<Biases> {
    let [deployment] = &*snapshot.table.plan.deployments else { return None };
    let settings = &deployment.settings;
    if settings.strategy != Strategy::Geolocation || !settings.rules.is_empty() {
        return None;
    }
    let mut biases = [0; COUNT];
    for (bias, (place, region)) in biases.iter_mut().zip(PLACES.iter().zip(&deployment.regions)) {
        if region.id.as_str() != place.id || region.coordinates != place.coordinates {
            return None;
        }
        *bias = region.bias;
    }
    (deployment.regions.len() == COUNT).then_some(biases)
}

#[cfg(test)]
mod tests {
    use super::super::sample::clients;
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ALL: Open = [true; COUNT];
    const WITHOUT_EU: Open = [true, false, true];

    struct Case {
        world: World,
        start: Instant,
        german: SampleClient,
    }

    impl Case {
        fn new() -> Self {
            let start = Instant::now();
            let german = clients().into_iter().find(|c| c.country.as_str() == "DE").unwrap();
            Self { world: World::new([0; COUNT], start), start, german }
        }

        fn right(&self, region: usize, sent_ms: u32, open: Open) -> bool {
            let answer = Answer { region, sent: self.start + sent_ms * MS, open };
            matches!(self.world.judge(&self.german, answer), Verdict::Right { .. })
        }

        fn observe(&mut self, open: bool, at_ms: u32) {
            self.world.posts[1].observe(open, self.start + at_ms * MS);
        }
    }

    #[test]
    fn while_all_is_well_only_the_nearest_region_is_right() {
        let case = Case::new();
        assert!(case.right(1, 5, ALL));
        assert!(!case.right(0, 5, ALL));
        // A region that Rhumb took out without a reason is still the right one.
        assert!(!case.right(0, 5, WITHOUT_EU));
    }

    #[test]
    fn after_a_death_the_next_region_is_right_and_the_farthest_is_not() {
        let mut case = Case::new();
        case.world.died(1, case.start + 10 * MS);
        assert!(case.right(1, 9, ALL), "answered before it died");
        assert!(case.right(0, 11, ALL));
        assert!(!case.right(2, 11, ALL));
    }

    #[test]
    fn a_revived_region_is_right_again_once_rhumb_let_it_in() {
        let mut case = Case::new();
        case.world.died(1, case.start + 10 * MS);
        case.observe(false, 40);
        case.world.revived(1, case.start + 100 * MS);
        case.observe(false, 110);
        assert!(case.right(0, 120, WITHOUT_EU));
        assert!(!case.right(1, 120, WITHOUT_EU), "during the cooldown");
        case.observe(true, 200);
        assert!(case.right(0, 199, ALL), "sent before it was let in");
        assert!(!case.right(0, 201, ALL));
        assert!(case.right(1, 201, ALL));
    }

    #[test]
    fn a_death_that_nobody_noticed_is_forgotten_after_a_while() {
        let mut case = Case::new();
        case.world.died(1, case.start + 10 * MS);
        case.world.revived(1, case.start + 20 * MS);
        case.observe(true, 30);
        assert!(case.right(0, 40, ALL) && case.right(1, 40, ALL));
        case.observe(true, 4_000);
        assert!(!case.right(0, 4_001, ALL));
    }

    #[test]
    fn around_a_reload_both_orders_are_right_and_afterwards_only_the_new_one() {
        let mut case = Case::new();
        case.world.rewritten([90, 0, 0]);
        assert!(case.world.reloading());
        assert!(case.right(0, 5, ALL) && case.right(1, 5, ALL) && !case.right(2, 5, ALL));
        case.world.former.as_mut().unwrap().replaced = Some(case.start + 10 * MS);
        assert!(case.right(1, 9, ALL), "sent before the new table was seen");
        assert!(!case.right(1, 10, ALL));
        let answer = Answer { region: 0, sent: case.start + 10 * MS, open: ALL };
        assert_eq!(case.world.judge(&case.german, answer), Verdict::Right { moved: true });
    }

    #[test]
    fn what_somebody_edits_by_hand_is_taken_as_it_is() {
        let mut case = Case::new();
        case.world.take_up(Some([90, 0, 0]), case.start + 10 * MS);
        assert!(case.right(2, 9, ALL), "who knows what was in the table before");
        assert!(case.right(0, 10, ALL) && !case.right(1, 10, ALL));
        case.world.take_up(None, case.start + 20 * MS);
        assert!(case.right(2, 30, ALL), "a rule, for instance");
        case.world.take_up(Some([0; COUNT]), case.start + 40 * MS);
        assert!(case.right(2, 39, ALL));
        assert!(case.right(1, 40, ALL) && !case.right(2, 40, ALL));
    }
}
