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
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.render_long_help();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## `{name}`\n\n```text\n{}\n```\n",
        help.to_string().trim_end()
    );
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
    text.push_str(
        "\n## Errors\n\n| status | kind | meaning | HTTP status | what helps |\n|---|---|---|---|---|\n",
    );
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| kind.exit_code());
    for kind in kinds {
        let _ = writeln!(
            text,
            "| {} | `{kind}` | {} | {} | {} |",
            kind.exit_code(),
            meaning(kind),
            kind.http_status(),
            match kind.remedy() {
                fleetwright_core::Remedy::RetryHere => "trying again",
                fleetwright_core::Remedy::TryElsewhere => "another offer",
                fleetwright_core::Remedy::GiveUp =>
                    "nothing automatic: see the message and its hint",
            },
        );
    }
    text
}

/// What went wrong, in words. The words are for people: programs look at the kind.
const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Unexpected => "an answer that nobody foresaw, or a defect of this program",
        Kind::Config => "the configuration, the state directory or the journal is not usable",
        Kind::Invalid => "something was asked for that does not exist or is not allowed",
        Kind::Auth => "the credentials are missing, wrong or expired",
        Kind::Permission => "the credentials are good but may not do this",
        Kind::NotFound => "what was asked for is not there",
        Kind::Conflict => {
            "the state of the world contradicts the request: a stale plan, a file that exists, \
             another process at work, a host key that is not the pinned one"
        }
        Kind::Quota => "the account may not have more of this",
        Kind::Capacity => "the cloud has no such machine to give at the moment",
        Kind::RateLimited => "too many requests",
        Kind::Unavailable => "the other side is down, busy or not reachable, or the disk is full",
        Kind::Timeout => "no answer within the time allowed",
        Kind::Suspended => "the provider failed too often and was not asked",
        Kind::Unsupported => "this provider or node cannot do that",
    }
}
