//! The hook of the request path for a candidate that is tried beside the live table.

use super::view::View;
use crate::routing::{Conditions, Decision, Draws, Facts, Refusal};

impl View {
    /// Has the candidate, if there is one, decide what the live table has just decided from the same
    /// arguments. Without a candidate this is one branch.
    #[inline]
    pub(super) fn try_candidate(
        &self,
        facts: &Facts<'_>,
        conditions: &Conditions<'_>,
        draws: Draws,
        live: Result<&Decision, &Refusal>,
    ) {
        if let Some(desk) = &self.shadow {
            desk.compare(facts, conditions, draws, live);
        }
    }
}
