//! The text of a latency table, and networks against a scan.

use proptest::prelude::*;

use super::networks::Networks;
use super::{ClientKey, LatencyTable};

fn parse(text: &str) -> Result<LatencyTable, Vec<(usize, String)>> {
    let known = |region: &str| ["us", "eu"].contains(&region);
    LatencyTable::parse(text, &known)
        .map_err(|errors| errors.into_iter().map(|error| (error.line, error.message)).collect())
}

#[test]
fn comments_blank_lines_spaces_quotes_and_a_byte_order_mark_are_allowed() {
    let text = "\u{feff}# measured\r\n\r\nclient, region, rtt_ms\r\n# Europe\r\n \"DE\" ,us, 90.5\n*,eu,1e2\n";
    assert_eq!(parse(text).unwrap().len(), 2);
    assert!(parse("client,region,rtt_ms").unwrap().is_empty());
}

#[test]
fn every_error_comes_with_its_line() {
    let text = "\
client,region,rtt_ms
# line 2
DE,mars,10
DE,us,-1
DE,us,NaN
DE,us,inf
DE,us
DE,us,1,2
XYZ,us,1
AS,us,1
10.0.0.1/8,us,1
10.0.0.0/33,us,1
AS4294967296,us,1
continent:XX,us,1
,us,1
US-TOOLONG,us,1
FR,us,1
country:fr,us,2
";
    let errors = parse(text).unwrap_err();
    let lines: Vec<usize> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, (3..=16).chain([18]).collect::<Vec<_>>());
    let message = |line| &errors.iter().find(|(other, _)| *other == line).unwrap().1;
    assert!(message(3).contains("region `mars` does not exist"));
    assert!(message(10).contains("write `country:AS` or `continent:AS`"));
    assert!(message(11).contains("write `10.0.0.0/8`"));
    assert!(message(18).contains("line 17 already has a row for country FR"));
}

#[test]
fn the_first_line_must_name_the_columns() {
    let more = "client,region,rtt_ms,updated,more";
    for text in ["", "\n\n", "DE,us,1", "client,region", "client,region,rtt_ms,more", more] {
        assert_eq!(parse(text).unwrap_err().len(), 1, "{text:?}");
    }
    assert_eq!(parse("# one\n\nDE,us,1\n").unwrap_err()[0].0, 3);
}

#[test]
fn a_row_may_say_when_it_was_measured() {
    let table = parse(
        "client,region,rtt_ms,updated\nDE,us,1,\nDE,eu,1,0\nFR,us,1,1700000000\n\
         FR,eu,1,2026-01-31T08:00:00Z\n*,us,1,\"2026-01-31T09:00:00.5+01:00\"\n*,eu,1,4294967294\n",
    );
    let times: Vec<_> = table.unwrap().0.entries.iter().map(|e| e.updated.seconds()).collect();
    let expected = [None, Some(0), Some(1_700_000_000), Some(1_769_846_400)];
    for time in expected {
        assert!(times.contains(&time), "{time:?} in {times:?}");
    }
    assert_eq!(times.iter().filter(|time| **time == Some(1_769_846_400)).count(), 2);
    assert!(times.contains(&Some(4_294_967_294)));
}

