//! A worker without sockets, and clients that talk to it through pipes.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::Instant;

use crate::access_log::Lines;
use crate::app::Bundle;
use crate::measure::Networks;
use crate::metrics::{Page, Registry};
use crate::proxy::{Watch, WorkerContext, WorkerParts};
use crate::server::accept::Hall;
use crate::server::client::{Arrival, serve};
use crate::server::crowd::Crowd;
use crate::server::door::Door;
use crate::server::intake::Intake;
use crate::server::open::OpenConnections;
use crate::server::refusals::Refusals;
use crate::server::transport::Socket;
use crate::snapshot::{Live, Snapshot};
use crate::tls::Tls;
use crate::traces::Traces;

/// After this long a test has failed. All of them together take less.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Rhumb answers it by itself: no deployment has this host.
pub(super) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n";

impl Socket for DuplexStream {
    fn forget(&self) {}
}

/// A worker with one listener.
pub(super) struct World {
    dir: TempDir,
    live: Arc<Live>,
    registry: Arc<Registry>,
    hall: Rc<Hall>,
    certificate: rustls_pki_types::CertificateDer<'static>,
}

/// A client and its connection.
pub(super) struct Client {
    pub(super) stream: DuplexStream,
    pub(super) task: JoinHandle<()>,
    pub(super) since: Instant,
}

impl World {
    /// A listener with these fields of YAML; a certificate for `edge.test` lies in `edge.pem` and
    /// `edge.key`.
    pub(super) fn new(fields: &str, limits: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(vec!["edge.test".to_owned()]).unwrap();
        std::fs::write(dir.path().join("edge.pem"), issued.cert.pem()).unwrap();
        std::fs::write(dir.path().join("edge.key"), issued.signing_key.serialize_pem()).unwrap();
        let snapshot = read(&dir, fields, limits);
        let configured = snapshot.config.listeners[0].address;
        let live = Arc::new(Live::new(snapshot));
        let registry = Arc::new(Registry::default());
        let (signals, _) = tokio::sync::mpsc::channel(1);
        let networks = Arc::new(Networks::default());
        let (known, counts) = (Arc::clone(&live), Arc::clone(&registry));
        let outlet = Arc::new(Traces::default()).outlet();
        let worker = WorkerContext::new(WorkerParts {
            number: 0,
            live: known,
            registry: counts,
            networks,
            signals,
            gauge: Arc::default(),
            traces: outlet,
            lines: Lines::nowhere(),
        });
        let hall = Rc::new(Hall {
            door: Door::new(configured, &live, &registry),
            destination: None,
            worker: Rc::new(worker),
            open: Rc::new(OpenConnections::default()),
            crowd: Arc::new(Crowd::default()),
            most: usize::MAX,
            refusals: Rc::new(Refusals::new(1)),
            intake: Intake::start(),
        });
        Self { dir, live, registry, hall, certificate: issued.cert.der().clone() }
    }

    /// Puts another configuration in place.
    pub(super) fn reload(&self, fields: &str, limits: &str) {
        self.live.store(read(&self.dir, fields, limits));
    }

    pub(super) fn connect(&self) -> Client {
        self.connect_from("192.0.2.9:4444")
    }

    pub(super) fn connect_from(&self, source: &str) -> Client {
        self.connect_through(source, |stream| stream)
    }

    /// The same, with something between the worker and the pipe.
    pub(super) fn connect_through<S: Socket>(
        &self,
        source: &str,
        wrap: impl FnOnce(DuplexStream) -> S,
    ) -> Client {
        let (stream, near) = duplex(64 << 10);
        self.connect_over(stream, wrap(near), source)
    }

    /// The same through a pipe that takes more at once than a worker does.
    pub(super) fn connect_widely(&self) -> Client {
        let (stream, near) = duplex(1 << 20);
        self.connect_over(stream, near, "192.0.2.9:4444")
    }

    fn connect_over(&self, stream: DuplexStream, near: impl Socket, source: &str) -> Client {
        let watch = Rc::new(Watch::new(Instant::now().into_std()));
        let entered = self.hall.open.enter(&watch, &self.hall.worker);
        let arrival = Arrival {
            source: source.parse().unwrap(),
            destination: "192.0.2.1:443".parse().unwrap(),
            terms: self.hall.door.terms(),
            watch,
            hall: Rc::clone(&self.hall),
            counted: None,
        };
        let task = spawn_local(async move {
            serve(near, arrival).await;
            drop(entered);
        });
        Client { stream, task, since: Instant::now() }
    }

    /// What a client needs that wants to speak TLS.
    pub(super) fn tls(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    pub(super) async fn drain(&self) {
        let long = Duration::from_secs(30);
        self.hall.open.drain(&self.hall.worker, long, async {}).await;
    }

    /// The sum of the lines of `/metrics` that start so.
    pub(super) fn metric(&self, start: &str) -> f64 {
        let mut page = Page::default();
        page.registry(&self.registry, &[], &[]);
        let page = page.encode().unwrap();
        let lines = page.lines().filter(|line| line.starts_with(start));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn read(dir: &TempDir, fields: &str, limits: &str) -> Snapshot {
    let mut yaml = format!("listeners: [{{ address: \"127.0.0.1:0\", {fields} }}]\n");
    let _ = writeln!(yaml, "limits: {{ {limits} }}");
    yaml.push_str("regions: [{ id: us, latitude: 0, longitude: 0, country: US, ");
    yaml.push_str("endpoints: [\"http://127.0.0.1:9\"] }]\n");
    yaml.push_str("deployments: [{ name: api, primary_region: us, hosts: [api.test] }]\n");
    let path = dir.path().join("rhumb.yaml");
    std::fs::write(&path, yaml).unwrap();
    let bundle = Bundle::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let tls = Arc::new(Tls::load(&bundle.config, None).unwrap());
    Snapshot { tls, ..bundle.healthy() }
}

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything until the other side says that it is over.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        rest
    }

    /// One answer of HTTP/1.1, with its body.
    pub(super) async fn answer(&mut self) -> String {
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).await.unwrap();
            answer.extend(byte);
        }
        let head = String::from_utf8(answer).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        head
    }

    /// Whole seconds since it connected. The clock of requests does not stand still, so what
    /// follows one may come a little later.
    pub(super) fn seconds(&self) -> u64 {
        (self.since.elapsed() + Duration::from_millis(20)).as_secs()
    }
}

/// Runs a test on a clock of its own.
pub(in crate::server) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let (late, over) = tokio::sync::oneshot::channel();
    let (_done, ended) = std::sync::mpsc::sync_channel::<()>(1);
    // By a clock that does not stand still: a connection that wakes itself keeps the other one from
    // moving.
    std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = late.send(());
        }
    });
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = test => {}
            Ok(()) = over => panic!("it does not come to its end"),
        }
    });
}
