//! A corpus of requests that are malformed, ambiguous or made to smuggle another, with what has to
//! become of each: refused with a reason, or seen by the origin as exactly what is written down.
//!
//! Every case runs alone, with a harmless request behind it, and behind a harmless one. The origin
//! takes nothing on trust: it keeps every byte, and parses more strictly than any server. In the
//! end it has seen exactly what Rhumb says it sent.

mod answers;
mod frames;
mod framing;
mod heads;
mod hops;
mod targets;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::recorder::{Recorded, Recorder};

/// Bytes, and what has to become of them.
pub struct Case {
    name: String,
    bytes: Vec<u8>,
    expect: Expect,
    /// The same where the bytes come right behind another request, if that makes a difference.
    behind: Option<Expect>,
}

#[derive(Clone, Debug)]
pub enum Expect {
    /// Answered with this status and reason, and the connection is closed.
    Refused(u16, &'static str),
    /// These requests reach the origin, and the connection serves on.
    Seen(Vec<Seen>),
    /// The same, and the connection is closed.
    Last(Vec<Seen>),
    /// The origin may see the beginning of a request, but never its end.
    Broken,
}

/// A request as the origin has to see it, without the fields that Rhumb adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    line: String,
    fields: BTreeSet<String>,
    body: String,
    trailers: Vec<String>,
}

impl Seen {
    /// A request line and `Host: api.test`.
    pub fn line(line: &str) -> Self {
        Self { line: format!("{line} HTTP/1.1"), ..Self::default() }.with("host: api.test")
    }

    pub fn with(mut self, field: &str) -> Self {
        self.fields.insert(field.to_owned());
        self
    }

    /// For another host.
    pub fn at(mut self, host: &str) -> Self {
        self.fields.remove("host: api.test");
        self.with(&format!("host: {host}"))
    }

    /// With a body of a length.
    pub fn sized(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.with(&format!("content-length: {}", body.len()))
    }

    /// With a chunked body.
    pub fn chunked(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.with("transfer-encoding: chunked")
    }

    pub fn trailer(mut self, field: &str) -> Self {
        self.trailers.push(field.to_owned());
        self
    }

    /// What was recorded, less what Rhumb adds; fails if that is not as it should be.
    fn of(recorded: &Recorded) -> Self {
        let added = |name: &str| recorded.get(name).unwrap_or_default();
        assert_eq!(added("x-forwarded-for"), "127.0.0.1", "{recorded:?}");
        assert_eq!(added("x-forwarded-proto"), "http", "{recorded:?}");
        assert_eq!(added("x-forwarded-host"), added("host"), "{recorded:?}");
        assert_eq!(added("x-request-id").len(), 32, "{recorded:?}");
        assert!(matches!(added("via"), "1.1 rhumb" | "1.0 rhumb" | "2 rhumb"), "{recorded:?}");
        let own =
            ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "via"];
        let text = |(name, value): &(String, String)| format!("{name}: {value}");
        let fields = recorded.fields.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let fields: Vec<_> = fields.map(text).collect();
        let set: BTreeSet<_> = fields.iter().cloned().collect();
        assert_eq!(set.len(), fields.len(), "a field came twice: {recorded:?}");
        Self {
            line: recorded.line.clone(),
            fields: set,
            body: String::from_utf8_lossy(&recorded.body).into_owned(),
            trailers: recorded.trailers.iter().map(text).collect(),
        }
    }
}

/// A case of any expectation.
pub fn case(name: impl Into<String>, expect: Expect, bytes: impl Into<Vec<u8>>) -> Case {
    Case { name: name.into(), bytes: bytes.into(), expect, behind: None }
}

/// A case that is refused as malformed.
pub fn bad(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, Expect::Refused(400, "malformed_request"), bytes)
}

/// A case that reaches the origin as one request.
pub fn seen(name: impl Into<String>, seen: Seen, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, Expect::Seen(vec![seen]), bytes)
}

impl Case {
    /// Something else becomes of it right behind another request.
    pub fn behind(self, expect: Expect) -> Self {
        Self { behind: Some(expect), ..self }
    }
}

/// A GET of `/x` with these lines, each with its end, besides `Host`.
pub fn get(fields: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n")
}

/// A POST to `/x` with these lines besides `Host`, and what comes behind the head.
pub fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n{body}")
}

fn corpus() -> Vec<Case> {
    let topics = [framing::cases(), heads::cases(), targets::cases(), hops::cases()];
    topics.into_iter().flatten().collect()
}

