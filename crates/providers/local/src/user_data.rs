//! What may be given to a node to do at its first boot: a script, or a part of cloud-config.
//!
//! Read twice: before anything is made, so that a mistake is refused with its name, and by the
//! node itself. Nothing in a document is silently ignored; a key that we do not act on is an
//! error.

use std::path::{Component, Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};
use serde_yaml_ng::{Mapping, Value};

/// Longest user data, in bytes.
pub(crate) const LIMIT: usize = 1 << 20;

const SUPPORTED: &str =
    "supported: `write_files` (`path`, `content`, `permissions`, `encoding`) and `runcmd`";

/// User data, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserData {
    /// Run as it is: its first line names the interpreter.
    Script,
    /// Files, then commands.
    CloudConfig(CloudConfig),
}

/// The part of cloud-config that a local node knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CloudConfig {
    /// Written first, in order.
    pub(crate) files: Vec<NewFile>,
    /// Run afterwards, in order, all of them.
    pub(crate) commands: Vec<BootCommand>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Relative to the node's home.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) content: Vec<u8>,
    /// Its permission bits.
    pub(crate) mode: u32,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BootCommand {
    /// A line for the shell.
    Line(String),
    /// A program and its arguments, without a shell. Never empty.
    Words(Vec<String>),
}

// === impl UserData ===

impl UserData {
    /// Understands user data.
    ///
    /// # Errors
    /// `Invalid`, naming what is not supported or too long.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.len() > LIMIT {
            return Err(invalid(format!(
                "the user data has {} bytes, and at most {LIMIT} are allowed",
                text.len()
            ))
            .with_hint("let the script fetch what is large"));
        }
        if text.starts_with("#!") {
            return Ok(Self::Script);
        }
        let first = text.lines().next().unwrap_or("");
        if first.trim_end() == "#cloud-config" {
            return CloudConfig::parse(text).map(Self::CloudConfig);
        }
        Err(
            invalid("the user data is neither a script nor a cloud-config document").with_hint(
                "its first line must be `#!` and an interpreter, such as `#!/bin/sh`, or \
                 `#cloud-config`",
            ),
        )
    }
}

// === impl CloudConfig ===

impl CloudConfig {
    fn parse(text: &str) -> Result<Self> {
        let document: Value = serde_yaml_ng::from_str(text).map_err(|error| {
            invalid("the cloud-config user data is not valid YAML").with_source(error)
        })?;
        let mut config = Self::default();
        let mapping = match document {
            Value::Null => return Ok(config),
            Value::Mapping(mapping) => mapping,
            _ => {
                return Err(
                    invalid("the cloud-config user data is not a mapping of keys")
                        .with_hint(SUPPORTED),
                );
            }
        };
        for (key, value) in mapping {
            match key.as_str() {
                Some("write_files") => {
                    config.files = list("write_files", value)?
                        .into_iter()
                        .map(NewFile::parse)
                        .collect::<Result<_>>()?;
                }
                Some("runcmd") => {
                    config.commands = list("runcmd", value)?
                        .into_iter()
                        .map(BootCommand::parse)
                        .collect::<Result<_>>()?;
                }
                _ => {
                    return Err(invalid(format!(
                        "`{}` is not supported in the cloud-config of a local node",
                        shown(&key)
                    ))
                    .with_hint(SUPPORTED));
                }
            }
        }
        Ok(config)
    }
}

// === impl NewFile ===

impl NewFile {
    fn parse(value: Value) -> Result<Self> {
        let Value::Mapping(mapping) = value else {
            return Err(invalid("an entry of `write_files` is not a mapping").with_hint(SUPPORTED));
        };
        let path_text = string(&mapping, "path")?
            .ok_or_else(|| invalid("an entry of `write_files` has no `path`"))?;
        for key in mapping.keys() {
            let known = ["path", "content", "permissions", "encoding"];
            if !key.as_str().is_some_and(|key| known.contains(&key)) {
                return Err(invalid(format!(
                    "`{}` of `write_files` for `{path_text}` is not supported on a local node",
                    shown(key)
                ))
                .with_hint(SUPPORTED));
            }
        }
        let content = string(&mapping, "content")?.unwrap_or_default();
        let content = match string(&mapping, "encoding")?.as_deref() {
            None | Some("text/plain") => content.into_bytes(),
            Some("b64" | "base64") => decode_base64(&content).ok_or_else(|| {
                invalid(format!("the content of `{path_text}` is not valid base64"))
            })?,
            Some(other) => {
                return Err(invalid(format!(
                    "`{other}`, the encoding of `{path_text}`, is not supported on a local node"
                ))
                .with_hint("supported: `text/plain`, `b64`, `base64`"));
            }
        };
        let mode = match string(&mapping, "permissions")? {
            None => 0o644,
            Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| {
                    invalid(format!(
                        "`{text}`, the permissions of `{path_text}`, is not an octal number"
                    ))
                    .with_hint("write it as `'0644'`, with quotes")
                })?,
        };
        Ok(Self {
            path: below_home(&path_text)?,
            content,
            mode,
        })
    }
}

/// A path of a node is its home and what is below: nodes share one file system.
fn below_home(text: &str) -> Result<PathBuf> {
    let path = Path::new(text.strip_prefix("~/").unwrap_or(text));
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let is_file = path.file_name().is_some() && !text.ends_with('/');
    if plain && is_file && !path.to_string_lossy().starts_with('~') {
        return Ok(path.to_owned());
    }
    Err(invalid(format!(
        "`{text}` is not a file below the home of a local node"
    ))
    .with_hint("nodes share this machine's file system; write the path as `~/name` or `name`"))
}

// === impl BootCommand ===

