//! `tracestate`: what is passed on, as it is, combined or shortened.

use proptest::prelude::*;

use super::super::state::{State, passed_on};
use crate::model::limits::{TRACESTATE_BYTES, TRACESTATE_MEMBERS};

fn of(lines: &[&str]) -> State {
    passed_on(lines.iter().map(|line| line.as_bytes()))
}

fn other(text: &str) -> State {
    State::Other(text.as_bytes().to_vec())
}

#[test]
fn one_good_line_is_not_touched() {
    let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
    for line in [
        "foo=1",
        "foo=1,bar=2",
        "foo=1 \t , \t bar=2, baz=3",
        " foo=1 ",
        "foo=1,,bar=2,",
        "foo@=1,foo@@bar=1,t*/_-0@v=1,0=1",
        "foo= leading blanks are part of it",
        "foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
        // Twice the same key: it is not for us to choose.
        "foo=1,foo=2",
        &longest,
    ] {
        assert_eq!(of(&[line]), State::Same, "{line}");
    }
}

#[test]
fn lines_become_one() {
    assert_eq!(
        of(&["foo=1,bar=2", "rojo=1, congo=2", "baz=3"]),
        other("foo=1,bar=2,rojo=1,congo=2,baz=3")
    );
    assert_eq!(of(&["foo=1", ""]), other("foo=1"));
    assert_eq!(of(&["", " \t", " foo=1 "]), other("foo=1"));
}

#[test]
fn nothing_in_it_is_nothing() {
    for lines in [&[][..], &[""], &["", " "], &[" , ,\t,"]] {
        assert_eq!(of(lines), State::Nothing, "{lines:?}");
    }
}

#[test]
fn one_bad_member_spoils_the_list() {
    let long_key = format!("{}=1", "k".repeat(257));
    let long_value = format!("k={}", "v".repeat(257));
    for bad in [
        "foo",
        "=1",
        "foo=",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1",
        "-foo=1",
        "foo=bar=baz",
        "foo==",
        "foo=\u{e9}",
        "foo=a\tb",
        "foo=\u{7f}",
        "f\u{0}oo=1",
        &long_key,
        &long_value,
    ] {
        assert_eq!(of(&[bad]), State::Nothing, "{bad}");
        assert_eq!(of(&["a=1", bad, "b=2"]), State::Nothing, "{bad}");
        assert_eq!(of(&[&format!("a=1,{bad}")]), State::Nothing, "{bad}");
    }
}

#[test]
fn members_are_counted_over_all_lines() {
    let members: Vec<_> = (0..TRACESTATE_MEMBERS).map(|i| format!("k{i}={i}")).collect();
    let (one, two) = members.split_at(10);
    assert_eq!(of(&[&members.join(",")]), State::Same);
    assert_eq!(of(&[&one.join(","), &two.join(",")]), other(&members.join(",")));
    assert_eq!(of(&[&one.join(","), &two.join(","), "more=1"]), State::Nothing);
    // Empty ones do not count.
    assert_eq!(of(&[&members.join(",,,")]), State::Same);
}

#[test]
fn long_members_go_first_and_then_those_at_the_end() {
    let long = |key: &str| format!("{key}={}", "v".repeat(250));
    // 16 long members have room, and 17 have not: the last of them goes, not what is short.
    let mut members: Vec<_> = (0..17).map(|i| long(&format!("l{i}"))).collect();
    members.push("last=1".to_owned());
    let State::Other(value) = of(&[&members.join(",")]) else { panic!("it fits") };
    let value = String::from_utf8(value).unwrap();
    assert!(value.len() <= TRACESTATE_BYTES && value.ends_with(",last=1"));
    assert!(value.starts_with("l0=") && !value.contains("l16="));
    // The limit is for all of it, blanks between members included.
    let wide = format!("a=1,{}b=2", " ".repeat(TRACESTATE_BYTES));
    assert_eq!(of(&[&wide]), other("a=1,b=2"));
}

fn member() -> impl Strategy<Value = String> {
    ("[a-z0-9][a-z0-9_*/@-]{0,40}", "[ -+--<>-~]{0,200}[!-+--<>-~]")
        .prop_map(|(key, value)| format!("{key}={value}"))
}

proptest! {
    /// However it is cut into lines, nothing is added, changed or put in another order.
    #[test]
    fn members_stay_in_order(
        members in prop::collection::vec(member(), 1..TRACESTATE_MEMBERS),
        cuts in prop::collection::vec(0..TRACESTATE_MEMBERS, 0..4),
    ) {
        let mut lines = vec![Vec::new()];
        for (i, member) in members.iter().enumerate() {
            if cuts.contains(&i) {
                lines.push(Vec::new());
            }
            lines.last_mut().unwrap().push(member.clone());
        }
        let lines: Vec<_> = lines.iter().map(|line| line.join(" ,\t")).collect();
        match passed_on(lines.iter().map(String::as_bytes)) {
            State::Same => prop_assert!(lines.len() == 1 && lines[0].len() <= TRACESTATE_BYTES),
            State::Nothing => prop_assert!(false, "all members are good"),
            State::Other(value) => {
                prop_assert!(!value.is_empty() && value.len() <= TRACESTATE_BYTES);
                let value = String::from_utf8(value).unwrap();
                let mut rest = members.iter();
                for member in value.split(',') {
                    prop_assert!(rest.any(|original| original == member), "{}", member);
                }
                let all = members.join(",").len();
                prop_assert!(all > TRACESTATE_BYTES || value.len() == all);
            }
        }
    }

    #[test]
    fn no_bytes_are_too_strange(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5)) {
        let state = passed_on(lines.iter().map(Vec::as_slice));
        if let State::Other(value) = state {
            // What is written is good.
            prop_assert_eq!(passed_on(std::iter::once(&value[..])), State::Same);
        }
    }
}
