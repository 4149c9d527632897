//! The one wrapper that builds every git command.
//!
//! git reads configuration from many places, and several keys make it run programs. So every
//! command starts from a cleared environment, without system and global configuration, with the
//! dangerous keys of the repository's own configuration overridden, and names the repository it
//! works on. What a workspace says about itself (its `.git`) is never asked.

mod run;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::GitError;
pub(crate) use crate::git::run::Conversation;
use crate::version::MINIMUM;
use crate::version::Version;

/// How long one command may take unless its caller says otherwise.
const DEADLINE: Duration = Duration::from_secs(600);
/// How much one command may write unless its caller says otherwise.
const OUTPUT_CAP: usize = 256 << 20;

/// Overrides for every command: nothing in the repository's own configuration makes git run a
/// program, fetch, convert or clean up behind our back.
const OVERRIDES: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=false",
    "core.pager=cat",
    "core.editor=false",
    "core.askPass=false",
    "core.sshCommand=false",
    "core.alternateRefsCommand=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.commitGraph=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "log.showSignature=false",
    "color.ui=false",
    "column.ui=never",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.suppressBlankEmpty=false",
    "diff.ignoreSubmodules=none",
    "apply.whitespace=nowarn",
    "apply.ignoreWhitespace=no",
    "advice.detachedHead=false",
    "worktree.useRelativePaths=false",
];

/// Environment of every command, beside the search path.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "false"),
    ("SSH_ASKPASS", "false"),
    ("GIT_EDITOR", "false"),
    ("GIT_PAGER", "cat"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_ADVICE", "0"),
    ("GIT_FLUSH", "1"),
];

/// The git program and how it is run.
///
/// # Examples
/// ```
/// use pipeline_git::GitOptions;
///
/// let options = GitOptions::new("git").search_path("/usr/bin:/bin");
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct GitOptions {
    pub(crate) program: PathBuf,
    pub(crate) search_path: OsString,
}

impl GitOptions {
    /// Names the git program: a name that is searched for, or a path.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            search_path: "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin".into(),
        }
    }

    /// Sets the `PATH` that git and what it runs see.
    #[must_use]
    pub fn search_path(mut self, path: impl Into<OsString>) -> Self {
        self.search_path = path.into();
        self
    }
}

impl Default for GitOptions {
    fn default() -> Self {
        Self::new("git")
    }
}

/// A git that was found, asked for its version, and is recent enough.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: GitOptions,
    version: Version,
    attr_source: bool,
}

impl Git {
    /// Finds git and tries what is needed of it.
    ///
    /// The probe is functional: it runs the options that newer versions brought, because vendors
    /// number their builds as they like.
    pub(crate) async fn probe(options: GitOptions) -> Result<Self, GitError> {
        let unprobed = Self {
            shared: Arc::new(Shared {
                options,
                version: MINIMUM,
                attr_source: false,
            }),
        };
        let answer = unprobed.anywhere().args(["version"]).run().await?;
        let version = Version::parse(&answer).ok_or(GitError::Unexpected {
            command: "version".to_owned(),
            what: "no version number in it",
        })?;
        // `worktree list -z` is the newest option without a fallback; outside of a repository a git
        // that knows it complains about the repository, one that does not about the option.
        let listed = unprobed
            .anywhere()
            .args(["worktree", "list", "--porcelain", "-z"])
            .finish()
            .await?;
        if listed.code == Some(129) {
            return Err(GitError::TooOld {
                option: "worktree list -z".to_owned(),
                needed: "2.36",
            });
        }
        let sourced = unprobed
            .anywhere()
            .global(["--attr-source=HEAD"])
            .args(["version"])
            .finish()
            .await?;
        Ok(Self {
            shared: Arc::new(Shared {
                options: unprobed.shared.options.clone(),
                version,
                attr_source: sourced.code == Some(0),
            }),
        })
    }

    /// Returns the version git said it is.
    pub(crate) fn version(&self) -> Version {
        self.shared.version
    }

    /// Tells whether attributes can be read from a tree instead of from the working files.
    pub(crate) fn knows_attr_source(&self) -> bool {
        self.shared.attr_source
    }

    /// Starts a command that needs no repository.
    pub(crate) fn anywhere(&self) -> GitCommand {
        GitCommand {
            git: self.clone(),
            git_dir: None,
            work_tree: None,
            directory: PathBuf::from("/"),
            global: Vec::new(),
            config: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            deadline: DEADLINE,
            output_cap: OUTPUT_CAP,
        }
    }

    /// Starts a command on exactly this git directory.
    pub(crate) fn at(&self, git_dir: &Path) -> GitCommand {
        let mut command = self.anywhere();
        command.git_dir = Some(git_dir.to_path_buf());
        command.directory = git_dir.to_path_buf();
        command
    }

