//! OpenAI's `codex`.

mod app_server;
mod exec;
mod failure;
mod hermetic;
mod items;
mod preflight;
mod strict;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

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
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::process::ProcessSpec;
use pipeline_core::secret::Redactor;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::sync::mpsc;

use self::app_server::AppServer;
use self::app_server::Turn;
use self::exec::Exec;
use self::hermetic::Reach;
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
    needed: Version(0, 169, 0),
    package: "codex",
    native: "vendor/{triple}/bin/codex",
};
/// How much may wait to be said to the app-server; it is never more than a few lines.
const UNSAID: usize = 16;

/// `codex` as an agent.
///
/// It is talked with through its app-server, or through `codex exec --json` where an installation has none. Its
/// commands run in its own sandbox under a permission profile made for the run: they see the system, the workspace and
/// what was named, change only the workspace (and nothing in a read-only task), and have no network; in a task that drives
/// a plan they reach one address of the loopback through its proxy. The workspace may
/// be a worktree of the repository, whose git directory they cannot change.
///
/// # Environment
/// Empty but for `PATH`, `HOME` and `CODEX_HOME` (in the task's state directory), `TMPDIR`, `LANG`, the model's key, the
/// run's mark, and what was named. Commands see none of the secrets.
#[derive(Debug)]
pub struct CodexAgent {
    options: CliOptions,
    redactor: Redactor,
    installation: OnceCell<Installation>,
    door: OnceCell<Door>,
    held_in: OnceCell<()>,
}

/// How it is talked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    AppServer,
    Exec,
}

impl CodexAgent {
    /// Makes the agent. Nothing is started or looked at before its first task.
    #[must_use]
    pub fn new(options: CliOptions) -> Self {
        let redactor = options.redactor();
        Self {
            options,
            redactor,
            installation: OnceCell::new(),
            door: OnceCell::new(),
            held_in: OnceCell::new(),
        }
    }

    /// Looks for the program and tries its sandbox, as a task would.
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
            let held_in = self.preflight(installation, task, &folders).await?;
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
        if let Some(outcome) = self.preflight(installation, task, &folders).await? {
            return Ok(AgentReport::of(outcome));
        }
        let home = self.codex_home(&folders)?;
        let leftovers = Leftovers::before(&folders.directory);
        let mut seen = Seen::new(task, &self.options.rules);
        let start = Start {
            agent: self,
            installation,
            task,
            folders: &folders,
            home: &home,
            images: &images,
            watch,
        };
        let driven = match self.door(installation, &folders).await? {
            Door::AppServer => start.app_server(&mut seen).await?,
            Door::Exec => start.exec(&mut seen).await?,
        };
        leftovers.clear(&[]);
        let answer = answer(task.schema.as_ref(), seen.message());
        Ok(report(
            driven,
            &mut seen,
            schema.as_ref(),
            answer,
            &self.redactor,
        ))
    }

    /// Finds out whether there is an app-server, once.
    async fn door(&self, installation: &Installation, folders: &Folders) -> Result<Door, Error> {
        let asked = || async {
            let report = ProcessSpec::new(&installation.program, &folders.directory)
                .args(["app-server", "--help"])
                .env("PATH", &self.options.search_path)
                .env("HOME", &folders.temporary)
                .run()
                .await
                .map_err(Error::Process)?;
            Ok(if report.succeeded() {
                Door::AppServer
            } else {
                Door::Exec
            })
        };
        self.door.get_or_try_init(asked).await.copied()
    }

    /// Makes the program's own folder: with the login, if one is named, and without any configuration.
    fn codex_home(&self, folders: &Folders) -> Result<PathBuf, Error> {
        let home = folders.in_home(".codex")?;
        folders.in_home(".codex/tmp")?;
        let absent = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // An earlier run may have written down that it trusts the repository.
        let config = home.join("config.toml");
        absent(&config).map_err(|source| Error::Folder {
            folder: config,
            source,
        })?;
        if let Some(login) = &self.options.login {
            let link = home.join("auth.json");
            // A link, because a login that is refreshed in a copy is lost to its owner.
            let linked = absent(&link)
                .and_then(|()| login.metadata().map(drop))
                .and_then(|()| std::os::unix::fs::symlink(login, &link));
            linked.map_err(|source| Error::Login {
                path: login.clone(),
                source,
            })?;
        }
        Ok(home)
    }

    fn reach<'r>(
        &'r self,
        installation: &Installation,
        task: &'r AgentTask,
        folders: &'r Folders,
        codex_home: &'r Path,
    ) -> Reach<'r> {
        Reach {
            mode: task.mode,
            directory: &folders.directory,
            temporary: &folders.temporary,
            codex_home,
            installation: installation.folder(),
            read: &self.options.read,
            loopback: task.loopback.as_ref(),
        }
    }
}

/// One start of the program.
struct Start<'s> {
    agent: &'s CodexAgent,
    installation: &'s Installation,
    task: &'s AgentTask,
    folders: &'s Folders,
    home: &'s Path,
    images: &'s [Image],
    watch: &'s dyn AgentWatch,
}

