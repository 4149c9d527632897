//! Anthropic's `claude`.

mod input;
mod preflight;
mod settings;
mod stream;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentCapabilities;
use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::AgentWatch;
use pipeline_core::agent::Confinement;
use pipeline_core::agent::LoopbackReach;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::process::ProcessSpec;
use pipeline_core::secret::Redactor;
use tokio::sync::OnceCell;

use self::settings::Reach;
use self::stream::Stream;
use crate::cli::CliOptions;
use crate::cli::Driven;
use crate::cli::Error;
use crate::cli::Folders;
use crate::cli::Image;
use crate::cli::Installation;
use crate::cli::Leftovers;
use crate::cli::Seen;
use crate::cli::Totals;
use crate::cli::Version;
use crate::cli::Wanted;
use crate::cli::check_loopback;
use crate::cli::drive;
use crate::cli::look_at;
use crate::cli::report;
use crate::schema::Schema;

const WANTED: Wanted = Wanted {
    needed: Version(2, 1, 328),
    package: "claude-code",
    native: "claude",
};
/// The variable of the model's key.
const KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";
/// The kernel's limit for one argument is 128 KiB.
const LARGEST_SCHEMA: usize = 120 << 10;
/// Folders of the program's own that its sandbox leaves in a workspace.
const OWN_FOLDERS: [&str; 1] = [".claude/.cc-writes"];
/// What a sandbox that was killed leaves in a workspace, and nobody would write there.
const LITTER: [&str; 9] = [
    ".claude/.cc-writes",
    ".bash_profile",
    ".bashrc",
    ".profile",
    ".ripgreprc",
    ".zprofile",
    ".zshrc",
    ".gitconfig",
    ".mcp.json",
];

/// `claude` as an agent.
///
/// In a task that may only look it has no shell at all: its own tools read the workspace and nothing beside. Otherwise
/// its commands run in its own sandbox: they see the system, the workspace and what was named, change only the
/// workspace, and have no network. In a task that drives a plan it has a shell that changes nothing and reaches one port of
/// the loopback. That sandbox opens the repository a worktree belongs to, so that the workspace has
/// to be a clone.
///
/// # Environment
/// Empty but for `PATH`, `HOME` (the task's state directory), `TMPDIR`, `LANG`, the model's key and address, the run's
/// mark, switches that turn off whatever else it would connect to, and what was named. Commands see none of the secrets.
#[derive(Debug)]
pub struct ClaudeAgent {
    options: CliOptions,
    redactor: Redactor,
    installation: OnceCell<Installation>,
    held_in: OnceCell<()>,
}

impl ClaudeAgent {
    /// Makes the agent. Nothing is started or looked at before its first task.
    #[must_use]
    pub fn new(options: CliOptions) -> Self {
        let redactor = options.redactor();
        Self {
            options,
            redactor,
            installation: OnceCell::new(),
            held_in: OnceCell::new(),
        }
    }

    /// Looks for the program and for what its sandbox needs, as a task would.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was started.
    pub async fn check(&self, task: &AgentTask) -> Result<String, AgentError> {
        let checked = async {
            let folders = self.options.folders(task)?;
            let installation = self.installation(&folders).await?;
            let held_in = self.preflight(&folders).await?;
            Ok((installation.version, held_in))
        };
        let name = &self.options.name;
        match checked.await.map_err(|error: Error| error.of(name))? {
            (version, None) => Ok(format!("{version}, in its own sandbox")),
            (_, Some(outcome)) => Err(AgentError::Other {
                agent: name.clone(),
                operation: format!("be held in: {outcome}"),
                source: None,
            }),
        }
    }

    async fn installation(&self, folders: &Folders) -> Result<&Installation, Error> {
        let options = &self.options;
        self.installation
            .get_or_try_init(|| {
                Installation::probe(
                    &WANTED,
                    &options.program,
                    &options.search_path,
                    &folders.temporary,
                )
            })
            .await
    }

    /// Looks once for what the sandbox needs; answers with the run's outcome if it does not hold.
    async fn preflight(&self, folders: &Folders) -> Result<Option<AgentOutcome>, Error> {
        if self.held_in.initialized() {
            return Ok(None);
        }
        let tried = preflight::try_out(&self.options.search_path, folders).await?;
        Ok(match tried {
            Ok(()) => {
                self.held_in.set(()).ok();
                None
            }
            Err(detail) => Some(AgentOutcome::SandboxUnavailable { detail }),
        })
    }

