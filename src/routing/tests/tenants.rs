//! The file of tenants: what may be in it, what is wrong with it, and what the table costs.

use proptest::prelude::*;

use crate::model::limits::{CONFIG_ERRORS, TENANT_LENGTH};
use crate::routing::{Pin, TenantTable};

fn known(id: &str) -> bool {
    matches!(id, "us" | "eu" | "ap")
}

fn parsed(text: impl AsRef<[u8]>) -> TenantTable {
    TenantTable::parse(text.as_ref(), Some(17), 99, &known).unwrap()
}

/// The lines and the words of all errors.
fn errors(text: impl AsRef<[u8]>) -> Vec<(usize, String)> {
    let errors = TenantTable::parse(text.as_ref(), None, 99, &known).unwrap_err();
    errors.into_iter().map(|error| (error.line, error.message)).collect()
}

/// Home and strictness of a tenant.
fn home<'a>(table: &'a TenantTable, tenant: &str) -> Option<(&'a str, bool)> {
    let Pin { region, strict } = table.find(tenant)?;
    Some((table.regions()[usize::from(region)].as_str(), strict))
}

#[test]
fn tenants_have_homes() {
    let table = parsed("tenant,region\nacme,eu\nglobex,us\ninitech,eu\n");
    assert_eq!(home(&table, "acme"), Some(("eu", false)));
    assert_eq!(home(&table, "globex"), Some(("us", false)));
    assert_eq!(home(&table, "initech"), Some(("eu", false)));
    assert_eq!(home(&table, "umbrella"), None);
    assert_eq!(home(&table, ""), None);
    assert_eq!(table.len(), 3);
    assert_eq!(table.modified(), Some(17));
    assert_eq!(table.regions().len(), 2, "each region once");
    let all: Vec<_> = table.iter().map(|(name, id, strict)| (name, id.as_str(), strict)).collect();
    assert_eq!(all, [("acme", "eu", false), ("globex", "us", false), ("initech", "eu", false)]);
}

#[test]
fn a_third_column_makes_pins_strict() {
    let table = parsed("tenant,region,strict\na,eu,strict\nb,eu,soft\nc,eu,\nd,eu\n");
    let strict = |tenant| home(&table, tenant).map(|(_, strict)| strict);
    assert_eq!(["a", "b", "c", "d"].map(strict), [true, false, false, false].map(Some));
}

#[test]
fn files_of_every_kind_are_read() {
    let texts: [&[u8]; 8] = [
        b"tenant,region\na,eu",
        b"tenant,region\r\na,eu\r\n",
        b"\xef\xbb\xbftenant,region\na,eu\n",
        b"# homes\n\n tenant , region \n\n  # one\n\ta , eu\t\n",
        b"\"tenant\",\"region\"\n\"a\",\"eu\"\n",
        b"tenant,region,strict\na,eu,\n",
        b"tenant,region\n\n\n\na,eu\n\n\n",
        b"\xef\xbb\xbf# with a mark\r\ntenant,region\r\n\r\na,eu",
    ];
    for text in texts {
        let table = parsed(text);
        assert_eq!((table.len(), home(&table, "a")), (1, Some(("eu", false))), "{text:?}");
    }
}

#[test]
fn tenants_are_compared_byte_for_byte() {
    let table = parsed(
        "tenant,region\nAcme,eu\nacme,us\n\" acme\",ap\n\"a,b\",eu\n\"a\"\"b\",us\n\"#a\",ap\nzürich,eu\n",
    );
    let homes = [
        ("Acme", Some("eu")),
        ("acme", Some("us")),
        (" acme", Some("ap")),
        ("a,b", Some("eu")),
        ("a\"b", Some("us")),
        ("#a", Some("ap")),
        ("zürich", Some("eu")),
        ("ACME", None),
        ("acme ", None),
        ("zu\u{308}rich", None),
    ];
    for (tenant, region) in homes {
        assert_eq!(home(&table, tenant).map(|(id, _)| id), region, "{tenant}");
    }
}

#[test]
fn a_file_without_tenants_is_a_table_without_tenants() {
    let table = parsed("tenant,region\n# none yet\n");
    assert!(table.is_empty());
    assert_eq!(table.find("a"), None);
    assert_eq!(TenantTable::default().find("a"), None);
}

#[test]
fn a_file_without_its_first_line_is_refused() {
    let texts: [&[u8]; 9] = [
        b"",
        b"\n\n",
        b"# tenant,region\n",
        b"acme,eu\n",
        b"region,tenant\nacme,eu\n",
        b"tenant\nacme\n",
        b"tenant,region,strict,more\n",
        b"tenant,region,mode\n",
        b"\xff\xfet\0e\0n\0a\0n\0t\0",
    ];
    for text in texts {
        let found = errors(text);
        assert_eq!(found.len(), 1, "{text:?}");
        assert!(found[0].1.contains("`tenant,region,strict`"), "{found:?}");
    }
    assert_eq!(errors("# one\n\nacme,eu\n")[0].0, 3);
}

