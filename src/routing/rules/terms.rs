//! What a rule asks for, as clues: one of these countries, that header, one of these networks.
//!
//! Conditions that no list of values can settle are `checks`.

use ipnet::{IpNet, Ipv4Net};

use super::checks::CheckIndex;
use super::clues::{Clue, Clues, Kind};
use super::lexicon::{Value, Values};
use super::text::Text;
use crate::config::Rule;

/// What has to hold for a rule.
#[derive(Debug)]
pub(super) struct Terms {
    /// All of these.
    pub(super) asked: Box<[AnyOf]>,
    /// And all of these.
    pub(super) checks: Box<[CheckIndex]>,
}

/// One of these clues has to be shown.
#[derive(Debug)]
pub(super) struct AnyOf {
    pub(super) kind: Kind,
    /// Ascending, each once; not empty.
    pub(super) clues: Box<[Clue]>,
}

impl AnyOf {
    fn new(kind: Kind, clues: impl IntoIterator<Item = Clue>) -> Self {
        let mut clues: Vec<_> = clues.into_iter().collect();
        clues.sort_unstable();
        clues.dedup();
        Self { kind, clues: clues.into() }
    }

    /// Whether a request with these clues shows one of them.
    #[inline]
    pub(super) fn holds(&self, clues: &Clues) -> bool {
        let shown = clues.of(self.kind);
        match &*self.clues {
            [only] => shown.contains(only),
            any => shown.iter().any(|clue| any.binary_search(clue).is_ok()),
        }
    }
}

/// The conditions of a rule that are settled by clues. Of a regular expression, that its header,
/// parameter or cookie is there.
pub(super) fn asked<'r>(rule: &'r Rule, values: &mut Values<'r>) -> Box<[AnyOf]> {
    let mut all = Vec::new();
    let mut list = |kind, clues: Vec<Clue>| {
        if !clues.is_empty() {
            all.push(AnyOf::new(kind, clues));
        }
    };
    macro_rules! any_of {
        ($kind:ident, $list:expr, $value:expr) => {
            list(Kind::$kind, $list.iter().map(|one| values.clue($value(one))).collect());
        };
    }
    any_of!(Method, rule.methods, Value::Method);
    any_of!(Country, rule.source_countries, |one: &_| Value::Country(*one));
    any_of!(Continent, rule.source_continents, |one: &_| Value::Continent(*one));
    any_of!(Subdivision, rule.source_subdivisions, |one: &(_, _)| {
        Value::Subdivision(one.0, one.1)
    });
    any_of!(Network, rule.source_cidrs, |one: &_| Value::Network(canonical(*one)));
    any_of!(Asn, rule.source_asns, |one: &_| Value::Asn(*one));
    any_of!(Tenant, rule.tenants, Value::Tenant);
    any_of!(Host, rule.hosts, Value::Host);
    any_of!(Path, rule.path_prefixes, |one: &'r String| { Value::Path(one.trim_end_matches('/')) });
    for condition in &rule.header_conditions {
        let value = Value::Header(&condition.name, Text::of(&condition.value));
        all.push(AnyOf::new(Kind::Header, [values.clue(value)]));
    }
    for condition in &rule.query_conditions {
        let value = Value::Query(&condition.name, Text::of(&condition.value));
        all.push(AnyOf::new(Kind::Query, [values.clue(value)]));
    }
    for condition in &rule.cookie_conditions {
        let value = Value::Cookie(&condition.name, Text::of(&condition.value));
        all.push(AnyOf::new(Kind::Cookie, [values.clue(value)]));
    }
    all.into()
}

/// The network without bits behind its prefix, and as IPv4 if it lies in `::ffff:0:0/96`.
pub(super) fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network.trunc() };
    let four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    let four = four.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    four.map_or(network, IpNet::V4).trunc()
}
