//! The team's two commands.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::Capture;
use crate::process::ProcessSpec;
use crate::process::Reach;
use crate::process::Wrapper;
use crate::workspace::CommitId;

/// Names the environment variable that carries the commit to ship.
pub const COMMIT_VARIABLE: &str = "SHIP_COMMIT";
/// Names the environment variable that carries the target the commit has landed on.
pub const TARGET_VARIABLE: &str = "SHIP_TARGET";
/// Stands for the commit in an argument of a command.
pub const COMMIT_PLACEHOLDER: &str = "{commit}";
/// What is kept of a command's output, in bytes.
const OUTPUT: usize = 64 << 10;
/// What a command may say before it is ended, in bytes.
const MOST_OUTPUT: u64 = 256 << 20;

/// One of the two commands of a team.
#[derive(Clone)]
pub struct ShipCommand {
    /// Program and arguments; `{commit}` in an argument stands for the commit.
    pub argv: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// The variables it sees besides [`COMMIT_VARIABLE`] and [`TARGET_VARIABLE`]; nothing else is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub deadline: Duration,
    /// What holds it in.
    pub confined: Option<(Wrapper, Reach)>,
}

impl ShipCommand {
    /// Makes a command with half an hour, no variables and no wrapper.
    #[must_use]
    pub fn new<A: Into<String>>(
        argv: impl IntoIterator<Item = A>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            directory: directory.into(),
            env: Vec::new(),
            deadline: Duration::from_secs(1800),
            confined: None,
        }
    }

    /// Sets the variables it sees.
    #[must_use]
    pub fn with_env<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.env = variables
            .into_iter()
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what holds it in.
    #[must_use]
    pub fn confined(mut self, wrapper: Wrapper, reach: Reach) -> Self {
        self.confined = Some((wrapper, reach));
        self
    }

    pub(super) fn spec(&self, commit: &CommitId, target: &str) -> Option<ProcessSpec> {
        let (program, args) = self.argv.split_first()?;
        let args = args
            .iter()
            .map(|a| a.replace(COMMIT_PLACEHOLDER, commit.as_str()));
        let mut spec = ProcessSpec::new(program, &self.directory)
            .args(args)
            .envs(self.env.iter().cloned())
            .env(COMMIT_VARIABLE, commit.as_str())
            .env(TARGET_VARIABLE, target)
            .deadline(self.deadline)
            .stdout(Capture::tail(OUTPUT, MOST_OUTPUT))
            .stderr(Capture::tail(OUTPUT, MOST_OUTPUT));
        if let Some((wrapper, reach)) = &self.confined {
            spec = spec.confined(wrapper.clone(), reach.clone());
        }
        Some(spec)
    }
}

impl fmt::Debug for ShipCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("ShipCommand")
            .field("argv", &self.argv)
            .field("directory", &self.directory)
            .field("env", &names)
            .field("deadline", &self.deadline)
            .field("confined", &self.confined)
            .finish()
    }
}
