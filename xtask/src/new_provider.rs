//! A new provider: a crate that passes the behavior suite as it is written, and two lines elsewhere.
//!
//! ```text
//!  xtask/template/  a crate of the workspace, tested with all others
//!        │ names replaced
//!        ▼
//!  crates/providers/<name>/   +   a line in the table of kinds   +   a line in its manifest
//! ```
//! What comes next is in `docs/guides/adding-a-provider.md`.

use std::process::ExitCode;

use fleetwright_core::{Error, Kind, Result};

use crate::workspace::{Workspace, output};

/// The files of the template, by their paths in it. They are part of this program, so that the
/// chore writes what was built and tested with it.
const FILES: [(&str, &str); 14] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml")),
    ("src/api.rs", include_str!("../template/src/api.rs")),
    ("src/catalog.rs", include_str!("../template/src/catalog.rs")),
    ("src/config.rs", include_str!("../template/src/config.rs")),
    ("src/create.rs", include_str!("../template/src/create.rs")),
    ("src/error.rs", include_str!("../template/src/error.rs")),
    ("src/fake.rs", include_str!("../template/src/fake.rs")),
    ("src/lib.rs", include_str!("../template/src/lib.rs")),
    ("src/node.rs", include_str!("../template/src/node.rs")),
    (
        "src/provider.rs",
        include_str!("../template/src/provider.rs"),
    ),
    (
        "tests/it/conformance.rs",
        include_str!("../template/tests/it/conformance.rs"),
    ),
    (
        "tests/it/errors.rs",
        include_str!("../template/tests/it/errors.rs"),
    ),
    (
        "tests/it/main.rs",
        include_str!("../template/tests/it/main.rs"),
    ),
    (
        "tests/it/support.rs",
        include_str!("../template/tests/it/support.rs"),
    ),
];

/// The table of kinds, and what stands before its first line.
const TABLE: (&str, &str) = ("crates/fleetwright/src/providers.rs", "kinds! {");

/// The facade's manifest, and what stands before the first line of a cloud.
const MANIFEST: (&str, &str) = ("crates/fleetwright/Cargo.toml", "# the clouds:");

/// Writes the crate and the two lines.
///
/// # Errors
/// `Invalid` if the name cannot be one, `Conflict` if there is such a crate.
pub(crate) fn run(workspace: &Workspace, name: &str) -> Result<ExitCode> {
    check_name(name)?;
    let folder = format!("crates/providers/{name}");
    if workspace.root.join(&folder).exists() {
        return Err(Error::new(Kind::Conflict, format!("there is a `{folder}`")));
    }
    let table = with_line(&workspace.read(TABLE.0)?, TABLE.1, &table_line(name))?;
    let manifest = with_line(
        &workspace.read(MANIFEST.0)?,
        MANIFEST.1,
        &manifest_line(name),
    )?;
    for (path, text) in FILES {
        write(workspace, &format!("{folder}/{path}"), &renamed(text, name))?;
    }
    write(workspace, TABLE.0, &table)?;
    write(workspace, MANIFEST.0, &manifest)?;
    // Another name sorts elsewhere and is of another length.
    let package = format!("fleetwright-{name}");
    output(&mut workspace.cargo(["fmt", "--package", &package]))?;
    println!(
        "{folder} is written, and a line in {} and in {}",
        TABLE.0, MANIFEST.0
    );
    println!("cargo test -p fleetwright-{name}   # the behavior suite passes as it is");
    println!("next: docs/guides/adding-a-provider.md");
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> Result<()> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters);
    if is_good && name != "template" {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        format!("`{name}` cannot be the kind of a provider"),
    )
    .with_hint("a kind reads like `hetzner`: letters a-z and digits"))
}

/// A text of the template under another name, in the three forms that names have.
fn renamed(text: &str, name: &str) -> String {
    text.replace("TEMPLATE", &name.to_uppercase())
        .replace("Template", &type_name(name))
        .replace("template", name)
}

fn type_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn table_line(name: &str) -> String {
    let type_name = type_name(name);
    format!(
        "    \"{name}\" => account::<{name}::{type_name}Config>(), \"Machines from {type_name}.\";"
    )
}

fn manifest_line(name: &str) -> String {
    format!(
        "{name} = {{ package = \"fleetwright-{name}\", path = \"../providers/{name}\", optional = true }}"
    )
}

/// Puts a line into the sorted block of lines that follows `before`.
fn with_line(text: &str, before: &str, line: &str) -> Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|known| known.starts_with(before));
    let start = start
        .ok_or_else(|| Error::new(Kind::NotFound, format!("no line begins with `{before}`")))?
        + 1;
    let is_end = |known: &&str| known.is_empty() || known.starts_with('}');
    let length = lines[start..]
        .iter()
        .take_while(|known| !is_end(known))
        .count();
    let at = lines[start..start + length]
        .iter()
        .position(|known| *known > line)
        .unwrap_or(length);
    lines.insert(start + at, line);
    Ok(lines.join("\n") + "\n")
}

fn write(workspace: &Workspace, path: &str, text: &str) -> Result<()> {
    let target = workspace.root.join(path);
    let written = target
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&target, text));
    written.map_err(|error| {
        Error::new(Kind::Unexpected, format!("cannot write `{path}`")).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_template_is_written_and_none_keeps_its_name() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("template");
        let mut there = Vec::new();
        for part in ["", "src", "tests/it"] {
            for entry in std::fs::read_dir(folder.join(part)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    let path = entry.path();
                    let path = path.strip_prefix(&folder).unwrap();
                    there.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        there.sort_unstable();
        assert_eq!(there, FILES.map(|(path, _)| path.to_owned()));
        for (path, text) in FILES {
            let text = renamed(text, "nimbus");
            assert!(!text.to_lowercase().contains("template"), "{path}");
        }
        assert!(renamed(FILES[3].1, "nimbus").contains("struct NimbusConfig"));
    }

    #[test]
    fn a_line_goes_to_its_place_and_changes_nothing_else() {
        let text = "x\nkinds! {\n    \"aws\" => a;\n    \"sim\" => s;\n}\n";
        let with = with_line(text, "kinds! {", "    \"nimbus\" => n;").unwrap();
        let wanted = "x\nkinds! {\n    \"aws\" => a;\n    \"nimbus\" => n;\n    \"sim\" => s;\n}\n";
        assert_eq!(with, wanted);
        let last = with_line(text, "kinds! {", "    \"zeta\" => z;").unwrap();
        assert!(last.contains("s;\n    \"zeta\" => z;\n}"));
        assert!(with_line(text, "nothing", "line").is_err());
    }

    #[test]
    fn names_that_no_kind_can_have_are_refused() {
        for good in ["hetzner", "ovh2"] {
            check_name(good).unwrap();
        }
        for bad in ["", "2ovh", "Ovh", "o-vh", "../x", "template"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
