//! What a provider's author hands to the suite: the provider, a world round it, and hooks.
//!
//! ```text
//!   suite ──calls──► provider() ──acts on──► the world
//!     └──asks, breaks, waits── truth() inject() settle() ──────┘
//! ```
//! The hooks reach the world *past* the provider, so that the suite does not have to believe what
//! the provider says about itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Kind, Node, NodeId, NodeSpec, Operation, Provider};

/// A provider under test and the world it acts on.
///
/// The expression given to [`suite!`](crate::suite) is evaluated for every case: each gets a fresh
/// world. What a case leaves behind on a failure goes when the subject is dropped.
///
/// Only [`provider`](Self::provider), [`spec`](Self::spec), [`settle`](Self::settle) and
/// [`truth`](Self::truth) must be written. A hook that is left at its default says "cannot", and
/// the cases that need it are reported as not applicable.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The provider. Asked again for every call, so that a hook may replace it (by one with other
    /// limits on the same world, say).
    fn provider(&self) -> Arc<dyn Provider>;

    /// A valid wish for the cheapest machine there is: no labels, no user data. Its name is
    /// replaced.
    fn spec(&self) -> NodeSpec;

    /// Lets at least this much time pass in the world: by sleeping, or by turning a virtual clock.
    async fn settle(&self, wanted: Duration);

    /// Every machine that really exists at this instant, ours or not, read past the provider's
    /// listing and without its lag. What is being deleted still exists; what is deleted does not.
    /// Ids and labels must be right; the rest is shown in messages.
    async fn truth(&self) -> Vec<Node>;

    /// How long a change may take in the world's time before a case fails: booting, deleting,
    /// becoming healthy.
    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }

    /// Most machines that a case may have at once.
    fn room(&self) -> u32 {
        64
    }

    /// The same wish in another configured region, if that is possible.
    fn spec_in(&self, region: &str) -> Option<NodeSpec> {
        Some(NodeSpec {
            region: region.to_owned(),
            zone: None,
            ..self.spec()
        })
    }

    /// User data that ends like this. By default a shell script.
    fn user_data(&self, end: ScriptEnd) -> Option<String> {
        Some(format!("#!/bin/sh\nexit {}\n", end.status()))
    }

    /// A well-formed id that no machine has, in a configured region.
    fn unknown_id(&self) -> NodeId {
        let provider = self.provider();
        let info = provider.info();
        let region = info.regions.first().map_or("none", String::as_str);
        NodeId::new(&info.name, region, "conformance-no-such-node")
            .expect("the suite checks that names of providers and regions hold no slash")
    }

    /// Nodes per page of a listing; `None` if the listing has no pages. Set it small: a case makes
    /// more than two pages.
    fn page_size(&self) -> Option<u32> {
        None
    }

    /// Whether the provider is wrapped in something that repeats calls: then a transient fault may
    /// be absorbed, and the suite judges the outcome instead of the error.
    fn retries(&self) -> bool {
        false
    }

    /// Texts that must never be seen: the credentials that the provider was configured with.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Cases that this subject does not pass, each with its reason. Shown in the documentation.
    fn waivers(&self) -> Vec<Waiver> {
        Vec::new()
    }

    /// Makes a machine that Fleetwright did not make, in a configured region. The subject removes
    /// it when it is dropped.
    async fn make_foreign(&self) -> Option<NodeId> {
        None
    }

    /// Arranges that the next calls fail. `false`: this fault cannot be made here.
    async fn inject(&self, fault: &Fault) -> bool {
        let _ = fault;
        false
    }

    /// From now on only so many *further* machines can be had; more are refused with this kind,
    /// `Capacity` or `Quota`. `false`: this limit cannot be made here.
    async fn limit(&self, kind: Kind, further: u32) -> bool {
        let _ = (kind, further);
        false
    }

    /// Ends a machine behind the provider's back: a crash, a click in a console. Returns once it
    /// has happened. `false`: cannot.
    async fn kill(&self, node: &NodeId) -> bool {
        let _ = node;
        false
    }

    /// Makes the world give notice that it will take this machine away. `false`: cannot.
    async fn interrupt(&self, node: &NodeId) -> bool {
        let _ = node;
        false
    }

    /// Name of a balancer that may be used; by default the first that is listed.
    async fn balancer(&self) -> Option<String> {
        let provider = self.provider();
        let balancers = provider.balancers()?.list_balancers().await.ok()?;
        balancers.into_iter().next().map(|balancer| balancer.name)
    }

    /// Name of a DNS zone that may be written to; by default the first that is listed.
    async fn zone(&self) -> Option<String> {
        let provider = self.provider();
        let zones = provider.dns()?.list_zones().await.ok()?;
        zones.into_iter().next()
    }
}

/// How a boot script shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptEnd {
    /// With status 0.
    Succeeds,
    /// With this status.
    Fails(u8),
}

impl ScriptEnd {
    /// The exit status.
    pub const fn status(self) -> u8 {
        match self {
            Self::Succeeds => 0,
            Self::Fails(status) => status,
        }
    }
}

/// A failure to arrange: the next `times` calls of `operation` that reach the world fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which calls. [`Operation::Read`] and [`Operation::Change`] mean those of groups, balancers
    /// and DNS; [`Operation::Catalog`] those of the catalog and of quotas.
    pub operation: Operation,
    /// Where in the call.
    pub point: Point,
    /// As what the provider shall report it. A subject at the wire answers with whatever the
    /// provider's table translates to this kind.
    pub kind: Kind,
    /// How many calls fail.
    pub times: u32,
    /// Only in this region; `None`: wherever the call goes.
    pub region: Option<String>,
}

impl Fault {
    /// The next call fails before anything happened.
    pub const fn before(operation: Operation, kind: Kind) -> Self {
        Self::at(Point::Before, operation, kind)
    }

    /// The next call takes effect and its answer is lost.
    pub const fn after(operation: Operation, kind: Kind) -> Self {
        Self::at(Point::After, operation, kind)
    }

    /// The next call breaks half-way.
    pub const fn midway(operation: Operation, kind: Kind) -> Self {
        Self::at(Point::Midway, operation, kind)
    }

    /// Only in this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    const fn at(point: Point, operation: Operation, kind: Kind) -> Self {
        Self {
            operation,
            point,
            kind,
            times: 1,
            region: None,
        }
    }
}

/// Where in a call a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before any effect: the world is as if the call had not been made.
    Before,
    /// After a part of the effect: some of the machines are made; some pages, or none, are read.
    Midway,
    /// After the whole effect: only the answer is missing.
    After,
}

impl Point {
    /// The words used in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before its effect",
            Self::Midway => "half-way",
            Self::After => "after its effect",
        }
    }
}

/// A case that a subject does not pass, and why that is acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Name of the case, as in [`CASES`](crate::CASES). An unknown name fails every case.
    pub case: &'static str,
    /// Why, for the reader of the documentation.
    pub reason: String,
}

impl Waiver {
    /// A waiver.
    pub fn new(case: &'static str, reason: impl Into<String>) -> Self {
        Self {
            case,
            reason: reason.into(),
        }
    }
}
