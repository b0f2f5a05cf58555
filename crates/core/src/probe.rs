//! Expected configuration: what is measured on a machine, and how bad it is if it differs.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Result, Span};

/// Something that is expected of a machine. Measuring it writes nothing on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name, unique within the pool.
    pub name: String,
    /// How bad it is if it differs.
    #[serde(default)]
    pub severity: Severity,
    /// What is measured.
    pub check: Check,
    /// A command on the machine that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Limit of one measurement.
    #[serde(default = "one_minute")]
    pub timeout: Span,
}

const fn one_minute() -> Span {
    Span::minutes(1)
}

/// How bad it is that a machine differs.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It can wait.
    Low,
    /// It should be mended.
    #[default]
    Medium,
    /// It should be mended soon.
    High,
    /// The machine does not do its work, or has no configuration at all.
    Critical,
}

impl Severity {
    /// All, the lightest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is measured. Exactly one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A Nix profile points to the expected store path, whose content is what Nix built.
    Nix(NixCheck),
    /// What a command says.
    Command(CommandCheck),
    /// What a file holds, and whose it is.
    File(FileCheck),
    /// Which version of a package is installed.
    Package(PackageCheck),
}

impl Check {
    /// The key that it is written with.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Nix(_) => "nix",
            Self::Command(_) => "command",
            Self::File(_) => "file",
            Self::Package(_) => "package",
        }
    }

    /// Whether what is expected must be looked up here, by an [`ExpectationSource`]: it is built,
    /// printed by a command or read from a file. Otherwise the check says it all.
    pub const fn is_looked_up(&self) -> bool {
        match self {
            Self::Nix(nix) => nix.path.is_none() || matches!(nix.compare, NixCompare::NarHash),
            Self::Command(command) => command.expect_from.is_some(),
            Self::File(file) => file.source.is_some(),
            Self::Package(_) => false,
        }
    }
}

/// A Nix profile and what it should point to. Exactly one of `path`, `file` and `flake` says that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NixCheck {
    /// The expected store path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A Nix file that is built here, by `nix-build`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The attribute of `file` that is built. Absent: the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// A flake output that is built here, by `nix build`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// The profile on the machine. Default: `/nix/var/nix/profiles/system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What is compared. Default: the store path.
    pub compare: NixCompare,
    /// Whether the contents of the path and of everything it refers to are hashed again on the
    /// machine, so that a file somebody has changed in the store is noticed. Reads all of it.
    pub verify: bool,
}

/// What is compared of two store paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NixCompare {
    /// Their names.
    #[default]
    Path,
    /// The hashes of their contents: for machines with another store.
    NarHash,
}

/// What a command says. Of `output` and `sha256` at most one; without both only the status counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// The command. It must not change the machine.
    pub run: String,
    /// Its expected standard output, without white space at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The SHA-256 of its expected standard output, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A command that is run here and whose standard output is expected there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_from: Option<String>,
    /// The expected exit status.
    #[serde(default)]
    pub status: u32,
}

/// What a file holds. Of `content`, `source` and `sha256` at most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCheck {
    /// The path on the machine.
    pub path: String,
    /// The expected content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A file here with the expected content. A relative path starts at the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The SHA-256 of the expected content, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The expected mode, in octal digits: `0644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The expected owner: `user` or `user:group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether the file must not exist.
    #[serde(default)]
    pub absent: bool,
}

/// Which version of a package is installed, by `dpkg-query` or `rpm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageCheck {
    /// Its name.
    pub name: String,
    /// Its expected version; `*` stands for anything. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it must not be installed.
    #[serde(default)]
    pub absent: bool,
}

/// What is expected of a machine, with nothing left to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// What the check itself says.
    Written,
    /// A store path.
    Nix {
        /// The path.
        path: String,
        /// The hash of its content as `nix-store --query --hash` prints it, if that is compared.
        nar_hash: Option<String>,
    },
    /// A standard output, without white space at its end.
    Output(Vec<u8>),
    /// The SHA-256 of a file's content, in hexadecimal digits.
    Content(String),
}

/// Looks up what is expected: builds it, runs a command for it, reads it.
///
/// It is asked anew for each round of measurements, so that a source that has changed counts at
/// once.
#[async_trait]
pub trait ExpectationSource: fmt::Debug + Send + Sync {
    /// What a probe expects. Asked only if [`Check::is_looked_up`].
    ///
    /// # Errors
    /// `Unsupported` if a program is missing here; `Config` if a build or a command failed, or a
    /// file cannot be read; `Timeout`. Never a guess.
    async fn expectation(&self, probe: &Probe) -> Result<Expectation>;
}

/// What a measurement gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the probe.
    pub probe: String,
    /// How bad it is if it differs.
    pub severity: Severity,
    /// What is expected, in words or as a hash; absent if that is not known.
    pub expected: Option<String>,
    /// What was measured; absent if that is not known.
    pub actual: Option<String>,
    /// How the two compare.
    pub verdict: Verdict,
    /// When it was measured.
    pub at: Timestamp,
    /// Since when the verdict is what it is.
    pub since: Timestamp,
}

/// How expected and actual configuration compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Agrees,
    /// Drift.
    Differs {
        /// In which way.
        reason: String,
    },
    /// The machine answers and has nothing of what is expected: no profile, no file.
    Missing {
        /// What.
        reason: String,
    },
    /// It could not be measured, or nobody knows what is expected. Not drift.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// The name used in JSON and tables.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs { .. } => "differs",
            Self::Missing { .. } => "missing",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// In which way it differs, what is missing, or why nobody knows; nothing if it agrees.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Agrees => None,
            Self::Differs { reason } | Self::Missing { reason } | Self::Unknown { reason } => {
                Some(reason)
            }
        }
    }

    /// Whether the machine is known to differ.
    pub const fn is_drift(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::Missing { .. })
    }
}
