//! Load balancers: members are judged after a while and leave slowly.

use async_trait::async_trait;
use fleetwright_core::ability::{Balancer, Member, MemberHealth};
use fleetwright_core::{Balancers, Error, NodeId, NodeState, Operation, Result};
use jiff::Timestamp;

use crate::config::SimConfig;
use crate::error;
use crate::provider::{SimProvider, find};
use crate::world::after;
use crate::world::machine;
use crate::world::state::{Change, Registration};

#[async_trait]
impl Balancers for SimProvider {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        self.ask(Operation::Read, None, |step| {
            Ok(step
                .config()
                .balancers
                .iter()
                .map(|name| Balancer {
                    name: name.clone(),
                    region: None,
                    address: Some(format!("{name}.balancers.sim.invalid")),
                })
                .collect())
        })
        .await
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        self.ask(Operation::Read, None, |step| {
            exists(step.config(), balancer)?;
            let (state, now) = (step.state(), step.now());
            state
                .balancers
                .get(balancer)
                .into_iter()
                .flatten()
                .filter(|(_, registration)| !has_left(registration, now))
                .filter_map(|(&number, registration)| {
                    Some((number, registration, state.machine(number)?))
                })
                .map(|(number, registration, (machine, batch))| {
                    Ok(Member {
                        node: NodeId::new(
                            step.provider(),
                            &batch.region,
                            &machine::native(number),
                        )?,
                        health: health(registration, &machine.state(batch, now), now),
                    })
                })
                .collect()
        })
        .await
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.own(node)?;
        self.ask(Operation::Change, None, |step| {
            exists(step.config(), balancer)?;
            let now = step.now();
            let (number, ..) = find(step.state(), node)
                .filter(|(_, machine, _)| !machine.is_gone(now))
                .ok_or_else(|| error::not_found(format!("there is no node `{node}`")))?;
            let present = step
                .state()
                .balancers
                .get(balancer)
                .and_then(|members| members.get(&number));
            if present.is_some_and(|registration| registration.leaves_at.is_none()) {
                return Ok(());
            }
            let registration = Registration {
                judged_at: after(now, step.config().health_time.0),
                leaves_at: None,
            };
            step.change(Change::Member {
                balancer: balancer.to_owned(),
                machine: number,
                registration: Some(registration),
            });
            Ok(())
        })
        .await
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.own(node)?;
        self.ask(Operation::Change, None, |step| {
            exists(step.config(), balancer)?;
            let now = step.now();
            let registered = find(step.state(), node).and_then(|(number, ..)| {
                let members = step.state().balancers.get(balancer)?;
                Some((number, *members.get(&number)?))
            });
            if let Some((machine, registration)) = registered
                && registration.leaves_at.is_none()
            {
                let leaving = Registration {
                    leaves_at: Some(after(now, step.config().drain_time.0)),
                    ..registration
                };
                step.change(Change::Member {
                    balancer: balancer.to_owned(),
                    machine,
                    registration: Some(leaving),
                });
            }
            Ok(())
        })
        .await
    }
}

fn exists(config: &SimConfig, balancer: &str) -> Result<(), Error> {
    if config.balancers.iter().any(|name| name == balancer) {
        return Ok(());
    }
    Err(
        error::not_found(format!("there is no balancer `{balancer}`"))
            .with_hint(format!("known: {}", config.balancers.join(", "))),
    )
}

fn has_left(registration: &Registration, now: Timestamp) -> bool {
    registration.leaves_at.is_some_and(|leaves| leaves <= now)
}

fn health(registration: &Registration, state: &NodeState, now: Timestamp) -> MemberHealth {
    if registration.leaves_at.is_some() {
        MemberHealth::Draining
    } else if now < registration.judged_at {
        MemberHealth::Initial
    } else if *state == NodeState::Running {
        MemberHealth::Healthy
    } else {
        MemberHealth::Unhealthy
    }
}
