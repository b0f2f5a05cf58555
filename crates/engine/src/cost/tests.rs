//! Accounting on little fleets whose sums anyone can check, and on many by chance.

use fleetwright_core::{Currency, Market, NodeId, StayLabels, Tenure};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn stay(number: usize, pool: &str, from: &str, gone: Option<&str>) -> Stay {
    Stay {
        id: NodeId::new("cloud", "north", &format!("n{number}")).unwrap(),
        pool: pool.into(),
        token: None,
        instance_type: "small".into(),
        market: Market::OnDemand,
        price: Some(HourlyPrice::usd_micros(1_000_000)),
        created_at: at(from),
        gone_at: gone.map(at),
        tenure: Tenure::default(),
        labels: StayLabels::default(),
    }
}

fn ask(
    stays: &[Stay],
    billing: Billing,
    by: CostKey,
    since: Option<&str>,
    now: &str,
) -> CostReport {
    let query = CostQuery {
        by,
        since: since.map(at),
    };
    cost(stays, &[], &|_| billing, query, at(now))
}

/// A line per group: key, nodes, those present, hours, per hour, spent, this month, forecast.
fn shown(report: &CostReport) -> Vec<String> {
    let sums = |sums: &[Amount]| {
        let all: Vec<String> = sums.iter().map(ToString::to_string).collect();
        if all.is_empty() {
            "-".to_owned()
        } else {
            all.join("+")
        }
    };
    let line = |key: &str, cost: &Cost| {
        let per_hour: Vec<String> = cost.per_hour.iter().map(ToString::to_string).collect();
        format!(
            "{key} {}/{} {}s {} {} {} {} {}?",
            cost.present,
            cost.nodes,
            cost.node_seconds,
            per_hour.join("+"),
            sums(&cost.spent),
            sums(&cost.this_month),
            sums(&cost.forecast),
            cost.unpriced,
        )
    };
    let groups = report.groups.iter();
    groups
        .map(|group| line(group.key.as_deref().unwrap_or("(none)"), &group.cost))
        .chain([line("total", &report.total)])
        .collect()
}

#[test]
fn nodes_that_are_gone_and_nodes_that_are_there_are_added_up_by_pool() {
    let stays = [
        stay(
            1,
            "api",
            "2026-11-01T00:00:00Z",
            Some("2026-11-01T10:00:00Z"),
        ),
        stay(2, "web", "2026-10-31T00:00:00Z", None),
        Stay {
            price: Some(HourlyPrice {
                currency: Currency::Eur,
                micros_per_hour: 500_000,
            }),
            ..stay(3, "web", "2026-11-02T00:00:00Z", None)
        },
        Stay {
            price: None,
            ..stay(4, "web", "2026-11-02T12:00:00Z", None)
        },
    ];
    let report = ask(
        &stays,
        Billing::per_second(0),
        CostKey::Pool,
        None,
        "2026-11-03T00:00:00Z",
    );
    // The rest of November has 28 days: 672 hours.
    assert_eq!(
        shown(&report),
        [
            "api 0/1 36000s  $10.00 $10.00 $10.00 0?",
            "web 3/3 388800s $1.00/h+€0.50/h $72.00+€12.00 $48.00+€12.00 $720.00+€348.00 1?",
            "total 3/4 424800s $1.00/h+€0.50/h $82.00+€12.00 $58.00+€12.00 $730.00+€348.00 1?",
        ]
    );
}

#[test]
fn every_key_has_its_groups() {
    let mut stays = vec![
        stay(
            1,
            "web",
            "2026-11-01T00:00:00Z",
            Some("2026-11-01T01:00:00Z"),
        ),
        stay(
            2,
            "web",
            "2026-11-01T00:00:00Z",
            Some("2026-11-01T01:00:00Z"),
        ),
    ];
    stays[1].id = NodeId::new("other", "south", "n2").unwrap();
    stays[1].pool = "api".into();
    stays[1].instance_type = "large".into();
    stays[1].market = Market::Spot;
    stays[1].labels.owner = Some("ann".into());
    for (by, keys) in [
        (CostKey::Pool, ["api", "web"]),
        (CostKey::Provider, ["cloud", "other"]),
        (CostKey::Region, ["cloud/north", "other/south"]),
        (CostKey::Type, ["large", "small"]),
        (CostKey::Owner, ["(none)", "ann"]),
        (CostKey::Market, ["on-demand", "spot"]),
    ] {
        let report = ask(
            &stays,
            Billing::per_hour(),
            by,
            None,
            "2026-11-03T00:00:00Z",
        );
        let found: Vec<&str> = report
            .groups
            .iter()
            .map(|group| group.key.as_deref().unwrap_or("(none)"))
            .collect();
        assert_eq!(found, keys, "{by}");
        assert_eq!(by.as_str().parse::<CostKey>().unwrap(), by);
    }
    assert!("colour".parse::<CostKey>().is_err());
}

#[test]
fn days_share_a_node_by_its_hours_and_bill_each_hour_on_the_day_it_begins() {
    let stays = [stay(
        1,
        "web",
        "2026-11-01T22:30:00Z",
        Some("2026-11-03T00:00:00Z"),
    )];
    let now = "2026-11-20T00:00:00Z";
    let exact = ask(&stays, Billing::per_second(0), CostKey::Day, None, now);
    assert_eq!(
        shown(&exact),
        [
            "2026-11-01 0/1 5400s  $1.50 - - 0?",
            "2026-11-02 0/1 86400s  $24.00 - - 0?",
            "total 0/1 91800s  $25.50 $25.50 $25.50 0?",
        ]
    );
    let hourly = ask(&stays, Billing::per_hour(), CostKey::Day, None, now);
    assert_eq!(
        shown(&hourly),
        [
            "2026-11-01 0/1 5400s  $2.00 - - 0?",
            "2026-11-02 0/1 86400s  $24.00 - - 0?",
            "total 0/1 91800s  $26.00 $26.00 $26.00 0?",
        ]
    );
}

