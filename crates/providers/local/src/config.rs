//! What can be configured.

use std::path::PathBuf;

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nodes on this machine: `kind = "local"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// The directory that holds a directory for each node. Absent: inside the state directory.
    /// A relative path starts at the working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Most nodes at once, over all processes that use the same root. Failed nodes count until
    /// they are deleted. At least 1.
    #[schemars(range(min = 1))]
    pub max_nodes: u32,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            root: None,
            max_nodes: 50,
        }
    }
}

impl LocalConfig {
    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the key.
    pub fn check(&self) -> Result<()> {
        if self.max_nodes == 0 {
            return Err(
                Error::new(Kind::Config, "`max_nodes` is 0, so no node could be made")
                    .with_hint("set it to at least 1, or remove the line for 50"),
            );
        }
        if self
            .root
            .as_ref()
            .is_some_and(|root| root.as_os_str().is_empty())
        {
            return Err(Error::new(Kind::Config, "`root` is empty")
                .with_hint("name a directory, or remove the line"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_allows_no_node_is_refused() {
        let config = LocalConfig {
            max_nodes: 0,
            ..LocalConfig::default()
        };
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("`max_nodes`"), "{error}");
        LocalConfig::default().check().unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<LocalConfig>(r#"{"max_node": 3}"#).unwrap_err();
        assert!(error.to_string().contains("max_nodes"), "{error}");
    }
}
