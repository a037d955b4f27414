//! The queues between workers and the exporter: bounded, and forgotten when their worker ends.

use std::sync::Arc;

use super::super::outlet::Traces;
use super::record;
use crate::model::limits::TRACE_QUEUE;

#[test]
fn a_full_queue_says_what_is_lost_and_holds_nobody_up() {
    let traces = Arc::new(Traces::default());
    let (full, other) = (traces.outlet(), traces.outlet());
    for _ in 0..TRACE_QUEUE {
        full.send(Box::new(record())).unwrap();
    }
    let lost = record();
    assert_eq!(full.send(Box::new(lost)), Err(2), "a request and an attempt");
    other.send(Box::new(record())).unwrap();

    let mut taken = 0;
    traces.collect(|_| {
        taken += 1;
        taken < 10
    });
    assert_eq!(taken, 10);
    full.send(Box::new(record())).unwrap();
    drop((full, other));
    // What workers that have ended left is still there, once.
    let mut rest = 0;
    traces.collect(|_| {
        rest += 1;
        true
    });
    assert_eq!(rest, TRACE_QUEUE - 10 + 2);
    traces.collect(|_| panic!("nothing is left"));
}

#[test]
fn workers_salt_their_ids_differently() {
    let traces = Arc::new(Traces::default());
    assert_ne!(traces.outlet().salt(), traces.outlet().salt());
}

#[test]
fn every_queue_has_its_turn() {
    let traces = Arc::new(Traces::default());
    let outlets: Vec<_> = (0..3).map(|_| traces.outlet()).collect();
    // Each of them has more than is taken at once, always.
    let of = |number: usize| {
        let mut record = record();
        record.status = u16::try_from(number).ok();
        Box::new(record)
    };
    let mut taken = [0; 3];
    for _ in 0..6 {
        for (number, outlet) in outlets.iter().enumerate() {
            outlet.send(of(number)).unwrap();
            outlet.send(of(number)).unwrap();
        }
        traces.collect(|record| {
            taken[usize::from(record.status.unwrap())] += 1;
            false
        });
    }
    assert_eq!(taken, [2, 2, 2]);
}
