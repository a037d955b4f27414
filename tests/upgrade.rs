//! Another process takes the place of the running one, and listeners come and go, while connections
//! are made all the time: nobody is refused, reset or cut. What cannot serve takes nobody's place.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::{Client, Request, until_refused};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, rhumb};
use crate::support::{PATIENCE, Taken, until};

/// With a socket to ask at, `upgrade.sock` beside the configuration.
const SOCKET: &str = "upgrade: { socket: upgrade.sock, ready_seconds: 30 }";

/// Puts a shell script in the place of the program.
fn replace_program(proxy: &Proxy, script: &str) {
    let fresh = proxy.dir().join("fresh");
    std::fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&fresh, proxy.program()).unwrap();
}

fn failures(proxy: &Proxy) -> f64 {
    proxy.metric("rhumb_upgrades_total", &["result=\"failure\""])
}

/// Replaces the process that runs, and waits until the next one serves.
fn upgrade(proxy: &Proxy) {
    let before = proxy.processes().len();
    proxy.signal_latest(Signal::USR2);
    until("a new process to serve", || proxy.processes().len() > before);
}

#[test]
fn under_load_nothing_is_refused_reset_or_cut() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start_own();
    let kept = Load::of(proxy.address, 4, &Request::get("/"));
    let fresh = Load::of(proxy.address, 4, &Request::get("/").with("Connection", "close"));
    for _ in 0..5 {
        fresh.until_more(200);
        upgrade(&proxy);
    }
    fresh.until_more(200);
    kept.until_more(200);
    for load in [kept, fresh] {
        load.stop().assert_nothing_failed();
    }
    assert_eq!(proxy.metric("rhumb_upgrades_total", &["result=\"success\""]), 1.0);
}

#[test]
fn the_old_process_finishes_what_it_has_and_ends() {
    let (origin, open) = Origin::gated("us");
    let at_once = Request::get("/at-once");
    let mut proxy = Setup::over(&[("us", origin.address)]).start_own();
    let mut slow = proxy.client();
    slow.send(Request::get("/slow").bytes());
    until("the request to arrive", || origin.count() == 1);
    upgrade(&proxy);
    proxy.until_logged("another process serves");
    assert!(proxy.is_running());
    assert_eq!(proxy.ask(&at_once).status(), 200);
    drop(open);
    let answer = slow.read("GET");
    assert_eq!(answer.status(), 200);
    assert!(answer.head.lists("connection", "close"));
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    assert_eq!(proxy.ask(&at_once).status(), 200);
    assert_eq!(proxy.inspect("/readyz").status(), 200);
}

#[test]
fn what_cannot_serve_takes_nobodys_place() {
    let origin = Origin::named("us");
    // Time is short only for who says nothing.
    for (seconds, broken) in [
        (
            30,
            &[
                ("exit 7", "exit status: 7"),
                ("echo nonsense >&0; exec sleep 600", "does not make sense"),
                ("kill -SEGV $$", "signal: 11"),
            ][..],
        ),
        (1, &[("exec sleep 600", "not ready within 1 s")]),
    ] {
        let top = format!("upgrade: {{ ready_seconds: {seconds} }}");
        let mut proxy = Setup::over(&[("us", origin.address)]).top(&top).start_own();
        let load = Load::of(proxy.address, 2, &Request::get("/").with("Connection", "close"));
        for (number, (script, reason)) in broken.iter().enumerate() {
            replace_program(&proxy, script);
            proxy.signal(Signal::USR2);
            until("the upgrade to fail", || failures(&proxy) > number as f64);
            proxy.until_logged(reason);
            load.until_more(20);
        }
        std::fs::remove_file(proxy.program()).unwrap();
        proxy.signal(Signal::USR2);
        proxy.until_logged("cannot start");
        assert!(proxy.is_running());
        load.stop().assert_nothing_failed();
    }
}

#[test]
fn a_configuration_that_is_wrong_takes_nobodys_place() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]).top(SOCKET);
    let mut proxy = setup.start_own();
    proxy.replace_config(&setup.yaml().replace("primary_region: us", "primary_region: mars"));
    proxy.signal(Signal::USR2);
    until("the upgrade to fail", || failures(&proxy) == 1.0);
    proxy.until_logged("upgrade failed, this process serves on: the new process cannot serve");
    proxy.until_logged("mars");
    assert!(proxy.is_running());
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    // Whoever asks hears of it, whatever the file says by then.
    let other = proxy.dir().join("other.yaml");
    std::fs::write(&other, setup.yaml()).unwrap();
    let asked = rhumb(&["upgrade", "--json", "-c", other.to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(said["upgraded"], false);
    assert!(said["reason"].as_str().unwrap().contains("mars"), "{said}");
}

#[test]
fn one_may_ask_for_an_upgrade() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).top(SOCKET).start_own();
    let config = proxy.config();
    let config = config.to_str().unwrap();
    let mode = std::fs::metadata(proxy.dir().join("upgrade.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let asked = rhumb(&["upgrade", "--json", "-c", config]);
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    let said: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    until("the new process to say so", || proxy.processes().len() == 2);
    assert_eq!(said["pid"], proxy.processes()[1].as_raw_nonzero().get());
    // It has the socket by now.
    let asked = eventually_asked(config);
    assert!(asked.contains("serves"), "{asked}");
    until("the third process", || proxy.processes().len() == 3);
    proxy.signal_latest(Signal::TERM);
    until_refused(proxy.address);
    until("the socket to go", || !proxy.dir().join("upgrade.sock").exists());
    let asked = rhumb(&["upgrade", "-c", config]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("nobody listens at"), "{asked:?}");
}

/// The process that has taken over makes its socket right after it serves.
fn eventually_asked(config: &str) -> String {
    crate::support::eventually("somebody to ask", || {
        let asked = rhumb(&["upgrade", "-c", config]);
        asked.status.success().then(|| String::from_utf8(asked.stdout).unwrap())
    })
}

/// A process that somebody else starts.
struct Other(Child);

impl Other {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
        command.args(["--log", "info", "run", "--take-over", "-c"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_somebody_else_starts_may_take_over() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).top(SOCKET).start();
    let load = Load::of(proxy.address, 4, &Request::get("/").with("Connection", "close"));
    load.until_more(50);
    let _other = Other::start(&proxy.config());
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    load.until_more(50);
    load.stop().assert_nothing_failed();
    // Without being told to, nobody takes over.
    let stranger = rhumb(&["run", "-c", proxy.config().to_str().unwrap()]);
    assert_eq!(stranger.status.code(), Some(1));
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("another process listens at"), "{said}");
}

#[test]
fn the_number_of_workers_may_change() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]).workers(3);
    let proxy = setup.start_own();
    let load = Load::of(proxy.address, 4, &Request::get("/").with("Connection", "close"));
    for workers in [1, 4, 2] {
        proxy.replace_config(&setup.clone().workers(workers).yaml());
        load.until_more(100);
        upgrade(&proxy);
        load.until_more(100);
    }
    load.stop().assert_nothing_failed();
}

