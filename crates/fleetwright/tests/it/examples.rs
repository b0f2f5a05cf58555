//! Every configuration that we show must be one that works.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::config::{BUILT_IN, Loaded, render};
use fleetwright::core::{Market, Span, Strategy};
use fleetwright::{Environment, init};

/// Name and text of each example, template and of the built-in configuration.
pub(crate) fn all() -> Vec<(String, String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).expect("there are examples") {
        let path = entry.expect("readable").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).expect("readable");
            all.push((path.display().to_string(), text, folder.clone()));
        }
    }
    assert!(all.len() >= 3, "examples are missing");
    for template in init::TEMPLATES {
        all.push((
            template.name.to_owned(),
            template.text.to_owned(),
            folder.clone(),
        ));
    }
    all.push(("built-in".to_owned(), BUILT_IN.to_owned(), folder));
    all
}

pub(crate) fn load(name: &str, text: &str, folder: &Path) -> Loaded {
    Loaded::from_text(name, text, &Environment::default(), folder)
        .unwrap_or_else(|error| panic!("{name}:\n{}", render(&error).unwrap_or_default()))
}

#[test]
fn every_example_and_template_can_be_used_as_it_is() {
    for (name, text, folder) in all() {
        let config = load(&name, &text, &folder).config;
        assert!(!config.pools.is_empty(), "{name} wants nothing");
    }
}

#[test]
fn the_commented_lines_of_a_template_are_right_too() {
    for template in init::TEMPLATES {
        // A comment that looks like a setting is one; prose has no ` = ` and no bracket first.
        let lines: Vec<&str> = template
            .text
            .lines()
            .filter_map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.contains(" = ") => Some(rest),
                Some(_) => None,
                None => Some(line),
            })
            // These name files that are not here.
            .filter(|line| !line.starts_with("user_data_file") && !line.starts_with("identities"))
            .collect();
        load(template.name, &lines.join("\n"), Path::new("."));
    }
}

#[test]
fn the_built_in_fleet_is_three_small_nodes_on_this_machine() {
    let config = load("built-in", BUILT_IN, Path::new(".")).config;
    assert_eq!(config.fleet, "default");
    let kinds: Vec<_> = config.providers.values().map(|entry| entry.kind).collect();
    assert_eq!(kinds, ["local"]);
    let pool = &config.pools["local"];
    assert_eq!(pool.desired, 3);
    assert_eq!(pool.candidates[0].instance_type.as_deref(), Some("small"));
}

#[test]
fn what_an_example_says_is_what_is_read() {
    let (name, text, folder) = all()
        .into_iter()
        .find(|(name, ..)| name.ends_with("sim-regions-spot.toml"))
        .expect("the example is there");
    let config = load(&name, &text, &folder).config;
    assert_eq!(
        (config.fleet.as_str(), config.owner.as_deref()),
        ("render", Some("studio"))
    );
    assert_eq!(config.safety.max_removal_percent, 50);
    assert_eq!(config.safety.age_floor, Span::minutes(1));
    let frames = &config.pools["frames"];
    let markets: Vec<_> = frames.candidates.iter().map(|c| c.market).collect();
    assert_eq!(markets, [Market::Spot, Market::Spot, Market::OnDemand]);
    let denoise = &config.pools["denoise"];
    assert_eq!(denoise.strategy, Strategy::Cost);
    assert_eq!(denoise.requirements.gpus, Some(1));
}

#[test]
fn templates_have_different_names() {
    let names: BTreeSet<_> = init::TEMPLATES
        .iter()
        .map(|template| template.name)
        .collect();
    assert_eq!(names.len(), init::TEMPLATES.len());
    assert!(init::template("local").is_some());
    assert!(init::template("moon").is_none());
}
