//! `providers`: which there are and what they can do.

use fleetwright::providers::KINDS;
use fleetwright_core::{Checked, ErrorReport, Provider, ProviderInfo, Result};
use fleetwright_engine::BreakerReport;
use serde::Serialize;

use crate::args::Providers;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count};

#[derive(Serialize)]
struct Report {
    providers: Vec<One>,
    kinds: Vec<KindReport>,
}

#[derive(Serialize)]
struct One {
    info: ProviderInfo,
    abilities: Vec<&'static str>,
    /// Places that fail, as all processes of this fleet know it.
    breakers: Vec<BreakerReport>,
    /// With `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
    /// With `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

#[derive(Serialize)]
struct KindReport {
    kind: &'static str,
    about: &'static str,
    compiled_in: bool,
}

pub(super) async fn run(context: &Context, args: &Providers) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let mut providers = Vec::new();
    for (name, provider) in engine.providers() {
        let mut one = One {
            info: provider.info().clone(),
            abilities: abilities(&**provider),
            breakers: Vec::new(),
            checked: None,
            error: None,
        };
        if args.check {
            match provider.check().await {
                Ok(checked) => one.checked = Some(checked),
                Err(error) => one.error = Some(error.report()),
            }
        }
        one.breakers = engine.breakers(name).await?;
        providers.push(one);
    }
    context.end_progress();
    let kinds = KINDS
        .iter()
        .map(|kind| KindReport {
            kind: kind.kind,
            about: kind.about,
            compiled_in: kind.code.is_some(),
        })
        .collect();
    let report = Report { providers, kinds };
    let failed = report.providers.iter().any(|one| one.error.is_some());
    let exit = if failed { Exit::Findings } else { Exit::Done };
    if context.out.json {
        output::json(&report)?;
        return Ok(exit);
    }
    let rows = report
        .providers
        .iter()
        .map(|one| {
            vec![
                one.info.name.clone(),
                one.info.kind.clone(),
                one.info.regions.join(","),
                one.abilities.join(","),
                state(one, args.check),
            ]
        })
        .collect();
    output::table(&["PROVIDER", "KIND", "REGIONS", "ABILITIES", "CHECK"], rows)?;
    for one in &report.providers {
        if let Some(error) = &one.error {
            output::error_line(&format!("{}: {error}", one.info.name));
            if let Some(hint) = &error.hint {
                output::hint(hint);
            }
        }
    }
    for one in &report.providers {
        for breaker in one.breakers.iter().filter(|breaker| breaker.open) {
            output::error_line(&suspended(&one.info.name, breaker));
        }
    }
    for kind in report.kinds {
        let missing = if kind.compiled_in {
            ""
        } else {
            " (not in this program)"
        };
        context
            .out
            .faint(&format!("kind `{}`{missing}: {}", kind.kind, kind.about));
    }
    Ok(exit)
}

/// A place that nobody asks, in words.
pub(super) fn suspended(provider: &str, breaker: &BreakerReport) -> String {
    let until = breaker
        .until
        .map_or_else(String::new, |until| format!(" until {until}"));
    format!(
        "{provider}/{} is not asked{until}: {} since {}, the last: {}",
        breaker.region,
        count(
            usize::try_from(breaker.failures).unwrap_or(usize::MAX),
            "failure"
        ),
        breaker.since,
        breaker.error
    )
}

fn state(one: &One, checked: bool) -> String {
    match (&one.checked, &one.error) {
        (_, Some(error)) => error.kind.to_string(),
        (
            Some(Checked {
                identity: Some(identity),
                ..
            }),
            None,
        ) => format!("ok, {identity}"),
        (Some(_), None) => "ok".into(),
        (None, None) if checked => "-".into(),
        (None, None) => "not asked".into(),
    }
}

fn abilities(provider: &dyn Provider) -> Vec<&'static str> {
    [
        ("catalog", provider.catalog().is_some()),
        ("groups", provider.groups().is_some()),
        ("balancers", provider.balancers().is_some()),
        ("dns", provider.dns().is_some()),
        ("interruptions", provider.interruptions().is_some()),
        ("quotas", provider.quotas().is_some()),
    ]
    .into_iter()
    .filter_map(|(name, has)| has.then_some(name))
    .collect()
}
