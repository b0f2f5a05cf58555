//! Arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use fleetwright_core::{Error, Filter, Kind, Result, Span};

use crate::commands::capacity::Capacity;
use crate::commands::cordon::{Cordon, Drain, Uncordon};
use crate::commands::drift::DriftArgs;
use crate::commands::freeze::{FreezeArgs, ThawArgs};
use crate::commands::health::{Health, Heartbeat};
use crate::commands::inventory::Inventory;
use crate::commands::notify::Notify;
use crate::commands::targets::Targeting;
use crate::commands::watch::WatchArgs;
use crate::commands::why::WhyArgs;
use crate::commands::why_not::WhyNotArgs;
use crate::commands::{CostArgs, Deploy, Offers, Scale, Signal, Targets};

/// Gets machines from any cloud, exactly once, and keeps them as they should be.
#[derive(Debug, Parser)]
#[command(
    name = "fleetwright",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "\
Examples:
  fleetwright up                        bring the fleet to what is wanted
  fleetwright exec -- uptime            run a command on every node
  fleetwright down                      remove everything

Without a configuration file a fleet of three nodes on this machine is used.
Exit statuses: docs/reference/exit-codes.md")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [env: FLEETWRIGHT_CONFIG] [default: ./fleetwright.toml]
    #[arg(long, short = 'c', global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Directory for journals, keys and local nodes [env: FLEETWRIGHT_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Name of the fleet [env: FLEETWRIGHT_FLEET]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress on stderr
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log more: -v decisions, -vv everything [env: FLEETWRIGHT_LOG]
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the fleet to what is wanted and wait until it is there
    #[command(after_help = "\
Example:
  fleetwright up --yes --timeout 5m

A second run changes nothing. A run that was killed is picked up by the next one: nothing is lost
and nothing is made twice.")]
    Up(Up),
    /// Show what `up` would do, and why
    #[command(after_help = "\
Example:
  fleetwright plan --out plan.json
  fleetwright apply plan.json")]
    Plan(PlanArgs),
    /// Execute a stored plan, if the fleet has not changed since
    #[command(after_help = "\
Example:
  fleetwright apply plan.json --yes")]
    Apply(Apply),
    /// Remove nodes: all of the fleet, or those selected
    #[command(after_help = "\
Example:
  fleetwright down
  fleetwright down --on pool=web --yes")]
    Down(Down),
    /// Give nodes more time
    #[command(
        override_usage = "fleetwright extend [OPTIONS] <NODE|--pool <POOL>|--all> <DURATION>",
        after_help = "\
Example:
  fleetwright extend default-local-1a2b3c4d-0 2h
  fleetwright extend --pool gpu 90m

The end of a node's time moves by the duration, but not beyond `limits.extend_to` of its pool. A node
that would end because nobody uses it stays for at least the duration from now. The label with the
end on the machine itself stays as it was: the journal counts."
    )]
    Extend(Extend),
    /// Show the sizes of pools, set one by hand, or ask the policies
    #[command(after_help = "\
Example:
  fleetwright scale                     sizes, and why they are what they are
  fleetwright scale train 8 --for 2h    8 nodes for two hours, whatever the policy says
  fleetwright scale train --auto        back to the policy, or to the configured size
  fleetwright scale --evaluate --dry-run

Ends with status 20 if a policy cannot decide because a signal fails, is missing or stale: the size
stays as it is then.")]
    Scale(Scale),
    /// Push and list the values that pools are scaled by
    #[command(after_help = "\
Examples:
  fleetwright signal push jobs 42 --pool train
  fleetwright signal list --pool train")]
    Signal(Signal),
    /// Print variables for a shell: hosts, ports, users and ssh commands
    #[command(after_help = "\
Example:
  fleetwright env --pool gpu
  eval \"$(fleetwright env)\" && eval \"$FLEETWRIGHT_SSH uptime\"
  fleetwright env --shell fish | source")]
    Env(Env),
    /// List the nodes for other programs: Ansible, ssh, Prometheus
    #[command(after_help = "\
Examples:
  fleetwright inventory --format ansible > hosts.json
  fleetwright inventory --format ssh-config > ~/.ssh/fleet     with `Include fleet` in ~/.ssh/config
  fleetwright inventory --format prometheus --on pool=web

