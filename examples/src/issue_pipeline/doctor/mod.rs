//! `doctor`: everything the pipeline depends on, each with its cure.

mod agents;
mod commands;
mod gates;
mod tracker;

use pipeline_core::journal::FileJournal;
use pipeline_core::journal::Journal as _;
use pipeline_core::journal::aloud;
use pipeline_core::journal::still_open;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::WorkspaceProvider as _;
use pipeline_git::GitWorkspaces;
use pipeline_git::WorkspaceOptions;
use serde::Serialize;

use crate::compose;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::issue_pipeline::exit::one_line;
use crate::sandbox;
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
    checks.extend(tracker::tracker(context, workplace).await);
    checks.extend(gates::gates(workplace));
    let wrapper = sandbox::wrapper(
        &context.around,
        workplace,
        None,
        workplace.config().sandbox.network,
    );
    checks.push(agents::confinement(workplace, &wrapper).await);
    for (name, agent) in &workplace.config().agents {
        checks.extend(agents::agent(context, workplace, name, agent).await);
    }
    if workplace.config().agents.is_empty() {
        let cure = "name one in [agents.NAME], or run `issue-pipeline init --agent COMMAND`";
        checks.push(Check::broken("agents", "no agent is configured", cure));
    }
    checks.extend(agents::roles(workplace));
    checks.extend(commands::commands(context, workplace));
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
