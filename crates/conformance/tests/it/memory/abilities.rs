//! Catalog, quotas, balancers, DNS and interruptions of the cloud in memory.

use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::Point;
use fleetwright_core::ability::{
    Balancer, DnsRecord, Interruption, InterruptionKind, Member, MemberHealth, Offering, Quota,
    RecordKind,
};
use fleetwright_core::{
    Availability, Balancers, Catalog, CreateRequest, Currency, Dns, Error, HourlyPrice,
    InstanceType, Interruptions, Kind, Market, NodeId, NodeState, Operation, Quotas, Requests,
    Result, keys,
};
use tokio::time::{Instant, sleep};

use super::provider::Memory;
use super::world::{Flaw, MemberState, REGIONS, STEP, TYPES};

const BALANCER: &str = "front";
const DNS_ZONE: &str = "example.org";
const DRAIN: Duration = Duration::from_secs(2);

impl Memory {
    /// What every call of an ability goes through.
    pub(crate) async fn call(&self, operation: Operation) -> Result<()> {
        sleep(STEP).await;
        self.trip(operation, Point::Before, REGIONS[0])
    }
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no {what} `{name}`"))
}

#[async_trait]
impl Catalog for Memory {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        self.call(Operation::Catalog).await?;
        let flawed = self.world().flaw == Some(Flaw::GivesGpusWithoutModel);
        let small = InstanceType {
            name: TYPES[0].to_owned(),
            vcpus: 1,
            memory_mib: 1_024,
            architecture: "x86_64".to_owned(),
            gpus: 0,
            gpu_model: None,
            gpu_memory_mib: None,
        };
        let gpu = InstanceType {
            name: TYPES[1].to_owned(),
            gpus: 1,
            gpu_model: (!flawed).then(|| "Abacus 9".to_owned()),
            gpu_memory_mib: Some(8_192),
            ..small.clone()
        };
        Ok(vec![small, gpu])
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        self.call(Operation::Catalog).await?;
        let flaw = self.world().flaw;
        let mut names = TYPES.to_vec();
        if flaw == Some(Flaw::OffersUnknownTypes) {
            names.push("unheard-of");
        }
        Ok(names
            .iter()
            .flat_map(|name| REGIONS.iter().map(move |region| (name, region)))
            .map(|(name, region)| Offering {
                instance_type: (*name).to_owned(),
                region: (*region).to_owned(),
                zone: None,
                market: Market::OnDemand,
                price: Some(HourlyPrice {
                    currency: if flaw == Some(Flaw::MixesCurrencies) && *region == REGIONS[1] {
                        Currency::Eur
                    } else {
                        Currency::Usd
                    },
                    micros_per_hour: 1,
                }),
                availability: Availability::Available,
            })
            .collect())
    }
}

#[async_trait]
impl Quotas for Memory {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        self.call(Operation::Catalog).await?;
        let used = self
            .world()
            .machines
            .iter()
            .filter(|m| !m.is_gone())
            .count();
        let flaw = self.world().flaw;
        let quota = Quota {
            name: "machines".to_owned(),
            region: None,
            limit: 1_000,
            used: u64::try_from(used).ok().map(|used| {
                if flaw == Some(Flaw::CountsNothing) {
                    0
                } else {
                    used
                }
            }),
            unit: "nodes".to_owned(),
            family: None,
        };
        let times = if flaw == Some(Flaw::NamesQuotasTwice) {
            2
        } else {
            1
        };
        Ok(vec![quota; times])
    }
}

