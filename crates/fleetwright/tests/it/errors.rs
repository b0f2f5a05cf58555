//! Bad input: message, place and hint of each, as the reader sees them.

use std::path::Path;

use fleetwright::Environment;
use fleetwright::config::{Loaded, Problems, render};
use fleetwright::core::{Error, Kind};
use fleetwright::providers::KINDS;

fn refused(text: &str) -> Error {
    let error = Loaded::from_text(
        "fleetwright.toml",
        text,
        &Environment::default(),
        Path::new("/nonexistent"),
    )
    .map(|loaded| loaded.to_string())
    .expect_err("the text must be refused");
    assert_eq!(error.kind(), Kind::Config);
    error
}

/// The list of kinds as messages show it: a new kind changes no snapshot.
fn kinds() -> String {
    let kinds = KINDS.iter().map(|kind| format!("`{}`", kind.kind));
    kinds.collect::<Vec<_>>().join(", ")
}

fn shown(text: &str) -> String {
    render(&refused(text))
        .expect("an error about a file is rendered with its place")
        .replace(&kinds(), "[every kind]")
}

/// A file that is good but for `pool`, the lines of its only pool.
fn with_pool(pool: &str) -> String {
    format!("[providers.here]\nkind = 'local'\n[pools.web]\n{pool}\n")
}

macro_rules! refusals {
    ($($name:ident: $text:expr;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(shown(&$text));
        }
    )+};
}

