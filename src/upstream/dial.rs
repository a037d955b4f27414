//! From an endpoint's settings to a connected stream: refuse, connect, say for whom, shake hands.
//!
//! The only place where Rhumb connects to an origin, for requests and health checks alike. What is
//! spoken on the stream then is not decided here, only found out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::permitted::permitted;
use super::race::connect;
use super::stream::Stream;
use crate::config::{Alpn, EndpointUrl, Host, ProxyProtocolVersion, Scheme, Transport};
use crate::model::limits;
use crate::overload::is_shortage;
use crate::proxy_protocol;

/// An endpoint, and how to get there.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it is called, for requests and certificates.
    pub url: EndpointUrl,
    /// Where it is; `None`: its name has no address that is known.
    pub address: Option<SocketAddr>,
    /// The same host in the other family, for when it is not reached in this one.
    pub twin: Option<SocketAddr>,
    /// In which way.
    pub transport: Arc<Transport>,
    /// What handshakes of `https` endpoints need.
    pub tls: Option<Arc<ClientConfig>>,
    /// Networks that it may lie in although they are refused by default.
    pub allowed: Arc<[IpNet]>,
}

/// For whom a connection is made, as endpoints that get the PROXY protocol are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where the client connects from.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One exchange after the other.
    Http1,
    /// Many at once.
    Http2,
}

