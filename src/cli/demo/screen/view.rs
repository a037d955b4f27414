//! What one picture shows, collected before it is drawn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::places::{COUNT, Each, PLACES};
use super::super::sample::{SampleClient, client_of};
use super::super::stage::Stage;
use super::super::tally::{Pace, Tally};
use super::super::world::states;
use crate::failover::{Cause, Event};
use crate::model::{RegionState, SignalKind};

/// Lines that the diary keeps.
const DIARY_LINES: usize = 100;
/// Steps of the history that a region shows at most.
const HISTORY: usize = 120;
/// Where the clients of the lines to try are.
const TRIED: (&str, &str) = ("DE", "Germany");

/// A line of the diary.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) at: Duration,
    pub(super) text: String,
    /// What the line is about decides its colour.
    pub(super) mood: Mood,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Somebody pressed a key.
    Hand,
    Good,
    Doubt,
    Bad,
}

/// What has happened, by hand and by Rhumb.
#[derive(Debug)]
pub(super) struct Diary {
    start: Instant,
    notes: VecDeque<Note>,
    last_event: u64,
    awaited_reload: Option<Instant>,
    last_reload: Option<(Instant, u64)>,
}

impl Diary {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            notes: VecDeque::new(),
            last_event: 0,
            awaited_reload: None,
            last_reload: None,
        }
    }

    /// Somebody did something.
    pub(super) fn note(&mut self, text: String) {
        self.add(Note { at: self.start.elapsed(), text, mood: Mood::Hand });
    }

    /// A change of the configuration was written; its being taken up is news.
    pub(super) fn expect_reload(&mut self, at: Instant) {
        self.awaited_reload = Some(at);
    }

    /// Takes in Rhumb's events that are new.
    pub(super) fn take_events(&mut self, epoch: Instant, events: &[Event]) {
        for event in events.iter().filter(|event| event.id > self.last_event) {
            let at = (epoch + event.at).saturating_duration_since(self.start);
            let (region, from, to) = (&event.region, event.from.as_str(), event.to.as_str());
            let text = format!("{region} {from} -> {to}: {}", why(&event.cause));
            let mood = match event.to {
                RegionState::Healthy => Mood::Good,
                RegionState::Down => Mood::Bad,
                _ => Mood::Doubt,
            };
            self.notes.push_back(Note { at, text, mood });
        }
        self.last_event = events.last().map_or(self.last_event, |event| event.id);
        self.sort();
    }

    fn take_reload(&mut self, reloaded: Option<(Instant, u64)>) {
        let Some((at, generation)) = reloaded.filter(|seen| self.last_reload != Some(*seen)) else {
            return;
        };
        self.last_reload = reloaded;
        let text = match self.awaited_reload.take() {
            Some(written) => {
                let took = at.saturating_duration_since(written).as_millis();
                format!("configuration taken up after {took} ms, generation {generation}")
            }
            None => format!("configuration edited by hand: taken up, generation {generation}"),
        };
        self.add(Note { at: at.saturating_duration_since(self.start), text, mood: Mood::Good });
    }

    fn add(&mut self, note: Note) {
        self.notes.push_back(note);
        self.sort();
    }

    fn sort(&mut self) {
        self.notes.make_contiguous().sort_by_key(|note| note.at);
        while self.notes.len() > DIARY_LINES {
            self.notes.pop_front();
        }
    }
}

/// A cause in few words: on this screen each region has one endpoint, which need not be named.
fn why(cause: &Cause) -> String {
    match cause {
        Cause::ChecksFailed { failures, last, signal, .. } => {
            let prompt = signal.map_or("the interval", SignalKind::as_str);
            format!("{failures} failed checks in a row ({last}), prompted by {prompt}")
        }
        Cause::ChecksPassed { successes, .. } => format!("{successes} passed checks in a row"),
        other => other.to_string(),
    }
}

/// One region.
#[derive(Clone, Debug)]
pub(super) struct RegionView {
    pub(super) id: &'static str,
    pub(super) location: &'static str,
    pub(super) state: RegionState,
    pub(super) bias: i8,
    pub(super) pid: Option<u32>,
    pub(super) pace: Pace,
    pub(super) answered: u64,
    pub(super) history: Vec<u64>,
}

