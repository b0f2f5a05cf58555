//! `init`: a commented configuration file to start from, by asking or from a template.

mod ask;
mod wizard;

use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin};
use std::path::Path;

use fleetwright::init::{TEMPLATES, template};
use fleetwright_core::{Error, HourlyPrice, Kind, Result};
use serde::Serialize;

use self::ask::Stop;
use crate::args::{Global, Init, Wish};
use crate::exit::Exit;
use crate::output::{self, Out};

/// What is written if nobody says otherwise and nobody can be asked.
const DEFAULT: &str = "local";

#[derive(Serialize)]
struct Report {
    written: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'static str>,
    /// What the fleet costs per hour, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<HourlyPrice>,
}

pub(super) async fn run(out: Out, global: &Global, args: &Init) -> Result<Exit> {
    let can_ask = stdin().is_terminal() && stderr().is_terminal() && !args.wish.non_interactive;
    if args.template.is_none() && (can_ask || args.wish != Wish::default()) {
        refuse_existing(args)?;
        let drafted = match wizard::run(out, global, args, can_ask).await {
            Ok(drafted) => drafted,
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Left) => {
                output::error_line("nothing was written: the questions were not answered");
                return Ok(Exit::NotConfirmed);
            }
        };
        write(args, &drafted.text)?;
        return finish(out, &args.file, None, drafted.cost);
    }
    let wanted = args.template.as_deref().unwrap_or(DEFAULT);
    let template = template(wanted).ok_or_else(|| {
        let known: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        Error::new(Kind::Invalid, format!("no template is named `{wanted}`"))
            .with_hint(format!("known: {}", known.join(", ")))
    })?;
    write(args, template.text)?;
    finish(out, &args.file, Some(template.name), None)
}

fn finish(
    out: Out,
    path: &Path,
    template: Option<&'static str>,
    cost: Option<HourlyPrice>,
) -> Result<Exit> {
    let written = path.display().to_string();
    out.note(&format!(
        "wrote `{written}`; check it with `fleetwright validate`"
    ));
    if out.json {
        output::json(&Report {
            written,
            template,
            cost,
        })?;
    }
    Ok(Exit::Done)
}

/// Before anything is asked.
fn refuse_existing(args: &Init) -> Result<()> {
    if args.file.exists() && !args.force {
        return Err(exists(&args.file));
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    Error::new(
        Kind::Conflict,
        format!("`{}` exists already and was not changed", path.display()),
    )
    .with_hint("`--force` replaces it")
}

fn write(args: &Init, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(&args.file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(&args.file),
        _ => Error::new(
            Kind::Config,
            format!("`{}` cannot be written", args.file.display()),
        )
        .with_source(error),
    })
}
