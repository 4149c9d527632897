//! `doctor`: everything the pipeline depends on, each with its cure.

use std::path::Path;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::issue::AccountRef;
use pipeline_core::journal::FileJournal;
use pipeline_core::journal::Journal as _;
use pipeline_core::journal::aloud;
use pipeline_core::journal::still_open;
use pipeline_core::ledger::Ledger;
use pipeline_core::process::Wrapper;
use pipeline_core::status::Status;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerError;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::WorkspaceProvider as _;
use pipeline_git::GitWorkspaces;
use pipeline_git::WorkspaceOptions;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::exit::one_line;
use crate::compose;
use crate::config::model::AgentKind;
use crate::config::model::AgentSection;
use crate::config::model::Place;
use crate::config::model::TrackerKind;
use crate::sandbox;
use crate::surroundings::read_secret;
use crate::terminal::Style;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

/// Most records of the journal that are said aloud.
const MOST_RECORDS: usize = 20;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    name: String,
    state: State,
    said: String,
    cure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Broken,
}

impl Check {
    fn ok(name: impl Into<String>, said: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Ok,
            said: said.into(),
            cure: None,
        }
    }

    fn warning(name: impl Into<String>, said: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Warning,
            said: said.into(),
            cure: Some(cure.into()),
        }
    }

    fn broken(name: impl Into<String>, said: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Broken,
            said: said.into(),
            cure: Some(cure.into()),
        }
    }
}

pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let checks = all(context, &workplace).await;
    let out = &context.out;
    for check in &checks {
        let (style, mark) = match check.state {
            State::Ok => (Style::Good, "ok     "),
            State::Warning => (Style::Warn, "warning"),
            State::Broken => (Style::Bad, "broken "),
        };
        let mark = out.paint(style, mark);
        out.line(format!(
            "{mark}  {:<22}  {}",
            escape_line(&check.name),
            escape_line(&check.said)
        ))?;
        if let Some(cure) = &check.cure {
            out.line(format!("{:31}  → {}", "", escape_line(cure)))?;
        }
    }
    out.result(&checks)?;
    let worst = checks.iter().map(|c| c.state).max();
    Ok(if worst == Some(State::Broken) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

async fn all(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let mut checks = vec![Check::ok(
        "configuration",
        workplace.loaded.path.display().to_string(),
    )];
    checks.extend(state(context, workplace));
    checks.extend(repository(context, workplace).await);
    checks.extend(tracker(context, workplace).await);
    checks.extend(gates(workplace));
    let wrapper = sandbox::wrapper(
        &context.around,
        workplace,
        None,
        workplace.config().sandbox.network,
    );
    checks.push(confinement(workplace, &wrapper).await);
    for (name, agent) in &workplace.config().agents {
        checks.extend(self::agent(context, workplace, name, agent).await);
    }
    if workplace.config().agents.is_empty() {
        let cure = "name one in [agents.NAME], or run `issue-pipeline init --agent COMMAND`";
        checks.push(Check::broken("agents", "no agent is configured", cure));
    }
    checks.extend(roles(workplace));
    checks.extend(commands(context, workplace));
    checks
}

fn state(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let name = "state directory";
    let shown = workplace.state.path().display().to_string();
    if let Err(error) = workplace.state.prepare() {
        return vec![Check::broken(
            name,
            one_line(&error),
            "name another place in [state] dir",
        )];
    }
    let concerns = workplace
        .state
        .concerns(&context.around, workplace.repository.as_ref());
    let mut checks = vec![signing(workplace)];
    checks.extend(journal(workplace));
    if concerns.is_empty() {
        checks.insert(0, Check::ok(name, shown));
        return checks;
    }
    let cure = "move it, and name the place in [state] dir";
    let concerns = concerns
        .into_iter()
        .map(|c| Check::warning(name, format!("{shown}: {c}"), cure));
    concerns.chain(checks).collect()
}

fn signing(workplace: &Workplace) -> Check {
    let section = &workplace.config().signing;
    let name = "signed memos";
    if section.key.is_none() {
        // Everything works without one, so it is said and not held against anybody.
        let said = "off: who may edit the pipeline's comments can change what they say, and only a reader who saw \
                    them before notices";
        return Check::ok(name, said);
    }
    let old = section.old.len();
    Check::ok(
        name,
        format!("by key `{}`; {old} older key(s) are read", section.id),
    )
}

/// Reads the journal aloud: how much stands in it, and what of it is not over.
fn journal(workplace: &Workplace) -> Vec<Check> {
    let name = "journal";
    let path = workplace.state.path().join("journal.jsonl");
    if !path.exists() {
        return vec![Check::ok(name, "nothing was begun yet")];
    }
    let read = FileJournal::open(&path).and_then(|journal| journal.entries());
    let entries = match read {
        Ok(entries) => entries,
        Err(error) => {
            let cure =
                "look at the file beside the threads, then move it aside: a new one is begun";
            return vec![Check::broken(name, one_line(&error), cure)];
        }
    };
    let open = still_open(&entries);
    let mut checks = vec![Check::ok(
        name,
        format!(
            "{} record(s), {} of something that is not over",
            entries.len(),
            open.len()
        ),
    )];
    for entry in open.iter().take(MOST_RECORDS) {
        checks.push(Check::ok("  not over", aloud(entry)));
    }
    if open.len() > MOST_RECORDS {
        let more = open.len() - MOST_RECORDS;
        checks.push(Check::ok(
            "  not over",
            format!("and {more} more: `recover` shows all"),
        ));
    }
    checks
}

async fn repository(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let name = "repository";
    let Some(found) = &workplace.repository else {
        let said = "there is none: only triage works";
        return vec![Check::warning(
            name,
            said,
            "name its working tree in [repository] dir",
        )];
    };
    let git = match compose::repository::git(&context.around, found, &workplace.state).await {
        Ok(git) => git,
        Err(error) => {
            let cure = "install git 2.36 or newer, or correct [repository] dir";
            return vec![Check::broken(name, one_line(&error), cure)];
        }
    };
    let version = git.git_version();
    let said = format!("{}, git {version}", found.root.display());
    let mut checks = vec![Check::ok(name, said)];
    for hole in version.known_holes() {
        let cure = "update git, unless your distribution has mended this one";
        checks.push(Check::warning(name, format!("git {version}: {hole}"), cure));
    }
    let workspaces = GitWorkspaces::new(&git, WorkspaceOptions::default());
    let targets = &workplace.config().targets;
    let named = targets.default.iter().chain(targets.by_label.values());
    for branch in named.chain(targets.by_milestone.values()) {
        let Ok(target) = Target::new(branch.clone()) else {
            continue;
        };
        checks.push(match workspaces.base(&target).await {
            Ok(base) => Check::ok("target", format!("{target} at {}", base.commit.short())),
            Err(error) => {
                let cure = "make its first commit, or name another branch in [targets]";
                Check::broken("target", one_line(&error), cure)
            }
        });
    }
    if targets.default.is_none() {
        let cure = "name the branch work lands on in [targets] default";
        checks.push(Check::broken("target", "none is named", cure));
    }
    checks
}

async fn tracker(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let opened = match compose::tracker::open(workplace, &context.around).await {
        Ok(opened) => opened,
        Err(error) => {
            let cure = "run `issue-pipeline init`, or correct [tracker]";
            return vec![Check::broken("tracker", one_line(&error), cure)];
        }
    };
    let tracker = opened.tracker;
    let mut checks = vec![Check::ok("tracker", opened.shown)];
    match tracker.me().await {
        Ok(me) => {
            let ours = workplace
                .config()
                .tracker
                .accounts
                .iter()
                .any(|a| a.names(&me.value));
            checks.push(if ours {
                Check::ok("own account", &me.value.id)
            } else {
                let said = format!(
                    "the pipeline writes as {}, which [tracker] accounts does not name",
                    me.value.id
                );
                Check::broken(
                    "own account",
                    said,
                    format!("accounts = [\"{}\"]", me.value.id),
                )
            });
            let gates = &workplace.config().gates;
            if gates
                .approvers
                .iter()
                .chain(gates.starters())
                .any(|p| p.names(&me.value))
            {
                let said = format!(
                    "{} is the pipeline's own account and an approver",
                    me.value.id
                );
                checks.push(Check::broken(
                    "approvers",
                    said,
                    "name people in [gates] approvers and starters",
                ));
            }
        }
        Err(error) => checks.push(Check::broken(
            "own account",
            one_line(&error),
            "make the tracker readable for this account: its folder, or its credential and role",
        )),
    }
    checks.push(statuses(workplace, &*tracker).await);
    if let Some(probe) = opened.probe {
        match probe.probe().await {
            Ok(findings) => checks.extend(
                findings
                    .into_iter()
                    .map(|found| Check::broken("role and project", found.what, found.cure)),
            ),
            Err(error) => {
                let cure = "make the project visible to this account, or correct [tracker] project";
                checks.push(Check::broken("role and project", one_line(&error), cure));
            }
        }
    }
    checks
}

/// Asks the local tracker for each status by the name that the configuration gives it.
async fn local_statuses(workplace: &Workplace) -> Result<(), TrackerError> {
    let tracker = LocalTracker::open(workplace.tracker_dir(), Actor::pipeline())?;
    let wanted = &workplace.config().tracker.statuses;
    let after = workplace.config().landing.after_landing.iter();
    let names = [&wanted.open, &wanted.spec_review, &wanted.in_progress];
    for name in names.into_iter().chain(after) {
        tracker.status_named(name).await?;
    }
    Ok(())
}

async fn statuses(workplace: &Workplace, tracker: &dyn Tracker) -> Check {
    let wanted = &workplace.config().tracker.statuses;
    let after = workplace.config().landing.after_landing.iter();
    let starting = [Status::Open, Status::SpecReview, Status::InProgress];
    let statuses = starting
        .into_iter()
        .chain(after.map(|name| Status::Other(name.clone())));
    let query = IssueQuery {
        statuses: statuses.collect(),
        // The names matter, not the issues.
        updated_since: Some(SystemClock.now()),
    };
    let known = match workplace.config().tracker.kind {
        // The folder has names of its own, by which it is opened: only comparing shows a difference.
        TrackerKind::Local => local_statuses(workplace).await,
        _ => tracker.list_issues(&query).await.map(drop),
    };
    if let Err(error) = known {
        let cure = match &error {
            TrackerError::StatusRenamed { .. } => {
                "rename it back, or correct [tracker.statuses] and [tracker.gitlab.label_ids]"
            }
            _ => "create it, or change its name in [tracker.statuses] or [landing] after_landing",
        };
        return Check::broken("statuses", one_line(&error), cure);
    }
    Check::ok(
        "statuses",
        format!(
            "{} → {} → {}",
            wanted.open, wanted.spec_review, wanted.in_progress
        ),
    )
}

fn gates(workplace: &Workplace) -> Vec<Check> {
    let gates = &workplace.config().gates;
    let shown = |people: &[AccountRef]| {
        people
            .iter()
            .map(|p| p.0.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut checks = Vec::new();
    checks.push(if gates.starters().is_empty() {
        Check::broken(
            "start gate",
            "nobody may start an issue",
            "name people in [gates] approvers",
        )
    } else {
        Check::ok("start gate", shown(gates.starters()))
    });
    checks.push(match gates.local_ok {
        Place::Terminal => {
            let said =
                "terminal: whoever works as the pipeline's user, programs included, could give it";
            let cure = "for a server: local_ok = \"owner\", with a folder of another user";
            Check::warning("local OK", said, cure)
        }
        Place::Owner => owner_folder(workplace),
        Place::Tracker if gates.approvers.is_empty() => Check::broken(
            "local OK",
            "nobody may give it",
            "name people in [gates] approvers",
        ),
        Place::Tracker if workplace.config().tracker.kind != TrackerKind::Local => Check::ok(
            "local OK",
            format!("tracker, by {}", shown(&gates.approvers)),
        ),
        Place::Tracker => {
            let said = format!(
                "tracker, by {}; who can write the local tracker's folder can forge it",
                shown(&gates.approvers)
            );
            Check::warning("local OK", said, "for a server: local_ok = \"owner\"")
        }
    });
    checks
}

fn owner_folder(workplace: &Workplace) -> Check {
    use std::os::unix::fs::MetadataExt as _;
    let name = "local OK";
    let Some(folder) = &workplace.config().gates.owner_folder else {
        return Check::broken(
            name,
            "no folder is named",
            "name one in [gates] owner_folder",
        );
    };
    let folder = workplace.loaded.resolve(folder);
    let shown = folder.display();
    let meta = match std::fs::metadata(&folder) {
        Ok(meta) if meta.is_dir() => meta,
        _ => {
            return Check::broken(
                name,
                format!("{shown} is no folder"),
                "its owner makes it: mkdir -m 755",
            );
        }
    };
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() == us {
        let cure = "give it to another user of this machine: chown";
        return Check::broken(
            name,
            format!("{shown} belongs to the pipeline's own user"),
            cure,
        );
    }
    if rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).is_ok() {
        let cure = "its owner closes it: chmod 755";
        return Check::broken(
            name,
            format!("{shown} can be written by the pipeline's own user"),
            cure,
        );
    }
    Check::ok(name, format!("owner, {shown}"))
}

async fn confinement(workplace: &Workplace, wrapper: &Result<Wrapper, String>) -> Check {
    let name = "sandbox";
    let cure = "install bubblewrap (Linux), or name a wrapper of your own in [sandbox] wrapper";
    let wrapper = match wrapper {
        Ok(wrapper) => wrapper,
        Err(why) => return Check::broken(name, why.clone(), "correct [sandbox] wrapper"),
    };
    let scratch = workplace.state.path().join("probe");
    if let Err(error) = std::fs::create_dir_all(&scratch) {
        return Check::broken(name, error.to_string(), "make the state directory writable");
    }
    match (wrapper.confinement(), wrapper.probe(&scratch).await) {
        (pipeline_core::agent::Confinement::Unconfined, _) => {
            let said = "unconfined: hooks, checks and command agents can read whatever you can";
            Check::warning(name, said, cure)
        }
        (pipeline_core::agent::Confinement::Confined { by }, Ok(())) => Check::ok(name, by),
        (_, Err(error)) => Check::broken(name, one_line(&error), cure),
    }
}

async fn agent(
    context: &Context,
    workplace: &Workplace,
    name: &str,
    agent: &AgentSection,
) -> Vec<Check> {
    let title = format!("agent {name}");
    let mut checks = Vec::new();
    match agent.kind {
        AgentKind::Command => {
            let program = agent.command.first().map_or("", String::as_str);
            checks.push(match context.around.find_program(program) {
                Some(path) => Check::ok(&title, path.display().to_string()),
                None => Check::broken(
                    &title,
                    format!("there is no program `{program}`"),
                    "install it, or correct its path",
                ),
            });
        }
        AgentKind::Api => {
            checks.push(api(context, workplace, name, agent).await);
            checks.extend(paused(workplace, name));
            return checks;
        }
        AgentKind::Codex | AgentKind::Claude => {
            let found = compose::agents::check(workplace, &context.around, name, agent).await;
            checks.push(match found {
                Ok(found) => Check::ok(&title, format!("{} {found}", kind_name(agent.kind))),
                Err(error) => {
                    let cure =
                        "install it (and bubblewrap and socat on Linux), or correct its section";
                    Check::broken(&title, one_line(&*error), cure)
                }
            });
        }
    }
    checks.extend(paused(workplace, name));
    for variable in agent
        .env
        .iter()
        .filter(|v| context.around.variable(v).is_none())
    {
        let said = format!("variable {variable} is not set");
        checks.push(Check::warning(
            &title,
            said,
            "export it, or name a file with --env-file",
        ));
    }
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    for (variable, source) in &agent.secrets {
        if let Err(error) = read_secret(source, &context.around, directory).await {
            let said = format!("{variable}: {}", one_line(&error));
            checks.push(Check::broken(
                &title,
                said,
                "correct `secrets`, or put the secret there",
            ));
        }
    }
    if agent.kind != AgentKind::Command {
        // It is held in by itself, which was tried above.
        return checks;
    }
    let wrapper = sandbox::wrapper(
        &context.around,
        workplace,
        agent.wrapper.as_ref(),
        agent.network,
    );
    let held =
        wrapper.is_ok_and(|w| w.confinement() != pipeline_core::agent::Confinement::Unconfined);
    if !held && agent.unconfined {
        let said = "unconfined, as configured: memos say so";
        checks.push(Check::warning(
            &title,
            said,
            "install bubblewrap, then take `unconfined` away",
        ));
    } else if !held {
        let said = "nothing enforces its read-only mode, so the local check refuses it";
        checks.push(Check::broken(
            &title,
            said,
            "install bubblewrap, or set unconfined = true",
        ));
    }
    checks
}

/// Looks at what a bare model needs; the service itself is not asked, since every question costs.
async fn api(context: &Context, workplace: &Workplace, name: &str, agent: &AgentSection) -> Check {
    match compose::agents::api(workplace, &context.around, name, agent, &mut Vec::new()).await {
        Ok(_) => {
            let model = agent.model.as_deref().unwrap_or_default();
            let mut said = format!("model {model} behind a web service, for triage");
            if agent.api.input_usd.is_none() {
                said.push_str("; without prices, limits of money do not see it");
            }
            Check::ok(format!("agent {name}"), said)
        }
        Err(error) => Check::broken(
            format!("agent {name}"),
            one_line(&error),
            "correct `model` and [agents.NAME.api]",
        ),
    }
}

/// Says that an agent is paused.
fn paused(workplace: &Workplace, name: &str) -> Option<Check> {
    let path = workplace.state.path().join("ledger.jsonl");
    if !path.exists() {
        return None;
    }
    let title = format!("agent {name}");
    let pause = Ledger::open(&path).and_then(|l| l.pause(name, SystemClock.now()));
    match pause {
        Ok(None) => None,
        Ok(Some(pause)) => Some(Check::warning(
            title,
            format!("paused until {} ({})", pause.until, pause.reason),
            format!("`issue-pipeline resume --agent {name}` lets it go on at once"),
        )),
        Err(error) => Some(Check::broken(
            title,
            one_line(&error),
            "look at the file, then move it aside",
        )),
    }
}

/// Shows which agent does what, in order.
fn roles(workplace: &Workplace) -> Vec<Check> {
    let config = workplace.config();
    let only: Vec<String> = config.agents.keys().take(1).cloned().collect();
    let roles = &config.roles;
    [
        ("triage", &roles.triage),
        ("check", &roles.check),
        ("implement", &roles.implement),
    ]
    .into_iter()
    .filter_map(|(role, order)| {
        let names = order.as_ref().map_or(only.as_slice(), |o| o.names());
        (!names.is_empty()).then(|| Check::ok(format!("role {role}"), names.join(", then ")))
    })
    .collect()
}

const fn kind_name(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::Command => "command",
        AgentKind::Api => "api",
        AgentKind::Codex => "codex",
        AgentKind::Claude => "claude",
    }
}

fn commands(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let config = workplace.config();
    let mut checks = Vec::new();
    if config.verify.commands.is_empty() {
        let said = "nothing checks a merged tree: the OK is asked for unverified work";
        checks.push(Check::warning(
            "verify",
            said,
            "name your tests in [verify] commands",
        ));
    }
    let hooks = &config.workspace.hooks;
    let hook = |name: &str, hook: &Option<crate::config::model::HookSection>| {
        hook.as_ref()
            .map(|h| (format!("hook {name}"), h.run.clone()))
    };
    let named = (config
        .verify
        .commands
        .iter()
        .map(|c| (format!("verify {}", c.name), c.run.clone())))
    .chain(hook("after_create", &hooks.after_create))
    .chain(hook("before_run", &hooks.before_run))
    .chain(hook("after_run", &hooks.after_run))
    .chain(hook("before_remove", &hooks.before_remove))
    .chain(hook("before_verify", &hooks.before_verify))
    .chain([
        ("notify".to_owned(), config.notify.command.clone()),
        (
            "ship pre-check".to_owned(),
            config.gates.ship.pre_check.clone(),
        ),
        ("ship command".to_owned(), config.gates.ship.command.clone()),
    ]);
    for (name, words) in named {
        let Some(program) = words.first() else {
            continue;
        };
        // A path relative to the tree is only there once there is a tree.
        let in_tree = program.contains('/') && Path::new(program).is_relative();
        match context.around.find_program(program) {
            Some(path) => checks.push(Check::ok(name, path.display().to_string())),
            None if in_tree => checks.push(Check::ok(name, format!("{program}, in the tree"))),
            None => {
                let said = format!("there is no program `{program}`");
                checks.push(Check::broken(
                    name,
                    said,
                    "install it, or correct the command",
                ));
            }
        }
    }
    checks
}
