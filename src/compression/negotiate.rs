//! Which coding a client gets (RFC 9110 section 12.5.3).
//!
//! Not here: whether a response is worth it (`eligible`).

use http::HeaderValue;

use crate::model::Coding;
use crate::model::list::{members, trim};

/// The weight of what is named without one, in thousandths.
const FULL: u16 = 1_000;

/// What a client says of codings.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    others: Option<u16>,
}

/// The best of the codings that are offered, by the weights of the client's `Accept-Encoding` and
/// then by the order of the offer. `None`: the response is best left as it is, because the client
/// says nothing, takes none of them, or likes none as much as no coding at all.
///
/// An element that is malformed is passed over. Where one coding has two weights, the lower one
/// counts: what is refused anywhere is not sent.
pub fn negotiate<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
    offer: &[Coding],
) -> Option<Coding> {
    let mut weights = Weights::default();
    for element in members(lines.into_iter().map(HeaderValue::as_bytes)) {
        if let Some((name, weight)) = element_of(element) {
            weights.note(name, weight);
        }
    }
    weights.best(offer)
}

impl Weights {
    fn note(&mut self, name: &[u8], weight: u16) {
        let place = if name == b"*" {
            &mut self.others
        } else if name.eq_ignore_ascii_case(b"identity") {
            &mut self.identity
        } else if let Some(coding) = Coding::of(name) {
            match self.codings.get_mut(coding as usize) {
                Some(place) => place,
                None => return,
            }
        } else {
            return;
        };
        *place = Some(place.map_or(weight, |known| known.min(weight)));
    }

    fn best(&self, offer: &[Coding]) -> Option<Coding> {
        let mut best = None;
        // Without a word about it, no coding is as good as the worst that is named.
        let mut most = self.identity.unwrap_or(0).max(1);
        for coding in offer {
            let own = self.codings.get(*coding as usize).copied().flatten();
            let weight = own.or(self.others).unwrap_or(0);
            if weight > most || weight == most && best.is_none() {
                (best, most) = (Some(*coding), weight);
            }
        }
        best
    }
}

/// `coding [ OWS ";" OWS "q=" qvalue ]`; `None` if it is something else.
fn element_of(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.splitn(2, |byte| *byte == b';');
    let name = trim(parts.next()?);
    let weight = match parts.next() {
        None => FULL,
        Some(parameter) => match trim(parameter) {
            [b'q' | b'Q', b'=', value @ ..] => thousandths(value)?,
            _ => return None,
        },
    };
    (!name.is_empty()).then_some((name, weight))
}

