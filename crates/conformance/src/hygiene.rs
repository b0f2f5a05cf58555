//! Secrets stay where they are. Errors are searched after every case; here is the rest.

use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

pub(crate) async fn no_secret_is_shown(run: &Run<'_>) -> Outcome {
    let secrets = run.subject().secrets();
    if secrets.is_empty() {
        return not_applicable("the subject has no secrets");
    }
    let provider = run.provider();
    let mut shown = vec![
        ("`Debug` of the provider", format!("{provider:?}")),
        ("`Debug` of the provider", format!("{provider:#?}")),
    ];
    let info = serde_json::to_string(provider.info());
    shown.push(("the info as JSON", info.unwrap_or_default()));
    let checked = provider.check().await;
    shown.push(("the result of `check`", format!("{checked:?}")));
    let nodes = run.nodes(1).await?;
    let node = serde_json::to_string(&nodes).unwrap_or_default();
    shown.push(("a node as JSON", node));
    shown.push(("a node", format!("{nodes:?}")));
    for ability in [
        provider.catalog().map(|a| format!("{a:?}")),
        provider.groups().map(|a| format!("{a:?}")),
        provider.balancers().map(|a| format!("{a:?}")),
        provider.dns().map(|a| format!("{a:?}")),
        provider.interruptions().map(|a| format!("{a:?}")),
        provider.quotas().map(|a| format!("{a:?}")),
    ] {
        shown.extend(ability.map(|text| ("`Debug` of an ability", text)));
    }
    for secret in &secrets {
        for (where_, text) in &shown {
            must(
                !text.contains(secret.as_str()),
                "no secret is shown by `Debug`, in JSON or in a node",
                || {
                    format!(
                        "{where_} shows it: {}",
                        text.replace(secret, "<the secret>")
                    )
                },
            )?;
        }
    }
    Ok(())
}
