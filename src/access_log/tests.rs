//! Lines as others read them, and the writer with real files, pipes and sockets.

use std::cell::RefCell;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::logger::{Ending, Logger, Sheet};
use super::moment::Moments;
use super::queue::Message;
use super::{AccessLogThread, Entry, Head, Lines, Name, Secured};
use crate::config::{AccessLog, LogFormat, LogPiece, LogTarget, LoggedQuery, SyslogAddress};
use crate::metrics::Registry;
use crate::model::limits::{ACCESS_LOG_QUEUE, ACCESS_LOG_ROOMS};

fn settings(to: LogTarget) -> AccessLog {
    AccessLog {
        to,
        format: LogFormat::Json,
        sample: 1.0,
        query: LoggedQuery::Redact,
        headers: Vec::new(),
    }
}

fn sheet(settings: AccessLog) -> Rc<Sheet> {
    Sheet::of(Some(&Arc::new(settings)), None).unwrap()
}

fn name(text: &str) -> Rc<Name> {
    Rc::new(Name::new(text))
}

fn ending(status: u16) -> Ending<'static> {
    let duration = Duration::from_micros(12_345);
    Ending { status, duration, peer: b"192.0.2.7", secured: None, entropy: 1 << 63 }
}

/// One line of what a client sent.
fn line(settings: AccessLog, ending: &Ending<'_>, note: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let sheet = sheet(settings);
    let mut entry = Entry::new(Rc::clone(&sheet), 1_700_000_000_123);
    note(&mut entry);
    let mut out = Vec::new();
    super::line::write(&mut out, &sheet, &entry.record(ending, &Moments::default()));
    out
}

fn object(line: &[u8]) -> Value {
    let text = line.strip_suffix(b"\n").expect("the end of the line");
    assert!(!text.contains(&b'\n'));
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn head<'a>(path: &'a str, query: &'a str, headers: &'a HeaderMap) -> Head<'a> {
    let version = Version::HTTP_2;
    Head { method: "GET", host: "api.example.com", path, query, version, headers }
}

fn everything(entry: &mut Entry, headers: &HeaderMap) {
    entry.head(&head("/v1/a", "token=s", headers));
    entry.id(b"0f");
    entry.trace_id(b"4bf9");
    entry.client("2001:db8::1".parse().unwrap());
    entry.country(Some("DE".parse().unwrap()));
    entry.tenant("acme");
    entry.deployment(&name("api"));
    entry.decided("rule", Some("eu_users"), 7);
    entry.attempt(name("us"), name("http://10.0.0.1:80"));
    entry.connected(Duration::from_millis(1));
    entry.attempt_ended("reset", None);
    entry.attempt(name("eu"), name("http://10.0.0.2:80"));
    entry.attempt_ended("ok", Some(Duration::from_micros(2_500)));
    entry.cut("client_left");
    entry.cut("too late to count");
    entry.received(3);
    entry.sent(4);
    entry.sent(5);
}

#[test]
fn a_line_has_all_that_is_known() {
    let names = ["user-agent", "authorization", "x-absent"].map(HeaderName::from_static);
    let mut headers = HeaderMap::new();
    headers.append("user-agent", HeaderValue::from_static("curl \"8\""));
    headers.append("user-agent", HeaderValue::from_static("x"));
    headers.append("authorization", HeaderValue::from_static("Bearer s3cr3t"));
    let settings = AccessLog { headers: names.to_vec(), ..settings(LogTarget::Stdout) };
    let secured =
        Secured { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", sni: "a.example" };
    let ending = Ending { secured: Some(secured), ..ending(200) };
    let line = line(settings, &ending, |entry| everything(entry, &headers));
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z",
        "id": "0f",
        "trace_id": "4bf9",
        "client": "2001:db8::1",
        "peer": "192.0.2.7",
        "country": "DE",
        "tenant_hash": object(&line)["tenant_hash"],
        "method": "GET",
        "host": "api.example.com",
        "path": "/v1/a",
        "query": "…",
        "protocol": "HTTP/2",
        "tls": { "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "sni": "a.example" },
        "deployment": "api",
        "region": "eu",
        "endpoint": "http://10.0.0.2:80",
        "reason": "rule",
        "rule": "eu_users",
        "generation": 7,
        "attempts": [
            { "region": "us", "endpoint": "http://10.0.0.1:80", "connect_ms": 1.0, "outcome": "reset" },
            { "region": "eu", "endpoint": "http://10.0.0.2:80", "first_byte_ms": 2.5, "outcome": "ok" },
        ],
        "status": 200,
        "cut": "client_left",
        "bytes_in": 3,
        "bytes_out": 9,
        "duration_ms": 12.345,
        "headers": { "user-agent": "curl \"8\", x", "authorization": "Bearer …" },
    });
    assert_eq!(object(&line), expected);
    assert!(!String::from_utf8(line).unwrap().contains("s3cr3t"));
}

