//! When a fake server has done what was asked of it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use fleetwright_rest::testing::{Fault, Trouble};

use crate::support::{Setup, TOKEN};

/// Sends that many requests, and does not wait for answers.
fn send(setup: &Setup, count: usize) -> Vec<TcpStream> {
    let url = setup.server.url();
    let host = url.strip_prefix("http://").unwrap();
    let request = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 0\r\n\r\n"
    );
    let connect = || {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    std::iter::repeat_with(connect).take(count).collect()
}

fn taken(setup: &Setup) -> usize {
    setup.server.count("POST", "/v1/servers")
}

#[tokio::test]
async fn what_was_sent_has_had_its_effect() {
    let setup = Setup::new(0);
    for round in 1..=20 {
        let _streams = send(&setup, 50);
        setup.server.quiet().await;
        assert_eq!(taken(&setup), round * 50);
    }
}

/// Whether a request is still read whose caller is gone is a matter of chance; that it has no
/// effect later is not.
#[tokio::test]
async fn what_was_sent_by_those_who_are_gone_has_no_effect_later() {
    let setup = Setup::new(0);
    for _ in 0..20 {
        drop(send(&setup, 50));
        setup.server.quiet().await;
        let now = taken(&setup);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(taken(&setup), now);
    }
    assert!(taken(&setup) > 0);
}

#[tokio::test]
async fn what_is_delayed_on_purpose_is_not_waited_for() {
    let setup = Setup::new(0);
    let delay = Trouble::DelayBefore(Duration::from_hours(1));
    setup.server.fault(Fault::new("POST", "/v1/servers", delay));
    let _streams = send(&setup, 2);
    setup.server.quiet().await;
    assert_eq!(taken(&setup), 1);
}

#[tokio::test]
async fn a_server_that_refuses_is_quiet() {
    let mut setup = Setup::new(0);
    setup.server.refuse(true);
    setup.server.quiet().await;
    assert_eq!(taken(&setup), 0);
}
