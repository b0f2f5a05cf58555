//! A world as a text.
//!
//! ```text
//! provider NAME REGION...                          a provider that answers
//! blind PROVIDER[/REGION]                          its listing failed there
//! no-catalog PROVIDER                              its catalog cannot be read
//! type PROVIDER NAME VCPUS                         a type of machine
//! offer PROVIDER/REGION[/ZONE] TYPE [PRICE] [spot] [sold-out] [available]
//! mark PROVIDER[/REGION[/ZONE]] [TYPE] [spot]      taken for sold out
//! spent PROVIDER[/REGION[/ZONE]] [TYPE] [spot]     was sold out until five minutes ago
//! pool NAME DESIRED [cost] [max=PRICE] [vcpus=N] [balancer=NAME] [runtime=8h] [idle-after=30m]
//!                   [by=STRATEGY,STRATEGY...] [regions=eu-*,us-*] [max-vcpus=N] [min=N] [most=N]
//!                   [spot=PERCENT] [base=N] [wait]
//!                                                  a strategy: cost, spread:zones, spread:zones:2
//! size POOL N                                      was decided on for the pool
//! candidate POOL PROVIDER[/REGION[/ZONE]] [TYPE] [spot] [zones=A,B] [priority=N] [weight=N]
//! turn POOL CREDIT SEAT...                         where a seat stands that takes turns
//! node ID POOL LIFE [PRICE] [zone=A] [type=NAME] [spot] [age=1h] [for=1m] [old] [boot-failed] [claim=N] [absent] [deleting]
//!                                                  [over=1m] [left=1m] [idle=1h] [kept=1h]
//! claim N POOL COUNT PROVIDER/REGION [PRICE]       asked for, without an answer
//! orphan ID POOL [age=1h] [PRICE]                  ours, without a record
//! budget POOL|* [per-hour=$1] [per-month=$9] [action=block|shrink|warn]     `*`: of all pools
//! paid POOL SUM                                    this month, by nodes that are gone
//! billing PROVIDER hour                            how it counts time; otherwise: each second
//! stranger ID                                      of another journal
//! balancer PROVIDER NAME [broken]
//! member PROVIDER BALANCER ID HEALTH
//! decided POOL SIZE [agreed=N]                     another size, and removals that are agreed to
//! scale POOL...                                    only these pools
//! brake PERCENT                                    in the configuration
//! option replace-failed | option removal=PERCENT
//! accepted ID                                      this run has asked for its deletion
//! remove all | remove ID... | expire [ID...]       of the latter: found idle just now
//! relieve ID...                                    of those that the cloud takes away
//! ```
//! A node without an age is an hour old, in its state for a minute, and its provider shows it
//! running. `old` means: made from another definition of its pool. It is the beginning of the second
//! of January: the month goes on for 30 days, which are 720 hours.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::ability::{InterruptionKind, Member, MemberHealth, Offering};
use fleetwright_core::{
    Access, Addresses, Amount, Availability, Billing, Boot, Budget, Candidate, Claim, ClaimState,
    Coverage, CreateRequest, Domain, Error, Gap, HourlyPrice, Idempotency, InstanceType,
    InterruptionPolicy, Kind, Labels, Limits, Market, Markets, Node, NodeId, NodeRecord, NodeSpec,
    NodeState, Notice, Offer, Plan, Pool, ProviderInfo, Purpose, Rebalance, Requirements,
    SpotSoldOut, Spread, Strategies, Strategy, Tenure, Token, keys, parse_duration,
};
use fleetwright_store::Mark;
use jiff::Timestamp;

use super::show::show;
use crate::{CatalogView, Fleet, Observation, PlanOptions, Seen, plan};

const JOURNAL: &str = "our-journal";

/// A fleet and what was seen of it.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) observation: Observation,
    pub(crate) purpose: Purpose,
    pub(crate) options: PlanOptions,
}

/// The plan for the world that a script describes, as text.
pub(crate) fn plan_of(script: &str) -> String {
    show(&World::read(script).plan())
}

impl World {
    /// An empty world, a day after the beginning of time.
    pub(crate) fn new() -> Self {
        Self {
            fleet: Fleet {
                name: "demo".into(),
                ..Fleet::default()
            },
            observation: Observation {
                at: Timestamp::UNIX_EPOCH + Duration::from_hours(24),
                journal: JOURNAL.into(),
                ..Observation::default()
            },
            purpose: Purpose::Converge,
            options: PlanOptions::default(),
        }
    }

