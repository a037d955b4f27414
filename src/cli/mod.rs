//! The commands of the `rhumb` program, one file each: arguments in, text and an exit code out.

pub mod geoip;