#[test]
fn a_request_of_which_nothing_is_known_is_a_line_as_well() {
    let line = line(settings(LogTarget::Stdout), &ending(400), |entry| entry.refused("malformed"));
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z", "client": "192.0.2.7", "peer": "192.0.2.7",
        "status": 400, "error": "malformed", "bytes_in": 0, "bytes_out": 0, "duration_ms": 12.345,
    });
    assert_eq!(object(&line), expected);
}

#[test]
fn a_template_is_filled_in_and_cannot_be_broken_out_of() {
    use crate::config::LogField::{Attempts, Client, Path, Query, Region, Status, TraceId};
    let field = LogPiece::Field;
    let text = |text: &str| LogPiece::Text(text.into());
    let pieces = vec![
        field(Client),
        text(" "),
        field(Status),
        text(" \""),
        field(Path),
        text("\" "),
        field(Query),
        text(" "),
        field(Region),
        text(" "),
        field(Attempts),
        text(" "),
        field(TraceId),
        text(" "),
        LogPiece::Header(0),
        text(" "),
        LogPiece::Header(1),
    ];
    let settings = AccessLog {
        format: LogFormat::Template(pieces),
        headers: ["user-agent", "x-absent"].map(HeaderName::from_static).to_vec(),
        ..settings(LogTarget::Stdout)
    };
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_bytes(b"a\" 200 \xff\\").unwrap());
    let line = line(settings, &ending(502), |entry| {
        entry.head(&head("/a", "", &headers));
        entry.attempt(name("us"), name("http://a:1"));
    });
    let expected = "192.0.2.7 502 \"/a\" - us 1 - a\\x22 200 \\xff\\x5c -\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[test]
fn long_values_are_cut_between_characters_and_many_attempts_keep_the_last() {
    let headers = HeaderMap::new();
    let line = line(settings(LogTarget::Stdout), &ending(200), |entry| {
        entry.head(&head(&"é".repeat(3_000), &"x".repeat(5_000), &headers));
        for number in 0..100 {
            entry.attempt(name(&format!("r{number}")), name("http://a:1"));
        }
    });
    let object = object(&line);
    assert_eq!(object["path"], format!("{}…", "é".repeat(2_048)));
    assert_eq!(object["attempts"].as_array().unwrap().len(), 16);
    assert_eq!(object["region"], "r99");
    assert_eq!(object["attempts"][14]["region"], "r14");
    assert_eq!(object["attempts"][15]["outcome"], "abandoned");
}

#[test]
fn an_entry_that_is_used_again_remembers_nothing() {
    let sheet = sheet(settings(LogTarget::Stdout));
    let mut entry = Entry::new(Rc::clone(&sheet), 1);
    everything(&mut entry, &HeaderMap::new());
    entry.renew(&sheet, 1_700_000_000_123);
    let (mut used, mut new) = (Vec::new(), Vec::new());
    super::line::write(&mut used, &sheet, &entry.record(&ending(200), &Moments::default()));
    let fresh = Entry::new(Rc::clone(&sheet), 1_700_000_000_123);
    super::line::write(&mut new, &sheet, &fresh.record(&ending(200), &Moments::default()));
    assert_eq!(used, new);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        ".{0,40}".prop_map(String::into_bytes),
    ]
}