    pub(crate) fn read(script: &str) -> Self {
        let mut world = Self::new();
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            world.line(line);
        }
        world
    }

    pub(crate) fn plan(&self) -> Plan {
        let purpose = self.purpose.clone();
        plan(&self.fleet, &self.observation, purpose, &self.options)
    }

    /// Takes a line of a script.
    pub(crate) fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["provider", name, ref regions @ ..] => {
                let seen = Seen::new(info(name, regions), Vec::new(), Coverage::Complete);
                self.observation.providers.insert(name.into(), seen);
            }
            ["blind", place] => self.blind(place),
            ["no-catalog", name] => {
                let seen = self.seen(name);
                seen.catalog = None;
                seen.catalog_error = Some("its catalog cannot be read: down".into());
            }
            ["type", provider, name, vcpus] => {
                let vcpus = vcpus.parse().unwrap();
                self.sell(provider, kind(name, vcpus), None);
            }
            ["offer", place, name, ref more @ ..] => self.offer(place, name, more),
            ["mark", place, ref more @ ..] => {
                let mark = self.mark(place, more, 2);
                self.observation.marks.push(mark);
            }
            ["spent", place, ref more @ ..] => {
                let mark = self.mark(place, more, -5);
                self.observation.spent_marks.push(mark);
            }
            ["size", pool, size] => {
                let size = size.parse().unwrap();
                self.observation.sizes.insert(pool.into(), size);
            }
            ["turn", pool, credit, ref seat @ ..] => {
                let turns = self.observation.turns.entry(pool.into()).or_default();
                turns.insert(seat.join(" "), credit.parse().unwrap());
            }
            ["pool", name, desired, ref more @ ..] => {
                self.fleet.pools.insert(name.into(), pool(desired, more));
            }
            ["candidate", name, place, ref more @ ..] => {
                let (provider, region, zone) = place_of(place);
                let pool = self.fleet.pools.get_mut(name).unwrap();
                let number = |key| value(more, key).map(|text| text.parse().unwrap());
                pool.candidates.push(Candidate {
                    provider,
                    region,
                    zone,
                    zones: list(more, "zones="),
                    instance_type: type_of(more),
                    market: market(more),
                    priority: number("priority="),
                    weight: number("weight="),
                });
            }
            ["node", id, pool, state, ref more @ ..] => self.node(id, pool, state, more),
            ["claim", number, pool, count, place, ref more @ ..] => {
                self.claim(number, pool, count, place, more);
            }
            ["budget", whose, ref more @ ..] => self.budget(whose, more),
            ["paid", pool, sum] => {
                let sums = self.observation.spent.by_pool.entry(pool.into());
                sum.parse::<Amount>().unwrap().add_to(sums.or_default());
            }
            ["billing", provider, "hour"] => {
                self.seen(provider).info.billing = Billing::per_hour();
            }
            ["orphan", id, pool, ref more @ ..] => {
                let mut node = self.running(id, more);
                node.price = price(more);
                node.labels.insert(keys::JOURNAL.into(), JOURNAL.into());
                node.labels.insert(keys::POOL.into(), pool.into());
                self.seen(node.id.clone().provider()).nodes.push(node);
            }
            ["stranger", id] => {
                let mut node = self.running(id, &[]);
                node.labels.insert(keys::JOURNAL.into(), "another".into());
                self.seen(node.id.clone().provider()).nodes.push(node);
            }
            ["balancer", provider, name] => {
                let members = Ok(Vec::new());
                self.seen(provider).balancers.insert(name.into(), members);
            }
            ["balancer", provider, name, "broken"] => {
                let error = Err("the balancer does not answer".into());
                self.seen(provider).balancers.insert(name.into(), error);
            }
            ["member", provider, balancer, id, health] => {
                let member = Member {
                    node: id.parse().unwrap(),
                    health: match health {
                        "initial" => MemberHealth::Initial,
                        "healthy" => MemberHealth::Healthy,
                        "unhealthy" => MemberHealth::Unhealthy,
                        "draining" => MemberHealth::Draining,
                        other => MemberHealth::Unknown(other.into()),
                    },
                };
                let seen = self.seen(provider).balancers.get_mut(balancer).unwrap();
                seen.as_mut().unwrap().push(member);
            }
            ["decided", name, size, ref more @ ..] => {
                let agreed = more
                    .first()
                    .map_or("0", |word| word.strip_prefix("agreed=").unwrap());
                let size = size.parse().unwrap();
                let agreed = agreed.parse().unwrap();
                self.observation.sizes.insert(name.into(), size);
                self.observation.agreed.insert(name.into(), agreed);
            }
            ["scale", ref pools @ ..] => {
                let pools = pools.iter().map(|pool| (*pool).to_owned()).collect();
                self.purpose = Purpose::Scale { pools, wait: false };
            }
            ["brake", percent] => self.fleet.safety.max_removal_percent = percent.parse().unwrap(),
            ["option", "replace-failed"] => self.options.replace_failed = true,
            ["accepted", id] => {
                self.options.accepted.insert(id.parse().unwrap());
            }
            ["option", removal] => {
                let percent = removal.strip_prefix("removal=").unwrap();
                self.options.max_removal_percent = Some(percent.parse().unwrap());
            }
            ["expire", ref ids @ ..] => {
                let idle = ids.iter().map(|id| id.parse().unwrap()).collect();
                self.purpose = Purpose::Expire { idle };
            }
            ["relieve", ref ids @ ..] => {
                let nodes = ids.iter().map(|id| id.parse().unwrap()).collect();
                self.purpose = Purpose::Relieve { nodes };
            }
            ["cordoned", id] => {
                self.observation.cordoned.insert(id.parse().unwrap());
            }
            ["balance", ref ids @ ..] => {
                let nodes = ids.iter().map(|id| id.parse().unwrap()).collect();
                self.purpose = Purpose::Balance { nodes };
            }
            ["remove", "all"] => self.purpose = Purpose::Remove { nodes: None },
            ["remove", ref ids @ ..] => {
                let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
                self.purpose = Purpose::Remove { nodes: Some(ids) };
            }
            _ => panic!("`{line}` is not a line of a script"),
        }
    }

    fn seen(&mut self, provider: &str) -> &mut Seen {
        self.observation.providers.get_mut(provider).unwrap()
    }

    fn blind(&mut self, place: &str) {
        let (provider, region, _) = place_of(place);
        let seen = self.seen(&provider);
        let mut gaps = seen.coverage.gaps().to_vec();
        gaps.push(Gap {
            region,
            error: Error::new(Kind::Unavailable, "the cloud is down").report(),
        });
        seen.coverage = Coverage::Partial { gaps };
    }

    fn sell(&mut self, provider: &str, sold: InstanceType, offering: Option<Offering>) {
        let seen = self.seen(provider);
        let old = seen.catalog.take().unwrap_or_default();
        let (mut types, mut offerings) = (old.types, old.offerings);
        if types.iter().all(|known| known.name != sold.name) {
            types.push(sold);
        }
        offerings.extend(offering);
        seen.catalog = Some(CatalogView::new(types, offerings));
    }

    fn offer(&mut self, place: &str, name: &str, more: &[&str]) {
        let (provider, region, zone) = place_of(place);
        let offering = Offering {
            instance_type: name.into(),
            region: region.unwrap(),
            zone,
            market: market(more),
            price: price(more),
            availability: if more.contains(&"sold-out") {
                Availability::SoldOut { until: None }
            } else if more.contains(&"available") {
                Availability::Available
            } else {
                Availability::Unknown
            },
        };
        self.sell(&provider, kind(name, 2), Some(offering));
    }

    fn mark(&self, place: &str, more: &[&str], minutes: i64) -> Mark {
        let (provider, region, zone) = place_of(place);
        Mark {
            provider,
            region,
            zone,
            instance_type: type_of(more),
            market: more.contains(&"spot").then_some(Market::Spot),
            until: self.observation.at + jiff::SignedDuration::from_mins(minutes),
            error: Error::new(Kind::Capacity, "no capacity").report(),
        }
    }

    fn running(&self, id: &str, more: &[&str]) -> Node {
        Node {
            id: id.parse().unwrap(),
            name: id.rsplit('/').next().unwrap().into(),
            state: if more.contains(&"deleting") {
                NodeState::Deleting
            } else {
                NodeState::Running
            },
            instance_type: value(more, "type=").unwrap_or("small").into(),
            zone: value(more, "zone=").map(str::to_owned),
            market: market(more),
            addresses: Addresses::default(),
            access: None,
            boot: None,
            labels: Labels::new(),
            created_at: Some(self.ago(more, "age=", "1h")),
            price: None,
            message: None,
            metadata: BTreeMap::new(),
        }
    }

    fn ago(&self, words: &[&str], key: &str, otherwise: &str) -> Timestamp {
        let text = value(words, key).unwrap_or(otherwise);
        self.observation.at - parse_duration(text).unwrap()
    }

    fn later(&self, words: &[&str], key: &str) -> Timestamp {
        let text = value(words, key).unwrap_or_default();
        self.observation.at + parse_duration(text).unwrap()
    }

    fn notice(&self, words: &[&str]) -> Option<Notice> {
        let (key, kind) = [
            ("reclaim=", InterruptionKind::Reclaim),
            ("rebalance=", InterruptionKind::Rebalance),
            ("maintenance=", InterruptionKind::Maintenance),
        ]
        .into_iter()
        .find(|(key, _)| value(words, key).is_some())?;
        Some(Notice {
            kind,
            at: Some(self.later(words, key)),
            told_at: self.ago(words, "told=", "0s"),
            drained: words.contains(&"drained"),
        })
    }

    fn node(&mut self, id: &str, pool: &str, life: &str, more: &[&str]) {
        let generation = self.fleet.pools.get(pool).map(Pool::generation);
        let generation = generation.filter(|_| !more.contains(&"old"));
        let mut node = self.running(id, more);
        node.labels.insert(keys::JOURNAL.into(), JOURNAL.into());
        let record = NodeRecord {
            id: node.id.clone(),
            name: node.name.clone(),
            pool: pool.into(),
            claim: None,
            token: value(more, "claim=").map(token),
            life: life.parse().unwrap(),
            since: self.ago(more, "for=", "1m"),
            instance_type: node.instance_type.clone(),
            zone: node.zone.clone(),
            market: node.market,
            price: price(more),
            generation: generation.map_or_else(|| "old".into(), |g| g.short().to_owned()),
            access: more.contains(&"login").then(|| Access {
                host: "127.0.0.1".into(),
                port: 22,
                user: "root".into(),
                host_keys: Vec::new(),
            }),
            boot: more.contains(&"boot-failed").then(|| Boot::Failed {
                exit_status: Some(3),
                log_tail: "no such file".into(),
            }),
            labels: node.labels.clone(),
            created_at: self.ago(more, "age=", "1h"),
            seen_at: None,
            gone_at: None,
            tenure: Tenure {
                ends_at: value(more, "over=")
                    .map(|_| self.ago(more, "over=", ""))
                    .or_else(|| value(more, "left=").map(|_| self.later(more, "left="))),
                kept_until: value(more, "kept=").map(|_| self.later(more, "kept=")),
                idle_since: value(more, "idle=").map(|_| self.ago(more, "idle=", "")),
                notice: self.notice(more),
            },
            reason: "of what happened before".into(),
        };
        let (provider, region) = (node.id.provider().to_owned(), node.id.region().to_owned());
        if let Some(seen) = self.observation.providers.get_mut(&provider)
            && seen.coverage.covers(&region)
            && !more.contains(&"absent")
        {
            seen.nodes.push(node);
        }
        self.observation.records.push(record);
    }

    fn budget(&mut self, whose: &str, words: &[&str]) {
        let action = value(words, "action=").unwrap_or("block");
        let budget = Budget {
            per_hour: value(words, "per-hour=").map(str::to_owned),
            per_month: value(words, "per-month=").map(str::to_owned),
            action: serde_json::from_value(action.into()).unwrap(),
        };
        match whose {
            "*" => self.fleet.budget = Some(budget),
            pool => self.fleet.pools.get_mut(pool).unwrap().budget = Some(budget),
        }
    }

    fn claim(&mut self, number: &str, pool: &str, count: &str, place: &str, more: &[&str]) {
        let (provider, region, _) = place_of(place);
        let region = region.unwrap();
        let text = format!("00000000-0000-7000-8000-{number:0>12}");
        let spec = NodeSpec {
            name: pool.into(),
            instance_type: "small".into(),
            image: None,
            region: region.clone(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: serde_json::Map::new(),
        };
        self.observation.claims.push(Claim {
            id: text.parse().unwrap(),
            attempt: 1,
            pool: pool.into(),
            offer: Offer {
                provider,
                region,
                zone: None,
                instance_type: "small".into(),
                market: Market::OnDemand,
                price: price(more),
                availability: Availability::Unknown,
                reason: String::new(),
            },
            request: CreateRequest {
                count: count.parse().unwrap(),
                spec,
                token: token(number),
                replay: false,
                host_key: None,
            },
            state: ClaimState::Open,
            made_at: self.observation.at - Duration::from_mins(5),
            sent_at: self.observation.at - Duration::from_mins(5),
            closed_at: None,
            decision: None,
        });
    }
}

