//! The book of names by table and by property: what an answer is worth, and when to ask again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::answer::{Good, read};
use super::*;
use crate::config::{self, Config, Names};
use crate::model::limits::{ADDRESSES_PER_NAME, NAME_RETRY_MAX, NAMES_IN_FLIGHT};
use crate::model::{Question, Sought, refused_address};

const SECOND: Duration = Duration::from_secs(1);
/// No jitter: in the middle of its range.
const MIDDLE: u64 = u64::MAX / 2 + 1;

fn config_of(endpoints: &str, top: &str) -> Config {
    let text = format!(
        "listeners: [{{ address: \"0.0.0.0:80\" }}]\n{top}\n\
         regions: [{{ id: a, latitude: 1, longitude: 2, country: DE, endpoints: [{endpoints}] }}]\n\
         deployments: [{{ name: d, primary_region: a }}]\n"
    );
    config::parse(&text, "f", std::path::Path::new(""), &|_| None).unwrap().config
}

fn book_of(endpoints: &str) -> Book {
    let mut book = Book::default();
    book.adopt(&config_of(endpoints, ""), None, Duration::ZERO);
    book
}

fn question(name: &str) -> Question {
    Question { name: name.into(), sought: Sought::Addresses }
}

fn family(addresses: &[&str], ttl: u64) -> Family {
    match addresses {
        [] => Family::Nothing,
        ["?"] => Family::Failed(Trouble::Timeout),
        _ => {
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            Family::Found(addresses.collect(), Duration::from_secs(ttl))
        }
    }
}

fn host(name: &str, priority: u16, port: Option<u16>, v6: Family, v4: Family) -> Host {
    Host { name: name.into(), priority, weight: 1, port, v6, v4 }
}

/// An answer about addresses. `?` is a family that could not be looked up.
fn reply(v6: &[&str], v4: &[&str], ttl: u64) -> Result<Reply, Trouble> {
    let host = host("x", 0, None, family(v6, ttl), family(v4, ttl));
    Ok(Reply { hosts: vec![host], ttl: Duration::MAX })
}

/// The addresses of the only name.
fn addresses(book: &Book) -> Vec<String> {
    let status = book.status(Duration::ZERO).next().unwrap();
    status.places.iter().map(|place| place.address.to_string()).collect()
}

/// Asks for the only name at `now` and answers at once.
fn round(book: &mut Book, reply: Result<Reply, Trouble>, now: Duration) -> Verdict {
    let orders = book.orders(now);
    assert_eq!(orders.len(), 1, "due at {now:?}");
    book.answered(&orders[0], reply, now, MIDDLE)
}

#[test]
fn a_good_answer_is_asked_for_again_when_its_ttl_is_over() {
    for (ttl, next) in [(0, 1), (1, 1), (30, 30), (300, 300), (301, 300), (u64::MAX / 2, 300)] {
        let mut book = book_of("\"http://x\"");
        assert_eq!(book.next_wake(), Some(Duration::ZERO));
        let verdict = round(&mut book, reply(&[], &["10.0.0.1"], ttl), 5 * SECOND);
        assert_eq!((verdict.result, verdict.changed), ("changed", true));
        assert_eq!(book.next_wake(), Some((5 + next) * SECOND), "TTL {ttl}");
        assert_eq!(book.orders((5 + next) * SECOND - Duration::from_nanos(1)), []);
        let verdict = round(&mut book, reply(&[], &["10.0.0.1"], ttl), (5 + next) * SECOND);
        assert_eq!((verdict.result, verdict.changed), ("unchanged", false));
    }
}

