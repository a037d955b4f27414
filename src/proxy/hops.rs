//! Chains of Rhumbs: a request carries a signed list of those it has passed, and one that comes back
//! is answered instead of sent around again.
//!
//! A list that is unsigned, forged or too old is not believed, and replaced by a new one. A Rhumb
//! without a name takes no part: it passes the field on as it is.

use http::{HeaderMap, HeaderValue};

use super::headers::RHUMB_HOPS;
use super::tenant::only;
use crate::config::Hops;
use crate::model::TokenRefusal;
use crate::model::limits::HOPS_LIFETIME;
use crate::tokens::{Claim, Keyring, Purpose};

/// Stands between names; no name has it.
const BETWEEN: char = ',';

/// The way of a request that goes round in circles, this Rhumb last.
pub(super) type Way = Vec<String>;

/// The list with this Rhumb added to it, to be sent on; `None` if it takes no part.
///
/// # Errors
///
/// The way so far, if it has led here before or is too long.
pub(super) fn pass(
    headers: &HeaderMap,
    hops: &Hops,
    keys: &Keyring,
    now: u64,
    refused: impl FnOnce(TokenRefusal),
) -> Result<Option<HeaderValue>, Way> {
    let Some(own) = hops.id.as_deref().filter(|_| !keys.is_empty()) else { return Ok(None) };
    let known = only(headers, &RHUMB_HOPS)
        .and_then(|list| keys.open(list.as_bytes(), Purpose::Hops, "", now).map_err(refused).ok());
    let passed = known.as_ref().map_or("", |list| list.subject());
    let names = || passed.split(BETWEEN).filter(|name| !name.is_empty());
    let way = || names().chain([own]).map(str::to_owned).collect();
    if names().any(|name| name == own) || names().count() >= hops.most as usize {
        return Err(way());
    }
    let longer = match passed {
        "" => own.to_owned(),
        passed => format!("{passed}{BETWEEN}{own}"),
    };
    let claim = Claim {
        purpose: Purpose::Hops,
        deployment: "",
        subject: &longer,
        issued: now,
        expires: Some(now.saturating_add(HOPS_LIFETIME.as_secs())),
    };
    // A list that is too long to be signed has led through enough.
    let signed = keys.sign(&claim).ok_or_else(way)?;
    Ok(HeaderValue::try_from(signed).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SigningKey;

    fn keys(byte: u8) -> Keyring {
        Keyring::new(&[SigningKey { id: "k".into(), secret: [byte; 32].as_slice().into() }])
    }

    fn hops(id: &str, most: u32) -> Hops {
        Hops { id: Some(id.into()), most }
    }

    fn carrying(value: Option<HeaderValue>) -> HeaderMap {
        value.into_iter().map(|value| (RHUMB_HOPS, value)).collect()
    }

    fn never(why: TokenRefusal) {
        panic!("{why}");
    }

    #[test]
    fn a_list_grows_until_it_has_led_back() {
        let keys = keys(1);
        let mut headers = HeaderMap::new();
        for id in ["a", "b", "c"] {
            headers = carrying(pass(&headers, &hops(id, 8), &keys, 0, never).unwrap());
        }
        let way = pass(&headers, &hops("b", 8), &keys, 1, never).unwrap_err();
        assert_eq!(way, ["a", "b", "c", "b"]);
        assert!(pass(&headers, &hops("d", 4), &keys, 1, never).is_ok());
        assert_eq!(pass(&headers, &hops("d", 3), &keys, 1, never).unwrap_err().len(), 4);
        // A name within a name is another name.
        assert!(pass(&headers, &hops("bb", 8), &keys, 1, never).is_ok());
    }

    #[test]
    fn a_list_that_nobody_signed_is_replaced() {
        let (own, other) = (keys(1), keys(2));
        let foreign = carrying(pass(&HeaderMap::new(), &hops("a", 8), &other, 0, never).unwrap());
        let plain = carrying(Some(HeaderValue::from_static("a,b")));
        let mut twice = carrying(pass(&HeaderMap::new(), &hops("a", 8), &own, 0, never).unwrap());
        twice.append(RHUMB_HOPS, twice[RHUMB_HOPS].clone());
        let old = carrying(pass(&HeaderMap::new(), &hops("a", 8), &own, 0, never).unwrap());
        for (headers, now) in [(&foreign, 0), (&plain, 0), (&twice, 0), (&old, 300)] {
            let next = pass(headers, &hops("a", 8), &own, now, |_| {}).unwrap();
            let opened = own.open(next.unwrap().as_bytes(), Purpose::Hops, "", now).unwrap();
            assert_eq!(opened.subject(), "a");
        }
    }

    #[test]
    fn without_a_name_or_a_key_it_takes_no_part() {
        let keys = keys(1);
        let headers = carrying(pass(&HeaderMap::new(), &hops("a", 8), &keys, 0, never).unwrap());
        assert_eq!(pass(&headers, &Hops::default(), &keys, 0, never), Ok(None));
        assert_eq!(pass(&headers, &hops("a", 8), &Keyring::default(), 0, never), Ok(None));
    }

    #[test]
    fn a_list_that_cannot_be_signed_has_led_through_enough() {
        let keys = keys(1);
        let mut headers = HeaderMap::new();
        let mut passed = 0;
        while let Ok(next) =
            pass(&headers, &hops(&format!("{passed:064}"), u32::MAX), &keys, 0, never)
        {
            headers = carrying(next);
            passed += 1;
            assert!(passed < 100);
        }
        assert!(passed > 8, "{passed}");
    }
}
