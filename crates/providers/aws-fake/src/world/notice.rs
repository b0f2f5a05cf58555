//! The warnings that AWS gives before it takes an instance away.

/// A warning about an instance, as EventBridge puts it into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// `EC2 Spot Instance Interruption Warning`: the instance is terminated when the notice period
    /// is over.
    Interruption,
    /// `EC2 Instance Rebalance Recommendation`: an early sign; nothing follows by itself.
    Rebalance,
    /// `AWS Health Event`: scheduled maintenance of the host.
    Maintenance,
}
