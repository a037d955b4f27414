//! What one request says about compression, and what becomes of its response's head.

use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::eligible::{forbids_transformation, is_eligible};
use super::fields::{encode, knows_weakened, vary, weaken};
use super::negotiate::negotiate;
use crate::config::CompressionSettings;
use crate::model::Coding;

/// What one request says about compression.
#[derive(Debug)]
pub struct Asked {
    /// What it gets, if anything; the response has a say as well.
    coding: Option<Coding>,
    /// `If-None-Match`, if it gets something.
    known: Box<[HeaderValue]>,
}

impl Asked {
    /// Reads a request's head. Nothing is changed in it: an origin that compresses by itself may do
    /// so, and compares the weak tags of `If-None-Match` as it would strong ones (RFC 9110 section
    /// 13.1.2).
    pub fn of(settings: &CompressionSettings, headers: &HeaderMap) -> Self {
        let coding = negotiate(headers.get_all(ACCEPT_ENCODING), &settings.encodings);
        // Who wants a part wants it of what the origin has.
        let whole = || !headers.contains_key(RANGE) && !forbids_transformation(headers);
        let coding = coding.filter(|_| whole());
        let known = match coding {
            Some(_) => headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            None => Box::default(),
        };
        Self { coding, known }
    }

    /// What a response with this head is to be compressed with. Says in the head that others may
    /// get another one.
    pub fn coding(
        &self,
        settings: &CompressionSettings,
        status: StatusCode,
        headers: &mut HeaderMap,
    ) -> Option<Coding> {
        if status == StatusCode::NOT_MODIFIED {
            self.not_modified(headers);
            return None;
        }
        if !is_eligible(settings, status, headers) {
            return None;
        }
        vary(headers);
        self.coding
    }

    /// Makes the head that of a compressed response.
    pub fn encode(headers: &mut HeaderMap, coding: Coding) {
        encode(headers, coding);
    }

    /// A client that has the response in compressed form knows it by the weak tag, and freshens
    /// nothing by a strong one (RFC 9111 section 4.3.4).
    fn not_modified(&self, headers: &mut HeaderMap) {
        if self.coding.is_some() && knows_weakened(&self.known, headers) {
            weaken(headers);
            vary(headers);
        }
    }
}

#[cfg(test)]
mod tests {

    use super::super::headers;
    use super::*;

    fn asked(fields: &[(&'static str, &str)]) -> Asked {
        Asked::of(&CompressionSettings::default(), &headers(fields))
    }

    const GZIP: (&str, &str) = ("accept-encoding", "gzip");

    #[test]
    fn who_wants_a_part_or_no_change_gets_what_the_origin_has() {
        let settings = CompressionSettings::default();
        for (fields, expected) in [
            (&[GZIP][..], Some(Coding::Gzip)),
            (&[], None),
            (&[GZIP, ("range", "bytes=0-")], None),
            (&[GZIP, ("cache-control", "no-transform")], None),
            (&[GZIP, ("cache-control", "no-cache")], Some(Coding::Gzip)),
        ] {
            let mut response = headers(&[("content-type", "text/html")]);
            let coding = asked(fields).coding(&settings, StatusCode::OK, &mut response);
            assert_eq!(coding, expected, "{fields:?}");
            assert_eq!(response["vary"], "Accept-Encoding", "for everybody");
        }
        let mut image = headers(&[("content-type", "image/png")]);
        assert_eq!(asked(&[GZIP]).coding(&settings, StatusCode::OK, &mut image), None);
        assert!(!image.contains_key("vary"));
    }

    #[test]
    fn a_client_is_told_the_tag_that_it_knows() {
        let settings = CompressionSettings::default();
        let told = |request: &[(&'static str, &str)], tag| {
            let mut response = headers(&[("etag", tag)]);
            let asked = asked(request);
            assert_eq!(asked.coding(&settings, StatusCode::NOT_MODIFIED, &mut response), None);
            let varies = response.contains_key("vary");
            (response["etag"].to_str().unwrap().to_owned(), varies)
        };
        let weak = ("if-none-match", "W/\"x\"");
        assert_eq!(told(&[GZIP, weak], "\"x\""), ("W/\"x\"".to_owned(), true));
        assert_eq!(told(&[weak], "\"x\""), ("\"x\"".to_owned(), false));
        assert_eq!(told(&[GZIP], "\"x\""), ("\"x\"".to_owned(), false));
        let strong = ("if-none-match", "\"x\"");
        assert_eq!(told(&[GZIP, strong], "\"x\""), ("\"x\"".to_owned(), false));
    }
}
