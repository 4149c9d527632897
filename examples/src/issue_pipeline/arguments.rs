//! What can be typed.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use pipeline_core::event::Stage;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::InvalidIssueKey;
use pipeline_core::issue::IssueKey;

use super::exit::EXIT_CODES;
use crate::config::model::Place;
use crate::config::model::TrackerKind;

/// An issue tracker as the state machine of AI coding agents.
///
/// An issue travels Open → Spec/log review → In progress → merged, verified, approved, committed. A person does three
/// things: start an issue by moving it, OK the merged diff, ship.
#[derive(Debug, Parser)]
#[command(name = "issue-pipeline", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// The configuration; default: pipeline.toml in the repository's state directory.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ISSUE_PIPELINE_CONFIG"
    )]
    pub config: Option<PathBuf>,
    /// A file of NAME=value lines; what the environment already has stays.
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Print one JSON document for a program to read.
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more to standard error; twice: everything. ISSUE_PIPELINE_LOG takes a filter instead.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// End the process at this outside effect, as a power cut would.
    #[cfg(feature = "crash-points")]
    #[arg(long, global = true, hide = true, value_name = "N")]
    pub crash_at: Option<u64>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole pipeline on a small repository made for it.
    Demo(DemoArguments),
    /// Write the configuration for a repository, every key commented.
    Init(InitArguments),
    /// Check everything the pipeline depends on, with the cure for what is missing.
    Doctor,
    /// Read new issues, say how they are understood, move them on to review.
    Triage(StageArguments),
    /// Inspect the repository read-only for the issues in review.
    Check(StageArguments),
    /// Work on the issues a person has started, in parallel where that is safe.
    Dispatch(StageArguments),
    /// Merge and verify submitted patches; land what a person has approved.
    Integrate(StageArguments),
    /// Show the merged diff that waits for an OK, and what it needs.
    Review(ReviewArguments),
    /// Give the OK on exactly this candidate.
    Approve(ApproveArguments),
    /// Return one issue's patch and rebuild the candidate from the rest.
    Reject(RejectArguments),
    /// Give the permission to ship a landed commit, or run the team's command under it.
    Ship(ShipArguments),
    /// Show where every issue stands and who is needed.
    Status,
    /// Say why an issue is where it is and what it waits for.
    Explain(IssueArgument),
    /// Show which issues conflict, why, and in which batches they can run.
    Conflicts(ConflictsArguments),
    /// Run the stages by their schedule until stopped.
    Watch(WatchArguments),
    /// Print the units that run the pipeline from launchd, systemd or cron.
    Schedule(ScheduleArguments),
    /// Start nothing new until `resume`; what runs goes on.
    Pause(PauseArguments),
    /// Take a pause back: of everything, or of one agent.
    Resume(ResumeArguments),
    /// End the run that works on an issue.
    Stop(IssueArgument),
    /// End a work-start lock by hand.
    Release(ReleaseArguments),
    /// Show what dead processes left behind; with --apply, end, keep and complete it. Starts nothing new.
    Recover(RecoverArguments),
    /// Show which runs, patches and salvaged work nobody needs any more; with --apply, remove those.
    Gc(GcArguments),
    /// Show what a run did, or list the runs there were.
    Log(LogArguments),
    /// Execute one run request (for engines that spread runs over machines).
    Work(WorkArguments),
    /// Read and write the local tracker as a person.
    Issue(IssueArguments),
    /// The agent of `demo`: reads a task, answers, edits files.
    #[command(hide = true)]
    DemoAgent,
}

/// `resume`
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// The agent that met its limit, or could not be used, and was paused for that.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Where to make `repo` and `state`; default: a new folder in the temporary directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Stop wherever a person is needed and let you play the person.
    #[arg(long)]
    pub pause: bool,
}

