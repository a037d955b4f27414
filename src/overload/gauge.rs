//! Where the judgement stands for all threads to read: one byte for workers, figures for people.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::pressure::Pressure;
use crate::model::limits::SHORTAGE_LOG_INTERVAL;

/// Stands in for "none" where a figure may be missing.
const NONE: u64 = u64::MAX;

/// The current pressure. Written by the control thread, read by all.
#[derive(Debug)]
pub struct Gauge {
    pressure: Byte,
    /// A worker found no descriptor; the control thread has not looked since.
    exhausted: AtomicBool,
    figures: [AtomicU64; 5],
    epoch: Instant,
    /// When the log was told of a shortage, in milliseconds since the epoch, and one.
    complained: AtomicU64,
}

/// On a cache line of its own: every request reads it, and hardly anybody writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Byte(AtomicU8);

/// What was measured last, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of memory that the process has.
    pub resident: u64,
    /// Those that something is in.
    pub used: u64,
    /// Bytes of them that there may be.
    pub memory_limit: Option<u64>,
    /// Descriptors in use, where the system says so.
    pub descriptors: Option<u64>,
    /// Descriptors that it may use.
    pub descriptor_limit: u64,
}

impl Default for Gauge {
    fn default() -> Self {
        let figures = [0, 0, NONE, NONE, 0].map(AtomicU64::new);
        Self {
            pressure: Byte::default(),
            exhausted: AtomicBool::new(false),
            figures,
            epoch: Instant::now(),
            complained: AtomicU64::new(0),
        }
    }
}

impl Gauge {
    /// The pressure, for a decision that is made now.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        Pressure::from_bits(self.pressure.0.load(Relaxed))
    }

    /// Puts a new one in place.
    pub fn set(&self, pressure: Pressure, figures: &Figures) {
        let Figures { resident, used, memory_limit, descriptors, descriptor_limit } = *figures;
        let (memory_limit, descriptors) =
            (memory_limit.unwrap_or(NONE), descriptors.unwrap_or(NONE));
        let values = [resident, used, memory_limit, descriptors, descriptor_limit];
        for (figure, value) in self.figures.iter().zip(values) {
            figure.store(value, Relaxed);
        }
        self.pressure.0.store(pressure.to_bits(), Relaxed);
    }

    /// What was measured last.
    pub fn figures(&self) -> Figures {
        let [resident, used, memory_limit, descriptors, descriptor_limit] =
            self.figures.each_ref().map(|figure| figure.load(Relaxed));
        let some = |value| Some(value).filter(|value| *value != NONE);
        Figures {
            resident,
            used,
            memory_limit: some(memory_limit),
            descriptors: some(descriptors),
            descriptor_limit,
        }
    }

    /// No descriptor was free just now.
    pub fn note_exhausted(&self) {
        self.exhausted.store(true, Relaxed);
    }

    /// Whether somebody found none since this was asked last.
    pub fn take_exhausted(&self) -> bool {
        self.exhausted.swap(false, Relaxed)
    }

    /// Whether the log may be told of a shortage now: once in a while, whoever asks.
    pub fn may_complain(&self, now: Instant) -> bool {
        let millis = now.saturating_duration_since(self.epoch).as_millis();
        let now = u64::try_from(millis).unwrap_or(u64::MAX - 1).saturating_add(1);
        let before = self.complained.load(Relaxed);
        let is_due = before == 0
            || Duration::from_millis(now.saturating_sub(before)) >= SHORTAGE_LOG_INTERVAL;
        is_due && self.complained.compare_exchange(before, now, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pressure::Level;
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let gauge = Gauge::default();
        assert_eq!(gauge.pressure(), Pressure::default());
        assert_eq!(gauge.figures().memory_limit, None);
        let pressure = Pressure { memory: Level::Critical, descriptors: true };
        let figures = Figures {
            resident: 7,
            used: 6,
            memory_limit: Some(8),
            descriptors: Some(9),
            descriptor_limit: 10,
        };
        gauge.set(pressure, &figures);
        assert_eq!((gauge.pressure(), gauge.figures()), (pressure, figures));
    }

    #[test]
    fn a_shortage_is_told_to_the_control_thread_once() {
        let gauge = Gauge::default();
        gauge.note_exhausted();
        assert_eq!([gauge.take_exhausted(), gauge.take_exhausted()], [true, false]);
    }

    #[test]
    fn the_log_hears_of_it_once_a_second() {
        let gauge = Gauge::default();
        let heard = [0, 1, 999, 1_000, 1_500, 2_000, 9_000]
            .map(|millis| gauge.may_complain(gauge.epoch + Duration::from_millis(millis)));
        assert_eq!(heard, [true, false, false, true, false, true, true]);
    }
}
