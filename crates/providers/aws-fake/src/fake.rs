//! The handle of a running fake: what tests ask and order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::catalog;
use crate::config::FakeConfig;
use crate::faults::Failure;
use crate::request::Call;
use crate::server::{Server, Shared};
use crate::world::instance::{Ending, Instance};
use crate::world::launch::Order;
use crate::world::notice::Notice;
use crate::world::{Event, World};
use crate::{ec2, rest};

/// A running fake. It ends when this is dropped.
#[derive(Debug)]
pub struct Fake {
    // Declared first so that it is dropped first: nobody asks a world that ends.
    server: Server,
    shared: Arc<Shared>,
}

impl Fake {
    /// Starts one on a free port.
    pub fn start(config: FakeConfig) -> std::io::Result<Self> {
        Self::start_at(0, config)
    }

    /// Starts one on a port; 0 takes a free one.
    pub fn start_at(port: u16, config: FakeConfig) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(World::new(config)));
        let server = Server::start(port, Arc::clone(&shared))?;
        Ok(Self { server, shared })
    }

    /// The URL to give to the SDK as endpoint of every service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What is not terminated, without any lag, by age.
    pub fn instances(&self) -> Vec<Instance> {
        let mut all = self.all_instances();
        all.retain(|instance| instance.state.is_alive());
        all
    }

    /// Everything that was ever launched, by region and age.
    pub fn all_instances(&self) -> Vec<Instance> {
        self.with(|world| {
            world
                .regions
                .values()
                .flat_map(|region| region.instances.all())
                .map(|record| record.instance.clone())
                .collect()
        })
    }

    /// Launches one `t3.micro` as somebody else would by hand, whatever capacity and quota are left.
    /// `None` if there is no such region.
    pub fn add_instance(&self, region: &str, tags: &[(&str, &str)]) -> Option<String> {
        self.with(|world| {
            let image = catalog::images(region).into_iter().next()?;
            let order = Order {
                instance_type: "t3.micro".to_owned(),
                image: image.id,
                tags: tags
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect::<BTreeMap<_, _>>(),
                ..Order::default()
            };
            world.launch_anyway(region, &order)
        })
    }

    /// Terminates an instance behind everybody's back. Fleets and groups that maintain a number
    /// replace it, as AWS does. `false` if there is no such instance.
    pub fn terminate(&self, id: &str) -> bool {
        self.with(|world| {
            world
                .region_of(id)
                .is_some_and(|region| world.end(&region, id, Ending::User))
        })
    }

    /// Warns of an interruption, as EventBridge does, into the queue of the region. After an
    /// [`Notice::Interruption`] the instance is terminated when the notice period is over. AWS
    /// interrupts only spot instances; tests may interrupt any. `false` if there is no such
    /// instance, or it is not alive.
    pub fn interrupt(&self, id: &str, notice: Notice) -> bool {
        self.with(|world| {
            let Some(region) = world.region_of(id) else {
                return false;
            };
            let is_alive = world.regions[&region]
                .instances
                .find(id)
                .is_some_and(|record| record.instance.state.is_alive());
            if !is_alive {
                return false;
            }
            rest::notify(world, &region, id, notice);
            if notice == Notice::Interruption {
                let after = world.config.notice;
                world.schedule(after, Event::Reclaimed(region, id.to_owned()));
            }
            true
        })
    }

    /// Orders a fault.
    pub fn fail(&self, failure: Failure) {
        self.with(|world| world.faults.add(failure));
    }

    /// Forgets all faults that were ordered and are not used up.
    pub fn stop_failing(&self) {
        self.with(|world| world.faults.clear());
    }

    /// Limits how many further machines there are in a zone (or in all together) of a type (or of
    /// all together); `None` lifts that limit. What is terminated does not come back by itself.
    pub fn set_capacity(
        &self,
        region: &str,
        zone: Option<&str>,
        instance_type: Option<&str>,
        further: Option<u32>,
    ) {
        self.with(|world| {
            if let Some(region) = world.regions.get_mut(region) {
                region.capacity.set(zone, instance_type, further);
            }
        });
    }

    /// Limits the vCPUs on demand in a region, for each family of types; `None` lifts the limit.
    pub fn set_vcpu_quota(&self, region: &str, vcpus: Option<u32>) {
        self.with(|world| {
            if let Some(region) = world.regions.get_mut(region) {
                region.quota.on_demand = vcpus;
            }
        });
    }

    /// Limits the spot vCPUs in a region, for each family of types; `None` lifts the limit.
    pub fn set_spot_vcpu_quota(&self, region: &str, vcpus: Option<u32>) {
        self.with(|world| {
            if let Some(region) = world.regions.get_mut(region) {
                region.quota.spot = vcpus;
            }
        });
    }

    /// Changes how the fake behaves from now on. Regions cannot be added.
    pub fn configure(&self, change: impl FnOnce(&mut FakeConfig)) {
        self.with(|world| change(&mut world.config));
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.with(|world| world.calls.clone())
    }

    /// How many instances DescribeInstances has looked at so far: what a listing costs, whatever
    /// the machine is.
    pub fn looked_at(&self) -> u64 {
        self.with(|world| world.looked_at)
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.with(|world| world.calls.clear());
    }

    /// What somebody would still pay for or trip over besides instances, in words: launch
    /// templates, fleets that are not deleted, spot fleet requests that are active, groups.
    pub fn leftovers(&self) -> Vec<String> {
        self.with(|world| {
            let mut all = ec2::leftovers(world);
            all.extend(rest::leftovers(world));
            all
        })
    }

    /// What in requests and answers the official service models do not allow.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations().clone()
    }

    /// The ids of a region's images: x86_64 Amazon Linux, arm64 Amazon Linux, x86_64 Ubuntu, arm64
    /// Ubuntu.
    pub fn images(&self, region: &str) -> Vec<String> {
        catalog::images(region)
            .into_iter()
            .map(|image| image.id)
            .collect()
    }

    /// The ids of a region's subnets, one for each zone, in the order of the zones.
    pub fn subnets(&self, region: &str) -> Vec<String> {
        self.with(|world| {
            let region = world.regions.get(region);
            let zones = region.map(|region| region.zones.clone());
            zones
                .unwrap_or_default()
                .into_iter()
                .map(|zone| zone.subnet)
                .collect()
        })
    }

    /// The world as it is now.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.shared.world();
        world.advance(Instant::now());
        look(&mut world)
    }
}
