//! Checks what the probes of a pool or of targets say.

use std::collections::BTreeSet;

use fleetwright_core::{
    Check, CommandCheck, FileCheck, NixCheck, NixCompare, PackageCheck, Probe, check_name,
};

use super::source::Problem;

/// What is wrong, with the keys below the table that the probes belong to.
pub(super) fn problems(probes: &[Probe]) -> Vec<(String, Problem)> {
    let mut found = Found(Vec::new());
    let mut names = BTreeSet::new();
    for (at, probe) in probes.iter().enumerate() {
        let key = format!("probes[{at}]");
        if let Err(error) = check_name("probe", &probe.name) {
            found.report(format!("{key}.name"), Problem::from_error(&error));
        } else if !names.insert(&probe.name) {
            found.report(
                format!("{key}.name"),
                Problem::new(format!("a second probe is named `{}`", probe.name))
                    .with_hint("findings are told apart by the names of their probes"),
            );
        }
        if probe.timeout.0.is_zero() {
            found.report(
                format!("{key}.timeout"),
                Problem::new("`timeout` must be more than 0s"),
            );
        }
        let below = format!("{key}.check.{}", probe.check.as_str());
        match &probe.check {
            Check::Nix(check) => found.nix(check, &below),
            Check::Command(check) => found.command(check, &below),
            Check::File(check) => found.file(check, &below),
            Check::Package(check) => found.package(check, &below),
        }
    }
    found.0
}

struct Found(Vec<(String, Problem)>);

impl Found {
    fn report(&mut self, key: impl Into<String>, problem: Problem) {
        self.0.push((key.into(), problem));
    }

    fn nix(&mut self, check: &NixCheck, key: &str) {
        let given = [
            ("path", check.path.is_some()),
            ("file", check.file.is_some()),
            ("flake", check.flake.is_some()),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| *name)
            .collect();
        match given[..] {
            [_] => {}
            [] => self.report(
                key,
                Problem::new("nothing says which store path is expected")
                    .with_hint("give `path`, `file` or `flake`"),
            ),
            [_, second, ..] => self.report(
                format!("{key}.{second}"),
                Problem::new("the expected store path is given twice")
                    .with_hint("keep one of `path`, `file` and `flake`"),
            ),
        }
        if check.attribute.is_some() && check.file.is_none() {
            self.report(
                format!("{key}.attribute"),
                Problem::new("`attribute` is one of `file`, and there is no `file`")
                    .with_hint("a flake output is named behind its `#`: `.#system`"),
            );
        }
        if let Some(path) = &check.path {
            self.absolute(path, &format!("{key}.path"), "a store path");
            let depth = path.trim_end_matches('/').matches('/').count();
            if check.compare == NixCompare::Path && path.starts_with("/nix/store/") && depth != 3 {
                self.report(
                    format!("{key}.path"),
                    Problem::new("this is not a store path, but something above or inside one")
                        .with_hint("a profile points to `/nix/store/<hash>-<name>`"),
                );
            }
        }
        for (name, text) in [("file", &check.file), ("flake", &check.flake)] {
            if text
                .as_deref()
                .is_some_and(|text| text.is_empty() || text.starts_with('-'))
            {
                let problem = Problem::new(format!("`{name}` is empty or begins with `-`"));
                self.report(format!("{key}.{name}"), problem);
            }
        }
        if let Some(profile) = &check.profile {
            self.absolute(profile, &format!("{key}.profile"), "a profile");
        }
    }

    fn command(&mut self, check: &CommandCheck, key: &str) {
        if check.run.trim().is_empty() {
            self.report(format!("{key}.run"), Problem::new("the command is empty"));
        }
        let given = [
            ("output", check.output.is_some()),
            ("sha256", check.sha256.is_some()),
            ("expect_from", check.expect_from.is_some()),
        ];
        self.at_most_one(&given, key, "the expected output");
        self.hash(check.sha256.as_deref(), key);
        if check.status > 255 {
            self.report(
                format!("{key}.status"),
                Problem::new(format!("no command ends with status {}", check.status))
                    .with_hint("a status is a number from 0 to 255"),
            );
        }
    }

    fn file(&mut self, check: &FileCheck, key: &str) {
        self.absolute(&check.path, &format!("{key}.path"), "a file");
        let given = [
            ("content", check.content.is_some()),
            ("source", check.source.is_some()),
            ("sha256", check.sha256.is_some()),
        ];
        self.at_most_one(&given, key, "the expected content");
        self.hash(check.sha256.as_deref(), key);
        if check.source.as_deref() == Some("") {
            self.report(format!("{key}.source"), Problem::new("`source` is empty"));
        }
        if let Some(mode) = &check.mode {
            let is_mode = (3..=4).contains(&mode.len())
                && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
            if !is_mode {
                self.report(
                    format!("{key}.mode"),
                    Problem::new(format!("`{mode}` is no mode"))
                        .with_hint("write three or four octal digits: `0644`"),
                );
            }
        }
        if let Some(owner) = &check.owner {
            let is_one = |name: &str| {
                !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == ':')
            };
            let is_owner = match owner.split_once(':') {
                Some((user, group)) => is_one(user) && is_one(group),
                None => is_one(owner),
            };
            if !is_owner {
                self.report(
                    format!("{key}.owner"),
                    Problem::new(format!("`{owner}` is no owner"))
                        .with_hint("write `user` or `user:group`, by name or by number"),
                );
            }
        }
        let also = given.iter().any(|(_, is)| *is) || check.mode.is_some() || check.owner.is_some();
        if check.absent && also {
            self.report(
                format!("{key}.absent"),
                Problem::new("a file that must not exist has neither content, mode nor owner"),
            );
        }
    }

    fn package(&mut self, check: &PackageCheck, key: &str) {
        // `dpkg-query` takes patterns; a name must not be one.
        let is_name = check.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && check
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-._:".contains(c));
        if !is_name {
            self.report(
                format!("{key}.name"),
                Problem::new(format!("`{}` is no name of a package", check.name)),
            );
        }
        if check.version.as_deref() == Some("") {
            self.report(
                format!("{key}.version"),
                Problem::new("`version` is empty").with_hint("leave it out for any version"),
            );
        }
        if check.absent && check.version.is_some() {
            self.report(
                format!("{key}.version"),
                Problem::new("a package that must not be installed has no version"),
            );
        }
    }

    fn at_most_one(&mut self, given: &[(&str, bool)], key: &str, what: &str) {
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        let mut twice = given.iter().filter(|(_, is)| *is).skip(1);
        if let Some((second, _)) = twice.next() {
            self.report(
                format!("{key}.{second}"),
                Problem::new(format!("{what} is given twice"))
                    .with_hint(format!("keep one of `{}`", names.join("`, `"))),
            );
        }
    }

    fn hash(&mut self, hash: Option<&str>, key: &str) {
        let is_hash =
            |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hash.is_some_and(|hash| !is_hash(hash)) {
            self.report(
                format!("{key}.sha256"),
                Problem::new("this is no SHA-256: it has 64 hexadecimal digits")
                    .with_hint("`sha256sum` prints it"),
            );
        }
    }

    fn absolute(&mut self, path: &str, key: &str, what: &str) {
        if !path.starts_with('/') || path.contains(['\n', '\0']) {
            self.report(
                key,
                Problem::new(format!("`{path}` is not the absolute path of {what}"))
                    .with_hint("it is a path on the machine, so it begins with `/`"),
            );
        }
    }
}