#[test]
fn what_was_spent_since_leaves_out_what_came_before_and_the_month_is_whole() {
    let stays = [
        stay(
            1,
            "old",
            "2026-11-01T00:00:00Z",
            Some("2026-11-01T10:00:00Z"),
        ),
        stay(2, "web", "2026-11-01T00:00:00Z", None),
    ];
    let since = Some("2026-11-02T12:00:00Z");
    let now = "2026-11-03T00:00:00Z";
    let report = ask(&stays, Billing::per_second(0), CostKey::Pool, since, now);
    assert_eq!(
        shown(&report),
        [
            "old 0/0 0s  - $10.00 $10.00 0?",
            "web 1/1 43200s $1.00/h $12.00 $48.00 $720.00 0?",
            "total 1/1 43200s $1.00/h $12.00 $58.00 $730.00 0?",
        ]
    );
    let days = ask(&stays, Billing::per_second(0), CostKey::Day, since, now);
    assert_eq!(shown(&days)[0], "2026-11-02 1/1 43200s  $12.00 - - 0?");
}

#[test]
fn a_forecast_knows_when_nodes_end() {
    let mut ending = stay(1, "web", "2026-11-02T00:00:00Z", None);
    ending.tenure.ends_at = Some(at("2026-11-04T00:00:00Z"));
    let mut overdue = stay(2, "late", "2026-11-02T00:00:00Z", None);
    overdue.tenure.ends_at = Some(at("2026-11-02T12:00:00Z"));
    let mut beyond = stay(3, "long", "2026-11-02T00:00:00Z", None);
    beyond.tenure.ends_at = Some(at("2027-01-01T00:00:00Z"));
    let stays = [ending, overdue, beyond];
    let report = ask(
        &stays,
        Billing::per_second(0),
        CostKey::Pool,
        None,
        "2026-11-03T00:00:00Z",
    );
    assert_eq!(
        shown(&report)[..3],
        [
            "late 1/1 86400s $1.00/h $24.00 $24.00 $24.00 0?",
            "long 1/1 86400s $1.00/h $24.00 $24.00 $696.00 0?",
            "web 1/1 86400s $1.00/h $24.00 $24.00 $48.00 0?",
        ]
    );
}

#[derive(Debug, Clone)]
struct SomeStay {
    from: i64,
    runtime: Option<i64>,
    price: Option<u64>,
    euro: bool,
    pool: usize,
}

prop_compose! {
    fn some_stay()(
        from in 0_i64..9_000_000,
        runtime in prop::option::of(0_i64..4_000_000),
        price in prop::option::of(0_u64..40_000_000),
        euro in any::<bool>(),
        pool in 0..3_usize,
    ) -> SomeStay {
        SomeStay { from, runtime, price, euro, pool }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_add_up_to_the_total_to_the_last_millionth(
        some in prop::collection::vec(some_stay(), 0..12),
        unit in prop::sample::select(&[1_u32, 60, 3_600, 86_400][..]),
        minimum in prop::sample::select(&[0_u32, 60, 3_600][..]),
        since in prop::option::of(0_i64..9_000_000),
    ) {
        let begin = 1_700_000_000;
        let now = Timestamp::from_second(begin + 9_000_000).unwrap();
        let stays: Vec<Stay> = some.iter().enumerate().map(|(at, some)| {
            let from = Timestamp::from_second(begin + some.from).unwrap();
            let gone = some.runtime.and_then(|run| {
                Some(Timestamp::from_second(begin + some.from + run).unwrap()).filter(|gone| *gone <= now)
            });
            let currency = if some.euro { Currency::Eur } else { Currency::Usd };
            Stay {
                created_at: from,
                gone_at: gone,
                price: some.price.map(|micros_per_hour| HourlyPrice { currency, micros_per_hour }),
                ..stay(at, ["a", "b", "c"][some.pool], "2026-01-01T00:00:00Z", None)
            }
        }).collect();
        let billing = Billing::new(unit, minimum);
        let since = since.map(|second| Timestamp::from_second(begin + second).unwrap());
        for by in CostKey::ALL {
            let report = cost(&stays, &[], &|_| billing, CostQuery { by, since }, now);
            let groups = || report.groups.iter().map(|group| &group.cost);
            let spent = Amount::sum(groups().flat_map(|cost| cost.spent.clone()));
            prop_assert_eq!(&spent, &report.total.spent, "{}", by);
            let seconds: u64 = groups().map(|cost| cost.node_seconds).sum();
            prop_assert_eq!(seconds, report.total.node_seconds, "{}", by);
            if by != CostKey::Day {
                let month = Amount::sum(groups().flat_map(|cost| cost.this_month.clone()));
                prop_assert_eq!(&month, &report.total.this_month, "{}", by);
                let forecast = Amount::sum(groups().flat_map(|cost| cost.forecast.clone()));
                prop_assert_eq!(&forecast, &report.total.forecast, "{}", by);
            }
        }
        // And the whole is what each machine is billed for, nothing more.
        if since.is_none() {
            let billed = stays.iter().filter_map(|stay| {
                let until = stay.gone_at.unwrap_or(now);
                let ran = until.duration_since(stay.created_at).unsigned_abs();
                Some(billing.cost(stay.price?, ran))
            });
            let report = cost(&stays, &[], &|_| billing, CostQuery::default(), now);
            prop_assert_eq!(Amount::sum(billed), report.total.spent);
        }
    }
}
