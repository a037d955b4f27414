//! HTTP/2 frames and header blocks put together by hand (RFC 9113 section 4, RFC 7541): a flood has to
//! send what every library refuses to.
//!
//! Here: bytes, and reading what the proxy says of them. Not here: which frames make an attack.

/// What a connection starts with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Frames on their way, and how many they are.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u64,
}

impl Frames {
    /// One more frame.
    pub(crate) fn push(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.bytes.extend_from_slice(&length[1..]);
        self.bytes.extend_from_slice(&[kind, flags]);
        self.bytes.extend_from_slice(&stream.to_be_bytes());
        self.bytes.extend_from_slice(payload);
        self.count += 1;
    }
}

/// The header block of a request, without the dynamic table.
pub(crate) fn request(method: &str, authority: &str, path: &str) -> Vec<u8> {
    // `:scheme: http` is entry 6 of the static table.
    let mut block = vec![0x86];
    literal(&mut block, ":method", method);
    literal(&mut block, ":authority", authority);
    literal(&mut block, ":path", path);
    block
}

/// A field that no table keeps (RFC 7541 section 6.2.2).
pub(crate) fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        integer(block, text.len());
        block.extend_from_slice(text.as_bytes());
    }
}

/// A field that the dynamic table keeps (RFC 7541 section 6.2.1): entry 62 until the next one.
pub(crate) fn kept(block: &mut Vec<u8>, name: &str, value: &str) {
    let start = block.len();
    literal(block, name, value);
    block[start] = 0x40;
}

/// A length with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    let small = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    if value < 127 {
        block.push(small(value));
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push(small(rest % 128) | 128);
        rest /= 128;
    }
    block.push(small(rest));
}

/// What the proxy sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The head of an answer.
    Answer,
    /// A stream was reset.
    Reset,
    /// The connection is to end, with that error code.
    Goaway(u32),
    /// Settings that want to be acknowledged.
    Settings,
    /// Anything else.
    Other,
}

/// Takes the next whole frame off the front of what was read; payloads beyond `skip` are passed over.
#[derive(Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    skip: usize,
}

impl Reader {
    /// More bytes of the connection.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        bytes = &bytes[skipped..];
        self.skip -= skipped;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, once it is there.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        let head: [u8; 9] = self.buffer.get(..9)?.try_into().ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let heard = match head[3] {
            HEADERS => Heard::Answer,
            RST_STREAM => Heard::Reset,
            SETTINGS if head[4] & ACK == 0 => Heard::Settings,
            GOAWAY => {
                let code: [u8; 4] = self.buffer.get(13..17)?.try_into().ok()?;
                Heard::Goaway(u32::from_be_bytes(code))
            }
            _ => Heard::Other,
        };
        let taken = (9 + length).min(self.buffer.len());
        self.buffer.drain(..taken);
        self.skip = 9 + length - taken;
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut frames = Frames::default();
        frames.push(SETTINGS, 0, 0, &[]);
        frames.push(DATA, 0, 1, &[7; 20_000]);
        frames.push(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]);
        frames.push(RST_STREAM, 0, 3, &[0, 0, 0, 1]);
        let mut reader = Reader::default();
        let mut heard = Vec::new();
        for piece in frames.bytes.chunks(7) {
            reader.feed(piece);
            while let Some(next) = reader.next() {
                heard.push(next);
            }
        }
        assert_eq!(heard, [Heard::Settings, Heard::Other, Heard::Goaway(11), Heard::Reset]);
    }

    #[test]
    fn lengths_have_the_form_of_the_standard() {
        let mut block = Vec::new();
        integer(&mut block, 10);
        integer(&mut block, 127);
        integer(&mut block, 1337);
        // 1337 is the example of RFC 7541 C.1.2, there with a prefix of five bits.
        assert_eq!(block, [10, 127, 0, 127, 0xba, 0x09]);
    }
}