proptest! {
    /// Whatever clients send, wherever it ends up: one line, valid JSON, each value as it was.
    #[test]
    fn every_line_is_valid_json(
        (method, host, path, query) in (".{0,20}", ".{0,40}", ".{0,60}", ".{0,60}"),
        (id, trace) in (bytes(), bytes()),
        (deployment, region, endpoint) in (".{0,20}", ".{0,20}", ".{0,20}"),
        (rule, tenant) in (".{0,20}", ".{0,20}"),
        sni in ".{0,20}",
        value in bytes(),
        keep in any::<bool>(),
        (status, micros, sent) in (any::<u16>(), any::<u64>(), any::<u64>()),
    ) {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(&value).ok();
        if let Some(value) = &value {
            headers.insert("x-a", value.clone());
        }
        let settings = AccessLog {
            headers: vec![HeaderName::from_static("x-a")],
            query: if keep { LoggedQuery::Keep } else { LoggedQuery::KeepNames },
            ..settings(LogTarget::Stdout)
        };
        let secured = Some(Secured { version: "TLSv1.2", cipher: "", sni: &sni });
        let duration = Duration::from_micros(micros);
        let ending = Ending { status, duration, peer: b"::1", secured, entropy: 0 };
        let line = line(settings, &ending, |entry| {
            let version = Version::HTTP_11;
            let (path, query, headers) = (&*path, &*query, &headers);
            entry.head(&Head { method: &method, host: &host, path, query, version, headers });
            entry.id(&id);
            entry.trace_id(&trace);
            entry.tenant(&tenant);
            entry.decided("rule", Some(&rule), 1);
            entry.deployment(&name(&deployment));
            entry.attempt(name(&region), name(&endpoint));
            entry.sent(sent);
        });
        let object = object(&line);
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        prop_assert_eq!(text("method"), method);
        prop_assert_eq!(text("path"), path);
        prop_assert_eq!(text("id"), String::from_utf8_lossy(&id));
        prop_assert_eq!(text("rule"), rule);
        prop_assert_eq!(text("deployment"), deployment);
        prop_assert_eq!(text("region"), &*region);
        prop_assert_eq!(text("endpoint"), &*endpoint);
        prop_assert_eq!(&object["attempts"][0]["region"], &region);
        prop_assert_eq!(&object["attempts"][0]["endpoint"], &endpoint);
        prop_assert_eq!(object["bytes_out"].as_u64(), Some(sent));
        if keep {
            prop_assert_eq!(text("query"), query);
        }
        let logged = object["headers"]["x-a"].as_str();
        let expected = value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
        prop_assert_eq!(logged, expected.as_deref());
    }
}

/// A worker's logger in front of a real thread.
struct Bench {
    registry: Arc<Registry>,
    thread: AccessLogThread,
    logger: Option<Logger>,
    sheet: Rc<Sheet>,
    logged: usize,
}

impl Bench {
    fn new(settings: AccessLog) -> Self {
        let registry = Arc::new(Registry::default());
        let thread = AccessLogThread::start(Some(&settings), &registry).unwrap();
        let logger = Some(Logger::new(thread.lines(), registry.worker()));
        Self { registry, thread, logger, sheet: sheet(settings), logged: 0 }
    }

    fn file(path: &Path) -> Self {
        Self::new(settings(LogTarget::File(path.to_owned())))
    }

    fn log(&mut self, requests: usize) {
        let logger = self.logger.as_ref().unwrap();
        for _ in 0..requests {
            let mut entry = logger.begin(&self.sheet, 1_700_000_000_123);
            entry.get_mut().id(self.logged.to_string().as_bytes());
            logger.end(entry, &ending(200));
            self.logged += 1;
        }
    }

    /// Has lines go elsewhere from now on, as a reload does.
    fn reload(&mut self, path: &Path) {
        let settings = settings(LogTarget::File(path.to_owned()));
        self.thread.wanted().adopt(Some(&settings));
        self.sheet = sheet(settings);
    }

    /// Hands the last lines on, as the end of a worker does.
    fn flush(&mut self) {
        let logger = Logger::new(self.thread.lines(), self.registry.worker());
        self.logger = Some(logger);
    }

    fn dropped(&self) -> u64 {
        self.registry.workers().iter().map(|worker| worker.log_lines_dropped.get()).sum()
    }

    fn written(&self) -> u64 {
        self.registry.log.written.get()
    }

    fn until_written(&self, lines: u64) {
        until(|| self.written() >= lines);
    }

    fn stop(mut self) -> Arc<Registry> {
        self.logger = None;
        assert!(self.thread.stop());
        self.registry
    }
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::yield_now();
    }
}

