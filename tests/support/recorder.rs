//! An origin that keeps every byte it is sent, takes requests apart as strictly as can be, and
//! answers each with an empty 200. It has nothing in common with the proxy's own parser.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use super::until;

/// A server that is there until the program ends.
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    record: Arc<Mutex<Record>>,
}

/// What came, in order.
#[derive(Clone, Debug, Default)]
struct Record {
    whole: Vec<Recorded>,
    /// Connections on which the beginning of a request has come.
    open: usize,
    /// Requests whose connection ended before they did; the bytes of each.
    broken: Vec<Vec<u8>>,
    /// What is no request at all.
    nonsense: Vec<String>,
}

/// A request that came whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The request line.
    pub line: String,
    /// Fields as they came, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Recorded {
    /// The one value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().filter(|(found, _)| found == name);
        let first = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} twice: {self:?}");
        first
    }
}

impl Recorder {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::<Mutex<Record>>::default();
        let shared = Arc::clone(&record);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &record));
            }
        });
        Self { address, record }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// Requests that came whole so far, health checks not among them.
    pub fn whole(&self) -> Vec<Recorded> {
        self.record().whole.clone()
    }

    /// What came of requests that never ended. Waits until nothing is under way.
    pub fn broken(&self) -> Vec<Vec<u8>> {
        until("requests to end", || self.record().open == 0);
        self.record().broken.clone()
    }

    /// What came and was no request.
    pub fn nonsense(&self) -> Vec<String> {
        self.record().nonsense.clone()
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>) {
    let _ = stream.set_nodelay(true);
    let (mut bytes, mut piece) = (Vec::new(), [0; 16 << 10]);
    let mut begun = false;
    loop {
        let next = take_request(&mut bytes);
        let begins = matches!(next, Ok(None)) && !bytes.is_empty();
        if begins != begun {
            begun = begins;
            let mut record = record.lock().unwrap();
            record.open = if begun { record.open + 1 } else { record.open - 1 };
        }
        match next {
            Ok(Some(request)) => {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                if request.line != "GET /health HTTP/1.1" {
                    record.lock().unwrap().whole.push(request);
                }
                if stream.write_all(answer).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(what) => {
                let text = format!("{what}: {:?}", String::from_utf8_lossy(&bytes));
                record.lock().unwrap().nonsense.push(text);
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
            _ => break,
        }
    }
    if begun {
        let mut record = record.lock().unwrap();
        record.open -= 1;
        record.broken.push(bytes);
    }
}

/// A request from the start of what has come, if all of it has.
fn take_request(bytes: &mut Vec<u8>) -> Result<Option<Recorded>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    if !line.ends_with(" HTTP/1.1") || line.split(' ').count() != 3 {
        return Err(format!("a bad request line {line:?}"));
    }
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    if head.contains(|c: char| c.is_ascii_control() && c != '\t' && c != '\r' && c != '\n') {
        return Err("a control character".to_owned());
    }
    let mut request = Recorded { line, fields, ..Recorded::default() };
    if request.get("host").is_none_or(str::is_empty) {
        return Err("no host".to_owned());
    }
    let start = end + 4;
    let used = match (request.get("content-length"), request.get("transfer-encoding")) {
        (None, None) => Some(start),
        (Some(length), None) => {
            let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let canonical = length == "0" || !length.starts_with('0');
            if !is_number || !canonical {
                return Err(format!("a bad length {length:?}"));
            }
            let end = start + length.parse::<usize>().map_err(|error| error.to_string())?;
            bytes.get(start..end).map(|body| {
                request.body = body.to_vec();
                end
            })
        }
        (None, Some("chunked")) => chunks(bytes, start, &mut request)?,
        framing => return Err(format!("a body framed by {framing:?}")),
    };
    Ok(used.map(|used| {
        bytes.drain(..used);
        request
    }))
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) || value.contains(['\r', '\n', '\0']) {
        return Err(format!("a bad field {line:?}"));
    }
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Takes a chunked body apart; where it ends, if it has.
fn chunks(bytes: &[u8], start: usize, request: &mut Recorded) -> Result<Option<usize>, String> {
    let mut at = start;
    let line = |at: usize| {
        let length = memchr::memmem::find(bytes.get(at..)?, b"\r\n")?;
        Some((String::from_utf8_lossy(&bytes[at..at + length]).into_owned(), at + length + 2))
    };
    loop {
        let Some((size, next)) = line(at) else { return Ok(None) };
        let is_size = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(&size, 16).ok().filter(|_| is_size);
        let size = size.ok_or("a bad chunk size")?;
        at = next;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a bad end of a chunk".to_owned());
        }
        request.body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
    loop {
        let Some((text, next)) = line(at) else { return Ok(None) };
        at = next;
        if text.is_empty() {
            return Ok(Some(at));
        }
        request.trailers.push(field(&text)?);
    }
}