impl BootCommand {
    fn parse(value: Value) -> Result<Self> {
        match value {
            Value::String(line) => Ok(Self::Line(line)),
            Value::Sequence(items) if !items.is_empty() => items
                .into_iter()
                .map(|item| match item {
                    Value::String(word) => Ok(word),
                    Value::Number(number) => Ok(number.to_string()),
                    other => Err(bad_command(&other)),
                })
                .collect::<Result<_>>()
                .map(Self::Words),
            other => Err(bad_command(&other)),
        }
    }

    /// The command in a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Words(words) => words.join(" "),
        }
    }
}

fn bad_command(value: &Value) -> Error {
    invalid(format!("`{}` in `runcmd` is not a command", shown(value)))
        .with_hint("a command is a line for the shell, or a list of a program and its arguments")
}

// === helpers ===

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message)
}

fn list(key: &str, value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Sequence(items) => Ok(items),
        _ => Err(invalid(format!("`{key}` is not a list")).with_hint(SUPPORTED)),
    }
}

fn string(mapping: &Mapping, key: &str) -> Result<Option<String>> {
    match mapping.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(invalid(format!(
            "`{key}: {}` of `write_files` is not a text",
            shown(other)
        ))
        .with_hint("put it in quotes")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml_ng::to_string(other)
            .map_or_else(|_| "?".to_owned(), |text| text.trim_end().to_owned()),
    }
}

/// Standard base64 with or without padding, white space ignored; `None` if it is anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut padding = 0_usize;
    let mut digits = 0_usize;
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace()) {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        digits += 1;
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    let whole = digits % 4 != 1 && (padding == 0 || (digits + padding).is_multiple_of(4));
    (whole && padding <= 2).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = UserData::parse(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{text}");
        format!("{error}; {}", error.hint().unwrap_or("no hint"))
    }

    #[test]
    fn files_and_commands_are_read() {
        let text = "#cloud-config\nwrite_files:\n- path: ~/a/b\n  content: hi\n  permissions: \
                    '0600'\n- path: c\n  encoding: b64\n  content: |\n    aGVs\n    bG8=\nruncmd:\n- \
                    echo hi\n- [sleep, 1]\n";
        let UserData::CloudConfig(config) = UserData::parse(text).unwrap() else {
            panic!("not a cloud-config");
        };
        assert_eq!(config.files[0].path, Path::new("a/b"));
        assert_eq!(config.files[0].mode, 0o600);
        assert_eq!(config.files[1].content, b"hello");
        assert_eq!(config.files[1].mode, 0o644);
        assert_eq!(config.commands[0], BootCommand::Line("echo hi".into()));
        assert_eq!(
            config.commands[1],
            BootCommand::Words(vec!["sleep".into(), "1".into()])
        );
    }

    #[test]
    fn an_empty_cloud_config_asks_for_nothing() {
        assert_eq!(
            UserData::parse("#cloud-config\n").unwrap(),
            UserData::CloudConfig(CloudConfig::default())
        );
    }

    #[test]
    fn what_is_not_supported_is_named_with_what_is() {
        for (text, named) in [
            ("#cloud-config\nusers: []\n", "`users`"),
            ("#cloud-config\npackages: [git]\n", "`write_files`"),
            ("#cloud-config\n- a\n", "not a mapping"),
            ("#cloud-config\na: [\n", "not valid YAML"),
            (
                "#cloud-config\nwrite_files:\n- path: a\n  owner: me\n",
                "`owner`",
            ),
            (
                "#cloud-config\nwrite_files:\n- path: a\n  encoding: gz\n",
                "`gz`",
            ),
            ("#cloud-config\nwrite_files:\n- content: a\n", "no `path`"),
            (
                "#cloud-config\nwrite_files:\n- path: a\n  permissions: 644\n",
                "quotes",
            ),
            (
                "#cloud-config\nwrite_files:\n- path: a\n  permissions: '9'\n",
                "`9`",
            ),
            (
                "#cloud-config\nwrite_files:\n- path: a\n  encoding: b64\n  content: a\n",
                "base64",
            ),
            ("#cloud-config\nruncmd: ls\n", "`runcmd` is not a list"),
            ("#cloud-config\nruncmd: [[]]\n", "not a command"),
            ("#cloud-config\nruncmd: [{a: b}]\n", "not a command"),
            ("MIME-Version: 1.0\n", "`#cloud-config`"),
            ("", "`#!`"),
        ] {
            let message = refused(text);
            assert!(message.contains(named), "{text}: {message}");
        }
    }

    #[test]
    fn a_path_outside_the_home_is_refused_by_name() {
        for path in [
            "/etc/motd",
            "../x",
            "~/../x",
            "a/../../x",
            "~",
            "a/",
            "~root/x/..",
        ] {
            let message = refused(&format!("#cloud-config\nwrite_files:\n- path: '{path}'\n"));
            assert!(message.contains(&format!("`{path}`")), "{message}");
        }
    }

    #[test]
    fn user_data_that_is_too_long_is_refused_with_both_sizes() {
        let message = refused(&format!("#!/bin/sh\n{}", "#".repeat(LIMIT)));
        assert!(
            message.contains(&(LIMIT + 10).to_string()) && message.contains(&LIMIT.to_string()),
            "{message}"
        );
    }

    #[test]
    fn base64_decodes_what_others_encode() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9v\nYmE=", b"fooba"),
            ("Zm9vYg", b"foob"),
            ("/+8A", &[0xff, 0xef, 0]),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["Z", "Zg=", "Zg==Zg==", "Zm9v====", "Zm-v", "Zm9v="] {
            assert_eq!(decode_base64(bad), None, "{bad}");
        }
    }
}
