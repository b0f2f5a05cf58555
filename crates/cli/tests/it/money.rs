//! Money on the command line: `cost`, budgets, and what is said when they are reached.

use std::time::Duration;

use fleetwright_core::{Operation, Span};
use fleetwright_sim::{SimConfig, SimFaults};
use serde_json::{Value, json};

use crate::bed::Bed;

/// A cloud that is quick. A `sim.small` costs $0.0416/h there.
fn quick() -> SimConfig {
    SimConfig {
        latency: Span(Duration::from_millis(1)),
        boot_time: Span(Duration::ZERO),
        script_time: Span(Duration::ZERO),
        delete_time: Span(Duration::ZERO),
        ..SimConfig::default()
    }
}

fn pool(name: &str, desired: u32, more: &str) -> String {
    format!(
        "[pools.{name}]\ndesired = {desired}\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }}]\n{more}\n"
    )
}

fn sum(values: &Value) -> u64 {
    let values = values.as_array().expect("sums are a list");
    values
        .iter()
        .map(|value| value["micros"].as_u64().expect("a sum has micros"))
        .sum()
}

fn live(bed: &Bed) -> usize {
    bed.world(&quick())
        .live_nodes()
        .expect("the world is readable")
        .len()
}

#[test]
fn cost_tells_what_is_what_was_and_what_will_be_and_groups_add_up() {
    let bed = Bed::sim(&quick(), &(pool("api", 1, "") + &pool("web", 2, "")));
    let nothing = bed.must(0, &["cost"]);
    assert_eq!(nothing.stdout, "");
    assert!(
        nothing.stderr.contains("costs $0.00/h now for 0 nodes"),
        "{}",
        nothing.stderr
    );
    bed.must(0, &["up", "--yes"]);
    let report = bed.json(&["cost"]);
    assert_eq!(
        report["total"]["per_hour"],
        json!([{ "micros_per_hour": 3 * 41_600, "currency": "USD" }])
    );
    assert_eq!(report["groups"][0]["key"], "api");
    assert_eq!(
        report["groups"][1]["cost"]["per_hour"][0]["micros_per_hour"],
        2 * 41_600
    );
    // With nothing but new nodes, the forecast is more than what was spent.
    assert!(sum(&report["total"]["forecast"]) >= sum(&report["total"]["this_month"]));
    bed.must(0, &["down", "--yes", "--on", "pool=api"]);
    for by in [
        "pool", "provider", "region", "type", "owner", "day", "market",
    ] {
        let report = bed.json(&["cost", "--by", by]);
        let total = &report["total"];
        assert_eq!(
            (&total["nodes"], &total["present"]),
            (&json!(3), &json!(2)),
            "{by}"
        );
        assert!(sum(&total["spent"]) > 0);
        let groups = report["groups"].as_array().expect("groups are a list");
        let spent: u64 = groups
            .iter()
            .map(|group| sum(&group["cost"]["spent"]))
            .sum();
        assert_eq!(spent, sum(&total["spent"]), "{by}");
    }
    let text = bed.must(0, &["cost", "--since", "1d"]);
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert!(lines[0].starts_with("POOL"), "{}", text.stdout);
    assert!(lines[3].starts_with("total"), "{}", text.stdout);
    assert!(
        text.stderr.contains("costs $0.0832/h now for 2 nodes"),
        "{}",
        text.stderr
    );
    // A day ago there was nothing, and then there was all of it; since an instant to come, nothing.
    bed.must(2, &["cost", "--since", "yesterday"]);
    bed.must(2, &["cost", "--by", "color"]);
    let later = bed.must(4, &["cost", "--since", "2999-01-01"]);
    assert!(later.stderr.contains("still to come"), "{}", later.stderr);
}

#[test]
fn machines_without_an_answer_are_shown_apart() {
    let config = SimConfig {
        faults: SimFaults {
            lost_after: 1_000,
            operations: Some(vec![Operation::Create]),
            ..SimFaults::default()
        },
        ..quick()
    };
    let bed = Bed::sim(&config, &pool("web", 2, ""));
    bed.run(&["up", "--yes", "--timeout", "300ms"]);
    let report = bed.json(&["cost"]);
    assert_eq!(report["in_flight"]["machines"], 2);
    assert_eq!(
        report["in_flight"]["per_hour"][0]["micros_per_hour"],
        2 * 41_600
    );
    assert_eq!(report["total"]["nodes"], 0);
    let text = bed.must(0, &["cost"]);
    let wanted = "2 machines asked for and without an answer, $0.0832/h, not counted";
    assert!(text.stderr.contains(wanted), "{}", text.stderr);
}

/// Five machines wanted; three fit.
fn budgeted(action: &str) -> Bed {
    let budget = format!("budget = {{ per_hour = \"$0.13/h\", action = \"{action}\" }}");
    Bed::sim(&quick(), &pool("web", 5, &budget))
}

