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

/// Where the regions of a deployment are.
#[derive(Debug)]
pub(in crate::routing) struct Sites {
    sites: Box<[Site]>,
    biased: bool,
    /// Squares of scaled angles that differ by no more are equal but for rounding.
    tolerance: f64,
}

#[derive(Debug)]
struct Site {
    point: Point,
    /// The square of what the distance is multiplied by.
    factor_squared: f64,
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
            factor_squared: bias_factor(region.bias).powi(2),
        };
        let sites: Box<[Site]> = regions.iter().map(site).collect();
        let factors = sites.iter().map(|site| site.factor_squared);
        Self {
            tolerance: CHORD_TOLERANCE * factors.fold(1.0, f64::max),
            sites,
            biased: regions.iter().any(|region| region.bias != 0),
        }
    }

    /// Whether any region has a bias.
    pub(super) fn biased(&self) -> bool {
        self.biased
    }

    /// For comparing squares of scaled angles.
    pub(super) fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// Ascends with the distance.
    #[inline]
    pub(super) fn chord_squared(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        let site = self.sites.get(position.index());
        site.map_or(f64::INFINITY, |site| site.point.chord_squared(client.point))
    }

    /// The square of the angle in radians.
    #[inline]
    pub(super) fn angle_squared(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        angle(self.chord_squared(position, client)).powi(2)
    }

    /// At most [`angle_squared`](Self::angle_squared), and cheaper: a chord is shorter than its arc.
    #[inline]
    pub(super) fn angle_squared_floor(
        &self,
        position: RegionPosition,
        client: &ClientPoint,
    ) -> f64 {
        self.chord_squared(position, client) * FLOOR_MARGIN
    }

    /// The square of what the bias multiplies the region's distance by.
    #[inline]
    pub(super) fn factor_squared(&self, position: RegionPosition) -> f64 {
        self.sites.get(position.index()).map_or(1.0, |site| site.factor_squared)
    }

    /// The great-circle distance.
    pub(super) fn km(&self, position: RegionPosition, client: &ClientPoint) -> f64 {
        angle(self.chord_squared(position, client)) * EARTH_RADIUS_KM
    }
}

/// The angle of a chord, in radians.
pub(super) fn angle(chord_squared: f64) -> f64 {
    // Near the antipode the arc sine would magnify rounding to decimetres.
    if chord_squared > 4.0 - CHORD_TOLERANCE {
        return std::f64::consts::PI;
    }
    2.0 * (chord_squared.sqrt() / 2.0).asin()
}
