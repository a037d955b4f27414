//! A client: one connection to the proxy, on which a test sends what it likes, byte by byte if it
//! has to, and reads answers strictly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::http::{Body, Framing, Head, stream};
use super::{PATIENCE, until};

/// How errors begin that come after the first byte of an answer.
pub const WITHIN: &str = "in the middle of an answer";

/// One connection.
pub struct Client {
    reader: BufReader<TcpStream>,
}

/// The sending side of a connection.
pub struct Sender(TcpStream);

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Body,
}

impl Request {
    /// A request with `Host: api.test`, unless another one is given.
    pub fn new(method: &str, target: &str) -> Self {
        let fields = Vec::new();
        Self { method: method.to_owned(), target: target.to_owned(), fields, body: Vec::new() }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with this body.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let post = Self::new("POST", target);
        Self { body: body.into(), ..post }
    }

    /// With this body.
    #[must_use]
    pub fn carrying(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// As a client behind a proxy that says the client's address.
    #[must_use]
    pub fn from(self, address: impl Into<String>) -> Self {
        self.with("X-Forwarded-For", address)
    }

    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let has = |name: &str| self.fields.iter().any(|field| field.0.eq_ignore_ascii_case(name));
        if !has("host") {
            bytes.extend_from_slice(b"Host: api.test\r\n");
        }
        for (name, value) in &self.fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let said = has("content-length") || has("transfer-encoding");
        if !said && (!self.body.is_empty() || self.method == "POST") {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

impl Sender {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &str) -> io::Result<()> {
        self.0.write_all(bytes.as_bytes())
    }
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST.into(), address)
    }

    /// Connects from one of the addresses of loopback.
    pub fn connect_from(own: IpAddr, address: SocketAddr) -> Self {
        Self::try_connect(own, address).expect("a connection")
    }

    /// Connects if it can.
    pub fn try_connect(own: IpAddr, address: SocketAddr) -> io::Result<Self> {
        Self::open(own, address, None)
    }

    /// Connects with a receive buffer so small that an answer soon finds no more room.
    pub fn connect_slow_reader(address: SocketAddr) -> Self {
        Self::open(Ipv4Addr::LOCALHOST.into(), address, Some(4096)).expect("a connection")
    }

    fn open(own: IpAddr, address: SocketAddr, room: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(bytes) = room {
            socket.set_recv_buffer_size(bytes)?;
        }
        if own != IpAddr::from(Ipv4Addr::LOCALHOST) {
            socket.bind(&SocketAddr::new(own, 0).into())?;
        }
        socket.connect(&address.into())?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, stream) })
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("the proxy takes what is sent");
        self
    }

    /// Sends bytes to someone who may not want them all.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Waits four times as long as usual from now on.
    pub fn be_patient(&self) {
        self.reader.get_ref().set_read_timeout(Some(4 * PATIENCE)).unwrap();
    }

    /// A second handle that only sends, for use while something is being read.
    pub fn sender(&self) -> Sender {
        Sender(self.reader.get_ref().try_clone().unwrap())
    }

    /// A second handle on the socket, to write to: what has been read is in the first one.
    pub fn raw(&self) -> TcpStream {
        self.reader.get_ref().try_clone().unwrap()
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    /// Sends a request and reads its answer, if all goes well.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Response> {
        self.try_send(request.bytes())?;
        self.try_read(&request.method)
    }

    /// Reads the answer to a request of that method.
    pub fn read(&mut self, method: &str) -> Response {
        self.try_read(method).unwrap_or_else(|error| panic!("no answer to {method}: {error}"))
    }

    /// Reads the answer to a request of that method, if there is one.
    pub fn try_read(&mut self, method: &str) -> io::Result<Response> {
        if self.reader.fill_buf()?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // From here on somebody has begun to answer.
        let within = |error: io::Error| io::Error::new(error.kind(), format!("{WITHIN}: {error}"));
        let head = self.try_head().map_err(within)?;
        let framing = response_framing(&head, method).map_err(within)?;
        let body = Body::read(&mut self.reader, framing).map_err(within)?;
        Ok(Response { head, body })
    }

    /// Reads the head of an answer and leaves its body.
    pub fn head(&mut self) -> Head {
        self.try_head().expect("a response")
    }

    fn try_head(&mut self) -> io::Result<Head> {
        Head::read(&mut self.reader)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads a body piece by piece.
    pub fn stream(
        &mut self,
        framing: Framing,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Vec<(String, String)>> {
        stream(&mut self.reader, framing, take)
    }

    /// Whether the proxy has closed the connection, and sent nothing more. Waits for it.
    pub fn is_closed(&mut self) -> bool {
        match self.reader.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// The next so many bytes, those that came behind a head included.
    pub fn exactly<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything until the proxy closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset after the answer ends it as well.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }

    /// Resets the connection.
    pub fn reset(self) {
        super::reset_on_close(self.reader.get_ref()).unwrap();
    }
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().unwrap_or(0)
    }

    /// The region that answered.
    pub fn region(&self) -> &str {
        self.head.get("x-region").unwrap_or_else(|| panic!("no region answered: {self:#?}"))
    }

    /// Fails unless this is Rhumb's own answer of that kind.
    pub fn assert_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status(), status, "{self:#?}");
        assert_eq!(self.head.get("content-type"), Some("application/problem+json"), "{self:#?}");
        assert_eq!(self.head.word(0), "HTTP/1.1");
        let proxy_status = self.head.get("proxy-status").unwrap_or_default();
        assert!(proxy_status.starts_with("rhumb; error="), "{self:#?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["reason"], reason, "{problem}");
        assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", self.body.text()))
    }
}

/// How the body of an answer ends (RFC 9112 section 6.3).
pub fn response_framing(head: &Head, method: &str) -> io::Result<Framing> {
    let status: u16 = head.word(1).parse().unwrap_or(0);
    let framing = head.framing()?;
    if method == "HEAD" || status == 204 || status == 304 || status < 200 {
        return Ok(Framing::Unsaid);
    }
    Ok(if framing == Framing::Unsaid { Framing::Close } else { framing })
}

/// Waits until nothing listens at an address any more.
pub fn until_refused(address: SocketAddr) {
    until("connections to be refused", || TcpStream::connect(address).is_err());
}
