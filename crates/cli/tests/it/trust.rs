//! Nodes that do not answer, or that are not who they say they are.

use std::time::Duration;

use fleetwright_store::Store;
use rustix::process::Signal;

use crate::bed::{Bed, eventually, kill};

#[test]
fn a_node_that_is_not_reached_fails_alone_and_says_why() {
    let bed = Bed::local(2);
    bed.must(0, &["up", "--yes"]);
    let names = bed.names();
    let pid = bed.process_of(&names[0]);
    kill(pid, Signal::KILL);
    eventually("the node is dead", || {
        let ran = bed.must(23, &["exec", "--", "echo hi"]);
        let others = ran.stdout == format!("{}: hi\n", names[1]);
        others && ran.stderr.contains("refuses connections")
    });
    let ran = bed.must(23, &["exec", "--", "echo hi"]);
    assert!(
        ran.stderr
            .contains(&format!("error: {}: `127.0.0.1:", names[0])),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with("2 nodes: 1 ok, 1 failed\n"),
        "{}",
        ran.stderr
    );
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_node_that_does_not_answer_is_not_waited_for_longer_than_allowed() {
    let bed = Bed::local(1);
    bed.must(0, &["up", "--yes"]);
    let pid = bed.process_of(&bed.names()[0]);
    kill(pid, Signal::STOP);
    let ran = bed.run(&["exec", "--timeout", "700ms", "--", "echo hi"]);
    kill(pid, Signal::CONT);
    assert_eq!(ran.status, Some(23), "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1:"), "{}", ran.stderr);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_node_with_the_wrong_host_key_is_refused() {
    let bed = Bed::local(2);
    bed.must(0, &["up", "--yes"]);
    // What somebody in the middle would do: at the address of one node another one answers.
    swap_ports(&bed);
    let ran = bed.must(23, &["exec", "--", "echo hi"]);
    assert_eq!(
        ran.stdout, "",
        "a command ran on a node that is not trusted"
    );
    assert!(
        ran.stderr.matches("SHA256:").count() >= 4,
        "both fingerprints, for both nodes: {}",
        ran.stderr
    );
    bed.must(0, &["down", "--yes"]);
}

fn swap_ports(bed: &Bed) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let store = Store::open(&bed.state().join("journal.db"))
            .await
            .expect("the journal opens");
        let mut nodes = store.nodes().await.expect("the journal is readable");
        let ports: Vec<u16> = nodes
            .iter()
            .map(|node| node.access.as_ref().expect("a node has an address").port)
            .collect();
        for (node, port) in nodes.iter_mut().zip(ports.iter().rev()) {
            if let Some(access) = &mut node.access {
                access.port = *port;
            }
        }
        let lease = store
            .acquire(
                "reconcile",
                "a test",
                nodes[0].since,
                Duration::from_mins(1),
            )
            .await
            .expect("nobody holds the lease");
        store
            .put_nodes(&lease, &nodes, &[])
            .await
            .expect("the journal is writable");
        store.release(lease).await.expect("the lease was ours");
        store.close().await;
    });
}
