//! HTTP/1.1 messages as these tests read them: from raw bytes, strictly, and with nothing in
//! common with the library that the proxy uses, so that the two cannot be wrong together.

use std::fmt;
use std::io::{self, BufRead, Read};

/// Longest head that is read; more than any test sends on purpose.
const HEAD_BYTES: usize = 1 << 20;

/// A message's start line and fields.
#[derive(Clone, Default)]
pub struct Head {
    /// Every byte, with the empty line.
    pub raw: Vec<u8>,
    /// The start line.
    pub start: String,
    /// Fields in order, names as they were written.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The next head, or `None` when the connection ended before its first byte.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        let Some(start) = line(reader, &mut head.raw)? else { return Ok(None) };
        head.start = start;
        loop {
            let line = line(reader, &mut head.raw)?.ok_or_else(|| wrong("end within a head"))?;
            if line.is_empty() {
                return Ok(Some(head));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a field without :"))?;
            head.fields.push((name.to_owned(), value.trim().to_owned()));
            if head.raw.len() > HEAD_BYTES {
                return Err(wrong("an endless head"));
            }
        }
    }

    /// All lines of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The one line of a field; a test that asks so fails when there are two.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// Whether a list field has that member.
    pub fn lists(&self, name: &str, member: &str) -> bool {
        let members = self.all(name);
        members
            .iter()
            .flat_map(|line| line.split(','))
            .any(|m| m.trim().eq_ignore_ascii_case(member))
    }

    /// The `index`th word of the start line.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }

    /// How the fields frame a body, whatever the start line says.
    pub fn framing(&self) -> io::Result<Framing> {
        let coding = self.all("transfer-encoding");
        let length = self.all("content-length");
        match (&*coding, &*length) {
            ([], []) => Ok(Framing::Unsaid),
            ([], [length]) => length.parse().map(Framing::Length).map_err(|_| wrong("bad length")),
            ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            _ => Err(wrong(&format!("framed by {coding:?} and {length:?}"))),
        }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.raw))
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The fields do not say.
    Unsaid,
    /// After so many bytes.
    Length(u64),
    /// With an empty chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// A body that was read to its end.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// The content.
    pub bytes: Vec<u8>,
    /// Fields behind the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Body {
    /// Reads a whole body.
    pub fn read(reader: &mut impl BufRead, framing: Framing) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let trailers = stream(reader, framing, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok(Self { bytes, trailers })
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.bytes[..self.bytes.len().min(500)];
        write!(f, "{} bytes: {:?}", self.bytes.len(), String::from_utf8_lossy(start))?;
        if self.trailers.is_empty() { Ok(()) } else { write!(f, ", {:?}", self.trailers) }
    }
}

/// Reads a body piece by piece; returns the trailers.
pub fn stream(
    reader: &mut impl BufRead,
    framing: Framing,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<(String, String)>> {
    match framing {
        Framing::Unsaid => {}
        Framing::Length(length) => exactly(reader, length, &mut take)?,
        Framing::Close => {
            while let part @ [_, ..] = reader.fill_buf()? {
                take(part)?;
                let length = part.len();
                reader.consume(length);
            }
        }
        Framing::Chunked => return chunks(reader, &mut take),
    }
    Ok(Vec::new())
}

fn chunks(
    reader: &mut impl BufRead,
    take: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<(String, String)>> {
    let cut_off = || wrong("end within a chunked body");
    loop {
        let size = line(reader, &mut Vec::new())?.ok_or_else(cut_off)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| wrong("bad chunk size"))?;
        if size == 0 {
            break;
        }
        exactly(reader, size, take)?;
        let end = line(reader, &mut Vec::new())?.ok_or_else(cut_off)?;
        if !end.is_empty() {
            return Err(wrong("a chunk longer than its size"));
        }
    }
    let mut trailers = Vec::new();
    loop {
        let line = line(reader, &mut Vec::new())?.ok_or_else(cut_off)?;
        match line.split_once(':') {
            Some((name, value)) => trailers.push((name.to_owned(), value.trim().to_owned())),
            None if line.is_empty() => return Ok(trailers),
            None => return Err(wrong("a trailer without :")),
        }
    }
}

fn exactly(
    reader: &mut impl BufRead,
    length: u64,
    take: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the body ended {left} bytes before its end"),
            ));
        }
        let part = &part[..part.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        take(part)?;
        let length = part.len();
        reader.consume(length);
        left -= length as u64;
    }
    Ok(())
}

/// A line without its CRLF; `None` at the end of the connection.
fn line(reader: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.take(HEAD_BYTES as u64).read_until(b'\n', &mut line)?;
    raw.extend_from_slice(&line);
    if line.is_empty() {
        return Ok(None);
    }
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| {
        wrong(&format!("a line that does not end in CRLF: {:?}", String::from_utf8_lossy(&line)))
    })?;
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A body of any length whose every byte is known from its position, so that what arrives can be
/// compared without being kept.
#[derive(Clone, Debug)]
pub struct Pattern {
    block: Vec<u8>,
    position: usize,
}

impl Pattern {
    /// The pattern from its start.
    pub fn new() -> Self {
        // A prime length, so that blocks never fall on the borders of buffers.
        let mut rng = fastrand::Rng::with_seed(0x9e37);
        Self { block: std::iter::repeat_with(|| rng.u8(..)).take(65_521).collect(), position: 0 }
    }

    /// The first `length` bytes.
    pub fn bytes(length: usize) -> Vec<u8> {
        let mut pattern = Self::new();
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            bytes.extend_from_slice(pattern.next(length - bytes.len()));
        }
        bytes
    }

    /// The next bytes, at least one and `most` at most.
    pub fn next(&mut self, most: usize) -> &[u8] {
        let from = self.position % self.block.len();
        let part = &self.block[from..self.block.len().min(from + most)];
        self.position += part.len();
        part
    }

    /// Fails unless these are the next bytes.
    pub fn check(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let at = self.position;
            let expected = self.next(bytes.len());
            let (now, rest) = bytes.split_at(expected.len());
            if now != expected {
                return Err(wrong(&format!("the body differs behind byte {at}")));
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn position(&self) -> usize {
        self.position
    }
}
