//! The old process while another one takes its sockets, told word by word: whoever has a socket is
//! not deaf, nothing moves under its feet, and nobody who asks waits for ever.

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::{Client, Request, until_refused};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, rhumb};
use crate::support::{PATIENCE, until};

/// With a socket to ask at, `upgrade.sock` beside the configuration.
const SOCKET: &str = "upgrade: { socket: upgrade.sock, ready_seconds: 30 }";

/// A process that takes over, in this one.
struct Taker {
    wire: UnixStream,
    sockets: Vec<TcpListener>,
}

impl Taker {
    /// Asks for the sockets, and gets them.
    fn of(proxy: &Proxy) -> Self {
        let mut wire = UnixStream::connect(proxy.dir().join("upgrade.sock")).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(wire, r#"{{"say":"take","pid":1}}"#).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut line = [0; 4096];
        let into = &mut [IoSliceMut::new(&mut line)];
        recvmsg(&wire, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
        let mut descriptors = Vec::<OwnedFd>::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Self { wire, sockets: descriptors.into_iter().map(TcpListener::from).collect() }
    }

    /// Is ready, and told to go on.
    fn ready(&mut self) {
        writeln!(self.wire, r#"{{"say":"ready","pid":1}}"#).unwrap();
        let mut line = [0; 13];
        self.wire.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"{\"say\":\"go\"}\n");
    }

    fn serving(&mut self) {
        writeln!(self.wire, r#"{{"say":"serving"}}"#).unwrap();
    }

    /// Whether who connects there comes to here.
    fn assert_hears(&self, address: SocketAddr) {
        let stream = TcpStream::connect_timeout(&address, PATIENCE / 3).expect("not to be deaf");
        let own = stream.local_addr().unwrap();
        let here = self.sockets.iter().filter(|socket| socket.local_addr().unwrap() == address);
        let here: Vec<_> = here.collect();
        here.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        until("the connection to arrive", || {
            let mut peers = here.iter().filter_map(|socket| Some(socket.accept().ok()?.1));
            peers.any(|peer| peer == own)
        });
    }
}

#[test]
fn who_is_told_to_end_when_another_one_may_serve_waits_for_its_word() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).top(SOCKET).start();
    let mut taker = Taker::of(&proxy);
    taker.ready();
    proxy.signal(Signal::TERM);
    taker.serving();
    assert_eq!(proxy.ended().code(), Some(0));
    proxy.until_logged("another process serves");
    taker.assert_hears(proxy.address);
}

#[test]
fn who_does_not_say_that_it_serves_is_not_deaf_either() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).top(SOCKET).start();
    let mut taker = Taker::of(&proxy);
    taker.ready();
    proxy.until_logged("it was ready, but did not serve");
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
    taker.assert_hears(proxy.address);
}

#[test]
fn a_reload_that_comes_meanwhile_changes_no_port() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]).top(SOCKET);
    let mut proxy = setup.start();
    let mut taker = Taker::of(&proxy);
    let added = free_address();
    proxy.replace_config(&with_listener(&setup.yaml(), added));
    proxy.signal(Signal::HUP);
    proxy.until_logged("reading the configuration again");
    taker.ready();
    taker.serving();
    assert_eq!(proxy.ended().code(), Some(0));
    proxy.until_logged("stopped:");
    let log = proxy.log();
    assert!(!log.contains(&format!("listening address={added}")), "{log}");
}

#[test]
fn nobody_asks_a_process_that_is_about_to_end() {
    let origin = Origin::named("us");
    let top = format!("{SOCKET}\ndrain: {{ grace_seconds: 60 }}");
    let mut proxy = Setup::over(&[("us", origin.address)]).top(&top).start();
    proxy.signal(Signal::TERM);
    proxy.until_logged("not ready any more");
    let asked = rhumb(&["upgrade", "-c", proxy.config().to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("nobody listens at"), "{asked:?}");
    assert!(proxy.is_running());
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(143));
}