Ansible takes an executable file as its inventory that runs:
  exec fleetwright inventory --format ansible \"$@\"
Nobody is asked: the journal has it all.")]
    Inventory(Inventory),
    /// Show where each pool and node stands and what it costs, asking the providers
    #[command(after_help = "\
Example:
  fleetwright status --json")]
    Status,
    /// List the nodes that the journal knows, without asking anybody (or live: `--live`)
    #[command(after_help = "\
Examples:
  fleetwright nodes --on pool=web,state=ready
  fleetwright nodes --live --foreign --on 'vpc-id=vpc-1a2b,instance-state-name=running'")]
    Nodes(Nodes),
    /// Show one node: state, address, claim and history
    #[command(after_help = "\
Example:
  fleetwright node default-local-1a2b3c4d-0")]
    Node(NodeArgs),
    /// Explain a node or a pool: why it is there, where it is and as it is, from the journal
    #[command(after_help = "\
Example:
  fleetwright why default-local-1a2b3c4d-0
  fleetwright why web                   why the pool has the size that it has

Nobody is asked: it is told what was decided, and on what grounds. Ends with status 7 if there is no
such node or pool.")]
    Why(WhyArgs),
    /// Explain why a pool's machines are not of a type, provider, region or zone
    #[command(after_help = "\
Example:
  fleetwright why-not web sim.large
  fleetwright why-not web --recorded    only what was decided, without asking the providers

Tells what was decided when machines were last asked for, and what would be decided now. Ends with
status 7 if nothing of that name was considered.")]
    WhyNot(WhyNotArgs),
    /// Run a command on nodes and other targets over SSH, side by side
    #[command(after_help = "\
Example:
  fleetwright exec -- uptime
  fleetwright exec --on pool=web -- 'df -h / | tail -n 1'
  fleetwright exec -t admin@10.0.0.7,@hosts.txt -- uptime

The words after `--` are joined with spaces and given to the shell of the node, as `ssh` does.")]
    Exec(Exec),
    /// Show where machines differ from what is expected of them; changes nothing
    #[command(after_help = "\
Example:
  fleetwright drift
  fleetwright drift web --severity high
  fleetwright drift -t edge1,admin@[2001:db8::1]:2222 --json

What is expected stands in `[[pools.<name>.probes]]` and `[[targets.<name>.probes]]`. Ends with status
26 if a machine differs; else with 27 if one cannot be reached; else with 20 if something could not be
found out. If it cannot be looked up here what is expected, the status is that of the error: 15 if
there is no Nix here.")]
    Drift(DriftArgs),
    /// Keep machines as they should be: look, heal what differs, measure again
    #[command(after_help = "\
Examples:
  fleetwright watch
  fleetwright watch --once --json
  fleetwright watch --report-only --interval 5m

What is done about what differs stands in `[pools.<name>.healing]`, how many machines may be disturbed
at once in `[pools.<name>.disruption]`. With `--once` it ends with status 0 if all is as it should be
or was healed; with 26 if a machine still differs or is not healthy; else with 27 if one cannot be
reached; else with 20 if something is not known, on its way, or could not be done.")]
    Watch(WatchArgs),
    /// Heal nothing for a while: only report
    #[command(after_help = "\
Examples:
  fleetwright freeze --for 2h --reason 'the database moves'
  fleetwright freeze web
  fleetwright freeze targets.edge

Holds for every `watch` on the same journal, at once. What was begun is not cut off. `up`, `down` and
`exec` by hand work as ever.")]
    Freeze(FreezeArgs),
    /// Let what was frozen be healed again
    #[command(after_help = "\
Examples:
  fleetwright thaw
  fleetwright thaw web

Ends with status 7 if it is not frozen.")]
    Thaw(ThawArgs),
    /// List the machines that are logged in to: nodes, addresses, what providers list
    #[command(after_help = "\
Examples:
  fleetwright targets
  fleetwright targets --on group=targets.edge
  fleetwright targets -t admin@10.0.0.7:2222,@hosts.txt

Providers are asked for the machines of `[[targets.<name>.discover]]`. Ends with status 20 if a part
could not be looked at: what was found there before is listed then.")]
    Targets(Targets),
    /// Bring a command, a script or files to many machines: a canary, then batch by batch
    #[command(after_help = "\