/// The proxy and the origin behind it.
pub struct Stage {
    origin: Recorder,
    proxy: Proxy,
    /// Requests that reached the origin before the case that is looked at.
    before: usize,
}

impl Stage {
    pub fn new(top: &str) -> Self {
        let origin = Recorder::start();
        let proxy = Setup::over(&[("us", origin.address)])
            .top(top)
            .workers(1)
            .logging("info,rhumb::request=debug")
            .start();
        Self { origin, proxy, before: 0 }
    }

    /// Waits until whatever came before has reached the origin, and says what did.
    fn arrived(&mut self) -> Vec<Seen> {
        let mut client = self.proxy.client();
        client.send("GET /barrier HTTP/1.1\r\nHost: barrier.test\r\n\r\n");
        assert_eq!(client.read("GET").status(), 200);
        let whole = self.origin.whole();
        let fresh = whole.get(self.before..).unwrap_or_default();
        self.before = whole.len();
        fresh.iter().filter(|r| r.line != "GET /barrier HTTP/1.1").map(Seen::of).collect()
    }

    /// Sends bytes and compares what becomes of them; what is wrong, if anything is.
    fn run(&mut self, bytes: &[u8], expect: &Expect, serves_on: bool) -> Result<(), String> {
        let mut client = self.proxy.client();
        let sent = client.try_send(bytes);
        let told = answers(&mut client, expect, serves_on);
        drop(client);
        let arrived = self.arrived();
        sent.or_else(|error| match expect {
            Expect::Seen(_) | Expect::Last(_) => Err(format!("could not be sent: {error}")),
            _ => Ok(()),
        })?;
        told?;
        let expected = match expect {
            Expect::Seen(seen) | Expect::Last(seen) => seen.as_slice(),
            Expect::Refused(..) | Expect::Broken => &[],
        };
        if arrived != expected {
            return Err(format!("the origin saw {arrived:#?} instead of {expected:#?}"));
        }
        Ok(())
    }

    /// Runs a case alone, before and behind a harmless request.
    fn try_case(&mut self, case: &Case) -> Result<(), String> {
        let harmless = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n\r\n");
        let alone = self.run(&case.bytes, &case.expect, true);
        alone.map_err(|what| format!("alone: {what}"))?;

        let mut bytes = case.bytes.clone();
        bytes.extend_from_slice(harmless("/after").as_bytes());
        let expect = match &case.expect {
            Expect::Seen(seen) => {
                let seen = seen.iter().cloned().chain([Seen::line("GET /after")]);
                Expect::Seen(seen.collect())
            }
            other => other.clone(),
        };
        self.run(&bytes, &expect, false).map_err(|what| format!("with another: {what}"))?;

        let mut bytes = harmless("/before").into_bytes();
        bytes.extend_from_slice(&case.bytes);
        let expect = case.behind.as_ref().unwrap_or(&case.expect);
        self.run_behind(&bytes, expect).map_err(|what| format!("behind another: {what}"))
    }

    fn run_behind(&mut self, bytes: &[u8], expect: &Expect) -> Result<(), String> {
        let mut client = self.proxy.client();
        // It may be refused before it has been sent to its end.
        let _ = client.try_send(bytes);
        match client.try_read("GET") {
            Ok(answer) if answer.status() == 200 => {}
            other => return Err(format!("the first was not answered: {other:?}")),
        }
        let told = answers(&mut client, expect, false);
        drop(client);
        let arrived = self.arrived();
        told?;
        let mut expected = vec![Seen::line("GET /before")];
        if let Expect::Seen(seen) | Expect::Last(seen) = expect {
            expected.extend(seen.iter().cloned());
        }
        if arrived != expected {
            return Err(format!("the origin saw {arrived:#?} instead of {expected:#?}"));
        }
        Ok(())
    }

