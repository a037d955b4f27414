//! The judgement: from what is used and what may be used to how hard new work is pressed. Pure: the
//! same readings in the same order give the same answers.
//!
//! It rises at one mark and falls at a lower one, so that work is not let in and turned away in turns
//! while the figure stands still.

use crate::model::limits::{
    DESCRIPTORS_EASE_PERCENT, DESCRIPTORS_SHORT_PERCENT, MEMORY_CRITICAL_PERCENT,
    MEMORY_EASE_PERCENT, MEMORY_HELD_PERCENT, MEMORY_HIGH_PERCENT,
};

/// How close memory is to its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough, or no limit.
    #[default]
    Calm,
    /// New connections are refused, and requests of low priority.
    High,
    /// Everything new is refused.
    Critical,
}

impl Level {
    /// Each of them, in order.
    pub const ALL: [Self; 3] = [Self::Calm, Self::High, Self::Critical];

    /// In words of logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level after this one, with so much used.
    fn after(self, used: u64, limit: Option<u64>) -> Self {
        let Some(limit) = limit else { return Self::Calm };
        let is_at = |percent| reaches(used, limit, percent);
        let floor = match self {
            Self::Critical if is_at(MEMORY_HIGH_PERCENT) => Self::Critical,
            Self::High | Self::Critical if is_at(MEMORY_EASE_PERCENT) => Self::High,
            _ => Self::Calm,
        };
        let risen = match () {
            () if is_at(MEMORY_CRITICAL_PERCENT) => Self::Critical,
            () if is_at(MEMORY_HIGH_PERCENT) => Self::High,
            () => Self::Calm,
        };
        floor.max(risen)
    }
}

/// What workers go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Of memory.
    pub memory: Level,
    /// Whether descriptors are short: none is kept without need then.
    pub descriptors: bool,
}

impl Pressure {
    /// As one byte.
    pub(super) const fn to_bits(self) -> u8 {
        self.memory as u8 | (self.descriptors as u8) << 2
    }

    /// From one byte.
    pub(super) const fn from_bits(bits: u8) -> Self {
        let memory = match bits & 3 {
            0 => Level::Calm,
            1 => Level::High,
            _ => Level::Critical,
        };
        Self { memory, descriptors: bits & 4 != 0 }
    }
}

/// What was measured at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Bytes of memory that something is in.
    pub used: u64,
    /// Bytes of memory that the process has, with what its allocator holds for what comes next.
    pub resident: u64,
    /// Bytes that it may have; `None`: no limit.
    pub memory_limit: Option<u64>,
    /// Descriptors in use; `None`: the system does not say.
    pub descriptors: Option<u64>,
    /// Descriptors that it may use.
    pub descriptor_limit: u64,
    /// Somebody found none since the last reading.
    pub exhausted: bool,
}

impl Reading {
    /// What counts of the memory: what something is in. Of the rest a part is not looked at, because
    /// the next request uses it; beyond that it counts as well, because the kernel counts it.
    fn counted(&self) -> u64 {
        let spare = self.memory_limit.unwrap_or(0) / 100 * u64::from(MEMORY_HELD_PERCENT);
        self.used.max(self.resident.saturating_sub(spare))
    }
}

/// Remembers what was judged last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge(Pressure);

impl Judge {
    /// What follows from a reading.
    pub fn judge(&mut self, reading: &Reading) -> Pressure {
        let memory = self.0.memory.after(reading.counted(), reading.memory_limit);
        let mark = match self.0.descriptors {
            true => DESCRIPTORS_EASE_PERCENT,
            false => DESCRIPTORS_SHORT_PERCENT,
        };
        let used = reading.descriptors.unwrap_or(0);
        let descriptors = reading.exhausted || reaches(used, reading.descriptor_limit, mark);
        self.0 = Pressure { memory, descriptors };
        self.0
    }
}