Examples:
  fleetwright deploy 'nixos-rebuild switch'
  fleetwright deploy --on pool=web --canary 1 --batch 25% --max-fail 2 'systemctl restart app'
  fleetwright deploy --push ./site:/srv/site --script setup.sh --check 'curl -fs localhost'
  fleetwright deploy --rollback previous 'app-switch v2'
  fleetwright deploy --resume

A second run leaves out the machines that have the same already. Ends with status 23 if a machine
failed, and with 20 if machines had no turn.")]
    Deploy(Box<Deploy>),
    /// Log in to a node with the system's ssh
    #[command(after_help = "\
Example:
  fleetwright ssh                       the only node
  fleetwright ssh default-local-1a2b3c4d-0 -- uptime
  fleetwright ssh --print               print the command instead of running it")]
    Ssh(Ssh),
    /// Look how machines are: whether they answer, their probes, heartbeats and GPUs
    #[command(after_help = "\
Example:
  fleetwright health
  fleetwright health gpu --json
  fleetwright health --recorded         what is known, without looking

Each run is one report, and reports are counted: `health.failures` bad ones in a row make a node
unhealthy, `health.successes` good ones healthy again. What cannot be found out counts neither way.
Exit status: 0 all healthy, 21 a node is unhealthy, 27 a node was not reached, 20 something is not
known.")]
    Health(Health),
    /// Note that a node lives: for schedulers and scripts that know
    #[command(after_help = "\
Example:
  fleetwright heartbeat web-1a2b3c4d-0

Nodes whose pool has `health.heartbeat` need one at least that often.")]
    Heartbeat(Heartbeat),
    /// See to it that nothing new is started on nodes, or show which are cordoned
    #[command(after_help = "\
Example:
  fleetwright cordon web-1a2b3c4d-0 --reason 'a fan is loud'
  fleetwright cordon                    show those that are cordoned

Runs the pool's hook `hooks.cordon`. If that fails the node is released again, and the command ends
with status 23.")]
    Cordon(Cordon),
    /// Cordon nodes, take them from their balancer, and have what runs on them moved away
    #[command(after_help = "\
Example:
  fleetwright drain web-1a2b3c4d-0 --timeout 5m

Runs the pool's hook `hooks.drain` when the balancer has let go. If the hook fails the node is
released again, and the command ends with status 23. The node itself stays.")]
    Drain(Drain),
    /// Let nodes be used again
    #[command(after_help = "\
Example:
  fleetwright uncordon web-1a2b3c4d-0

Runs the pool's hook `hooks.uncordon`. If that fails the node stays cordoned, and the command ends
with status 23.")]
    Uncordon(Uncordon),
    /// Send notifications that are still to be sent, show the latest, or test webhooks
    #[command(after_help = "\
Example:
  fleetwright notify --test ops
  fleetwright notify --wait 1m

Ends with status 20 if a message was not taken.")]
    Notify(Notify),
    /// Show what happened, and go on showing it
    #[command(after_help = "\
Example:
  fleetwright events --follow")]
    Events(Events),
    /// Show what the fleet costs, has cost and will cost, without asking anybody
    #[command(after_help = "\
Example:
  fleetwright cost
  fleetwright cost --by day --since 7d
  fleetwright cost --by owner --since 2026-11-01 --json

Runtime times the price that was promised, in the units that the provider bills; nodes that are gone
are included. Days and months are those of UTC.")]
    Cost(CostArgs),
    /// Compare the journal with the providers: orphans, duplicates, open claims
    #[command(after_help = "\
Example:
  fleetwright audit

Ends with status 0 only if everything was seen and everything agrees.")]
    Audit,
    /// Take over the nodes of a journal that is lost
    #[command(after_help = "\
Example:
  fleetwright adopt

Nodes carry the identity of the journal that made them, and no other journal touches them. If that
journal is lost, this command makes records of its nodes in the present one.")]
    Adopt(Adopt),
    /// Show or forget what is taken for sold out, and show how fast each cloud may be called
    #[command(after_help = "\
Examples:
  fleetwright capacity --rates
  fleetwright capacity --clear region=us-*,type=p5.48xlarge

