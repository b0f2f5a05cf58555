//! The one interface over every cloud.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Balancers, Billing, Catalog, CreateRequest, Created, Dns, Groups, Interruptions, ListRequest,
    Listing, Node, NodeId, Quotas, Requests, Result,
};

/// A source of machines: one account of one cloud, or this machine, or a simulation.
///
/// # Contract
/// - **Exactly once.** [`create`](Self::create) with the same token gives the same nodes, however
///   often it is called and whichever answers were lost.
/// - **Nothing is over-read.** [`list`](Self::list) says what it could not see. A node whose state
///   is not understood is `NodeState::Unknown`.
/// - **One try.** A provider does not retry; the engine's guard does, in one place.
/// - **Cancellation.** A dropped future leaves nothing that a replay with the same token does not
///   find.
/// - Optional abilities are reached by accessors, so that a claim and its code cannot drift apart.
///   None of the methods has a default body: a wrapper must forward every one.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// What is known about this provider without asking it.
    fn info(&self) -> &ProviderInfo;

    /// Asks the cheapest question that proves that credentials and network are good.
    ///
    /// # Errors
    /// `Auth`, `Permission`, `Unavailable`, `Timeout`; never a success that was not seen.
    async fn check(&self) -> Result<Checked>;

    /// Makes machines, exactly once per token.
    ///
    /// Fewer machines than asked for, if at least one could be had, are `Ok` with a `shortfall`.
    /// None at all is an error: not a single machine was to be had. Where the cloud gives all or
    /// nothing the error says so, by [`Error::refused_whole`](crate::Error::refused_whole), and
    /// fewer are asked for. A token that was used with other parameters is `Conflict`.
    ///
    /// # Errors
    /// With `Effect::None` only if no machine can exist because of this call.
    async fn create(&self, request: &CreateRequest) -> Result<Created>;

    /// Lists nodes: every page of every region, only those Fleetwright made unless asked
    /// otherwise.
    ///
    /// # Errors
    /// Only if nothing could be listed; a part that failed is a gap in [`Listing::coverage`].
    async fn list(&self, request: &ListRequest) -> Result<Listing>;

    /// Looks at one node, whether we made it or not.
    ///
    /// # Errors
    /// `NotFound` only if the provider says that there is no such node. A node that the provider
    /// still mentions as deleted is `Ok` with `NodeState::Deleted`.
    async fn get(&self, id: &NodeId) -> Result<Node>;

    /// Removes a node. Removing what is gone is fine: [`Deletion::Gone`].
    ///
    /// # Errors
    /// Anything but `NotFound`.
    async fn delete(&self, id: &NodeId) -> Result<Deletion>;

    /// Instance types, prices and availability.
    fn catalog(&self) -> Option<&dyn Catalog>;
    /// Groups of machines that the cloud itself keeps at a size.
    fn groups(&self) -> Option<&dyn Groups>;
    /// Load balancers.
    fn balancers(&self) -> Option<&dyn Balancers>;
    /// Names.
    fn dns(&self) -> Option<&dyn Dns>;
    /// Notice before a node is taken away.
    fn interruptions(&self) -> Option<&dyn Interruptions>;
    /// How much the account may have.
    fn quotas(&self) -> Option<&dyn Quotas>;
    /// Create requests: whether one would be taken, and giving one up.
    fn requests(&self) -> Option<&dyn Requests>;
}

/// What is known about a provider without asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderInfo {
    /// The name in the configuration, e.g. `aws-east`.
    pub name: String,
    /// The kind, e.g. `aws`.
    pub kind: String,
    /// Whose budget calls are taken from: providers of the same kind and account share limits.
    pub account: String,
    /// The regions that it is configured for. Never empty.
    pub regions: Vec<String>,
    /// How a create call is made exactly once here.
    pub idempotency: Idempotency,
    /// How long a new node may be missing from a listing, or a deleted one stay in it.
    #[serde(serialize_with = "as_millis")]
    pub listing_lag: Duration,
    /// Most machines per create call.
    pub batch: u32,
    /// Longest user data, in bytes before encoding.
    pub user_data_limit: usize,
    /// Whether `Node::boot` tells what became of the boot scripts.
    pub reports_boot: bool,
    /// Whether its nodes can be logged in to over SSH.
    pub has_ssh: bool,
    /// How the time of a node is counted when it is billed.
    pub billing: Billing,
    /// Whether `CreateRequest::host_key` reaches its nodes, so that their first login can be
    /// trusted. `false` where host keys are learned otherwise, or not at all.
    pub plants_host_keys: bool,
    /// The documented rate limits; answers correct them.
    pub limits: Vec<ApiLimit>,
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// How a create call is made exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Idempotency {
    /// The cloud takes a token and repeats its first answer.
    NativeToken,
    /// The cloud refuses a second machine of the same name, or takes it as the same request.
    DeterministicName,
    /// The token is a label; before a replay the provider lists what carries it. A replay must
    /// wait for `listing_lag` after the last try, or the list may not show what was made.
    LabelThenList,
}

/// A kind of call, for limits, priorities and statistics.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// [`Provider::check`].
    Check,
    /// [`Provider::create`].
    Create,
    /// [`Provider::list`].
    List,
    /// [`Provider::get`].
    Get,
    /// [`Provider::delete`].
    Delete,
    /// Any question to a catalog or about quotas.
    Catalog,
    /// Reading groups, balancers, DNS or interruptions.
    Read,
    /// Changing groups, balancers or DNS.
    Change,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 8] = [
        Self::Check,
        Self::Create,
        Self::List,
        Self::Get,
        Self::Delete,
        Self::Catalog,
        Self::Read,
        Self::Change,
    ];

    /// The name used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Create => "create",
            Self::List => "list",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Catalog => "catalog",
            Self::Read => "read",
            Self::Change => "change",
        }
    }

    /// Who goes first when calls are scarce: 0 is the most urgent. Removing what costs money goes
    /// before making, making before looking.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Delete => 0,
            Self::Change => 1,
            Self::Create => 2,
            Self::Check | Self::List | Self::Get | Self::Catalog | Self::Read => 3,
        }
    }
}

/// A documented limit of a provider's API: a token bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiLimit {
    /// Name of the bucket, e.g. `mutating`; operations of the same bucket share it.
    pub family: String,
    /// The operations that take from it.
    pub operations: Vec<Operation>,
    /// What one token stands for.
    pub unit: LimitUnit,
    /// Most tokens at once.
    pub burst: u32,
    /// Tokens that come back per minute.
    pub per_minute: u32,
    /// Whether each region has a bucket of its own.
    pub per_region: bool,
}

/// What one token of a bucket stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitUnit {
    /// A call.
    Calls,
    /// A machine asked for in a create call.
    Machines,
}

/// What a successful check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Who the credentials belong to, in the provider's words.
    pub identity: Option<String>,
    /// Anything worth a line, e.g. "12 of 200 nodes in use".
    pub notes: Vec<String>,
}

/// How far a deletion has come. The engine asks again until it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deletion {
    /// The provider accepted it and is at work.
    Started,
    /// Nothing is left.
    Gone,
}
