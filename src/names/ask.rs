//! Makes the lookups that the book orders, many at once, and reports how each ended.
//!
//! Decides nothing: when to look up and what an answer is worth is the book's business.

use std::sync::Arc;
use std::time::SystemTime;

use hickory_resolver::Hosts;
use tokio::sync::mpsc;

use super::answer::{Reply, Trouble};
use super::book::Order;
use super::dns::Dns;
use crate::config::Names;

/// How a lookup ended.
#[derive(Debug)]
pub struct Answered {
    /// Which one.
    pub order: Order,
    /// What it brought.
    pub reply: Result<Reply, Trouble>,
}

/// Where the system says whom to ask, and what need not be asked. Both are read again when they change.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// When a file was last written, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

/// Runs lookups as tasks of the thread that it is used on.
pub struct Asker {
    settings: Names,
    answers: mpsc::Sender<Answered>,
    dns: Option<Dns>,
    stamps: [Stamp; 2],
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Asker {
    /// An asker that sends what it learns to `answers`.
    pub fn new(answers: mpsc::Sender<Answered>) -> Self {
        Self { settings: Names::default(), answers, dns: None, stamps: [None; 2] }
    }

    /// Asks as these settings say from now on.
    pub fn adopt(&mut self, settings: &Names) {
        if self.settings != *settings {
            self.settings = settings.clone();
            self.dns = None;
        }
    }

    /// Starts a lookup. Its report comes in any case, also if it panics.
    pub fn start(&mut self, order: Order) {
        let dns = self.dns();
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let reply = match dns {
                Err(trouble) => Err(trouble),
                // In a task of its own, so that a panic ends the lookup and nothing else.
                Ok(dns) => tokio::spawn(dns.look_up(order.question.clone())).await.unwrap_or_else(
                    |panic| {
                        tracing::error!(name = %order.question, %panic, "a lookup broke; this is a bug");
                        Err(Trouble::Server("the lookup itself failed".to_owned()))
                    },
                ),
            };
            // Whoever asked is gone only when the process ends.
            let _ = answers.send(Answered { order, reply }).await;
        });
    }

    fn dns(&mut self) -> Result<Dns, Trouble> {
        let stamps = FILES.map(stamp);
        if let Some(dns) = self.dns.as_ref().filter(|_| stamps == self.stamps) {
            return Ok(dns.clone());
        }
        let hosts = Arc::new(Hosts::from_system().unwrap_or_else(|error| {
            tracing::debug!(%error, "there is no file of hosts");
            Hosts::default()
        }));
        match Dns::new(&self.settings, hosts) {
            Ok(dns) => {
                self.stamps = stamps;
                Ok(self.dns.insert(dns).clone())
            }
            Err(error) => Err(Trouble::Server(format!("no DNS servers: {error}"))),
        }
    }
}

fn stamp(path: &str) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
