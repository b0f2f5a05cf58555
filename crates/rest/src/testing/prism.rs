//! A second judge of the same description: Prism, a proxy that others wrote.
//!
//! ```text
//!  exchange of a fake ──request──► Prism ──► Echo: the reply that the fake gave
//!                                    └──► `sl-violations`: what it does not allow in either
//! ```
//! [`Description`] reads the vendor's file with code of ours; were that too lenient, nobody would
//! notice. So what provider and fake have said to each other goes through Prism once more,
//! afterwards and word for word: faults that a test has ordered stay out of it, and Prism's own
//! reading of bodies does not reach the provider.
//!
//! Prism says nothing if it cannot read a schema, and lets everything pass then. So each operation
//! is tried with a body that is certainly wrong, too, and it must complain.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Description, Exchange, Reply, Request, Server, World, skipped};
use crate::tls;

/// Names Prism's program, a file of JavaScript. `cargo xtask test` installs it and sets this.
const PROGRAM: &str = "FLEETWRIGHT_TEST_PRISM";
/// Says which exchange a request belongs to.
const NUMBER: &str = "x-fleetwright-exchange";
/// How a status is complained about that an operation does not list.
const UNLISTED: &str = "Unable to match the returned status code";
/// How a header begins that has no room for all violations.
const MANY: &str = "Too many violations!";
/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// How often it is asked whether it has started, and how long between: it takes ten seconds where
/// nothing else runs.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(500);

/// A running Prism. It ends when this is dropped.
pub struct Prism {
    process: Child,
    folder: PathBuf,
    url: String,
    client: reqwest::Client,
    description: Arc<Description>,
    echo: Arc<Echo>,
    _upstream: Server,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    exchanges: usize,
    /// What was judged, so that the same words are judged once.
    known: HashSet<u64>,
    /// The operations whose bodies were tried with something wrong.
    doubted: HashSet<String>,
    /// Each violation with how many exchanges had it.
    violations: BTreeMap<String, usize>,
}

/// Answers what the fake has answered.
#[derive(Debug, Default)]
struct Echo(Mutex<HashMap<String, Reply>>);

impl World for Echo {
    fn answer(&self, request: &Request) -> Reply {
        let number = request.header(NUMBER).unwrap_or_default();
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        replies.remove(number).unwrap_or_else(|| Reply::empty(200))
    }
}

// === impl Prism ===

