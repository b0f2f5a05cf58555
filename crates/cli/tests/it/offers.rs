//! `offers`: over several clouds, offline, and with the user's own prices.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::bed::Bed;

/// Three simulated clouds: one for anybody, one with a quota, one that tells what is sold out.
const CLOUDS: &str = r#"
fleet = "test"

[providers.big]
kind = "sim"
latency = "0s"
regions = [{ name = "us-1", zones = ["us-1a", "us-1b"] }, { name = "eu-1", zones = ["eu-1a"] }]

[[providers.big.types]]
name = "big.h100x8"
vcpus = 192
memory_mib = 2097152
gpus = 8
gpu_model = "NVIDIA H100"
gpu_memory_mib = 81920
price = "$55.04/h"
spot_price = "$20.00/h"

[[providers.big.types]]
name = "big.small"
vcpus = 2
memory_mib = 4096
price = "$0.05/h"

[providers.tight]
kind = "sim"
latency = "0s"
regions = [{ name = "eu-west", zones = ["eu-west-a"] }]
quota = [{ unit = "gpus", limit = 4 }]

[[providers.tight.types]]
name = "gpu_8x_h100_sxm5"
vcpus = 208
memory_mib = 1843200
gpus = 8
gpu_model = "H100 SXM5"
gpu_memory_mib = 81920
price = "$23.92/h"

[providers.full]
kind = "sim"
latency = "0s"
regions = [{ name = "eu-north", zones = ["eu-north-a"] }]
tells_availability = true
capacity = [{ instance_type = "full.h100", to = "10h" }]

[[providers.full.types]]
name = "full.h100"
vcpus = 24
memory_mib = 245760
gpus = 1
gpu_model = "nvidia_h100"
gpu_memory_mib = 81559
price = "€2.40/h"
"#;

const DOWN: &str = "\n[providers.full.faults]\nauth_expired = 1000\noperations = [\"catalog\"]\n";

fn clouds(more: &str) -> Bed {
    Bed::new(&format!("{CLOUDS}{more}"))
}

/// `provider place type market price availability`, line by line.
fn shown(report: &Value) -> Vec<String> {
    let lines = report["offers"].as_array().expect("there are offers");
    lines.iter().map(of_line).collect()
}

