//! Proving who we are: key files in their order, then the keys of the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_core::{Error, Kind};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use crate::identity::{Identities, Loaded};
use crate::route::Hop;
use crate::session::Client;

/// How an attempt to log in ended.
pub(crate) enum Login {
    /// We are in.
    Accepted,
    /// The server does not want us.
    Refused(Error),
    /// The connection is gone; its session knows why. What had been tried by then.
    Lost(Vec<String>),
}

/// Logs in to the server of `hop`.
pub(crate) async fn log_in(
    handle: &mut Handle<Client>,
    hop: &Hop,
    identities: &Identities,
    agent: Option<&Path>,
) -> Login {
    let mut attempt = Attempt {
        handle,
        hop,
        offered: Vec::new(),
        locked: Vec::new(),
        tried: Vec::new(),
        rsa_hash: None,
    };
    let ended = match attempt.offer_files(identities).await {
        Ok(()) => match agent {
            Some(socket) => attempt.offer_agent(socket).await,
            None => Ok(()),
        },
        ended => ended,
    };
    match ended {
        Err(End::Accepted) => Login::Accepted,
        Err(End::Refused(error)) => Login::Refused(error),
        Err(End::Lost) => Login::Lost(attempt.tried),
        Ok(()) => Login::Refused(attempt.into_error()),
    }
}

/// Why no further key has to be tried.
enum End {
    Accepted,
    Refused(Error),
    Lost,
}

struct Attempt<'a> {
    handle: &'a mut Handle<Client>,
    hop: &'a Hop,
    /// Keys that were shown already: the agent need not show them again.
    offered: Vec<KeyData>,
    /// Keys that only the agent can sign with.
    locked: Vec<(PathBuf, Option<KeyData>, &'static str)>,
    /// What was tried, in words.
    tried: Vec<String>,
    /// The hash that the server wants with RSA keys, once it was asked.
    rsa_hash: Option<HashAlg>,
}

