//! Opening: what is made, and what is refused with which words.

use std::fs;
use std::path::Path;

use fleetwright_core::{Error, Kind};
use fleetwright_store::Store;

use crate::support::{BACK_TO_THE_FIRST, Scratch, TTL, at, braked, lease, meddle};

async fn refusal(path: &Path) -> Error {
    let error = Store::open(path).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    assert!(
        error.to_string().contains(&*path.to_string_lossy())
            || error
                .to_string()
                .contains(&*path.parent().unwrap().to_string_lossy()),
        "{error} names the path"
    );
    error
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_journal_or_the_files_beside_it() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    store.append(&[braked("x")]).await.unwrap();
    let state = scratch.directory().join("state");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "journal.db",
            "journal.db-shm",
            "journal.db-wal",
            "journal.db.fleet.lock",
            "journal.db.migration.lock",
        ]
    );
    drop(held);
}

#[tokio::test]
async fn a_path_with_odd_characters_works() {
    let scratch = Scratch::new();
    for name in [
        "a b",
        "q?mode=ro",
        "h#sh",
        "50%25",
        "ümlaut",
        "file:x",
        "a'b\"c",
    ] {
        let path = scratch.directory().join(name).join(name);
        let store = Store::open(&path).await.unwrap();
        store.append(&[braked("x")]).await.unwrap();
        assert_eq!(store.path(), path);
        assert!(path.is_file(), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_journal_leads_to_the_same_lease() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let link = scratch.directory().join("link.db");
    std::os::unix::fs::symlink(scratch.journal(), &link).unwrap();
    let linked = Store::open(&link).await.unwrap();
    assert_eq!(linked.journal(), store.journal());
    let _held = lease(&store).await;
    let error = linked.acquire("fleet", "x", at(0), TTL).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused_naming_both_versions() {
    let scratch = Scratch::new();
    scratch.open().await.close().await;
    meddle(
        &scratch.journal(),
        "INSERT INTO schema_version VALUES (99, 'from the future')",
    )
    .await;
    let error = refusal(&scratch.journal()).await;
    let message = error.to_string();
    let (_, known) = message
        .split_once("has schema version 99; this program knows versions up to ")
        .unwrap_or_else(|| panic!("{message}"));
    assert!(
        known.parse::<u32>().is_ok_and(|known| known < 99),
        "{message}"
    );
    assert!(error.hint().unwrap().starts_with("upgrade"));
}

#[tokio::test]
async fn a_journal_of_the_first_version_learns_to_take_turns() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store.append(&[braked("of old")]).await.unwrap();
    store.close().await;
    meddle(&scratch.journal(), BACK_TO_THE_FIRST).await;
    let store = scratch.open().await;
    assert!(store.turns().await.unwrap().is_empty());
    assert_eq!(store.last_events(10, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.journal().parent().unwrap()).unwrap();
    for content in [
        &b"x"[..],
        &b"this is not a database, not at all. ".repeat(500),
    ] {
        fs::write(scratch.journal(), content).unwrap();
        let error = refusal(&scratch.journal()).await;
        assert!(
            error
                .to_string()
                .ends_with("is not a database or is damaged"),
            "{error}"
        );
        assert_eq!(fs::read(scratch.journal()).unwrap(), content);
    }
}

#[tokio::test]
async fn a_damaged_journal_is_said_to_be_damaged() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store.append(&[braked("x")]).await.unwrap();
    store.close().await;
    let mut bytes = fs::read(scratch.journal()).unwrap();
    // The first page, with the list of tables, stays: the damage shows when a table is read.
    bytes[4096..].fill(0x5a);
    fs::write(scratch.journal(), bytes).unwrap();
    let error = match Store::open(&scratch.journal()).await {
        Ok(store) => store.events_after(0, 1).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error
            .to_string()
            .ends_with("is not a database or is damaged"),
        "{error}"
    );
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let path = scratch.directory().join("cookies.sqlite");
    meddle(&path, "CREATE TABLE cookies (name TEXT)").await;
    let before = fs::read(&path).unwrap();
    let error = refusal(&path).await;
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named_with_the_reason() {
    let scratch = Scratch::new();
    let file = scratch.directory().join("file");
    fs::write(&file, "").unwrap();
    let error = refusal(&file.join("journal.db")).await;
    assert!(error.to_string().starts_with("cannot "), "{error}");
    let error = refusal(&file.join("below").join("journal.db")).await;
    assert!(error.to_string().contains("Not a directory"), "{error}");
    let error = refusal(scratch.directory()).await;
    assert!(error.to_string().ends_with("is a directory"), "{error}");
}

/// Permissions do not bind root, but the process file system does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_directory_that_nobody_can_write_to_is_refused() {
    refusal(Path::new("/proc/fleetwright/journal.db")).await;
    refusal(Path::new("/proc/journal.db")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_directory_and_a_read_only_file_are_refused() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let state = scratch.directory().join("state");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    scratch.open().await.close().await;
    set(&state, 0o500).unwrap();
    if fs::write(state.join("probe"), "").is_ok() {
        println!("skipped: this user may write to read-only directories (root)");
        return;
    }
    refusal(&state.join("other.db")).await;
    refusal(&scratch.journal()).await;
    set(&state, 0o700).unwrap();
    set(&scratch.journal(), 0o000).unwrap();
    refusal(&scratch.journal()).await;
}

#[tokio::test]
async fn an_empty_file_becomes_a_journal() {
    let scratch = Scratch::new();
    let path = scratch.directory().join("empty.db");
    fs::write(&path, "").unwrap();
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.journal().len(), 36);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_journal_that_many_open_at_once_is_made_once() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        let mut openers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let path = scratch.journal();
            openers.spawn(async move {
                let store = Store::open(&path).await.unwrap();
                store.append(&[braked("here")]).await.unwrap();
                store.journal().to_owned()
            });
        }
        let mut journals = openers.join_all().await;
        journals.dedup();
        assert_eq!(journals.len(), 1);
        let events = scratch.open().await.events_after(0, 100).await.unwrap();
        assert_eq!(events.len(), 16);
    }
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_brought_to_this_one_and_keeps_what_it_has() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.journal().parent().unwrap()).unwrap();
    meddle(
        &scratch.journal(),
        concat!(
            "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL);",
            include_str!("../../migrations/0001_journal.sql"),
            "INSERT INTO schema_version VALUES (1, 'journal');",
            "INSERT INTO meta VALUES ('journal', 'the-old-one');",
        ),
    )
    .await;
    let store = scratch.open().await;
    assert_eq!(store.journal(), "the-old-one");
    assert!(store.sizes().await.unwrap().is_empty());
    assert!(store.signals().await.unwrap().is_empty());
}
