//! The stage of the demo: a repository, a configuration, a tracker with issues.

use std::path::Path;
use std::path::PathBuf;

use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::Wrapper;
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;
use toml_edit::Array;
use toml_edit::Value;

use super::shop;
use super::work;
use crate::config::template::Draft;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::surroundings::StateDir;
use crate::surroundings::Surroundings;

/// Who files issues.
pub(super) const REPORTER: &str = "mika";
/// Who starts issues and gives the OK.
pub(super) const APPROVER: &str = "rei";
const AGENT: &str = "demo";

/// The places of the demo.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) dir: PathBuf,
    pub(super) repo: PathBuf,
    pub(super) state: StateDir,
    pub(super) config: PathBuf,
    pub(super) confined_by: Option<&'static str>,
}

impl Setting {
    /// Makes everything but the issues.
    pub(super) async fn make(context: &Context, dir: PathBuf) -> Result<Self, Failure> {
        let taken = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
        if taken {
            let text = format!(
                "{} is not empty: name a new folder with --dir",
                dir.display()
            );
            return Err(Failure::refused(text));
        }
        std::fs::create_dir_all(&dir)?;
        let dir = dir.canonicalize()?;
        let repo = dir.join("repo");
        let state = StateDir::at(dir.join("state"));
        shop::write(&repo)?;
        begin_history(&repo, &context.around).await?;
        state.prepare()?;
        let confined = wrapper_works(&context.around, &state).await;
        let config = state.config();
        let text =
            configuration(&context.around, &repo, &state, confined).map_err(Failure::usage)?;
        std::fs::write(&config, text)?;
        LocalTracker::init(state.path().join("tracker"), &LocalStatuses::default())?;
        let confined_by = confined.then_some(if cfg!(target_os = "macos") {
            "sandbox-exec"
        } else {
            "bubblewrap"
        });
        Ok(Self {
            dir,
            repo,
            state,
            config,
            confined_by,
        })
    }

    /// Returns the tracker as a person.
    pub(super) fn tracker_as(&self, login: &str) -> Result<LocalTracker, Failure> {
        let person = Actor::person(login).map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(LocalTracker::open(
            self.state.path().join("tracker"),
            person,
        )?)
    }

    /// Files the issues, in order.
    pub(super) async fn file_issues(&self) -> Result<Vec<IssueKey>, Failure> {
        let reporter = self.tracker_as(REPORTER)?;
        let mut keys = Vec::new();
        for work in work::ALL {
            let draft = IssueDraft {
                title: work.title.to_owned(),
                body: work.body.to_owned(),
                ..IssueDraft::default()
            };
            keys.push(reporter.create_issue(&draft).await?.key);
        }
        Ok(keys)
    }
}

/// Runs git for the person whose repository it is: only the demo makes one.
pub(super) async fn git(
    repo: &Path,
    around: &Surroundings,
    arguments: &[&str],
) -> Result<String, Failure> {
    let report = ProcessSpec::new("git", repo)
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(arguments.iter().copied())
        .env("PATH", around.search_path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Mika")
        .env("GIT_AUTHOR_EMAIL", "mika@shop.example")
        .env("GIT_COMMITTER_NAME", "Mika")
        .env("GIT_COMMITTER_EMAIL", "mika@shop.example")
        .run()
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    if report.succeeded() {
        return Ok(report.stdout().text().into_owned());
    }
    let said = report.stderr().text().trim().to_owned();
    Err(Failure::new(
        Exit::Failed,
        format!("git {} failed: {said}", arguments.join(" ")),
    ))
}

async fn begin_history(repo: &Path, around: &Surroundings) -> Result<(), Failure> {
    git(repo, around, &["init", "--quiet"]).await?;
    git(repo, around, &["add", "--all"]).await?;
    git(
        repo,
        around,
        &["commit", "--quiet", "--message", "A small shop"],
    )
    .await?;
    Ok(())
}

/// Returns whether the machine's sandbox really works: it may be installed and still be forbidden.
async fn wrapper_works(around: &Surroundings, state: &StateDir) -> bool {
    let scratch = state.path().join("probe");
    let wrapper = match around.find_program("bwrap") {
        Some(program) if !cfg!(target_os = "macos") => Wrapper::bubblewrap().program(program),
        _ if cfg!(target_os = "macos") => Wrapper::sandbox_exec(),
        _ => return false,
    };
    std::fs::create_dir_all(&scratch).is_ok()
        && wrapper.hide(state.path()).probe(&scratch).await.is_ok()
}

fn configuration(
    around: &Surroundings,
    repo: &Path,
    state: &StateDir,
    confined: bool,
) -> Result<String, String> {
    let text = |path: &Path| {
        let unusable = || format!("the path {} is not UTF-8 text", path.display());
        path.to_str().map(str::to_owned).ok_or_else(unusable)
    };
    let program = text(&around.program)?;
    let agent = format!("agents.{AGENT}");
    let list = |words: &[&str]| Value::from(words.iter().copied().collect::<Array>());
    let mut draft = Draft::default();
    draft.name_agent(AGENT)?;
    draft.set(&agent, "command", list(&[&program, "demo-agent"]))?;
    draft.set(&agent, "author", "Demo agent <agent@shop.example>")?;
    draft.set(&agent, "read", list(&[&program]))?;
    draft.set(&agent, "workspace", "worktree")?;
    draft.set(&agent, "unconfined", !confined)?;
    draft.set("sandbox", "wrapper", if confined { "auto" } else { "none" })?;
    draft.set("repository", "dir", text(repo)?)?;
    draft.set("repository", "name", "shop")?;
    draft.set("state", "dir", text(state.path())?)?;
    draft.set("gates", "approvers", list(&[&format!("person:{APPROVER}")]))?;
    draft.set("gates", "local_ok", "tracker")?;
    draft.set("workers", "slots", list(&["demo-1", "demo-2", "demo-3"]))?;
    draft.set("workspace", "grace", "0s")?;
    draft.set("targets", "default", "main")?;
    let mut tests = toml_edit::InlineTable::new();
    tests.insert("name", "tests".into());
    tests.insert("run", list(&["sh", "tests/run.sh"]));
    draft.set(
        "verify",
        "commands",
        Value::from([tests].into_iter().collect::<Array>()),
    )?;
    draft.set("landing", "after_landing", "Resolved")?;
    draft.set("context", "docs", list(&["docs/api-types.md"]))?;
    draft.set("limits", "issues_per_tick", 10)?;
    Ok(draft.finish())
}
