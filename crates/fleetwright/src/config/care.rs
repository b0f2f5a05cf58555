//! Checks what is said about health, hooks and notifications.

use std::collections::BTreeSet;

use fleetwright_core::{Health, Hooks, Webhook, check_name, glob};

use super::source::Problem;
use super::suggest;

/// Names that a notification can be chosen by.
const EVENTS: [&str; 6] = [
    "drift-opened",
    "drift-resolved",
    "unhealthy-opened",
    "unhealthy-resolved",
    "unreachable-opened",
    "unreachable-resolved",
];

/// What is wrong with health and hooks, with the keys below the table of their group.
pub(super) fn problems(health: &Health, hooks: &Hooks) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    let mut report = |key: &str, text: String| found.push((key.to_owned(), Problem::new(text)));
    for (key, value) in [
        ("health.failures", health.failures),
        ("health.successes", health.successes),
    ] {
        if value == 0 {
            report(key, format!("`{key}` must be at least 1"));
        }
    }
    let mut names = BTreeSet::new();
    for (at, probe) in health.probes.iter().enumerate() {
        let key = format!("health.probes[{at}]");
        if !names.insert(probe.name.as_str()) {
            report(
                &format!("{key}.name"),
                format!("there are two probes of the name `{}`", probe.name),
            );
        }
        for (below, text) in [("name", &probe.name), ("command", &probe.command)] {
            if text.trim().is_empty() {
                report(&format!("{key}.{below}"), format!("`{below}` is empty"));
            }
        }
        if probe.timeout.0.as_secs() == 0 {
            report(
                &format!("{key}.timeout"),
                "`timeout` must be at least 1s".to_owned(),
            );
        }
    }
    if health.heartbeat.is_some_and(|every| every.0.as_secs() == 0) {
        report(
            "health.heartbeat",
            "`health.heartbeat` must be at least 1s".to_owned(),
        );
    }
    if let Some(file) = &health.heartbeat_file {
        if health.heartbeat.is_none() {
            report(
                "health.heartbeat_file",
                "`heartbeat_file` needs `heartbeat`: how often the file is touched".to_owned(),
            );
        }
        if !file.starts_with('/') {
            report(
                "health.heartbeat_file",
                format!("`{file}` is no absolute path"),
            );
        }
    }
    if let Some(gpu) = &health.gpu {
        let mut seen = BTreeSet::new();
        for (list, codes) in [
            ("fatal", &gpu.fatal),
            ("recoverable", &gpu.recoverable),
            ("ignored", &gpu.ignored),
        ] {
            for code in codes {
                if !seen.insert(code) {
                    report(
                        &format!("health.gpu.{list}"),
                        format!("the XID code {code} is listed twice"),
                    );
                }
            }
        }
    }
    for (name, hook) in [
        ("cordon", &hooks.cordon),
        ("drain", &hooks.drain),
        ("uncordon", &hooks.uncordon),
    ] {
        let Some(hook) = hook else { continue };
        if hook.run.trim().is_empty() {
            report(&format!("hooks.{name}.run"), "`run` is empty".to_owned());
        }
        if hook.timeout.0.is_zero() {
            report(
                &format!("hooks.{name}.timeout"),
                "`timeout` must be more than 0s".to_owned(),
            );
        }
    }
    found
}

/// What is wrong with notifications, with their full keys.
pub(super) fn notification_problems(webhooks: &[Webhook]) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (at, webhook) in webhooks.iter().enumerate() {
        let key = format!("notifications[{at}]");
        if let Err(error) = check_name("notification", &webhook.name) {
            found.push((format!("{key}.name"), Problem::from_error(&error)));
        }
        if !names.insert(webhook.name.as_str()) {
            let text = format!("there are two notifications of the name `{}`", webhook.name);
            found.push((format!("{key}.name"), Problem::new(text)));
        }
        if webhook.timeout.0.is_zero() {
            let text = "`timeout` must be more than 0s";
            found.push((format!("{key}.timeout"), Problem::new(text)));
        }
        for (at, pattern) in webhook.events.iter().enumerate() {
            if EVENTS.iter().any(|event| glob(pattern, event)) {
                continue;
            }
            found.push((
                format!("{key}.events[{at}]"),
                Problem {
                    hint: suggest::hint(pattern, "events", EVENTS),
                    ..Problem::new(format!("no event matches `{pattern}`"))
                },
            ));
        }
    }
    found
}
