//! Connections that attack, for as long as they are let: when one is ended, another takes its place.
//!
//! Here: sockets, and what the proxy did about it. Not here: what is sent (`attack`).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout_at};

use crate::attack::{Attack, Supply};
use crate::frame::{ACK, Frames, Heard, PREFACE, Reader, SETTINGS};

/// What all connections of an attack saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) answers: AtomicU64,
    pub(crate) resets: AtomicU64,
    /// GOAWAY frames by error code.
    goaways: Mutex<BTreeMap<u32, u64>>,
}

impl Seen {
    fn goaway(&self, code: u32) {
        *self.goaways.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(crate) fn goaways(&self) -> BTreeMap<u32, u64> {
        self.goaways.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Who attacks whom.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) attack: Attack,
    pub(crate) port: u16,
    pub(crate) authority: String,
    /// Until when.
    pub(crate) end: Instant,
    /// How long a connection that was ended waits before it comes again.
    pub(crate) pause: Duration,
}

/// Attacks over one connection after the other until the plan's end.
pub(crate) async fn attack(plan: Plan, ids: Arc<AtomicU64>, seen: Arc<Seen>) {
    while Instant::now() < plan.end {
        match TcpStream::connect(("127.0.0.1", plan.port)).await {
            Ok(stream) => {
                count(&seen.connections, 1);
                let id = ids.fetch_add(1, Ordering::Relaxed);
                let whole = connection(stream, &plan, id, Arc::clone(&seen));
                if timeout_at(plan.end, whole).await.is_ok() {
                    count(&seen.ended, 1);
                }
            }
            Err(_) => count(&seen.refused, 1),
        }
        sleep(plan.pause).await;
    }
}

/// One connection, until the proxy ends it.
async fn connection(stream: TcpStream, plan: &Plan, id: u64, seen: Arc<Seen>) {
    // Small segments: each burst is to be worked on at once.
    let _ = stream.set_nodelay(true);
    let (reading, mut writing) = stream.into_split();
    let (acks, mut to_ack) = tokio::sync::mpsc::channel(8);
    let reader = listen(reading, Arc::clone(&seen), acks);
    tokio::pin!(reader);
    let mut supply = Supply::new(plan.attack, &plan.authority, id);
    let writer = async {
        writing.write_all(&opening(plan.attack).bytes).await?;
        while let Some(frames) = supply.next() {
            if to_ack.try_recv().is_ok() {
                let mut ack = Frames::default();
                // A header block must not be interrupted, not even by us.
                ack.push(SETTINGS, ACK, 0, &[]);
                if !matches!(plan.attack, Attack::Continuation | Attack::EmptyContinuation) {
                    writing.write_all(&ack.bytes).await?;
                }
            }
            send(&mut writing, &frames, &seen).await?;
        }
        std::future::pending::<io::Result<()>>().await
    };
    if plan.attack.reads() {
        tokio::select! {
            () = &mut reader => return,
            _ = writer => {}
        }
    } else {
        let _ = writer.await;
    }
    // The proxy hung up while we wrote: what it said before may still be there.
    let _ = timeout_at(Instant::now() + Duration::from_secs(1), reader).await;
}

async fn send(to: &mut OwnedWriteHalf, frames: &Frames, seen: &Seen) -> io::Result<()> {
    to.write_all(&frames.bytes).await?;
    count(&seen.frames, frames.count);
    count(&seen.bytes, frames.bytes.len() as u64);
    Ok(())
}

/// The preface and the first settings: where an attack stalls, windows of no byte.
fn opening(attack: Attack) -> Frames {
    let mut frames = Frames { bytes: PREFACE.to_vec(), count: 0 };
    let settings: &[u8] = if attack.stalls() { &[0, 4, 0, 0, 0, 0] } else { &[] };
    frames.push(SETTINGS, 0, 0, settings);
    frames
}

async fn listen(mut from: OwnedReadHalf, seen: Arc<Seen>, acks: tokio::sync::mpsc::Sender<()>) {
    let (mut reader, mut buffer) = (Reader::default(), vec![0; 16 << 10]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        reader.feed(&buffer[..read]);
        while let Some(heard) = reader.next() {
            match heard {
                Heard::Answer => count(&seen.answers, 1),
                Heard::Reset => count(&seen.resets, 1),
                Heard::Goaway(code) => seen.goaway(code),
                Heard::Settings => drop(acks.try_send(())),
                Heard::Other => {}
            }
        }
    }
}
