//! A DNS server on a free port of loopback, over UDP and TCP, that answers as the test says: other
//! things than a moment ago, nothing at all, too much, or lies.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::PATIENCE;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// How the server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As its records say.
    #[default]
    Honest,
    /// Not at all.
    Silent,
    /// `SERVFAIL`.
    Failing,
    /// That no name exists.
    Denying,
    /// That names exist and have nothing.
    Empty,
    /// With an id that nobody asked with.
    WrongId,
    /// To another question than the one that was asked.
    WrongQuestion,
    /// With a lie of a wrong id first, and then as it should.
    LieFirst,
    /// With bytes that are no message.
    Garbage,
    /// With addresses of other names beside its own.
    Talkative,
    /// Over UDP with nothing but that there is more; over TCP with all of it.
    Cut,
}

/// The address of every lie.
pub const LIE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 66));

/// A question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name, without the dot at its end.
    pub name: String,
    /// `A`, `AAAA`, `SRV` or a number.
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

#[derive(Clone)]
struct Record {
    kind: u16,
    ttl: u32,
    data: Vec<u8>,
}

#[derive(Default)]
struct Zone {
    records: BTreeMap<String, Vec<Record>>,
    manner: Manner,
    asked: Vec<Asked>,
}

/// A server that is there until it is dropped.
pub struct Dns {
    /// Where it is, for both transports.
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Dns {
    /// A server that knows nothing yet.
    pub fn new() -> Self {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free for both");
        let address = udp.local_addr().unwrap();
        let (zone, stopping) = (Arc::<Mutex<Zone>>::default(), Arc::new(AtomicBool::new(false)));
        let threads = {
            let (of_udp, of_tcp) = (Arc::clone(&zone), Arc::clone(&zone));
            let (stop_udp, stop_tcp) = (Arc::clone(&stopping), Arc::clone(&stopping));
            vec![
                std::thread::spawn(move || over_udp(&udp, &of_udp, &stop_udp)),
                std::thread::spawn(move || over_tcp(&tcp, &of_tcp, &stop_tcp)),
            ]
        };
        Self { address, zone, stopping, threads }
    }

    /// The top-level field of the configuration that has this server asked, every tenth of a second
    /// at most.
    pub fn setting(&self) -> String {
        let server = self.address;
        format!("names: {{ servers: [\"{server}\"], min_ttl_seconds: 0.1, timeout_seconds: 1 }}")
    }

    /// The addresses of a name, in place of what it had. They are good for `ttl` seconds.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let records = addresses.iter().map(|text| match text.parse().unwrap() {
            IpAddr::V4(ip) => Record { kind: A, ttl, data: ip.octets().to_vec() },
            IpAddr::V6(ip) => Record { kind: AAAA, ttl, data: ip.octets().to_vec() },
        });
        self.put(name, records.collect());
    }

    /// That a name stands for another one.
    pub fn alias(&self, name: &str, ttl: u32, target: &str) {
        self.put(name, vec![Record { kind: CNAME, ttl, data: wire_name(target) }]);
    }

    /// Who offers a service: priority, weight, port and host of each.
    pub fn service(&self, name: &str, ttl: u32, offers: &[(u16, u16, u16, &str)]) {
        let records = offers.iter().map(|(priority, weight, port, host)| {
            let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
            let data = [numbers.concat(), wire_name(host)].concat();
            Record { kind: SRV, ttl, data }
        });
        self.put(name, records.collect());
    }

    fn put(&self, name: &str, records: Vec<Record>) {
        self.zone.lock().unwrap().records.insert(name.to_owned(), records);
    }

    /// Answers in another manner from now on.
    pub fn answer(&self, manner: Manner) {
        self.zone.lock().unwrap().manner = manner;
    }

    /// Everything that was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.zone.lock().unwrap().asked.clone()
    }

    /// How often a name was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.asked().iter().filter(|asked| asked.name == name).count()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stopping.store(true, SeqCst);
        // Wakes both threads, which then see that it is over.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn over_udp(socket: &UdpSocket, zone: &Mutex<Zone>, stopping: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if stopping.load(SeqCst) {
            return;
        }
        for answer in answers(&buffer[..length], zone, false) {
            // Whoever asked may be gone.
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn over_tcp(listener: &TcpListener, zone: &Arc<Mutex<Zone>>, stopping: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if stopping.load(SeqCst) {
            return;
        }
        let zone = Arc::clone(zone);
        std::thread::spawn(move || serve(stream, &zone));
    }
}