refusals! {
    an_unknown_key_gets_a_suggestion: with_pool("desird = 3");
    an_unknown_key_at_the_top_level: "flet = 'a'\n[providers.here]\nkind = 'local'\n";
    a_key_of_another_table_says_where_it_belongs: with_pool("desired = 1\ntype = 'small'");
    an_unknown_key_without_a_likeness_lists_the_known_ones:
        "[safety]\nbrakes = true\n[providers.here]\nkind = 'local'\n";
    an_unknown_key_in_a_provider: "[providers.here]\nkind = 'local'\nmax_node = 3\n";
    an_unknown_key_deep_in_a_provider:
        "[providers.c]\nkind = 'sim'\n[[providers.c.regions]]\nname = 'a'\nzone = ['a']\n";
    a_pool_that_is_scaled_needs_a_bound:
        with_pool("desired = 1\n[pools.web.scaling]\npolicy = { queue = { signal = 'jobs', per_node = 1 } }");
    an_unknown_policy:
        with_pool("desired = 1\nmax = 2\n[pools.web.scaling]\npolicy = { quee = { signal = 'jobs' } }");
    a_mistyped_key_of_a_policy:
        with_pool("desired = 1\nmax = 2\n[pools.web.scaling]\npolicy = { queue = { signal = 'jobs', pernode = 4 } }");
    a_negative_threshold: with_pool(
        "desired = 1\nmax = 2\n[pools.web.scaling]\n\
         policy = { reactive = { signal = 'load', above = 80, below = -1 } }");
    a_time_zone_that_there_is_not: with_pool(
        "desired = 1\nmax = 2\n[pools.web.scaling.policy.schedule]\ntime_zone = 'Europe/Berln'\n\
         entries = [{ from = '08:00', to = '18:00', size = 3 }]");
    a_time_of_day_that_is_none: with_pool(
        "desired = 1\nmax = 2\n[pools.web.scaling.policy.schedule]\ntime_zone = 'Europe/Berlin'\n\
         entries = [{ from = '8:00', to = '18:00', size = 3 }]");
    everything_wrong_with_scaling: with_pool(
        "desired = 1\nmin = 9\nmax = 2\nlimits = { idle_after = '1h' }\n\
         [pools.web.scaling]\nevery = '0s'\nstale_after = '0s'\nmax_step = { up = 1, down = 0 }\n\
         policy = { composite = { combine = 'max', of = [\n\
         { reactive = { signal = 'load', above = 20, below = 80, up = 0 } },\n\
         { queue = { signal = 'The Queue', per_node = 0 } },\n\
         { predictive = { signal = 'load', per_node = 1, window = '0s', ahead = '1000h' } },\n\
         { schedule = { time_zone = 'UTC', entries = [] } },\n\
         { composite = { combine = 'min', of = [] } },\n\
         ] } }\n\
         signals.laod = { nodes = 'load' }\n\
         signals.load = { nodes = 'load', prometheus = { url = 'prometheus:9090', query = ' ' } }");
    an_unknown_kind_lists_the_known_ones: "[providers.here]\nkind = 'gcp'\n";
    an_unknown_kind_gets_a_suggestion: "[providers.here]\nkind = 'locl'\n";
    a_missing_kind: "[providers.here]\nmax_nodes = 3\n";
    a_kind_that_is_no_string: "[providers.here]\nkind = 3\n";
    a_provider_that_is_no_table: "[providers]\nhere = 'local'\n";
    pools_that_are_no_table: "pools = 3\n[providers.here]\nkind = 'local'\n";
    no_provider_at_all: "fleet = 'a'\n";
    a_number_in_quotes: with_pool("desired = '3'");
    a_string_without_quotes: with_pool("desired = 1\nimage = 20");
    a_negative_number: with_pool("desired = -1");
    a_number_that_is_too_great: with_pool("desired = 5_000_000_000");
    a_list_without_brackets: with_pool("desired = 1\nssh_keys = 'ssh-ed25519 AAAA'");
    a_percentage_above_100:
        "[safety]\nmax_removal_percent = 120\n[providers.here]\nkind = 'local'\n";
    an_unknown_strategy: with_pool("desired = 1\nstrategy = 'cheapest'");
    a_misspelled_strategy_in_a_list: with_pool("desired = 1\nstrategy = ['availability', 'cots']");
    a_strategy_that_is_a_number: with_pool("desired = 1\nstrategy = 3");
    a_spread_over_what_is_not_there:
        with_pool("desired = 1\nstrategy = [{ spread = 'racks' }, 'cost']");
    a_parameter_that_spread_does_not_have:
        with_pool("desired = 1\nstrategy = { spread = 'zones', skew = 2 }");
    a_skew_of_nothing: with_pool("desired = 1\nstrategy = { spread = 'zones', max_skew = 0 }");
    a_strategy_that_is_named_twice: with_pool("desired = 1\nstrategy = ['cost', 'cost']");
    no_strategy_in_a_list: with_pool("desired = 1\nstrategy = []");
    more_than_may_be: with_pool("desired = 5\nmax = 3");
    fewer_than_must_be: with_pool("desired = 1\nmin = 2");
    bounds_that_cross: with_pool("desired = 3\nmin = 4\nmax = 2");
    requirements_that_cross: with_pool("desired = 1\nrequirements = { vcpus = 8, max_vcpus = 4 }");
    zones_given_twice:
        with_pool("desired = 1\ncandidates = [{ provider = 'here', zone = 'a', zones = ['b'] }]");
    a_market_beside_mixed_ones: with_pool(
        "desired = 1\nmarkets = { spot_percent = 50 }\n\
         candidates = [{ provider = 'here', market = 'spot' }]");
    a_share_above_100: with_pool("desired = 1\nmarkets = { spot_percent = 120 }");
    an_unknown_way_out_when_spot_is_sold_out:
        with_pool("desired = 1\nmarkets = { spot_percent = 50, spot_sold_out = 'panic' }");
    turns_that_nobody_has: with_pool(
        "desired = 1\nstrategy = 'round-robin'\ncandidates = [{ provider = 'here', weight = 0 }]");
    a_misspelled_market:
        with_pool("desired = 1\ncandidates = [{ provider = 'here', market = 'spott' }]");
    a_duration_without_a_unit: with_pool("desired = 1\nlimits = { boot = 90 }");
    a_duration_that_is_none: with_pool("desired = 1\nlimits.boot = 'soon'");
    a_duration_of_nothing: with_pool("desired = 1\nlimits.boot = '0s'");
    a_bad_price: with_pool("desired = 1\nmax_price = '10 cents'");
    a_price_without_quotes: with_pool("desired = 1\nmax_price = 0.25");
    a_missing_key: with_pool("image = 'x'");
    a_candidate_without_a_provider: with_pool("desired = 1\ncandidates = [{ type = 'small' }]");
    a_candidate_of_an_unknown_provider:
        with_pool("desired = 1\ncandidates = [{ provider = 'there' }]");
    a_key_that_is_defined_twice: with_pool("desired = 1\ndesired = 2");
    a_table_that_is_defined_twice: with_pool("desired = 1\n[pools.web]\ndesired = 2\nimage = 'x'");
    a_name_that_no_cloud_takes: "[providers.Here]\nkind = 'local'\n[pools.web_1]\ndesired = 1\n";
    a_fleet_name_that_no_cloud_takes: "fleet = 'My Fleet'\n[providers.here]\nkind = 'local'\n";
    an_owner_that_cannot_be_a_label: "owner = 'Ada L.'\n[providers.here]\nkind = 'local'\n";
    a_label_that_is_ours: with_pool("desired = 1\nlabels = { fleetwright-pool = 'x' }");
    a_label_that_no_cloud_takes: with_pool("desired = 1\nlabels = { Team = 'web', a = 'B' }");
    user_data_of_neither_form: with_pool("desired = 1\nuser_data = 'echo hello'");
    user_data_given_twice:
        with_pool("desired = 1\nuser_data = '#!/bin/sh'\nuser_data_file = 'boot.sh'");
    a_user_data_file_that_is_not_there: with_pool("desired = 1\nuser_data_file = 'boot.sh'");
    a_path_instead_of_a_public_key: with_pool("desired = 1\nssh_keys = ['~/.ssh/id_ed25519.pub']");
    a_private_key_instead_of_a_public_one:
        with_pool("desired = 1\nssh_keys = ['-----BEGIN OPENSSH PRIVATE KEY-----']");
    a_private_key_file_that_is_not_there:
        "[ssh]\nidentities = ['id_rsa']\n[providers.here]\nkind = 'local'\n";
    no_time_to_connect: "[ssh]\nconnect_timeout = '0s'\n[providers.here]\nkind = 'local'\n";
    a_value_that_is_missing: with_pool("desired =");
    a_string_that_does_not_end: with_pool("desired = 1\nimage = \"ubuntu");
    a_provider_that_contradicts_itself: "[providers.here]\nkind = 'local'\nmax_nodes = 0\n";
    a_simulated_cloud_without_a_zone:
        "[providers.c]\nkind = 'sim'\nregions = [{ name = 'a', zones = [] }]\n";
    a_price_of_a_simulated_type:
        "[providers.c]\nkind = 'sim'\n[[providers.c.types]]\nname = 'a'\nvcpus = 1\nmemory_mib = 1\nprice = 'much'\n";
    everything_that_is_wrong_is_told_at_once: "\
fleet = 'lab'
[providers.here]
kind = 'local'
max_node = 3
[providers.cloud]
kind = 'sim'
latency = 20
[pools.web]
desird = 3
strategy = 'cheap'
candidates = [{ provider = 'hre' }, { provider = 'cloud', typ = 'x' }]
[pools.worker]
desired = 1
candidates = [{ provider = 'hre' }]
max_price = 'cheap'
limits = { boot = 'soon', drain = 5 }
";
}

