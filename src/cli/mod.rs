//! The commands of the program, one file each. Not here: what they command.

pub mod check;
pub mod schema;
