//! What tests order from the services beside EC2.

use std::time::Duration;

use super::{elbv2, route53, sqs};
use crate::fake::Fake;

impl Fake {
    /// Adds a target group for `instance` or `ip` targets, with a load balancer of the same name
    /// in front of it, and gives the ARN of the group.
    pub fn add_target_group(&self, region: &str, name: &str, target_type: &str) -> String {
        self.with(|world| elbv2::add(world, region, name, target_type))
    }

    /// How long a new target is `initial` (100 ms unless set) and a deregistered one `draining`
    /// (300 ms).
    pub fn set_target_delays(&self, initial: Duration, draining: Duration) {
        self.with(|world| {
            world.rest.elbv2.initial = initial;
            world.rest.elbv2.draining = draining;
        });
    }

    /// Adds a public hosted zone, and gives its id.
    pub fn add_zone(&self, name: &str) -> String {
        self.with(|world| route53::add(world, name))
    }

    /// How long a change of records is `PENDING` (100 ms unless set).
    pub fn set_dns_delay(&self, delay: Duration) {
        self.with(|world| world.rest.route53.sync = delay);
    }

    /// The values of a record as they truly are; `None` if there is no such record.
    pub fn records(&self, name: &str, kind: &str) -> Option<Vec<String>> {
        self.with(|world| route53::values(world, name, kind))
    }

    /// Adds a queue that gets the events of a region's instances, and gives its URL.
    pub fn add_queue(&self, region: &str, name: &str) -> String {
        let endpoint = self.endpoint();
        self.with(|world| sqs::add(world, region, name, &endpoint))
    }
}
