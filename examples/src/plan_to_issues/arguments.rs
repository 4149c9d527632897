//! What can be typed.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

/// The exit codes, as `--help` shows them.
const EXIT_CODES: &str = "Exit codes:\n  \
    0  done; also where there was nothing to do\n  \
    1  something failed: the message says what and what to do\n  \
    2  wrong usage, configuration or plan: nothing was written\n  \
    3  refused: the plan is no longer the one that was shown, another run is under way, or `status --check` found drift\n  \
    130  interrupted: the same command goes on from there";

/// From a Markdown roadmap to issues and back: one issue per checklist item, and a link to it in the roadmap.
///
/// `plan` shows what would be done and writes nothing; `apply` does it. A second run changes nothing.
#[derive(Debug, Parser)]
#[command(name = "plan-to-issues", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// Where everything is.
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON document for a program to read.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which tracker.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The configuration that names the tracker; default: pipeline.toml in the repository's state directory.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ISSUE_PIPELINE_CONFIG"
    )]
    pub config: Option<PathBuf>,
    /// The embedded tracker in --dir, whatever the configuration says.
    #[arg(long, global = true, value_enum)]
    pub tracker: Option<Embedded>,
    /// The embedded tracker's own folder, made if it is missing.
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A file of NAME=value lines; what the environment already has stays.
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// Trackers that need no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Embedded {
    /// A folder on this machine.
    Local,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would be done, as a diff; write nothing.
    Plan(PlanArguments),
    /// Make the issues that are missing and link them.
    Apply(ApplyArguments),
    /// Show where roadmap and tracker have come apart.
    Status(StatusArguments),
    /// Let an agent or a command make the API calls itself, through a broker that holds the token.
    Broker(BrokerArguments),
    /// Inside a sandbox without a network: show a broker's socket as a port to one command.
    #[command(hide = true)]
    Bridge(BridgeArguments),
}

/// What the commands are about.
#[derive(Debug, Clone, Default, Args)]
pub struct Subject {
    /// The roadmaps; default: those of the configuration, else docs/project-notes.md.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only this phase, by number or title; may be repeated.
    #[arg(long, value_name = "PHASE")]
    pub phase: Vec<String>,
}

/// Arguments of `plan`.
#[derive(Debug, Default, Args)]
pub struct PlanArguments {
    /// What it is about.
    #[command(flatten)]
    pub subject: Subject,
    /// Show what --pull would tick.
    #[arg(long)]
    pub pull: bool,
    /// Word the issues by these drafts.
    #[arg(long, value_name = "FILE")]
    pub drafts: Option<PathBuf>,
    /// Let this agent of the configuration draft the issues, and write the drafts to --drafts, to be looked through.
    #[arg(long, value_name = "AGENT", requires = "drafts")]
    pub draft_with: Option<String>,
}

/// Arguments of `apply`.
#[derive(Debug, Default, Args)]
pub struct ApplyArguments {
    /// What it is about.
    #[command(flatten)]
    pub subject: Subject,
    /// Tick the boxes of issues that are done.
    #[arg(long)]
    pub pull: bool,
    /// Only if the plan is still the one that was shown under this id.
    #[arg(long, value_name = "ID")]
    pub plan: Option<String>,
    /// Word the issues by these drafts.
    #[arg(long, value_name = "FILE")]
    pub drafts: Option<PathBuf>,
    /// Write the links into a patch instead of the file.
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Debug, Default, Args)]
pub struct StatusArguments {
    /// What it is about.
    #[command(flatten)]
    pub subject: Subject,
    /// End with code 3 if there is drift, or an item without an issue.
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `broker`.
#[derive(Debug, Args)]
pub struct BrokerArguments {
    /// Only issues of this phase may be made, by number or title; may be repeated.
    #[arg(long, value_name = "PHASE")]
    pub phase: Vec<String>,
    /// Let this agent of the configuration make the calls, held to the broker by its own sandbox.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// The roadmap it is about; default: those of the configuration.
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How long it may take, in minutes.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    pub minutes: u64,
    /// A variable the command may see, as its model's credential; may be repeated. The tracker's token is refused.
    #[arg(long, value_name = "NAME")]
    pub env: Vec<String>,
    /// Most calls that write.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub writes: u64,
    /// The command and its arguments.
    #[arg(
        last = true,
        required_unless_present = "agent",
        conflicts_with = "agent",
        value_name = "COMMAND"
    )]
    pub command: Vec<String>,
}

/// Arguments of `bridge`.
#[derive(Debug, Args)]
pub struct BridgeArguments {
    /// The broker's socket.
    #[arg(long)]
    pub socket: PathBuf,
    /// The port to show it as.
    #[arg(long)]
    pub port: u16,
    /// A variable the command sees; may be repeated.
    #[arg(long)]
    pub env: Vec<String>,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}
