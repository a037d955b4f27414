//! A worker's side: what is logged at all, and what that takes.

use std::cell::RefCell;
use std::sync::mpsc::sync_channel;

use http::HeaderMap;

use super::super::logger::{Ending, Logger};
use super::super::queue::Message;
use super::super::{Entry, Lines};
use super::lines::{everything, names};
use super::targets::{Bench, numbers};
use super::{ending, settings, sheet};
use crate::config::{AccessLog, LogTarget};
use crate::metrics::Registry;
use crate::model::limits::{ACCESS_LOG_QUEUE, ACCESS_LOG_ROOMS};

#[test]
fn a_sample_is_a_share_and_what_went_wrong_is_always_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let settings = AccessLog { sample: 0.25, ..settings(LogTarget::File(path.clone())) };
    let bench = Bench::new(settings);
    let logger = bench.logger.as_ref().unwrap();
    let quarter = 1_u64 << 62;
    for (id, entropy, status, error) in [
        ("1", quarter - 1, 200, ""),
        ("2", quarter, 200, ""),
        ("3", u64::MAX, 404, ""),
        ("4", u64::MAX, 502, ""),
        ("5", u64::MAX, 404, "no_deployment"),
        ("6", 0, 404, ""),
    ] {
        let entry = logger.begin(&bench.sheet, 0);
        entry.borrow_mut().id(id.as_bytes());
        entry.borrow_mut().refused(error);
        logger.end(entry, &Ending { entropy, ..ending(status) });
    }
    bench.stop();
    assert_eq!(numbers(&path), [1, 4, 5, 6]);
}

#[test]
fn nothing_is_allocated_once_a_worker_is_warm() {
    let registry = Registry::default();
    let (sender, received) = sync_channel(ACCESS_LOG_QUEUE);
    let logger = Logger::new(Lines(sender), registry.worker());
    let sheet = sheet(settings(LogTarget::Stdout));
    let (headers, names) = (HeaderMap::new(), names());
    let request = || {
        let entry: Box<RefCell<Entry>> = logger.begin(&sheet, 1);
        everything(&mut entry.borrow_mut(), &headers, &names);
        logger.end(entry, &ending(200));
    };
    // As many as fill a few batches, whose room goes back when they have been written.
    let round = || {
        (0..300).for_each(|_| request());
        let mut batches = 0;
        for message in received.try_iter() {
            let Message::Batch(batch) = message else { panic!("nobody has asked for a look") };
            batch.give_back();
            batches += 1;
        }
        assert!((1..ACCESS_LOG_ROOMS).contains(&batches), "{batches}");
    };
    (0..2).for_each(|_| round());
    let info = allocation_counter::measure(|| (0..20).for_each(|_| round()));
    assert_eq!(info.count_total, 0);
    let counted = allocation_counter::measure(|| drop(Box::new(1_u64)));
    assert!(counted.count_total > 0, "nothing is counted at all");
}
