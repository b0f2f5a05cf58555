//! A plain HTTP client: what the SDK would send, written by hand.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fleetwright_aws_fake::{Fake, FakeConfig};

/// A client of one service in one region.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: String,
    service: &'static str,
    region: &'static str,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A fake with the usual settings.
pub(crate) fn start() -> Fake {
    Fake::start(FakeConfig::default()).unwrap()
}

/// Whether the official models are there; says so if they are not, and what is not checked then.
#[expect(clippy::print_stdout, reason = "a test that skips something says so")]
pub(crate) fn has_models(what: &str) -> bool {
    let has_models = fleetwright_aws_fake::models().is_some();
    if !has_models {
        println!("skipped: no description ({what})");
    }
    has_models
}

/// Fails if the checker found anything, and says so if it could not check.
pub(crate) fn expect_no_violations(fake: &Fake) {
    has_models("requests and answers are not checked against the official models");
    assert_eq!(fake.violations(), Vec::<String>::new());
}

/// Asks until the answer is yes, for ten seconds.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "not so: {what}");
        pause(Duration::from_millis(5));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake lives in real time, in a thread of its own"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Client {
    pub(crate) fn new(fake: &Fake, service: &'static str) -> Self {
        Self {
            address: fake.endpoint().replace("http://", ""),
            service,
            region: "us-east-1",
        }
    }

    /// Calls an action with a form; names and values alternate.
    pub(crate) fn form(&self, action: &str, params: &[(&str, &str)]) -> Reply {
        let version = match self.service {
            "ec2" => "2016-11-15",
            "autoscaling" => "2011-01-01",
            "elasticloadbalancing" => "2015-12-01",
            _ => "2011-06-15",
        };
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in params {
            body += "&";
            body += name;
            body += "=";
            body += &encode(value);
        }
        let kind = "application/x-www-form-urlencoded";
        self.send("POST", "/", &[("content-type", kind)], &body)
    }

    /// Calls an action with JSON.
    pub(crate) fn json(&self, target: &str, body: &serde_json::Value) -> Reply {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        self.send("POST", "/", &headers, &body.to_string())
    }

    /// Sends any request.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let (service, region) = (self.service, self.region);
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             authorization: AWS4-HMAC-SHA256 \
             Credential=AKID/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            request += [name, ": ", value, "\r\n"].concat().as_str();
        }
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .write_all(format!("{request}\r\n{body}").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            body: body.to_owned(),
        }
    }
}

impl Reply {
    /// The same reply, if it is a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    /// The code and the message of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (String, String) {
        assert!(self.status >= 400, "{}", self.body);
        if self.body.starts_with('{') {
            let body = self.value();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            return (text("__type"), text("message"));
        }
        let first = |name: &str| self.texts(name).into_iter().next().unwrap_or_default();
        (first("Code"), first("Message"))
    }

    /// The texts of all elements with this name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.body
            .split(&open)
            .skip(1)
            .map(|rest| unescape(rest.split(&close).next().unwrap_or_default()))
            .collect()
    }

    /// The body as JSON.
    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
