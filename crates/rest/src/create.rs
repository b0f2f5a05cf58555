//! Exactly once where the cloud has no tokens: what an earlier try made, and what is missing. And
//! what can be refused before any call.
//!
//! ```text
//!  replay? ── list by token ──► found ──► made_before ──► create_missing ──► Created
//!  first try ─────────────────► nothing ────────────────────┘ one call per missing ordinal
//! ```

use std::collections::BTreeSet;

use fleetwright_core::{
    CreateRequest, Created, Effect, Error, Kind, Market, Node, NodeSpec, ProviderInfo, Result, keys,
};

/// Refuses, before any call, more or fewer machines than one request makes, a region that the
/// provider is not configured for, and spot machines: for clouds that have no spot market.
///
/// `cloud` is the cloud's name as people write it.
///
/// # Errors
/// `Invalid`; `Unsupported` for spot machines.
pub fn check_request(request: &CreateRequest, info: &ProviderInfo, cloud: &str) -> Result<()> {
    if request.count == 0 || request.count > info.batch {
        let most = match info.batch {
            1 => "1 machine".to_owned(),
            batch => format!("1 to {batch} machines"),
        };
        let count = request.count;
        return Err(Error::new(
            Kind::Invalid,
            format!("{count} machines in one request, and {cloud} makes {most}"),
        )
        .with_hint("ask for the others in further requests"));
    }
    check_region(&request.spec.region, info)?;
    if request.spec.market == Market::Spot {
        return Err(
            Error::new(Kind::Unsupported, format!("{cloud} has no spot market"))
                .with_hint("write `market = \"on-demand\"` in the pool"),
        );
    }
    Ok(())
}

/// Refuses a region that the provider is not configured for.
///
/// # Errors
/// `Invalid`.
pub fn check_region(region: &str, info: &ProviderInfo) -> Result<()> {
    if info.regions.iter().any(|known| known == region) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        format!("`{}` does not use the region `{region}`", info.name),
    )
    .with_hint(format!("it uses {}", info.regions.join(", "))))
}

/// Refuses a zone: for clouds that have none.
///
/// # Errors
/// `Invalid`.
pub fn check_no_zone(spec: &NodeSpec, cloud: &str) -> Result<()> {
    match &spec.zone {
        None => Ok(()),
        Some(zone) => Err(Error::new(
            Kind::Invalid,
            format!("{cloud} has no zones, and `{zone}` was asked for"),
        )
        .with_hint("leave `zone` out")),
    }
}

/// Those of the listed nodes that this request's token made.
///
/// # Errors
/// `Conflict` if one of them shows that the token was used with other parameters: another type or
/// another region.
pub fn made_before(request: &CreateRequest, listed: Vec<Node>) -> Result<Vec<Node>> {
    let mut found = listed;
    found.retain(|node| node.label(keys::CLAIM) == Some(request.token.as_str()));
    let spec = &request.spec;
    let other = found
        .iter()
        .find(|node| node.instance_type != spec.instance_type || node.id.region() != spec.region);
    match other {
        None => Ok(found),
        Some(node) => Err(Error::new(
            Kind::Conflict,
            format!(
                "token `{}` made `{}`, a `{}`, with other parameters",
                request.token, node.id, node.instance_type
            ),
        )),
    }
}

/// Makes the machines of a request that are not among `found`, one after the other, by their
/// ordinal; names tell which are missing.
///
/// A machine that surely could not be made ends the row: what there is then is a part, or the error
/// if there is nothing. One that may have been made makes the whole answer uncertain, and a replay
/// finds out.
///
/// # Errors
/// Those of `make`.
pub async fn create_missing<F, M>(
    request: &CreateRequest,
    found: Vec<Node>,
    mut make: F,
) -> Result<Created>
where
    F: FnMut(u32) -> M,
    M: Future<Output = Result<Node>>,
{
    let have: BTreeSet<String> = found.iter().map(|node| node.name.clone()).collect();
    let mut nodes = found;
    for ordinal in 0..request.count {
        if have.contains(&request.machine_name(ordinal)) {
            continue;
        }
        match make(ordinal).await {
            Ok(node) => nodes.push(node),
            Err(error) if error.effect() == Effect::None && !nodes.is_empty() => {
                return Ok(Created::partial(nodes, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Created::all(nodes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleetwright_core::{Billing, ClaimId, Idempotency, Labels, Token, fingerprint};
    use serde_json::Map;

    use super::*;

    fn info(batch: u32) -> ProviderInfo {
        ProviderInfo {
            name: "cloud".to_owned(),
            kind: "cloud".to_owned(),
            account: "default".to_owned(),
            regions: vec!["north".to_owned(), "south".to_owned()],
            idempotency: Idempotency::LabelThenList,
            listing_lag: Duration::ZERO,
            batch,
            user_data_limit: 0,
            reports_boot: false,
            has_ssh: false,
            billing: Billing::new(1, 0),
            plants_host_keys: false,
            limits: Vec::new(),
        }
    }

    fn request(count: u32, region: &str, market: Market) -> CreateRequest {
        let spec = NodeSpec {
            name: "web".to_owned(),
            instance_type: "small".to_owned(),
            image: None,
            region: region.to_owned(),
            zone: None,
            market,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: Map::new(),
        };
        CreateRequest {
            count,
            token: Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec))),
            spec,
            replay: false,
            host_key: None,
        }
    }

    #[test]
    fn what_no_call_would_be_granted_is_told_with_what_is_possible() {
        check_request(&request(2, "south", Market::OnDemand), &info(2), "Cloud").unwrap();
        for (wrong, batch, words) in [
            (
                request(0, "north", Market::OnDemand),
                2,
                ["0 machines in one request", "1 to 2 machines", ""],
            ),
            (
                request(2, "north", Market::OnDemand),
                1,
                [
                    "2 machines in one request",
                    "makes 1 machine",
                    "further requests",
                ],
            ),
            (
                request(1, "west", Market::OnDemand),
                1,
                ["`cloud` does not use the region `west`", "", "north, south"],
            ),
            (
                request(1, "north", Market::Spot),
                1,
                ["Cloud has no spot market", "", "on-demand"],
            ),
        ] {
            let error = check_request(&wrong, &info(batch), "Cloud").unwrap_err();
            let told = format!("{error} {}", error.hint().unwrap_or_default());
            for word in words {
                assert!(told.contains(word), "`{word}` is not told: {told}");
            }
        }
        let mut spec = request(1, "north", Market::OnDemand).spec;
        check_no_zone(&spec, "Cloud").unwrap();
        spec.zone = Some("a".to_owned());
        let told = check_no_zone(&spec, "Cloud").unwrap_err().to_string();
        assert_eq!(told, "Cloud has no zones, and `a` was asked for");
    }
}
