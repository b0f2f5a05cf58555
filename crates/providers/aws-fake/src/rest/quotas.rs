//! Service Quotas: how many vCPUs the account may have, as the world counts them.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;

/// What is said where the world has no limit.
const NO_LIMIT: u32 = 1_000_000;

/// The quotas: code, name, whether it is for spot.
///
/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>
const QUOTAS: [(&str, &str, bool); 11] = [
    (
        "L-1216C47A",
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        false,
    ),
    ("L-1945791B", "Running On-Demand Inf instances", false),
    ("L-2C3B7624", "Running On-Demand Trn instances", false),
    (
        "L-34B43A08",
        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
        true,
    ),
    ("L-3819A6DF", "All G and VT Spot Instance Requests", true),
    ("L-417A185B", "Running On-Demand P instances", false),
    ("L-6B0D517C", "All Trn Spot Instance Requests", true),
    (
        "L-7212CCBC",
        "All P4, P3 and P2 Spot Instance Requests",
        true,
    ),
    ("L-B5D1601B", "All Inf Spot Instance Requests", true),
    ("L-C4BD4855", "All P5 Spot Instance Requests", true),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", false),
];

/// The answer of Service Quotas.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let body: Value = serde_json::from_str(&request.body)
        .map_err(|error| Refusal::bad("IllegalArgumentException", error.to_string()))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("ServiceCode") != Some("ec2") {
        return Err(not_found());
    }
    let all: Vec<Value> = QUOTAS
        .iter()
        .map(|quota| quota_of(world, &request.region, *quota))
        .collect::<Result<_, _>>()?;
    match request.action.as_str() {
        "GetServiceQuota" | "GetAWSDefaultServiceQuota" => {
            let code = text("QuotaCode").unwrap_or_default();
            let quota = all
                .into_iter()
                .find(|quota| quota.get("QuotaCode").and_then(Value::as_str) == Some(code))
                .ok_or_else(not_found)?;
            Ok(Answer::json(&json!({ "Quota": quota })))
        }
        "ListServiceQuotas" => {
            let asked = body.get("MaxResults").and_then(Value::as_u64);
            let asked = asked.and_then(|number| usize::try_from(number).ok());
            let size = super::query::page_size(world, asked, 100, 100);
            let code = "InvalidPaginationTokenException";
            let page = super::query::page(all, text("NextToken"), size, code)?;
            let mut answer = json!({ "Quotas": page.items });
            if let Some(next) = page.next {
                answer["NextToken"] = Value::String(next);
            }
            Ok(Answer::json(&answer))
        }
        action => Err(super::unknown("servicequotas", action)),
    }
}

fn quota_of(
    world: &World,
    region: &str,
    (code, name, is_spot): (&str, &str, bool),
) -> Result<Value, Refusal> {
    let quota = &world.region(region)?.quota;
    let limit = if is_spot { quota.spot } else { quota.on_demand };
    let account = &world.config.account;
    Ok(json!({
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": format!("arn:aws:servicequotas:{region}:{account}:ec2/{code}"),
        "QuotaCode": code,
        "QuotaName": name,
        "Value": f64::from(limit.unwrap_or(NO_LIMIT)),
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
    }))
}

fn not_found() -> Refusal {
    Refusal::bad(
        "NoSuchResourceException",
        "The request failed because the specified service or quota does not exist.",
    )
}
