//! What two processes say to each other, as JSON on one line each.
//!
//! They may be of different versions, so what is not known is passed over: fields may be added, and
//! those that are there keep their meaning.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Message {
    /// To the old process: pass the listening sockets on to me.
    Take {
        /// Who asks.
        pid: u32,
    },
    /// To the old process: start the binary on disk, and tell me what came of it.
    Upgrade,
    /// To the new one: listening sockets; as many descriptors come with this line.
    Sockets {
        /// What each of them is.
        sockets: Vec<Passed>,
        /// Whether these were all.
        last: bool,
    },
    /// To the old one: all is there to serve.
    Ready {
        /// Who is ready.
        pid: u32,
    },
    /// To the new one: do it.
    Go,
    /// To the old one: connections are accepted.
    Serving {
        /// Where sockets listen that the new process has no use for.
        #[serde(default)]
        left: Vec<SocketAddr>,
    },
    /// To whoever asked for an upgrade: the new process serves.
    Done {
        /// Its process.
        pid: u32,
    },
    /// To either: it comes to nothing.
    Failed {
        /// Why.
        reason: String,
    },
    /// Something of another version.
    #[serde(other)]
    Unknown,
}

/// A listening socket on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passed {
    pub(super) role: Role,
    /// As it is in the configuration of the old process.
    pub(super) configured: SocketAddr,
    /// Whoever bound it has it for good.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(super) kept: bool,
}

fn is_not(kept: &bool) -> bool {
    !kept
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Requests.
    Listener,
    /// Operators.
    Admin,
    /// Something of another version.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_what_they_are() {
        let configured = "127.0.0.1:80".parse().unwrap();
        let passed = Passed { role: Role::Admin, configured, kept: false };
        let kept = Passed { role: Role::Listener, configured, kept: true };
        let lines = [
            (Message::Take { pid: 7 }, r#"{"say":"take","pid":7}"#),
            (Message::Upgrade, r#"{"say":"upgrade"}"#),
            (
                Message::Sockets { sockets: vec![passed], last: true },
                r#"{"say":"sockets","sockets":[{"role":"admin","configured":"127.0.0.1:80"}],"last":true}"#,
            ),
            (
                Message::Sockets { sockets: vec![kept], last: true },
                r#"{"say":"sockets","sockets":[{"role":"listener","configured":"127.0.0.1:80","kept":true}],"last":true}"#,
            ),
            (Message::Ready { pid: 7 }, r#"{"say":"ready","pid":7}"#),
            (Message::Go, r#"{"say":"go"}"#),
            (Message::Serving { left: vec![] }, r#"{"say":"serving","left":[]}"#),
            (Message::Done { pid: 7 }, r#"{"say":"done","pid":7}"#),
            (Message::Failed { reason: "x".into() }, r#"{"say":"failed","reason":"x"}"#),
        ];
        for (message, line) in lines {
            assert_eq!(serde_json::to_string(&message).unwrap(), line);
            assert_eq!(serde_json::from_str::<Message>(line).unwrap(), message);
        }
    }

    #[test]
    fn what_another_version_adds_is_passed_over() {
        let read = |line| serde_json::from_str::<Message>(line).unwrap();
        assert_eq!(read(r#"{"say":"dance"}"#), Message::Unknown);
        assert_eq!(read(r#"{"say":"go","how":"fast"}"#), Message::Go);
        let line =
            r#"{"say":"sockets","sockets":[{"role":"quic","configured":"[::]:1"}],"last":false}"#;
        let Message::Sockets { sockets, .. } = read(line) else { panic!() };
        assert_eq!(sockets[0].role, Role::Unknown);
    }
}
