//! One connection, logged in: TCP or a channel through a jump host, key exchange, login.
//!
//! Dropping a [`Session`], or the future that opens one, ends the connection whatever it is doing
//! at that moment: the stream under it fails at once.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use russh::client::{self, DisconnectReason, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelOpenFailure, Disconnect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::HostKey;
use crate::algorithms::Algorithms;
use crate::guarded::Guard;
use crate::route::Hop;
use crate::trust::Trust;

/// How long a connection may take to say why or that it ended; it only has to write, not to wait
/// for the other side.
const CLOSING: Duration = Duration::from_secs(1);

/// A connection to one server.
pub(crate) struct Session {
    pub(crate) handle: Handle<Client>,
    ended: Arc<Mutex<Option<Ended>>>,
    guard: Guard,
    /// The session with the jump host that this one runs through.
    via: Option<Box<Self>>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The reason the server gave, if it gave one.
    pub(crate) code: Option<Disconnect>,
    pub(crate) message: String,
}

// === impl Session ===

impl Session {
    /// Connects to `hop`, through `via` if there is one, and makes sure that it is the right
    /// server. Nobody is logged in yet.
    pub(crate) async fn open(
        hop: &Hop,
        via: Option<Box<Self>>,
        trust: Trust,
        algorithms: &Algorithms,
    ) -> Result<Self> {
        let config = algorithms.config(&trust.expected());
        let ended = Arc::default();
        let client = Client {
            trust,
            ended: Arc::clone(&ended),
        };
        let guard = Guard::default();
        let connected = if let Some(jump) = &via {
            let stream = jump.tunnel(hop).await?;
            client::connect_stream(config, guard.watch(stream), client).await
        } else {
            let stream = dial(hop).await?;
            client::connect_stream(config, guard.watch(stream), client).await
        };
        match connected {
            Ok(handle) => Ok(Self {
                handle,
                ended,
                guard,
                via,
            }),
            Err(Broken::Refused(error)) => Err(error),
            Err(Broken::Protocol(error)) => Err(handshake(error, &hop.address())),
        }
    }

    /// A stream to `hop` from the server of this session.
    async fn tunnel(
        &self,
        hop: &Hop,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
        let opened = self
            .handle
            .channel_open_direct_tcpip(hop.host.as_str(), u32::from(hop.port), "127.0.0.1", 0)
            .await;
        match opened {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(
                ChannelOpenFailure::AdministrativelyProhibited,
            )) => Err(Error::new(
                Kind::Permission,
                format!(
                    "the jump host does not allow a connection to `{}`",
                    hop.address()
                ),
            )),
            Err(error) => Err(Error::new(
                Kind::Unavailable,
                format!("the jump host cannot reach `{}`", hop.address()),
            )
            .with_source(error)),
        }
    }

    /// Says goodbye, to the node first and then to the jump hosts.
    pub(crate) async fn close(self) {
        let mut next = Some(Box::new(self));
        while let Some(session) = next {
            let Self {
                handle,
                guard,
                via,
                ended: _,
            } = *session;
            // It fails only if the connection is gone already, and then there is nothing to say. A
            // connection that waits to send is cut.
            let goodbye = async {
                handle.disconnect(Disconnect::ByApplication, "", "").await?;
                match handle.await {
                    Ok(()) | Err(Broken::Refused(_)) => Ok(()),
                    Err(Broken::Protocol(error)) => Err(error),
                }
            };
            match timeout(CLOSING, goodbye).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::trace!(%error, "a connection was closed before we did"),
                Err(_) => tracing::debug!("a connection did not close in time and is cut"),
            }
            drop(guard);
            next = via;
        }
    }

    /// Why the connection ended; to be asked when it did.
    pub(crate) async fn into_end(self) -> Ended {
        let result = timeout(CLOSING, self.handle).await;
        let told = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        told.unwrap_or_else(|| Ended {
            code: None,
            message: match result {
                Ok(Err(Broken::Protocol(error))) => error.to_string(),
                Ok(Err(Broken::Refused(error))) => error.to_string(),
                Ok(Ok(())) | Err(_) => "the connection was closed".to_owned(),
            },
        })
    }
}

async fn dial(hop: &Hop) -> Result<TcpStream> {
    let unavailable = |message: String, error: io::Error| {
        Error::new(Kind::Unavailable, message).with_source(error)
    };
    let addresses = tokio::net::lookup_host((hop.host.as_str(), hop.port))
        .await
        .map_err(|error| {
            unavailable(format!("the name `{}` cannot be resolved", hop.host), error)
        })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it small packets wait for the acknowledgment of earlier ones.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot switch off delays");
                }
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(if last.kind() == io::ErrorKind::ConnectionRefused {
        unavailable(format!("`{}` refuses connections", hop.address()), last)
            .with_hint("its SSH server is not running, not yet, or on another port")
    } else {
        unavailable(format!("`{}` cannot be reached", hop.address()), last)
    })
}

/// The error for a connection that did not get as far as the login.
fn handshake(error: russh::Error, address: &str) -> Error {
    use russh::Error as E;
    match &error {
        E::NoCommonAlgo { kind, theirs, .. } => Error::new(
            Kind::Unsupported,
            format!(
                "`{address}` and we have no {kind:?} algorithm in common; it offers {}",
                theirs.join(", ")
            ),
        ),
        E::Version => Error::new(
            Kind::Unsupported,
            format!("what answers at `{address}` is not an SSH server"),
        ),
        E::IO(_) | E::Disconnect | E::HUP | E::ConnectionTimeout | E::KeepaliveTimeout => {
            Error::new(
                Kind::Unavailable,
                format!("`{address}` closed the connection before the login"),
            )
        }
        _ => Error::new(
            Kind::Unexpected,
            format!("the key exchange with `{address}` failed"),
        )
        // Nobody was logged in, so nothing can have happened.
        .with_effect(fleetwright_core::Effect::None),
    }
    .with_source(error)
}

/// What russh calls back.
pub(crate) struct Client {
    trust: Trust,
    ended: Arc<Mutex<Option<Ended>>>,
}

/// Why a connection broke: the protocol, or a key of the server that we refuse.
#[derive(Debug)]
pub(crate) enum Broken {
    Protocol(russh::Error),
    Refused(Error),
}

impl From<russh::Error> for Broken {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl client::Handler for Client {
    type Error = Broken;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Broken> {
        // We never ask for certificates, so what comes is a key.
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => self
                .trust
                .check(&HostKey::of(key))
                .map(|()| true)
                .map_err(Broken::Refused),
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Broken>) -> Result<(), Broken> {
        let (ended, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (
                Ended {
                    code: Some(info.reason_code),
                    message: info.message,
                },
                Ok(()),
            ),
            DisconnectReason::Error(Broken::Refused(error)) => (
                Ended {
                    code: None,
                    message: error.to_string(),
                },
                Err(Broken::Refused(error)),
            ),
            DisconnectReason::Error(Broken::Protocol(error)) => (
                Ended {
                    code: None,
                    message: match &error {
                        russh::Error::KeepaliveTimeout => "it does not answer any more".to_owned(),
                        russh::Error::Disconnect | russh::Error::HUP => {
                            "the connection was closed".to_owned()
                        }
                        other => other.to_string(),
                    },
                },
                Err(Broken::Protocol(error)),
            ),
        };
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        result
    }
}
