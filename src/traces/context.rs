//! `traceparent` (W3C Trace Context, level 2): ids, flags, and the two ways between them and text.
//!
//! Pure. What becomes of a context that cannot be read is `sampling`'s business, the other header is
//! `state`'s.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// Length of `00-{trace-id}-{parent-id}-{flags}`.
pub const TRACEPARENT_BYTES: usize = 55;

/// The id of a whole trace; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of one span in it; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// What a caller recommends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

/// What a caller says of the trace that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub span: SpanId,
    /// What it recommends.
    pub flags: Flags,
}

impl TraceId {
    /// The id that these random bits make.
    pub fn from_entropy([high, low]: [u64; 2]) -> Self {
        let bits = u128::from(high) << 64 | u128::from(low);
        Self(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// In network order.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The rightmost 56 bits: those that are random where any are.
    pub fn randomness(self) -> u64 {
        let [_, _, _, _, _, _, _, _, _, low @ ..] = self.to_bytes();
        low.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

impl SpanId {
    /// The id that these random bits make.
    pub fn from_entropy(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// In network order.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Flags {
    const SAMPLED: u8 = 1;
    const RANDOM: u8 = 2;

    /// Of a trace that starts here, whose id is random.
    pub const fn started(sampled: bool) -> Self {
        Self(Self::RANDOM | sampled as u8)
    }

    /// Whether the caller may have recorded its part.
    pub const fn sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// As a number.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Those that this version knows; the others have to be sent as zero.
    const fn known(bits: u8) -> Self {
        Self(bits & (Self::SAMPLED | Self::RANDOM))
    }
}

impl TraceContext {
    /// What a `traceparent` says; `None`: nothing that may be believed.
    ///
    /// Higher versions are read as far as they have to be like this one: what stands behind the
    /// flags is not looked at, if it is set off by a dash.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (head, rest) = value.split_first_chunk::<TRACEPARENT_BYTES>()?;
        let [version, trace, span, flags] = fields(head)?;
        let version = hex(version)?;
        match (version, rest.first()) {
            (0xff, _) => return None,
            (0, None) | (1.., None | Some(b'-')) => {}
            _ => return None,
        }
        let trace = TraceId(NonZeroU128::new(hex(trace)?)?);
        let span = SpanId(NonZeroU64::new(u64::try_from(hex(span)?).ok()?)?);
        let flags = Flags::known(u8::try_from(hex(flags)?).ok()?);
        Some(Self { trace, span, flags })
    }

    /// The `traceparent` that says so, in version 00.
    pub fn to_bytes(self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(text.get_mut(3..35), &self.trace.to_bytes());
        write_hex(text.get_mut(36..52), &self.span.to_bytes());
        write_hex(text.get_mut(53..), &[self.flags.bits()]);
        text
    }
}

/// The four fields, if there are dashes between them.
fn fields(head: &[u8; TRACEPARENT_BYTES]) -> Option<[&[u8]; 4]> {
    let (version, rest) = head.split_at_checked(2)?;
    let (trace, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
    let (span, flags) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    Some([version, trace, span, flags.strip_prefix(b"-")?])
}

/// The number that so many lower-case hexadecimal digits are; at most 32 of them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn write_hex(text: Option<&mut [u8]>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let (pairs, _) = text.unwrap_or_default().as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}
