//! What SQLite says, in our words: one table.
//!
//! The codes are SQLite's primary result codes, the low byte of the extended ones
//! (<https://www.sqlite.org/rescode.html>).

use std::fmt::Display;
use std::path::Path;

use fleetwright_core::{Effect, Error, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The primary result code of SQLite, if the error comes from there.
pub(crate) fn code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Translates an error of the database. `path` is the journal as the user named it.
pub(crate) fn fault(path: &Path, error: sqlx::Error) -> Error {
    let journal = path.display();
    match code(&error) {
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Some(11 | 26) => damaged(path),
        // SQLITE_FULL: "a write could not complete because the disk is full". The transaction is
        // rolled back, by SQLite or by us.
        Some(13) => Error::new(
            Kind::Unavailable,
            format!("the disk is full: journal `{journal}` cannot be written"),
        )
        .with_hint("free some space on that disk and run the command again"),
        // SQLITE_BUSY, SQLITE_LOCKED: another connection held the file for the whole busy time-out.
        Some(5 | 6) => Error::new(
            Kind::Unavailable,
            format!("journal `{journal}` is busy: another process keeps writing to it"),
        ),
        // SQLITE_IOERR: a commit that failed so may be on disk or not.
        Some(10) => Error::new(
            Kind::Unavailable,
            format!("journal `{journal}` cannot be read or written"),
        )
        .with_effect(Effect::Unknown)
        .with_hint("check the disk that it is on, and that it is not full"),
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN
        Some(3 | 8 | 14) => Error::new(
            Kind::Config,
            format!("journal `{journal}` cannot be opened for writing"),
        )
        .with_hint("the file and its directory must be readable and writable by this user"),
        _ => match &error {
            sqlx::Error::PoolTimedOut => Error::new(
                Kind::Unavailable,
                format!("journal `{journal}` gave no connection in time"),
            ),
            sqlx::Error::PoolClosed => {
                Error::new(Kind::Unexpected, format!("journal `{journal}` was closed"))
                    .with_effect(Effect::None)
            }
            sqlx::Error::Io(_) => Error::new(
                Kind::Unavailable,
                format!("journal `{journal}` cannot be opened"),
            ),
            _ => Error::new(
                Kind::Unexpected,
                format!("journal `{journal}` gave an unexpected answer"),
            ),
        },
    }
    .with_source(error)
}

/// The error of a file that is no journal or no longer whole.
pub(crate) fn damaged(path: &Path) -> Error {
    Error::new(
        Kind::Config,
        format!(
            "journal `{}` is not a database or is damaged",
            path.display()
        ),
    )
    .with_hint(
        "move the file away and run the command again: nodes can be adopted from their labels",
    )
}

/// The error of a path that the operating system refuses.
pub(crate) fn refused(what: &str, path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::new(
            Kind::Unavailable,
            format!("the disk is full: cannot {what} `{}`", path.display()),
        )
        .with_hint("free some space on that disk and run the command again")
        .with_source(error);
    }
    Error::new(
        Kind::Config,
        format!("cannot {what} `{}`: {error}", path.display()),
    )
    .with_hint("the journal needs a directory that this user can write to")
    .with_source(error)
}

/// The JSON of a value, for its column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(Kind::Unexpected, "a value cannot be written as JSON")
            .with_effect(Effect::None)
            .with_source(e)
    })
}

/// The value of a JSON column.
pub(crate) fn from_json<T: DeserializeOwned>(path: &Path, what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| unreadable(path, what, "it is not what it should be", e))
}

/// The error of a row that this program cannot make sense of.
pub(crate) fn unreadable(
    path: &Path,
    what: &str,
    why: impl Display,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(
        Kind::Unexpected,
        format!(
            "journal `{}` holds a {what} that cannot be read: {why}",
            path.display()
        ),
    )
    .with_effect(Effect::None)
    .with_source(source)
}
