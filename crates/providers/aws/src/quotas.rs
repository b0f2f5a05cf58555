//! How many vCPUs the account may have, by family of types, and what that means for an offering.
//! <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>
//!
//! One listing is asked for instead of each quota: GetServiceQuota is limited to 5 calls a second.
//! <https://docs.aws.amazon.com/servicequotas/latest/userguide/reference_limits.html>
//! It is asked once, before that: where Service Quotas does not know EC2, it says so in clear words.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_servicequotas::types::{ErrorCode, ServiceQuota};
use fleetwright_core::ability::Quota;
use fleetwright_core::{Error, InstanceType, Kind, Market, Quotas, Result};
use futures::future::{FutureExt, join_all};

use crate::api::RegionApi;
use crate::error::At;
use crate::provider::AwsProvider;

/// What Service Quotas calls it.
const EC2: &str = "ec2";
const STANDARD: &str = "L-1216C47A";
const SPOT_STANDARD: &str = "L-34B43A08";
const SPOT_P: &str = "L-7212CCBC";
const SPOT_P5: &str = "L-C4BD4855";

/// The quotas that count vCPUs of running instances, by code; `true` if of spot instances.
const CODES: [(&str, bool); 19] = [
    (STANDARD, false),
    ("L-1945791B", false),
    ("L-2C3B7624", false),
    (SPOT_STANDARD, true),
    ("L-3819A6DF", true),
    ("L-417A185B", false),
    ("L-43DA4232", false),
    ("L-6B0D517C", true),
    ("L-6E869C2A", false),
    (SPOT_P, true),
    ("L-7295265B", false),
    ("L-74FC7D96", false),
    ("L-85EED4F7", true),
    ("L-88CF9481", true),
    ("L-B5D1601B", true),
    (SPOT_P5, true),
    ("L-DB2E81BA", false),
    ("L-E3A00192", true),
    ("L-F7808C92", false),
];

/// The codes that may limit a type on a market: the first that the region knows does. Empty for
/// types of which AWS does not say which quota holds.
fn codes(instance_type: &str, market: Market) -> &'static [&'static str] {
    let end = instance_type.find(|c: char| !c.is_ascii_lowercase());
    let (letters, rest) = instance_type.split_at(end.unwrap_or(instance_type.len()));
    match (letters, market) {
        // Im4gn and Is4gen are of family I.
        ("a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z", market) => match market
        {
            Market::OnDemand => &[STANDARD],
            Market::Spot => &[SPOT_STANDARD],
        },
        ("g" | "gr" | "vt", Market::OnDemand) => &["L-DB2E81BA"],
        ("g" | "gr" | "vt", Market::Spot) => &["L-3819A6DF"],
        ("p", Market::OnDemand) => &["L-417A185B"],
        // "All P4, P3 and P2 Spot Instance Requests", "All P5 Spot Instance Requests"; newer
        // accounts have one for all.
        ("p", Market::Spot) => match rest.bytes().next() {
            Some(b'2'..=b'4') => &[SPOT_P],
            Some(b'5') => &[SPOT_P5, SPOT_P],
            _ => &[],
        },
        ("f", Market::OnDemand) => &["L-74FC7D96"],
        ("f", Market::Spot) => &["L-88CF9481"],
        ("x", Market::OnDemand) => &["L-7295265B"],
        ("x", Market::Spot) => &["L-E3A00192"],
        ("inf", Market::OnDemand) => &["L-1945791B"],
        ("inf", Market::Spot) => &["L-B5D1601B"],
        ("trn", Market::OnDemand) => &["L-2C3B7624"],
        ("trn", Market::Spot) => &["L-6B0D517C"],
        ("dl", Market::OnDemand) => &["L-6E869C2A"],
        ("dl", Market::Spot) => &["L-85EED4F7"],
        ("hpc", Market::OnDemand) => &["L-F7808C92"],
        ("u", Market::OnDemand) => &["L-43DA4232"],
        _ => &[],
    }
}

