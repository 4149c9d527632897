//! Hooks: the team's own commands around a workspace.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use pipeline_core::agent::RunId;
use pipeline_core::process::Access;
use pipeline_core::process::Capture;
use pipeline_core::process::Ending;
use pipeline_core::process::Exit;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::Reach;
use pipeline_core::process::Wrapper;

use crate::repository::create_private;

/// How much a hook may say before it is ended.
const FLOOD: u64 = 256 << 20;
/// How many of its last lines are shown when it fails.
const SHOWN: usize = 20;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookPoint {
    /// After a workspace was made: dependencies are installed here. A failure ends the run.
    AfterCreate,
    /// Before an agent starts. A failure ends the attempt.
    BeforeRun,
    /// After an agent ended, before its patch is taken. A failure is logged.
    AfterRun,
    /// Before a workspace is removed. A failure is logged.
    BeforeRemove,
    /// Before each verification. A failure ends it.
    BeforeVerify,
}

impl HookPoint {
    /// Returns its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterCreate => "after_create",
            Self::BeforeRun => "before_run",
            Self::AfterRun => "after_run",
            Self::BeforeRemove => "before_remove",
            Self::BeforeVerify => "before_verify",
        }
    }
}

/// One command with its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    argv: Vec<String>,
    deadline: Duration,
}

impl Hook {
    /// Describes a command by program and arguments; it has 10 minutes.
    #[must_use]
    pub fn new(argv: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            deadline: Duration::from_secs(600),
        }
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// The hooks of a repository and what they may reach.
///
/// A hook starts in its workspace with a cleared environment, a home folder of its own, the variables
/// named here, and under the wrapper where there is one.
///
/// # Examples
/// ```
/// use pipeline_git::{Hook, HookPoint, Hooks};
///
/// let hooks = Hooks::default()
///     .on(HookPoint::AfterCreate, Hook::new(["npm", "ci"]))
///     .env("PATH", "/usr/local/bin:/usr/bin:/bin");
/// # let _ = hooks;
/// ```
#[derive(Clone, Default)]
pub struct Hooks {
    hooks: Vec<(HookPoint, Hook)>,
    env: Vec<(String, String)>,
    wrapper: Option<Wrapper>,
}

impl Hooks {
    /// Sets the command of one point.
    #[must_use]
    pub fn on(mut self, point: HookPoint, hook: Hook) -> Self {
        self.hooks.retain(|(there, _)| *there != point);
        self.hooks.push((point, hook));
        self
    }

    /// Passes one variable to every hook.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Confines every hook.
    #[must_use]
    pub fn wrapper(mut self, wrapper: Wrapper) -> Self {
        self.wrapper = Some(wrapper);
        self
    }

    /// Runs the command of a point; nothing where there is none.
    ///
    /// `workspace` is the directory it starts in, `home` a folder beside it.
    pub(crate) async fn run(
        &self,
        point: HookPoint,
        workspace: &Path,
        home: &Path,
        run: Option<&RunId>,
    ) -> Result<(), HookFailure> {
        let Some((_, hook)) = self.hooks.iter().find(|(there, _)| *there == point) else {
            return Ok(());
        };
        let failed = |detail| HookFailure { point, detail };
        let Some((program, args)) = hook.argv.split_first() else {
            return Err(failed(
                "its command is empty: name a program in the configuration".to_owned(),
            ));
        };
        create_private(home)
            .map_err(|error| failed(format!("its home folder cannot be made: {error}")))?;
        let mut spec = ProcessSpec::new(program, workspace)
            .args(args)
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("PIPELINE_HOOK", point.name())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .deadline(hook.deadline)
            .stdout(Capture::tail(16 << 10, FLOOD))
            .stderr(Capture::tail(16 << 10, FLOOD));
        if let Some(run) = run {
            spec = spec.run_id(run);
        }
        if let Some(wrapper) = &self.wrapper {
            let reach = Reach::new(workspace, Access::ReadWrite).write(home);
            spec = spec.confined(wrapper.clone(), reach);
        }
        let report = spec.run().await.map_err(|error| failed(chain(&error)))?;
        if report.succeeded() {
            return Ok(());
        }
        let how = match (report.ending(), report.exit()) {
            (Ending::Exited, Exit::Code(code)) => format!("it ended with code {code}"),
            (Ending::Deadline, _) => format!("it did not end within {} s", hook.deadline.as_secs()),
            (Ending::Flooded(_), _) => "it wrote without end".to_owned(),
            _ => "it was ended by a signal".to_owned(),
        };
        let said = [report.stdout().text(), report.stderr().text()].concat();
        let lines: Vec<_> = said.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(SHOWN)..)
            .unwrap_or_default();
        Err(failed(if last.is_empty() {
            how
        } else {
            format!("{how}: {}", last.join("\n"))
        }))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Hooks")
            .field("hooks", &self.hooks)
            .field("env", &names)
            .field("wrapper", &self.wrapper)
            .finish()
    }
}

/// A hook that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hook {} failed: {detail}", point.name())]
pub(crate) struct HookFailure {
    pub(crate) point: HookPoint,
    pub(crate) detail: String,
}

/// Writes an error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(hooks: &Hooks, dir: &Path) -> Result<(), HookFailure> {
        hooks
            .run(HookPoint::AfterCreate, dir, &dir.join("home"), None)
            .await
    }

    fn shell(script: &str) -> Hooks {
        Hooks::default().on(HookPoint::AfterCreate, Hook::new(["sh", "-c", script]))
    }

    #[tokio::test]
    async fn a_hook_starts_in_its_workspace_with_named_variables_only() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let hooks = shell("env > seen && pwd >> seen").env("TEAM", "shop");
        run(&hooks, dir.path()).await.expect("it succeeds");
        let seen = std::fs::read_to_string(dir.path().join("seen")).expect("written there");
        assert!(seen.contains("TEAM=shop\n") && seen.contains("PIPELINE_HOOK=after_create\n"));
        assert!(!seen.contains("CARGO"), "{seen}");
        assert!(
            !format!("{hooks:?}").contains("shop"),
            "values are not shown"
        );
        run(&Hooks::default(), dir.path())
            .await
            .expect("no hook is no failure");
    }

    #[tokio::test]
    async fn a_failure_shows_the_last_lines() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let error = run(&shell("echo out; echo err >&2; exit 3"), dir.path())
            .await
            .expect_err("3");
        insta::assert_snapshot!(error, @r"
        hook after_create failed: it ended with code 3: out
        err
        ");
        let error = run(
            &Hooks::default().on(HookPoint::AfterCreate, Hook::new(["/none/such"])),
            dir.path(),
        )
        .await
        .expect_err("missing");
        assert!(error.to_string().contains("/none/such"), "{error}");
    }

    #[tokio::test]
    async fn a_hook_that_overstays_is_ended() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let hook = Hook::new(["sleep", "600"]).deadline(Duration::from_millis(50));
        let hooks = Hooks::default().on(HookPoint::AfterCreate, hook);
        let error = run(&hooks, dir.path()).await.expect_err("too long");
        assert!(error.detail.starts_with("it did not end"), "{error}");
    }
}