#[test]
fn one_problem_is_an_error_with_file_line_column_and_key() {
    let error = refused(&with_pool("desired = 1\nstrategy = 'cheapest'"));
    let context: Vec<_> = error.context().collect();
    assert_eq!(
        context,
        [
            ("file", "fleetwright.toml"),
            ("line", "5"),
            ("column", "12"),
            ("key", "pools.web.strategy"),
        ]
    );
    assert_eq!(
        error.to_string(),
        "`cheapest` is not a value of `pools.web.strategy`"
    );
}

#[test]
fn several_problems_are_one_error_that_counts_them_and_keeps_each() {
    let error = refused(&with_pool("desired = 'x'\nstrategy = 'y'"));
    assert_eq!(error.to_string(), "`fleetwright.toml` has 2 problems");
    let source = std::error::Error::source(&error).expect("the list is the source");
    let problems = source.downcast_ref::<Problems>().expect("of this type");
    let keys: Vec<_> = problems
        .errors()
        .map(|error| error.context().last().map(|(_, key)| key.to_owned()))
        .collect();
    assert_eq!(
        keys,
        [
            Some("pools.web.desired".to_owned()),
            Some("pools.web.strategy".to_owned())
        ]
    );
}

#[test]
fn an_error_of_another_origin_is_not_rendered_as_one_of_a_file() {
    assert_eq!(render(&Error::new(Kind::Capacity, "sold out")), None);
}
