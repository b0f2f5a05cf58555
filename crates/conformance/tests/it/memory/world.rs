//! What there is, and what goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_conformance::{Fault, Point};
use fleetwright_core::ability::{DnsRecord, Group, Interruption};
use fleetwright_core::{
    Addresses, Boot, CreateRequest, Effect, Error, Fingerprint, Kind, Market, Node, NodeId,
    NodeSpec, NodeState, Operation, Result, Scope, Token, keys,
};
use tokio::time::Instant;

pub(crate) const PROVIDER: &str = "memory";
pub(crate) const REGIONS: [&str; 2] = ["north", "south"];
pub(crate) const ZONE: &str = "north-a";
pub(crate) const TYPES: [&str; 2] = ["small", "gpu"];
pub(crate) const PAGE: usize = 4;
pub(crate) const LAG: Duration = Duration::from_secs(2);
pub(crate) const STEP: Duration = Duration::from_millis(5);
const BOOT: Duration = Duration::from_secs(1);
pub(crate) const REMOVAL: Duration = Duration::from_secs(3);

/// What this cloud does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    ForgetsTheToken,
    DropsTheSecondPage,
    TakesPatternsForWords,
    ListsABrokenRegionAsEmpty,
    AnswersABrokenListingWithNothing,
    MakesUnknownTypes,
    MakesOneTooManyOnReplay,
    ShowsForeignNodes,
    ClaimsGoneTooEarly,
    ForgetsToDelete,
    DropsLabels,
    SaysNoEffectAfterALostAnswer,
    TakesOtherParametersForTheSame,
    ShowsItsKeyInErrors,
    ShowsItsKeyInDebug,
    CallsTheDeadRunning,
    PanicsOnOddIds,
    DeletesForOtherProviders,
    IgnoresTheMinimum,
    NeverDrains,
    AppendsDnsValues,
    HidesAShortfall,
    TranslatesEverythingToUnexpected,
    HidesUnlistedRegions,
    ReadsNoResultOfBootScripts,
    GivesGpusWithoutModel,
    ForgetsTheReplayMark,
    LabelsAfterwards,
    NeverReplacesMembers,
    HidesForeignNodesFromGet,
    MakesGroupsTooSmall,
    ForgetsToGrow,
    RefusesTheSameGroup,
    AdoptsForeignGroups,
    ShrinksByGrowing,
    ReplacesRemovedMembers,
    InventsGroups,
    LosesTheTimeToLive,
    TakesEmptyRecords,
    RemovesEveryKind,
    InventsZones,
    InventsNodes,
    TakesAnyCount,
    DoubtsUnknownNodes,
    MakesInAnyPlace,
    ListsBalancersTwice,
    SaysNotFoundToDelete,
    OffersUnknownTypes,
    MixesCurrencies,
    NamesQuotasTwice,
    CountsNothing,
    ChecksByMakingANode,
    DescribesABucketTwice,
    TakesAnyUserData,
    QuotesUserData,
    DotsZones,
    IgnoresLabelFilters,
    IgnoresRegionFilters,
    InventsBalancers,
    RefusesToDrainStrangers,
    CallsTheDeadHealthy,
    AnnouncesEveryNode,
    AnnouncesNothing,
    RefusesToDeleteAgain,
    DeletesTheNeighbor,
    NamesAllAlike,
    SharesANodeBetweenTokens,
    ForgetsTypes,
    RefusesReplaysOfNothing,
    FailsUnderLoad,
    CutsUserData,
    ListsDeletedNodesForEver,
    NeverBoots,
    BuysOnDemandInstead,
    IgnoresTheRegionOfIds,
}

pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) ready_at: Instant,
    pub(crate) listed_from: Instant,
    pub(crate) gone_at: Option<Instant>,
    pub(crate) killed: bool,
    pub(crate) script: Option<String>,
    pub(crate) group: Option<String>,
}

pub(crate) struct GroupState {
    pub(crate) group: Group,
    pub(crate) spec: NodeSpec,
    pub(crate) token: Token,
}

pub(crate) struct MemberState {
    pub(crate) node: NodeId,
    pub(crate) since: Instant,
    pub(crate) leaves_at: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) machines: Vec<Machine>,
    pub(crate) tokens: BTreeMap<String, (Fingerprint, Vec<NodeId>)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) limit: Option<(Kind, u32)>,
    pub(crate) groups: Vec<GroupState>,
    pub(crate) balancer: Vec<MemberState>,
    pub(crate) records: Vec<DnsRecord>,
    pub(crate) notices: Vec<Interruption>,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) serial: u32,
}

impl Machine {
    pub(crate) fn is_gone(&self) -> bool {
        self.gone_at.is_some_and(|at| at <= Instant::now())
    }

    pub(crate) fn state(&self, flaw: Option<Flaw>) -> NodeState {
        if self.killed {
            return if flaw == Some(Flaw::CallsTheDeadRunning) {
                NodeState::Running
            } else {
                NodeState::Failed
            };
        }
        match self.gone_at {
            Some(at) if at <= Instant::now() => NodeState::Deleted,
            Some(_) => NodeState::Deleting,
            None if self.ready_at <= Instant::now() && flaw != Some(Flaw::NeverBoots) => {
                NodeState::Running
            }
            None => NodeState::Pending,
        }
    }

