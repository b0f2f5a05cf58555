//! `validate`: is the configuration right?

use std::collections::BTreeSet;

use fleetwright::Assortment;
use fleetwright_core::{Availability, Error, ErrorReport, Kind, Pool, Result};
use fleetwright_engine::{Observation, select_offers};
use serde::Serialize;

use crate::args::{Global, Validate};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, count};

#[derive(Serialize)]
struct Report {
    source: String,
    providers: usize,
    pools: usize,
    /// With `--online`: what the providers said against it.
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    subject: String,
    problem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

pub(super) async fn run(out: Out, global: &Global, args: &Validate) -> Result<Exit> {
    let context = Context::load(global, out)?;
    let config = &context.loaded.config;
    let mut report = Report {
        source: context.source(),
        providers: config.providers.len(),
        pools: config.pools.len(),
        findings: Vec::new(),
    };
    if args.online {
        report.findings = ask(&context).await?;
    }
    let exit = if report.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    };
    if out.json {
        output::json(&report)?;
        return Ok(exit);
    }
    for finding in &report.findings {
        output::error_line(&format!("{}: {}", finding.subject, finding.problem));
        if let Some(hint) = finding.error.as_ref().and_then(|error| error.hint.as_ref()) {
            output::hint(hint);
        }
    }
    let verdict = if report.findings.is_empty() {
        "valid"
    } else {
        "not usable as it is"
    };
    output::line(&format!(
        "{}: {verdict}, {} and {}",
        report.source,
        count(report.providers, "provider"),
        count(report.pools, "pool")
    ))?;
    Ok(exit)
}

/// Asks each provider whether it answers, looks for an offer for each pool, and asks whether the
/// best one would be taken where the provider can tell.
async fn ask(context: &Context) -> Result<Vec<Finding>> {
    let engine = context.engine().await?;
    let mut findings = Vec::new();
    let mut silent: Vec<&str> = Vec::new();
    for (name, provider) in engine.providers() {
        if let Err(error) = provider.check().await {
            silent.push(name);
            let report = error.report();
            findings.push(Finding {
                subject: format!("provider `{name}`"),
                problem: report.to_string(),
                error: Some(report),
            });
        }
    }
    let observation = engine.observe_with_catalogs().await?;
    for (name, pool) in &engine.fleet().pools {
        let mut candidates = pool.candidates.iter();
        let is_known = if pool.candidates.is_empty() {
            engine.providers().len() > silent.len()
        } else {
            candidates.any(|candidate| !silent.contains(&candidate.provider.as_str()))
        };
        // Whoever does not answer was told already, and nothing is known of what it sells.
        if !is_known {
            continue;
        }
        let mismatches = mismatches(name, pool, &observation);
        if !mismatches.is_empty() {
            findings.extend(mismatches);
            continue;
        }
        let selection = select_offers(pool, &observation.providers, &observation.marks);
        if selection.offers.is_empty() {
            let why: Vec<String> = selection
                .excluded
                .iter()
                .map(|e| format!("{}: {}", e.what, e.why))
                .collect();
            let problem = format!("no offer meets it: {}", why.join("; "));
            let error = Error::new(Kind::Config, problem.clone());
            findings.push(Finding {
                subject: format!("pool `{name}`"),
                problem,
                error: Some(error.with_hint(way_out(pool, &observation)).report()),
            });
        }
        // The first is the one that would be asked for.
        if let Some(offer) = selection.offers.first()
            && let Err(error) = engine.preflight(name, offer).await
        {
            let report = error.report();
            findings.push(Finding {
                subject: format!("pool `{name}`"),
                problem: format!("{} would be refused: {report}", offer.label()),
                error: Some(report),
            });
        }
    }
    context.end_progress();
    Ok(findings)
}

/// What helps if no offer is left: where the wanted types are to be had at the moment.
fn way_out(pool: &Pool, observation: &Observation) -> String {
    let mut places = BTreeSet::new();
    for candidate in &pool.candidates {
        let catalog = observation
            .providers
            .get(&candidate.provider)
            .and_then(|seen| seen.catalog.as_ref());
        let offerings = catalog.map_or(&[][..], |catalog| &catalog.offerings);
        places.extend(
            offerings
                .iter()
                .filter(|one| candidate.instance_type.as_ref() == Some(&one.instance_type))
                .filter(|one| candidate.region.as_ref() != Some(&one.region))
                .filter(|one| !matches!(one.availability, Availability::SoldOut { .. }))
                .map(|one| format!("`{}` in `{}`", one.instance_type, one.region)),
        );
    }
    if places.is_empty() {
        "change `candidates`, `requirements` or `max_price` of the pool".to_owned()
    } else {
        let places: Vec<String> = places.into_iter().collect();
        format!(
            "change `candidates`, `requirements` or `max_price` of the pool; there is {}",
            places.join(", ")
        )
    }
}

/// What of a pool cannot be had together, by the catalogs that the providers have just shown.
fn mismatches(name: &str, pool: &Pool, observation: &Observation) -> Vec<Finding> {
    let mut found = Vec::new();
    for candidate in &pool.candidates {
        let Some(catalog) = observation
            .providers
            .get(&candidate.provider)
            .and_then(|seen| seen.catalog.as_ref())
        else {
            continue;
        };
        let assortment = Assortment {
            types: catalog.types.clone(),
            offerings: catalog.offerings.clone(),
            images: None,
        };
        let provider = &candidate.provider;
        if let Some(zone) = &candidate.zone
            && assortment.offerings.iter().all(|one| one.zone.is_none())
        {
            let message = format!("the provider `{provider}` has no zones, and `{zone}` is wanted");
            let report = Error::new(Kind::Config, message)
                .with_hint("leave `zone` out of the candidate")
                .report();
            found.push(Finding {
                subject: format!("pool `{name}`"),
                problem: report.to_string(),
                error: Some(report),
            });
            continue;
        }
        let mismatch = assortment.mismatch(provider, candidate, &pool.requirements);
        if let Some(mismatch) = mismatch {
            let error = Error::new(Kind::Config, mismatch.message);
            let error = match mismatch.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            };
            let report = error.report();
            found.push(Finding {
                subject: format!("pool `{name}`"),
                problem: report.to_string(),
                error: Some(report),
            });
        }
    }
    found
}
