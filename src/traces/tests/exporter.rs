//! The exporter's thread, seen from outside.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::Builder;

use super::super::exporter::run;

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
