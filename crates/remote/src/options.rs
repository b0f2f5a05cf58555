//! What an [`Ssh`](crate::Ssh) client may use to prove who it is and to know who answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to log in to nodes.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// The private key whose public half we put on nodes that we make. Where the host key came
    /// through the provider it is tried first; elsewhere last, because each key that is refused
    /// costs a round trip, and servers count them.
    pub own: Option<PathBuf>,
    /// Private key files, tried in this order before those of `ssh_config`. A missing one is no
    /// error as long as another key is accepted.
    pub identities: Vec<PathBuf>,
    /// Whether to ask the SSH agent after the files.
    pub use_agent: bool,
    /// The agent's socket; `None` takes it from `SSH_AUTH_SOCK`.
    pub agent_socket: Option<PathBuf>,
    /// Files in the format of `known_hosts` that are read and never written.
    pub known_hosts: Vec<PathBuf>,
    /// Our own `known_hosts` file for nodes that we made; read before the others. Empty: none.
    pub pinned: PathBuf,
    /// A file in the format of `~/.ssh/config`, of which the basics are understood (see
    /// [`ssh_config`](crate::ssh_config)).
    pub ssh_config: Option<PathBuf>,
    /// What `~` stands for in `ssh_config`; `None` asks the environment.
    pub home: Option<PathBuf>,
    /// Limit for connecting and logging in, all jump hosts included.
    pub connect_timeout: Duration,
    /// Whether to believe a server of which nothing is known. A key that is not the known one is
    /// refused all the same.
    pub trust_unknown: bool,
}

impl Default for SshOptions {
    /// The agent, 10 seconds to log in, and no trust in anybody.
    fn default() -> Self {
        Self {
            own: None,
            identities: Vec::new(),
            use_agent: true,
            agent_socket: None,
            known_hosts: Vec::new(),
            pinned: PathBuf::new(),
            ssh_config: None,
            home: None,
            connect_timeout: Duration::from_secs(10),
            trust_unknown: false,
        }
    }
}

impl SshOptions {
    /// Adds what the system's `ssh` would use for the user with this home directory: the default
    /// key files that exist, `~/.ssh/config`, and the `known_hosts` of the user and the system.
    #[must_use]
    pub fn with_user_files(mut self, home: &Path) -> Self {
        let folder = home.join(".ssh");
        self.identities.extend(
            ["id_ed25519", "id_ecdsa", "id_rsa"]
                .into_iter()
                .map(|name| folder.join(name))
                .filter(|path| path.exists()),
        );
        self.known_hosts.extend([
            folder.join("known_hosts"),
            folder.join("known_hosts2"),
            PathBuf::from("/etc/ssh/ssh_known_hosts"),
        ]);
        self.ssh_config = Some(folder.join("config"));
        self.home = Some(home.to_owned());
        self
    }
}
