//! Counting without sharing: each worker writes its own shard, a scrape adds the shards up.
//!
//! ```text
//! worker 0 ── PairSeries, RegionShard ─┐
//! worker 1 ── PairSeries, RegionShard ─┼─ Registry ── exposition ──> /metrics
//! control  ── ControlSeries, RegionShard ┘
//! ```
//!
//! A counter has exactly one writer, so that counting is a load and a store on a cache line that
//! no other thread writes. Labels come from the configuration only; what a client sends never
//! becomes one. Not here: what is worth counting (its callers know) and the HTTP endpoint (`admin`).

mod average;
mod control;
mod counter;
mod exposition;
pub mod names;
mod regions;
mod registry;
mod series;
mod status;

pub use average::{Average, MovingAverage};
pub use control::{ControlSeries, NameGauge};
pub use counter::{Counter, DURATION_BOUNDS, Histogram, HistogramTotals};
pub use exposition::Page;
pub use regions::{LoadCell, RegionShard, RegionTimes};
pub use registry::{CONTROL, Registry};
pub use series::{
    CompressedSeries, ListenerSeries, LogSeries, PairKey, PairSeries, REASONS, SIGNALS,
    TraceSeries, WorkerSeries,
};
pub use status::StatusCodes;