/// A weight (RFC 9110 section 12.4.2): 0 to 1 with up to three decimals.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut weight = u16::from(*whole - b'0') * FULL;
    let mut unit = FULL;
    for decimal in decimals {
        unit /= 10;
        weight += u16::from(decimal.checked_sub(b'0').filter(|digit| *digit < 10)?) * unit;
    }
    (weight <= FULL).then_some(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;

    const OFFER: [Coding; 3] = [Zstd, Brotli, Gzip];

    fn of(lines: &[&str]) -> Option<Coding> {
        let lines: Vec<_> = lines.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
        negotiate(&lines, &OFFER)
    }

    #[test]
    fn what_clients_send() {
        for (line, expected) in [
            // Browsers and tools of today.
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("gzip, deflate", Some(Gzip)),
            ("deflate, gzip, br, zstd", Some(Zstd)),
            ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", Some(Gzip)),
            // The examples of RFC 9110.
            ("compress, gzip", Some(Gzip)),
            ("", None),
            ("*", Some(Zstd)),
            ("compress;q=0.5, gzip;q=1.0", Some(Gzip)),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", Some(Gzip)),
            // Weights before the order of the offer.
            ("zstd;q=0.5, gzip", Some(Gzip)),
            ("zstd;q=0.5, gzip;q=0.501", Some(Gzip)),
            ("zstd;q=0.001", Some(Zstd)),
            ("gzip;q=0.5, br;q=0.5", Some(Brotli)),
            // What is refused is not sent.
            ("gzip;q=0", None),
            ("gzip;q=0.000, br;q=0.0, zstd;q=0", None),
            ("*;q=0", None),
            ("*, zstd;q=0", Some(Brotli)),
            ("*;q=0.5, gzip", Some(Gzip)),
            ("gzip;q=0, *", Some(Zstd)),
            ("gzip, gzip;q=0", None),
            ("gzip;q=0, gzip", None),
            // No coding at all, liked more or less.
            ("identity", None),
            ("identity, gzip", Some(Gzip)),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("identity, gzip;q=0.9", None),
            ("identity;q=0.5, gzip;q=0.4, br;q=0.6", Some(Brotli)),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0.1", Some(Gzip)),
            ("identity;q=0, *;q=0.1", Some(Zstd)),
            ("*, identity;q=0.5", Some(Zstd)),
            // Names and blanks.
            ("GZIP", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            (" \t gzip \t ; \t q=0.5 \t ", Some(Gzip)),
            (",,gzip,,", Some(Gzip)),
            ("gzip;Q=0", None),
            // Malformed elements are none.
            ("gzip;q=", None),
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.0001", None),
            ("gzip;q=.5", None),
            ("gzip;q=-1", None),
            ("gzip;q=0,5", None),
            ("gzip;q=1;q=0", None),
            ("gzip;level=1", None),
            ("gzip;", None),
            ("gzip br", None),
            (";q=1", None),
            ("gzip;q=nan, br", Some(Brotli)),
            ("gzip;q=1.", Some(Gzip)),
            ("gzip;q=0.", None),
            ("deflate, compress, dcb, dcz, unknown", None),
        ] {
            assert_eq!(of(&[line]), expected, "{line:?}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["gzip", "br"]), Some(Brotli), "lines are one list");
        assert_eq!(of(&["gzip", "gzip;q=0"]), None);
    }

    #[test]
    fn only_what_is_offered_and_in_that_order() {
        let line = [HeaderValue::from_static("zstd, br, gzip")];
        assert_eq!(negotiate(&line, &[]), None);
        assert_eq!(negotiate(&line, &[Gzip]), Some(Gzip));
        assert_eq!(negotiate(&line, &[Gzip, Zstd]), Some(Gzip));
        assert_eq!(negotiate(&[HeaderValue::from_static("*")], &[Brotli, Zstd]), Some(Brotli));
        let hostile = HeaderValue::from_bytes(b"gzip;q=\xff, \xff\xfe, br").unwrap();
        assert_eq!(negotiate(&[hostile], &OFFER), Some(Brotli));
    }

    /// The same in the words of the RFC, slowly.
    fn reference(elements: &[(String, u16)], offer: &[Coding]) -> Option<Coding> {
        let weight = |names: &[&str]| {
            let named = elements.iter().filter(|(name, _)| names.contains(&name.as_str()));
            named.map(|(_, weight)| *weight).min()
        };
        let names = |coding| match coding {
            Zstd => vec!["zstd"],
            Brotli => vec!["br"],
            Gzip => vec!["gzip", "x-gzip"],
        };
        let of = |coding: Coding| weight(&names(coding)).or(weight(&["*"])).unwrap_or(0);
        let acceptable = offer.iter().copied().filter(|coding| of(*coding) > 0);
        // The first of the best: the last of a stable ascending order would be the last one.
        let best = acceptable.rev().max_by_key(|coding| of(*coding))?;
        (of(best) >= weight(&["identity"]).unwrap_or(0)).then_some(best)
    }

    fn written(weight: u16) -> String {
        match weight {
            1_000 => "1".to_owned(),
            weight => format!("0.{weight:03}"),
        }
    }

    proptest! {
        #[test]
        fn is_what_the_rfc_says(
            elements in prop::collection::vec((
                prop::sample::select(vec!["zstd", "br", "gzip", "x-gzip", "identity", "*", "deflate"]),
                prop::sample::select(vec![0_u16, 1, 300, 500, 999, 1_000]),
            ), 0..8),
            offer in Just(OFFER.to_vec()).prop_shuffle(),
            offered in 0_usize..=3,
        ) {
            let elements: Vec<_> =
                elements.into_iter().map(|(name, weight)| (name.to_owned(), weight)).collect();
            let line = elements
                .iter()
                .map(|(name, weight)| format!("{name};q={}", written(*weight)))
                .collect::<Vec<_>>()
                .join(", ");
            let line = HeaderValue::from_str(&line).unwrap();
            let offer = &offer[..offered];
            prop_assert_eq!(negotiate([&line], offer), reference(&elements, offer), "{:?}", line);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(line) = HeaderValue::from_bytes(&bytes) {
                let coding = negotiate([&line], &OFFER);
                let text = String::from_utf8_lossy(&bytes).to_lowercase();
                if let Some(coding) = coding {
                    prop_assert!(text.contains(coding.as_str()) || text.contains('*'));
                }
            }
        }
    }
}
