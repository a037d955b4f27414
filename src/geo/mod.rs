//! Where a client is: database readers, the table of countries, trusted headers.
//!
//! ```text
//! peer, headers ── identify ──> Client ── locate ──> Location
//!                                           │
//!            files ── Database ── Databases ┘   (verified whole before anything is asked)
//! ```
//!
//! What a location means for a request is decided in `routing`; when files are read again, in
//! the controller's loop. Nothing here reads a clock.

pub mod countries;
mod country_table;
mod database;
mod databases;
mod error;
mod forwarded;
mod identify;
mod ranges;
mod record;
mod space;
mod special;
mod tree;

pub use countries::CountryFacts;
pub use database::Database;
pub use databases::{Age, DatabaseInfo, Databases, Found, Located};
pub use error::{GeoError, TreeProblem};
pub use identify::{client, locate, placed, vouched};
pub use record::{Asn, Fields, Place, Record};
pub use space::AddressSpace;
