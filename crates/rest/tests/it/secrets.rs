//! No secret in any error, log or form of display.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fleetwright_core::{Kind, Result, Secret, SecretRef, SecretSource};
use fleetwright_rest::testing::{Fault, Trouble};
use fleetwright_rest::{Call, Credential};

use crate::support::{Setup, TOKEN};

/// Gives a wrong token first and the right one from the second time on.
#[derive(Debug, Default)]
struct Rotated(AtomicU32);

const OLD: &str = "old-t0ken-of-the-tests";

#[async_trait]
impl SecretSource for Rotated {
    async fn fetch(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => OLD,
            _ => TOKEN,
        }))
    }
}

#[tokio::test]
async fn a_token_that_was_refused_is_fetched_again_and_never_shown() {
    let source = Arc::new(Rotated::default());
    let reference: SecretRef = "env:CLOUD_TOKEN".parse().unwrap();
    let credential = Credential::bearer_from(reference, Arc::clone(&source) as _);
    let setup = Setup::with(1, credential);
    // The fake repeats the header in its refusal, as some gateways do.
    let error = setup
        .client
        .send(Call::get(&["numbers"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.to_string().contains("[redacted]"), "{error}");
    assert!(!format!("{error:?} {:?}", setup.client).contains(OLD));
    setup.client.send(Call::get(&["numbers"])).await.unwrap();
    setup.client.send(Call::get(&["numbers"])).await.unwrap();
    assert_eq!(source.0.load(Ordering::Relaxed), 2, "a good token is kept");
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_told_without_it() {
    let setup = Setup::with(1, Credential::bearer(Secret::new("two\nlines")));
    let error = setup
        .client
        .send(Call::get(&["numbers"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(!format!("{error:?}").contains("lines\""), "{error:?}");
    assert!(setup.server.exchanges().is_empty());
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_shows_the_token_or_a_body() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let setup = Setup::new(1);
    let user_data = "user-data-with-a-secret";
    let call = Call::post(&["servers"]).json(&serde_json::json!({ "user_data": user_data }));
    setup.client.send(call.unwrap()).await.unwrap();
    setup
        .server
        .fault(Fault::new("GET", "/**", Trouble::ResetBefore));
    setup
        .client
        .send(Call::get(&["numbers"]))
        .await
        .unwrap_err();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("POST servers"), "something is logged: {text}");
    assert!(!text.contains(TOKEN) && !text.contains(user_data), "{text}");
}
