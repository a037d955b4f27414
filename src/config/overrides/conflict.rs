//! Variables that set the same thing, one of them a part of it.

use super::apply::Found;

/// Pairs of a variable that sets a part, and one that sets the whole.
pub(super) fn conflicts<'n>(settings: &[(&'n str, Found, &str)]) -> Vec<(&'n str, &'n str)> {
    let mut sorted: Vec<_> =
        settings.iter().map(|(name, place, _)| (&place.steps, *name)).collect();
    sorted.sort();
    let mut found = Vec::new();
    // What begins with it comes right behind it.
    let mut whole: Option<(&Vec<_>, &str)> = None;
    for (steps, name) in sorted {
        match whole {
            Some((outer, by)) if steps.starts_with(outer) => found.push((name, by)),
            _ => whole = Some((steps, name)),
        }
    }
    found
}
