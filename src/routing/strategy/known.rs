//! What is known of the round trip from a client to each region, and which of it counts.
//!
//! The first of these that there is, for each region by itself:
//!
//! 1. a row of the latency table for a network as small as the client's own (/24, /48) or smaller;
//! 2. what the client's network measured, once it has measured often enough;
//! 3. any other row, the most specific first;
//! 4. what was measured to the region, whoever the client is.
//!
//! Rows and measurements beyond their hard limit of age are passed over. What follows when nothing
//! is known is `expected`'s business.

use super::super::facts::Measured;
use super::super::latency::{Row, Wanted};
use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Request;
use crate::config::Freshness;

/// Where a known round trip comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// A row of the latency table.
    Row(Row),
    /// Times to the first byte of the client's network.
    ClientNetwork(Measured),
    /// Times to connect to the region.
    Region(Measured),
}

/// Calls `found` with what is known of each region of the request in milliseconds, a later call in
/// place of an earlier one for the same region, and `too_old` with the rows that were passed over.
/// Gives back the regions of which nothing is known.
#[inline]
pub(super) fn each_known(
    request: &Request<'_>,
    mut found: impl FnMut(RegionPosition, f64, Source),
    too_old: impl FnMut(Row),
) -> RegionSet {
    let Request { plan, deployment, facts, conditions, among, .. } = *request;
    let by_network = plan.measured.by_client_network && !conditions.network.is_empty();
    let mut left = among;
    let mut closer_rows = RegionSet::EMPTY;
    if let Some(lookup) = &plan.latency {
        let wanted = Wanted {
            address: facts.client.address,
            location: &facts.location,
            regions: among,
            positions: &deployment.latency_positions,
            now: facts.now,
        };
        let take = |row: Row| {
            if by_network && row.key.is_client_network() {
                closer_rows.insert(row.position);
            }
            found(row.position, row.ms, Source::Row(row));
        };
        left = lookup.rows(&wanted, take, too_old);
    }
    let figures = &deployment.figures;
    let fresh = |measured: &Measured| usable(measured, plan.measured.freshness, facts.now);
    if by_network {
        let enough = |measured: &Measured| measured.samples >= plan.measured.min_samples;
        for position in among.without(closer_rows) {
            let measured = figures.number(position).and_then(|number| conditions.network(number));
            if let Some(measured) = measured.filter(enough).filter(fresh) {
                left.remove(position);
                found(position, measured.ms.into(), Source::ClientNetwork(measured));
            }
        }
    }
    if !conditions.measured.is_empty() {
        for position in left {
            let measured = figures.number(position).and_then(|number| conditions.measured(number));
            if let Some(measured) = measured.filter(fresh) {
                left.remove(position);
                found(position, measured.ms.into(), Source::Region(measured));
            }
        }
    }
    left
}

/// Whether a measurement is one, and not too old.
fn usable(measured: &Measured, freshness: Freshness, now: u64) -> bool {
    let too_old = freshness.hard.is_some_and(|hard| age(now, measured.at) > hard.as_secs());
    !too_old && measured.ms.is_finite() && measured.ms >= 0.0
}

/// Seconds since that moment; a moment that lies ahead is now.
pub(super) fn age(now: u64, at: u64) -> u64 {
    now.saturating_sub(at)
}
