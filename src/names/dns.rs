//! One lookup: what the file of hosts says, or else what DNS servers do.
//!
//! The library asks the servers: over UDP, over TCP where an answer is cut, again where one is lost, and
//! without believing answers that belong to no question of its own. Not here: when to ask, and what an
//! answer is worth.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::answer::{Family, Host, Reply, Trouble};
use crate::config::Names;
use crate::model::limits::{
    ALIASES_PER_NAME, NAME_FAMILY_DELAY, NAME_FILE_TTL, TARGETS_PER_SERVICE,
};
use crate::model::{Question, Sought};

/// Servers, and the file of hosts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
    hosts: Arc<Hosts>,
    timeout: Duration,
}

impl Dns {
    /// Servers as configured, or those of the system.
    pub(super) fn new(settings: &Names, hosts: Arc<Hosts>) -> Result<Self, NetError> {
        let runtime = TokioRuntimeProvider::default();
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder(runtime)?
        } else {
            let servers = settings.servers.iter().map(server).collect();
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), runtime)
        };
        tune(builder.options_mut(), settings);
        Ok(Self { resolver: builder.build()?, hosts, timeout: settings.timeout })
    }

    /// Asks, within the configured time.
    pub(super) async fn look_up(self, question: Question) -> Result<Reply, Trouble> {
        let deadline = Instant::now() + self.timeout;
        match question.sought {
            Sought::Addresses => {
                let (v6, v4) = self.addresses(&question.name, deadline).await;
                let host = Host { name: question.name, priority: 0, weight: 1, port: None, v6, v4 };
                Ok(Reply { hosts: vec![host], ttl: Duration::MAX })
            }
            Sought::Service => self.service(&question.name, deadline).await,
        }
    }

    async fn service(self, name: &str, deadline: Instant) -> Result<Reply, Trouble> {
        let asked = tokio::time::timeout_at(deadline, self.resolver.srv_lookup(name)).await;
        let found = asked.map_err(|_| Trouble::Timeout)?.map_err(|error| trouble(&error))?;
        let mut ttl = Duration::MAX;
        let mut targets = Vec::new();
        for record in about(&found) {
            ttl = ttl.min(Duration::from_secs(record.ttl.into()));
            if let RData::SRV(srv) = &record.data
                // The root: the service is decidedly not offered.
                && !srv.target.is_root()
                && srv.port != 0
            {
                targets.push(srv.clone());
            }
        }
        targets.sort_by_cached_key(|srv| (srv.priority, srv.target.to_string(), srv.port));
        targets.truncate(TARGETS_PER_SERVICE);
        // One host may offer the service at several ports.
        let mut by_host = BTreeMap::<Arc<str>, Vec<SRV>>::new();
        for srv in targets {
            by_host.entry(srv.target.to_lowercase().to_string().into()).or_default().push(srv);
        }
        let mut lookups = JoinSet::new();
        for (name, offers) in by_host {
            let dns = self.clone();
            lookups.spawn(async move {
                let (v6, v4) = dns.addresses(&name, deadline).await;
                let host = |SRV { priority, weight, port, .. }| {
                    let (name, v6, v4) = (Arc::clone(&name), v6.clone(), v4.clone());
                    Host { name, priority, weight, port: Some(port), v6, v4 }
                };
                offers.into_iter().map(host).collect::<Vec<_>>()
            });
        }
        let hosts = lookups.join_all().await.concat();
        if hosts.is_empty() { Err(Trouble::Empty) } else { Ok(Reply { hosts, ttl }) }
    }

    /// The addresses of a host, IPv6 and IPv4. Once one family has come, the other one has a moment.
    async fn addresses(&self, name: &str, deadline: Instant) -> (Family, Family) {
        if let Some(found) = self.in_file(name) {
            return found;
        }
        let mut six = pin!(self.family(name, RecordType::AAAA));
        let mut four = pin!(self.family(name, RecordType::A));
        let (mut v6, mut v4) = (None, None);
        let mut patience = pin!(sleep_until(deadline));
        while v6.is_none() || v4.is_none() {
            let found = tokio::select! {
                found = &mut six, if v6.is_none() => v6.insert(found),
                found = &mut four, if v4.is_none() => v4.insert(found),
                () = &mut patience => break,
            };
            if matches!(found, Family::Found(..)) {
                let soon = Instant::now() + NAME_FAMILY_DELAY;
                patience.as_mut().reset(deadline.min(soon));
            }
        }
        let late = || Family::Failed(Trouble::Timeout);
        reachable(v6.unwrap_or_else(late), v4.unwrap_or_else(late))
    }

    async fn family(&self, name: &str, kind: RecordType) -> Family {
        let found = match self.resolver.lookup(name, kind).await {
            Ok(found) => found,
            Err(error) => {
                return match trouble(&error) {
                    Trouble::Empty => Family::Nothing,
                    trouble => Family::Failed(trouble),
                };
            }
        };
        let (mut addresses, mut ttl) = (Vec::new(), u32::MAX);
        for record in about(&found) {
            // Aliases on the way count: whoever changes one of them wants to be followed.
            ttl = ttl.min(record.ttl);
            addresses.extend(record.data.ip_addr());
        }
        match addresses.is_empty() {
            true => Family::Nothing,
            false => Family::Found(addresses, Duration::from_secs(ttl.into())),
        }
    }

    fn in_file(&self, name: &str) -> Option<(Family, Family)> {
        let name = Name::from_ascii(name).ok()?;
        let of = |kind| {
            let found = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            let found = found.answers().iter().filter_map(|record| record.data.ip_addr());
            Some(Family::Found(found.collect(), NAME_FILE_TTL))
        };
        let (v6, v4) = (of(RecordType::AAAA), of(RecordType::A));
        (v6.is_some() || v4.is_some())
            .then(|| reachable(v6.unwrap_or(Family::Nothing), v4.unwrap_or(Family::Nothing)))
    }
}

