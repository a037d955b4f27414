//! The thread that writes, with files, pipes and sockets that fail and come back.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::AccessLogThread;
use super::super::logger::{Logger, Sheet};
use super::{ending, object, settings, sheet};
use crate::config::{AccessLog, LogTarget, SyslogAddress};
use crate::metrics::Registry;

/// A worker's logger in front of a real thread.
pub(super) struct Bench {
    registry: Arc<Registry>,
    thread: AccessLogThread,
    pub(super) logger: Option<Logger>,
    pub(super) sheet: Rc<Sheet>,
    logged: usize,
}

impl Bench {
    pub(super) fn new(settings: AccessLog) -> Self {
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

    pub(super) fn stop(mut self) -> Arc<Registry> {
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
pub(super) fn numbers(path: &Path) -> Vec<usize> {
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
    assert!(
        super::super::verify(&settings(LogTarget::File(path.clone()))).is_err(),
        "nobody reads it"
    );
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
fn a_log_whose_file_cannot_be_opened_does_not_start() {
    let registry = Arc::new(Registry::default());
    let settings = settings(LogTarget::File("/nowhere/access.log".into()));
    let error = AccessLogThread::start(Some(&settings), &registry).unwrap_err();
    assert!(error.to_string().contains("/nowhere/access.log"), "{error}");
    let nothing = AccessLogThread::start(None, &registry).unwrap();
    nothing.reopen();
    assert!(nothing.stop());
}