/// The numbers of the requests in a file, each line of which is whole.
fn numbers(path: &Path) -> Vec<usize> {
    let text = std::fs::read(path).unwrap();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| object(line)["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn every_line_is_in_the_file_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let mut bench = Bench::file(&path);
    bench.log(10_000);
    // They always fit the queue.
    assert_eq!(bench.dropped(), 0);
    let registry = bench.stop();
    assert_eq!(numbers(&path), (0..10_000).collect::<Vec<_>>());
    assert_eq!(registry.log.written.get(), 10_000);
}

#[test]
fn a_file_that_was_renamed_is_left_and_no_line_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let mut bench = Bench::file(&path);
    let mut old = Vec::new();
    for round in 0..20 {
        bench.log(50);
        bench.flush();
        if round % 2 == 0 {
            bench.until_written(bench.logged as u64);
        }
        let renamed = dir.path().join(format!("access.log.{round}"));
        // It may not be there yet: its first lines are still on their way.
        until(|| path.exists());
        std::fs::rename(&path, &renamed).unwrap();
        old.push(renamed);
        bench.thread.reopen();
        // A rotation waits for that before it packs the old file away.
        until(|| path.exists());
    }
    bench.stop();
    old.push(path);
    let all: Vec<_> = old.iter().flat_map(|path| numbers(path)).collect();
    assert_eq!(all, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_tried_again_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, gone) = (dir.path().join("logs"), dir.path().join("gone"));
    std::fs::create_dir(&logs).unwrap();
    let path = logs.join("access.log");
    let mut bench = Bench::file(&path);
    bench.log(1);
    bench.flush();
    bench.until_written(1);
    std::fs::rename(&logs, &gone).unwrap();
    bench.thread.reopen();
    bench.log(1);
    bench.flush();
    // After it has looked: what is left is the file from before.
    bench.until_written(2);
    std::fs::create_dir(&logs).unwrap();
    // Without a further line, nor a further word.
    until(|| path.exists());
    bench.log(1);
    bench.stop();
    assert_eq!((numbers(&gone.join("access.log")), numbers(&path)), (vec![0, 1], vec![2]));
}

#[test]
fn no_line_waits_behind_those_of_a_target_that_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let (path, pipe) = (dir.path().join("access.log"), dir.path().join("pipe"));
    fifo(&pipe);
    // For both ends: somebody could read it, and nobody does.
    let _unread = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    for full in [Path::new("/dev/full"), &pipe] {
        let mut bench = Bench::file(full);
        let mut dropped = 0;
        until(|| {
            bench.log(10_000);
            std::mem::replace(&mut dropped, bench.dropped()) < bench.dropped()
        });
        bench.reload(&path);
        let first = bench.logged;
        until(|| {
            bench.log(1);
            bench.flush();
            path.exists()
        });
        let logged = bench.logged as u64;
        let registry = bench.stop();
        let dropped: u64 = registry.workers().iter().map(|w| w.log_lines_dropped.get()).sum();
        let (written, failed) = (registry.log.written.get(), registry.log.failed.get());
        assert!(numbers(&path).iter().all(|number| *number >= first));
        assert!(failed > 0 && !numbers(&path).is_empty());
        assert_eq!(written + failed + dropped, logged);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_target_that_takes_nothing_makes_lines_drop_and_nobody_wait() {
    let mut bench = Bench::file(Path::new("/dev/full"));
    let before = Instant::now();
    bench.log(200_000);
    assert!(bench.dropped() > 50_000, "{}", bench.dropped());
    assert!(before.elapsed() < Duration::from_secs(60));
    let registry = bench.stop();
    assert_eq!(registry.log.written.get(), 0);
    let dropped: u64 = registry.workers().iter().map(|w| w.log_lines_dropped.get()).sum();
    assert_eq!(dropped + registry.log.failed.get(), 200_000);
}

#[test]
fn a_pipe_that_is_read_again_gets_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    fifo(&path);
    assert!(super::verify(&settings(LogTarget::File(path.clone()))).is_err(), "nobody reads it");
    // For both ends: opening it waits for nobody then.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut bench = Bench::file(&path);
    bench.log(200_000);
    assert!(bench.dropped() > 0, "the pipe takes all");
    let reading = std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut piece = [0; 4096];
        while !lines.ends_with(b"\"end\"}\n") {
            let count = reader.read(&mut piece).unwrap();
            lines.extend_from_slice(&piece[..count]);
        }
        lines
    });
    bench.flush();
    let total = |bench: &Bench| bench.written() + bench.dropped();
    until(|| total(&bench) == 200_000);
    let written = bench.written();
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut pipe| std::io::Write::write_all(&mut pipe, b"{\"id\":\"end\"}\n"))
        .unwrap();
    let lines = reading.join().unwrap();
    let lines: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').map(object).collect();
    assert_eq!(lines.len() as u64 - 1, written);
    bench.stop();
}

