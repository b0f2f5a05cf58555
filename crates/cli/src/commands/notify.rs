//! `notify`: sends what is still to be sent, shows what was, and tests webhooks.

use clap::Args;
use fleetwright_core::{ErrorReport, Result, Span};
use fleetwright_engine::Sent;
use fleetwright_store::Delivery;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count};

/// Deliveries that are shown.
const SHOWN: u32 = 20;

#[derive(Debug, Args)]
pub(crate) struct Notify {
    /// Send a test to this notification; to all if none is named
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "given or not, and then with a name or without"
    )]
    pub(crate) test: Option<Option<String>>,
    /// How long to go on trying to send what is not taken
    #[arg(
        long,
        default_value = "0s",
        value_name = "DURATION",
        conflicts_with = "test"
    )]
    pub(crate) wait: Span,
}

#[derive(Serialize)]
struct Report {
    sent: Sent,
    /// The latest deliveries, newest first.
    deliveries: Vec<Delivery>,
}

#[derive(Serialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Serialize)]
struct Test {
    notification: String,
    /// Why it was not taken; absent: it was.
    error: Option<ErrorReport>,
}

pub(super) async fn run(context: &Context, args: &Notify) -> Result<Exit> {
    if let Some(name) = &args.test {
        return test(context, name.as_deref()).await;
    }
    let engine = context.engine().await?;
    let sent = engine.send_due(args.wait.0).await?;
    let deliveries = context.store().await?.last_deliveries(SHOWN).await?;
    context.end_progress();
    let is_open = deliveries.iter().any(|one| one.ended_at.is_none());
    let exit = if is_open || !sent.lost.is_empty() {
        Exit::Incomplete
    } else {
        Exit::Done
    };
    if context.out.json {
        output::json(&Report { sent, deliveries })?;
        return Ok(exit);
    }
    show(context, &sent, &deliveries)?;
    Ok(exit)
}

fn show(context: &Context, sent: &Sent, deliveries: &[Delivery]) -> Result<()> {
    let now = Context::now();
    let rows: Vec<Vec<String>> = deliveries
        .iter()
        .map(|one| {
            let state = match one.ended_at {
                Some(_) if one.delivered => "delivered",
                Some(_) => "given up",
                None => "waiting",
            };
            let what = match &one.trouble {
                Some(trouble) => format!("{} ({trouble})", one.message.text),
                None => one.message.text.clone(),
            };
            vec![
                age(one.message.at, now),
                one.webhook.clone(),
                one.message.event.clone(),
                state.to_owned(),
                one.attempts.to_string(),
                what,
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::table(
            &["AGE", "NOTIFICATION", "EVENT", "STATE", "TRIES", "WHAT"],
            rows,
        )?;
    }
    context.out.note(&format!(
        "{} delivered, {} put off, {} given up",
        count(sent.delivered, "message"),
        sent.put_off.len(),
        sent.lost.len()
    ));
    Ok(())
}

async fn test(context: &Context, name: Option<&str>) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let tests: Vec<Test> = engine
        .test_notifications(name)
        .await?
        .into_iter()
        .map(|(notification, result)| Test {
            notification,
            error: result.err().map(|error| error.report()),
        })
        .collect();
    let failed = tests.iter().filter(|test| test.error.is_some()).count();
    let exit = if failed == 0 {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    if context.out.json {
        output::json(&Tests { tests })?;
        return Ok(exit);
    }
    for test in &tests {
        match &test.error {
            None => output::line(&format!("{}: the test was taken", test.notification))?,
            Some(error) => {
                output::line(&format!("{}: the test was not taken", test.notification))?;
                output::error_line(&error.to_string());
                if let Some(hint) = &error.hint {
                    output::hint(hint);
                }
            }
        }
    }
    Ok(exit)
}
