//! Every kind of error, injected at every operation, comes back as that kind.

use fleetwright_core::ability::GroupSpec;
use fleetwright_core::{Effect, Error, Kind, ListRequest, Operation, Remedy, Result};

use crate::create::only_these;
use crate::run::{fresh_name, ids, may_have_happened, names};
use crate::verdict::{must, not_applicable};
use crate::{Fault, Outcome, Run};

/// What any call may meet.
const ANY: [Kind; 6] = [
    Kind::Auth,
    Kind::Permission,
    Kind::RateLimited,
    Kind::Unavailable,
    Kind::Timeout,
    Kind::Unexpected,
];

/// What a create call may meet besides.
const CREATE: [Kind; 4] = [Kind::Invalid, Kind::Conflict, Kind::Quota, Kind::Capacity];

/// Counts what could be injected, so that a case that judged nothing says so.
struct Tried(u32);

impl Tried {
    fn end(self, operation: Operation) -> Outcome {
        if self.0 == 0 {
            return not_applicable(format!(
                "the subject cannot make `{}` fail",
                operation.as_str()
            ));
        }
        Ok(())
    }
}

/// Judges the result of a call that met `kind`; the error, unless it was absorbed.
fn judge<T>(
    run: &Run<'_>,
    operation: Operation,
    kind: Kind,
    result: Result<T>,
) -> Outcome<std::result::Result<T, Error>> {
    let absorbable = run.subject().retries() && kind.remedy() == Remedy::RetryHere;
    match result {
        Ok(value) => {
            must(
                absorbable,
                "an error is never swallowed: not turned into an empty list, a default or success",
                || format!("`{}` met `{kind}` and succeeded", operation.as_str()),
            )?;
            Ok(Ok(value))
        }
        Err(error) => {
            run.note_error(&error);
            must(
                error.kind() == kind,
                "an error comes back as the kind that it is",
                || format!("`{}` met `{kind}`: {error:?}", operation.as_str()),
            )?;
            must(
                kind != Kind::Timeout
                    || operation != Operation::Create
                    || may_have_happened(&error),
                "nobody can know whether a create call that was not answered had an effect",
                || format!("{error:?}"),
            )?;
            Ok(Err(error))
        }
    }
}

/// Meets every kind of [`ANY`] with a call that has no effect.
async fn keeps_kinds<T>(
    run: &Run<'_>,
    operation: Operation,
    mut call: impl AsyncFnMut() -> Result<T>,
) -> Outcome {
    let mut tried = Tried(0);
    for kind in ANY {
        if !run.subject().inject(&Fault::before(operation, kind)).await {
            continue;
        }
        tried.0 += 1;
        let _absorbed_or_told = judge(run, operation, kind, call().await)?;
        let after = run.at_its_pace(async || call().await).await;
        run.ok(
            "a call succeeds again once its cause of failure is gone",
            after,
        )?;
    }
    tried.end(operation)
}

pub(crate) async fn errors_of_check_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    keeps_kinds(run, Operation::Check, async || provider.check().await).await
}

pub(crate) async fn errors_of_create_keep_their_kind(run: &Run<'_>) -> Outcome {
    let mut tried = Tried(0);
    for kind in ANY.into_iter().chain(CREATE) {
        let fault = Fault::before(Operation::Create, kind);
        if !run.subject().inject(&fault).await {
            continue;
        }
        tried.0 += 1;
        let request = run.request(1);
        match judge(
            run,
            Operation::Create,
            kind,
            run.create_once(&request).await,
        )? {
            Ok(created) => only_these(run, &request, &created.nodes).await?,
            Err(error) => {
                let real = run.made_by(&request.token).await;
                must(
                    real.is_empty() || error.effect() == Effect::Unknown,
                    "an error has `Effect::None` only if no machine can exist because of the call",
                    || format!("{error:?}, but there are {}", names(&real)),
                )?;
                run.note_nodes(&ids(&real));
            }
        }
        run.nodes(1).await?;
    }
    tried.end(Operation::Create)
}

pub(crate) async fn a_create_without_answer_admits_that_it_may_have_happened(
    run: &Run<'_>,
) -> Outcome {
    let mut tried = Tried(0);
    for kind in [Kind::Timeout, Kind::Unavailable, Kind::Unexpected] {
        let fault = Fault::after(Operation::Create, kind);
        if !run.subject().inject(&fault).await {
            continue;
        }
        tried.0 += 1;
        let request = run.request(1);
        let result = run.create_once(&request).await;
        let real = run.made_by(&request.token).await;
        run.note_nodes(&ids(&real));
        match result {
            Ok(created) => only_these(run, &request, &created.nodes).await?,
            Err(error) => must(
                real.is_empty() || may_have_happened(&error),
                "an error has `Effect::None` only if no machine can exist because of the call",
                || format!("{error:?}, but there are {}", names(&real)),
            )?,
        }
    }
    tried.end(Operation::Create)
}

