//! A root of its own for every test, and a small SSH client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleetwright_core::{
    Access, Boot, ClaimId, Clock, CreateRequest, Exit, ListRequest, Market, Node, NodeId, NodeSpec,
    NodeState, Output, Provider, Token, fingerprint, keys,
};
use fleetwright_local::{LocalConfig, LocalProvider, NodeProgram, REGION};
use jiff::Timestamp;
use russh::client::{self, Handle};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Sig};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

/// The real time.
#[derive(Debug)]
pub(crate) struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A root with its provider. What is left in it goes when it is dropped.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) provider: Arc<LocalProvider>,
    pub(crate) key: Arc<PrivateKey>,
}

pub(crate) fn program() -> NodeProgram {
    NodeProgram {
        path: env!("CARGO_BIN_EXE_fleetwright-local-node").into(),
        args: Vec::new(),
        env: Vec::new(),
    }
}

pub(crate) fn provider_at(root: &Path, max_nodes: u32, program: NodeProgram) -> LocalProvider {
    let config = LocalConfig {
        max_nodes,
        ..LocalConfig::default()
    };
    LocalProvider::new("here", config, root.into(), program, Arc::new(RealClock)).unwrap()
}

/// A request that nobody made before.
pub(crate) fn request_for(count: u32, spec: NodeSpec) -> CreateRequest {
    CreateRequest {
        count,
        token: Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec))),
        spec,
        replay: false,
        host_key: None,
    }
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Self {
        Self::with_max(50)
    }

    pub(crate) fn with_max(max_nodes: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let provider = provider_at(&dir.path().join("nodes"), max_nodes, program());
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        Self {
            dir,
            provider: Arc::new(provider),
            key: Arc::new(key.unwrap()),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("nodes")
    }

    /// A place outside of the root.
    pub(crate) fn scratch(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn node_dir(&self, node: &Node) -> PathBuf {
        self.root().join(node.id.native())
    }

    pub(crate) fn spec(&self) -> NodeSpec {
        NodeSpec {
            name: "web".into(),
            instance_type: "small".into(),
            image: None,
            region: REGION.into(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: vec![self.key.public_key().to_openssh().unwrap()],
            user_data: None,
            labels: [(keys::MANAGED_BY, keys::MANAGED_BY_VALUE)]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            options: serde_json::Map::default(),
        }
    }

    pub(crate) fn request(&self, count: u32) -> CreateRequest {
        request_for(count, self.spec())
    }

    pub(crate) async fn one(&self) -> Node {
        self.one_with(None).await
    }

    pub(crate) async fn one_with(&self, user_data: Option<&str>) -> Node {
        let spec = NodeSpec {
            user_data: user_data.map(str::to_owned),
            ..self.spec()
        };
        let created = self.provider.create(&request_for(1, spec)).await;
        let node = created.unwrap().nodes.remove(0);
        assert_eq!(node.state, NodeState::Running, "{:?}", node.message);
        node
    }

    /// The nodes of a call that was killed before it started their processes: a program that ends
    /// at once and leaves no trace is the same as one that was not started.
    pub(crate) async fn half_made(&self, request: &CreateRequest) -> Vec<Node> {
        let mut nothing = program();
        nothing.path = "true".into();
        let provider = provider_at(&self.root(), 50, nothing);
        tokio::select! {
            made = provider.create(request) => made.unwrap().nodes,
            nodes = until("the directories", async || {
                let nodes = self.list().await;
                (nodes.len() == usize::try_from(request.count).unwrap()).then_some(nodes)
            }) => nodes,
        }
    }

    pub(crate) async fn look(&self, id: &NodeId) -> Node {
        self.provider.get(id).await.unwrap()
    }

    pub(crate) async fn list(&self) -> Vec<Node> {
        let listing = self.provider.list(&ListRequest::default()).await.unwrap();
        assert!(listing.coverage.gaps().is_empty(), "{:?}", listing.coverage);
        listing.nodes
    }

    /// How its boot scripts ended.
    pub(crate) async fn booted(&self, node: &Node) -> Boot {
        until("the boot to end", async || {
            match self.look(&node.id).await.boot {
                None | Some(Boot::Running) => None,
                Some(boot) => Some(boot),
            }
        })
        .await
    }

    pub(crate) async fn run(&self, node: &Node, line: &str) -> Output {
        self.run_with(node, line, b"").await
    }

    pub(crate) async fn run_with(&self, node: &Node, line: &str, stdin: &[u8]) -> Output {
        let connection = self.connect(node).await;
        let channel = connection.channel_open_session().await.unwrap();
        run_in(channel, line, stdin).await
    }

    /// What a command that must succeed says.
    pub(crate) async fn says(&self, node: &Node, line: &str) -> String {
        let output = self.run(node, line).await;
        assert!(output.exit.is_success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn connect(&self, node: &Node) -> Handle<Client> {
        log_in(node.access.as_ref().unwrap(), &self.key)
            .await
            .expect("the key is in authorized_keys")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let provider = Arc::clone(&self.provider);
        // A test may be inside of a runtime, and a runtime does not nest: so in a thread.
        let emptied = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let everything = ListRequest {
                    foreign: true,
                    ..ListRequest::default()
                };
                let listing = provider.list(&everything).await?;
                for node in listing.nodes {
                    provider.delete(&node.id).await?;
                }
                Ok::<_, fleetwright_core::Error>(())
            })
        })
        .join();
        if !std::thread::panicking() {
            emptied.unwrap().unwrap();
        }
    }
}