/// `init`
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Where issues live.
    #[arg(long, value_name = "KIND", value_parser = tracker_kind, default_value = "local")]
    pub tracker: TrackerKind,
    /// The address of the project on a server, as people open it; or `env:NAME`, the variable that holds it.
    #[arg(long, value_name = "URL")]
    pub project: Option<String>,
    /// The variable that holds the tracker's credential; default for GitLab: GITLAB_API_TOKEN, for Backlog: BACKLOG_API_KEY.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// For Backlog, in place of a key: the file with the tokens of an OAuth application, whose id and secret are in
    /// BACKLOG_CLIENT_ID and BACKLOG_CLIENT_SECRET.
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    pub oauth_tokens: Option<PathBuf>,
    /// The agent's command, quoted as in a shell: "my-agent --quiet".
    #[arg(long, value_name = "COMMAND")]
    pub agent: String,
    /// What the agent is called; default: its program's name.
    #[arg(long, value_name = "NAME")]
    pub agent_name: Option<String>,
    /// A person who may start issues and give the OK; repeatable. Default on the local tracker: you.
    #[arg(long = "approver", value_name = "ACCOUNT")]
    pub approvers: Vec<String>,
    /// A check to run on every merged tree, quoted as in a shell; repeatable.
    #[arg(long = "verify", value_name = "COMMAND")]
    pub verify: Vec<String>,
    /// Where the OK is given.
    #[arg(long, value_name = "PLACE", value_parser = place, default_value = "terminal")]
    pub local_ok: Place,
    /// The approver's folder, for `--local-ok owner`.
    #[arg(long, value_name = "DIR")]
    pub owner_folder: Option<PathBuf>,
    /// The branch work lands on; default: the one checked out now.
    #[arg(long, value_name = "BRANCH")]
    pub target: Option<String>,
    /// The state directory; default: one per repository in your own state folder.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How many agents may work at the same time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,
    /// Replace a configuration that is already there.
    #[arg(long)]
    pub force: bool,
}

/// `triage`, `check`, `dispatch`, `integrate`
#[derive(Debug, Args)]
pub struct StageArguments {
    /// Only this issue.
    #[arg(value_parser = issue_key)]
    pub issue: Option<IssueKey>,
    /// Do it again for this issue, although nothing changed (triage and check).
    #[arg(long, requires = "issue")]
    pub again: bool,
    /// Say what would be done; call no agent, write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do nothing outside the schedule's interval and active hours (for timers).
    #[arg(long)]
    pub scheduled: bool,
}

/// `review`
#[derive(Debug, Args)]
pub struct ReviewArguments {
    /// The candidate, by its short or full id; default: every one that waits.
    pub candidate: Option<String>,
    /// Look as the owner of the approvals folder: only the repository is read, no configuration.
    #[arg(long)]
    pub owner: bool,
    /// Only the summary, without the diff.
    #[arg(long)]
    pub stat: bool,
}

/// `approve`
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The candidate, by its short or full id.
    pub candidate: String,
    /// Hold classes this OK lifts.
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// A protected operation this OK lifts, by its id; repeatable.
    #[arg(long, value_name = "ID")]
    pub protected: Vec<String>,
    /// Give the OK as the owner of this folder (gate `owner`): only the repository is read, no configuration.
    #[arg(long, value_name = "DIR")]
    pub owner_folder: Option<PathBuf>,
}

/// `reject`
#[derive(Debug, Args)]
pub struct RejectArguments {
    /// The candidate, by its short or full id.
    pub candidate: String,
    /// The issue whose patch goes back.
    #[arg(value_parser = issue_key)]
    pub issue: IssueKey,
    /// Why: the agent reads it.
    #[arg(long)]
    pub reason: String,
}

/// `ship`
#[derive(Debug, Args)]
pub struct ShipArguments {
    /// The landed commit; default: the target's tip.
    pub commit: Option<String>,
    /// Give the permission for this commit under the rules as they are now; nothing is run.
    #[arg(long)]
    pub permit: bool,
    /// Ship a commit whose earlier shipping a person has looked at; its full id.
    #[arg(long, value_name = "COMMIT")]
    pub again: Option<String>,
    /// Say what is missing; run nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// One issue.
#[derive(Debug, Args)]
pub struct IssueArgument {
    /// The issue.
    #[arg(value_parser = issue_key)]
    pub issue: IssueKey,
}

/// `conflicts`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConflictsArguments {
    /// JSON lines {"issue":"A-1","files":["src/a.rs"],"priority":2}, one issue each; `-` is standard input. Default:
    /// standard input where something is piped into it, else the current issues.
    pub issues: Option<PathBuf>,
    /// The current issues, whatever standard input is.
    #[arg(long, conflicts_with = "issues")]
    pub current: bool,
    #[command(flatten)]
    pub rules: RulesArguments,
    #[command(subcommand)]
    pub command: Option<ConflictsCommand>,
}

/// What else `conflicts` can do.
#[derive(Debug, Subcommand)]
pub enum ConflictsCommand {
    /// Look for rules of a rules file that are dead, shadowed or ambiguous.
    CheckRules(CheckRulesArguments),
}

/// Which rules decide over issues that are given as JSON lines.
#[derive(Debug, Args)]
pub struct RulesArguments {
    /// A repository: its files choose the presets, its history the coupling.
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// A rules file over the presets.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Count files that change together in the repository's history as one area, whatever the rules file says.
    #[arg(long, requires = "repo")]
    pub coupling: bool,
}