An offer that a cloud has refused for want of machines is left alone for a while, by all processes;
for how long is learned from how long that lasted before.
Exit status: 0; 4 if the filter speaks of something else than places.")]
    Capacity(Capacity),
    /// List what can be had, cheapest first: price, availability, and why not something else
    #[command(after_help = "\
Examples:
  fleetwright offers --gpu H100:8 --region 'eu-*' --max-price 30
  fleetwright offers --vcpus 16+ --memory 64GiB+ --market spot
  fleetwright offers --why-not sim.h100x8 --max-price 30
  fleetwright offers --refresh

Works offline: nobody is asked unless `--refresh` is given or nothing is stored of a provider. Ends
with status 20 if a part of the answer is old or missing because a provider did not answer.")]
    Offers(Box<Offers>),
    /// List the configured providers, what they can do, and the kinds that exist
    #[command(after_help = "\
Example:
  fleetwright providers --check")]
    Providers(Providers),
    /// Check the configuration
    #[command(after_help = "\
Example:
  fleetwright validate --online")]
    Validate(Validate),
    /// Write a commented configuration file: asks what is wanted, and offers what can be had
    #[command(after_help = "\
Example:
  fleetwright init
  fleetwright init --template local
  fleetwright init --non-interactive --provider sim --region sim-east --type sim.l4 --max-runtime 8h

Without a terminal nothing is asked; without any answer the template `local` is written then.")]
    Init(Box<Init>),
    /// Print completions for a shell
    #[command(after_help = "\
Example:
  fleetwright completions bash > ~/.local/share/bash-completion/completions/fleetwright")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Keep the limits of nodes in the background; started by the other commands
    #[command(name = "__limits", hide = true)]
    Limits,
    /// Print a page of the reference
    #[command(name = "__reference", hide = true)]
    Reference {
        /// Which page
        page: Page,
    },
}

/// Pages of the reference that come from this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    /// All commands with their options.
    Cli,
    /// Exit statuses.
    ExitCodes,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// How long to wait for the nodes
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) timeout: Span,
    #[command(flatten)]
    pub(crate) plan: PlanFlags,
}

/// What plans may contain.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanFlags {
    /// Also replace nodes whose boot script failed
    #[arg(long)]
    pub(crate) replace_failed: bool,
    /// Greatest share of nodes that may be removed at once, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) max_removal: Option<u8>,
}

/// Agreement given in advance.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Plan the removal of everything instead
    #[arg(long)]
    pub(crate) down: bool,
    /// Write the plan to a file for `apply`
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
    /// End with status 21 if there is something to do
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) plan: PlanFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A file written by `plan --out`
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// How long to wait for the nodes
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) timeout: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// How long to wait until the nodes are gone
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) timeout: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Extend {
    /// A node by name, id, or the beginning or end of either, if neither `--pool` nor `--all` is
    /// given; and the duration, e.g. `2h`
    #[arg(required = true, num_args = 1..=2, value_names = ["NODE", "DURATION"])]
    pub(crate) words: Vec<String>,
    /// All nodes of a pool
    #[arg(long, value_name = "POOL", conflicts_with = "all")]
    pub(crate) pool: Option<String>,
    /// All nodes of the fleet
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Env {
    /// Only nodes of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// For which shell
    #[arg(long, value_enum, default_value = "sh")]
    pub(crate) shell: EnvShell,
}

/// A shell by the way it sets variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvShell {
    /// Bourne shells: sh, bash, zsh and their kin.
    Sh,
    /// fish.
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct Adopt {
    #[command(flatten)]
    pub(crate) consent: Consent,
}

/// Which nodes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Only nodes that match, e.g. `pool=web,region=eu-*,label.team=ml`
    #[arg(long, value_name = "FILTER")]
    pub(crate) on: Option<Filter>,
}

