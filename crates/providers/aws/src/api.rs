//! The SDK's clients: one HTTP client, one set of credentials, one client per service and region.
//!
//! Nothing is read and nobody is asked before the first call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls;
use fleetwright_core::{Error, Kind, Result, Secret};
use tokio::sync::OnceCell;

use crate::AwsConfig;

/// Every action that this crate calls, as IAM policies name it. The guide's policy is checked
/// against it, and it is checked against the code.
pub const ACTIONS: &[&str] = &[
    "autoscaling:CreateAutoScalingGroup",
    "autoscaling:DeleteAutoScalingGroup",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DetachInstances",
    "autoscaling:SetDesiredCapacity",
    "autoscaling:SetInstanceProtection",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:UpdateAutoScalingGroup",
    "ec2:CancelSpotFleetRequests",
    "ec2:CreateFleet",
    "ec2:CreateLaunchTemplate",
    "ec2:DeleteFleets",
    "ec2:DeleteLaunchTemplate",
    "ec2:DescribeFleetHistory",
    "ec2:DescribeFleetInstances",
    "ec2:DescribeFleets",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeSpotFleetInstances",
    "ec2:DescribeSpotFleetRequestHistory",
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
    "ec2:ModifyFleet",
    "ec2:ModifySpotFleetRequest",
    "ec2:RequestSpotFleet",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:RegisterTargets",
    "pricing:GetProducts",
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
    "servicequotas:GetServiceQuota",
    "servicequotas:ListServiceQuotas",
    "sqs:DeleteMessageBatch",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "ssm:GetParameter",
    "sts:GetCallerIdentity",
];

/// A key and its secret, for programs that keep their own. The command uses the standard chain.
#[derive(Debug, Clone)]
pub struct StaticCredentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// The clients of one account.
pub(crate) struct Api {
    config: AwsConfig,
    credentials: Option<StaticCredentials>,
    account: OnceCell<Account>,
}

/// What is made at the first call.
struct Account {
    regions: BTreeMap<String, RegionApi>,
    global: GlobalApi,
}

/// The clients of one region.
pub(crate) struct RegionApi {
    /// The region's name.
    pub(crate) region: String,
    /// Instances, fleets, types.
    pub(crate) ec2: aws_sdk_ec2::Client,
    /// Auto Scaling groups.
    pub(crate) autoscaling: aws_sdk_autoscaling::Client,
    /// Target groups.
    pub(crate) balancing: aws_sdk_elasticloadbalancingv2::Client,
    /// How much the account may have.
    pub(crate) quotas: aws_sdk_servicequotas::Client,
    /// Images by parameter.
    pub(crate) ssm: aws_sdk_ssm::Client,
    /// Interruption notices.
    pub(crate) sqs: aws_sdk_sqs::Client,
}

/// The clients of services that have no region.
pub(crate) struct GlobalApi {
    /// Who we are; asked in the first region.
    pub(crate) sts: aws_sdk_sts::Client,
    /// DNS.
    pub(crate) route53: aws_sdk_route53::Client,
    /// Prices.
    pub(crate) pricing: aws_sdk_pricing::Client,
}

/// The Price List API answers in three regions only, and for all.
/// <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html>
const PRICING_REGION: &str = "us-east-1";
/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("regions", &self.config.regions)
            .finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(config: AwsConfig, credentials: Option<StaticCredentials>) -> Self {
        Self {
            config,
            credentials,
            account: OnceCell::new(),
        }
    }

    /// The clients of a region.
    ///
    /// # Errors
    /// `Invalid` if the region is not configured.
    pub(crate) async fn region(&self, region: &str) -> Result<&RegionApi> {
        self.knows(region)?;
        let account = self.account().await;
        // Every configured region got its clients.
        account.regions.get(region).ok_or_else(|| unknown(region))
    }

    /// The clients of services that have no region.
    pub(crate) async fn global(&self) -> &GlobalApi {
        &self.account().await.global
    }

    /// Checks that a region is configured, without making clients.
    pub(crate) fn knows(&self, region: &str) -> Result<()> {
        if self.config.regions.iter().any(|known| known == region) {
            return Ok(());
        }
        Err(unknown(region).with_hint(format!(
            "configured: {}; add it to `regions` of this provider",
            self.config.regions.join(", ")
        )))
    }

    async fn account(&self) -> &Account {
        self.account
            .get_or_init(|| async {
                let shared = self.load().await;
                let regions = self
                    .config
                    .regions
                    .iter()
                    .map(|name| (name.clone(), RegionApi::new(name, &shared)))
                    .collect();
                let global = GlobalApi::new(&shared);
                Account { regions, global }
            })
            .await
    }

    /// What all clients share.
    async fn load(&self) -> SdkConfig {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(self.config.call_timeout.0))
            .operation_timeout(self.config.call_timeout.0)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .region(self.config.regions.first().cloned().map(Region::new));
        if let Ok(name) = AppName::new("fleetwright") {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &self.config.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &self.config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(own) = &self.credentials {
            loader = loader.credentials_provider(aws_credential_types::Credentials::new(
                own.access_key_id.clone(),
                own.secret_access_key.reveal(),
                own.session_token.as_ref().map(|t| t.reveal().to_owned()),
                None,
                "fleetwright",
            ));
        }
        loader.load().await
    }
}

impl RegionApi {
    fn new(name: &str, shared: &SdkConfig) -> Self {
        let shared = at(shared, name);
        Self {
            region: name.to_owned(),
            ec2: aws_sdk_ec2::Client::new(&shared),
            autoscaling: aws_sdk_autoscaling::Client::new(&shared),
            balancing: aws_sdk_elasticloadbalancingv2::Client::new(&shared),
            quotas: aws_sdk_servicequotas::Client::new(&shared),
            ssm: aws_sdk_ssm::Client::new(&shared),
            sqs: aws_sdk_sqs::Client::new(&shared),
        }
    }
}

impl GlobalApi {
    fn new(shared: &SdkConfig) -> Self {
        Self {
            sts: aws_sdk_sts::Client::new(shared),
            route53: aws_sdk_route53::Client::new(shared),
            pricing: aws_sdk_pricing::Client::new(&at(shared, PRICING_REGION)),
        }
    }
}

fn at(shared: &SdkConfig, region: &str) -> SdkConfig {
    shared
        .to_builder()
        .region(Region::new(region.to_owned()))
        .build()
}

fn unknown(region: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("region `{region}` is not configured"),
    )
}
