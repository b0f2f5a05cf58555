//! Pages of the reference that are generated from this program.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::CommandFactory;
use fleetwright_core::Kind;

use crate::args::{Cli, Page};
use crate::exit::OUTCOMES;

/// Prints a page on stdout.
pub(crate) fn print(page: Page) -> ExitCode {
    let text = match page {
        Page::Cli => cli(),
        Page::ExitCodes => exit_codes(),
    };
    anstream::print!("{text}");
    ExitCode::SUCCESS
}

fn cli() -> String {
    let mut text = String::from(
        "# Command line\n\nGenerated from the program; do not edit.\n\n\
         Data goes to stdout, progress and messages go to stderr. `--json` works with every command.\n",
    );
    let mut command = Cli::command().term_width(100);
    command.build();
    section(&mut text, &mut command);
    text
}

fn section(text: &mut String, command: &mut clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help();
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.to_string().trim_end());
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            section(text, sub);
        }
    }
}

fn exit_codes() -> String {
    let mut text = String::from(
        "# Exit statuses\n\nGenerated from the program; do not edit.\n\n\
         ## Outcomes\n\n| status | meaning |\n|---|---|\n",
    );
    for (status, meaning) in OUTCOMES {
        let _ = writeln!(text, "| {status} | {meaning} |");
    }
    text.push_str("\n## Errors\n\n| status | kind | HTTP status | what helps |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        let _ = writeln!(
            text,
            "| {} | `{kind}` | {} | {} |",
            kind.exit_code(),
            kind.http_status(),
            match kind.remedy() {
                fleetwright_core::Remedy::RetryHere => "trying again",
                fleetwright_core::Remedy::TryElsewhere => "another offer",
                fleetwright_core::Remedy::GiveUp => "only a change by you",
            },
        );
    }
    text
}
