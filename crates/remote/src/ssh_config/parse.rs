//! From lines to settings under conditions.

use std::fs;
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use super::tokens::expand_tilde;
use super::{Block, Condition, Setting, SshConfig};
use crate::files;
use crate::pattern;

/// How deep files may include files, as in OpenSSH.
const INCLUDE_DEPTH: usize = 16;

impl SshConfig {
    pub(super) fn add(
        &mut self,
        path: &Path,
        text: &str,
        outer: &[Condition],
        depth: usize,
    ) -> Result<()> {
        let mut conditions = outer.to_vec();
        self.open(&conditions);
        for (index, line) in text.lines().enumerate() {
            let at = || format!("`{}` line {}", path.display(), index + 1);
            let wrong = |what: String| Error::new(Kind::Config, format!("{}: {what}", at()));
            let words = split(line).ok_or_else(|| wrong("a quote is not closed".to_owned()))?;
            let Some((keyword, values)) = words.split_first() else {
                continue;
            };
            let keyword = keyword.to_lowercase();
            let value = || {
                values
                    .first()
                    .cloned()
                    .ok_or_else(|| wrong(format!("`{keyword}` has no value")))
            };
            let setting = match keyword.as_str() {
                "host" => {
                    value()?;
                    conditions = outer.to_vec();
                    conditions.push(Condition::Asked(values.to_vec()));
                    self.open(&conditions);
                    continue;
                }
                "match" => {
                    value()?;
                    conditions = outer.to_vec();
                    conditions.extend(criteria(values));
                    self.open(&conditions);
                    continue;
                }
                "include" => {
                    value()?;
                    if depth >= INCLUDE_DEPTH {
                        return Err(wrong(format!(
                            "`include` is nested more than {INCLUDE_DEPTH} deep"
                        )));
                    }
                    let files: Vec<PathBuf> = values
                        .iter()
                        .flat_map(|value| self.included(path, value))
                        .collect();
                    for file in files {
                        if let Some(text) = files::read(&file)? {
                            self.add(&file, &text, &conditions, depth + 1)?;
                        }
                    }
                    self.open(&conditions);
                    continue;
                }
                "hostname" => Setting::HostName(value()?),
                "user" => Setting::User(value()?),
                "port" => {
                    let text = value()?;
                    match text.parse() {
                        Ok(port) if port > 0 => Setting::Port(port),
                        _ => return Err(wrong(format!("`{text}` is not a port"))),
                    }
                }
                "identityfile" => Setting::IdentityFile(value()?),
                "identitiesonly" => Setting::IdentitiesOnly(match value()?.as_str() {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    other => return Err(wrong(format!("`{other}` is neither `yes` nor `no`"))),
                }),
                "proxyjump" => Setting::ProxyJump(value()?),
                "proxycommand" => {
                    value()?;
                    Setting::ProxyCommand(values.join(" "))
                }
                _ => continue,
            };
            self.blocks
                .last_mut()
                .expect("a block was opened before the first line")
                .settings
                .push(setting);
        }
        Ok(())
    }

    fn open(&mut self, conditions: &[Condition]) {
        self.blocks.push(Block {
            conditions: conditions.to_vec(),
            settings: Vec::new(),
        });
    }

    /// The files an `Include` means, sorted by name. Wildcards are allowed in the last part.
    fn included(&self, from: &Path, value: &str) -> Vec<PathBuf> {
        let path = expand_tilde(value, self.home.as_deref());
        let path = from
            .parent()
            .map_or_else(|| path.clone(), |folder| folder.join(&path));
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Vec::new();
        };
        if !pattern::is_pattern(name) {
            return vec![path];
        }
        // No such folder is no file, as for a shell.
        let Some(Ok(entries)) = path.parent().map(fs::read_dir) else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(std::result::Result::ok)
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|entry| {
                    (!entry.starts_with('.') || name.starts_with('.'))
                        && pattern::matches(name, entry)
                })
            })
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        found.sort();
        found
    }
}

/// The criteria of a `Match` line as conditions.
fn criteria(words: &[String]) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let list = |value: Option<&String>| -> Option<Vec<String>> {
            value.map(|value| value.split(',').map(str::to_owned).collect())
        };
        let condition = match word.to_lowercase().as_str() {
            "all" => continue,
            "host" => list(words.next()).map(Condition::Resolved),
            "originalhost" => list(words.next()).map(Condition::Asked),
            _ => None,
        };
        match condition {
            Some(condition) => conditions.push(condition),
            // One criterion that is not understood is enough: all must hold.
            None => return vec![Condition::Never],
        }
    }
    conditions
}

/// The words of a line: separated by blanks, or after the keyword by `=`; quoted where they hold
/// blanks; up to `#`. `None` if a quote is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = line.trim().chars().peekable();
    loop {
        let mut has_equals = false;
        while let Some(&c) = chars.peek() {
            if c == '=' && words.len() == 1 && !has_equals {
                has_equals = true;
            } else if !c.is_whitespace() {
                break;
            }
            chars.next();
        }
        match chars.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote: Option<char> = None;
        while let Some(&c) = chars.peek() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (_, '\\') => {
                    chars.next();
                    match chars.peek() {
                        Some(&next @ ('"' | '\'' | '\\')) => word.push(next),
                        Some(&' ') if quote.is_none() => word.push(' '),
                        _ => {
                            word.push('\\');
                            continue;
                        }
                    }
                }
                (None, c) if c.is_whitespace() || (c == '=' && words.is_empty()) => break,
                (_, c) => word.push(c),
            }
            chars.next();
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_openssh_splits_them() {
        let words = |line: &str| split(line).map(|words| words.join("|"));
        assert_eq!(words("Host a b"), Some("Host|a|b".to_owned()));
        assert_eq!(words("  Port=22"), Some("Port|22".to_owned()));
        assert_eq!(words("Port = 22"), Some("Port|22".to_owned()));
        assert_eq!(words("User \"a b\" # c"), Some("User|a b".to_owned()));
        assert_eq!(words("User a#b"), Some("User|a#b".to_owned()));
        assert_eq!(words("# all"), Some(String::new()));
        assert_eq!(words("User a=b"), Some("User|a=b".to_owned()));
        assert_eq!(words("User \"a"), None);
    }
}
