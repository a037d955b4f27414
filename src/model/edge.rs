//! What becomes of client connections before and beside their requests: words for metrics and logs.

/// Why a connection was closed as soon as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The worker has as many as it may.
    Worker,
    /// The client's address has as many as it may.
    Client,
    /// The process is close to its memory limit.
    Memory,
}

impl ConnectionRefusal {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Worker, Self::Client, Self::Memory];

    /// In words of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Client => "client",
            Self::Memory => "memory",
        }
    }
}

/// Why a request was refused because of too much load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The process is very close to its memory limit.
    Memory,
    /// It is close, and the request's class gives way.
    Priority,
    /// There was no descriptor for a connection to an endpoint.
    Descriptors,
    /// Every region that could answer is full for the request's class.
    Capacity,
}

impl Shed {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Priority, Self::Descriptors, Self::Capacity];

    /// In words of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Priority => "priority",
            Self::Descriptors => "descriptors",
            Self::Capacity => "capacity",
        }
    }
}

/// What came of a TLS handshake with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Both agree.
    Success,
    /// They do not, or what came is not TLS.
    Failed,
    /// The client's certificate is missing or not believed.
    ClientCertificate,
    /// The client asked for HTTP in clear text.
    ClearText,
    /// The client left.
    Closed,
    /// It took too long.
    Timeout,
}

impl Handshake {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failed,
        Self::ClientCertificate,
        Self::ClearText,
        Self::Closed,
        Self::Timeout,
    ];

    /// In words of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::ClientCertificate => "client_certificate",
            Self::ClearText => "clear_text",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
        }
    }
}

/// What an HTTP/2 client did too much of, or too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Requests that are taken back (CVE-2023-44487).
    RapidReset,
    /// Frames that make the server take streams back (CVE-2025-8671).
    LocalReset,
    /// Heads in very many pieces (CVE-2024-27316).
    Continuation,
    /// Frames of bodies without bytes (CVE-2019-9518).
    EmptyData,
    /// Pings (CVE-2019-9512).
    Ping,
    /// Settings (CVE-2019-9515).
    Settings,
    /// Priorities (CVE-2019-9513).
    Priority,
    /// Credit for what is not sent (CVE-2019-9511).
    WindowUpdate,
    /// Heads that become no request: too large when unpacked, or refused.
    HeaderList,
    /// Answers that are not taken.
    Stalled,
}

impl Flood {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::RapidReset,
        Self::LocalReset,
        Self::Continuation,
        Self::EmptyData,
        Self::Ping,
        Self::Settings,
        Self::Priority,
        Self::WindowUpdate,
        Self::HeaderList,
        Self::Stalled,
    ];

    /// In words of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid_reset",
            Self::LocalReset => "local_reset",
            Self::Continuation => "continuation",
            Self::EmptyData => "empty_data",
            Self::Ping => "ping",
            Self::Settings => "settings",
            Self::Priority => "priority",
            Self::WindowUpdate => "window_update",
            Self::HeaderList => "header_list",
            Self::Stalled => "stalled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_lists() {
        assert!(ConnectionRefusal::ALL.iter().enumerate().all(|(i, why)| *why as usize == i));
        assert!(Handshake::ALL.iter().enumerate().all(|(i, result)| *result as usize == i));
        assert!(Flood::ALL.iter().enumerate().all(|(i, kind)| *kind as usize == i));
    }
}
