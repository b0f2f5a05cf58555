//! `init`: a commented configuration file to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use fleetwright::init::{TEMPLATES, template};
use fleetwright_core::{Error, Kind, Result};
use serde::Serialize;

use crate::args::Init;
use crate::exit::Exit;
use crate::output::{self, Out};

#[derive(Serialize)]
struct Report {
    written: String,
    template: String,
}

pub(super) fn run(out: Out, args: &Init) -> Result<Exit> {
    let template = template(&args.template).ok_or_else(|| {
        let known: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        Error::new(
            Kind::Invalid,
            format!("no template is named `{}`", args.template),
        )
        .with_hint(format!("known: {}", known.join(", ")))
    })?;
    let path = args.file.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(&args.file)
        .and_then(|mut file| file.write_all(template.text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::new(
            Kind::Conflict,
            format!("`{path}` exists already and was not changed"),
        )
        .with_hint("`--force` replaces it"),
        _ => Error::new(Kind::Config, format!("`{path}` cannot be written")).with_source(error),
    })?;
    if out.json {
        output::json(&Report {
            written: path.to_string(),
            template: template.name.to_owned(),
        })?;
    }
    out.note(&format!(
        "wrote `{path}`; check it with `fleetwright validate`"
    ));
    Ok(Exit::Done)
}
