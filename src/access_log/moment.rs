//! Moments as RFC 3339 has them, in UTC. Nearly always the second is that of the moment before, and
//! only the thousandths are worked out.

use std::cell::Cell;

use super::digits::digits;

/// A moment as text.
pub(super) type Text = [u8; 24];

/// What is remembered of the moment before.
#[derive(Debug)]
pub(super) struct Moments {
    second: Cell<u64>,
    text: Cell<Text>,
}

impl Default for Moments {
    fn default() -> Self {
        Self { second: Cell::new(0), text: Cell::new(second(0)) }
    }
}

impl Moments {
    /// The text of a moment in milliseconds since 1970.
    pub(super) fn text(&self, unix_millis: u64) -> Text {
        let (seconds, millis) = (unix_millis / 1_000, unix_millis % 1_000);
        if self.second.replace(seconds) != seconds {
            self.text.set(second(seconds));
        }
        let mut text = self.text.get();
        if let Some(places) = text.get_mut(20..23) {
            places.copy_from_slice(&digits::<3>(millis));
        }
        text
    }
}

/// The start of a second since 1970.
fn second(seconds: u64) -> Text {
    let (year, month, day) = date(seconds / 86_400);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, two: u64| {
        if let Some(places) = text.get_mut(at..at + 2) {
            places.copy_from_slice(&digits::<2>(two));
        }
    };
    put(0, year / 100);
    put(2, year);
    put(5, month);
    put(8, day);
    put(11, seconds / 3_600 % 24);
    put(14, seconds / 60 % 60);
    put(17, seconds % 60);
    text
}

/// Year, month and day of a day since 1970: years begin in March, so that the day that some have
/// more is the last one, in eras of 400 years, which are all alike.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    const BEFORE_1970: u64 = 719_468;
    let days = days + BEFORE_1970;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_in_full_whichever_came_before() {
        let moments = Moments::default();
        for (millis, expected) in [
            (7, "1970-01-01T00:00:00.007Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(std::str::from_utf8(&moments.text(millis)), Ok(expected));
        }
    }

    proptest! {
        #[test]
        fn moments_are_those_of_the_calendar(
            (before, millis) in (0_u64..=253_402_300_799_999, 0_u64..=253_402_300_799_999),
        ) {
            let moments = Moments::default();
            moments.text(before);
            let read: jiff::Timestamp = std::str::from_utf8(&moments.text(millis)).unwrap().parse().unwrap();
            prop_assert_eq!(u64::try_from(read.as_millisecond()).unwrap(), millis);
        }
    }
}