/// Whether `used` is so many percent of `limit` or more.
fn reaches(used: u64, limit: u64, percent: u32) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(percent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(percent: u64) -> Reading {
        let (memory_limit, descriptor_limit) = (Some(1_000), 1_000);
        let (used, descriptors) = (percent * 10, Some(0));
        let resident = used;
        Reading { used, resident, memory_limit, descriptors, descriptor_limit, exhausted: false }
    }

    fn levels(percents: &[u64]) -> Vec<Level> {
        let mut judge = Judge::default();
        percents.iter().map(|percent| judge.judge(&reading(*percent)).memory).collect()
    }

    #[test]
    fn memory_rises_at_one_mark_and_falls_at_a_lower_one() {
        use Level::{Calm, Critical, High};
        for (percents, expected) in [
            (&[0, 84, 89][..], &[Calm, Calm, Calm][..]),
            (&[89, 90, 89, 85, 84, 89], &[Calm, High, High, High, Calm, Calm]),
            (
                &[90, 95, 94, 90, 89, 85, 84],
                &[High, Critical, Critical, Critical, High, High, Calm],
            ),
            (&[200, 10], &[Critical, Calm]),
            (&[95, 86, 91, 95], &[Critical, High, High, Critical]),
        ] {
            assert_eq!(levels(percents), expected, "{percents:?}");
        }
    }

    #[test]
    fn what_nothing_is_in_counts_only_beyond_a_tenth_of_the_limit() {
        let level = |used: u64, resident: u64| {
            let reading = Reading { used: used * 10, resident: resident * 10, ..reading(0) };
            Judge::default().judge(&reading).memory
        };
        assert_eq!(level(50, 99), Level::Calm);
        assert_eq!(level(50, 100), Level::High);
        assert_eq!(level(50, 105), Level::Critical);
        assert_eq!(level(91, 91), Level::High);
        assert_eq!(level(95, 95), Level::Critical);
    }

    #[test]
    fn without_a_limit_there_is_no_pressure_and_a_limit_that_goes_ends_it() {
        let mut judge = Judge::default();
        assert_eq!(judge.judge(&reading(99)).memory, Level::Critical);
        let free = Reading { memory_limit: None, ..reading(99) };
        assert_eq!(judge.judge(&free).memory, Level::Calm);
    }

    #[test]
    fn descriptors_are_short_from_one_mark_to_a_lower_one_and_whenever_somebody_found_none() {
        let mut judge = Judge::default();
        let mut short = |used, exhausted| {
            let descriptors = Some(used);
            judge.judge(&Reading { descriptors, exhausted, ..reading(0) }).descriptors
        };
        let said =
            [(899, false), (900, false), (850, false), (849, false), (10, true), (10, false)]
                .map(|(used, exhausted)| short(used, exhausted));
        assert_eq!(said, [false, true, true, false, true, false]);
        let unsaid = Reading { descriptors: None, ..reading(0) };
        assert!(!Judge::default().judge(&unsaid).descriptors);
        assert!(Judge::default().judge(&Reading { exhausted: true, ..unsaid }).descriptors);
    }

    #[test]
    fn a_byte_says_it_all() {
        for memory in Level::ALL {
            for descriptors in [false, true] {
                let pressure = Pressure { memory, descriptors };
                assert_eq!(Pressure::from_bits(pressure.to_bits()), pressure);
            }
        }
    }

    proptest! {
        /// Whatever came before: above the marks it presses, below the lowest it does not, and while
        /// the figure stands still the answer does as well.
        #[test]
        fn the_marks_hold_from_every_state(
            before in prop::collection::vec(0_u64..2_000, 0..20),
            now in 0_u64..2_000,
        ) {
            let at = |used| Reading { used, ..reading(0) };
            let mut judge = Judge::default();
            for used in before {
                judge.judge(&at(used));
            }
            let level = judge.judge(&at(now)).memory;
            prop_assert_eq!(judge.judge(&at(now)).memory, level);
            match now {
                0..850 => prop_assert_eq!(level, Level::Calm),
                850..900 => prop_assert!(level <= Level::High),
                900..950 => prop_assert!(level >= Level::High),
                _ => prop_assert_eq!(level, Level::Critical),
            }
        }

        #[test]
        fn no_figure_is_too_large(used: u64, resident: u64, limit: u64, open: u64, most: u64) {
            let reading = Reading {
                used,
                resident,
                memory_limit: Some(limit),
                descriptors: Some(open),
                descriptor_limit: most,
                exhausted: false,
            };
            Judge::default().judge(&reading);
        }
    }
}
