//! What is to be started, and within which limits.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::capture::Capture;
use super::conversation::Conversation;
use super::error::ProcessError;
use super::report::ProcessReport;
use super::run::RunningProcess;
use super::spawn;
use super::wrapper::Reach;
use super::wrapper::Wrapper;
use crate::agent::RunId;

/// Names the environment variable that carries the run id, by which a run's escaped processes are found.
pub const RUN_VARIABLE: &str = "PIPELINE_RUN";

/// The search path of a child for which no `PATH` was named.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const DEFAULT_DEADLINE: Duration = Duration::from_secs(600);
const DEFAULT_GRACE: Duration = Duration::from_secs(2);
const DEFAULT_STDOUT: Capture = Capture::all(16 << 20);
const DEFAULT_STDERR: Capture = Capture::tail(64 << 10, 64 << 20);

/// Describes a child: program, input, environment and limits.
///
/// # Contract
/// - The environment is empty but for what [`env`](Self::env) names, and [`RUN_VARIABLE`] where a
///   [`run_id`](Self::run_id) is given.
/// - Without [`deadline`](Self::deadline) the child has 10 minutes, so nothing ever runs for ever by omission.
/// - `Debug` shows neither the input nor any environment value. Arguments are shown, since every process of the
///   machine can read them anyway: secrets and prompts go through [`stdin`](Self::stdin).
#[derive(Clone)]
#[must_use]
pub struct ProcessSpec {
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) directory: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) stdin: Vec<u8>,
    pub(super) stdin_stays_open: bool,
    pub(super) deadline: Duration,
    pub(super) stall: Option<Duration>,
    pub(super) grace: Duration,
    /// What is dropped before its end is asked to end first.
    pub(super) gently: bool,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    pub(super) run: Option<RunId>,
    pub(super) wrapper: Option<(Wrapper, Reach)>,
}

impl ProcessSpec {
    /// Describes a run of `program` in `directory`.
    ///
    /// A bare name is looked for in the `PATH` named for the child (a plain system path if none is), a relative
    /// path starts at `directory`.
    pub fn new(program: impl Into<OsString>, directory: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            directory: directory.into(),
            env: Vec::new(),
            stdin: Vec::new(),
            stdin_stays_open: false,
            deadline: DEFAULT_DEADLINE,
            stall: None,
            grace: DEFAULT_GRACE,
            stdout: DEFAULT_STDOUT,
            stderr: DEFAULT_STDERR,
            gently: false,
            run: None,
            wrapper: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable; the last value of a name counts.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets environment variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.env.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Sets what the child reads from standard input, after which it sees the end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Keeps standard input open after [`stdin`](Self::stdin), for a child that is talked with by
    /// [`RunningProcess::feed`].
    pub const fn keep_stdin_open(mut self) -> Self {
        self.stdin_stays_open = true;
        self
    }

    /// Sets the time after which the child is ended, counted from [`RunningProcess::finish`].
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the silence on both outputs after which the child is ended.
    pub const fn stall(mut self, stall: Duration) -> Self {
        self.stall = Some(stall);
        self
    }

    /// Sets how long a child that was told to end (SIGTERM) may take before it is killed; 2 seconds otherwise.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Has the child asked to end (SIGTERM) where it is dropped before its end, and killed only when it does not end within
    /// the grace time. Without this a dropped child is killed at once.
    ///
    /// For programs that clean up after themselves, as git removes its lock files. Has no effect on what a run id marks.
    pub const fn ended_gently(mut self) -> Self {
        self.gently = true;
        self
    }

    /// Sets what is kept of standard output: all of 16 MiB otherwise.
    pub const fn stdout(mut self, capture: Capture) -> Self {
        self.stdout = capture;
        self
    }

    /// Sets what is kept of standard error: the last 64 KiB of at most 64 MiB otherwise.
    pub const fn stderr(mut self, capture: Capture) -> Self {
        self.stderr = capture;
        self
    }

    /// Plants the run's id in the environment of the whole tree and has escaped processes searched for when the run ends.
    pub fn run_id(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }

    /// Runs the child inside `wrapper`, which lets it reach `reach`.
    pub fn confined(mut self, wrapper: Wrapper, reach: Reach) -> Self {
        self.wrapper = Some((wrapper, reach));
        self
    }

    /// Starts the child, whose identity is known from here on, so that the caller can write it down before anything else.
    ///
    /// The child runs, but sees none of its input before [`RunningProcess::finish`] is called; dropping the returned
    /// value ends its whole process tree. Needs no async runtime.
    ///
    /// # Errors
    /// Fails if program or directory do not exist, a variable or the confinement is unusable, or the
    /// operating system refuses; nothing runs then.
    pub fn start(self) -> Result<RunningProcess, ProcessError> {
        spawn::start(self)
    }

    /// Starts the child and sees it to its end.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`RunningProcess::finish`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the whole process tree before the drop returns.
    pub async fn run(self) -> Result<ProcessReport, ProcessError> {
        self.start()?.finish(std::future::pending()).await
    }

    /// Starts the child to talk with it: its input stays open, and each answer may take as long as the
    /// [`deadline`](Self::deadline).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with I/O enabled.
    pub fn converse(self) -> Result<Conversation, ProcessError> {
        self.keep_stdin_open().start()?.converse()
    }

    /// Returns the program as text for messages.
    pub(super) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Returns the search path that the child will have.
    fn search_path(&self) -> &OsStr {
        let named = self.env.iter().rev().find(|(name, _)| name == "PATH");
        named.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value)
    }

    /// Returns where a program of the system is.
    pub(super) fn resolve_system(&self, program: &OsStr) -> Result<PathBuf, ProcessError> {
        self.resolve_in(program, OsStr::new(DEFAULT_PATH))
    }

    /// Returns where the program's file is.
    pub(super) fn resolve(&self, program: &OsStr) -> Result<PathBuf, ProcessError> {
        self.resolve_in(program, self.search_path())
    }

    fn resolve_in(&self, program: &OsStr, path: &OsStr) -> Result<PathBuf, ProcessError> {
        let not_found = |searched: String| ProcessError::NotFound {
            program: program.to_string_lossy().into_owned(),
            searched,
        };
        if program.as_encoded_bytes().contains(&b'/') {
            let path = self.directory.join(program);
            return if is_executable(&path) {
                Ok(path)
            } else {
                Err(not_found(path.display().to_string()))
            };
        }
        std::env::split_paths(path)
            // A relative entry would find programs in whatever directory the child happens to start in, a workspace among them.
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .find(|candidate| !program.is_empty() && is_executable(candidate))
            .ok_or_else(|| not_found(path.to_string_lossy().into_owned()))
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("ProcessSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("directory", &self.directory)
            .field("env", &names)
            .field("stdin", &format_args!("{} bytes", self.stdin.len()))
            .field("deadline", &self.deadline)
            .field("stall", &self.stall)
            .field("grace", &self.grace)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("run", &self.run)
            .field("wrapper", &self.wrapper)
            .finish()
    }
}