    /// Starts a command that looks for the repository from a directory upwards.
    pub(crate) fn discovering(&self, directory: &Path) -> GitCommand {
        let mut command = self.anywhere();
        command.directory = directory.to_path_buf();
        command
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// One git command under construction.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct GitCommand {
    git: Git,
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    directory: PathBuf,
    global: Vec<OsString>,
    config: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    deadline: Duration,
    output_cap: usize,
}

impl GitCommand {
    /// Names the directory whose files the command works on, and starts there: paths on standard
    /// input are meant from where git starts, which for some commands is not the work tree.
    pub(crate) fn work_tree(mut self, work_tree: &Path) -> Self {
        self.directory = work_tree.to_path_buf();
        self.work_tree = Some(work_tree.to_path_buf());
        self
    }

    /// Uses a private index file instead of the repository's own.
    pub(crate) fn index(self, index: &Path) -> Self {
        self.env("GIT_INDEX_FILE", index)
    }

    /// Adds options before the subcommand.
    pub(crate) fn global<I: IntoIterator<Item: Into<OsString>>>(mut self, options: I) -> Self {
        self.global.extend(options.into_iter().map(Into::into));
        self
    }

    /// Overrides one configuration key.
    pub(crate) fn config(mut self, assignment: impl Into<OsString>) -> Self {
        self.config.push(assignment.into());
        self
    }

    /// Adds the subcommand or arguments to it.
    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// Sets one variable of the environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Feeds bytes to standard input; without it, standard input is empty.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Bounds the time.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Bounds the output in bytes.
    pub(crate) fn output_cap(mut self, cap: usize) -> Self {
        self.output_cap = cap;
        self
    }

    /// Runs to the end and returns standard output; any exit code but 0 is an error.
    pub(crate) async fn run(self) -> Result<Vec<u8>, GitError> {
        let name = self.name();
        let finished = self.finish().await?;
        finished.success(&name)
    }

    /// Returns the subcommand and its first words, for people.
    pub(crate) fn name(&self) -> String {
        let words: Vec<_> = self
            .args
            .iter()
            .take(3)
            .map(|arg| arg.to_string_lossy())
            .collect();
        words.join(" ")
    }

    /// Returns every argument after the program name.
    fn argv(&self) -> Vec<OsString> {
        let mut argv = Vec::new();
        for assignment in OVERRIDES
            .iter()
            .map(OsStr::new)
            .chain(self.config.iter().map(AsRef::as_ref))
        {
            argv.push("-c".into());
            argv.push(assignment.to_os_string());
        }
        if let Some(git_dir) = &self.git_dir {
            argv.push(joined("--git-dir=", git_dir));
        }
        if let Some(work_tree) = &self.work_tree {
            argv.push(joined("--work-tree=", work_tree));
        }
        argv.extend(self.global.iter().cloned());
        argv.extend(self.args.iter().cloned());
        argv
    }

    /// Returns the whole environment.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut environment: Vec<(OsString, OsString)> = ENVIRONMENT
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect();
        environment.push(("PATH".into(), self.git.shared.options.search_path.clone()));
        environment.extend(self.env.iter().cloned());
        environment
    }
}

impl Finished {
    /// Returns standard output if the exit code was 0.
    pub(crate) fn success(self, command: &str) -> Result<Vec<u8>, GitError> {
        if self.code == Some(0) {
            Ok(self.stdout)
        } else {
            Err(self.failure(command))
        }
    }

    /// Makes the error for an exit code that means failure.
    pub(crate) fn failure(&self, command: &str) -> GitError {
        let stderr = String::from_utf8_lossy(&self.stderr);
        if self.code == Some(129)
            && let Some(option) = unknown_option(&stderr)
        {
            return GitError::TooOld {
                option,
                needed: "2.36",
            };
        }
        let shown: Vec<_> = stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(4)
            .collect();
        let stderr: String = shown.join("; ").chars().take(600).collect();
        GitError::Failed {
            command: command.to_owned(),
            status: match self.code {
                Some(code) => format!("exit code {code}"),
                None => "a signal".to_owned(),
            },
            stderr: if stderr.is_empty() {
                "no message".to_owned()
            } else {
                stderr
            },
        }
    }
}

/// Finds the option that git did not know in what it said.
fn unknown_option(stderr: &str) -> Option<String> {
    let line = stderr.lines().find_map(|line| {
        [
            "error: unknown option `",
            "error: unknown switch `",
            "unknown option: ",
        ]
        .iter()
        .find_map(|start| line.strip_prefix(start))
    })?;
    Some(line.trim_end_matches('\'').to_owned())
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(path);
    joined
}

#[cfg(test)]
mod tests;