pub(crate) async fn errors_of_list_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    keeps_kinds(run, Operation::List, async || {
        let listing = provider.list(&ListRequest::default()).await?;
        // A listing whose every part failed may say so with gaps instead of an error.
        match listing.coverage.gaps().first() {
            Some(gap) => Err(gap.error.clone().into()),
            None => Ok(()),
        }
    })
    .await
}

pub(crate) async fn errors_of_get_keep_their_kind(run: &Run<'_>) -> Outcome {
    let node = run.nodes(1).await?.remove(0);
    run.settle_lag().await;
    let provider = run.provider();
    keeps_kinds(run, Operation::Get, async || provider.get(&node.id).await).await
}

pub(crate) async fn errors_of_delete_keep_their_kind(run: &Run<'_>) -> Outcome {
    let mut tried = Tried(0);
    let node = run.nodes(1).await?.remove(0);
    let provider = run.provider();
    for kind in ANY {
        let fault = Fault::before(Operation::Delete, kind);
        if !run.subject().inject(&fault).await {
            continue;
        }
        tried.0 += 1;
        let result = judge(
            run,
            Operation::Delete,
            kind,
            provider.delete(&node.id).await,
        )?;
        if result.is_ok() {
            // Absorbed, so the deletion is under way: nothing is left to be refused.
            continue;
        }
        let real = run.made().await;
        must(
            ids(&real).contains(&node.id),
            "a deletion that failed before it had an effect removes nothing",
            || format!("`{kind}` was injected; left {}", names(&real)),
        )?;
    }
    run.remove([&node.id]).await?;
    tried.end(Operation::Delete)
}

pub(crate) async fn errors_of_the_catalog_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(catalog) = provider.catalog() else {
        return not_applicable("the provider has no catalog");
    };
    keeps_kinds(run, Operation::Catalog, async || {
        catalog.instance_types().await
    })
    .await?;
    keeps_kinds(run, Operation::Catalog, async || catalog.offerings().await).await
}

pub(crate) async fn errors_of_quotas_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(quotas) = provider.quotas() else {
        return not_applicable("the provider has no quotas");
    };
    keeps_kinds(run, Operation::Catalog, async || quotas.quotas().await).await
}

pub(crate) async fn errors_of_groups_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(groups) = provider.groups() else {
        return not_applicable("the provider has no groups");
    };
    keeps_kinds(run, Operation::Read, async || groups.list_groups().await).await?;
    let spec = GroupSpec {
        name: fresh_name(),
        min: 0,
        desired: 0,
        max: 1,
        node: run.request(1).spec,
    };
    run.note_group(&spec.node.region, &spec.name);
    let token = run.request(1).token;
    keeps_kinds(run, Operation::Change, async || {
        groups.create_group(&spec, &token).await
    })
    .await
}

pub(crate) async fn errors_of_balancers_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(balancers) = provider.balancers() else {
        return not_applicable("the provider has no balancers");
    };
    keeps_kinds(run, Operation::Read, async || {
        balancers.list_balancers().await
    })
    .await?;
    let Some(name) = run.subject().balancer().await else {
        return not_applicable("there is no balancer");
    };
    let node = run.nodes(1).await?.remove(0);
    keeps_kinds(run, Operation::Change, async || {
        balancers.deregister(&name, &node.id).await
    })
    .await
}

pub(crate) async fn errors_of_dns_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(dns) = provider.dns() else {
        return not_applicable("the provider has no DNS");
    };
    keeps_kinds(run, Operation::Read, async || dns.list_zones().await).await?;
    let Some(zone) = run.subject().zone().await else {
        return not_applicable("there is no zone");
    };
    let name = format!("{}.{zone}", fresh_name());
    keeps_kinds(run, Operation::Change, async || {
        dns.remove(&zone, &name, fleetwright_core::ability::RecordKind::Txt)
            .await
    })
    .await
}

pub(crate) async fn errors_of_interruptions_keep_their_kind(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(interruptions) = provider.interruptions() else {
        return not_applicable("the provider has no interruptions");
    };
    keeps_kinds(run, Operation::Read, async || interruptions.pending().await).await
}
