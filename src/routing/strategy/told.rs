//! Expected round trips for people: each with where it comes from, and how old that is.

use super::super::decide::Scene;
use super::super::draws::Draws;
use super::super::facts::Measured;
use super::super::latency::Row;
use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Request;
use super::expected::Expected;
use super::known::{Source, age, each_known};
use crate::config::Freshness;
use crate::model::LocationSource;

/// What is known of the round trips to some regions, once more and with its sources.
pub(super) struct Told<'a> {
    scene: &'a Scene<'a>,
    known: Vec<(RegionPosition, f64, Source)>,
    too_old: Vec<Row>,
}

impl<'a> Told<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, among: RegionSet) -> Self {
        let Scene { plan, deployment, health, facts, conditions } = *scene;
        let draws = Draws::default();
        let request = Request { plan, deployment, health, facts, conditions, draws, among };
        let (mut known, mut too_old) = (Vec::new(), Vec::new());
        let found = |position, ms, source| known.push((position, ms, source));
        each_known(&request, found, |row| too_old.push(row));
        Self { scene, known, too_old }
    }

    /// What is expected of a region.
    pub(super) fn expected(
        &self,
        position: RegionPosition,
        expected: Option<&Expected<'_>>,
    ) -> String {
        let stale = self.stale(position);
        let stale = stale.map(|stale| format!("; {stale}")).unwrap_or_default();
        // A later source took the place of an earlier one.
        let known = self.known.iter().rev().find(|(other, ..)| *other == position);
        match (known, expected.map(|expected| expected.ms(position))) {
            (Some((_, ms, Source::Row(row))), _) => format!("{ms} ms ({}{stale})", self.row(row)),
            (Some((_, ms, Source::ClientNetwork(measured))), _) => {
                let (samples, ago) = (measured.samples, self.ago(measured));
                format!("{ms:.1} ms (client network, {samples} samples, {ago}{stale})")
            }
            (Some((_, ms, Source::Region(measured))), _) => {
                format!("{ms:.1} ms (measured, {}{stale})", self.ago(measured))
            }
            (None, Some(ms)) if ms.is_finite() => format!("{ms:.2} ms (from the distance{stale})"),
            (None, _) => format!("round trip unknown{stale}"),
        }
    }

    /// The rows of these regions that were passed over, each with its region.
    pub(super) fn passed_over(&self) -> String {
        let told = self.too_old.iter().filter_map(|row| {
            let region = self.scene.deployment.region(row.position)?;
            Some(format!("{} {}", region.id, self.row(row)))
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// The rows of a region that were passed over.
    fn stale(&self, position: RegionPosition) -> Option<String> {
        let rows = self.too_old.iter().filter(|row| row.position == position);
        let rows: Vec<String> = rows.map(|row| self.row(row)).collect();
        (!rows.is_empty()).then(|| format!("latency_stale: {}", rows.join(", ")))
    }

    fn row(&self, row: &Row) -> String {
        let Some(age) = row.updated.map(|updated| age(self.scene.facts.now, updated)) else {
            return format!("row {}", row.key);
        };
        let freshness = self.scene.plan.latency.as_ref().map(|lookup| lookup.freshness);
        let mark = mark(age, freshness.unwrap_or_default());
        format!("row {}, {} old{mark}", row.key, time(age))
    }

    fn ago(&self, measured: &Measured) -> String {
        let age = age(self.scene.facts.now, measured.at);
        format!("{} ago{}", time(age), mark(age, self.scene.plan.measured.freshness))
    }
}

/// What is said of something that is past its soft limit.
fn mark(age: u64, freshness: Freshness) -> &'static str {
    match freshness.soft {
        Some(soft) if age > soft.as_secs() => ", stale",
        _ => "",
    }
}

/// How old the database is that knew where the client is.
pub(super) fn place_age(scene: &Scene<'_>) -> String {
    let database = scene.facts.location.source == LocationSource::Database;
    let Some(built) = scene.facts.geoip_built.filter(|_| database) else { return String::new() };
    format!("; by a GeoIP database {} old", time(age(scene.facts.now, built)))
}

/// A time as people say it.
pub(in crate::routing) fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