#[test]
fn whatever_goes_wrong_the_last_good_answer_stays_and_is_asked_for_with_growing_pauses() {
    let refused: IpAddr = "169.254.169.254".parse().unwrap();
    let bad = [
        (Err(Trouble::Timeout), "timeout"),
        (Err(Trouble::Server("SERVFAIL".to_owned())), "error"),
        (Err(Trouble::Empty), "empty"),
        (Ok(Reply { hosts: Vec::new(), ttl: SECOND }), "empty"),
        (reply(&[], &[], 9), "empty"),
        (reply(&["?"], &["?"], 9), "timeout"),
        (reply(&["?"], &[], 9), "timeout"),
        (reply(&[], &["169.254.169.254"], 9), "refused"),
        (reply(&["fe80::1"], &["0.0.0.0", "224.0.0.1"], 9), "refused"),
        (reply(&["::ffff:10.0.0.9"], &[], 9), "empty"),
        (reply(&["10.0.0.9"], &["2001:db8::9"], 9), "empty"),
    ];
    for (answer, result) in bad {
        let mut book = book_of("\"http://x\"");
        let mut now = Duration::ZERO;
        round(&mut book, reply(&["2001:db8::1"], &["10.0.0.1"], 1), now);
        for pause in [1, 1, 2, 4, 8, 16, 30, 30] {
            let due = book.next_wake().unwrap();
            assert_eq!(due, now + pause * SECOND, "{answer:?}");
            now = due;
            let verdict = round(&mut book, answer.clone(), now);
            assert_eq!((verdict.result, verdict.changed), (result, false), "{answer:?}");
            assert_eq!(addresses(&book), ["2001:db8::1", "10.0.0.1"], "{answer:?}");
        }
        let status = book.status(now + SECOND).next().unwrap();
        assert_eq!((status.failures, status.expired), (8, true));
        assert_eq!(status.age, Some(now + SECOND));
        now = book.next_wake().unwrap();
        let verdict = round(&mut book, reply(&[], &["10.0.0.2"], 1), now);
        assert!(verdict.changed);
        assert_eq!(addresses(&book), ["10.0.0.2"]);
        assert_eq!(book.status(now).next().unwrap().trouble, None);
    }
    assert_eq!(Trouble::Refused(refused).as_str(), "refused");
}

#[test]
fn what_a_host_was_known_by_does_not_replace_what_is_new() {
    let (old, new): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let known = Good::from([(("x".into(), false), vec![old])]);
    for failed in [80, 81] {
        let at = |port| {
            let found = if port == failed { &["?"][..] } else { &["10.0.0.2"] };
            host("x", 0, Some(port), Family::Nothing, family(found, 9))
        };
        let reply = Reply { hosts: vec![at(80), at(81)], ttl: SECOND };
        let places = read(&reply, &known, &[]).unwrap().places;
        let places: Vec<_> = places.iter().map(|place| (place.address, place.port)).collect();
        assert_eq!(places, [(new, Some(80)), (new, Some(81))], "{failed}");
    }
}

#[test]
fn the_same_trouble_is_news_once() {
    let mut book = book_of("\"http://x\"");
    let news = |book: &mut Book, answer| {
        let now = book.next_wake().unwrap();
        round(book, answer, now).news.is_some()
    };
    assert!(news(&mut book, Err(Trouble::Timeout)));
    assert!(!news(&mut book, Err(Trouble::Timeout)));
    assert!(news(&mut book, Err(Trouble::Empty)));
    assert!(!news(&mut book, reply(&[], &["10.0.0.1"], 1)));
    assert!(news(&mut book, Err(Trouble::Empty)), "it was well in between");
}

#[test]
fn a_family_that_cannot_be_looked_up_keeps_what_it_had() {
    for (v6, v4, expected, result) in [
        (&["?"][..], &["10.0.0.2"][..], &["2001:db8::1", "10.0.0.2"][..], "changed"),
        (&["?"], &["10.0.0.1"], &["2001:db8::1", "10.0.0.1"], "partial"),
        (&["2001:db8::2"], &["?"], &["2001:db8::2", "10.0.0.1"], "changed"),
        (&[], &["10.0.0.1"], &["10.0.0.1"], "changed"),
        (&["2001:db8::1"], &[], &["2001:db8::1"], "changed"),
        // The one that is to go where nobody may.
        (&["fe80::1"], &["10.0.0.1"], &["2001:db8::1", "10.0.0.1"], "partial"),
        (&["2001:db8::1"], &["127.0.0.1", "0.0.0.0"], &["2001:db8::1", "127.0.0.1"], "changed"),
    ] {
        let mut book = book_of("\"http://x\"");
        round(&mut book, reply(&["2001:db8::1"], &["10.0.0.1"], 60), Duration::ZERO);
        let verdict = round(&mut book, reply(v6, v4, 60), 60 * SECOND);
        assert_eq!((addresses(&book), verdict.result), (own(expected), result), "{v6:?} {v4:?}");
        let complete = verdict.news.is_none();
        let next = book.next_wake().unwrap() - 60 * SECOND;
        assert_eq!(next, if complete { 60 * SECOND } else { SECOND }, "{v6:?} {v4:?}");
    }
}

