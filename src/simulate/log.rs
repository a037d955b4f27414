//! A line of an access log: a JSON object that becomes a request, or is told what is wrong with it.
//!
//! Where lines begin and end is `pieces`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use super::case::{Case, Pace};
use crate::config::RequestRules;
use crate::model::Country;
use crate::model::limits::{SHOWN_LINES, SIMULATED_DURATION};
use crate::routing::{PathError, is_path, normal_path};

/// Times beyond this are milliseconds: in seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;
/// Times beyond this, in seconds, are nonsense: the year 2514.
const LATEST: f64 = 1.718e10;

/// A line that is no request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
}

/// Lines that are no requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BadLines {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub first: Vec<BadLine>,
}

impl BadLines {
    pub(super) fn add(&mut self, line: u64, error: impl Into<String>) {
        self.count += 1;
        if self.first.len() < SHOWN_LINES {
            self.first.push(BadLine { line, error: error.into() });
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort();
        self.first.truncate(SHOWN_LINES);
    }
}

/// A line as it is written.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    time: Option<Time<'a>>,
    #[serde(borrow)]
    client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    country: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tenant: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    host: Option<Cow<'a, str>>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    headers: Option<BTreeMap<String, HeaderLines>>,
    duration_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time<'a> {
    Unix(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum HeaderLines {
    One(String),
    Several(Vec<String>),
}

/// A request that was read from a line; used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Entry {
    time_us: Option<u64>,
    address: Option<IpAddr>,
    country: Option<Country>,
    tenant: Option<String>,
    method: Method,
    host: String,
    path: String,
    query: String,
    headers: HeaderMap,
    duration_us: Option<u64>,
}

impl Entry {
    /// Takes in a line.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub(super) fn read(&mut self, line: &[u8], rules: &RequestRules) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| position_free(&error))?;
        self.time_us = line.time.map(|time| time.micros()).transpose()?;
        let client = line.client.or(line.address);
        let client = client.ok_or("there is neither a `client` nor an `address`")?;
        self.address = Some(address(&client)?);
        self.country = match line.country.as_deref() {
            // Stand-ins for "not known".
            None | Some("" | "-" | "XX" | "T1") => None,
            Some(code) => Some(
                Country::new(code.as_bytes())
                    .ok_or_else(|| format!("`country` {code:?} is no two-letter country code"))?,
            ),
        };
        self.tenant = line.tenant.map(Cow::into_owned).filter(|tenant| !tenant.is_empty());
        self.method = match line.method.as_deref() {
            None => Method::GET,
            Some(method) => Method::from_bytes(method.as_bytes())
                .map_err(|_| format!("`method` {method:?} is no HTTP method"))?,
        };
        self.set_host(line.host.as_deref().unwrap_or_default());
        self.set_path(line.path.as_deref().unwrap_or("/"), rules)?;
        self.set_headers(line.headers)?;
        self.duration_us = match line.duration_ms {
            None => None,
            Some(ms) if ms.is_finite() && ms >= 0.0 => {
                Some(((ms * 1e3) as u64).min(SIMULATED_DURATION.as_micros() as u64))
            }
            Some(ms) => return Err(format!("`duration_ms` {ms} is no duration")),
        };
        Ok(())
    }

    /// As live traffic has it: lower case, no port.
    fn set_host(&mut self, host: &str) {
        let end = match host.rfind(']') {
            Some(bracket) => bracket + 1,
            None => host.find(':').unwrap_or(host.len()),
        };
        self.host.clear();
        self.host.push_str(host.get(..end).unwrap_or(host));
        self.host.make_ascii_lowercase();
    }

