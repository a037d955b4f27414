//! Rhumb: an edge proxy that decides, for every request, which region answers.

pub mod config;
pub mod geo;
pub mod metrics;
pub mod model;
pub mod routing;
