//! Rhumb: an edge proxy that decides, for every request, which region answers.

pub mod cli;
pub mod config;
pub mod geo;
pub mod model;
