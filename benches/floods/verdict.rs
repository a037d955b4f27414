//! What an attack did, what of it is too much, and how both are shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::victim::{Outcome, Protocol};

/// Percent of the victims' exchanges that have to go well.
const SUCCESS: f64 = 99.9;
/// How many times its calm 99th percentile a victim's may be.
const SLOWER: f64 = 2.0;
/// How much more memory the proxy may take.
const MEMORY: u64 = 64 << 20;
/// Requests that one attacking connection may have in hand at the origin.
const IN_HAND: u64 = 100;

/// One victim, before and during.
pub(crate) struct Suffering {
    pub(crate) protocol: Protocol,
    pub(crate) calm: Outcome,
    pub(crate) flood: Outcome,
}

/// All that was seen of one attack.
pub(crate) struct Result {
    pub(crate) attack: String,
    pub(crate) seconds: f64,
    pub(crate) connections: u64,
    pub(crate) refused: u64,
    pub(crate) ended: u64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) answers: u64,
    pub(crate) resets: u64,
    pub(crate) goaways: BTreeMap<u32, u64>,
    /// Greatest number in hand at the origin for one connection, and all requests that reached it.
    pub(crate) in_hand: (u64, u64),
    /// Bytes more than before the attack.
    pub(crate) memory: u64,
    /// Part of a core that the proxy used.
    pub(crate) busy: f64,
    pub(crate) alive: bool,
    pub(crate) victims: Vec<Suffering>,
}

impl Result {
    /// What is too much, in words; none: it passed.
    pub(crate) fn faults(&self, floor_ms: f64) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.alive {
            faults.push("the proxy is gone".to_owned());
        }
        for Suffering { protocol, calm, flood } in &self.victims {
            let name = protocol.name();
            let (success, before, during) =
                (flood.success(), calm.percentile(99.0), flood.percentile(99.0));
            if success < SUCCESS || flood.micros.is_empty() {
                let why = flood.last_failure.as_deref().unwrap_or("no exchange");
                faults.push(format!("{name}: {success:.2} % went well ({why})"));
            }
            if during >= (SLOWER * before).max(floor_ms) || before.is_nan() {
                faults.push(format!("{name}: p99 {during:.2} ms, calm {before:.2} ms"));
            }
        }
        if self.memory > MEMORY {
            faults.push(format!("{} MiB more memory", self.memory >> 20));
        }
        if self.in_hand.0 > IN_HAND {
            faults.push(format!("{} requests in hand for one connection", self.in_hand.0));
        }
        faults
    }

    pub(crate) fn json(&self, floor_ms: f64) -> Value {
        let victims: serde_json::Map<_, _> = self
            .victims
            .iter()
            .map(|victim| {
                let Suffering { protocol, calm, flood } = victim;
                (
                    protocol.name().to_owned(),
                    json!({
                        "exchanges": flood.micros.len(), "failures": flood.failures,
                        "success_percent": flood.success(), "last_failure": flood.last_failure,
                        "calm_p50_ms": calm.percentile(50.0), "calm_p99_ms": calm.percentile(99.0),
                        "p50_ms": flood.percentile(50.0), "p99_ms": flood.percentile(99.0),
                        "max_ms": flood.percentile(100.0), "calm_failures": calm.failures,
                    }),
                )
            })
            .collect();
        json!({
            "attack": self.attack, "faults": self.faults(floor_ms), "seconds": self.seconds,
            "connections": self.connections, "refused": self.refused, "ended": self.ended,
            "frames": self.frames, "bytes": self.bytes, "answers": self.answers,
            "resets": self.resets, "goaways": self.goaways, "in_hand_most": self.in_hand.0,
            "requests_at_origin": self.in_hand.1, "memory_bytes": self.memory,
            "busy": self.busy, "alive": self.alive, "victims": victims,
        })
    }

    /// A line of the table; `heading` names its columns.
    pub(crate) fn line(&self, floor_ms: f64) -> String {
        let codes: Vec<_> =
            self.goaways.iter().map(|(code, count)| format!("{code}:{count}")).collect();
        let mut line = format!(
            "{:24}{:>6}{:>6}{:>10}{:>7} {:14}{:>6}{:>6}{:>6.0}",
            self.attack,
            self.connections,
            self.ended,
            self.frames,
            self.in_hand.1,
            codes.join(" "),
            self.in_hand.0,
            self.memory >> 20,
            100.0 * self.busy,
        );
        for Suffering { calm, flood, .. } in &self.victims {
            let (calm, p99) = (calm.percentile(99.0), flood.percentile(99.0));
            line.push_str(&format!("{:>8.2} {calm:>6.2} >{p99:>7.2}", flood.success()));
        }
        let faults = self.faults(floor_ms);
        line.push_str(if faults.is_empty() { "  pass" } else { "  FAIL" });
        line
    }
}

/// The names of the columns.
pub(crate) fn heading() -> String {
    let mut line = format!(
        "{:24}{:>6}{:>6}{:>10}{:>7} {:14}{:>6}{:>6}{:>6}",
        "attack", "conns", "ended", "frames", "origin", "goaway:count", "hand", "MiB+", "cpu%"
    );
    for protocol in Protocol::ALL {
        line.push_str(&format!("{:>24}", format!("{} % p99 calm > ms", protocol.name())));
    }
    line
}