fn info(name: &str, regions: &[&str]) -> ProviderInfo {
    ProviderInfo {
        name: name.into(),
        kind: "script".into(),
        account: "one".into(),
        regions: regions.iter().map(|&region| region.to_owned()).collect(),
        idempotency: Idempotency::NativeToken,
        listing_lag: Duration::ZERO,
        batch: 10,
        user_data_limit: 1024,
        reports_boot: true,
        has_ssh: true,
        billing: Billing::per_second(0),
        plants_host_keys: false,
        limits: Vec::new(),
    }
}

fn kind(name: &str, vcpus: u32) -> InstanceType {
    InstanceType {
        name: name.into(),
        vcpus,
        memory_mib: 4096,
        architecture: "x86_64".into(),
        gpus: 0,
        gpu_model: None,
        gpu_memory_mib: None,
    }
}

fn pool(desired: &str, more: &[&str]) -> Pool {
    let number = |key| value(more, key).map(|text| text.parse().unwrap());
    Pool {
        desired: desired.parse().unwrap(),
        min: number("min="),
        max: number("most="),
        requirements: Requirements {
            vcpus: number("vcpus="),
            max_vcpus: number("max-vcpus="),
            regions: list(more, "regions="),
            ..Requirements::default()
        },
        strategy: if more.contains(&"cost") {
            Strategy::Cost.into()
        } else {
            strategies(value(more, "by=").unwrap_or("priority"))
        },
        markets: value(more, "spot=").map(|percent| Markets {
            on_demand_base: number("base=").unwrap_or(0),
            spot_percent: percent.parse().unwrap(),
            spot_sold_out: if more.contains(&"wait") {
                SpotSoldOut::Wait
            } else {
                SpotSoldOut::OnDemand
            },
        }),
        max_price: value(more, "max=").map(str::to_owned),
        balancer: value(more, "balancer=").map(str::to_owned),
        limits: Limits {
            max_runtime: value(more, "runtime=").map(|text| text.parse().unwrap()),
            idle_after: value(more, "idle-after=").map(|text| text.parse().unwrap()),
            dead_man: value(more, "dead-man=").map(|text| text.parse().unwrap()),
            ..Limits::default()
        },
        interruptions: InterruptionPolicy {
            rebalance: if more.contains(&"rebalance") {
                Rebalance::Replace
            } else {
                Rebalance::Ignore
            },
            drain_command: more.contains(&"drains").then(|| "save".into()),
        },
        user_data: value(more, "user-data=").map(|text| text.replace("\\n", "\n")),
        ..Pool::default()
    }
}

