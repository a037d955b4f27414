//! Keys that order regions, of which some are only known roughly, or not at all. What they are
//! computed from is not known here.

use std::cmp::Ordering;

/// A part of a key; the first part that tells two regions apart decides.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Part {
    /// Known to the last bit.
    Exact(f64),
    /// Computed in one of several right ways.
    Near {
        value: f64,
        /// Two values that are so near may be ordered either way.
        blur: f64,
        /// What it is computed from: equal, the values are too.
        from: String,
    },
    /// Drawn, or too close to a limit to say.
    Open,
}

impl Part {
    fn value(&self) -> (f64, f64) {
        match self {
            Self::Exact(value) => (*value, 0.0),
            Self::Near { value, blur, .. } => (*value, *blur),
            Self::Open => (0.0, f64::INFINITY),
        }
    }
}

/// Whether `a` must come before `b`, or after it; `None`: either is right.
pub(in super::super) fn before(a: &[Part], b: &[Part]) -> Option<Ordering> {
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Part::Open, _) | (_, Part::Open) => return None,
            (Part::Near { from: a, .. }, Part::Near { from: b, .. }) if a == b => continue,
            _ => {}
        }
        let ((a, blur_a), (b, blur_b)) = (a.value(), b.value());
        match a.total_cmp(&b) {
            Ordering::Equal if blur_a == 0.0 && blur_b == 0.0 => {}
            _ if (a - b).abs() <= blur_a.max(blur_b) => return None,
            order => return Some(order),
        }
    }
    None
}