/// Asks again and again until there is an answer, for 10 seconds.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; one that nobody has waited for yet does not.
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(')')?.1.split_whitespace().next()? != "Z"))
        .unwrap_or(false)
}

/// The processes whose environment or working directory lead to this directory.
pub(crate) fn processes_of(dir: &Path) -> Vec<u32> {
    let text = dir.to_str().unwrap().as_bytes();
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let inside = environment.windows(text.len()).any(|part| part == text);
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            *pid != std::process::id() && (inside || cwd.starts_with(dir))
        })
        .collect()
}

// === SSH ===

pub(crate) struct Client {
    host_keys: Vec<String>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        Ok(self.host_keys.contains(&key.to_openssh().unwrap()))
    }
}

/// Logs in; `None` if the node refuses the key.
pub(crate) async fn log_in(access: &Access, key: &Arc<PrivateKey>) -> Option<Handle<Client>> {
    let client = Client {
        host_keys: access.host_keys.clone(),
    };
    let config = Arc::new(client::Config::default());
    let mut connection = client::connect(config, (access.host.as_str(), access.port), client)
        .await
        .expect("the node serves and shows the pinned key");
    let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
    let answer = connection
        .authenticate_publickey(&access.user, key)
        .await
        .unwrap();
    answer.success().then_some(connection)
}

/// Runs a line in a channel, to its end.
pub(crate) async fn run_in(channel: Channel<client::Msg>, line: &str, stdin: &[u8]) -> Output {
    channel.exec(true, line).await.unwrap();
    let mut writer = channel.make_writer();
    let (mut read, half) = channel.split();
    let send = async {
        // A command need not read its input.
        if writer.write_all(stdin).await.is_ok() {
            half.eof().await.ok();
        }
        // A writer is not told that its channel has closed; the reader is.
        std::future::pending::<Output>().await
    };
    let receive = async {
        let mut output = Output {
            exit: Exit::Signal {
                name: "no end was told".into(),
            },
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
        };
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => {
                    output.stderr.extend_from_slice(&data);
                }
                ChannelMsg::ExitStatus { exit_status } => {
                    output.exit = Exit::Status { code: exit_status };
                }
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    let name = match signal_name {
                        Sig::Custom(name) => name,
                        known => format!("{known:?}"),
                    };
                    output.exit = Exit::Signal { name };
                }
                ChannelMsg::Failure => panic!("the node refused to run `{line}`"),
                _ => {}
            }
        }
        output
    };
    let both = async {
        tokio::select! {
            output = send => output,
            output = receive => output,
        }
    };
    tokio::time::timeout(Duration::from_mins(1), both)
        .await
        .unwrap_or_else(|_| panic!("`{line}` did not end"))
}
