//! Endpoints: from what the configuration lists to addresses, the numbers that stand for them, and the
//! choice of one inside a region.
//!
//! Names are looked up elsewhere; load is an argument; connections and their counts belong to the data plane.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::quality::FixedState;

use super::draws::{Purpose, Stream};
use super::plan::{EndpointPlan, Plan, RegionPlan};
use crate::config::{Endpoint, EndpointUrl, Host, Transport};
use crate::model::limits::ENDPOINTS_PER_REGION;
use crate::model::{EndpointId, Places};

/// What tells endpoints apart: what they are called, where they are, and how they are spoken to.
type Identity = (EndpointUrl, Option<SocketAddr>, Arc<Transport>);

/// Gives each address its number, and the same number again at the next compile. An address that is
/// spoken to in two ways, or called by two names, has two.
#[derive(Clone, Debug, Default)]
pub struct EndpointIds {
    ids: HashMap<Identity, EndpointId, FixedState>,
    free: Vec<EndpointId>,
    next: u32,
}

impl EndpointIds {
    /// The number of an endpoint, a new one if it has none.
    fn intern(
        &mut self,
        url: &EndpointUrl,
        address: Option<SocketAddr>,
        transport: &Arc<Transport>,
    ) -> EndpointId {
        let identity = (url.clone(), address, Arc::clone(transport));
        if let Some(id) = self.ids.get(&identity) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            let id = EndpointId(self.next);
            self.next += 1;
            id
        });
        self.ids.insert(identity, id);
        id
    }

    /// The endpoints of a region: what the configuration lists, with as many for each name as `places`
    /// knows addresses of it. A name without any stays one endpoint that cannot be connected to.
    pub(super) fn place(&mut self, listed: &[Endpoint], places: &Places) -> Box<[EndpointPlan]> {
        let mut all = Vec::with_capacity(listed.len().min(ENDPOINTS_PER_REGION));
        for (number, endpoint) in listed.iter().take(ENDPOINTS_PER_REGION).enumerate() {
            // Every other one that is listed has a place, however many addresses a name has.
            let others = listed.len().saturating_sub(number + 1);
            let room = ENDPOINTS_PER_REGION.saturating_sub(all.len() + others).max(1);
            self.place_one(endpoint, places, room, &mut all);
        }
        all.truncate(ENDPOINTS_PER_REGION);
        all.into()
    }

    fn place_one(
        &mut self,
        endpoint: &Endpoint,
        places: &Places,
        room: usize,
        all: &mut Vec<EndpointPlan>,
    ) {
        let Endpoint { url, weight, transport, srv: _ } = endpoint;
        let mut add = |url: EndpointUrl, address, twin, weight| {
            let (id, transport) = (self.intern(&url, address, transport), Arc::clone(transport));
            all.push(EndpointPlan { id, url, address, twin, transport, weight });
        };
        let Some(question) = endpoint.question() else {
            let address = match url.host {
                Host::Address(address) => Some(SocketAddr::new(address, url.port)),
                Host::Name(_) => None,
            };
            return add(url.clone(), address, None, *weight);
        };
        let known = places.of(&question);
        if known.is_empty() {
            return add(url.clone(), None, None, *weight);
        }
        for place in known.iter().take(room) {
            let address = place.socket(url.port);
            let twin = place.twin.map(|twin| SocketAddr::new(twin, address.port()));
            let url = EndpointUrl { port: address.port(), ..url.clone() };
            add(url, Some(address), twin, weight.saturating_mul(place.weight));
        }
    }

    /// Gives up the numbers that none of these plans uses, so that they can be given again. Name
    /// every plan that a worker may still read.
    pub fn retain<'a>(&mut self, plans: impl IntoIterator<Item = &'a Plan>) {
        let mut used = vec![false; self.bound()];
        for endpoint in plans.into_iter().flat_map(Plan::endpoints) {
            if let Some(slot) = used.get_mut(endpoint.id.index()) {
                *slot = true;
            }
        }
        let before = self.free.len();
        self.ids.retain(|_, id| {
            let keep = used.get(id.index()).copied().unwrap_or(false);
            if !keep {
                self.free.push(*id);
            }
            keep
        });
        // Lowest first, whatever the order of the map.
        if self.free.len() > before {
            self.free.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// One more than the largest number ever given.
    pub fn bound(&self) -> usize {
        self.next as usize
    }
}

/// The index of the endpoint to use, or `None` when the region has nothing more to try.
///
/// Endpoints in `tried` are out. Those not in `up` are out too, unless no endpoint of the region
/// is up. Two of the rest are drawn by weight, and the one with fewer requests outstanding in
/// proportion to its weight is taken, at a tie the first drawn: an idle region is used by weight,
/// a busy one by load (M. Mitzenmacher, "The power of two choices in randomized load balancing",
/// 2001).
pub fn choose_endpoint(
    region: &RegionPlan,
    up: u128,
    tried: u128,
    entropy: u64,
    load: impl Fn(EndpointId) -> u32,
) -> Option<usize> {
    let all = match region.endpoints.len() {
        count @ 0..=127 => (1 << count) - 1,
        _ => u128::MAX,
    };
    let up = if up & all == 0 { all } else { up & all };
    let candidates = up & !tried;
    if candidates.count_ones() <= 1 {
        return (candidates != 0).then(|| candidates.trailing_zeros() as usize);
    }
    let stream = Stream::new(entropy, Purpose::Endpoint);
    let first = draw(region, candidates, stream, 0)?;
    let second = draw(region, candidates & !(1 << first), stream, 1)?;
    let (a, b) = (region.endpoints.get(first)?, region.endpoints.get(second)?);
    let relative_a = u64::from(load(a.id)) * u64::from(b.weight);
    let relative_b = u64::from(load(b.id)) * u64::from(a.weight);
    Some(if relative_b < relative_a { second } else { first })
}

/// One draw by weight among the endpoints of a set that is not empty.
fn draw(region: &RegionPlan, set: u128, stream: Stream, n: u64) -> Option<usize> {
    let members = || region.endpoints.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
    let total: u64 = members().map(|(_, endpoint)| u64::from(endpoint.weight)).sum();
    let mut point = stream.below(n, total);
    for (index, endpoint) in members() {
        match point.checked_sub(u64::from(endpoint.weight)) {
            Some(rest) => point = rest,
            None => return Some(index),
        }
    }
    // Only weights of zero get here.
    members().next().map(|(index, _)| index)
}
