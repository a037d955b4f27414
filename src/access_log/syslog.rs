//! What stands in front of a line in syslog (RFC 5424 section 6).

use super::moment;

/// Severity `informational`.
const INFORMATIONAL: u8 = 6;
/// Longest host name that a message may have.
const HOST_BYTES: usize = 255;

/// The parts of a message's head around its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

impl Frame {
    /// Of messages of a facility from this process on `host`.
    pub(super) fn new(facility: u8, host: &[u8], process: u32) -> Self {
        let priority = u32::from(facility) * 8 + u32::from(INFORMATIONAL);
        let mut host: Vec<u8> =
            host.iter().copied().filter(u8::is_ascii_graphic).take(HOST_BYTES).collect();
        if host.is_empty() {
            host.push(b'-');
        }
        let mut behind = vec![b' '];
        behind.extend_from_slice(&host);
        // The name of the program, its number, the kind of the message, and no structured data.
        behind.extend_from_slice(format!(" rhumb {process} access - ").as_bytes());
        Self {
            before: format!("<{priority}>1 ").into_bytes().into_boxed_slice(),
            behind: behind.into_boxed_slice(),
        }
    }

    /// Appends the head of a message.
    pub(super) fn write(&self, out: &mut Vec<u8>, time: &moment::Text) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(time);
        out.extend_from_slice(&self.behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_starts_as_the_protocol_says() {
        let mut out = Vec::new();
        Frame::new(16, b"edge-1\n.example", 4711).write(&mut out, b"1970-01-01T00:00:01.000Z");
        let head = "<134>1 1970-01-01T00:00:01.000Z edge-1.example rhumb 4711 access - ";
        assert_eq!(String::from_utf8(out).unwrap(), head);
        let mut out = Vec::new();
        Frame::new(0, b"", 1).write(&mut out, b"1970-01-01T00:00:00.000Z");
        assert!(out.starts_with(b"<6>1 1970-01-01T00:00:00.000Z - rhumb 1 "));
    }
}