/// `conflicts check-rules`
#[derive(Debug, Args)]
pub struct CheckRulesArguments {
    /// The rules file.
    pub file: PathBuf,
    /// A repository: what matches none of its files is dead.
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
}

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Only this stage; repeatable.
    #[arg(long = "stage", value_name = "STAGE", value_parser = stage)]
    pub stages: Vec<Stage>,
    /// Stop when nothing is left to do and no person is waited for (for scripts).
    #[arg(long)]
    pub until_idle: bool,
}

/// `schedule`
#[derive(Debug, Args)]
pub struct ScheduleArguments {
    /// Which system starts it.
    pub system: UnitSystem,
    /// Write the files into this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

/// What starts programs on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitSystem {
    /// macOS.
    Launchd,
    /// Most of Linux.
    Systemd,
    /// Everywhere.
    Cron,
}

/// `pause`
#[derive(Debug, Args)]
pub struct PauseArguments {
    /// Why, for the others.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `release`
#[derive(Debug, Args)]
pub struct ReleaseArguments {
    /// The claim: the number of its work-start memo.
    #[arg(value_parser = comment_id)]
    pub claim: CommentId,
    /// Why, for the thread.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `recover`
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// Do it, instead of only saying it.
    #[arg(long)]
    pub apply: bool,
}

/// `gc`
#[derive(Debug, Args)]
pub struct GcArguments {
    /// Remove what may go, instead of only saying it.
    #[arg(long)]
    pub apply: bool,
    /// How long ago a run must have ended before anything of it may go.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub grace_days: u32,
}

/// `log`
#[derive(Debug, Args)]
pub struct LogArguments {
    /// The run; default: the list.
    pub run: Option<String>,
}

/// `work`
#[derive(Debug, Args)]
pub struct WorkArguments {
    /// A file with the request as JSON; `-` is standard input.
    pub request: PathBuf,
}

/// `issue`
#[derive(Debug, Args)]
pub struct IssueArguments {
    /// Who does it; default: you.
    #[arg(long = "as", value_name = "LOGIN", global = true)]
    pub login: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: IssueCommand,
}

/// What a person does on the local tracker.
#[derive(Debug, Subcommand)]
pub enum IssueCommand {
    /// File an issue.
    New {
        /// Its title.
        title: String,
        /// Its description; `-` reads standard input.
        #[arg(long, default_value = "")]
        body: String,
        /// A label; repeatable.
        #[arg(long = "label", value_name = "LABEL")]
        labels: Vec<String>,
        /// Its milestone.
        #[arg(long)]
        milestone: Option<String>,
        /// Its type.
        #[arg(long)]
        kind: Option<String>,
        /// Lower is more urgent.
        #[arg(long)]
        priority: Option<i64>,
    },
    /// List issues.
    List {
        /// Only in this status; repeatable.
        #[arg(long = "status", value_name = "STATUS")]
        statuses: Vec<String>,
    },
    /// Show an issue with its thread and history.
    Show {
        /// The issue.
        #[arg(value_parser = issue_key)]
        issue: IssueKey,
    },
    /// Write a comment.
    Comment {
        /// The issue.
        #[arg(value_parser = issue_key)]
        issue: IssueKey,
        /// The text; `-` reads standard input.
        text: String,
    },
    /// Move an issue to another status.
    Move {
        /// The issue.
        #[arg(value_parser = issue_key)]
        issue: IssueKey,
        /// The status, by its name.
        status: String,
    },
    /// Attach a file.
    Attach {
        /// The issue.
        #[arg(value_parser = issue_key)]
        issue: IssueKey,
        /// The file.
        file: PathBuf,
    },
}

fn issue_key(text: &str) -> Result<IssueKey, InvalidIssueKey> {
    IssueKey::new(text)
}

fn tracker_kind(text: &str) -> Result<TrackerKind, String> {
    match text {
        "local" => Ok(TrackerKind::Local),
        "gitlab" => Ok(TrackerKind::Gitlab),
        "backlog" => Ok(TrackerKind::Backlog),
        _ => Err("there are: local, gitlab, backlog".to_owned()),
    }
}

fn place(text: &str) -> Result<Place, String> {
    match text {
        "terminal" => Ok(Place::Terminal),
        "owner" => Ok(Place::Owner),
        "tracker" => Ok(Place::Tracker),
        _ => Err("there are: terminal, owner, tracker".to_owned()),
    }
}

fn stage(text: &str) -> Result<Stage, String> {
    let all = [
        Stage::Triage,
        Stage::Check,
        Stage::Dispatch,
        Stage::Integrate,
    ];
    let found = all.into_iter().find(|s| s.name() == text);
    found.ok_or_else(|| "there are: triage, check, dispatch, integrate".to_owned())
}

fn comment_id(text: &str) -> Result<CommentId, String> {
    let digits = text.trim_start_matches('#');
    let id = digits.parse().map(CommentId);
    id.map_err(|_| "a claim is named by the number of its work-start memo, like 17".to_owned())
}
