//! The reference of providers, written from the providers themselves:
//! `docs/reference/providers.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    Clock, Idempotency, LimitUnit, Provider, ProviderInfo, Result, Secret, SecretRef, SecretSource,
    Span,
};
use toml::de::ValueDeserializer;

use crate::paths::Paths;
use crate::providers::{BuildContext, KINDS, NodeProgram, ProviderKind};

/// The least that each kind must be told, so that it can be built and asked what it is.
const LEAST: &[(&str, &str)] = &[
    (
        "aws",
        "{ regions = [\"us-east-1\"], interruption_queue = \"notices\" }",
    ),
    ("digitalocean", "{ regions = [\"nyc3\"] }"),
    ("hetzner", "{ regions = [\"fsn1\"] }"),
    ("lambda", "{ regions = [\"us-east-1\"] }"),
    ("linode", "{ regions = [\"us-east\"] }"),
    ("local", "{}"),
    (
        "scaleway",
        "{ regions = [\"fr-par\"], project_id = \"11111111-1111-4111-8111-111111111111\" }",
    ),
    ("sim", "{}"),
];

/// Time stands still, and there are no secrets: nothing is called.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Clock for Nothing {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, _duration: std::time::Duration) {}
}

/// The page, for the kinds that this program was built with.
///
/// # Errors
/// `Config` if a kind cannot be built with the least that it must be told.
pub(crate) fn markdown() -> Result<String> {
    let mut built = Vec::new();
    for kind in KINDS {
        if let Some(provider) = build(kind)? {
            built.push((kind, provider));
        }
    }
    let mut out = String::from(
        "# Providers\n\n\
         <!-- Written by `cargo xtask generate` from the providers; not by hand. -->\n\n\
         What each kind can do, and the limits it keeps to. Keys of their tables: \
         [configuration](configuration.md). What every one of them must do: \
         [conformance](conformance.md).\n\n## Abilities\n\n\
         | Kind | Catalog | Groups | Balancers | DNS | Interruptions | Quotas | Preflight | Host keys |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (kind, provider) in &built {
        let mark = |has: bool| if has { "yes" } else { "" };
        let info = provider.info();
        let host_keys = match (info.has_ssh, info.plants_host_keys) {
            (_, true) => "planted",
            (true, false) => "told",
            (false, false) => "",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} | {} | {} | {} | {host_keys} |",
            kind.kind,
            mark(provider.catalog().is_some()),
            mark(provider.groups().is_some()),
            mark(provider.balancers().is_some()),
            mark(provider.dns().is_some()),
            mark(provider.interruptions().is_some()),
            mark(provider.quotas().is_some()),
            mark(provider.requests().is_some()),
        );
    }
    limits(&mut out, &built);
    rates(&mut out, &built);
    waivers(&mut out);
    Ok(out)
}

type Built = [(&'static ProviderKind, Arc<dyn Provider>)];

fn limits(out: &mut String, built: &Built) {
    out.push_str(
        "\n## How machines are made\n\n\
         | Kind | What it is | Exactly once by | A new machine may be missing from a listing for | \
         Machines per call | User data |\n|---|---|---|---|---|---|\n",
    );
    for (kind, provider) in built {
        let info: &ProviderInfo = provider.info();
        let by = match info.idempotency {
            Idempotency::NativeToken => "the cloud's own token",
            Idempotency::DeterministicName => "the name",
            Idempotency::LabelThenList => "a label, listed before a replay",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {by} | {} | {} | {} bytes |",
            kind.kind,
            kind.about,
            Span(info.listing_lag),
            info.batch,
            info.user_data_limit
        );
    }
}

fn rates(out: &mut String, built: &Built) {
    out.push_str(
        "\n## Rate limits\n\nAs documented by the vendors; answers correct them. A kind that is \
         missing publishes none.\n\n| Kind | Bucket | At once | Per minute | Of | For each |\n\
         |---|---|---|---|---|---|\n",
    );
    for (kind, provider) in built {
        for limit in &provider.info().limits {
            let unit = match limit.unit {
                LimitUnit::Calls => "calls",
                LimitUnit::Machines => "machines",
            };
            let place = if limit.per_region {
                "region"
            } else {
                "account"
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | {unit} | {place} |",
                kind.kind, limit.family, limit.burst, limit.per_minute
            );
        }
    }
}

/// Cases of the suite that a kind does not pass; the others pass all of their abilities.
fn waivers(out: &mut String) {
    out.push_str(
        "\n## Waivers\n\nCases of the suite that are not judged, with the reason. A kind that is \
         missing has none.\n\n| Kind | Case | Why |\n|---|---|---|\n",
    );
    let mut row = |kind: &str, case: &str, why: &str| {
        let _ = writeln!(out, "| {kind} | `{case}` | {why} |");
    };
    #[cfg(feature = "aws")]
    for (ways, case, why) in fleetwright_aws::WAIVERS {
        row(&format!("`aws`, launch {}", ways.join(", ")), case, why);
    }
    #[cfg(feature = "linode")]
    for (case, why) in linode::WAIVERS {
        row("`linode`", case, why);
    }
    let _ = &mut row;
}

fn build(kind: &ProviderKind) -> Result<Option<Arc<dyn Provider>>> {
    let Some(code) = &kind.code else {
        return Ok(None);
    };
    let least: BTreeMap<&str, &str> = LEAST.iter().copied().collect();
    let text = least.get(kind.kind).copied().unwrap_or("{}");
    let wrong = |error: toml::de::Error| {
        fleetwright_core::Error::new(
            fleetwright_core::Kind::Config,
            format!("`{text}` is not enough for kind `{}`", kind.kind),
        )
        .with_source(error)
    };
    let table = ValueDeserializer::parse(text).map_err(wrong)?;
    let config = (code.parse)(table, &Path::to_path_buf).map_err(wrong)?;
    let context = BuildContext {
        paths: Paths::of_fleet(PathBuf::from("nowhere")),
        clock: Arc::new(Nothing),
        secrets: Arc::new(Nothing),
        node_program: NodeProgram {
            path: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
        },
    };
    config.build(kind.kind, &context).map(Some)
}

#[async_trait]
impl SecretSource for Nothing {
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret> {
        Err(fleetwright_core::Error::new(
            fleetwright_core::Kind::Config,
            format!("there is no secret `{reference}` here"),
        ))
    }
}
