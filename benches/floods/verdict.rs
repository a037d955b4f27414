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

/// One victim in all rounds of an attack.
pub(crate) struct Suffering {
    pub(crate) protocol: Protocol,
    pub(crate) rounds: Vec<Round>,
}

/// One victim, before and during an attack.
pub(crate) struct Round {
    pub(crate) calm: Outcome,
    /// While the same attackers attack somebody else: what the machine makes of it.
    pub(crate) decoy: Option<Outcome>,
    pub(crate) flood: Outcome,
}

impl Suffering {
    /// Percent of the exchanges beside the attack that went well, in the worst round.
    fn success(&self) -> f64 {
        self.rounds.iter().map(|round| round.flood.success()).fold(f64::INFINITY, f64::min)
    }

    /// Why the last exchange failed that did.
    fn last_failure(&self) -> Option<&str> {
        self.rounds.iter().rev().find_map(|round| round.flood.last_failure.as_deref())
    }

    /// The round whose 99th percentile grew by the median factor, of two in the middle the worse:
    /// what a machine's other users do to some rounds is not the attack's.
    fn median(&self) -> Option<&Round> {
        let mut rounds: Vec<_> = self.rounds.iter().collect();
        rounds.sort_by(|one, other| one.slowdown().total_cmp(&other.slowdown()));
        rounds.get(rounds.len() / 2).copied()
    }

    /// The 99th percentiles in milliseconds, calm and beside the attack, of the median round.
    fn slowest(&self) -> (f64, f64) {
        self.median().map_or((f64::NAN, f64::NAN), Round::slowest)
    }

    /// Sums over all rounds, latencies of the median round, the slowdown of each.
    fn json(&self) -> Value {
        let sum = |count: fn(&Round) -> u64| self.rounds.iter().map(count).sum::<u64>();
        let of = |outcome: fn(&Round) -> Option<&Outcome>, percent| {
            self.median().and_then(outcome).map_or(f64::NAN, |outcome| outcome.percentile(percent))
        };
        let slowdowns: Vec<_> = self.rounds.iter().map(Round::slowdown).collect();
        json!({
            "exchanges": sum(|round| round.flood.micros.len() as u64),
            "failures": sum(|round| round.flood.failures),
            "calm_failures": sum(|round| round.calm.failures),
            "success_percent": self.success(), "last_failure": self.last_failure(),
            "slowdowns": slowdowns,
            "calm_p50_ms": of(|round| Some(&round.calm), 50.0),
            "calm_p99_ms": of(|round| Some(&round.calm), 99.0),
            "decoy_p99_ms": of(|round| round.decoy.as_ref(), 99.0),
            "p50_ms": of(|round| Some(&round.flood), 50.0),
            "p99_ms": of(|round| Some(&round.flood), 99.0),
            "max_ms": of(|round| Some(&round.flood), 100.0),
        })
    }
}

impl Round {
    fn slowest(&self) -> (f64, f64) {
        (self.calm.percentile(99.0), self.flood.percentile(99.0))
    }

    fn slowdown(&self) -> f64 {
        let (calm, flood) = self.slowest();
        flood / calm
    }
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
    /// Takes in another round of the same attack.
    pub(crate) fn add(&mut self, other: Self) {
        let whole = self.seconds + other.seconds;
        self.busy = (self.busy * self.seconds + other.busy * other.seconds) / whole;
        self.seconds = whole;
        self.connections += other.connections;
        self.refused += other.refused;
        self.ended += other.ended;
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.answers += other.answers;
        self.resets += other.resets;
        for (code, count) in other.goaways {
            *self.goaways.entry(code).or_default() += count;
        }
        self.in_hand = (self.in_hand.0.max(other.in_hand.0), self.in_hand.1 + other.in_hand.1);
        self.memory = self.memory.max(other.memory);
        self.alive = other.alive;
        for (victim, other) in self.victims.iter_mut().zip(other.victims) {
            victim.rounds.extend(other.rounds);
        }
    }

    /// What is too much, in words; none: it passed.
    pub(crate) fn faults(&self, floor_ms: f64) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.alive {
            faults.push("the proxy is gone".to_owned());
        }
        for victim in &self.victims {
            let (name, success) = (victim.protocol.name(), victim.success());
            let (calm, flood) = victim.slowest();
            if success < SUCCESS || victim.rounds.iter().any(|round| round.flood.micros.is_empty())
            {
                let why = victim.last_failure().unwrap_or("no exchange");
                faults.push(format!("{name}: {success:.2} % went well ({why})"));
            }
            if flood >= (SLOWER * calm).max(floor_ms) || calm.is_nan() {
                faults.push(format!("{name}: p99 {flood:.2} ms, calm {calm:.2} ms"));
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
            .map(|victim| (victim.protocol.name().to_owned(), victim.json()))
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
        for victim in &self.victims {
            let (calm, flood) = victim.slowest();
            line.push_str(&format!("{:>8.2} {calm:>6.2} >{flood:>7.2}", victim.success()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred exchanges of so many milliseconds.
    fn exchanges(milliseconds: u64) -> Outcome {
        Outcome { micros: vec![milliseconds * 1_000; 100], ..Outcome::default() }
    }

    fn round(calm: u64, decoy: Option<u64>, flood: u64) -> Round {
        let (calm, flood) = (exchanges(calm), exchanges(flood));
        Round { calm, decoy: decoy.map(exchanges), flood }
    }

    fn result(rounds: Vec<Round>) -> Result {
        Result {
            attack: "ping".to_owned(),
            seconds: 1.0,
            connections: 1,
            refused: 0,
            ended: 1,
            frames: 1,
            bytes: 1,
            answers: 0,
            resets: 0,
            goaways: BTreeMap::new(),
            in_hand: (0, 0),
            memory: 0,
            busy: 0.0,
            alive: true,
            victims: vec![Suffering { protocol: Protocol::Grpc, rounds }],
        }
    }

    #[test]
    fn twice_the_calm_is_too_much_whatever_a_decoy_costs() {
        assert!(result(vec![round(10, None, 19)]).faults(0.0).is_empty());
        for decoy in [None, Some(40)] {
            let faults = result(vec![round(10, decoy, 20)]).faults(0.0);
            assert_eq!(faults, ["grpc: p99 20.00 ms, calm 10.00 ms"]);
        }
        assert!(result(vec![round(10, None, 20)]).faults(25.0).is_empty(), "below the floor");
    }

    #[test]
    fn of_several_rounds_the_median_slowdown_counts_and_the_worst_of_all_else() {
        let mut all = result(vec![round(10, None, 60)]);
        for (calm, flood) in [(10, 11), (20, 30)] {
            all.add(result(vec![round(calm, None, flood)]));
        }
        assert!(all.faults(0.0).is_empty(), "1.5 of 1.1, 1.5 and 6");
        all.add(result(vec![round(10, None, 21)]));
        assert_eq!(all.faults(0.0), ["grpc: p99 21.00 ms, calm 10.00 ms"], "two in the middle");
        let mut lost = result(vec![round(10, None, 10)]);
        lost.memory = MEMORY + (1 << 20);
        lost.in_hand = (IN_HAND + 1, 500);
        lost.victims[0].rounds[0].flood.failures = 1;
        lost.add(result(vec![round(10, None, 10)]));
        let faults = lost.faults(0.0);
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
