//! Load: connections that ask one request after the other until they are told to stop, and tell
//! what came of each.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::client::{Client, Request};
use super::until;

/// Load that is under way.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers 200, by the region that gave them.
    pub answered: BTreeMap<String, usize>,
    /// Everything else.
    pub failed: Vec<String>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Load {
    /// So many connections that all ask for the same.
    pub fn of(address: SocketAddr, connections: usize, request: &Request) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..connections).map(|_| {
            let (shared, request) = (Arc::clone(&shared), request.clone());
            std::thread::spawn(move || ask_on(address, &request, &shared))
        });
        Self { threads: threads.collect(), shared }
    }

    /// Requests that have been answered or have failed.
    pub fn done(&self) -> usize {
        self.shared.done.load(SeqCst)
    }

    /// Answers of a region so far.
    pub fn answered_by(&self, region: &str) -> usize {
        self.shared.tally.lock().unwrap().answered.get(region).copied().unwrap_or(0)
    }

    /// Waits for so many more requests.
    pub fn until_more(&self, requests: usize) {
        let most = self.done() + requests;
        until("more requests to be answered", || self.done() >= most);
    }

    /// Waits until a region has answered so many more requests.
    pub fn until_more_from(&self, region: &str, requests: usize) {
        let most = self.answered_by(region) + requests;
        until(&format!("{region} to answer"), || self.answered_by(region) >= most);
    }

    /// Ends it.
    pub fn stop(mut self) -> Tally {
        self.end();
        self.shared.tally.lock().unwrap().clone()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Tally {
    /// Fails unless every request was answered with 200.
    pub fn assert_nothing_failed(&self) {
        let first: Vec<_> = self.failed.iter().take(5).collect();
        assert!(self.failed.is_empty(), "{} requests failed: {first:#?}", self.failed.len());
    }
}

fn ask_on(address: SocketAddr, request: &Request, shared: &Shared) {
    let mut client = None;
    while !shared.stop.load(SeqCst) {
        let outcome = Client::try_connect_or(client.take(), address).and_then(|mut fresh| {
            let response = fresh.try_ask(request)?;
            Ok((fresh, response))
        });
        let mut tally = shared.tally.lock().unwrap();
        match outcome {
            Ok((kept, response)) if response.status() == 200 => {
                *tally.answered.entry(response.region().to_owned()).or_default() += 1;
                client = (!response.head.lists("connection", "close")).then_some(kept);
            }
            Ok((_, response)) => tally.failed.push(format!("{response:?}")),
            Err(error) => tally.failed.push(error.to_string()),
        }
        drop(tally);
        shared.done.fetch_add(1, SeqCst);
    }
}

impl Client {
    fn try_connect_or(kept: Option<Self>, address: SocketAddr) -> std::io::Result<Self> {
        match kept {
            Some(client) => Ok(client),
            None => Self::try_connect(Ipv4Addr::LOCALHOST.into(), address),
        }
    }
}