/// `availability,cost`, `spread:zones:2`.
pub(crate) fn strategies(text: &str) -> Strategies {
    Strategies::new(text.split(',').map(|word| {
        let parts: Vec<&str> = word.split(':').collect();
        match parts[..] {
            [name] => serde_json::from_value(name.into()).unwrap(),
            ["spread", over] => Strategy::Spread(Spread::over(domain(over))),
            ["spread", over, skew] => Strategy::Spread(Spread {
                over: domain(over),
                max_skew: skew.parse().unwrap(),
            }),
            _ => panic!("`{word}` is not a strategy"),
        }
    }))
}

fn domain(word: &str) -> Domain {
    serde_json::from_value(word.into()).unwrap()
}

fn list(words: &[&str], key: &str) -> Vec<String> {
    let text = value(words, key).unwrap_or_default();
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn token(number: &str) -> Token {
    Token::from_stored(format!("token-{number}"))
}

fn place_of(text: &str) -> (String, Option<String>, Option<String>) {
    let mut parts = text.split('/').map(str::to_owned);
    (parts.next().unwrap(), parts.next(), parts.next())
}

fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key))
}

fn price(words: &[&str]) -> Option<HourlyPrice> {
    let is_price = |word: &&&str| word.starts_with(['$', '€']);
    words
        .iter()
        .find(is_price)
        .map(|word| word.parse().unwrap())
}

fn market(words: &[&str]) -> Market {
    if words.contains(&"spot") {
        Market::Spot
    } else {
        Market::OnDemand
    }
}

/// The first word that is neither a market nor anything else with a meaning.
fn type_of(words: &[&str]) -> Option<String> {
    words
        .iter()
        .find(|word| **word != "spot" && !word.contains('='))
        .map(|word| (*word).to_owned())
}

/// A node's id, for the tests that make worlds by chance.
pub(crate) fn id(region: &str, number: usize) -> NodeId {
    NodeId::new("sim", region, &format!("n{number}")).unwrap()
}