/// Why there is no connection. Can be told to many that wait for the same one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// It took too long, whatever it was that did.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// There is no address to connect to.
    #[error("no address is known for its name; see `rhumb_names_lookups_total` and the log")]
    Unresolved,
    /// It lies in a network that endpoints must not lie in.
    #[error("endpoint refused: {0} lies in a network that origins.allow does not name")]
    Refused(IpAddr),
    /// No address accepts the connection.
    #[error("cannot connect")]
    Connect(#[source] Arc<io::Error>),
    /// Its certificate is not to be believed, or there is no common ground.
    #[error("the TLS handshake failed")]
    Tls(#[source] Arc<io::Error>),
    /// It does not speak what it is configured to.
    #[error("the handshake agreed on no protocol that tls.alpn names")]
    Protocol,
    /// It closed the connection instead of saying what it allows.
    #[error("it does not speak HTTP/2: it closed the connection at once")]
    Closed,
    /// It takes no requests on its connections.
    #[error("it allows no streams of HTTP/2")]
    NoStreams,
    /// The HTTP machinery could not start.
    #[error("it does not speak HTTP as configured")]
    Http(#[source] Arc<hyper::Error>),
    /// All connections that may be made there are busy to their last stream.
    #[error("no stream became free within {0:?}")]
    Busy(Duration),
    /// There is nothing to shake hands with. A bug, since a configuration is used only as a whole.
    #[error("nothing is known of TLS there")]
    Unprepared,
}

impl DialError {
    /// Whether it is unlikely to go away by itself.
    pub(super) fn is_misconfigured(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Protocol | Self::Unprepared => true,
            Self::Closed | Self::Http(_) | Self::NoStreams => true,
            // Not what breaks off in the middle of a handshake.
            Self::Tls(error) => error.kind() == io::ErrorKind::InvalidData,
            Self::Timeout(_) | Self::Unresolved | Self::Connect(_) | Self::Busy(_) => false,
        }
    }

    /// Whether it was this side that had something missing, such as a descriptor.
    pub fn is_own_shortage(&self) -> bool {
        match self {
            Self::Connect(error) => is_shortage(error),
            _ => false,
        }
    }

    /// All that is known of the cause.
    pub fn detail(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

impl Route {
    /// Whether HTTP/2 may be spoken there.
    pub(super) fn may_multiplex(&self) -> bool {
        match self.url.scheme {
            Scheme::Http => false,
            Scheme::Https => self.transport.tls.alpn.contains(&Alpn::H2),
            Scheme::H2c => true,
        }
    }

    /// The same route with nothing but HTTP/1.1 on offer; `None` if that is not spoken there.
    pub(super) fn http1(&self) -> Option<Self> {
        let mut route = self.clone();
        match self.url.scheme {
            Scheme::H2c => return None,
            Scheme::Http => return Some(route),
            Scheme::Https if !self.transport.tls.alpn.contains(&Alpn::Http11) => return None,
            Scheme::Https => {}
        }
        let alpn = vec![Alpn::Http11];
        if let Some(tls) = &mut route.tls {
            Arc::make_mut(tls).alpn_protocols =
                alpn.iter().map(|protocol| protocol.as_str().into()).collect();
        }
        Arc::make_mut(&mut route.transport).tls.alpn = alpn;
        Some(route)
    }

    /// Whether its connections belong to one caller each.
    pub(super) fn is_personal(&self) -> bool {
        self.transport.proxy_protocol.is_some()
    }

    /// Whether a pool of the one is good for the other. A twin is no part of it: what is connected
    /// stays connected when it goes.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same_tls
            && self.url == other.url
            && self.address == other.address
            && self.transport == other.transport
            && self.allowed == other.allowed
    }

    /// Connects within a time. `caller` is told to endpoints that want to know; without one, they
    /// are told that Rhumb itself connects.
    ///
    /// # Errors
    ///
    /// How far it came. Nothing of HTTP was sent.
    pub async fn dial(
        &self,
        caller: Option<Caller>,
        within: Duration,
    ) -> Result<(Stream, Protocol), DialError> {
        let dialled = tokio::time::timeout(within, self.dial_patiently(caller)).await;
        dialled.map_err(|_| DialError::Timeout(within))?
    }

    async fn dial_patiently(
        &self,
        caller: Option<Caller>,
    ) -> Result<(Stream, Protocol), DialError> {
        let (address, twin) = permitted(self)?;
        let connected = connect(address, twin).await;
        let mut stream = connected.map_err(|error| DialError::Connect(error.into()))?;
        if let Some(version) = self.transport.proxy_protocol {
            introduce(&mut stream, version, caller)
                .await
                .map_err(|e| DialError::Connect(e.into()))?;
        }
        match self.url.scheme {
            Scheme::Http => Ok((Stream::Tcp(stream), Protocol::Http1)),
            Scheme::H2c => Ok((Stream::Tcp(stream), Protocol::Http2)),
            Scheme::Https => self.shake_hands(stream).await,
        }
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<(Stream, Protocol), DialError> {
        let config = self.tls.as_ref().ok_or(DialError::Unprepared)?;
        let name = self.server_name()?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await.map_err(|e| DialError::Tls(e.into()))?;
        let agreed = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            // Without ALPN it is what HTTP has always been.
            _ if self.transport.tls.alpn.contains(&Alpn::Http11) => Protocol::Http1,
            _ => return Err(DialError::Protocol),
        };
        Ok((Stream::Tls(Box::new(stream)), agreed))
    }

    /// The name that is asked for and verified.
    fn server_name(&self) -> Result<ServerName<'static>, DialError> {
        let named = match (&self.transport.tls.server_name, &self.url.host) {
            (Some(name), _) => ServerName::try_from(name.clone()),
            (None, Host::Name(name)) => {
                // A name in a certificate never ends in a dot.
                ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            }
            (None, Host::Address(address)) => Ok(ServerName::IpAddress((*address).into())),
        };
        named.map_err(|error| {
            DialError::Tls(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, error)))
        })
    }
}

/// Says for whom the connection is, before the first byte of anything else.
async fn introduce(
    stream: &mut TcpStream,
    version: ProxyProtocolVersion,
    caller: Option<Caller>,
) -> io::Result<()> {
    // Nobody in particular: the header then says that the connection is Rhumb's own.
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    let Caller { source, destination } =
        caller.unwrap_or(Caller { source: nobody, destination: nobody });
    let mut header = Vec::with_capacity(limits::PROXY_HEADER_WRITTEN);
    proxy_protocol::write(version, source, destination, &mut header);
    stream.write_all(&header).await
}
