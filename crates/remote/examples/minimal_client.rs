//! The least that an SSH client in Rust can do: one of the contestants of `cargo xtask bench ssh`.
//!
//! ```text
//!  minimal_client <file of addresses> <user> <private key> <host key> <connections at once>
//! ```
//! Connects to each `host:port` of the file, makes sure of the host key, logs in with the key and
//! runs `true`. No configuration, no limits, no retries, no words about failures. Prints how many
//! servers ended it with status 0.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::borrow::Cow;
use std::error::Error;
use std::future;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use russh::client::{self, Handler};
use russh::keys::{self, Algorithm, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect, Preferred, cipher, kex};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Client(Arc<PublicKey>);

impl Handler for Client {
    type Error = russh::Error;

    fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> impl Future<Output = Result<bool, Self::Error>> {
        // Without the comments, which are no part of a key.
        let is_known = matches!(
            key,
            PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == self.0.key_data()
        );
        future::ready(Ok(is_known))
    }
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, user, key, host_key, parallel] = words.as_slice() else {
        return Err("wrong number of arguments".into());
    };
    let addresses = std::fs::read_to_string(file)?;
    let key = Arc::new(keys::load_secret_key(Path::new(key), None)?);
    let host_key = Arc::new(PublicKey::from_openssh(host_key)?);
    let at_once = parallel.parse()?;
    // The same algorithms as ours: the cheapest of the good ones.
    let config = Arc::new(client::Config {
        preferred: Preferred {
            kex: Cow::Borrowed(&[kex::CURVE25519]),
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            cipher: Cow::Borrowed(&[cipher::AES_256_GCM]),
            ..Preferred::default()
        },
        ..client::Config::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let succeeded = runtime.block_on(async {
        stream::iter(addresses.lines())
            .map(|address| {
                let (key, server) = (Arc::clone(&key), Client(Arc::clone(&host_key)));
                let config = Arc::clone(&config);
                async move { probe(config, address, user, key, server).await.ok() }
            })
            .buffer_unordered(at_once)
            .filter(|status| future::ready(*status == Some(0)))
            .count()
            .await
    });
    println!("{succeeded}");
    Ok(())
}

async fn probe(
    config: Arc<client::Config>,
    address: &str,
    user: &str,
    key: Arc<keys::PrivateKey>,
    server: Client,
) -> Outcome<u32> {
    let mut session = client::connect(config, address, server).await?;
    let key = PrivateKeyWithHashAlg::new(key, None);
    if !session.authenticate_publickey(user, key).await?.success() {
        return Err("refused".into());
    }
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, "true").await?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    session
        .disconnect(Disconnect::ByApplication, "", "")
        .await?;
    status.ok_or_else(|| "no status".into())
}