/// The vCPU quotas that a region knows, by code.
#[derive(Debug, Default)]
pub(crate) struct RegionQuotas(BTreeMap<&'static str, Limit>);

#[derive(Debug)]
struct Limit {
    name: String,
    vcpus: u64,
}

impl RegionQuotas {
    /// Whether not even one machine of this type is allowed: the quota of its family is zero, or
    /// below its vCPUs. What is in use already does not count here. An unknown quota forbids
    /// nothing.
    pub(crate) fn forbid(&self, instance_type: &InstanceType, market: Market) -> bool {
        codes(&instance_type.name, market)
            .iter()
            .find_map(|code| self.0.get(code))
            .is_some_and(|limit| limit.vcpus < u64::from(instance_type.vcpus))
    }

    fn add(&mut self, at: At<'_>, quota: &ServiceQuota) -> Result<()> {
        let known = CODES
            .iter()
            .find(|(code, _)| quota.quota_code() == Some(code));
        let Some((code, _)) = known else {
            return Ok(());
        };
        let name = quota.quota_name().unwrap_or(code).to_owned();
        if let Some(reason) = quota.error_reason() {
            if reason.error_code() == Some(&ErrorCode::ServiceQuotaNotAvailableError) {
                return Ok(());
            }
            let why = reason.error_message().unwrap_or("no reason is given");
            return Err(Error::new(
                Kind::Unavailable,
                format!("quota `{name}` cannot be read: {why}"),
            )
            .with_context("region", at.region));
        }
        let value = quota.value().ok_or_else(|| at.lacking("quota value"))?;
        let vcpus = whole(value).ok_or_else(|| at.lacking("quota that is a number"))?;
        self.0.insert(code, Limit { name, vcpus });
        Ok(())
    }
}

/// A quota as a whole number. Quotas are whole in practice; a part of a vCPU is worth nothing.
fn whole(value: f64) -> Option<u64> {
    // Through text, as there is no conversion of a float that cannot lose something.
    (value >= 0.0).then(|| format!("{:.0}", value.floor()).parse().ok())?
}

/// The quotas of EC2 in a region, over all pages. None where Service Quotas does not know EC2: "The
/// request failed because the specified service does not exist."
async fn read(api: &RegionApi) -> Result<RegionQuotas> {
    let mut quotas = RegionQuotas::default();
    if !are_known(api).await? {
        return Ok(quotas);
    }
    let at = At::new("ListServiceQuotas", &api.region);
    let mut next: Option<String> = None;
    loop {
        let page = api
            .quotas
            .list_service_quotas()
            .service_code(EC2)
            .max_results(100)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        for quota in page.quotas() {
            quotas.add(at, quota)?;
        }
        next = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if next.is_none() {
            return Ok(quotas);
        }
    }
}

/// Whether the region knows the quota that every account has.
async fn are_known(api: &RegionApi) -> Result<bool> {
    let at = At::new("GetServiceQuota", &api.region);
    let call = api.quotas.get_service_quota();
    let answer = call.service_code(EC2).quota_code(STANDARD).send().await;
    match answer.map_err(|error| at.error(error)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl AwsProvider {
    /// The vCPU quotas of a region, remembered for a while.
    pub(crate) async fn quotas_of(&self, region: &str) -> Result<Arc<RegionQuotas>> {
        let api = self.api().region(region).await?;
        let quotas = &self.shelf().quotas;
        let read = read(api).boxed();
        quotas
            .or_read(region, self.clock(), self.catalog_age(), read)
            .await
    }
}

#[async_trait]
impl Quotas for AwsProvider {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        let regions = &self.config().regions;
        let answers = join_all(regions.iter().map(|region| self.quotas_of(region))).await;
        let mut all = Vec::new();
        for (region, answer) in regions.iter().zip(answers) {
            all.extend(answer?.0.values().map(|limit| Quota {
                name: limit.name.clone(),
                region: Some(region.clone()),
                limit: limit.vcpus,
                // Only CloudWatch tells, late and for money.
                used: None,
                unit: "vcpus".to_owned(),
                family: Some(limit.name.clone()),
            }));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_servicequotas::types::ErrorReason;

    use super::*;

    const AT: At<'static> = At::new("ListServiceQuotas", "us-east-1");

    fn quota(code: &str, value: f64) -> ServiceQuota {
        ServiceQuota::builder()
            .quota_code(code)
            .quota_name(format!("quota {code}"))
            .value(value)
            .build()
    }

    fn quotas(of: &[(&str, f64)]) -> RegionQuotas {
        let mut quotas = RegionQuotas::default();
        for (code, value) in of {
            quotas.add(AT, &quota(code, *value)).unwrap();
        }
        quotas
    }

    fn machine(name: &str, vcpus: u32) -> InstanceType {
        InstanceType {
            name: name.to_owned(),
            vcpus,
            memory_mib: 1_024,
            architecture: "x86_64".to_owned(),
            gpus: 0,
            gpu_model: None,
            gpu_memory_mib: None,
        }
    }

    #[test]
    fn every_code_of_a_family_is_read_and_of_the_right_market() {
        let families = [
            "a1.large",
            "c5.large",
            "d3.xlarge",
            "dl1.24xlarge",
            "f2.6xlarge",
            "g6f.large",
            "gr6.4xlarge",
            "hpc7g.4xlarge",
            "i4i.large",
            "im4gn.large",
            "inf2.xlarge",
            "m7i-flex.large",
            "p3.2xlarge",
            "p5.48xlarge",
            "r8g.large",
            "t3.micro",
            "trn1n.32xlarge",
            "u-6tb1.56xlarge",
            "u7i-6tb.112xlarge",
            "vt1.3xlarge",
            "x2gd.large",
            "z1d.large",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for name in families {
            for (market, spot) in [(Market::OnDemand, false), (Market::Spot, true)] {
                for code in codes(name, market) {
                    assert!(CODES.contains(&(code, spot)), "{name} {market} {code}");
                    seen.insert(code);
                }
            }
            assert!(!codes(name, Market::OnDemand).is_empty(), "{name}");
        }
        assert_eq!(
            seen.len(),
            CODES.len(),
            "a quota is read that no family has"
        );
        assert!(CODES.is_sorted());
        for unknown in ["mac2.metal", "q1.large", "", "p6-b200.48xlarge"] {
            assert!(codes(unknown, Market::Spot).is_empty(), "{unknown}");
        }
    }

    #[test]
    fn a_quota_below_one_machine_forbids_it() {
        let zero = quotas(&[("L-417A185B", 0.0), (STANDARD, 5.0), (SPOT_P, 96.0)]);
        let p4d = machine("p4d.24xlarge", 96);
        assert!(zero.forbid(&p4d, Market::OnDemand));
        assert!(!zero.forbid(&p4d, Market::Spot));
        assert!(!zero.forbid(&machine("m5.xlarge", 4), Market::OnDemand));
        assert!(zero.forbid(&machine("m5.2xlarge", 8), Market::OnDemand));
        // Of these nothing is known.
        assert!(!zero.forbid(&machine("m5.2xlarge", 8), Market::Spot));
        assert!(!zero.forbid(&machine("g5.xlarge", 4), Market::OnDemand));
    }

    #[test]
    fn spot_p5_has_its_own_quota_where_there_is_one() {
        let p5 = machine("p5.48xlarge", 192);
        let old = quotas(&[(SPOT_P, 768.0), (SPOT_P5, 0.0)]);
        assert!(old.forbid(&p5, Market::Spot));
        let new = quotas(&[(SPOT_P, 768.0)]);
        assert!(!new.forbid(&p5, Market::Spot));
    }

    #[test]
    fn quotas_that_cannot_be_read_are_errors_and_strange_ones_are_left_out() {
        let mut known = quotas(&[("L-0263D0A3", 5.0)]);
        assert!(known.0.is_empty());
        let failed = |code: ErrorCode| {
            let reason = ErrorReason::builder().error_code(code).build();
            ServiceQuota::builder()
                .quota_code(STANDARD)
                .error_reason(reason)
                .build()
        };
        known
            .add(AT, &failed(ErrorCode::ServiceQuotaNotAvailableError))
            .unwrap();
        let error = known
            .add(AT, &failed(ErrorCode::DependencyThrottlingError))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(known.add(AT, &quota(STANDARD, value)).is_err(), "{value}");
        }
        let nothing = ServiceQuota::builder().quota_code(STANDARD).build();
        assert_eq!(
            known.add(AT, &nothing).unwrap_err().kind(),
            Kind::Unexpected
        );
        assert!(known.0.is_empty());
        assert_eq!(whole(1_152.0), Some(1_152));
        assert_eq!(whole(7.9), Some(7));
    }
}