impl Start<'_> {
    fn spec(&self) -> ProcessSpec {
        let options = &self.agent.options;
        let spec = options
            .spec(&self.installation.program, self.task, self.folders)
            .env("CODEX_HOME", self.home)
            // The time at which a limit ends is told without a zone.
            .env("TZ", "UTC");
        match &options.key {
            Some(key) => spec.env(hermetic::KEY_VARIABLE, key.expose()),
            None => spec,
        }
    }

    /// Returns the model of the task, else the agent's own.
    fn model(&self) -> Option<&str> {
        let own = self.agent.options.model.as_ref();
        self.task.model.as_ref().or(own).map(String::as_str)
    }

    fn arguments(&self) -> Vec<String> {
        let (agent, task) = (self.agent, self.task);
        let reach = agent.reach(self.installation, task, self.folders, self.home);
        let mut arguments = reach.arguments();
        let options = &agent.options;
        if options.key.is_some() || options.base_url.is_some() {
            let base = options.base_url.as_deref().unwrap_or(hermetic::USUAL_BASE);
            arguments.extend(hermetic::provider(base, task.limits.stall));
        }
        arguments
    }

    async fn app_server(&self, seen: &mut Seen<'_>) -> Result<Driven, Error> {
        let task = self.task;
        let about = Turn {
            directory: self.folders.directory.to_string_lossy().into_owned(),
            model: self.model(),
            prompt: &task.prompt,
            images: self.images,
            schema: task.schema.as_ref().map(strict::strict),
            session: task.session.as_deref(),
            kept: self.folders.kept,
            network: task.loopback.is_some(),
        };
        let (say, hear) = mpsc::channel(UNSAID);
        let mut talk = AppServer::new(about, say);
        let spec = self
            .spec()
            .arg("app-server")
            .args(self.arguments())
            .stdin(talk.opening())
            .keep_stdin_open();
        self.drive(spec, Some(hear), &mut talk, seen).await
    }

    async fn exec(&self, seen: &mut Seen<'_>) -> Result<Driven, Error> {
        let mut totals = Totals::of(&self.folders.home);
        let mut session = self.task.session.as_deref();
        loop {
            let used = totals.before(session);
            seen.before.input_tokens = used.input_tokens;
            seen.before.output_tokens = used.output_tokens;
            let directory = self.folders.directory.to_string_lossy().into_owned();
            let mut events = Exec::new(directory, self.folders.kept);
            let spec = self.exec_spec(session)?;
            let driven = self.drive(spec, None, &mut events, seen).await?;
            if session.is_some() && events.lost_session(&driven.stderr) {
                session = None;
                continue;
            }
            if let Some(session) = &seen.session
                && let Err(error) = totals.add(session, &seen.usage)
            {
                tracing::warn!(%error, "what the session has used is not written down");
            }
            return Ok(driven);
        }
    }

    fn exec_spec(&self, session: Option<&str>) -> Result<ProcessSpec, Error> {
        let mut spec = self
            .spec()
            .args(["exec", "--json", "--ignore-user-config", "--ignore-rules"])
            .arg("--skip-git-repo-check")
            .args(self.arguments())
            .arg("-C")
            .arg(&self.folders.directory);
        if !self.folders.kept {
            spec = spec.arg("--ephemeral");
        }
        if let Some(model) = self.model() {
            spec = spec.args(["-m", model]);
        }
        if let Some(session) = session {
            spec = spec.args(["resume", session]);
        }
        if let Some(schema) = &self.task.schema {
            let file = self.folders.temporary.join("schema.json");
            let written = fs::write(&file, strict::strict(schema).to_string());
            written.map_err(|source| Error::Folder {
                folder: self.folders.temporary.clone(),
                source,
            })?;
            spec = spec.arg("--output-schema").arg(file);
        }
        for image in self.images {
            spec = spec.arg("-i").arg(&image.path);
        }
        // What lists files swallows whatever follows it, the sign for standard input too.
        Ok(spec.args(["--", "-"]).stdin(self.task.prompt.as_bytes()))
    }

    async fn drive(
        &self,
        spec: ProcessSpec,
        input: Option<mpsc::Receiver<Vec<u8>>>,
        decoder: &mut dyn crate::cli::Decoder,
        seen: &mut Seen<'_>,
    ) -> Result<Driven, Error> {
        drive(spec, input, decoder, seen, self.watch, &self.agent.redactor)
            .await
            .map_err(Error::Process)
    }
}

/// Returns the answer without what only the strict form of its schema put there.
fn answer(schema: Option<&Value>, message: &str) -> Option<Value> {
    let schema = schema?;
    let mut answer: Value = serde_json::from_str(message).ok()?;
    strict::without_nulls(schema, &mut answer);
    Some(answer)
}

#[async_trait]
impl Agent for CodexAgent {
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
            workspace: WorkspaceKind::DetachedWorktree,
            confinement: Confinement::Confined {
                by: "codex's own sandbox".to_owned(),
            },
            litter: Vec::new(),
        }
    }

    /// Its proxy lets through one address, whatever the port.
    fn loopback(&self) -> Option<LoopbackReach> {
        cfg!(target_os = "linux").then_some(LoopbackReach::Address)
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

impl CodexAgent {
    /// Tries the sandbox once; answers with the run's outcome if it does not hold.
    async fn preflight(
        &self,
        installation: &Installation,
        task: &AgentTask,
        folders: &Folders,
    ) -> Result<Option<AgentOutcome>, Error> {
        // Its proxy is another mechanism than what holds in all other tasks.
        if self.held_in.initialized() && task.loopback.is_none() {
            return Ok(None);
        }
        let home = self.codex_home(folders)?;
        let reach = self.reach(installation, task, folders, &home);
        let tried = preflight::try_out(&self.options, installation, folders, &reach).await?;
        Ok(match tried {
            Ok(()) => {
                if task.loopback.is_none() {
                    self.held_in.set(()).ok();
                }
                None
            }
            Err(detail) => Some(AgentOutcome::SandboxUnavailable { detail }),
        })
    }
}
