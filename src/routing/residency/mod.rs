//! Residency: which regions may see a request at all.
//!
//! Asked twice and in two ways: for the whole list before anything ranks it (`book`, compiled), and
//! for one region before each attempt (`guard`, from the configuration itself). The two share
//! nothing but how a path is read (`path`). What is done with the answer is not known here.

mod book;
mod guard;
mod path;
mod view;

pub(super) use book::{ResidencyBook, Verdict};
pub use guard::permits;
pub use view::{ResidencyView, residency_view};
