//! Counting without sharing: each worker writes its own shard, a scrape adds the shards up.
//!
//! ```text
//! worker 0 ── PairSeries ─┐
//! worker 1 ── PairSeries ─┼─ Registry ── exposition ──> /metrics
//! control  ── ControlSeries ┘
//! ```
//!
//! A counter has exactly one writer, so that counting is a load and a store on a cache line that
//! no other thread writes. Labels come from the configuration only; what a client sends never
//! becomes one. Not here: what is worth counting (its callers know) and the HTTP endpoint (`admin`).

mod control;
mod counter;
mod exposition;
pub mod names;
mod registry;
mod series;
mod status;

pub use control::ControlSeries;
pub use counter::{Counter, DURATION_BOUNDS, Histogram, HistogramTotals};
pub use exposition::Page;
pub use registry::Registry;
pub use series::{PairKey, PairSeries, REASONS, SIGNALS, WorkerSeries};
pub use status::StatusCodes;