/// The records of an answer that are about the name that was asked for, or an alias of it; a server may
/// add what it likes, in whatever order.
fn about(found: &Lookup) -> impl Iterator<Item = &Record> {
    let (mut onward, mut back) = (HashMap::new(), HashMap::new());
    for record in found.answers() {
        if let RData::CNAME(alias) = &record.data {
            onward.entry(&record.name).or_insert(&alias.0);
            back.entry(&alias.0).or_insert(&record.name);
        }
    }
    // The library asks for an alias by itself where the server does not follow it. Then the answer is to
    // that question, and how long the way to it is good for stands before it.
    let name = found.query().name();
    let (names, before) = (follow(name, &onward), follow(name, &back));
    found.answers().iter().filter(move |record| {
        let is_alias = matches!(record.data, RData::CNAME(_));
        names.contains(&record.name) || (is_alias && before.contains(&record.name))
    })
}

/// A name, and those that follow from it one after the other, as far as that is bearable.
fn follow<'a>(name: &'a Name, next: &HashMap<&'a Name, &'a Name>) -> HashSet<&'a Name> {
    let mut names = HashSet::from([name]);
    let mut last = name;
    for _ in 0..ALIASES_PER_NAME {
        match next.get(last) {
            Some(alias) if names.insert(alias) => last = alias,
            _ => break,
        }
    }
    names
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

fn tune(options: &mut ResolverOpts, settings: &Names) {
    // Two rounds fit into the time, so that one dead server does not take all of it.
    options.timeout = settings.timeout / 2;
    options.attempts = 1;
    // What is remembered here is remembered by the book.
    options.cache_size = 0;
    options.preserve_intermediates = true;
    // The file is read apart from this, and first whatever domains are searched.
    options.use_hosts_file = ResolveHosts::Never;
}

fn trouble(error: &NetError) -> Trouble {
    match error {
        NetError::Timeout => Trouble::Timeout,
        NetError::Dns(DnsError::NoRecordsFound(_)) => Trouble::Empty,
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Trouble::Server(format!("the DNS server answered {code}"))
        }
        other => Trouble::Server(other.to_string()),
    }
}

/// Takes a family away that this host has no way to, if there is one to the other: such addresses only
/// fail (RFC 6724 section 6, rule 1). Nothing is sent to find out.
fn reachable(v6: Family, v4: Family) -> (Family, Family) {
    let (Family::Found(six, _), Family::Found(four, _)) = (&v6, &v4) else { return (v6, v4) };
    match (six.iter().any(has_route), four.iter().any(has_route)) {
        (false, true) => (Family::Nothing, v4),
        (true, false) => (v6, Family::Nothing),
        _ => (v6, v4),
    }
}

fn has_route(address: &IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // Connecting a datagram socket asks the system for the way, and no more.
    UdpSocket::bind(any).is_ok_and(|socket| socket.connect((*address, 9)).is_ok())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;

    fn name(number: usize) -> Name {
        Name::from_ascii(format!("n{number}.test.")).unwrap()
    }

    fn alias(from: usize, to: usize, ttl: u32) -> Record {
        Record::from_rdata(name(from), ttl, RData::CNAME(CNAME(name(to))))
    }

    fn address(of: usize) -> Record {
        Record::from_rdata(name(of), 300, RData::A(A::new(192, 0, 2, 1)))
    }

    /// What is about the name `asked`: how many records, the shortest TTL, and whether there is an
    /// address.
    fn read(asked: usize, answers: Vec<Record>) -> (usize, Option<u32>, bool) {
        let query = Query::query(name(asked), RecordType::A);
        let found = Lookup::new_with_max_ttl(query, answers);
        let records: Vec<_> = about(&found).collect();
        let ttl = records.iter().map(|record| record.ttl).min();
        (records.len(), ttl, records.iter().any(|record| record.data.ip_addr().is_some()))
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_no_others() {
        let stranger = || alias(7, 8, 1);
        let answers = vec![address(2), stranger(), alias(1, 2, 20), address(8), alias(0, 1, 10)];
        assert_eq!(read(0, answers), (3, Some(10), true));
        // In a circle.
        assert_eq!(read(0, vec![alias(0, 1, 10), alias(1, 0, 10)]), (2, Some(10), false));
    }

    #[test]
    fn an_alias_that_was_asked_for_by_itself_counts_with_its_ttl() {
        assert_eq!(read(1, vec![alias(0, 1, 10), address(1)]), (2, Some(10), true));
        // Whoever leads to the same address by another name has not been asked.
        assert_eq!(read(1, vec![alias(0, 1, 10), address(0)]), (1, Some(10), false));
    }

    #[test]
    fn of_many_aliases_the_first_few_are_followed() {
        let answers = |count| -> Vec<_> {
            let aliases = (0..count).rev().map(|number| alias(number, number + 1, 10));
            aliases.chain([address(count)]).collect()
        };
        assert_eq!(read(0, answers(ALIASES_PER_NAME)).0, ALIASES_PER_NAME + 1);
        let (count, _, has_address) = read(0, answers(2_000));
        assert_eq!((count, has_address), (ALIASES_PER_NAME + 1, false));
    }
}