#[test]
fn a_budget_that_blocks_lets_nothing_be_made() {
    let bed = budgeted("block");
    let plan = bed.must(0, &["plan"]);
    let why = "5 cost $0.208/h, and of the $0.13/h in the budget of pool `web` $0.13/h are left";
    assert!(
        plan.stderr.contains("withheld: pool web create 5"),
        "{}",
        plan.stderr
    );
    assert!(plan.stderr.contains(why), "{}", plan.stderr);
    let up = bed.must(25, &["up", "--yes"]);
    assert!(up.stderr.contains(why), "{}", up.stderr);
    assert!(
        up.stderr.contains("hint: raise the budget"),
        "{}",
        up.stderr
    );
    assert_eq!(live(&bed), 0);
}

#[test]
fn a_budget_that_shrinks_lets_as_many_be_made_as_fit() {
    let bed = budgeted("shrink");
    let plan = bed.json(&["plan"]);
    assert_eq!(plan["steps"][0]["action"]["count"], 3);
    let verdict = &plan["money"]["verdicts"][0];
    assert_eq!(verdict["outcome"], "shrunk");
    assert_eq!(
        (&verdict["wanted"], &verdict["admitted"]),
        (&json!(5), &json!(3))
    );
    let up = bed.must(25, &["up", "--yes", "--json"]);
    let up: Value = serde_json::from_str(&up.stdout).expect("stdout is JSON");
    assert_eq!(up["standing"], "incomplete");
    assert_eq!(up["created"], 3);
    assert_eq!(up["budgets"][0]["left"]["micros"], 130_000 - 3 * 41_600);
    assert_eq!(live(&bed), 3);
    // The next run finds things as they are.
    bed.must(25, &["up", "--yes"]);
    assert_eq!(live(&bed), 3);
}

#[test]
fn a_budget_that_warns_lets_all_be_made_and_is_heard() {
    let bed = budgeted("warn");
    let plan = bed.must(0, &["plan"]);
    assert!(
        plan.stderr
            .contains("! over budget: pool web: 5 cost $0.208/h"),
        "{}",
        plan.stderr
    );
    let wanted = "the budget of pool `web`: $0.13/h; $0.00/h now, at most $0.208/h with this plan";
    assert!(plan.stderr.contains(wanted), "{}", plan.stderr);
    bed.must(0, &["up", "--yes"]);
    assert_eq!(live(&bed), 5);
    let events = bed.must(0, &["events", "--json"]);
    let told: Vec<Value> = events
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .filter(|event: &Value| event["what"]["event"] == "budget-reached")
        .collect();
    assert!(
        told.iter()
            .any(|event| event["what"]["outcome"] == "warned"),
        "{told:?}"
    );
    let status = bed.must(0, &["status"]);
    let exceeded = "the budget of pool `web` is exceeded: $0.208/h of $0.13/h; it only warns";
    assert!(status.stderr.contains(exceeded), "{}", status.stderr);
    let cost = bed.must(0, &["cost"]);
    assert!(cost.stderr.contains(exceeded), "{}", cost.stderr);
}

#[test]
fn what_is_there_is_never_removed_for_a_budget_and_it_is_said() {
    let bed = Bed::sim(&quick(), &pool("web", 3, ""));
    bed.must(0, &["up", "--yes"]);
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("it is there");
    let fleet = "[budget]\nper_month = \"$1\"\n";
    bed.configure(&(text.clone() + fleet));
    // Three nodes for the rest of a month cost more than a dollar, unless the month ends in hours.
    let plan = bed.json(&["plan"]);
    assert_eq!(plan["steps"], json!([]));
    let line = &plan["money"]["budgets"][0];
    assert_eq!(line["period"], "month");
    let is_exceeded = line["now"]["micros"].as_u64() > line["limit"]["micros"].as_u64();
    let status = bed.must(0, &["status"]);
    let said = status
        .stderr
        .contains("the budget of the fleet is exceeded");
    assert_eq!(said, is_exceeded, "{}", status.stderr);
    bed.configure(&(text.replace("desired = 3", "desired = 400") + fleet));
    bed.must(25, &["up", "--yes"]);
    assert_eq!(live(&bed), 3);
}

#[test]
fn mistakes_in_budgets_are_told_with_their_places() {
    let bed = Bed::new(
        "[providers.here]\nkind = \"local\"\n\
         [budget]\nper_hour = \"$3/h\"\nper_month = \"€100\"\n\
         [pools.web]\ndesired = 1\n\
         [pools.web.budget]\nper_hour = \"$0/h\"\nper_day = \"$1\"\naction = \"blok\"\n\
         [pools.api]\ndesired = 1\nbudget = {}\n",
    );
    let ran = bed.must(3, &["validate"]);
    for told in [
        "fleetwright.toml:5:13",
        "`per_hour` and `per_month` name different currencies",
        "fleetwright.toml:9:12",
        "`$0/h` allows nothing to be made",
        "fleetwright.toml:10:1",
        "unknown key `per_day` in `pools.web.budget`",
        "fleetwright.toml:11:10",
        "`blok` is not a value of `pools.web.budget.action`",
        "did you mean `block`?",
        "fleetwright.toml:14:10",
        "this budget limits nothing",
    ] {
        assert!(ran.stderr.contains(told), "{told}\n{}", ran.stderr);
    }
}
