//! How a fake behaves: its regions, its delays, its limits.

use std::time::Duration;

/// How a fake behaves. The default is quick and without limits: two regions with three zones each,
/// no lag, instances that run after 50 ms.
#[derive(Debug, Clone)]
pub struct FakeConfig {
    /// The regions. Each has the zones `a`, `b` and `c`, one default VPC, and one default subnet in
    /// each zone.
    pub regions: Vec<String>,
    /// How long a change, or a new instance, is not yet shown by the describing actions.
    pub listing_lag: Duration,
    /// How long an instance is `pending`.
    pub boot_time: Duration,
    /// How long an instance is `shutting-down`.
    pub shutdown_time: Duration,
    /// How long a terminated instance is still shown.
    pub terminated_for: Duration,
    /// How long every answer takes at least. What was asked happens half way, even if the caller is
    /// gone by then.
    pub latency: Duration,
    /// Whether EC2's documented token buckets limit calls and launches.
    pub buckets: bool,
    /// Multiplies the refill of every bucket; 10.0 fills them ten times as quickly.
    pub bucket_scale: f64,
    /// How many entries a page holds at most, whatever the caller asks.
    pub page_size: Option<u32>,
    /// How long fleets, spot fleets and groups take before they launch, replace or scale.
    pub async_delay: Duration,
    /// How long after its warning an interrupted spot instance is terminated.
    pub notice: Duration,
    /// Whether requests and answers are compared with the official service models. That costs more
    /// than answering does.
    pub checks: bool,
    /// The account that everything belongs to.
    pub account: String,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()],
            listing_lag: Duration::ZERO,
            boot_time: Duration::from_millis(50),
            shutdown_time: Duration::from_millis(20),
            terminated_for: Duration::from_hours(1),
            latency: Duration::ZERO,
            buckets: false,
            bucket_scale: 1.0,
            page_size: None,
            async_delay: Duration::from_millis(20),
            notice: Duration::from_mins(2),
            checks: true,
            account: "123456789012".to_owned(),
        }
    }
}
