//! docs/reference/configuration.md and fleetwright.schema.json, from the facade's types.

use fleetwright_core::{Error, Kind, Result};

use super::{FOLDER, Page};

/// The two files: one for people, one for editors.
pub(super) fn pages() -> Result<[Page; 2]> {
    let mut schema = serde_json::to_string_pretty(&fleetwright::schema::schema()).map_err(|e| {
        Error::new(Kind::Unexpected, "the schema cannot be written as JSON").with_source(e)
    })?;
    schema.push('\n');
    Ok([
        Page {
            path: format!("{FOLDER}/configuration.md"),
            text: fleetwright::reference::markdown(),
        },
        Page {
            path: format!("{FOLDER}/fleetwright.schema.json"),
            text: schema,
        },
    ])
}
