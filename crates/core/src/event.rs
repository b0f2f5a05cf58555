//! What happened. Renderers, the event stream and metrics consume nothing else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ability::InterruptionKind;
use crate::{
    BudgetOutcome, CaseEnding, ClaimId, CordonPhase, DeployedState, DeploymentId,
    DeploymentOutcome, ErrorReport, Freeze, HealAction, HealResult, HealthState, HourlyPrice, Life,
    NodeId, Operation, Severity, Subject, TargetGroupName,
};

/// Something that happened, with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Number in the journal, growing; 0 before it is stored.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The world was looked at.
    Observed {
        /// Nodes the clouds showed.
        nodes: usize,
        /// Places that could not be looked at: `provider/region: why`.
        gaps: Vec<String>,
    },
    /// A plan was made.
    Planned {
        /// Number of steps.
        steps: usize,
        /// Number of things withheld.
        withheld: usize,
    },
    /// Machines are about to be asked for.
    ClaimOpened {
        /// Which claim.
        claim: ClaimId,
        /// Which attempt.
        attempt: u32,
        /// For which pool.
        pool: String,
        /// How many machines.
        count: u32,
        /// Where: the label of the offer.
        offer: String,
        /// At what price each.
        price: Option<HourlyPrice>,
        /// Why.
        reason: String,
    },
    /// The cloud gave machines.
    ClaimFulfilled {
        /// Which claim.
        claim: ClaimId,
        /// Which attempt.
        attempt: u32,
        /// How many came.
        count: usize,
        /// Why fewer than asked for.
        shortfall: Option<ErrorReport>,
    },
    /// The cloud refused.
    ClaimRefused {
        /// Which claim.
        claim: ClaimId,
        /// Which attempt.
        attempt: u32,
        /// Its answer.
        error: ErrorReport,
    },
    /// Nobody knows yet what became of a request; it will be repeated.
    ClaimUncertain {
        /// Which claim.
        claim: ClaimId,
        /// Which attempt.
        attempt: u32,
        /// What was seen.
        error: ErrorReport,
    },
    /// A node moved on in its life.
    NodeChanged {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// From where; absent for a new record.
        from: Option<Life>,
        /// To where.
        to: Life,
        /// Why.
        reason: String,
    },
    /// A step could not be done.
    StepFailed {
        /// The step in words.
        step: String,
        /// Which node, if it is about one.
        node: Option<NodeId>,
        /// Why.
        error: ErrorReport,
    },
    /// A call was tried again.
    Retried {
        /// Provider.
        provider: String,
        /// Which call.
        operation: Operation,
        /// After how long, in milliseconds.
        after_ms: u64,
        /// Why.
        error: ErrorReport,
    },
    /// An offer is taken for sold out for a while.
    CapacityMarked {
        /// What is marked, in words.
        place: String,
        /// Until when.
        until: Timestamp,
        /// Why.
        error: ErrorReport,
    },
    /// A circuit breaker opened or closed.
    BreakerChanged {
        /// Provider.
        provider: String,
        /// Whether it is open now: calls are refused.
        open: bool,
        /// Why.
        reason: String,
    },
    /// Something was not done, because the cloud did not answer fully.
    Withheld {
        /// What it is about.
        subject: String,
        /// What would have been done.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The end of a node's time was moved, because somebody asked for it.
    EndMoved {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// From when; absent: it had no end.
        from: Option<Timestamp>,
        /// To when; absent: it has none, and only stays when it is not used.
        to: Option<Timestamp>,
        /// Until when it stays even if it is not used.
        kept_until: Timestamp,
        /// Why.
        reason: String,
    },
    /// A node began to be unused, or to be used again.
    UseChanged {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// Whether it is unused now.
        idle: bool,
        /// What was seen.
        reason: String,
    },
    /// A budget changed a plan, warned of it, or is exceeded.
    BudgetReached {
        /// Whose machines; absent: those of all pools.
        pool: Option<String>,
        /// What the budget did.
        outcome: BudgetOutcome,
        /// Why, in words.
        reason: String,
    },
    /// A provider says that machines cost something else than the offer they were asked for by.
    PriceDiffers {
        /// Which claim.
        claim: ClaimId,
        /// For which pool.
        pool: String,
        /// Where: the label of the offer.
        offer: String,
        /// The price of the offer, which is the one that is recorded.
        promised: HourlyPrice,
        /// The price that the provider tells.
        reported: HourlyPrice,
        /// The pool's `max_price`, if what the provider tells is above it.
        above: Option<HourlyPrice>,
    },
    /// A pool got another size, by its policy or by hand.
    SizeDecided {
        /// Which pool.
        pool: String,
        /// From how many machines.
        from: u32,
        /// To how many.
        to: u32,
        /// Why.
        reason: String,
    },
    /// A pool's policy cannot decide, or can again.
    SizeKept {
        /// Which pool.
        pool: String,
        /// How many machines it keeps meanwhile.
        size: u32,
        /// Why it cannot; absent: it can again.
        trouble: Option<String>,
    },
    /// A cloud has announced to do something to a node.
    InterruptionNoticed {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// What will happen.
        kind: InterruptionKind,
        /// When, if it was said.
        at: Option<Timestamp>,
    },
    /// It could not be seen what a cloud has announced.
    NoticesUnseen {
        /// Provider.
        provider: String,
        /// Why.
        error: ErrorReport,
    },
    /// The pool's `drain_command` has ended on a node that will be taken away.
    DrainCommandEnded {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// How, in words.
        reason: String,
    },
    /// A machine became healthy, unhealthy or unreachable.
    HealthChanged {
        /// Name of the machine.
        target: String,
        /// The node, if a provider knows it.
        node: Option<NodeId>,
        /// How it was.
        from: HealthState,
        /// How it is.
        to: HealthState,
        /// Why, in words.
        reason: String,
    },
    /// A machine was cordoned, is drained, or may be used again.
    CordonChanged {
        /// Name of the machine.
        target: String,
        /// The node, if a provider knows it.
        node: Option<NodeId>,
        /// How far the cordon is; absent: it may be used again.
        phase: Option<CordonPhase>,
        /// Why, in words.
        reason: String,
    },
    /// A hook has ended on a machine, or for it.
    HookEnded {
        /// Name of the machine.
        target: String,
        /// The node, if a provider knows it.
        node: Option<NodeId>,
        /// Which: `cordon`, `drain` or `uncordon`.
        hook: String,
        /// Why it failed; absent: it did not.
        error: Option<ErrorReport>,
    },
    /// A notification could not be delivered and is given up.
    NotificationLost {
        /// Which webhook.
        webhook: String,
        /// What it was about: `drift-opened`.
        about: String,
        /// Why.
        error: ErrorReport,
    },
    /// A deployment began, or went on.
    DeploymentStarted {
        /// Which.
        deployment: DeploymentId,
        /// What is brought, in a few words.
        what: String,
        /// To how many machines, without those that are right already.
        nodes: usize,
    },
    /// The turn of a machine in a deployment has ended.
    NodeDeployed {
        /// Which deployment.
        deployment: DeploymentId,
        /// Which node, if a provider knows it.
        node: Option<NodeId>,
        /// Its name.
        name: String,
        /// How its turn ended.
        state: DeployedState,
        /// Why, in words.
        reason: String,
    },
    /// A deployment ended.
    DeploymentEnded {
        /// Which.
        deployment: DeploymentId,
        /// How.
        outcome: DeploymentOutcome,
        /// Why, in words.
        reason: String,
    },
    /// The `welcome` command of a group has ended on a machine that was seen for the first time.
    Welcomed {
        /// Which node, if a provider knows it.
        node: Option<NodeId>,
        /// Its name.
        name: String,
        /// Whether it ended with status 0.
        succeeded: bool,
        /// How, in words.
        reason: String,
    },
    /// A plan that removes too much was not executed.
    Braked {
        /// Why, in words.
        reason: String,
    },
    /// Something is wrong with a machine.
    CaseOpened {
        /// Which case.
        case: Uuid,
        /// The machine.
        target: String,
        /// Its node.
        node: Option<NodeId>,
        /// Whose policies hold for it.
        group: Option<TargetGroupName>,
        /// What is wrong.
        subject: Subject,
        /// How bad that is.
        severity: Severity,
        /// What was seen.
        reason: String,
    },
    /// Something is about to be done about it.
    HealBegan {
        /// Which case.
        case: Uuid,
        /// The machine.
        target: String,
        /// Its node.
        node: Option<NodeId>,
        /// What is done.
        action: HealAction,
        /// Why.
        reason: String,
    },
    /// It was done, and measured again.
    HealEnded {
        /// Which case.
        case: Uuid,
        /// The machine.
        target: String,
        /// Its node.
        node: Option<NodeId>,
        /// What was done.
        action: HealAction,
        /// Whether it helped.
        result: HealResult,
        /// Why, in words.
        reason: String,
    },
    /// Something would be done and is not, for a reason that was not told before.
    HealHeld {
        /// Which case.
        case: Uuid,
        /// The machine.
        target: String,
        /// Its node.
        node: Option<NodeId>,
        /// What would be done, if that is clear.
        action: Option<HealAction>,
        /// Why not.
        reason: String,
    },
    /// A machine is right again, or nobody looks at it any more.
    CaseClosed {
        /// Which case.
        case: Uuid,
        /// The machine.
        target: String,
        /// Its node.
        node: Option<NodeId>,
        /// What was wrong.
        subject: Subject,
        /// How it ended.
        how: CaseEnding,
        /// Why, in words.
        reason: String,
    },
    /// From now on nothing is healed there.
    Frozen {
        /// Where, how long and why.
        freeze: Freeze,
    },
    /// Healing goes on.
    Thawed {
        /// Where; absent: everywhere.
        group: Option<TargetGroupName>,
    },
}

