//! Distances from a client to regions, in the form that is cheapest to compare.
//!
//! With regions and client as points of the unit sphere, a quarter of the squared chord between
//! two of them is the haversine of their angle: comparing squared chords compares great-circle
//! distances, without trigonometry. Only a bias needs the angle itself.

use super::super::plan::{RegionPlan, RegionPosition};
use super::select::FLOOR_MARGIN;
use crate::model::{Coordinates, EARTH_RADIUS_KM};

/// Squared chords that differ by less are equal but for rounding: the places are equally far to
/// within micrometres, and listed order decides.
pub(super) const CHORD_TOLERANCE: f64 = 4e-15;
/// The same for angles.
pub(super) const ANGLE_TOLERANCE: f64 = 1e-12;

/// Where the regions of a deployment are.
#[derive(Debug)]
pub(in crate::routing) struct Sites {
    sites: Box<[Site]>,
    biased: bool,
}

#[derive(Debug)]
struct Site {
    point: Point,
    /// What the distance is multiplied by.
    factor: f64,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    x: f64,
    y: f64,
    z: f64,
}

/// Where a client is.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct ClientPoint {
    point: Point,
}

impl ClientPoint {
    pub(in crate::routing) fn at(coordinates: Coordinates) -> Self {
        Self { point: Point::at(coordinates) }
    }
}

impl Point {
    fn at(coordinates: Coordinates) -> Self {
        let (sin_lat, cos_lat) = coordinates.latitude.to_radians().sin_cos();
        let (sin_lon, cos_lon) = coordinates.longitude.to_radians().sin_cos();
        Self { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    fn chord_squared(self, other: Self) -> f64 {
        let (x, y, z) = (self.x - other.x, self.y - other.y, self.z - other.z);
        x * x + y * y + z * z
    }
}

/// What a bias multiplies the distance by: below 1 when it is positive.
pub(super) fn bias_factor(bias: i8) -> f64 {
    let bias = f64::from(bias) / 100.0;
    if bias >= 0.0 { 1.0 - bias } else { 1.0 / (1.0 + bias) }
}

impl Sites {
    pub(in crate::routing) fn new(regions: &[RegionPlan]) -> Self {
        let site = |region: &RegionPlan| Site {
            point: Point::at(region.coordinates),
            factor: bias_factor(region.bias),
        };
        Self {
            sites: regions.iter().map(site).collect(),
            biased: regions.iter().any(|region| region.bias != 0),
        }
    }

    /// Whether any region has a bias.
    pub(super) fn biased(&self) -> bool {
        self.biased
    }

    /// Ascends with the distance.
    #[inline]
    pub(super) fn chord_squared(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        let site = self.sites.get(position.index());
        site.map_or(f64::INFINITY, |site| site.point.chord_squared(client.point))
    }

    /// The angle in radians.
    #[inline]
    pub(super) fn angle(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        angle(self.chord_squared(position, client))
    }

    /// At most [`angle`](Self::angle), and cheaper.
    #[inline]
    pub(super) fn angle_floor(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        let chord_squared = self.chord_squared(position, client);
        // The first terms of 2 asin(chord / 2); the others are positive too.
        let x = chord_squared / 4.0;
        let terms = 1.0 + x * (1.0 / 6.0 + x * (3.0 / 40.0 + x * (5.0 / 112.0)));
        chord_squared.sqrt() * terms * FLOOR_MARGIN
    }

    /// What the bias multiplies the region's distance by.
    #[inline]
    pub(super) fn factor(&self, position: RegionPosition) -> f64 {
        self.sites.get(position.index()).map_or(1.0, |site| site.factor)
    }

    /// The great-circle distance.
    pub(super) fn km(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        self.angle(position, client) * EARTH_RADIUS_KM
    }
}

fn angle(chord_squared: f64) -> f64 {
    // Near the antipode the arc sine would magnify rounding to decimetres.
    if chord_squared > 4.0 - CHORD_TOLERANCE {
        return std::f64::consts::PI;
    }
    2.0 * (chord_squared.sqrt() / 2.0).asin()
}
