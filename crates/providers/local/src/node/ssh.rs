//! The SSH server of a node: public keys only, commands and shells, on 127.0.0.1.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session as Connection,
    VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Pty};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Node;
use super::session::{Backlog, Session, Terminal, Wanted, window};

/// What clients may set: how they want to read, not what runs.
const LANGUAGE_VARIABLES: [&str; 3] = ["LANG", "TERM", "COLORTERM"];

/// The server's settings.
pub(super) fn config(host_key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        keys: vec![host_key],
        // There is no password to guess; an agent that offers its keys in turn shall not wait.
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 20,
        // A command may be silent for days.
        inactivity_timeout: None,
        keepalive_interval: None,
        nodelay: true,
        ..Config::default()
    }
}

/// Serves connections until it is dropped; then they end, too.
pub(super) async fn serve(node: Arc<Node>, config: Arc<Config>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (node, config) = (Arc::clone(&node), Arc::clone(&config));
                    connections.spawn(connection(node, config, stream));
                }
                Err(error) => {
                    // Out of descriptors, mostly: those who are here must leave first.
                    node.log(&format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    node.log(&format!("a connection failed: {error}"));
                }
            }
        }
    }
}

async fn connection(node: Arc<Node>, config: Arc<Config>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        node.log(&format!("cannot set TCP_NODELAY: {error}"));
    }
    let client = Client {
        node: Arc::clone(&node),
        channels: HashMap::new(),
        ends: ends(&stream),
    };
    let ended = match russh::server::run_stream(config, stream, client).await {
        Ok(session) => session.await,
        Err(error) => Err(error),
    };
    match ended {
        // Clients leave as they like.
        Ok(()) | Err(russh::Error::IO(_) | russh::Error::Disconnect | russh::Error::HUP) => {}
        Err(error) => node.log(&format!("a connection ended: {error}")),
    }
}

/// Who is connected with what, as OpenSSH's `SSH_CONNECTION` says it: address and port of the client
/// and of the server. Nothing if the client has left already.
fn ends(stream: &TcpStream) -> Option<String> {
    let (client, server) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    Some(format!(
        "{} {} {} {}",
        client.ip(),
        client.port(),
        server.ip(),
        server.port()
    ))
}

/// Whether this key is in the node's `authorized_keys`, read anew each time. A file that cannot
/// be read lets nobody in.
fn is_authorized(node: &Node, user: &str, key: &PublicKey) -> bool {
    if user != node.record.user {
        return false;
    }
    match std::fs::read_to_string(node.dir.authorized_keys()) {
        Ok(text) => text
            .lines()
            .filter_map(|line| PublicKey::from_openssh(line.trim()).ok())
            .any(|known| known.key_data() == key.key_data()),
        Err(error) => {
            node.log(&format!("cannot read `authorized_keys`: {error}"));
            false
        }
    }
}

/// A client and its channels.
struct Client {
    node: Arc<Node>,
    channels: HashMap<ChannelId, Open>,
    /// The value of `SSH_CONNECTION`.
    ends: Option<String>,
}

/// A channel, before and while something runs in it.
struct Open {
    /// Gone once something runs.
    channel: Option<Channel<Msg>>,
    terminal: Option<Terminal>,
    variables: Vec<(String, String)>,
    backlog: Backlog,
}

// === impl Client ===

impl Client {
    fn start(
        &mut self,
        id: ChannelId,
        wanted: &Wanted,
        connection: &mut Connection,
    ) -> Result<(), russh::Error> {
        let Some((open, channel)) = self
            .channels
            .get_mut(&id)
            .and_then(|open| open.channel.take().map(|channel| (open, channel)))
        else {
            // A channel runs one thing (RFC 4254, 6.5).
            return connection.channel_failure(id);
        };
        match Session::start(
            &self.node,
            channel,
            wanted,
            open.terminal.as_ref(),
            &open.variables,
            open.backlog.clone(),
        ) {
            Ok(session) => {
                connection.channel_success(id)?;
                let handle = connection.handle();
                self.node.sessions.spawn(session.attend(handle));
                Ok(())
            }
            Err(error) => {
                self.refuse(id, &error, connection)?;
                connection.close(id)
            }
        }
    }

    fn refuse(
        &self,
        id: ChannelId,
        error: &io::Error,
        connection: &mut Connection,
    ) -> Result<(), russh::Error> {
        self.node.log(&format!("cannot start a command: {error}"));
        connection.channel_failure(id)
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if is_authorized(&self.node, user, offer.public_key) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if is_authorized(&self.node, user, key.public_key) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Connection,
    ) -> Result<(), Self::Error> {
        let open = Open {
            terminal: None,
            variables: self
                .ends
                .iter()
                .map(|ends| ("SSH_CONNECTION".to_owned(), ends.clone()))
                .collect(),
            backlog: Backlog::default(),
            channel: None,
        };
        let id = channel.id();
        self.channels.insert(
            id,
            Open {
                channel: Some(channel),
                ..open
            },
        );
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        _: &[u8],
        _: &mut Connection,
    ) -> Result<(), Self::Error> {
        let delay = self
            .channels
            .get(&id)
            .map_or(Duration::ZERO, |open| open.backlog.delay());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        let allowed = LANGUAGE_VARIABLES.contains(&name) || name.starts_with("LC_");
        let clean = !name.contains(['=', '\0']) && !value.contains('\0');
        match self.channels.get_mut(&id) {
            Some(open) if allowed && clean => {
                open.variables.push((name.to_owned(), value.to_owned()));
                connection.channel_success(id)
            }
            _ => connection.channel_failure(id),
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        name: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        _: &[(Pty, u32)],
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&id) {
            Some(open) if !name.contains('\0') => {
                open.terminal = Some(Terminal {
                    name: name.to_owned(),
                    size: window(columns, rows, width, height),
                });
                connection.channel_success(id)
            }
            _ => connection.channel_failure(id),
        }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        // The session sees the message itself.
        connection.channel_success(id)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.start(id, &Wanted::Line(line.to_owned()), connection)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.start(id, &Wanted::Shell, connection)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        connection.channel_failure(id)
    }
}
