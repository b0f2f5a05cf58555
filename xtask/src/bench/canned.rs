//! An EC2 that only lists: rendered before anybody asks, so that serving costs next to nothing.
//!
//! What is measured is then the client. Each page comes after a fixed time, as from a real server.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Instances per page, the most that EC2 gives.
const PAGE: usize = 1_000;

/// A running server. It serves until this program ends.
pub(super) struct Canned {
    /// Where it is.
    pub(super) endpoint: String,
    /// Bytes of all pages together.
    pub(super) bytes: usize,
    calls: Arc<AtomicUsize>,
}

impl Canned {
    /// Renders so many instances and serves them, each page after `latency`.
    pub(super) fn start(instances: usize, latency: Duration) -> std::io::Result<Self> {
        let pages: Arc<[Vec<u8>]> = pages(instances).into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let calls = Arc::new(AtomicUsize::new(0));
        let canned = Self {
            endpoint: format!("http://{}", listener.local_addr()?),
            bytes: pages.iter().map(Vec::len).sum(),
            calls: Arc::clone(&calls),
        };
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (pages, calls) = (Arc::clone(&pages), Arc::clone(&calls));
                std::thread::spawn(move || {
                    // A client that goes away is no error.
                    let _: std::io::Result<()> = serve(&connection, &pages, latency, &calls);
                });
            }
        });
        Ok(canned)
    }

    /// How many calls came since this was asked last.
    pub(super) fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

/// Answers one request after the other until the client closes the connection.
fn serve(
    connection: &TcpStream,
    pages: &[Vec<u8>],
    latency: Duration,
    calls: &AtomicUsize,
) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    while let Some(body) = request(&mut reader)? {
        calls.fetch_add(1, Ordering::SeqCst);
        let answer = page_of(&body).and_then(|page| pages.get(page));
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread is the server, and it is slow on purpose"
        )]
        std::thread::sleep(latency);
        let (status, body) = match answer {
            Some(page) => ("200 OK", page.as_slice()),
            None => ("400 Bad Request", &b"only DescribeInstances"[..]),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/xml;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(head.as_bytes())?;
        writer.write_all(body)?;
    }
    Ok(())
}

/// The body of the next request; `None` at the end of the connection.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    Ok(Some(body))
}

/// Which page a form asks for; `None` if it asks for something else.
fn page_of(form: &str) -> Option<usize> {
    let value = |name: &str| {
        form.split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    if value("Action") != Some("DescribeInstances") {
        return None;
    }
    match value("NextToken") {
        None | Some("") => Some(0),
        Some(token) => token.strip_prefix("page-")?.parse().ok(),
    }
}

fn pages(instances: usize) -> Vec<Vec<u8>> {
    let last = instances.div_ceil(PAGE).saturating_sub(1);
    (0..=last)
        .map(|page| {
            let mut text = String::from(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse \
                 xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n    \
                 <requestId>0c2d5b5e-8d3c-4c1a-9a7e-2f6b7c8d9e0f</requestId>\n    <reservationSet>\n",
            );
            for number in page * PAGE..instances.min((page + 1) * PAGE) {
                text.push_str(&instance(number));
            }
            text.push_str("    </reservationSet>\n");
            if page < last {
                // Writing to a text cannot fail.
                let _ = writeln!(text, "    <nextToken>page-{}</nextToken>", page + 1);
            }
            text.push_str("</DescribeInstancesResponse>\n");
            text.into_bytes()
        })
        .collect()
}

/// One reservation of one instance, with what EC2 says of an ordinary one.
fn instance(number: usize) -> String {
    let zone = ["a", "b", "c"][number % 3];
    let id = format!("{number:017x}");
    let address = format!(
        "10.{}.{}.{}",
        number >> 16,
        (number >> 8) & 255,
        number & 255
    );
    let dashed = address.replace('.', "-");
    include_str!("canned_instance.xml")
        .replace("{id}", &id)
        .replace("{zone}", zone)
        .replace("{address}", &address)
        .replace("{dashed}", &dashed)
        .replace("{number}", &number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instance_is_on_one_page_and_the_last_page_has_no_token() {
        let all = pages(2_500);
        assert_eq!(all.len(), 3);
        let texts: Vec<_> = all
            .iter()
            .map(|page| String::from_utf8_lossy(page))
            .collect();
        let counts: Vec<_> = texts
            .iter()
            .map(|text| text.matches("<instanceId>").count())
            .collect();
        assert_eq!(counts, [1_000, 1_000, 500]);
        assert!(texts[1].contains("<nextToken>page-2</nextToken>"));
        assert!(!texts[2].contains("nextToken"));
        assert!(!texts[0].contains('{'), "a name in braces is left");
    }

    #[test]
    fn a_form_is_answered_with_the_page_that_it_asks_for() {
        let page = |form: &str| page_of(form);
        assert_eq!(page("Action=DescribeInstances&MaxResults=1000"), Some(0));
        assert_eq!(page("Action=DescribeInstances&NextToken=page-4"), Some(4));
        assert_eq!(page("Action=RunInstances"), None);
    }

    #[test]
    fn it_serves_what_it_counts() {
        let canned = Canned::start(1, Duration::ZERO).unwrap();
        let address = canned.endpoint.trim_start_matches("http://");
        let mut client = TcpStream::connect(address).unwrap();
        let form = "Action=DescribeInstances";
        let request = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        for _ in 0..2 {
            client.write_all(request.as_bytes()).unwrap();
        }
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.matches("<instanceId>i-").count(), 2);
        assert_eq!((canned.calls(), canned.calls()), (2, 0));
    }
}
