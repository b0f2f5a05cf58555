//! A tiny HTTP client that signs nothing but says for whom it is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fleetwright_aws_fake::Fake;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the body is as long as was announced.
    pub(crate) is_whole: bool,
}

impl Reply {
    /// The texts of all elements with this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.body
            .match_indices(&open)
            .filter_map(|(at, open)| self.body[at + open.len()..].split(&close).next())
            .collect()
    }

    /// The text of the first element with this name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.first("Code").unwrap_or("")
    }

    /// The sentence of a refusal.
    pub(crate) fn message(&self) -> &str {
        self.first("Message").unwrap_or("")
    }
}

/// Calls an action of EC2 in us-east-1, which must answer as the official model says.
pub(crate) fn call(fake: &Fake, action: &str, parameters: &[(&str, &str)]) -> Reply {
    let reply = try_call(fake, "us-east-1", action, parameters).expect("an answer");
    if reply.status == 200 {
        // Refused requests may be against the model: that is why they are refused.
        assert_eq!(fake.violations(), Vec::<String>::new());
    }
    reply
}

/// Calls an action of EC2; `None` if the connection ended without an answer.
pub(crate) fn try_call(
    fake: &Fake,
    region: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> Option<Reply> {
    let mut stream = connect(fake);
    send(&mut stream, region, action, parameters);
    receive(&mut stream)
}

/// A connection.
pub(crate) fn connect(fake: &Fake) -> TcpStream {
    let endpoint = fake.endpoint();
    let stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    stream
}

/// Sends a request on a connection that stays open.
pub(crate) fn send(
    stream: &mut TcpStream,
    region: &str,
    action: &str,
    parameters: &[(&str, &str)],
) {
    let mut body = format!("Action={action}&Version=2016-11-15");
    for (name, value) in parameters {
        body.extend(["&", name, "=", &encode(value)]);
    }
    let request = format!(
        "POST / HTTP/1.1\r\nHost: fake\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/{region}/ec2/aws4_request, \
         SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads one answer; `None` if the connection ended before its head was complete.
pub(crate) fn receive(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut bytes)?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())?;
    while bytes.len() < head + length {
        if more(stream, &mut bytes).is_none() {
            break;
        }
    }
    Some(Reply {
        status,
        is_whole: bytes.len() == head + length,
        body: String::from_utf8_lossy(&bytes[head..]).into_owned(),
    })
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut chunk = vec![0; 64 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            bytes.extend_from_slice(&chunk[..count]);
            Some(())
        }
    }
}

fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Waits until something is so; fails after ten seconds.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "still not so: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Waits. The fake lives in real time.
pub(crate) fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no runtime here to block, and the fake has no other clock"
    )]
    std::thread::sleep(time);
}