fn own(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_order_of_an_answer_is_no_change_and_ipv6_comes_first() {
    let mut book = book_of("\"http://x\"");
    round(&mut book, reply(&["2001:db8::2"], &["10.0.0.3", "10.0.0.1"], 1), Duration::ZERO);
    assert_eq!(addresses(&book), ["2001:db8::2", "10.0.0.1", "10.0.0.3"]);
    let turned = reply(&["2001:db8::2"], &["10.0.0.1", "10.0.0.3", "10.0.0.1"], 1);
    assert!(!round(&mut book, turned, SECOND).changed);
    // Two families of one host, as far as can be told.
    let twins = reply(&["2001:db8::2"], &["10.0.0.1"], 1);
    assert!(round(&mut book, twins, 2 * SECOND).changed);
    let status = book.status(SECOND).next().unwrap();
    let twins: Vec<_> = status.places.iter().map(|place| place.twin.unwrap()).collect();
    assert_eq!(twins, ["10.0.0.1", "2001:db8::2"].map(|text| text.parse::<IpAddr>().unwrap()));
}

#[test]
fn of_a_service_the_best_priority_that_has_addresses_is_used() {
    let v4 = |address: &'static str| family(&[address], 60);
    let none = || Family::Nothing;
    let at = |hosts: Vec<Host>, known: &Good| {
        let reading = read(&Reply { hosts, ttl: 7 * SECOND }, known, &[])?;
        let shown = reading.places.iter();
        let shown =
            shown.map(|it| format!("{} {} {}", it.address, it.port.unwrap_or(0), it.weight));
        Ok::<_, Trouble>((shown.collect::<Vec<_>>(), reading.ttl))
    };
    let known = Good::new();
    let (places, ttl) = at(
        vec![
            host("c", 2, Some(3), none(), v4("10.0.0.3")),
            Host { weight: 0, ..host("a", 1, Some(1), none(), v4("10.0.0.1")) },
            Host { weight: 60, ..host("b", 1, Some(2), none(), v4("10.0.0.2")) },
            Host { weight: 5, ..host("b", 1, Some(2), none(), v4("10.0.0.2")) },
        ],
        &known,
    )
    .unwrap();
    assert_eq!(places, ["10.0.0.1 1 1", "10.0.0.2 2 65"]);
    assert_eq!(ttl, 7 * SECOND, "the shortest of all");
    let hosts = |best: Family| {
        vec![host("a", 1, Some(1), none(), best), host("c", 2, Some(3), none(), v4("10.0.0.3"))]
    };
    for best in [none(), family(&["?"], 1), v4("169.254.169.254")] {
        assert_eq!(at(hosts(best), &known).unwrap().0, ["10.0.0.3 3 1"]);
    }
    // One that was known and cannot be asked is still the best.
    let known = Good::from([((Arc::from("a"), false), vec!["10.0.0.9".parse().unwrap()])]);
    assert_eq!(at(hosts(family(&["?"], 1)), &known).unwrap().0, ["10.0.0.9 1 1"]);
}

#[test]
fn only_so_many_lookups_are_under_way_and_late_ones_are_not_believed() {
    let names: Vec<_> = (0..2 * NAMES_IN_FLIGHT).map(|i| format!("\"http://n{i}\"")).collect();
    let mut book = book_of(&names.join(", "));
    let first = book.orders(Duration::ZERO);
    assert_eq!(first.len(), NAMES_IN_FLIGHT);
    assert_eq!(book.orders(Duration::ZERO), []);
    assert_eq!(book.next_wake(), None, "there is nothing to do but wait");
    book.answered(&first[0], reply(&[], &["10.0.0.1"], 60), Duration::ZERO, 0);
    assert_eq!(book.next_wake(), Some(Duration::ZERO));
    assert_eq!(book.orders(Duration::ZERO).len(), 1);
    assert!(!book.is_settled());
    let twice = book.answered(&first[0], reply(&[], &["10.0.0.2"], 60), Duration::ZERO, 0);
    assert_eq!(twice, Verdict::default());
    // Names that went and came again while they were looked up.
    book.adopt(&config_of("\"http://other\"", ""), None, Duration::ZERO);
    book.adopt(&config_of(&names.join(", "), ""), None, Duration::ZERO);
    assert_eq!(
        book.answered(&first[1], reply(&[], &["10.0.0.2"], 60), Duration::ZERO, 0),
        Verdict::default()
    );
    book.orders(Duration::ZERO);
    book.give_up(Duration::ZERO, 0);
    while !book.orders(Duration::ZERO).is_empty() {
        book.give_up(Duration::ZERO, 0);
    }
    assert!(book.is_settled());
}

#[test]
fn a_reload_keeps_what_is_known_and_asks_for_what_is_new() {
    let mut book = book_of("\"http://x\"");
    round(&mut book, reply(&[], &["10.0.0.1", "169.254.170.2"], 60), Duration::ZERO);
    assert_eq!(addresses(&book), ["10.0.0.1"]);
    let both = "\"http://x\", \"http://y:81\"";
    let mut first = Book::default();
    first.adopt(&config_of(both, ""), None, SECOND);
    first.leave_out(&config_of("\"http://x:80\"", "").questions());
    round(&mut first, reply(&[], &["10.0.0.7"], 60), SECOND);
    assert!(first.is_settled());
    assert!(!book.adopt(&config_of(both, ""), Some(first), 2 * SECOND));
    assert_eq!(book.orders(2 * SECOND), [], "both are known");
    assert_eq!(book.places().of(&question("y")).len(), 1);
    assert_eq!(book.next_wake(), Some(60 * SECOND));

    // A shorter limit counts for answers that are there; other networks ask for new ones.
    let short = "names: { max_ttl_seconds: 5 }";
    assert!(!book.adopt(&config_of("\"http://x\"", short), None, 3 * SECOND));
    assert_eq!(book.next_wake(), Some(8 * SECOND));
    let allowing = "origins: { allow: [169.254.170.2/32] }";
    assert!(!book.adopt(&config_of("\"http://x\"", allowing), None, 4 * SECOND));
    round(&mut book, reply(&[], &["10.0.0.1", "169.254.170.2"], 60), 4 * SECOND);
    assert_eq!(addresses(&book), ["10.0.0.1", "169.254.170.2"]);
    assert!(book.adopt(&config_of("\"http://x\"", ""), None, 5 * SECOND), "it has to go");
    assert_eq!(addresses(&book), ["10.0.0.1"]);
    let servers = "names: { servers: [\"10.0.0.53\"] }";
    round(&mut book, reply(&[], &["10.0.0.1"], 60), 5 * SECOND);
    book.adopt(&config_of("\"http://x\"", servers), None, 6 * SECOND);
    assert_eq!(book.next_wake(), Some(6 * SECOND), "others may know better");
}

/// What a server may say.
fn any_family() -> impl Strategy<Value = Family> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        (0_u8..4).prop_map(|last| IpAddr::from([10, 0, 0, last])),
        (0_u16..4).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
        (0_u8..3).prop_map(|last| IpAddr::from([169, 254, 169, last])),
    ];
    prop_oneof![
        (proptest::collection::vec(address, 0..100), any::<u32>())
            .prop_map(|(found, ttl)| Family::Found(found, Duration::from_secs(ttl.into()))),
        Just(Family::Nothing),
        Just(Family::Failed(Trouble::Timeout)),
    ]
}

