//! How short the process is of what the system gives it, memory and descriptors, and what follows
//! for new work.
//!
//! ```text
//! control thread, every 100 ms: memory, descriptors ─> pressure (pure) ─> gauge ─> workers
//!                                        workers that found no descriptor ─┘ ▲
//! ```
//!
//! What is measured is judged here, once; what is refused then, and how, is `server`'s and `proxy`'s
//! business: they read one byte of the [`Gauge`].

mod cgroup;
mod descriptors;
mod gauge;
mod memory;
mod pressure;

pub use cgroup::memory_limit as cgroup_memory_limit;
pub use descriptors::{Descriptors, Shares, is_shortage, raise};
pub use gauge::{Figures, Gauge};
pub use memory::{Memory, Resident};
pub use pressure::{Judge, Level, Pressure, Reading};