/// The clients of one country.
#[derive(Clone, Debug)]
pub(super) struct CountryView {
    pub(super) code: String,
    pub(super) name: &'static str,
    pub(super) clients: usize,
    pub(super) requests: u64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// The region that answered last.
    pub(super) region: Option<usize>,
    /// The nearest region, without bias.
    pub(super) home: usize,
}

/// Everything that a picture shows.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) elapsed: Duration,
    pub(super) generation: u64,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) latest_failure: Option<String>,
    pub(super) pace: Pace,
    pub(super) regions: Each<RegionView>,
    /// Those with the most clients first.
    pub(super) countries: Vec<CountryView>,
    /// The latest last.
    pub(super) notes: Vec<Note>,
    /// What to try by hand, and what it shows.
    pub(super) tries: Vec<(&'static str, String)>,
}

impl View {
    pub(super) fn of(stage: &mut Stage, diary: &mut Diary) -> Self {
        let pids: Each<Option<u32>> = std::array::from_fn(|region| stage.pid(region));
        diary.take_reload(stage.notes.read().reloaded);
        let snapshot = stage.shared.live.load();
        let states = states(&snapshot);
        let biases = stage.shared.world().biases();
        let tries = tries(stage);
        let mut tally = stage.shared.tally();
        tally.advance(Instant::now());
        let mut regions = PLACES.each_ref().map(|place| RegionView {
            id: place.id,
            location: place.location,
            state: RegionState::Healthy,
            bias: 0,
            pid: None,
            pace: Pace::default(),
            answered: 0,
            history: Vec::new(),
        });
        let facts = states.into_iter().zip(biases).zip(pids);
        for (i, (region, ((state, bias), pid))) in regions.iter_mut().zip(facts).enumerate() {
            (region.state, region.bias, region.pid) = (state, bias, pid);
            region.pace = tally.pace(Some(i));
            region.answered = tally.answered(i);
            region.history = tally.history(i, HISTORY);
        }
        Self {
            elapsed: diary.start.elapsed(),
            generation: snapshot.table.generation,
            requests: tally.requests(),
            failed: tally.failed(),
            latest_failure: tally.failures.back().map(|(_, _, failure)| failure.to_string()),
            pace: tally.pace(None),
            regions,
            countries: countries(&stage.shared.clients, &tally),
            notes: diary.notes.iter().cloned().collect(),
            tries,
        }
    }
}

fn countries(clients: &[SampleClient], tally: &Tally) -> Vec<CountryView> {
    let mut countries = std::collections::BTreeMap::new();
    for client in clients {
        let country = countries.entry(client.country).or_insert_with(|| {
            let counted = tally.countries.get(&client.country).copied().unwrap_or_default();
            let [home, ..] = client.ranking([0; COUNT]);
            CountryView {
                code: client.country.to_string(),
                name: client.country_name,
                clients: 0,
                requests: counted.requests,
                latitude: client.place.latitude,
                longitude: client.place.longitude,
                region: counted.latest,
                home,
            }
        });
        country.clients += 1;
    }
    let mut countries: Vec<_> = countries.into_values().collect();
    // By something that does not change, so that lines stay where they are.
    countries.sort_by_key(|country| std::cmp::Reverse(country.clients));
    countries
}

fn tries(stage: &Stage) -> Vec<(&'static str, String)> {
    let (code, _) = TRIED;
    let address = client_of(&stage.shared.clients, code);
    let address = address.map_or_else(|| "192.0.2.1".to_owned(), |address| address.to_string());
    let (proxy, admin) = (stage.shared.proxy, stage.admin());
    vec![
        (
            "ask as a client in Germany",
            format!("curl -H 'X-Forwarded-For: {address}' http://{proxy}/"),
        ),
        (
            "why it goes there",
            format!("curl -d '{{\"peer\":\"{address}\"}}' http://{admin}/api/v1/route"),
        ),
        ("what is counted", format!("curl http://{admin}/metrics")),
        ("edit and watch", stage.path().display().to_string()),
    ]
}