impl Prism {
    /// Starts one on the description that a fake is judged by. `None`, said on standard error, if
    /// there is no description or no Prism here.
    ///
    /// # Panics
    /// If it does not start, or lets pass what no description has: then it proves nothing.
    pub async fn start(description: Option<&Arc<Description>>) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let Some(description) = description else {
            skipped("no description for a second judge");
            return None;
        };
        let Some(program) = std::env::var_os(PROGRAM) else {
            skipped("no Prism (`cargo xtask test` brings one where Node is installed)");
            return None;
        };
        let name = format!(
            "fleetwright-prism-{}-{}",
            std::process::id(),
            STARTED.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        let file = folder.join("openapi.json");
        std::fs::write(&file, description.root().to_string()).expect("it can be written to");
        let log = std::fs::File::create(folder.join("log")).expect("it can be written to");
        let errors = log.try_clone().expect("an open file can be used twice");

        let echo = Arc::new(Echo::default());
        let upstream = Server::start(Arc::clone(&echo) as Arc<dyn World>, None);
        let port = free_port();
        let process = Command::new("node")
            .arg(program)
            .args(["proxy", "--errors=false", "--host=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg("--verboseLevel=fatal")
            .args([file.as_os_str(), upstream.url().as_ref()])
            // Otherwise it may start a process for each processor.
            .env("NODE_ENV", "test")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("Node can be started");
        let client = reqwest::Client::builder()
            .no_proxy()
            // Prism closes connections that nobody has used for a while, perhaps just as they are.
            .pool_max_idle_per_host(0)
            .tls_backend_preconfigured(tls::config().expect("TLS is there, if unused"))
            .build()
            .expect("a client can be made");
        let mut prism = Self {
            process,
            folder,
            url: format!("http://127.0.0.1:{port}"),
            client,
            description: Arc::clone(description),
            echo,
            _upstream: upstream,
            seen: Mutex::default(),
        };
        prism.wait().await;
        Some(prism)
    }

    /// Waits until it answers, and sees whether it judges at all.
    async fn wait(&mut self) {
        let nowhere = format!("{}/fleetwright/is/not/documented", self.url);
        for _ in 0..TRIES {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("Prism ended with {status}: {}", self.log());
            }
            if let Ok(answer) = self.client.get(&nowhere).send().await {
                let said = answer.headers().get("sl-violations");
                assert!(
                    said.is_some(),
                    "Prism lets pass what is not documented: {answer:?}"
                );
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("Prism does not answer: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_else(|error| error.to_string())
    }

    /// Judges what was said to a fake and what it answered. Of an exchange that never reached the
    /// fake's world nothing is judged: its answer was ordered by the test.
    pub async fn judge(&self, exchanges: &[Exchange]) {
        let mut running = JoinSet::new();
        for exchange in exchanges {
            let (request, Some(reply)) = (&exchange.request, &exchange.reply) else {
                continue;
            };
            let digest = digest(request, reply);
            {
                let mut seen = self.seen();
                seen.exchanges += 1;
                if !seen.known.insert(digest) {
                    continue;
                }
            }
            let label = self.description.label(request);
            let (mut wrong_request, mut wrong_reply) = (request.clone(), reply.clone());
            wrong_request.body = twisted(&request.body);
            wrong_reply.body = twisted(&reply.body);
            let errors = self.description.has_errors_in_prose();
            let is_prose = errors && reply.status >= 400;
            if !request.body.is_empty() && self.is_new(format!("{label} request")) {
                let sent = self.sent(&wrong_request, reply, &format!("{digest}-request"));
                running.spawn(doubt(sent, reply.status, label.clone(), "request"));
            }
            if !reply.body.is_empty()
                && !is_prose
                && self.is_new(format!("{label} {}", reply.status))
            {
                let sent = self.sent(request, &wrong_reply, &format!("{digest}-reply"));
                running.spawn(doubt(sent, reply.status, label.clone(), "response"));
            }
            let sent = self.sent(request, reply, &digest.to_string());
            let reply_status = reply.status;
            running.spawn(async move {
                let mut said = ask(sent, reply_status, label).await;
                // That statuses are not in the tables, the prose has said.
                said.retain(|one| !(is_prose && one.contains(UNLISTED)));
                said
            });
            while running.len() > AT_ONCE {
                self.take(running.join_next().await);
            }
        }
        while let Some(said) = running.join_next().await {
            self.take(Some(said));
        }
    }

    fn is_new(&self, operation: String) -> bool {
        self.seen().doubted.insert(operation)
    }

    fn take(&self, said: Option<Result<Vec<String>, tokio::task::JoinError>>) {
        let said = said
            .expect("somebody is asked")
            .expect("asking cannot panic");
        let mut seen = self.seen();
        for violation in said {
            *seen.violations.entry(violation).or_default() += 1;
        }
    }

    /// A request to Prism, of which it will see this reply.
    fn sent(&self, from: &Request, reply: &Reply, number: &str) -> reqwest::RequestBuilder {
        let mut replies = self.echo.0.lock().unwrap_or_else(PoisonError::into_inner);
        replies.insert(number.to_owned(), reply.clone());
        drop(replies);
        let mut path = self.description.below_base(from).to_owned();
        if !from.queries().is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(from.queries())
                .finish();
            path = format!("{path}?{query}");
        }
        let method = from
            .method()
            .parse()
            .expect("a method that was sent before");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        let ours = ["host", "content-length", "connection", "transfer-encoding"];
        for (name, value) in &from.headers {
            if !ours.contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        if !from.body.is_empty() {
            request = request.body(from.body.clone());
        }
        request.header(NUMBER, number)
    }

    /// Ends the test if there is a violation that nobody has waived, if a waiver is not needed, or
    /// if nothing was judged. A waiver is how violations begin, and why they do not count.
    ///
    /// # Panics
    /// With all of it.
    #[expect(clippy::print_stdout, reason = "a test says how much it has judged")]
    pub fn finish(self, waivers: &[(&str, &str)]) {
        let seen = self.seen();
        let is_waived = |violation: &str| {
            waivers
                .iter()
                .any(|(start, _)| violation.starts_with(start))
        };
        let (waived, left): (Vec<_>, Vec<_>) = seen
            .violations
            .iter()
            .partition(|(violation, _)| is_waived(violation));
        println!(
            "prism: {} exchanges, {} of them different, {} violations waived, {} left",
            seen.exchanges,
            seen.known.len(),
            waived.len(),
            left.len(),
        );
        let mut wrong: Vec<String> = left
            .iter()
            .map(|(violation, times)| format!("{violation} ({times} times)"))
            .collect();
        for (start, why) in waivers {
            if !waived
                .iter()
                .any(|(violation, _)| violation.starts_with(start))
            {
                wrong.push(format!("the waiver `{start}` is not needed: {why}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "Prism does not agree:\n{}",
            wrong.join("\n")
        );
        assert!(!seen.known.is_empty(), "nothing was judged");
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prism({}, {:?})", self.url, self.description)
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        // Neither a process that has ended already nor a folder that is gone matters any more.
        let _: std::io::Result<()> = self.process.kill();
        let _: std::io::Result<_> = self.process.wait();
        let _: std::io::Result<()> = std::fs::remove_dir_all(&self.folder);
    }
}

/// What Prism says about one exchange. That it cannot be asked is a violation, too.
async fn ask(request: reqwest::RequestBuilder, status: u16, label: String) -> Vec<String> {
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return vec![format!("{label}: Prism does not answer: {error}")],
    };
    let said = answer.headers().get("sl-violations").cloned();
    let said = said.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut all = said.map_or_else(Vec::new, |text| violations(&label, status, &text));
    if answer.status().as_u16() != status {
        let own = answer.status();
        let body = answer.text().await.unwrap_or_default();
        all.push(format!(
            "{label}: Prism answers {own} instead of {status}: {body}"
        ));
    }
    all
}

/// Whether Prism complains about a body that is certainly wrong. That it does not is a violation.
async fn doubt(
    request: reqwest::RequestBuilder,
    status: u16,
    label: String,
    place: &'static str,
) -> Vec<String> {
    let said = ask(request, status, label.clone()).await;
    let complaint = format!("{label}: {place}");
    // Too many to be taken apart are enough.
    let many = format!("{label}: {MANY}");
    let objects = |one: &String| one.starts_with(&complaint) || one.starts_with(&many);
    if said.iter().any(objects) {
        return Vec::new();
    }
    vec![format!("{complaint} {status}: Prism lets every body pass")]
}

/// The violations in a header of Prism's, without what differs from one exchange to the next.
fn violations(label: &str, status: u16, header: &str) -> Vec<String> {
    let Ok(Value::Array(all)) = serde_json::from_str(header) else {
        return vec![format!("{label}: {header}")];
    };
    all.iter()
        .map(|violation| {
            let message = general(violation["message"].as_str().unwrap_or_default());
            match violation["location"][0].as_str() {
                Some("response") => format!("{label}: response {status}: {message}"),
                place => format!("{label}: {}: {message}", place.unwrap_or("exchange")),
            }
        })
        .collect()
}

/// `data.3.id` as `data.*.id`: the third is no better than the fourth.
fn general(message: &str) -> String {
    let word = |word: &str| {
        let part = |part: &str| match part.parse::<u32>() {
            Ok(_) => "*".to_owned(),
            Err(_) => part.to_owned(),
        };
        if word.contains('.') {
            word.split('.').map(part).collect::<Vec<_>>().join(".")
        } else {
            word.to_owned()
        }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The same body with every text, number and truth in it replaced by what none of them is. A schema
/// that says anything about it says no.
fn twisted(body: &[u8]) -> Bytes {
    fn twist(value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => fields.values_mut().for_each(twist),
            Value::Array(items) if !items.is_empty() => items.iter_mut().for_each(twist),
            Value::String(_) | Value::Number(_) | Value::Bool(_) => *value = json!([[]]),
            Value::Object(_) | Value::Array(_) | Value::Null => *value = json!(7),
        }
    }
    let mut value = serde_json::from_slice(body).unwrap_or(Value::Null);
    twist(&mut value);
    value.to_string().into()
}

fn digest(request: &Request, reply: &Reply) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        &request.method,
        &request.path,
        &request.query,
        &request.body,
    )
        .hash(&mut hasher);
    (reply.status, &reply.media_type, &reply.body).hash(&mut hasher);
    hasher.finish()
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on the loopback interface")
        .port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twisted_body_has_the_same_keys_and_no_value_of_the_same_type() {
        let body = json!({ "a": "x", "b": [1, true], "c": { "d": null }, "e": [], "f": {} });
        let expected = json!({
            "a": [[]], "b": [[[]], [[]]], "c": { "d": 7 }, "e": 7, "f": 7,
        });
        let twisted = twisted(body.to_string().as_bytes());
        assert_eq!(serde_json::from_slice::<Value>(&twisted).unwrap(), expected);
    }

    #[test]
    fn a_violation_is_the_same_whichever_element_has_it() {
        let header = r#"[{"location":["response","body","data","3"],"severity":"Error",
            "message":"Response body property data.3 must have required property 'name'"}]"#;
        assert_eq!(
            violations("GET /things", 200, header),
            [
                "GET /things: response 200: Response body property data.* must have required property 'name'"
            ]
        );
        assert_eq!(
            violations("GET /things", 200, "Too many violations! [{"),
            ["GET /things: Too many violations! [{"]
        );
    }
}
