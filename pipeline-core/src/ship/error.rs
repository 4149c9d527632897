//! Why nothing is shipped, a sentence each.

use std::io;

use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::gate::GateError;
use crate::integrate::IntegrateError;
use crate::journal::JournalError;
use crate::process::ProcessError;
use crate::workspace::CommitId;
use crate::workspace::Target;

/// Why nothing is shipped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShipError {
    /// Nobody has permitted it.
    #[error("shipping {commit} is not permitted: {}", told(.found, .how), commit = commit.short())]
    NotPermitted {
        /// The commit.
        commit: CommitId,
        /// What was found and does not count, a sentence each.
        found: Vec<String>,
        /// What a person may do, one way per place.
        how: Vec<String>,
    },
    /// The permission is for something else.
    #[error("the permission names commit {permitted}, but {commit} is to be shipped: permit this one, or ship the other", commit = commit.short())]
    OtherCommit {
        /// What it names.
        permitted: String,
        /// What was asked for.
        commit: CommitId,
    },
    /// There are no rules.
    #[error(
        "the deploy rules {name} are missing or empty: a permission is bound to them, so write them first"
    )]
    NoRules {
        /// The file.
        name: String,
    },
    /// The rules cannot be read.
    #[error(
        "the deploy rules {name} cannot be read: make them a readable text of at most a megabyte"
    )]
    RulesUnreadable {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The rules are no longer what was permitted under.
    #[error(
        "the deploy rules {name} changed since the permission was given: read them and give a new one"
    )]
    RulesChanged {
        /// The file.
        name: String,
    },
    /// No pre-check is configured.
    #[error(
        "there is no pre-check: set [gates.ship] pre_check to a command that changes nothing and fails where shipping must not begin"
    )]
    NoPreCheck,
    /// The pre-check did not pass.
    #[error("nothing was shipped, because the pre-check {how}{}", last(.output))]
    PreCheckFailed {
        /// How it ended.
        how: String,
        /// The last of what it said.
        output: String,
    },
    /// No command is configured.
    #[error("there is no ship command: set [gates.ship] command to the team's own")]
    NoCommand,
    /// The commit is not one of ours on that target.
    #[error("commit {commit} has not landed on {target} through this pipeline: only a landed commit is shipped", commit = commit.short())]
    NotLanded {
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
    },
    /// The call came from inside a run.
    #[error("shipping was called from inside {run}: only a person ships, never a worker")]
    FromWorker {
        /// The run.
        run: RunId,
    },
    /// An earlier shipping did not end.
    #[error(
        "the shipping of {commit} began at {at} and nobody knows how it ended: look at what it did, then say so with `--again {commit}`"
    )]
    Interrupted {
        /// The commit that was being shipped.
        commit: String,
        /// When it began.
        at: Timestamp,
    },
    /// It was shipped.
    #[error("{commit} was shipped at {at}: to ship it once more, say `--again {commit}`")]
    AlreadyShipped {
        /// The commit.
        commit: String,
        /// When it ended.
        at: Timestamp,
    },
    /// An earlier shipping of it failed.
    #[error("the shipping of {commit} failed at {at} ({}): look at what it did, then say `--again {commit}`", code(*.exit_code))]
    FailedBefore {
        /// The commit.
        commit: String,
        /// When it ended.
        at: Timestamp,
        /// The exit code of the command.
        exit_code: Option<i32>,
    },
    /// No gate could be read.
    #[error("whether shipping is permitted cannot be found out")]
    Gate {
        /// Why.
        #[source]
        source: GateError,
    },
    /// The repository could not be read.
    #[error("whether the commit has landed cannot be found out")]
    Integrate {
        /// Why.
        #[source]
        source: IntegrateError,
    },
    /// The journal could not be read or written; nothing was started.
    #[error("nothing was shipped, because the journal cannot be used")]
    Journal {
        /// Why.
        #[source]
        source: JournalError,
    },
    /// A command could not be started or watched.
    #[error("the {what} could not be run")]
    Process {
        /// Which one.
        what: &'static str,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// The command ran, and the journal does not say so.
    #[error(
        "the ship command ran and {how}, but that could not be written down: the next shipping asks a person to look"
    )]
    Unwritten {
        /// How it ended.
        how: String,
        /// Why.
        #[source]
        source: JournalError,
    },
}

fn told(found: &[String], how: &[String]) -> String {
    let mut parts = found.to_vec();
    if !how.is_empty() {
        parts.push(format!("to permit it, {}", how.join(", or ")));
    }
    parts.join("; ")
}

fn last(output: &str) -> String {
    match output.is_empty() {
        true => String::new(),
        false => format!("; it said last:\n{output}"),
    }
}

fn code(code: Option<i32>) -> String {
    code.map_or_else(
        || "without an exit code".to_owned(),
        |code| format!("exit code {code}"),
    )
}