    /// Fails unless the origin has seen exactly what the log says was sent, and nothing odd. So many
    /// of them may have broken off before their first byte had left.
    fn reconcile(&self, unsent: usize) {
        let broken = self.origin.broken();
        assert_eq!(self.origin.nonsense(), [""; 0]);
        let mut seen: Vec<_> = self
            .origin
            .whole()
            .iter()
            .map(|request| {
                let field = |name: &str| request.get(name).unwrap_or_default().to_owned();
                let mut words = request.line.split(' ').map(str::to_owned);
                let (method, target) = (words.next().unwrap(), words.next().unwrap());
                (field("x-request-id"), method, target, field("host"))
            })
            .collect();
        seen.extend(broken.iter().filter_map(|bytes| head_of(bytes)));
        // The log comes through a pipe, the requests did not.
        seen.iter().for_each(|(id, ..)| self.proxy.until_logged(id));
        let mut logged: Vec<_> = self.proxy.log().lines().filter_map(logged).collect();
        logged.sort();
        assert!(!seen.is_empty());
        for request in seen {
            let found = logged.binary_search(&request);
            let found = found.unwrap_or_else(|_| panic!("{request:?} is not in the log"));
            logged.remove(found);
        }
        assert!(logged.len() <= unsent, "the origin has not seen {logged:#?}");
    }
}

type Told = (String, String, String, String);

/// What a line of the log says was forwarded.
fn logged(line: &str) -> Option<Told> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["message"] != "request forwarded" {
        return None;
    }
    assert_eq!(event["region"], "us");
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    Some((text("id"), text("method"), text("uri"), text("host")))
}

/// The same of a request that never ended, if its head did.
fn head_of(bytes: &[u8]) -> Option<Told> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split_once("\r\n\r\n").expect("no head is sent in part").0;
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let mut words = head.split(' ').map(str::to_owned);
    Some((field("x-request-id"), words.next()?, words.next()?, field("host")))
}

/// Reads what the client is told; what is wrong with it, if anything is.
fn answers(client: &mut Client, expect: &Expect, serves_on: bool) -> Result<(), String> {
    match expect {
        Expect::Refused(status, reason) => {
            let answer = client.try_read("GET").map_err(|error| format!("no answer: {error}"))?;
            if answer.status() != *status || answer.json()["reason"] != *reason {
                return Err(format!("{answer:?} instead of {status} {reason}"));
            }
            if !answer.head.lists("connection", "close") {
                return Err(format!("the connection is kept: {answer:?}"));
            }
            nothing_more(client)
        }
        Expect::Broken => {
            let rest = String::from_utf8_lossy(&client.rest()).into_owned();
            let fine = rest.is_empty() || rest.starts_with("HTTP/1.1 4");
            fine.then_some(()).ok_or_else(|| format!("answered with {rest}"))
        }
        Expect::Seen(seen) | Expect::Last(seen) => {
            for request in seen {
                let method = request.line.split(' ').next().unwrap_or_default();
                let answer = client.try_read(method);
                let answer = answer.map_err(|error| format!("no answer: {error}"))?;
                if answer.status() != 200 {
                    return Err(format!("{answer:?} instead of 200"));
                }
            }
            if matches!(expect, Expect::Last(_)) {
                return nothing_more(client);
            }
            if serves_on {
                client.send("GET /barrier HTTP/1.1\r\nHost: barrier.test\r\n\r\n");
                client.try_read("GET").map_err(|error| format!("does not serve on: {error}"))?;
            }
            Ok(())
        }
    }
}

fn nothing_more(client: &mut Client) -> Result<(), String> {
    let rest = client.rest();
    let text = || format!("more follows: {}", String::from_utf8_lossy(&rest));
    rest.is_empty().then_some(()).ok_or_else(text)
}

/// Runs cases; fails with all that is wrong, and unless the log tells the truth.
pub fn check(top: &str, cases: &[Case]) {
    let mut stage = Stage::new(top);
    let mut complaints = Vec::new();
    for case in cases {
        if let Err(what) = stage.try_case(case) {
            let bytes = &case.bytes[..case.bytes.len().min(400)];
            let bytes = String::from_utf8_lossy(bytes);
            complaints.push(format!("{} ({bytes:?}): {what}", case.name));
        }
    }
    let (wrong, all) = (complaints.len(), cases.len());
    assert!(complaints.is_empty(), "{wrong} of {all}:\n{}", complaints.join("\n"));
    let broken = cases.iter().filter(|case| matches!(case.expect, Expect::Broken)).count();
    // Each was run three times.
    stage.reconcile(3 * broken);
}

#[test]
fn every_request_means_the_same_to_the_proxy_and_its_origin() {
    let corpus = corpus();
    assert!(corpus.len() >= 300, "{}", corpus.len());
    let names: BTreeSet<_> = corpus.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), corpus.len(), "two cases have the same name");
    check("", &corpus);
}

#[test]
fn the_policies_of_paths_and_names_hold() {
    check(targets::DECODE, &targets::decoding());
    check(targets::STRICT, &targets::refusing());
    check(targets::LAX, &targets::keeping());
}