    pub(crate) fn report(&self, flaw: Option<Flaw>) -> Node {
        let mut node = self.node.clone();
        node.state = self.state(flaw);
        let status = self
            .script
            .as_deref()
            .and_then(|script| script.trim().rsplit(' ').next()?.parse::<i32>().ok())
            .unwrap_or(0);
        node.boot = Some(
            if self.ready_at > Instant::now() || flaw == Some(Flaw::ReadsNoResultOfBootScripts) {
                Boot::Running
            } else if status == 0 {
                Boot::Succeeded
            } else {
                Boot::Failed {
                    exit_status: Some(status),
                    log_tail: "it failed".to_owned(),
                }
            },
        );
        if node.state == NodeState::Running {
            node.addresses = Addresses {
                public: Some([192, 0, 2, 1].into()),
                private: None,
            };
        }
        node
    }
}

impl World {
    /// Makes one machine, if the limit allows.
    pub(crate) fn make(&mut self, spec: &NodeSpec, name: String, region: &str) -> Result<NodeId> {
        if let Some((kind, left)) = &mut self.limit {
            *left = left.checked_sub(1).ok_or_else(|| {
                Error::new(*kind, format!("no `{}` to be had", spec.instance_type))
                    .with_scope(Scope::Region)
            })?;
        }
        self.serial += 1;
        let id = NodeId::new(PROVIDER, region, &format!("m-{:04}", self.serial))?;
        let mut labels = spec.labels.clone();
        match self.flaw {
            Some(Flaw::DropsLabels) => drop(labels.remove(keys::GENERATION)),
            Some(Flaw::LabelsAfterwards) => labels.clear(),
            _ => {}
        }
        let name = if self.flaw == Some(Flaw::NamesAllAlike) {
            spec.name.clone()
        } else {
            name
        };
        let market = if self.flaw == Some(Flaw::BuysOnDemandInstead) {
            Market::OnDemand
        } else {
            spec.market
        };
        let now = Instant::now();
        self.machines.push(Machine {
            node: Node {
                id: id.clone(),
                name,
                state: NodeState::Pending,
                instance_type: spec.instance_type.clone(),
                zone: spec.zone.clone(),
                market,
                addresses: Addresses::default(),
                access: None,
                boot: None,
                labels,
                created_at: None,
                price: None,
                message: None,
                metadata: BTreeMap::new(),
            },
            ready_at: now + BOOT,
            listed_from: now + LAG,
            gone_at: None,
            killed: false,
            script: spec.user_data.clone(),
            group: None,
        });
        Ok(id)
    }

    /// Makes a machine that nobody asked for.
    pub(crate) fn make_ghost(&mut self) -> Result<NodeId> {
        let spec = super::subject::cheapest();
        self.make(&spec, "ghost".to_owned(), &spec.region)
    }

    pub(crate) fn machine(&self, id: &NodeId) -> Option<&Machine> {
        self.at(id).map(|at| &self.machines[at])
    }

    pub(crate) fn machine_mut(&mut self, id: &NodeId) -> Option<&mut Machine> {
        self.at(id).map(|at| &mut self.machines[at])
    }

    fn at(&self, id: &NodeId) -> Option<usize> {
        let anywhere = self.flaw == Some(Flaw::IgnoresTheRegionOfIds);
        self.machines.iter().position(|machine| {
            let known = &machine.node.id;
            known == id || (anywhere && known.native() == id.native())
        })
    }

    pub(crate) fn start_removal(&mut self, id: &NodeId) {
        if let Some(machine) = self.machine_mut(id) {
            machine.killed = false;
            machine
                .gone_at
                .get_or_insert_with(|| Instant::now() + REMOVAL);
        }
    }

    pub(crate) fn nodes(&self, ids: &[NodeId]) -> Vec<Node> {
        ids.iter()
            .filter_map(|id| self.machine(id))
            .map(|machine| machine.report(self.flaw))
            .collect()
    }

    /// Machines of this token, as a listing would show them now.
    pub(crate) fn listed_with(&self, request: &CreateRequest) -> Vec<NodeId> {
        self.machines
            .iter()
            .filter(|m| m.listed_from <= Instant::now() && !m.is_gone())
            .filter(|m| m.node.label(keys::CLAIM) == Some(request.token.as_str()))
            .map(|m| m.node.id.clone())
            .collect()
    }

    /// The error of a fault that is due here.
    pub(crate) fn trip(
        &mut self,
        operation: Operation,
        point: Point,
        region: Option<&str>,
    ) -> Result<()> {
        let due = self.faults.iter().position(|fault| {
            fault.operation == operation
                && fault.point == point
                && fault.region.as_deref().is_none_or(|r| Some(r) == region)
        });
        let Some(at) = due else {
            return Ok(());
        };
        let fault = &mut self.faults[at];
        fault.times -= 1;
        let kind = fault.kind;
        if fault.times == 0 {
            self.faults.remove(at);
        }
        let shown = if self.flaw == Some(Flaw::TranslatesEverythingToUnexpected) {
            Kind::Unexpected
        } else {
            kind
        };
        let key = if self.flaw == Some(Flaw::ShowsItsKeyInErrors) {
            super::provider::KEY
        } else {
            "the key"
        };
        let error = Error::new(shown, format!("the cloud did not answer {key}"));
        let lost = point != Point::Before || matches!(kind, Kind::Timeout | Kind::Unexpected);
        Err(
            if lost && self.flaw != Some(Flaw::SaysNoEffectAfterALostAnswer) {
                error.with_effect(Effect::Unknown)
            } else {
                error.with_effect(Effect::None)
            },
        )
    }
}
