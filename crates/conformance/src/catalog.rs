//! What can be bought, and how much of it.

use std::collections::BTreeSet;

use fleetwright_core::InstanceType;
use fleetwright_core::ability::{Offering, Quota};

use crate::run::Look;
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

async fn types(run: &Run<'_>) -> Outcome<Vec<InstanceType>> {
    let provider = run.provider();
    let Some(catalog) = provider.catalog() else {
        return not_applicable("the provider has no catalog");
    };
    let types = run
        .at_its_pace(async || catalog.instance_types().await)
        .await;
    run.ok("`instance_types` of a healthy provider succeeds", types)
}

async fn offerings(run: &Run<'_>) -> Outcome<Vec<Offering>> {
    let provider = run.provider();
    let Some(catalog) = provider.catalog() else {
        return not_applicable("the provider has no catalog");
    };
    let offerings = run.at_its_pace(async || catalog.offerings().await).await;
    run.ok("`offerings` of a healthy provider succeeds", offerings)
}

pub(crate) async fn types_are_whole_and_named_once(run: &Run<'_>) -> Outcome {
    let types = types(run).await?;
    let unique: BTreeSet<&str> = types.iter().map(|t| &*t.name).collect();
    must(
        !types.is_empty() && unique.len() == types.len(),
        "a catalog has instance types, each once",
        || format!("{} types with {} names", types.len(), unique.len()),
    )?;
    for t in &types {
        must(
            !t.name.is_empty() && t.vcpus > 0 && t.memory_mib > 0 && !t.architecture.is_empty(),
            "a type has a name, CPUs, memory and an architecture",
            || format!("{t:?}"),
        )?;
        let has_model = t.gpu_model.as_ref().is_some_and(|model| !model.is_empty());
        must(
            (t.gpus > 0) == has_model,
            "a type has GPUs if and only if it says which",
            || format!("{t:?}"),
        )?;
        must(
            t.gpu_memory_mib.is_none_or(|mib| mib > 0 && t.gpus > 0),
            "only GPUs have GPU memory",
            || format!("{t:?}"),
        )?;
    }
    Ok(())
}

pub(crate) async fn offerings_name_known_types_and_regions(run: &Run<'_>) -> Outcome {
    let types = types(run).await?;
    let known: BTreeSet<&str> = types.iter().map(|t| &*t.name).collect();
    let mut seen = BTreeSet::new();
    for offering in offerings(run).await? {
        must(
            known.contains(&*offering.instance_type),
            "every offering names a type of `instance_types`",
            || format!("{offering:?}"),
        )?;
        must(
            run.info().regions.contains(&offering.region),
            "an offering is in a configured region",
            || format!("{offering:?}"),
        )?;
        must(
            offering.zone.as_ref().is_none_or(|zone| !zone.is_empty()),
            "a zone that is said has a name",
            || format!("{offering:?}"),
        )?;
        must(
            seen.insert((
                offering.instance_type.clone(),
                offering.region.clone(),
                offering.zone.clone(),
                offering.market,
            )),
            "a type is offered once per place and market",
            || format!("{offering:?} stands twice"),
        )?;
    }
    Ok(())
}

pub(crate) async fn what_can_be_made_is_offered(run: &Run<'_>) -> Outcome {
    let node = run.nodes(1).await?.remove(0);
    let offerings = offerings(run).await?;
    let offered = offerings.iter().any(|offering| {
        offering.instance_type == node.instance_type
            && offering.region == node.id.region()
            && offering.market == node.market
            && (offering.zone.is_none() || node.zone.is_none() || offering.zone == node.zone)
    });
    must(offered, "what can be made is offered", || {
        format!("{node:?} was made; offered {offerings:?}")
    })
}

pub(crate) async fn prices_of_a_type_share_a_currency(run: &Run<'_>) -> Outcome {
    let currencies: BTreeSet<&str> = offerings(run)
        .await?
        .iter()
        .filter_map(|offering| offering.price)
        .map(|price| price.currency.code())
        .collect();
    must(
        currencies.len() <= 1,
        "an account is billed in one currency: prices of different currencies do not compare",
        || format!("{currencies:?}"),
    )
}

// === quotas ===

async fn quotas(run: &Run<'_>) -> Outcome<Vec<Quota>> {
    let provider = run.provider();
    let Some(quotas) = provider.quotas() else {
        return not_applicable("the provider has no quotas");
    };
    let quotas = run.at_its_pace(async || quotas.quotas().await).await;
    run.ok("`quotas` of a healthy provider succeeds", quotas)
}

pub(crate) async fn quotas_make_sense(run: &Run<'_>) -> Outcome {
    let mut seen = BTreeSet::new();
    for quota in quotas(run).await? {
        must(
            !quota.name.is_empty() && !quota.unit.is_empty(),
            "a quota has a name and says what it counts",
            || format!("{quota:?}"),
        )?;
        must(
            quota
                .region
                .as_ref()
                .is_none_or(|region| run.info().regions.contains(region)),
            "a quota holds for the account or in a configured region",
            || format!("{quota:?}"),
        )?;
        must(
            seen.insert((quota.name.clone(), quota.region.clone())),
            "a quota is named once per region",
            || format!("{quota:?} stands twice"),
        )?;
    }
    Ok(())
}

pub(crate) async fn a_node_counts_against_its_quota(run: &Run<'_>) -> Outcome {
    let region = run.subject().spec().region;
    let counts = |quotas: Vec<Quota>| -> Vec<(String, Option<String>, u64)> {
        quotas
            .into_iter()
            .filter(|q| q.unit == "nodes" && q.region.as_ref().is_none_or(|r| *r == region))
            .filter_map(|q| Some((q.name, q.region, q.used?)))
            .collect()
    };
    let before = counts(quotas(run).await?);
    if before.is_empty() {
        return not_applicable("no quota counts nodes and tells how many are in use");
    }
    run.nodes(1).await?;
    run.until(
        "a node counts against at least one quota of nodes",
        async || {
            let after = counts(quotas(run).await?);
            let more = before.iter().any(|(name, region, used)| {
                after
                    .iter()
                    .any(|(n, r, u)| (n, r) == (name, region) && *u == used + 1)
            });
            Ok(if more {
                Look::Done(())
            } else {
                Look::Wait(format!("before {before:?}, after {after:?}"))
            })
        },
    )
    .await
}
