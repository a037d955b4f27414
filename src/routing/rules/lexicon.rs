//! The lexicon: every value that some rule asks for, and how to find those that a request shows.
//!
//! Each text of a request is looked up once, however many rules there are; a kind of value that no
//! rule asks for costs nothing. The hash maps have a fixed state: their keys are the
//! configuration's, so that a client cannot make them collide, and what a client sends only costs
//! its own probe. What follows from the values is not known here.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use http::{HeaderMap, HeaderName, Method};
use ipnet::IpNet;

use super::clues::{Clue, Clues, Kind};
use super::pairs::{self, Room};
use super::target::{Hosts, Paths};
use super::text::{Text, Texts};
use crate::config::HostPattern;
use crate::model::{Continent, Country, Subdivision, TenantId};
use crate::routing::continents::{ContinentOf, Continents};
use crate::routing::facts::Facts;
use crate::routing::networks::Networks;

/// A value that a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value<'r> {
    Method(&'r Method),
    Country(Country),
    Continent(Continent),
    Subdivision(Country, Subdivision),
    /// Without bits behind the prefix.
    Network(IpNet),
    Asn(u32),
    Tenant(&'r TenantId),
    Host(&'r HostPattern),
    /// Without a slash at the end.
    Path(&'r str),
    Header(&'r HeaderName, Text<'r>),
    Query(&'r str, Text<'r>),
    Cookie(&'r str, Text<'r>),
}

/// All values, numbered.
#[derive(Debug, Default)]
pub(super) struct Values<'r> {
    numbers: HashMap<Value<'r>, Clue, FixedState>,
}

impl<'r> Values<'r> {
    /// The number of a value, a new one if it has none.
    pub(super) fn clue(&mut self, value: Value<'r>) -> Clue {
        let next = Clue(self.numbers.len() as u32);
        *self.numbers.entry(value).or_insert(next)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

type Index<K> = HashMap<K, Clue, FixedState>;

/// Where to look up what a request shows.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    methods: Index<Method>,
    countries: Index<Country>,
    by_continent: [Option<Clue>; Continent::ALL.len()],
    /// `None`: no rule asks for a continent.
    pub(super) continents: Option<Continents>,
    subdivisions: Index<(Country, Subdivision)>,
    v4: Networks<u32>,
    v6: Networks<u128>,
    asns: Index<u32>,
    tenants: Index<TenantId>,
    hosts: Hosts,
    paths: Paths,
    headers: HashMap<HeaderName, Texts, FixedState>,
    queries: HashMap<Box<[u8]>, Texts, FixedState>,
    cookies: HashMap<Box<[u8]>, Texts, FixedState>,
}

impl Lexicon {
    pub(super) fn new(values: &Values<'_>, continent_of: ContinentOf) -> Self {
        let mut built = Self::default();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let (mut headers, mut queries, mut cookies) =
            (Drafts::default(), Drafts::default(), Drafts::default());
        for (value, clue) in &values.numbers {
            let clue = *clue;
            match *value {
                Value::Method(method) => _ = built.methods.insert(method.clone(), clue),
                Value::Country(country) => _ = built.countries.insert(country, clue),
                Value::Continent(continent) => {
                    built.continents.get_or_insert_with(|| Continents::new(continent_of));
                    if let Some(slot) = built.by_continent.get_mut(continent as usize) {
                        *slot = Some(clue);
                    }
                }
                Value::Subdivision(country, part) => {
                    built.subdivisions.insert((country, part), clue);
                }
                Value::Network(IpNet::V4(network)) => {
                    v4.push((network.addr().to_bits(), network.prefix_len(), clue.0..clue.0));
                }
                Value::Network(IpNet::V6(network)) => {
                    v6.push((network.addr().to_bits(), network.prefix_len(), clue.0..clue.0));
                }
                Value::Asn(asn) => _ = built.asns.insert(asn, clue),
                Value::Tenant(tenant) => _ = built.tenants.insert(tenant.clone(), clue),
                Value::Host(pattern) => built.hosts.add(pattern, clue),
                Value::Path(prefix) => built.paths.add(prefix, clue),
                Value::Header(name, text) => headers.add(name.clone(), text, clue),
                Value::Query(name, text) => queries.add(name.as_bytes().into(), text, clue),
                Value::Cookie(name, text) => cookies.add(name.as_bytes().into(), text, clue),
            }
        }
        v4.sort_unstable_by_key(|(first, length, _)| (*first, *length));
        v6.sort_unstable_by_key(|(first, length, _)| (*first, *length));
        built.v4 = Networks::new(v4);
        built.v6 = Networks::new(v6);
        built.headers = headers.finish();
        built.queries = queries.finish();
        built.cookies = cookies.finish();
        built
    }

    /// Notes the clues that a request shows.
    pub(super) fn read(&self, facts: &Facts<'_>, clues: &mut Clues) {
        note(clues, Kind::Method, self.methods.get(facts.method));
        self.read_place(facts, clues);
        note(clues, Kind::Asn, facts.location.asn.and_then(|asn| self.asns.get(&asn)));
        note(clues, Kind::Tenant, facts.tenant.and_then(|tenant| self.tenants.get(tenant)));
        self.hosts.read(facts.host, clues);
        clues.close(Kind::Host);
        self.paths.read(facts.path, clues);
        clues.close(Kind::Path);
        self.read_headers(facts.headers, clues);
        clues.close(Kind::Header);
        if !self.queries.is_empty() && !facts.query.is_empty() {
            self.read_query(facts.query, clues);
        }
        clues.close(Kind::Query);
        if !self.cookies.is_empty() {
            for (name, value) in pairs::of_cookies(facts.headers) {
                if let Some(texts) = self.cookies.get(name) {
                    texts.read(value, clues);
                }
            }
        }
        clues.close(Kind::Cookie);
    }

    fn read_place(&self, facts: &Facts<'_>, clues: &mut Clues) {
        let country = facts.location.country;
        note(clues, Kind::Country, country.and_then(|country| self.countries.get(&country)));
        let continent =
            self.continents.as_ref().zip(country).and_then(|(continents, at)| continents.of(at));
        let continent = continent.and_then(|at| self.by_continent.get(at as usize)?.as_ref());
        note(clues, Kind::Continent, continent);
        let part = country.zip(facts.location.subdivision);
        note(clues, Kind::Subdivision, part.and_then(|part| self.subdivisions.get(&part)));
        match facts.client.address.to_canonical() {
            IpAddr::V4(address) => {
                let around = self.v4.enclosing(address.to_bits());
                around.for_each(|network| clues.note(Clue(network.rows.start)));
            }
            IpAddr::V6(address) => {
                let around = self.v6.enclosing(address.to_bits());
                around.for_each(|network| clues.note(Clue(network.rows.start)));
            }
        }
        clues.close(Kind::Network);
    }

    fn read_headers(&self, headers: &HeaderMap, clues: &mut Clues) {
        // Whichever is less: the headers of the rules, or those of the request.
        if self.headers.len() <= headers.keys_len() {
            for (name, texts) in &self.headers {
                for value in headers.get_all(name) {
                    texts.read(value.as_bytes(), clues);
                }
            }
        } else {
            for (name, value) in headers {
                if let Some(texts) = self.headers.get(name) {
                    texts.read(value.as_bytes(), clues);
                }
            }
        }
    }

    /// Apart, because it needs room on the stack that nothing else needs.
    #[inline(never)]
    fn read_query(&self, query: &str, clues: &mut Clues) {
        let mut room = Room::new();
        for (name, value) in pairs::of_query(query) {
            let name = pairs::decoded(name, &mut room);
            let Some(texts) = name.and_then(|name| self.queries.get(name)) else { continue };
            if let Some(value) = pairs::decoded(value, &mut room) {
                texts.read(value, clues);
            }
        }
    }
}

/// Notes the only clue of a kind.
fn note(clues: &mut Clues, kind: Kind, clue: Option<&Clue>) {
    if let Some(clue) = clue {
        clues.note(*clue);
    }
    clues.close(kind);
}

/// Texts by name, on the way to being [`Texts`].
#[derive(Debug)]
struct Drafts<'r, N>(HashMap<N, Vec<(Text<'r>, Clue)>, FixedState>);

impl<N> Default for Drafts<'_, N> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<'r, N: Eq + Hash> Drafts<'r, N> {
    fn add(&mut self, name: N, text: Text<'r>, clue: Clue) {
        self.0.entry(name).or_default().push((text, clue));
    }

    fn finish(self) -> HashMap<N, Texts, FixedState> {
        self.0.into_iter().map(|(name, texts)| (name, Texts::new(&texts))).collect()
    }
}
