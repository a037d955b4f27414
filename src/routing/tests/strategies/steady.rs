//! What keeps `latency` calm: the tolerance, and the lead that another region needs.

#[test]
fn within_the_tolerance_of_the_fastest_the_less_busy_comes_first() {
    // Round trips, in flight of 10, tolerance: the order.
    type Case = ([u32; 3], [u32; 3], f64, [&'static str; 3]);
    let cases: &[Case] = &[
        ([20, 25, 30], [9, 5, 1], 0.0, ["us", "eu", "ap"]),
        ([20, 25, 30], [9, 5, 1], 4.9, ["us", "eu", "ap"]),
        ([20, 25, 30], [9, 5, 1], 5.0, ["eu", "us", "ap"]),
        ([20, 25, 30], [9, 5, 1], 10.0, ["ap", "eu", "us"]),
        ([20, 25, 30], [9, 5, 1], 9.9, ["eu", "us", "ap"]),
        // Equally busy: by round trip, then as listed.
        ([30, 25, 20], [5, 5, 5], 10.0, ["ap", "eu", "us"]),
        ([30, 20, 20], [5, 5, 5], 10.0, ["eu", "ap", "us"]),
        ([20, 20, 20], [3, 2, 2], 1.0, ["eu", "ap", "us"]),
        // Beyond it by round trip, however idle.
        ([20, 90, 80], [9, 0, 0], 5.0, ["us", "ap", "eu"]),
    ];
    for (rtt, load, tolerance, order) in cases {
        let [us, eu, ap] = rtt;
        let world = World::three(By::Latency)
            .rows(&format!("*,us,{us},\n*,eu,{eu},\n*,ap,{ap},\n"))
            .limits(&[10, 10, 10])
            .in_flight(load)
            .ranking(|ranking| ranking.latency_tolerance_ms = *tolerance);
        world.goes(&germany(), order, "latency");
    }
}

#[test]
fn the_tolerance_is_measured_from_the_fastest_that_is_up() {
    let world = |down: &[usize]| {
        World::three(By::Latency)
            .rows("*,us,20,\n*,eu,50,\n*,ap,55,\n")
            .limits(&[10, 10, 10])
            .in_flight(&[0, 9, 1])
            .ranking(|ranking| ranking.latency_tolerance_ms = 10.0)
            .down(down)
    };
    world(&[]).goes(&germany(), &["us", "eu", "ap"], "latency");
    world(&[0]).goes(&germany(), &["ap", "eu"], "latency");
    // Full is not down: it is what the others are measured by, and drops out later.
    let full = world(&[]).in_flight(&[10, 9, 1]);
    full.goes(&germany(), &["eu", "ap"], "latency");
}

#[test]
fn the_tolerance_knows_distances_and_takes_no_region_that_is_unknown() {
    let tolerant = |world: World| world.ranking(|ranking| ranking.latency_tolerance_ms = 80.0);
    // From Berlin: eu 18 ms, us 93 ms, ap 125 ms. A region without a limit is never busy.
    let world = || tolerant(World::three(By::Latency)).limits(&[10, 10, 10]);
    world().in_flight(&[1, 5, 0]).goes(&berlin(), &["us", "eu", "ap"], "latency");
    world().limits(&[10, 0, 10]).in_flight(&[1, 5, 0]).goes(
        &berlin(),
        &["eu", "us", "ap"],
        "latency",
    );
    let one = tolerant(World::three(By::Latency)).rows("*,ap,50,\n").in_flight(&[0, 0, 9]);
    one.limits(&[10, 10, 10]).goes(&germany(), &["ap", "us", "eu"], "latency");
}

#[test]
fn the_incumbent_stays_first_while_no_other_is_faster_by_more() {
    let world = |switch: f64, incumbent: u16| {
        World::three(By::Latency)
            .rows("*,us,40,\n*,eu,20,\n*,ap,90,\n")
            .ranking(|ranking| ranking.latency_switch_ms = switch)
            .incumbent(incumbent)
    };
    world(0.0, 0).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(19.9, 0).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(20.0, 0).goes(&germany(), &["us", "eu", "ap"], "latency");
    world(20.0, 1).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(70.0, 2).goes(&germany(), &["ap", "eu", "us"], "latency");
    world(69.9, 2).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(1e9, 9).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(20.0, 0).down(&[0]).goes(&germany(), &["eu", "ap"], "latency");
    world(50.0, 2).down(&[1]).goes(&germany(), &["ap", "us"], "latency");
}

#[test]
fn the_incumbent_comes_before_those_within_the_tolerance() {
    let world = |switch: f64| {
        World::three(By::Latency)
            .rows("*,us,40,\n*,eu,20,\n*,ap,22,\n")
            .limits(&[10, 10, 10])
            .in_flight(&[0, 5, 3])
            .incumbent(0)
            .ranking(|ranking| {
                ranking.latency_tolerance_ms = 5.0;
                ranking.latency_switch_ms = switch;
            })
    };
    world(20.0).goes(&germany(), &["us", "ap", "eu"], "latency");
    world(19.0).goes(&germany(), &["ap", "eu", "us"], "latency");
    let note = "latency: us 40 ms (row *), ap 22 ms (row *), eu 20 ms (row *); within 5 ms of the \
                fastest, so by utilisation: ap 3 of 10 in flight, eu 5 of 10 in flight; the \
                client's network stays at us: none is over 20 ms faster";
    assert_eq!(world(20.0).note(&germany()), note);
}