#[test]
fn syslog_gets_a_message_a_line_also_when_it_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let to = LogTarget::Syslog { address: SyslogAddress::Unix(path.clone()), facility: 16 };
    let mut bench = Bench::new(settings(to));
    bench.log(2);
    bench.flush();
    let read = |socket: &UnixDatagram| {
        let mut message = [0; 2048];
        let count = socket.recv(&mut message).unwrap();
        let text = std::str::from_utf8(&message[..count]).unwrap().to_owned();
        let (head, rest) = text.split_once(" access - ").unwrap();
        assert!(head.starts_with("<134>1 2023-11-14T22:13:20.123Z "), "{head}");
        object(format!("{rest}\n").as_bytes())["id"].clone()
    };
    let socket = UnixDatagram::bind(&path).unwrap();
    assert_eq!([read(&socket), read(&socket)], ["0", "1"]);
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    bench.log(1);
    bench.flush();
    assert_eq!(read(&socket), "2");
    let registry = bench.stop();
    assert_eq!((registry.log.written.get(), registry.log.failed.get()), (3, 0));
}

#[test]
fn a_sample_is_a_share_and_what_went_wrong_is_always_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let settings = AccessLog { sample: 0.25, ..settings(LogTarget::File(path.clone())) };
    let bench = Bench::new(settings);
    let logger = bench.logger.as_ref().unwrap();
    let quarter = 1_u64 << 62;
    for (id, entropy, status, error) in [
        ("1", quarter - 1, 200, ""),
        ("2", quarter, 200, ""),
        ("3", u64::MAX, 404, ""),
        ("4", u64::MAX, 502, ""),
        ("5", u64::MAX, 404, "no_deployment"),
        ("6", 0, 404, ""),
    ] {
        let entry = logger.begin(&bench.sheet, 0);
        entry.borrow_mut().id(id.as_bytes());
        entry.borrow_mut().refused(error);
        logger.end(entry, &Ending { entropy, ..ending(status) });
    }
    bench.stop();
    assert_eq!(numbers(&path), [1, 4, 5, 6]);
}

#[test]
fn a_log_whose_file_cannot_be_opened_does_not_start() {
    let registry = Arc::new(Registry::default());
    let settings = settings(LogTarget::File("/nowhere/access.log".into()));
    let error = AccessLogThread::start(Some(&settings), &registry).unwrap_err();
    assert!(error.to_string().contains("/nowhere/access.log"), "{error}");
    let nothing = AccessLogThread::start(None, &registry).unwrap();
    nothing.reopen();
    assert!(nothing.stop());
}

#[test]
fn nothing_is_allocated_once_a_worker_is_warm() {
    let registry = Registry::default();
    let (sender, received) = sync_channel(ACCESS_LOG_QUEUE);
    let logger = Logger::new(Lines(sender), registry.worker());
    let sheet = sheet(settings(LogTarget::Stdout));
    let headers = HeaderMap::new();
    let request = || {
        let entry: Box<RefCell<Entry>> = logger.begin(&sheet, 1);
        everything(&mut entry.borrow_mut(), &headers);
        logger.end(entry, &ending(200));
    };
    // As many as fill a few batches, whose room goes back when they have been written.
    let round = || {
        (0..300).for_each(|_| request());
        let mut batches = 0;
        for message in received.try_iter() {
            let Message::Batch(batch) = message else { panic!("nobody has asked for a look") };
            batch.give_back();
            batches += 1;
        }
        assert!((1..ACCESS_LOG_ROOMS).contains(&batches), "{batches}");
    };
    (0..2).for_each(|_| round());
    let info = allocation_counter::measure(|| (0..20).for_each(|_| round()));
    assert_eq!(info.count_total, 0);
    let counted = allocation_counter::measure(|| drop(Box::new(1_u64)));
    assert!(counted.count_total > 0, "nothing is counted at all");
}