#[test]
fn a_time_that_is_none_is_an_error_with_its_line() {
    let bad = [
        ("yesterday", "RFC 3339"),
        ("2026-01-31", "RFC 3339"),
        ("2026-01-31T08:00:00", "RFC 3339"),
        ("2026-02-30T08:00:00Z", "RFC 3339"),
        ("1700000000.5", "RFC 3339"),
        ("NaN", "RFC 3339"),
        ("-1", "from 1970 to 2106"),
        ("1969-12-31T23:59:59Z", "from 1970 to 2106"),
        ("1700000000000", "not milliseconds"),
        ("4294967295", "from 1970 to 2106"),
        ("99999999999999999999", "RFC 3339"),
    ];
    let mut text = "client,region,rtt_ms,updated\n".to_owned();
    for (n, (time, _)) in bad.iter().enumerate() {
        text += &format!("10.0.0.{n},us,1,{time}\n");
    }
    text += "DE,us,1\nDE,us,1,2,3\n";
    let errors = parse(&text).unwrap_err();
    for ((line, message), (time, expected)) in errors.iter().zip(bad) {
        assert!(message.contains(&format!("`{time}`")) && message.contains(expected), "{message}");
        assert!(*line >= 2);
    }
    let lines: Vec<usize> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, (2..=14).collect::<Vec<_>>());
    assert!(errors[12].1.contains("expected four fields"), "{errors:?}");
    let undated = parse("client,region,rtt_ms\nDE,us,1,1700000000\n").unwrap_err();
    assert!(undated[0].1.contains("expected three fields"));
}

#[test]
fn overlapping_networks_are_no_error_and_the_same_network_twice_is() {
    let nested = "10.0.0.0/8,us,1\n10.0.0.0/9,us,1\n10.0.0.0/9,eu,1\n10.0.0.1,us,1\n";
    assert_eq!(parse(&format!("client,region,rtt_ms\n{nested}")).unwrap().len(), 4);
    let twice = parse("client,region,rtt_ms\n10.0.0.0/8,us,1\n::ffff:10.0.0.0/104,us,2\n");
    assert_eq!(twice.unwrap_err()[0].0, 3);
}

#[test]
fn minus_nothing_is_nothing() {
    let table = parse("client,region,rtt_ms\nDE,us,-0\n").unwrap();
    assert!(table.0.entries[0].rtt_ms.is_sign_positive());
}

#[test]
fn errors_are_counted_up_to_the_limit() {
    let text = format!("client,region,rtt_ms\n{}", "nonsense\n".repeat(5_000));
    assert_eq!(parse(&text).unwrap_err().len(), crate::model::limits::CONFIG_ERRORS);
}

#[test]
fn keys_are_read_as_documented() {
    let cases = [
        ("*", "*"),
        ("de", "country DE"),
        ("EU", "continent EU"),
        ("oc", "continent OC"),
        ("continent:na", "continent NA"),
        ("country:NA", "country NA"),
        ("us-ca", "US-CA"),
        ("AS-01", "AS-01"),
        ("as64500", "AS64500"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::1", "::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
    ];
    for (text, expected) in cases {
        assert_eq!(ClientKey::parse(text).unwrap().to_string(), expected, "{text}");
    }
    for ambiguous in ["AF", "as", "NA", "SA"] {
        assert!(ClientKey::parse(ambiguous).unwrap_err().contains("both"), "{ambiguous}");
    }
}

proptest! {
    #[test]
    fn no_text_can_crash_the_reader(text in "(client,region,rtt_ms(,updated)?\n)?([^,]{0,8},(us|eu),[0-9.eE+-]{0,9}(,[0-9TZ:+.-]{0,25})?\n|\\PC{0,20}\n){0,9}") {
        let _ = parse(&text);
    }

    #[test]
    fn enclosing_networks_equal_a_scan(
        networks in prop::collection::vec((any::<u32>(), 0..=32u8), 0..60),
        dense in prop::collection::vec((0..64u32, 24..=32u8), 0..60),
        addresses in prop::collection::vec(prop_oneof![any::<u32>(), 0..70u32, Just(u32::MAX)], 1..20),
    ) {
        let mask = |length: u8| u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let all = networks.into_iter().chain(dense);
        let mut all: Vec<_> =
            all.map(|(address, length)| (address & mask(length), length)).collect();
        all.sort_unstable();
        all.dedup();
        let built = Networks::new(all.iter().map(|(first, length)| (*first, *length, 0..0)));
        for address in addresses {
            let mut expected: Vec<_> =
                all.iter().copied().filter(|(first, length)| address & mask(*length) == *first).collect();
            expected.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
            let found: Vec<_> =
                built.enclosing(address).map(|network| (network.first, network.length)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