#[test]
fn listeners_come_and_go_without_a_restart() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let proxy = setup.start();
    let more = Taken::to_be_shared();
    let yaml = setup.yaml();
    let (first, added) = (proxy.address, more.address);
    let with = format!("listeners: [{{ address: \"{added}\" }}, ");
    let with = yaml.replacen("listeners: [", &with, 1);
    let load = Load::of(first, 4, &Request::get("/").with("Connection", "close"));
    for _ in 0..5 {
        proxy.reload(&with);
        until("the new listener", || Client::try_connect([127, 0, 0, 1].into(), added).is_ok());
        let mut client = Client::connect(added);
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
        proxy.reload(&yaml);
        until_refused(added);
        // Who is there may stay.
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
    load.stop().assert_nothing_failed();
}

#[test]
fn a_listener_that_goes_accepts_whoever_has_begun() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let more = Taken::to_be_shared();
    let yaml = setup.yaml();
    let with = format!("listeners: [{{ address: \"{}\" }}, ", more.address);
    let with = yaml.replacen("listeners: [", &with, 1);
    let proxy = Proxy::start(&with);
    let load = Load::of(proxy.address, 8, &Request::get("/").with("Connection", "close"));
    load.until_more(200);
    proxy.reload(&yaml);
    until_refused(proxy.address);
    let tally = load.stop();
    let wrong: Vec<_> =
        tally.failed.iter().filter(|failure| !failure.contains("refused")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_address_that_cannot_be_had_refuses_the_whole_reload() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let proxy = setup.start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let before = proxy.generation();
    let yaml = setup.yaml();
    let listeners = format!("listeners: [{{ address: \"{address}\" }}, ");
    proxy.replace_config(&yaml.replacen("listeners: [", &listeners, 1));
    until("the refusal", || proxy.reloads("config", "failure") == 1.0);
    proxy.until_logged(&format!("cannot listen on {address}"));
    assert_eq!(proxy.generation(), before);
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    // The same file is fine when the address is free.
    drop(taken);
    proxy.signal(Signal::HUP);
    until("the reload", || proxy.reloads("config", "success") > 1.0);
    let mut client = Client::connect(address);
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
}

#[test]
fn the_admin_address_moves() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let mut proxy = setup.start();
    let (old, next) = (proxy.admin, Taken::to_be_shared());
    let mut asking = Client::connect(old);
    assert_eq!(asking.ask(&Request::get("/readyz")).status(), 200);
    let admin = format!("admin: {{ address: \"{}\" }}", next.address);
    proxy.replace_config(&setup.yaml().replace("admin: { address: \"127.0.0.1:0\" }", &admin));
    proxy.until_logged("the admin address has moved");
    proxy.admin = next.address;
    assert_eq!(proxy.inspect("/readyz").status(), 200);
    until_refused(old);
    assert!(asking.is_closed());
}

/// What systemd would hear, until a line starts so.
fn heard(notified: &UnixDatagram, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = notified.recv(&mut buffer).expect("systemd to be told");
        let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
        if text.lines().any(|line| line.starts_with(last)) {
            return lines;
        }
    }
}

#[test]
fn systemd_hears_what_happens() {
    let origin = Origin::named("us");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("rhumb.yaml");
    std::fs::write(&config, Setup::over(&[("us", origin.address)]).yaml()).unwrap();
    let notified = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(["run", "-c"]).arg(&config).stdin(Stdio::null()).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "300000");
    let mut proxy = Other(command.spawn().unwrap());
    let pid = Pid::from_child(&proxy.0);
    heard(&notified, "READY=1");
    heard(&notified, "WATCHDOG=1");
    kill_process(pid, Signal::HUP).unwrap();
    let lines = heard(&notified, "READY=1");
    assert!(lines.iter().any(|line| line == "RELOADING=1"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{lines:?}");
    kill_process(pid, Signal::USR2).unwrap();
    let lines = heard(&notified, "MAINPID=");
    let next = lines.iter().find_map(|line| line.strip_prefix("MAINPID=")).unwrap();
    let next = Pid::from_raw(next.parse().unwrap()).unwrap();
    assert_ne!(next, pid);
    until("the old process to end", || proxy.0.try_wait().unwrap().is_some());
    heard(&notified, "WATCHDOG=1");
    kill_process(next, Signal::TERM).unwrap();
    heard(&notified, "STOPPING=1");
}