#[test]
fn who_asks_a_process_that_has_been_replaced_is_told_so() {
    let (open, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::with("us", move |exchange| {
        // Ends when the test lets go of the other end.
        let _ = gate.lock().unwrap().recv();
        exchange.answer_own_name()
    });
    let mut proxy = Setup::over(&[("us", origin.address)]).top(SOCKET).start();
    let mut slow = proxy.client();
    slow.send(Request::get("/").bytes());
    until("the request to arrive", || origin.count() == 1);
    let mut taker = Taker::of(&proxy);
    taker.ready();
    taker.serving();
    proxy.until_logged("another process serves");
    let asked = rhumb(&["upgrade", "-c", proxy.config().to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("another process serves by now"), "{said}");
    drop(open);
    assert_eq!(slow.read("GET").status(), 200);
    assert_eq!(proxy.ended().code(), Some(0));
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn with_listener(yaml: &str, address: SocketAddr) -> String {
    yaml.replacen("listeners: [", &format!("listeners: [{{ address: \"{address}\" }}, "), 1)
}

/// A process that was given a socket, as systemd does.
struct Activated(Child);

impl Activated {
    fn start(config: &Path, socket: &TcpListener) -> Self {
        let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; \
                      exec \"$0\" --log info run --json -c \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_rhumb")]).arg(config);
        command.stdin(OwnedFd::from(socket.try_clone().unwrap()));
        Self::ready(command)
    }

    /// Waits until it serves.
    fn ready(mut command: Command) -> Self {
        let mut started = Self(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut byte = [0];
        while byte != *b"\n" {
            started.0.stdout.as_mut().unwrap().read_exact(&mut byte).expect("it to be ready");
        }
        started
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn end(&mut self) {
        self.signal(Signal::TERM);
        until("it to end", || self.0.try_wait().unwrap().is_some());
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An answer from there, if somebody listens and is not deaf.
fn answer(address: SocketAddr) -> io::Result<u16> {
    drop(TcpStream::connect_timeout(&address, PATIENCE / 3)?);
    Ok(Client::connect(address).ask(&Request::get("/")).status())
}

#[test]
fn a_socket_of_systemd_outlives_the_process() {
    let origin = Origin::named("us");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("rhumb.yaml");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let yaml = Setup::over(&[("us", origin.address)]).yaml();
    std::fs::write(&config, yaml.replacen("127.0.0.1:0", &address.to_string(), 1)).unwrap();
    for _ in 0..3 {
        let mut started = Activated::start(&config, &socket);
        assert_eq!(answer(address).unwrap(), 200);
        started.end();
    }
}

#[test]
fn a_listener_of_systemd_goes_and_comes_back() {
    let origin = Origin::named("us");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("rhumb.yaml");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, other) = (socket.local_addr().unwrap(), free_address());
    let yaml = Setup::over(&[("us", origin.address)]).yaml();
    let yaml = yaml.replacen("127.0.0.1:0", &other.to_string(), 1);
    std::fs::write(&config, with_listener(&yaml, address)).unwrap();
    let mut started = Activated::start(&config, &socket);
    assert_eq!(answer(address).unwrap(), 200);
    for _ in 0..2 {
        std::fs::write(&config, &yaml).unwrap();
        started.signal(Signal::HUP);
        // From now on they wait in the queue.
        socket.set_nonblocking(true).unwrap();
        until("it to be left alone", || {
            TcpStream::connect_timeout(&address, PATIENCE / 3).expect("not to be deaf");
            std::thread::park_timeout(Duration::from_millis(50));
            socket.accept().is_ok()
        });
        std::fs::write(&config, with_listener(&yaml, address)).unwrap();
        started.signal(Signal::HUP);
        until("an answer", || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream.read(&mut [0; 12]).is_ok_and(|count| count > 0)
        });
    }
    started.end();
    until_refused(other);
}

#[test]
fn who_has_the_variable_and_not_the_socket_starts_as_usual() {
    let origin = Origin::named("us");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("rhumb.yaml");
    std::fs::write(&config, Setup::over(&[("us", origin.address)]).yaml()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(["run", "--json", "-c"]).arg(&config);
    command.env("RHUMB_HANDOVER", "stdin").stdin(Stdio::null());
    Activated::ready(command).end();
}

#[test]
fn a_listener_that_goes_may_come_back_at_once() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let (proxy, added) = (setup.start(), free_address());
    let yaml = setup.yaml();
    let with = with_listener(&yaml, added);
    let reload = |yaml: &str| {
        let before = proxy.reloads("config", "success");
        proxy.replace_config(yaml);
        proxy.signal(Signal::HUP);
        until("the reload", || {
            assert_eq!(proxy.reloads("config", "failure"), 0.0);
            proxy.reloads("config", "success") > before
        });
    };
    for _ in 0..5 {
        reload(&with);
        reload(&yaml);
    }
    reload(&with);
    until("an answer", || answer(added).is_ok_and(|status| status == 200));
}
