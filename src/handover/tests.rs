//! Both sides with a clock of their own: how long one waits for the other.

use std::net::TcpListener;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::sleep;

use super::desk::ask;
use super::elder::{Offer, offer};
use super::message::Message;
use super::wire::Wire;
use super::{AskError, GiveError, Heir, HeirError, Role};
use crate::model::limits;

const READY: Duration = Duration::from_secs(60);

/// A socket with a name.
fn listen() -> (tempfile::TempDir, UnixListener, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    (dir, UnixListener::bind(&path).unwrap(), path)
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_has_patience_with_a_reload() {
    for (busy, heard) in [(READY, true), (READY + 2 * limits::THREAD_ANSWER, false)] {
        let (_dir, listener, path) = listen();
        let sockets = [TcpListener::bind("127.0.0.1:0").unwrap()];
        let configured = sockets[0].local_addr().unwrap();
        let old = async {
            let mut wire = Wire::new(listener.accept().await.unwrap().0);
            assert!(matches!(wire.hear().await.unwrap(), Message::Take { .. }));
            sleep(busy).await;
            let offers =
                [Offer { role: Role::Listener, configured, kept: true, sockets: &sockets }];
            let given = offer(&mut wire, &offers, READY).await;
            assert!(matches!(given, Err(GiveError::Wire(_))), "it hangs up");
        };
        let new = async {
            match Heir::of_socket(&path, READY).await {
                Ok(Some((_, inherited))) => {
                    assert!(heard, "{busy:?}");
                    assert!(inherited[0].kept);
                    assert_eq!(inherited[0].socket.local_addr().unwrap(), configured);
                }
                Err(HeirError::Silent(_)) => assert!(!heard, "{busy:?}"),
                other => panic!("{other:?}"),
            }
        };
        tokio::join!(old, new);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_does_not_wait_for_ever() {
    let (_dir, listener, path) = listen();
    let silent = async {
        let mut wire = Wire::new(listener.accept().await.unwrap().0);
        assert_eq!(wire.hear().await.unwrap(), Message::Upgrade);
        assert!(wire.hear().await.is_err());
    };
    let asking = async {
        let began = tokio::time::Instant::now();
        assert!(matches!(ask(&path, READY).await, Err(AskError::Silent(_))));
        // The old process may be busy, and then the new one has its time.
        assert!(began.elapsed() > 2 * READY);
    };
    tokio::join!(silent, asking);
}
