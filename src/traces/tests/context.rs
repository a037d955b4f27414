//! `traceparent`: what is believed, and that what is written can be read.

use proptest::prelude::*;

use super::super::context::{Flags, SpanId, TRACEPARENT_BYTES, TraceContext, TraceId};

const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn parse(text: &str) -> Option<String> {
    let context = TraceContext::parse(text.as_bytes())?;
    Some(String::from_utf8(context.to_bytes().to_vec()).unwrap())
}

#[test]
fn what_is_good_goes_on_as_it_is() {
    for text in [
        GOOD,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "00-00000000000000000000000000000001-0000000000000001-02",
        "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-03",
    ] {
        assert_eq!(parse(text).as_deref(), Some(text));
        // White space around a value is none of it.
        assert_eq!(parse(&format!(" \t{text}\t ")).as_deref(), Some(text));
    }
    let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(context.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(context.span.to_string(), "b7ad6b7169203331");
    assert!(context.flags.sampled());
}

#[test]
fn flags_that_nobody_has_defined_are_taken_off() {
    for (flags, expected) in [("ff", "03"), ("fe", "02"), ("09", "01"), ("f4", "00")] {
        let text = format!("{}{flags}", &GOOD[..53]);
        assert_eq!(parse(&text), Some(format!("{}{expected}", &GOOD[..53])));
    }
}

#[test]
fn higher_versions_are_read_as_far_as_they_are_known() {
    for rest in ["", "-", "-what-the-future-will-be-like", "--", "-\u{e9}"] {
        for version in ["01", "cc", "fe"] {
            let text = format!("{version}{}{rest}", &GOOD[2..]);
            assert_eq!(parse(&text).as_deref(), Some(GOOD), "{text}");
        }
    }
    for rest in [".what-the-future-will-be-like", "0", " -", ",", ", 00"] {
        assert_eq!(parse(&format!("cc{}{rest}", &GOOD[2..])), None, "{rest}");
    }
    // There is no such version, and in this one nothing stands behind the flags.
    assert_eq!(parse(&format!("ff{}", &GOOD[2..])), None);
    for rest in ["-", ".", "-x", "0", ", "] {
        assert_eq!(parse(&format!("{GOOD}{rest}x")), None, "{rest}");
    }
}

#[test]
fn what_is_not_good_is_nothing() {
    for text in [
        "",
        "00",
        "-",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
        "0A-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
        "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319cc-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033311-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "000-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331 01",
        "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn zero_is_no_id_whatever_the_entropy() {
    assert_eq!(TraceId::from_entropy([0, 0]).to_bytes()[15], 1);
    assert_eq!(SpanId::from_entropy(0).to_bytes(), [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(TraceId::from_entropy([u64::MAX, 0]).randomness(), 0);
    assert_eq!(TraceId::from_entropy([0, u64::MAX]).randomness(), (1 << 56) - 1);
    assert_eq!(Flags::started(true).bits(), 3);
    assert_eq!(Flags::started(false).bits(), 2);
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(high: u64, low: u64, span: u64, flags in 0_u8..4) {
        let text = format!("00-{:032x}-{span:016x}-{flags:02x}", u128::from(high) << 64 | u128::from(low));
        let context = TraceContext::parse(text.as_bytes());
        prop_assert_eq!(context.is_some(), (high, low) != (0, 0) && span != 0);
        if let Some(context) = context {
            let written = context.to_bytes();
            prop_assert_eq!(&written[..], text.as_bytes());
            prop_assert_eq!(TraceContext::parse(&written), Some(context));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = TraceContext::parse(&bytes);
    }

    /// One character of a good one is another: if it is still good, the other fields are the same.
    #[test]
    fn fields_are_read_apart(at in 0..TRACEPARENT_BYTES, byte: u8) {
        let good = TraceContext::parse(GOOD.as_bytes()).unwrap();
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        let hex = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let dash = [2, 35, 52].contains(&at);
        match TraceContext::parse(&bytes) {
            None => prop_assert!(dash && byte != b'-' || !dash && !hex || at < 2),
            Some(read) => {
                let fits = if dash { byte == b'-' } else { hex };
                prop_assert!(fits);
                prop_assert!(read.trace == good.trace || (3..35).contains(&at));
                prop_assert!(read.span == good.span || (36..52).contains(&at));
                prop_assert!(read.flags == good.flags || at >= 53);
            }
        }
    }
}
