//! The sources of a round trip, in their order, and their ages.

use super::{DAY, HOUR, NOTHING, NOW, World, berlin, germany, measured};
use crate::config::{Freshness, Strategy as By};
use crate::routing::Measured;

#[test]
fn a_row_as_fine_as_the_client_network_beats_its_measurement_and_a_coarser_one_does_not() {
    let cases = [
        ("192.0.2.1", "192.0.2.0/24,us,90,", "us 90 ms (row 192.0.2.0/24)"),
        ("192.0.2.1", "192.0.2.1,us,90,", "us 90 ms (row 192.0.2.1/32)"),
        ("192.0.2.1", "192.0.2.0/23,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "AS64500,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "DE,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("2001:db8::1", "2001:db8::/48,us,90,", "us 90 ms (row 2001:db8::/48)"),
        ("2001:db8::1", "2001:db8::/47,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
    ];
    for (address, row, expected) in cases {
        let mut request = germany().with_address(address);
        request.location.asn = Some(64_500);
        let world = World::three(By::Latency).rows(row).network(&[measured(40.0, 4)]);
        assert!(
            world.note(&request).starts_with(&format!("latency: {expected},")),
            "{row}: {}",
            world.note(&request)
        );
    }
}

#[test]
fn measurements_count_with_enough_samples_and_while_they_are_not_too_old() {
    let few = Measured { samples: 19, ..measured(40.0, 4) };
    let enough = Measured { samples: 20, ..measured(40.0, 4) };
    let cases = [
        (enough, "us 40.0 ms (client network, 20 samples, 4 s ago)"),
        (few, "us 70.0 ms (measured, 9 s ago)"),
        (measured(40.0, 60), "us 40.0 ms (client network, 50 samples, 60 s ago)"),
        (measured(40.0, 61), "us 40.0 ms (client network, 50 samples, 61 s ago, stale)"),
        (measured(40.0, 600), "us 40.0 ms (client network, 50 samples, 10 min ago, stale)"),
        (measured(40.0, 601), "us 70.0 ms (measured, 9 s ago)"),
        (measured(f32::NAN, 4), "us 70.0 ms (measured, 9 s ago)"),
        (measured(f32::INFINITY, 4), "us 70.0 ms (measured, 9 s ago)"),
        (measured(-1.0, 4), "us 70.0 ms (measured, 9 s ago)"),
        (NOTHING, "us 70.0 ms (measured, 9 s ago)"),
    ];
    for (network, expected) in cases {
        let world = World::three(By::Latency).network(&[network]).measured(&[measured(70.0, 9)]);
        let note = world.note(&germany());
        assert!(note.starts_with(&format!("latency: {expected},")), "{note}");
    }
    let mut off = World::three(By::Latency).network(&[enough]).measured(&[measured(70.0, 9)]);
    off.config.latency.measured.by_client_network = false;
    assert!(off.note(&germany()).contains("us 70.0 ms (measured, 9 s ago)"), "it is opt-in");
}

#[test]
fn a_row_beats_a_measurement_of_the_region_and_that_beats_the_distance() {
    let world = World::three(By::Latency).rows("*,us,90,\n").measured(&[
        measured(5.0, 0),
        measured(12.34, 130),
        measured(1.0, 601),
    ]);
    let note = "latency: eu 12.3 ms (measured, 2 min ago, stale), us 90 ms (row *), \
                ap 124.86 ms (from the distance)";
    assert_eq!(world.note(&berlin()), note);
    world.goes(&berlin(), &["eu", "us", "ap"], "latency");
}

#[test]
fn the_most_specific_row_that_is_not_too_old_counts() {
    let row = |key: &str, age: u64| format!("{key},us,{},{}\n", key.len(), NOW - age);
    let cases = [
        (HOUR, "us 7 ms (row 10.0.0.0/8, 60 min old)".replace("7 ms", "10 ms")),
        (HOUR + 1, "us 10 ms (row 10.0.0.0/8, 60 min old, stale)".to_owned()),
        (DAY, "us 10 ms (row 10.0.0.0/8, 24 h old, stale)".to_owned()),
        (
            DAY + 1,
            "us 2 ms (row country DE, 2 h old, stale; latency_stale: row 10.0.0.0/8, 24 h old, stale)"
                .to_owned(),
        ),
    ];
    for (age, expected) in cases {
        let rows = row("10.0.0.0/8", age) + &row("DE", 2 * HOUR) + "*,us,1,\n";
        let world = World::three(By::Latency).rows(&rows);
        let note = world.note(&germany().with_address("10.1.1.1"));
        assert!(note.starts_with(&format!("latency: {expected},")), "{note}");
    }
}

#[test]
fn of_overlapping_networks_the_longest_counts_for_each_region_by_itself() {
    let rows = format!(
        "10.0.0.0/8,us,80,\n10.0.0.0/8,eu,81,\n10.1.0.0/16,us,16,\n10.1.1.0/24,us,24,{}\n\
         10.1.1.1,ap,1,\n10.2.0.0/16,us,2,\n",
        NOW - 2 * DAY
    );
    let world = World::three(By::Latency).rows(&rows);
    let note = "latency: ap 1 ms (row 10.1.1.1/32), us 16 ms (row 10.1.0.0/16; latency_stale: \
                row 10.1.1.0/24, 2 d old, stale), eu 81 ms (row 10.0.0.0/8)";
    assert_eq!(world.note(&germany().with_address("10.1.1.1")), note);
}

#[test]
fn rows_of_every_form_of_time_age_and_those_without_do_not() {
    let at =
        |text: &str| World::three(By::Latency).rows(&format!("DE,us,9,{text}\n")).note(&germany());
    // 1_700_000_000 is 2023-11-14T22:13:20Z.
    assert!(at("2023-11-14T22:13:16Z").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("2023-11-14T23:13:16+01:00").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("1699999996").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("").contains("us 9 ms (row country DE)"));
    assert!(at("1800000000").contains("us 9 ms (row country DE, 0 s old)"), "ahead is now");
    assert!(at("0").contains("every row for the client is too old"), "1970 is a time");
}

#[test]
fn latency_is_stale_only_if_there_is_nothing_else() {
    let rows = format!("DE,us,9,{}\nDE,eu,8,{}\n", NOW - 2 * DAY, NOW - 3 * DAY);
    let stale = || World::three(By::Latency).rows(&rows);
    stale().goes(&germany(), &["us", "eu", "ap"], "latency_stale");
    let note = "latency: every row for the client is too old (us row country DE, 2 d old, stale, \
                eu row country DE, 3 d old, stale): as listed";
    assert_eq!(stale().note(&germany()), note);
    stale().goes(&berlin(), &["eu", "us", "ap"], "latency");
    stale().rows("*,ap,300,\n").goes(&germany(), &["ap", "us", "eu"], "latency");
    let far = [NOTHING, NOTHING, measured(200.0, 0)];
    stale().measured(&far).goes(&germany(), &["ap", "us", "eu"], "latency");
    stale().network(&far).goes(&germany(), &["ap", "us", "eu"], "latency");
    let old = [measured(200.0, 601)];
    World::three(By::Latency).measured(&old).goes(
        &germany(),
        &["us", "eu", "ap"],
        "latency_unknown",
    );
    // Rows for others, or for regions that are not in the list, are nothing that is known.
    let others = format!("JP,us,9,{}\n", NOW - 2 * DAY);
    World::three(By::Latency).rows(&others).goes(
        &germany(),
        &["us", "eu", "ap"],
        "latency_unknown",
    );
}

#[test]
fn without_limits_nothing_is_too_old() {
    let mut world = World::three(By::Latency)
        .rows("DE,us,9,1\n")
        .measured(&[NOTHING, Measured { at: 1, ..measured(5.0, 0) }]);
    world.config.latency.freshness = Freshness::default();
    world.config.latency.measured.freshness = Freshness::default();
    world.goes(&germany(), &["eu", "us", "ap"], "latency");
}