    /// As live traffic has it: in its normal form.
    fn set_path(&mut self, target: &str, rules: &RequestRules) -> Result<(), String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if matches!(path, "" | "*") { "/" } else { path };
        if !path.starts_with('/') {
            return Err(format!("`path` {path:?} does not start with `/`"));
        }
        let refused = |why| format!("live traffic would refuse `path` {path:?}: {why}");
        if !is_path(path) {
            return Err(refused(PathError::Character));
        }
        self.path.clear();
        self.path.push_str(&normal_path(path, rules).map_err(refused)?);
        query.clone_into(&mut self.query);
        Ok(())
    }

    fn set_headers(
        &mut self,
        headers: Option<BTreeMap<String, HeaderLines>>,
    ) -> Result<(), String> {
        self.headers.clear();
        for (name, lines) in headers.unwrap_or_default() {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("{name:?} in `headers` is no header name"))?;
            let lines = match lines {
                HeaderLines::One(line) => vec![line],
                HeaderLines::Several(lines) => lines,
            };
            for line in lines {
                let value = HeaderValue::from_bytes(line.as_bytes()).map_err(|_| {
                    format!(
                        "the value of {name} in `headers` has characters that no header may have"
                    )
                })?;
                self.headers
                    .try_append(key.clone(), value)
                    .map_err(|_| "there are too many `headers`".to_owned())?;
            }
        }
        Ok(())
    }

    /// The request of that number.
    pub(super) fn case(&self, number: u64, pace: &Pace) -> Case<'_> {
        Case {
            number,
            now: self.time_us.map_or(pace.now, |us| us / 1_000_000),
            at_us: pace.even(number).or(self.time_us),
            duration_us: self.duration_us.unwrap_or(pace.duration_us),
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            address: self.address.unwrap_or(IpAddr::from([0, 0, 0, 0])),
            country: self.country,
            tenant: self.tenant.as_deref(),
        }
    }
}

impl Time<'_> {
    fn micros(&self) -> Result<u64, String> {
        match self {
            Self::Unix(number) => {
                let seconds = if *number >= MILLISECONDS_FROM { number / 1e3 } else { *number };
                if (0.0..LATEST).contains(&seconds) {
                    return Ok((seconds * 1e6) as u64);
                }
                Err(format!("`time` {number} is no Unix time"))
            }
            Self::Text(text) => {
                let parsed = text.parse::<jiff::Timestamp>();
                let parsed = parsed.map_err(|_| format!("`time` {text:?} is no RFC 3339 time"))?;
                u64::try_from(parsed.as_microsecond())
                    .map_err(|_| format!("`time` {text:?} is before 1970"))
            }
        }
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse::<IpAddr>();
    let parsed = parsed.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    let parsed = parsed.map(|address| address.to_canonical());
    parsed.map_err(|_| format!("{text:?} is no IP address"))
}