impl Attempt<'_> {
    async fn offer_files(&mut self, identities: &Identities) -> Result<(), End> {
        for path in &self.hop.identities {
            match identities.load(path) {
                Loaded::Usable(key) => self.offer_file(path, key).await?,
                Loaded::Locked { public, reason } => {
                    let public = public.map(|public| public.key_data().clone());
                    self.locked.push((path.clone(), public, reason));
                }
                Loaded::Unusable(reason) => {
                    self.tried.push(format!("`{}` ({reason})", path.display()));
                }
            }
        }
        Ok(())
    }

    async fn offer_file(&mut self, path: &Path, key: Arc<PrivateKey>) -> Result<(), End> {
        self.offered.push(key.public_key().key_data().clone());
        let hash = self.hash_for(key.algorithm().is_rsa()).await?;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self
            .handle
            .authenticate_publickey(self.hop.user.as_str(), key)
            .await;
        let what = format!("`{}`", path.display());
        match answer {
            Ok(answer) => self.judge(&answer, &what),
            Err(russh::Error::SendError) => Err(End::Lost),
            Err(error) => {
                self.tried.push(format!("{what} ({error})"));
                Ok(())
            }
        }
    }

    async fn offer_agent(&mut self, socket: &Path) -> Result<(), End> {
        let broken = |error: &dyn std::fmt::Display| {
            format!("the agent at `{}` ({error})", socket.display())
        };
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(error) => {
                self.tried.push(broken(&error));
                return Ok(());
            }
        };
        // Keys that the agent holds for certain hosts only are shown after this; agents that do
        // not know the request say so, and have no such keys.
        if let Some(binding) = self.handle.agent_session_binding()
            && let Err(error) = agent.bind_session(binding, false).await
        {
            tracing::debug!(%error, "the agent does not bind the session");
        }
        let mut keys = match agent.request_identities().await {
            Ok(keys) => keys,
            Err(error) => {
                self.tried.push(broken(&error));
                return Ok(());
            }
        };
        keys.retain(|key| {
            let data = data_of(key);
            let is_locked = self.is_locked(&data);
            let is_allowed = !self.hop.identities_only || is_locked;
            is_allowed && !self.offered.contains(&data)
        });
        // Servers count attempts: first the keys that were named.
        keys.sort_by_key(|key| !self.is_locked(&data_of(key)));
        for key in keys {
            self.offer_agent_key(&mut agent, key).await?;
        }
        Ok(())
    }

    async fn offer_agent_key(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        identity: AgentIdentity,
    ) -> Result<(), End> {
        let data = data_of(&identity);
        let mut what = format!("`{}` of the agent", data.fingerprint(HashAlg::Sha256));
        let hash = self.hash_for(data.is_rsa()).await?;
        let user = self.hop.user.as_str();
        self.offered.push(data);
        let answer = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle
                    .authenticate_publickey_with(user, key, hash, agent)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                what.push_str(", with its certificate");
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, agent)
                    .await
            }
        };
        match answer {
            Ok(answer) => self.judge(&answer, &what),
            Err(russh::AgentAuthError::Send(_)) => Err(End::Lost),
            Err(russh::AgentAuthError::Key(error)) => {
                self.tried.push(format!("{what} ({error})"));
                Ok(())
            }
        }
    }

    fn judge(&mut self, answer: &AuthResult, what: &str) -> Result<(), End> {
        let AuthResult::Failure {
            remaining_methods,
            partial_success,
        } = answer
        else {
            return Err(End::Accepted);
        };
        if self.handle.is_closed() {
            self.tried.push(format!("{what} (no answer)"));
            return Err(End::Lost);
        }
        let label = self.hop.label();
        if *partial_success {
            return Err(End::Refused(Error::new(
                Kind::Auth,
                format!(
                    "`{label}` accepts {what}, but wants more than a key: {}",
                    names(remaining_methods)
                ),
            )));
        }
        self.tried.push(format!("{what} (refused)"));
        if !remaining_methods.contains(&MethodKind::PublicKey) {
            return Err(End::Refused(Error::new(
                Kind::Auth,
                format!(
                    "`{label}` accepts no keys at all; it offers: {}",
                    names(remaining_methods)
                ),
            )));
        }
        Ok(())
    }

    /// The hash to sign with, which only RSA leaves open. The server is asked once.
    async fn hash_for(&mut self, is_rsa: bool) -> Result<Option<HashAlg>, End> {
        if !is_rsa {
            return Ok(None);
        }
        if self.rsa_hash.is_some() {
            return Ok(self.rsa_hash);
        }
        let hash = match self.handle.best_supported_rsa_hash().await {
            // Never SHA-1: what a server does not say, or says to be SHA-1 only, is tried with
            // the hash that every server of the last ten years understands.
            Ok(hash) => hash.flatten().or(Some(HashAlg::Sha256)),
            Err(_) => return Err(End::Lost),
        };
        self.rsa_hash = hash;
        Ok(hash)
    }

    fn is_locked(&self, key: &KeyData) -> bool {
        self.locked
            .iter()
            .any(|(_, public, _)| public.as_ref() == Some(key))
    }

    fn into_error(self) -> Error {
        let label = self.hop.label();
        let mut tried = self.tried;
        let mut hint = None;
        for (path, public, reason) in &self.locked {
            let was_offered = public
                .as_ref()
                .is_some_and(|public| self.offered.contains(public));
            if !was_offered {
                tried.push(format!("`{}` ({reason})", path.display()));
                hint = Some(format!(
                    "`ssh-add {}` lets the agent sign with that key",
                    path.display()
                ));
            }
        }
        if tried.is_empty() {
            return Error::new(
                Kind::Auth,
                format!("there is no key to log in to `{label}` with"),
            )
            .with_hint("name a private key file, or load a key into the agent");
        }
        let error = Error::new(
            Kind::Auth,
            format!("`{label}` accepts none of our keys: {}", tried.join(", ")),
        );
        error.with_hint(hint.unwrap_or_else(|| {
            "the public key must be in the node's `authorized_keys` for that user".to_owned()
        }))
    }
}

fn data_of(identity: &AgentIdentity) -> KeyData {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.key_data().clone(),
        AgentIdentity::Certificate { certificate, .. } => certificate.public_key().clone(),
    }
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
