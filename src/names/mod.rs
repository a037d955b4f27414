//! Where the names of endpoints are: when to ask the DNS, what an answer is worth, and asking.
//!
//! ```text
//! Book     every name, its last good answer, when to ask again        (pure: time is an argument)
//!   └ answer   from an answer to places: families, refused addresses, the best priority
//! Asker    makes the lookups that the book orders, as tasks of the control thread
//!   └ dns      one lookup: the file of hosts, then DNS servers
//! ```
//!
//! An answer becomes places of a routing table by way of the controller, like everything that changes
//! one. Connecting is `upstream`'s business, and so is refusing to once more.

mod answer;
mod ask;
mod book;
mod dns;
mod first;
mod report;
#[cfg(test)]
mod tests;

pub use answer::{Family, Host, Reply, Trouble};
pub use ask::{Answered, Asker};
pub use book::{Book, NameStatus, Order, Ticket, Verdict};
pub use first::{first_answers, first_answers_blocking};
pub use report::NameReport;
