//! What a certificate says of its time, and what is said of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{KeyPair, date_time_ymd};

use super::fixture::{Fixture, address, listening, load, params, settings};
use crate::tls::{TlsWarning, Validity};

const DAY: u64 = 86_400;
/// 2030-01-01 and 2030-04-01.
const FROM: u64 = 1_893_456_000;
const TO: u64 = FROM + 90 * DAY;

#[test]
fn the_days_left_are_counted_and_warned_of() {
    let f = Fixture::new();
    let mut params = params(&["A.test", "*.b.test", "192.0.2.1"]);
    (params.not_before, params.not_after) = (date_time_ymd(2030, 1, 1), date_time_ymd(2030, 4, 1));
    let issued = f.ca.sign(&params, KeyPair::generate().unwrap());
    let tls = load(&listening(settings(vec![f.issued("a", &issued)])));
    let shown = tls.shown();
    let [info] = shown[..] else { panic!("{shown:?}") };
    assert_eq!((info.not_before, info.not_after), (FROM as i64, TO as i64));
    assert_eq!(*info.names, ["a.test", "*.b.test"]);
    assert_eq!(info.addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((info.listener, info.name()), (Some(address()), "a.test".to_owned()));
    assert_eq!((&*info.subject, &*info.issuer), ("CN=somebody", "CN=test root"));
    let cases = [
        (0, 22_005, Validity::NotYet, "not valid yet"),
        (FROM - 1, 90, Validity::NotYet, "not valid yet"),
        (FROM, 90, Validity::Valid, ""),
        (TO - 21 * DAY, 21, Validity::Valid, ""),
        (TO - 21 * DAY + 1, 20, Validity::EndsSoon, "expires in 20 days"),
        (TO - DAY, 1, Validity::EndsSoon, "expires in 1 day;"),
        (TO, 0, Validity::EndsSoon, "expires in 0 days"),
        (TO + 1, -1, Validity::Expired, "has expired"),
        (TO + 400 * DAY, -400, Validity::Expired, "has expired"),
    ];
    for (now, days, validity, said) in cases {
        let now: SystemTime = UNIX_EPOCH + Duration::from_secs(now);
        assert_eq!((info.days_left(now), info.validity(now)), (days, validity));
        match TlsWarning::of_time(info, now) {
            Some((warning, of)) => {
                assert_eq!(of, validity);
                assert!(!said.is_empty() && warning.message.contains(said), "{warning}");
            }
            None => assert_eq!(said, ""),
        }
    }
    let json = serde_json::to_value(info.report(UNIX_EPOCH + Duration::from_secs(FROM))).unwrap();
    assert_eq!(json["not_after"], "2030-04-01T00:00:00Z");
    assert_eq!((&json["days_left"], &json["state"]), (&90.into(), &"valid".into()));
    assert_eq!(json["listener"], "127.0.0.1:8443");
}

#[test]
fn one_that_has_expired_is_loaded_all_the_same() {
    let f = Fixture::new();
    let mut params = params(&["a.test"]);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 4, 1));
    let issued = f.ca.sign(&params, KeyPair::generate().unwrap());
    let tls = load(&listening(settings(vec![f.issued("a", &issued)])));
    assert_eq!(tls.shown()[0].validity(SystemTime::now()), Validity::Expired);
}