impl EventKind {
    /// The node that it is about.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::NodeChanged { node, .. }
            | Self::EndMoved { node, .. }
            | Self::UseChanged { node, .. }
            | Self::InterruptionNoticed { node, .. }
            | Self::DrainCommandEnded { node, .. } => Some(node),
            Self::StepFailed { node, .. }
            | Self::CaseOpened { node, .. }
            | Self::HealBegan { node, .. }
            | Self::HealEnded { node, .. }
            | Self::HealHeld { node, .. }
            | Self::CaseClosed { node, .. }
            | Self::HealthChanged { node, .. }
            | Self::CordonChanged { node, .. }
            | Self::HookEnded { node, .. }
            | Self::NodeDeployed { node, .. }
            | Self::Welcomed { node, .. } => node.as_ref(),
            _ => None,
        }
    }

    /// The stable name used in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Observed { .. } => "observed",
            Self::Planned { .. } => "planned",
            Self::ClaimOpened { .. } => "claim-opened",
            Self::ClaimFulfilled { .. } => "claim-fulfilled",
            Self::ClaimRefused { .. } => "claim-refused",
            Self::ClaimUncertain { .. } => "claim-uncertain",
            Self::NodeChanged { .. } => "node-changed",
            Self::StepFailed { .. } => "step-failed",
            Self::Retried { .. } => "retried",
            Self::CapacityMarked { .. } => "capacity-marked",
            Self::BreakerChanged { .. } => "breaker-changed",
            Self::Withheld { .. } => "withheld",
            Self::EndMoved { .. } => "end-moved",
            Self::UseChanged { .. } => "use-changed",
            Self::BudgetReached { .. } => "budget-reached",
            Self::PriceDiffers { .. } => "price-differs",
            Self::SizeDecided { .. } => "size-decided",
            Self::SizeKept { .. } => "size-kept",
            Self::InterruptionNoticed { .. } => "interruption-noticed",
            Self::NoticesUnseen { .. } => "notices-unseen",
            Self::DrainCommandEnded { .. } => "drain-command-ended",
            Self::HealthChanged { .. } => "health-changed",
            Self::CordonChanged { .. } => "cordon-changed",
            Self::HookEnded { .. } => "hook-ended",
            Self::NotificationLost { .. } => "notification-lost",
            Self::DeploymentStarted { .. } => "deployment-started",
            Self::NodeDeployed { .. } => "node-deployed",
            Self::DeploymentEnded { .. } => "deployment-ended",
            Self::Welcomed { .. } => "welcomed",
            Self::Braked { .. } => "braked",
            Self::CaseOpened { .. } => "case-opened",
            Self::HealBegan { .. } => "heal-began",
            Self::HealEnded { .. } => "heal-ended",
            Self::HealHeld { .. } => "heal-held",
            Self::CaseClosed { .. } => "case-closed",
            Self::Frozen { .. } => "frozen",
            Self::Thawed { .. } => "thawed",
        }
    }
}