/// The error without its place in the line, which says "line 1" of every line.
fn position_free(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{DotSegments, EncodedSlash, RepeatedSlash, Underscores};

    const RULES: RequestRules = RequestRules {
        encoded_slash: EncodedSlash::Keep,
        repeated_slash: RepeatedSlash::Merge,
        dot_segments: DotSegments::Resolve,
        underscores: Underscores::Drop,
    };
    const PACE: Pace = Pace { now: 7, rate: None, duration_us: 100 };

    fn read(line: &str) -> Result<Entry, String> {
        let mut entry = Entry::default();
        entry.read(line.as_bytes(), &RULES).map(|()| entry)
    }

    #[test]
    fn what_lines_say_is_understood() {
        let full = r#"{"time":"2024-05-06T07:08:09.5+02:00","client":"193.99.144.80:443","country":"de",
            "tenant":"acme","method":"POST","host":"API.example.com:8443","path":"/v1/x?a=b&c",
            "headers":{"x-a":"1","x-b":["2","3"]},"duration_ms":12.5,"status":200,"other":{"x":[]}}"#;
        let entry = read(full).unwrap();
        let case = entry.case(3, &PACE);
        assert_eq!(case.now, 1_714_972_089);
        assert_eq!(case.at_us, Some(1_714_972_089_500_000));
        assert_eq!(case.duration_us, 12_500);
        assert_eq!((case.host, case.path, case.query), ("api.example.com", "/v1/x", "a=b&c"));
        assert_eq!((case.method, case.tenant), (&Method::POST, Some("acme")));
        assert_eq!(case.address.to_string(), "193.99.144.80");
        assert_eq!(case.country.map(|country| country.to_string()).as_deref(), Some("DE"));
        assert_eq!(case.headers.get_all("x-b").iter().count(), 2);

        let entry = read(r#"{"address":"::ffff:1.2.3.4"}"#).unwrap();
        let case = entry.case(3, &PACE);
        assert_eq!((case.now, case.at_us, case.duration_us), (7, None, 100));
        assert_eq!((case.host, case.path, case.method), ("", "/", &Method::GET));
        assert_eq!(case.address.to_string(), "1.2.3.4");
        let evenly = entry.case(3, &Pace { rate: Some(2.0), ..PACE });
        assert_eq!(evenly.at_us, Some(8_500_000));
        for (time, us) in
            [("1714972089", 1_714_972_089_000_000), ("1714972089500", 1_714_972_089_500_000)]
        {
            let entry = read(&format!(r#"{{"client":"[2a00::1]:80","time":{time}}}"#)).unwrap();
            assert_eq!(entry.case(0, &PACE).at_us, Some(us));
        }
    }

    #[test]
    fn paths_are_those_of_live_traffic() {
        let entry = read(r#"{"client":"1.1.1.1","path":"//a/../%7Eb?x=//%7e"}"#).unwrap();
        let case = entry.case(0, &PACE);
        assert_eq!((case.path, case.query), ("/~b", "x=//%7e"));
    }

    #[test]
    fn what_is_no_request_is_told() {
        for (line, why) in [
            ("nonsense", "expected"),
            ("{", "EOF"),
            ("[]", "invalid"),
            ("{}", "neither"),
            (r#"{"client":"example.com"}"#, "no IP address"),
            (r#"{"client":"1.1.1.1","country":"Germany"}"#, "country code"),
            (r#"{"client":"1.1.1.1","method":"a b"}"#, "no HTTP method"),
            (r#"{"client":"1.1.1.1","path":"x"}"#, "does not start"),
            (r#"{"client":"1.1.1.1","path":"/a b"}"#, "would refuse"),
            (r#"{"client":"1.1.1.1","path":"/../a"}"#, "above the root"),
            (r#"{"client":"1.1.1.1","time":-5}"#, "no Unix time"),
            (r#"{"client":"1.1.1.1","time":1e300}"#, "no Unix time"),
            (r#"{"client":"1.1.1.1","time":"yesterday"}"#, "RFC 3339"),
            (r#"{"client":"1.1.1.1","time":"1066-01-01T00:00:00Z"}"#, "before 1970"),
            (r#"{"client":"1.1.1.1","duration_ms":-1}"#, "no duration"),
            (r#"{"client":"1.1.1.1","headers":{"a b":"c"}}"#, "header name"),
            (r#"{"client":"1.1.1.1","headers":{"a":"\n"}}"#, "characters"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
            assert!(!error.contains(" line "), "{line}: {error}");
        }
    }

    #[test]
    fn a_line_leaves_nothing_behind_for_the_next() {
        let mut entry = Entry::default();
        let full = r#"{"client":"1.1.1.1","country":"DE","tenant":"a","host":"h","path":"/p?q",
            "headers":{"a":"b"},"duration_ms":1,"time":5,"method":"PUT"}"#;
        entry.read(full.as_bytes(), &RULES).unwrap();
        entry.read(br#"{"client":"1.1.1.1"}"#, &RULES).unwrap();
        let fresh = read(r#"{"client":"1.1.1.1"}"#).unwrap();
        assert_eq!(format!("{entry:?}"), format!("{fresh:?}"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Entry::default().read(&line, &RULES);
        }
    }
}
