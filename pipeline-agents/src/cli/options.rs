//! How a command-line agent is set up.

use std::path::PathBuf;

use pipeline_core::agent::AgentTask;
use pipeline_core::process::Capture;
use pipeline_core::process::ProcessSpec;
use pipeline_core::protected::ProhibitedRules;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;

use super::Folders;
use super::GRACE;
use super::STDERR;
use crate::variables::Variables;

/// Describes a command-line agent: its program, its model and its credential.
///
/// # Contract
/// Nothing of the machine reaches the program but what is named here: its environment is cleared, its home is the
/// task's own, and the user's own configuration of it is not read.
///
/// # Examples
/// ```
/// use pipeline_agents::{CliOptions, CodexAgent};
/// use pipeline_core::secret::Secret;
///
/// let options = CliOptions::new("codex", "/usr/local/bin/codex", "/var/lib/pipeline/scratch")
///     .search_path("/usr/local/bin:/usr/bin:/bin")
///     .model("gpt-5.5")
///     .key(Secret::new("the key, from wherever it is kept"));
/// let agent = CodexAgent::new(options);
/// # let _ = agent;
/// ```
#[derive(Debug)]
#[must_use]
pub struct CliOptions {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    scratch: PathBuf,
    temporary: PathBuf,
    pub(crate) search_path: String,
    pub(crate) model: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) key: Option<Secret>,
    pub(crate) login: Option<PathBuf>,
    env: Variables,
    secrets: Vec<(String, Secret)>,
    pub(crate) read: Vec<PathBuf>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) rules: ProhibitedRules,
}

impl CliOptions {
    /// Begins with the agent's configured name, its program, and a folder of the state directory in which each run gets a
    /// private folder while it lasts.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        scratch: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            scratch: scratch.into(),
            temporary: "/tmp".into(),
            search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            model: None,
            base_url: None,
            key: None,
            login: None,
            env: Variables(Vec::new()),
            secrets: Vec::new(),
            read: Vec::new(),
            hidden: Vec::new(),
            rules: ProhibitedRules::builtin(),
        }
    }

    /// Sets the search path of the program and of the commands it runs.
    pub fn search_path(mut self, path: impl Into<String>) -> Self {
        self.search_path = path.into();
        self
    }

    /// Sets where temporary folders are made, `/tmp` otherwise. The path has to be short: programs put sockets there.
    pub fn temporary(mut self, folder: impl Into<PathBuf>) -> Self {
        self.temporary = folder.into();
        self
    }

    /// Sets the model to ask for; the program's own choice otherwise.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets where the model is served, if not at the program's maker.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the model's credential. The program gets it in its environment, the commands it runs do not.
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// Names the file of a login that is used instead of a key.
    pub fn login(mut self, file: impl Into<PathBuf>) -> Self {
        self.login = Some(file.into());
        self
    }

    /// Names a variable that the program sees.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.0.push((name.into(), value.into()));
        self
    }

    /// Names a variable that the program sees and whose value is never printed.
    pub fn secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secrets.push((name.into(), value));
        self
    }

    /// Lets the commands it runs read a path: toolchains.
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// Hides a folder from the commands it runs, where its sandbox shows more than what is named: the home and the state
    /// directory.
    pub fn hide(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Sets what is prohibited in read-only runs; the built-in rules otherwise.
    pub fn prohibited(mut self, rules: ProhibitedRules) -> Self {
        self.rules = rules;
        self
    }

    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::new(self.key.iter().chain(self.secrets.iter().map(|(_, s)| s)))
    }

    /// Returns the names of the secrets, which commands must not see.
    pub(crate) fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn folders(&self, task: &AgentTask) -> Result<Folders, super::Error> {
        Folders::new(&self.scratch, &self.temporary, task)
    }

    /// Describes the start of the program for a task, with the environment every run has.
    pub(crate) fn spec(
        &self,
        program: &std::path::Path,
        task: &AgentTask,
        folders: &Folders,
    ) -> ProcessSpec {
        let limits = &task.limits;
        let output = usize::try_from(limits.output_bytes).unwrap_or(usize::MAX);
        let mut spec = ProcessSpec::new(program, &folders.directory)
            .env("PATH", &self.search_path)
            .env("HOME", &folders.home)
            .env("TMPDIR", &folders.temporary)
            .env("LANG", "C.UTF-8")
            .envs(self.env.0.iter().map(|(name, value)| (name, value)))
            .envs(self.secrets.iter().map(|(name, s)| (name, s.expose())))
            .run_id(&task.run)
            .deadline(limits.deadline)
            .grace(GRACE)
            // The lines are read as they come: nothing of them has to be kept.
            .stdout(Capture::tail(0, u64::try_from(output).unwrap_or(u64::MAX)))
            .stderr(STDERR);
        if let Some(loopback) = &task.loopback {
            spec = spec.envs(&loopback.variables);
        }
        if let Some(stall) = limits.stall {
            spec = spec.stall(stall);
        }
        spec
    }
}
