//! The exporter's thread, seen from outside.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;

use super::super::exporter::{ExporterParts, Work, run};
use super::super::outlet::Traces;
use super::record;
use crate::app::Bundle;
use crate::metrics::Registry;
use crate::snapshot::{Live, Snapshot};

/// What a configuration with this on its first line leads to.
fn snapshot(dir: &TempDir, tracing: &str) -> Snapshot {
    let mut yaml = format!("{tracing}\nlisteners: [{{ address: \"127.0.0.1:0\" }}]\n");
    yaml.push_str("regions: [{ id: us, latitude: 0, longitude: 0, country: US, ");
    let _ = writeln!(yaml, "endpoints: [\"http://127.0.0.1:9\"] }}]");
    yaml.push_str("deployments: [{ name: api, primary_region: us, hosts: [api.test] }]\n");
    let path = dir.path().join("rhumb.yaml");
    std::fs::write(&path, yaml).unwrap();
    Bundle::load(&path).unwrap_or_else(|error| panic!("{error}")).healthy()
}

/// Takes one request, whatever it is, and is content with it.
async fn receive(listener: TcpListener) {
    let mut stream = BufReader::new(listener.accept().await.unwrap().0);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn what_a_new_configuration_has_recorded_is_not_dropped_by_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let live = Arc::new(Live::new(snapshot(&dir, "")));
    let (traces, registry) = (Arc::new(Traces::default()), Arc::new(Registry::default()));
    let parts = ExporterParts {
        traces: Arc::clone(&traces),
        live: Arc::clone(&live),
        registry: Arc::clone(&registry),
    };
    let (outlet, (_go_on, stopping)) = (traces.outlet(), watch::channel(false));
    let mut work = Work::new(parts, stopping);
    // It has looked at a configuration without traces, and wakes for another reason just when there
    // is one with them and a worker has recorded a request.
    work.adopt();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tracing = format!("tracing: {{ otlp: {{ endpoint: \"http://{address}\" }}, sample: 1 }}");
    live.store(snapshot(&dir, &tracing));
    outlet.send(Box::new(record())).unwrap();
    let receiver = tokio::spawn(receive(listener));
    work.deliver().await;
    assert_eq!((registry.traces.exported.get(), registry.traces.unsent.get()), (2, 0));
    receiver.await.unwrap();

    // And without a receiver nothing is kept.
    live.store(snapshot(&dir, ""));
    outlet.send(Box::new(record())).unwrap();
    work.deliver().await;
    assert_eq!((registry.traces.exported.get(), registry.traces.unsent.get()), (2, 2));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is what names are looked up with")]
fn a_name_that_is_looked_up_for_ever_holds_up_no_end() {
    let (release, stuck) = sync_channel::<()>(0);
    let (end, ended) = sync_channel(1);
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let work = async {
            let (begin, begun) = tokio::sync::oneshot::channel();
            // As names are looked up.
            tokio::task::spawn_blocking(move || {
                begin.send(()).unwrap();
                let _ = stuck.recv();
            });
            begun.await.unwrap();
        };
        run(runtime, work);
        end.send(()).unwrap();
    });
    let in_time = ended.recv_timeout(Duration::from_secs(10)).is_ok();
    drop(release);
    thread.join().unwrap();
    assert!(in_time);
}
