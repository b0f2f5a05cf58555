//! A lost journal: its nodes are seen, left alone, and taken over only when somebody says so.

use crate::bed::{Bed, processes_with};

const FLEET: &str = "fleet = \"test\"\n[providers.here]\nkind = \"local\"\n\
    [pools.web]\ndesired = 2\ncandidates = [{ provider = \"here\", type = \"small\" }]\n";

#[test]
fn nodes_of_a_lost_journal_are_left_alone_until_they_are_adopted() {
    let bed = Bed::new(FLEET);
    assert_eq!(bed.run(&["up", "--yes"]).status, Some(0));
    for suffix in ["", "-wal", "-shm"] {
        // The last two are gone after a clean end.
        let _missing = std::fs::remove_file(bed.state().join(format!("journal.db{suffix}")));
    }
    let audit = bed.run(&["audit"]);
    assert_eq!(audit.status, Some(21), "{}", audit.stdout);
    assert_eq!(
        audit.stdout.matches("stranger").count(),
        2,
        "{}",
        audit.stdout
    );

    let down = bed.run(&["down", "--yes"]);
    assert_eq!(down.status, Some(0), "{}", down.stderr);
    assert_eq!(
        processes_with(&bed.path("state")).len(),
        2,
        "they are not ours to remove"
    );
    assert_eq!(
        bed.run(&["adopt"]).status,
        Some(22),
        "there is no terminal to agree on"
    );

    let adopt = bed.run(&["adopt", "--yes"]);
    assert_eq!(adopt.status, Some(0), "{}", adopt.stderr);
    let up = bed.run(&["up", "--yes"]);
    assert_eq!(up.status, Some(0), "{}", up.stderr);
    assert!(
        up.stderr.contains("nothing changed: 2 nodes ready"),
        "{}",
        up.stderr
    );
    assert_eq!(bed.run(&["audit"]).status, Some(0));
    let exec = bed.run(&["exec", "--", "true"]);
    assert_eq!(exec.status, Some(0), "{}", exec.stderr);

    assert_eq!(bed.run(&["down", "--yes"]).status, Some(0));
    assert_eq!(processes_with(&bed.path("state")), [] as [u32; 0]);
}