fn any_reply() -> impl Strategy<Value = Result<Reply, Trouble>> {
    let host = (
        "[ab]",
        0_u16..3,
        any::<u16>(),
        proptest::option::of(1_u16..4),
        any_family(),
        any_family(),
    );
    let host = host.prop_map(|(name, priority, weight, port, v6, v4)| Host {
        name: name.into(),
        priority,
        weight,
        port,
        v6,
        v4,
    });
    prop_oneof![
        4 => (proptest::collection::vec(host, 0..5), any::<u32>()).prop_map(|(hosts, ttl)| {
            Ok(Reply { hosts, ttl: Duration::from_secs(ttl.into()) })
        }),
        1 => Just(Err(Trouble::Timeout)),
        1 => Just(Err(Trouble::Empty)),
    ]
}

proptest! {
    #[test]
    fn whatever_servers_say_places_are_good_stay_and_are_asked_for_in_time(
        replies in proptest::collection::vec((any_reply(), any::<u64>()), 1..30)
    ) {
        let mut book = book_of("\"http://x\"");
        let (mut now, mut had_any) = (Duration::ZERO, false);
        for (reply, entropy) in replies {
            let orders = book.orders(now);
            prop_assert_eq!(orders.len(), 1);
            let before = addresses(&book);
            let verdict = book.answered(&orders[0], reply, now, entropy);
            let status = book.status(now).next().unwrap();
            prop_assert!(status.places.len() <= 5 * 2 * ADDRESSES_PER_NAME);
            for place in status.places {
                prop_assert!(!refused_address(place.address, &[]), "{}", place.address);
                prop_assert_eq!(place.address, place.address.to_canonical());
                prop_assert!(place.weight > 0);
                let twin = place.twin.is_none_or(|twin| twin.is_ipv4() != place.address.is_ipv4());
                prop_assert!(twin);
            }
            let mut once: Vec<_> = status.places.iter().map(|it| (it.address, it.port)).collect();
            once.dedup();
            prop_assert_eq!(once.len(), status.places.len());
            had_any |= !status.places.is_empty();
            prop_assert_eq!(had_any, !status.places.is_empty(), "a good answer stays");
            if !verdict.changed {
                prop_assert_eq!(addresses(&book), before);
            }
            let next = book.next_wake().unwrap();
            let most = Names::default().max_ttl.max(NAME_RETRY_MAX.mul_f64(1.25));
            prop_assert!(next > now && next <= now + most, "{:?}", next - now);
            now = next;
        }
    }
}