fn of_line(line: &Value) -> String {
    let offer = &line["offer"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let micros = offer["price"]["micros_per_hour"].as_u64().unwrap_or(0);
    format!(
        "{} {} {} {} {micros} {}",
        text(&offer["provider"]),
        text(&offer["zone"]),
        text(&offer["instance_type"]),
        text(&offer["market"]),
        text(&offer["availability"]["is"]),
    )
}

#[test]
fn eight_h100s_are_found_in_every_cloud_by_any_name_cheapest_first() {
    let bed = clouds("");
    for gpu in ["H100:8", "h100-8x", "8x NVIDIA H100 80GB HBM3"] {
        let report = bed.json(&["offers", "--gpu", gpu, "--market", "on-demand"]);
        assert_eq!(
            shown(&report),
            [
                "tight eu-west-a gpu_8x_h100_sxm5 on-demand 23920000 no-quota",
                "big eu-1a big.h100x8 on-demand 55040000 unknown",
                "big us-1a big.h100x8 on-demand 55040000 unknown",
                "big us-1b big.h100x8 on-demand 55040000 unknown",
            ],
            "{gpu}"
        );
    }
    let report = bed.json(&["offers", "--gpu", "H100", "--provider", "full"]);
    let lines = shown(&report);
    assert!(lines[0].ends_with("spot 840000 sold-out"), "{lines:?}");
    assert!(
        lines[1].ends_with("on-demand 2400000 sold-out"),
        "{lines:?}"
    );
    assert!(report["offers"][0]["offer"]["availability"]["until"].is_string());
}

#[test]
fn the_table_tells_price_its_age_availability_and_how_many_there_are() {
    let bed = clouds("");
    let ran = bed.must(0, &["offers", "--gpu", "H100:8", "--limit", "3"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.stdout);
    assert!(lines[0].starts_with("PROVIDER") && lines[0].ends_with("AVAILABILITY"));
    let first: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        first[..3],
        ["tight", "eu-west-a", "gpu_8x_h100_sxm5"],
        "{first:?}"
    );
    assert!(lines[1].contains("8 x H100 80GB SXM") && lines[1].ends_with("no quota"));
    assert!(
        ran.stderr.contains("3 of 8 offers that match"),
        "{}",
        ran.stderr
    );
}

#[test]
fn every_filter_filters() {
    let bed = clouds("");
    let number = |more: &[&str]| {
        let mut words = vec!["offers"];
        words.extend(more);
        bed.json(&words)["matching"].as_u64().expect("a number")
    };
    let all = number(&[]);
    assert_eq!(all, 16);
    for (words, matching) in [
        (vec!["--gpu", "H100"], 10),
        (vec!["--gpu", "H100:8"], 8),
        (vec!["--gpu", "H100 SXM:8"], 2),
        (vec!["--gpu", "H100-94GB"], 0),
        (vec!["--gpu", "A100"], 0),
        (vec!["--vcpus", "2"], 6),
        (vec!["--vcpus", "3+"], 10),
        (vec!["--memory", "4GiB"], 6),
        (vec!["--memory", "64GiB+"], 10),
        (vec!["--region", "eu-*"], 8),
        (vec!["--region", "eu-1,us-*"], 12),
        (vec!["--market", "spot"], 8),
        (vec!["--max-price", "30"], 11),
        (vec!["--max-price", "€3"], 2),
        (vec!["--provider", "big"], 12),
        (vec!["--type", "*h100*"], 10),
        (
            vec!["--gpu", "H100:8", "--max-price", "$20", "--region", "eu-*"],
            2,
        ),
    ] {
        assert_eq!(number(&words), matching, "{words:?}");
    }
    let ran = bed.must(0, &["offers", "--gpu", "A100"]);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("none of 16 offers matches"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("no GPU, A100 wanted"), "{}", ran.stderr);
}

#[test]
fn nobody_is_asked_again_unless_that_is_wanted_and_a_cloud_that_is_down_keeps_its_old_part() {
    let bed = clouds("");
    let first = bed.json(&["offers"]);
    let asked = |report: &Value| {
        let sources = report["sources"].as_array().expect("sources");
        sources.iter().filter(|s| s["asked"] == true).count()
    };
    assert_eq!(asked(&first), 3);
    let file = bed.state().join("offers/full.catalog");
    let mode = std::fs::metadata(&file)
        .expect("it is stored")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    bed.configure(&format!("{CLOUDS}{DOWN}"));
    let second = bed.json(&["offers"]);
    assert_eq!(asked(&second), 0, "somebody was asked");
    assert_eq!(second["partial"], false);
    assert_eq!(shown(&second).len(), 16);

    let ran = bed.must(20, &["offers", "--refresh", "--json"]);
    let third: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(third["partial"], true);
    assert_eq!(third["matching"], 16, "the old part is gone");
    let of = |report: &Value, name: &str| {
        let sources = report["sources"].as_array().expect("sources").clone();
        sources
            .into_iter()
            .find(|s| s["provider"] == name)
            .expect("it is there")
    };
    assert_eq!(of(&third, "full")["read_at"], of(&first, "full")["read_at"]);
    assert_ne!(of(&third, "big")["read_at"], of(&first, "big")["read_at"]);
    assert_eq!(
        of(&third, "full")["troubles"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(
        ran.stderr.contains("what is shown of `full` was read"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_store_a_cloud_that_is_down_is_missing_and_that_is_said() {
    let bed = clouds(DOWN);
    let ran = bed.must(20, &["offers", "--json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["matching"], 14);
    let ran = bed.run(&["offers", "--provider", "full"]);
    assert_ne!(ran.status, Some(0));
    assert!(
        ran.stderr.contains("no catalog could be had"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_damaged_store_is_told_and_refresh_mends_it() {
    let bed = clouds("");
    bed.must(0, &["offers"]);
    let file = bed.state().join("offers/big.catalog");
    let mut bytes = std::fs::read(&file).expect("it is stored");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("it is writable");
    let ran = bed.must(20, &["offers"]);
    assert!(
        ran.stderr.contains("its checksum is wrong"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("offers --refresh"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("big.small"), "a part of it is shown");
    bed.must(0, &["offers", "--refresh"]);
    let ran = bed.must(0, &["offers"]);
    assert!(ran.stdout.contains("big.small"), "{}", ran.stdout);
}

#[test]
fn why_not_names_everything_that_speaks_against_an_offer() {
    let bed = clouds(
        "[pools.train]\ndesired = 0\nmax_price = \"$22/h\"\n\
         requirements = { gpu_model = \"H100:8\" }\n\
         candidates = [{ provider = \"big\", market = \"spot\" }]\n",
    );
    let why = |words: &[&str]| {
        let mut all = vec!["offers", "--why-not"];
        all.extend(words);
        let report = bed.json(&all);
        let list = report["why_not"].as_array().expect("a list").clone();
        list.iter()
            .map(|one| {
                let reasons = one["reasons"].as_array().expect("reasons");
                let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
                format!("{}: {}", of_line(&one["line"]), reasons.join("; "))
            })
            .collect::<Vec<_>>()
    };
    let told = why(&["gpu_8x_h100_sxm5", "--max-price", "20", "--region", "us-*"]);
    assert_eq!(
        told,
        [
            "tight eu-west-a gpu_8x_h100_sxm5 spot 8372000 no-quota: not in us-*; \
             quota `simulated gpus`: 0 of 4 gpus in use, it takes 8",
            "tight eu-west-a gpu_8x_h100_sxm5 on-demand 23920000 no-quota: not in us-*; \
             $23.92/h is above the limit $20.00/h; \
             quota `simulated gpus`: 0 of 4 gpus in use, it takes 8",
        ]
    );
    let told = why(&["big.*", "--pool", "train", "--region", "us-1"]);
    let find = |start: &str| {
        let found = told.iter().find(|line| line.starts_with(start));
        found
            .cloned()
            .unwrap_or_else(|| panic!("{start}: {told:#?}"))
    };
    assert!(
        find("big us-1a big.h100x8 spot").ends_with("unknown: "),
        "{told:#?}"
    );
    assert!(
        find("big us-1a big.h100x8 on-demand").contains("the pool: "),
        "{told:#?}"
    );
    assert!(
        find("big us-1a big.small spot").contains("no GPU, H100:8 wanted"),
        "{told:#?}"
    );
    let ran = bed.must(0, &["offers", "--why-not", "full.h100"]);
    assert!(
        ran.stdout
            .contains("the provider says it is sold out until"),
        "{}",
        ran.stdout
    );
    let ran = bed.run(&["offers", "--why-not", "big.h100x"]);
    assert!(
        ran.stderr.contains("nobody sells a type `big.h100x`"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("similar names: `big.h100x8`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_mark_of_a_refusal_shows_as_sold_out_until_it_ends() {
    let bed = Bed::new(
        "fleet = \"test\"\n[providers.cloud]\nkind = \"sim\"\nlatency = \"0s\"\n\
         boot_time = \"0s\"\nregions = [{ name = \"r\", zones = [\"a\"] }]\n\
         capacity = [{ instance_type = \"only\" }]\n\
         [[providers.cloud.types]]\nname = \"only\"\nvcpus = 1\nmemory_mib = 1024\n\
         price = \"$1/h\"\n\
         [pools.web]\ndesired = 1\ncandidates = [{ provider = \"cloud\", type = \"only\" }]\n",
    );
    bed.run(&["up", "--yes", "--timeout", "1s"]);
    let report = bed.json(&["offers", "--market", "on-demand"]);
    let line = &report["offers"][0];
    assert_eq!(line["offer"]["availability"]["is"], "sold-out", "{line}");
    assert!(line["offer"]["availability"]["until"].is_string(), "{line}");
    assert_eq!(report["sources"][0]["asked"], false, "planning stored it");
}

#[test]
fn own_prices_hold_in_offers_and_are_frozen_in_the_nodes() {
    let bed = Bed::new(
        "fleet = \"test\"\n[providers.one]\nkind = \"sim\"\nlatency = \"0s\"\nboot_time = \"0s\"\n\
         regions = [{ name = \"eu-1\", zones = [\"a\"] }]\n\
         [[providers.one.types]]\nname = \"small\"\nvcpus = 1\nmemory_mib = 1024\n\
         price = \"$1/h\"\n\
         [providers.two]\nkind = \"sim\"\nlatency = \"0s\"\nboot_time = \"0s\"\n\
         regions = [{ name = \"us-1\", zones = [\"a\"] }]\n\
         [[providers.two.types]]\nname = \"small\"\nvcpus = 1\nmemory_mib = 1024\n\
         price = \"$0.90/h\"\n\
         [pools.web]\ndesired = 3\nstrategy = \"cost\"\n\
         requirements = { vcpus = 1 }\n\
         [[prices]]\nprovider = \"one\"\nmarket = \"on-demand\"\nprice = \"$0.40/h\"\n\
         committed = 2\n\
         [[prices]]\nregion = \"eu-*\"\ndiscount_percent = 5\n",
    );
    let report = bed.json(&["offers", "--market", "on-demand"]);
    assert_eq!(
        shown(&report),
        [
            "one a small on-demand 400000 unknown",
            "two a small on-demand 900000 unknown"
        ]
    );
    let line = &report["offers"][0];
    assert_eq!(line["list_price"]["micros_per_hour"], 1_000_000);
    assert!(
        line["correction"]
            .as_str()
            .is_some_and(|text| text.contains("2 committed"))
    );

    bed.must(0, &["up", "--yes"]);
    let nodes = bed.json(&["nodes"]);
    let mut prices: Vec<u64> = nodes["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| node["price"]["micros_per_hour"].as_u64().expect("a price"))
        .collect();
    prices.sort_unstable();
    assert_eq!(prices, [400_000, 400_000, 900_000]);
    let report = bed.json(&["offers", "--market", "on-demand"]);
    assert_eq!(
        shown(&report),
        [
            "two a small on-demand 900000 unknown",
            "one a small on-demand 950000 unknown"
        ],
        "the commitment is used up"
    );
    let ran = bed.must(0, &["offers", "--market", "on-demand"]);
    assert!(ran.stdout.contains("LIST PRICE"), "{}", ran.stdout);
}

#[test]
fn what_is_not_understood_says_how_to_write_it() {
    let bed = clouds("");
    for (words, status, told) in [
        (vec!["--vcpus", "x"], 2, "`x` is not a number"),
        (vec!["--memory", "64"], 2, "is not an amount of memory"),
        (vec!["--gpu", "8x"], 2, "names no model"),
        (vec!["--gpu", "H100:many"], 2, "is not a number of GPUs"),
        (vec!["--max-price", "cheap"], 2, "is not a price"),
        (vec!["--market", "sopt"], 2, "known: `on-demand`, `spot`"),
        (vec!["--pool", "web"], 2, "--why-not"),
    ] {
        let mut all = vec!["offers"];
        all.extend(&words);
        let ran = bed.must(status, &all);
        assert!(ran.stderr.contains(told), "{words:?}: {}", ran.stderr);
    }
    for (words, told, hint) in [
        (
            vec!["--gpu", "H1000"],
            "no GPU is known as `H1000`",
            "`H100`",
        ),
        (
            vec!["--provider", "bigg"],
            "no provider is named `bigg`",
            "did you mean `big`?",
        ),
        (
            vec!["--why-not", "big.small", "--pool", "webb"],
            "no pool is named `webb`",
            "",
        ),
    ] {
        let mut all = vec!["offers"];
        all.extend(&words);
        let ran = bed.run(&all);
        assert_ne!(ran.status, Some(0));
        assert!(ran.stderr.contains(told), "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn wrong_price_rules_are_told_with_line_and_key() {
    for (rule, told, line) in [
        (
            "provider = \"on\"\nprice = \"$1\"",
            "no provider is named `on`",
            5,
        ),
        ("price = \"$1\"", "does not say which offers it is for", 4),
        ("type = \"a\"", "says no price", 4),
        (
            "type = \"a\"\nprice = \"$1\"\ndiscount_percent = 3",
            "says two prices",
            6,
        ),
        (
            "type = \"a\"\nprice = \"cheap\"",
            "is not a price per hour",
            6,
        ),
        ("type = \"a\"\ndiscount_percent = 0", "between 1 and 100", 6),
        ("type = \"a\"\ndiscount = 3", "unknown key `discount`", 6),
    ] {
        let bed = Bed::new(&format!(
            "[providers.one]\nkind = \"sim\"\n\n[[prices]]\n{rule}\n"
        ));
        let ran = bed.must(3, &["validate"]);
        assert!(ran.stderr.contains(told), "{rule}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("fleetwright.toml:{line}:")),
            "{rule}: {}",
            ran.stderr
        );
    }
}
