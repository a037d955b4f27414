//! The three regions of the demo, and which of them is nearest to whom.
//!
//! The order is computed here once more, without anything of `routing`, so that an answer from the
//! wrong region is noticed.

use crate::model::Coordinates;

/// How many regions there are.
pub(super) const COUNT: usize = 3;
/// A bias for each region.
pub(super) type Biases = [i8; COUNT];
/// Something for each region.
pub(super) type Each<T> = [T; COUNT];

/// One region of the demo.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) location: &'static str,
    pub(super) country: &'static str,
    pub(super) coordinates: Coordinates,
    /// How long its origin thinks before it answers.
    pub(super) delay_ms: u64,
}

/// The regions, the primary first.
pub(super) static PLACES: Each<Place> = [
    Place {
        id: "us-east-1",
        name: "US East",
        location: "Virginia, USA",
        country: "US",
        coordinates: Coordinates { latitude: 38.95, longitude: -77.45 },
        delay_ms: 4,
    },
    Place {
        id: "eu-west-1",
        name: "EU West",
        location: "Dublin, Ireland",
        country: "IE",
        coordinates: Coordinates { latitude: 53.35, longitude: -6.26 },
        delay_ms: 7,
    },
    Place {
        id: "ap-northeast-1",
        name: "Asia Pacific",
        location: "Tokyo, Japan",
        country: "JP",
        coordinates: Coordinates { latitude: 35.68, longitude: 139.69 },
        delay_ms: 10,
    },
];

/// The region that the story kills.
pub(super) const VICTIM: usize = 1;
/// The region whose reach a reload changes.
pub(super) const STRETCHED: usize = 2;
/// Its bias after the reload.
pub(super) const STRETCH: i8 = 40;

/// The region of that id.
pub(super) fn position(id: &str) -> Option<usize> {
    PLACES.iter().position(|place| place.id == id)
}

/// The regions by distance from a client, nearest first, with each region's reach.
pub(super) fn ranking(client: Coordinates, biases: Biases) -> Each<usize> {
    let mut distances = [0.0; COUNT];
    for ((distance, place), bias) in distances.iter_mut().zip(&PLACES).zip(biases) {
        let km = client.distance_km(place.coordinates);
        let share = f64::from(bias) / 100.0;
        *distance = if bias >= 0 { km * (1.0 - share) } else { km / (1.0 + share) };
    }
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| distances[*a].total_cmp(&distances[*b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_bias_changes_what_near_is() {
        let berlin = Coordinates { latitude: 52.5, longitude: 13.4 };
        assert_eq!(ranking(berlin, [0; COUNT]), [1, 0, 2]);
        assert_eq!(ranking(berlin, [0, -90, 0]), [0, 2, 1]);
        assert_eq!(ranking(berlin, [90, 0, 0]), [0, 1, 2]);
        assert_eq!(position("eu-west-1"), Some(VICTIM));
        assert_eq!(position("eu-west-2"), None);
    }
}