#[test]
fn every_error_comes_with_its_line() {
    let long = "n".repeat(TENANT_LENGTH + 1);
    let lines: [(&[u8], &str); 14] = [
        (b"acme,mars", "region `mars` does not exist"),
        (b"acme,", "the region is empty"),
        (b",eu", "the tenant is empty"),
        (b"\"\",eu", "the tenant is empty"),
        (b"acme", "expected `tenant,region`"),
        (b"acme,eu,strict,now", "more than 3 fields"),
        (b"acme,eu,yes", "`yes` is neither `strict` nor `soft`"),
        (b"acme,eu,Strict", "`Strict` is neither"),
        (b"ac\x07me,eu", "`ac\\u{7}me` has a control character"),
        (b"ac\xc2\x85me,eu", "has a control character"),
        (b"ac\xffme,eu", "not UTF-8"),
        (b"\"acme,eu", "a quote is not closed"),
        (b"ac\"me,eu", "a quote inside a field"),
        (long.as_bytes(), "expected `tenant,region`"),
    ];
    for (line, words) in lines {
        let text =
            [b"tenant,region,strict\n# a comment\nfirst,eu\n", line, b"\nlast,us\n"].concat();
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, 4, "{found:?}");
        assert!(found[0].1.contains(words), "{found:?}");
    }
    let found = errors(format!("tenant,region\n{long},eu\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("has 129 bytes; it may have 128"), "{found:?}");
    parsed(format!("tenant,region\n{},eu\n", &long[1..]));
}

#[test]
fn a_strict_pin_is_not_lost_for_want_of_a_column() {
    let found = errors("tenant,region\na,eu,strict\n");
    assert_eq!(found[0].0, 2);
    assert!(found[0].1.contains("write `tenant,region,strict` there"), "{found:?}");
}

#[test]
fn all_errors_of_a_file_come_at_once() {
    let text = "tenant,region,strict\n,mars,maybe\nok,eu\nok,us\n\"open,eu\nok,mars\n";
    let lines: Vec<usize> = errors(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [2, 2, 2, 4, 5, 6], "three in one line, and the second home of `ok`");
}

#[test]
fn a_tenant_has_one_home() {
    let found = errors("tenant,region\n# a\na,eu\nb,us\na,us\n\"b\",us\na,ap\n");
    let expected = [(5, 3), (6, 4), (7, 3)];
    assert_eq!(found.len(), expected.len());
    for ((line, message), (later, first)) in found.iter().zip(expected) {
        assert_eq!(*line, later);
        assert!(message.contains(&format!("on line {first} already")), "{message}");
    }
}

#[test]
fn errors_stop_at_the_limit() {
    let rows = |row: &str| "tenant,region\n".to_owned() + &row.repeat(CONFIG_ERRORS * 3);
    assert_eq!(errors(rows("a,mars\n")).len(), CONFIG_ERRORS);
    assert_eq!(errors(rows("a,eu\n")).len(), CONFIG_ERRORS, "duplicates");
    assert!(errors(rows(",mars\n")).len() <= CONFIG_ERRORS + 1, "two in a line");
}

#[test]
fn what_an_error_shows_is_short_and_without_control_characters() {
    let text = format!("tenant,region\na,{}\n", "\x1b[2J".repeat(10_000));
    let [(2, message)] = &errors(text)[..] else { panic!("one error") };
    assert!(message.len() < 1_000 && !message.contains('\x1b'), "{message}");
}

#[test]
fn a_million_tenants_take_less_than_40_bytes_each() {
    let mut text = "tenant,region\n".to_owned();
    for n in 0..1_000_000 {
        text += &format!("tenant-{n:09},{}\n", ["us", "eu", "ap"][n % 3]);
    }
    let table = parsed(&text);
    assert_eq!(table.len(), 1_000_000);
    assert_eq!(home(&table, "tenant-000999998"), Some(("ap", false)));
    assert!(table.resident_bytes() <= 40_000_000, "{} bytes", table.resident_bytes());
}

/// A field as it has to be written.
fn written(field: &str, quoted: bool) -> String {
    let needs = field.starts_with(['#', ' ', '\t'])
        || field.contains([',', '"'])
        || field.ends_with([' ', '\t']);
    if quoted || needs { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

proptest! {
    #[test]
    fn what_is_written_is_found(
        rows in prop::collection::btree_map("[ -~äß€😀]{1,30}", (0..3usize, any::<[bool; 3]>()), 0..60),
        seed: u64,
        ends in prop::sample::select(vec!["\n", "\r\n", "\n\n# between\n"]),
    ) {
        let ids = ["us", "eu", "ap"];
        let mut text = format!("tenant,region,strict{ends}");
        for (tenant, (region, [strict, soft, quoted])) in &rows {
            let third = if *strict { ",strict" } else if *soft { ",soft" } else { "" };
            text += &format!("{},{}{third}{ends}", written(tenant, *quoted), ids[*region]);
        }
        let table = TenantTable::parse(text.as_bytes(), None, seed, &known).unwrap();
        prop_assert_eq!(table.len(), rows.len());
        for (tenant, (region, [strict, ..])) in &rows {
            prop_assert_eq!(home(&table, tenant), Some((ids[*region], *strict)));
            let longer = format!("{tenant}x");
            if !rows.contains_key(&longer) {
                prop_assert_eq!(table.find(&longer), None);
            }
        }
    }

    #[test]
    fn no_bytes_whatever_do_harm(
        text in prop::collection::vec(
            prop_oneof![
                Just(b"tenant,region,strict\n".to_vec()), Just(b"a,eu\n".to_vec()), Just(b"\"".to_vec()),
                Just(b",".to_vec()), Just(b"\r\n".to_vec()), Just(b"strict".to_vec()),
                prop::collection::vec(any::<u8>(), 0..9),
            ],
            0..40,
        ),
        headed: bool,
    ) {
        let head: &[u8] = if headed { b"tenant,region,strict\n" } else { b"" };
        let text = [head, &text.concat()].concat();
        let lines = text.split(|byte| *byte == b'\n').count();
        match TenantTable::parse(&text, None, 3, &known) {
            Ok(table) => prop_assert_eq!(table.iter().count(), table.len()),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)));
                prop_assert!(errors.is_sorted_by_key(|error| error.line));
            }
        }
    }
}