#[async_trait]
impl Balancers for Memory {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        self.call(Operation::Read).await?;
        let balancer = Balancer {
            name: BALANCER.to_owned(),
            region: None,
            address: None,
        };
        let twice = self.world().flaw == Some(Flaw::ListsBalancersTwice);
        Ok(vec![balancer; if twice { 2 } else { 1 }])
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        self.call(Operation::Read).await?;
        if balancer != BALANCER && self.world().flaw != Some(Flaw::InventsBalancers) {
            return Err(missing("balancer", balancer));
        }
        let now = Instant::now();
        let mut world = self.world();
        world
            .balancer
            .retain(|member| member.leaves_at.is_none_or(|at| at > now));
        let flaw = world.flaw;
        Ok(world
            .balancer
            .iter()
            .map(|member| {
                let running = world
                    .machine(&member.node)
                    .is_some_and(|m| m.state(flaw) == NodeState::Running)
                    || flaw == Some(Flaw::CallsTheDeadHealthy);
                let health = if member.leaves_at.is_some() {
                    MemberHealth::Draining
                } else if member.since + Duration::from_secs(1) > now {
                    MemberHealth::Initial
                } else if running {
                    MemberHealth::Healthy
                } else {
                    MemberHealth::Unhealthy
                };
                Member {
                    node: member.node.clone(),
                    health,
                }
            })
            .collect())
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.call(Operation::Change).await?;
        if balancer != BALANCER {
            return Err(missing("balancer", balancer));
        }
        let mut world = self.world();
        if !world.balancer.iter().any(|member| member.node == *node) {
            world.balancer.push(MemberState {
                node: node.clone(),
                since: Instant::now(),
                leaves_at: None,
            });
        }
        Ok(())
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.call(Operation::Change).await?;
        if balancer != BALANCER {
            return Err(missing("balancer", balancer));
        }
        let mut world = self.world();
        let never = world.flaw == Some(Flaw::NeverDrains);
        let known = world.balancer.iter().any(|member| member.node == *node);
        if !known && world.flaw == Some(Flaw::RefusesToDrainStrangers) {
            return Err(missing("member", node.as_str()));
        }
        for member in world.balancer.iter_mut().filter(|m| m.node == *node) {
            if !never {
                member.leaves_at.get_or_insert(Instant::now() + DRAIN);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Dns for Memory {
    async fn list_zones(&self) -> Result<Vec<String>> {
        self.call(Operation::Read).await?;
        let dot = if self.world().flaw == Some(Flaw::DotsZones) {
            "."
        } else {
            ""
        };
        Ok(vec![format!("{DNS_ZONE}{dot}")])
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        self.call(Operation::Read).await?;
        if zone != DNS_ZONE && self.world().flaw != Some(Flaw::InventsZones) {
            return Err(missing("zone", zone));
        }
        Ok(self.world().records.clone())
    }

    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        self.call(Operation::Change).await?;
        if zone != DNS_ZONE {
            return Err(missing("zone", zone));
        }
        if record.values.is_empty() && self.world().flaw != Some(Flaw::TakesEmptyRecords) {
            return Err(Error::new(Kind::Invalid, "a record has at least one value"));
        }
        let mut world = self.world();
        let mut record = record.clone();
        if world.flaw == Some(Flaw::LosesTheTimeToLive) {
            record.ttl_seconds = 1;
        }
        let same = |other: &DnsRecord| (&other.name, other.kind) == (&record.name, record.kind);
        let old = world.records.iter().position(same);
        if let Some(old) = old.map(|at| world.records.remove(at))
            && world.flaw == Some(Flaw::AppendsDnsValues)
        {
            record.values.extend(old.values);
        }
        world.records.push(record);
        Ok(())
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.call(Operation::Change).await?;
        if zone != DNS_ZONE {
            return Err(missing("zone", zone));
        }
        let mut world = self.world();
        let every = world.flaw == Some(Flaw::RemovesEveryKind);
        world
            .records
            .retain(|record| record.name != name || (record.kind != kind && !every));
        Ok(())
    }
}

#[async_trait]
impl Interruptions for Memory {
    async fn pending(&self) -> Result<Vec<Interruption>> {
        self.call(Operation::Read).await?;
        let world = self.world();
        Ok(match world.flaw {
            Some(Flaw::AnnouncesNothing) => Vec::new(),
            Some(Flaw::AnnouncesEveryNode) => world
                .machines
                .iter()
                .map(|machine| Interruption {
                    node: machine.node.id.clone(),
                    kind: InterruptionKind::Rebalance,
                    at: None,
                })
                .collect(),
            _ => world.notices.clone(),
        })
    }
}

#[async_trait]
impl Requests for Memory {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        self.call(Operation::Create).await?;
        let flaw = self.world().flaw;
        if flaw == Some(Flaw::AsksByMakingANode) {
            let spec = &request.spec;
            self.world().make(spec, spec.name.clone(), &spec.region)?;
        }
        if flaw == Some(Flaw::AsksNothing) {
            return Ok(());
        }
        self.check_spec(&request.spec)
    }

    async fn give_up(&self, request: &CreateRequest) -> Result<()> {
        self.call(Operation::Create).await?;
        let mut world = self.world();
        let made: Vec<NodeId> = world
            .machines
            .iter()
            .filter(|machine| machine.node.label(keys::CLAIM) == Some(request.token.as_str()))
            .map(|machine| machine.node.id.clone())
            .collect();
        match world.flaw {
            Some(Flaw::RefusesToGiveUpNothing) if made.is_empty() => {
                return Err(missing("request", request.token.as_str()));
            }
            Some(Flaw::RemovesWhatIsGivenUp) => {
                for id in &made {
                    world.start_removal(id);
                }
            }
            Some(Flaw::GoesOnAfterGivingUp) => world.late = Some(request.spec.clone()),
            _ => {}
        }
        Ok(())
    }
}

impl Memory {
    /// What comes of a request although it was given up.
    pub(crate) fn launch_late(&self) -> Result<()> {
        let mut world = self.world();
        if let Some(spec) = world.late.take() {
            world.make(&spec, "late".to_owned(), &spec.region)?;
        }
        Ok(())
    }
}