impl Selection {
    /// The filter, for nodes of the journal; everything if none was given.
    ///
    /// # Errors
    /// `Invalid` if it speaks of what only a provider knows: it would select nothing.
    pub(crate) fn of_records(&self) -> Result<Filter> {
        let filter = self.on.clone().unwrap_or_default();
        for term in filter.terms() {
            if term.key().starts_with("metadata.") {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{}` is known to the providers only", term.key()),
                )
                .with_hint("`fleetwright nodes --live` asks them"));
            }
            if matches!(term.key(), "group" | "address" | "origin") {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{}` is a property of targets, not of nodes", term.key()),
                )
                .with_hint("`fleetwright targets` takes it"));
            }
        }
        Ok(filter)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Nodes {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Also those that are gone
    #[arg(long, short, conflicts_with = "live")]
    pub(crate) all: bool,
    /// Ask the providers instead of the journal: the nodes of every fleet
    #[arg(long)]
    pub(crate) live: bool,
    /// Also nodes that Fleetwright did not make
    #[arg(long, requires = "live")]
    pub(crate) foreign: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Name, id, or the beginning or end of either
    pub(crate) node: String,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) targeting: Targeting,
    /// Nodes at the same time
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) parallel: u16,
    /// Limit for each node: connect, log in and run
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    pub(crate) timeout: Span,
    /// Limit for all nodes together
    #[arg(long, value_name = "DURATION")]
    pub(crate) total: Option<Span>,
    /// The command, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ssh {
    /// Name, id, or the beginning or end of either; not needed if there is only one node
    pub(crate) node: Option<String>,
    /// Print the command for every node, or for the one named, instead of running it
    #[arg(long)]
    pub(crate) print: bool,
    /// A command to run instead of a shell, after `--`
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the latest to show
    #[arg(long, short = 'n', default_value_t = 100)]
    pub(crate) limit: u32,
    /// Only those about one node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Providers {
    /// Ask each of them whether credentials and network are good
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Also ask the providers: credentials, and whether each pool has an offer
    #[arg(long)]
    pub(crate) online: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to write
    #[arg(default_value = "fleetwright.toml", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Write this template instead of asking
    #[arg(long)]
    pub(crate) template: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) wish: Wish,
}

/// Answers given in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Answers")]
pub(crate) struct Wish {
    /// Never ask: what is not given has its default, or is an error that names the choices
    #[arg(long, conflicts_with = "template")]
    pub(crate) non_interactive: bool,
    /// Kind of the provider, such as `local` or `sim`
    #[arg(long, value_name = "KIND", conflicts_with = "template")]
    pub(crate) provider: Option<String>,
    /// Where a secret is to be had: `env:NAME`, `file:path` or `command:...`; once for each that the
    /// provider needs
    #[arg(long, value_name = "REFERENCE", conflicts_with = "template")]
    pub(crate) credentials: Vec<String>,
    /// Region
    #[arg(long, value_name = "NAME", conflicts_with = "template")]
    pub(crate) region: Option<String>,
    /// Zone; any, if it is not given
    #[arg(long, value_name = "NAME", conflicts_with = "template")]
    pub(crate) zone: Option<String>,
    /// Instance type
    #[arg(long = "type", value_name = "NAME", conflicts_with = "template")]
    pub(crate) instance_type: Option<String>,
    /// How machines are bought: `on-demand` or `spot`
    #[arg(long, value_name = "MARKET", conflicts_with = "template")]
    pub(crate) market: Option<String>,
    /// Image; the provider's default, if it is not given
    #[arg(long, value_name = "NAME", conflicts_with = "template")]
    pub(crate) image: Option<String>,
    /// How many machines
    #[arg(long, value_name = "NUMBER", conflicts_with = "template")]
    pub(crate) count: Option<u32>,
    /// Name of the pool
    #[arg(long, value_name = "NAME", conflicts_with = "template")]
    pub(crate) pool: Option<String>,
    /// Public key that may log in besides the fleet's own; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "template")]
    pub(crate) ssh_key: Vec<PathBuf>,
    /// Longest runtime of a node, or `none`
    #[arg(long, value_name = "DURATION", conflicts_with = "template")]
    pub(crate) max_runtime: Option<Bound>,
    /// How long a node may be unused, or `none`
    #[arg(long, value_name = "DURATION", conflicts_with = "template")]
    pub(crate) idle_after: Option<Bound>,
    /// Longest runtime that `extend` can give, or `none`
    #[arg(long, value_name = "DURATION", conflicts_with = "template")]
    pub(crate) extend_to: Option<Bound>,
}

/// A duration, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound(pub(crate) Option<Span>);

impl std::str::FromStr for Bound {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|span| Self(Some(span)))
    }
}