fn serve(mut stream: TcpStream, zone: &Mutex<Zone>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        for answer in answers(&query, zone, true) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat())?;
        }
    }
}

/// The messages that answer a query; most often one.
fn answers(query: &[u8], zone: &Mutex<Zone>, tcp: bool) -> Vec<Vec<u8>> {
    let Some((name, kind, question)) = read_question(query) else { return Vec::new() };
    let mut zone = zone.lock().unwrap();
    let shown = match kind {
        A => "A".to_owned(),
        AAAA => "AAAA".to_owned(),
        SRV => "SRV".to_owned(),
        other => other.to_string(),
    };
    zone.asked.push(Asked { name: name.clone(), kind: shown, tcp });
    let (known, records) = look_up(&zone, &name, kind);
    let id = [query[0], query[1]];
    let other_id = [query[0] ^ 0x55, query[1] ^ 0x55];
    let code = if known { 0 } else { 3 };
    let honest = || message(id, code, false, question, &records);
    let lie = |owner: &str| {
        let IpAddr::V4(ip) = LIE else { unreachable!() };
        (owner.to_owned(), Record { kind: A, ttl: 1, data: ip.octets().to_vec() })
    };
    match zone.manner {
        Manner::Honest => vec![honest()],
        Manner::Silent => Vec::new(),
        Manner::Failing => vec![message(id, 2, false, question, &[])],
        Manner::Denying => vec![message(id, 3, false, question, &[])],
        Manner::Empty => vec![message(id, 0, false, question, &[])],
        Manner::WrongId => vec![message(other_id, 0, false, question, &[lie(&name)])],
        Manner::WrongQuestion => {
            let other = [wire_name("other.test"), [0, 1, 0, 1].into()].concat();
            vec![message(id, 0, false, &other, &[lie("other.test"), lie(&name)])]
        }
        Manner::LieFirst => {
            vec![message(other_id, 0, false, question, &[lie(&name)]), honest()]
        }
        Manner::Garbage => vec![[&id[..], &[0xff; 40]].concat()],
        Manner::Talkative => {
            let more = [lie("other.test")].into_iter().chain(records.clone());
            let more: Vec<_> = more.chain([lie("bank.test")]).collect();
            vec![message(id, code, false, question, &more)]
        }
        Manner::Cut if tcp => vec![honest()],
        Manner::Cut => vec![message(id, 0, true, question, &[])],
    }
}

/// Whether the name exists, and its records of that kind, behind its alias if it has one.
fn look_up(zone: &Zone, name: &str, kind: u16) -> (bool, Vec<(String, Record)>) {
    let mut found = Vec::new();
    let mut name = name.to_owned();
    for _ in 0..8 {
        let Some(records) = zone.records.get(&name) else { return (!found.is_empty(), found) };
        let of_kind = records.iter().filter(|record| record.kind == kind);
        found.extend(of_kind.map(|record| (name.clone(), record.clone())));
        let Some(alias) = records.iter().find(|record| record.kind == CNAME) else { break };
        found.push((name.clone(), alias.clone()));
        name = read_name(&alias.data).map_or(String::new(), |(name, _)| name);
    }
    (true, found)
}

fn message(
    id: [u8; 2],
    code: u8,
    cut: bool,
    question: &[u8],
    records: &[(String, Record)],
) -> Vec<u8> {
    let flags = [0x81 | if cut { 2 } else { 0 }, 0x80 | code];
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let mut bytes = [&id[..], &flags, &[0, 1], &count, &[0, 0, 0, 0], question].concat();
    for (owner, Record { kind, ttl, data }) in records {
        bytes.extend(wire_name(owner));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

fn read_question(query: &[u8]) -> Option<(String, u16, &[u8])> {
    let rest = query.get(12..)?;
    let (name, length) = read_name(rest)?;
    let kind = u16::from_be_bytes([*rest.get(length)?, *rest.get(length + 1)?]);
    Some((name.to_ascii_lowercase(), kind, rest.get(..length + 4)?))
}

fn read_name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8(bytes.get(at..at + length)?.to_vec()).ok()?);
        at += length;
    }
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
