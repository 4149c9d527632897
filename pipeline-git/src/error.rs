//! What can go wrong between this crate and git.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessError;

/// A failure of git itself or of the files around it.
///
/// The seams of `pipeline-core` have errors of their own; this is the precise one behind them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// There is no git to run.
    #[error(
        "git is missing: `{}` cannot be started; install git {} or newer, or name its path in the configuration",
        program.display(),
        crate::version::MINIMUM
    )]
    Missing {
        /// The program that was tried.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: Box<ProcessError>,
    },
    /// git could not be started, watched or talked with.
    #[error("`git {command}` could not be run to its end")]
    Broken {
        /// The subcommand and its first words.
        command: String,
        /// What went wrong around it.
        #[source]
        source: ProcessError,
    },
    /// This git does not know an option that is needed.
    #[error("this git is too old: it does not know `{option}`, which git {needed} has")]
    TooOld {
        /// The option it refused.
        option: String,
        /// The version that brought the option.
        needed: &'static str,
    },
    /// git ended with an exit code that means failure.
    #[error("`git {command}` failed with {status}: {stderr}")]
    Failed {
        /// The subcommand and its first words.
        command: String,
        /// The exit code, or the signal.
        status: String,
        /// The first lines git wrote to standard error.
        stderr: String,
    },
    /// git did not end in time and was killed.
    #[error("`git {command}` did not end within {} s and was stopped", limit.as_secs())]
    TimedOut {
        /// The subcommand and its first words.
        command: String,
        /// How long it was given.
        limit: Duration,
    },
    /// git wrote more than was asked for.
    #[error("`git {command}` wrote more than {limit} bytes and was stopped")]
    Flooded {
        /// The subcommand and its first words.
        command: String,
        /// How much it was given.
        limit: usize,
    },
    /// git answered something that this crate does not understand.
    #[error("the answer of `git {command}` is not what was expected: {what}")]
    Unexpected {
        /// The subcommand and its first words.
        command: String,
        /// What was wrong with it.
        what: &'static str,
    },
    /// An object is not in the repository.
    #[error("the repository has no object {oid}{}", hint(*partial))]
    NoObject {
        /// The name of the object, or the revision.
        oid: String,
        /// Whether the repository fetches objects on demand, which is never done here.
        partial: bool,
    },
    /// An object is larger than what is handled in memory.
    #[error("object {oid} has {size} bytes, more than the {limit} that are handled")]
    TooLarge {
        /// The name of the object.
        oid: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An object is malformed.
    #[error("object {oid} cannot be used")]
    BadObject {
        /// The name of the object.
        oid: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directory is not inside a repository.
    #[error("`{}` is not inside a git repository", path.display())]
    NotARepository {
        /// The directory.
        path: PathBuf,
    },
    /// git refuses a repository that belongs to another user.
    #[error(
        "the repository at `{}` belongs to another user, so git refuses it; run the pipeline as its owner",
        path.display()
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
    },
    /// A worktree's entry was left half written, so that git cannot read any of them.
    #[error(
        "the worktree entry `{}` was left half written, and git can list no worktree until it is gone: remove it (`git worktree add` was interrupted there)",
        entry.display()
    )]
    HalfWorktree {
        /// The entry in the common git directory.
        entry: PathBuf,
    },
    /// Another process of ours has git write worktree entries and does not come to an end.
    #[error(
        "another process has held `{}` for a quarter of an hour: end what makes or removes worktrees of this repository",
        lock.display()
    )]
    NoTurn {
        /// The file that is locked.
        lock: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn hint(partial: bool) -> &'static str {
    if partial {
        "; it is a partial clone, and nothing is fetched on demand: fetch the missing objects once"
    } else {
        ""
    }
}

impl GitError {
    /// Names the file and the verb of a failed file operation.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
