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
    for text in ["", "\n\n", "DE,us,1", "client,region", "client,region,rtt_ms,more"] {
        assert_eq!(parse(text).unwrap_err().len(), 1, "{text:?}");
    }
    assert_eq!(parse("# one\n\nDE,us,1\n").unwrap_err()[0].0, 3);
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
    fn no_text_can_crash_the_reader(text in "(client,region,rtt_ms\n)?([^,]{0,8},(us|eu),[0-9.eE+-]{0,9}\n|\\PC{0,20}\n){0,9}") {
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