    async fn try_run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, Error> {
        check_loopback(task, self.loopback())?;
        let schema = task.schema.as_ref().map(Schema::new).transpose();
        let schema = schema.map_err(Error::Schema)?;
        let images = look_at(&task.images)?;
        let folders = self.options.folders(task)?;
        let installation = self.installation(&folders).await?;
        if settings::has_shell(task)
            && let Some(outcome) = self.preflight(&folders).await?
        {
            return Ok(AgentReport::of(outcome));
        }
        let leftovers = Leftovers::before(&folders.directory);
        let mut totals = Totals::of(&folders.home);
        let mut session = task.session.as_deref();
        loop {
            let mut seen = Seen::new(task, &self.options.rules);
            let before = totals.before(session).cost_micros;
            seen.before.cost_micros = Some(before);
            let now = || SystemClock.now();
            let mut events = Stream::new(settings::tools(task), folders.kept, &now);
            let spec = self.spec(installation, task, &folders, &images, session, before)?;
            let driven: Driven = drive(spec, None, &mut events, &mut seen, watch, &self.redactor)
                .await
                .map_err(Error::Process)?;
            if session.is_some() && events.lost_session() {
                session = None;
                continue;
            }
            leftovers.clear(&OWN_FOLDERS);
            if let Some(session) = &seen.session
                && let Err(error) = totals.add(session, &seen.usage)
            {
                tracing::warn!(%error, "what the session has used is not written down");
            }
            let answer = events.take_answer();
            let mut report = report(driven, &mut seen, schema.as_ref(), answer, &self.redactor);
            if events.denied() > 0 {
                let denied = events.denied().to_string();
                report
                    .notes
                    .insert("denied-by-its-own-rules".to_owned(), denied);
            }
            return Ok(report);
        }
    }

    fn spec(
        &self,
        installation: &Installation,
        task: &AgentTask,
        folders: &Folders,
        images: &[Image],
        session: Option<&str>,
        before: u64,
    ) -> Result<ProcessSpec, Error> {
        let options = &self.options;
        let mut spec = options
            .spec(&installation.program, task, folders)
            .envs(settings::SWITCHES)
            .args(settings::arguments(task));
        if let Some(url) = &options.base_url {
            spec = spec.env("ANTHROPIC_BASE_URL", url);
        }
        if let Some(key) = &options.key {
            spec = spec.env(KEY_VARIABLE, key.expose());
        }
        if let Some(model) = task.model.as_ref().or(options.model.as_ref()) {
            spec = spec.args(["--model", model]);
        }
        spec = match session {
            Some(session) => spec.args(["--resume", session]),
            None if folders.kept => spec,
            None => spec.arg("--no-session-persistence"),
        };
        if let Some(schema) = &task.schema {
            let schema = schema.to_string();
            let (size, most) = (schema.len(), LARGEST_SCHEMA);
            if size > most {
                return Err(Error::LargeSchema { size, most });
            }
            spec = spec.args(["--json-schema", &schema]);
        }
        if let Some(most) = task.limits.cost_micros {
            // What a resumed session has cost already counts.
            let most = most.saturating_add(before);
            let dollars = format!("{}.{:06}", most / 1_000_000, most % 1_000_000);
            spec = spec.args(["--max-budget-usd", &dollars]);
        }
        if settings::has_shell(task) {
            let own = options.key.iter().map(|_| KEY_VARIABLE);
            let secrets = own.chain(options.secret_names()).map(str::to_owned);
            let reach = Reach {
                directory: &folders.directory,
                temporary: &folders.temporary,
                read: &options.read,
                hidden: &options.hidden,
                secrets: secrets.collect(),
                writes: task.mode == RunMode::Implement,
                loopback: task.loopback.as_ref(),
            };
            let settings = reach.sandbox().to_string();
            spec = spec.args(["--allowedTools", "Bash", "--settings", &settings]);
        }
        if images.is_empty() {
            return Ok(spec.stdin(task.prompt.as_bytes()));
        }
        Ok(spec
            .args(["--input-format", "stream-json"])
            .stdin(input::with_images(&task.prompt, images)))
    }
}

#[async_trait]
impl Agent for ClaudeAgent {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities {
            enforces_read_only: true,
            structured_output: true,
            images: true,
            edits_files: true,
            resumes: true,
            workspace: WorkspaceKind::SeparateClone,
            confinement: Confinement::Confined {
                by: "claude's own sandbox".to_owned(),
            },
            litter: LITTER.map(str::to_owned).into(),
        }
    }

    /// Its sandbox has a bridge to one port, for a proxy of somebody else's.
    fn loopback(&self) -> Option<LoopbackReach> {
        cfg!(target_os = "linux").then_some(LoopbackReach::Port {
            seen_as: settings::BRIDGE,
        })
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        self.try_run(task, watch)
            .await
            .map_err(|error| error.of(&self.options.name))
    }
}
