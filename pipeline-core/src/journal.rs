//! The durable list of what is about to happen and what has happened, one sync before each outside effect.

mod aloud;
mod file;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::Deserialize;
use serde::Serialize;

pub use self::aloud::aloud;
pub use self::aloud::still_open;
pub use self::file::FileJournal;

use crate::BoxError;
use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::integrate::LandingPlan;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
pub use crate::line_log::Line;
use crate::process::ProcessIdentity;
use crate::workspace::PatchId;
use crate::workspace::Workspace;

/// One thing that is about to happen or has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A memo is about to be posted under this nonce.
    PostIntent {
        /// The issue.
        issue: IssueKey,
        /// The memo's nonce.
        nonce: String,
        /// What it is (`claim`, `submit`, `landed`, …).
        kind: String,
        /// The exact body, so that the same memo can be posted again.
        body: String,
        /// The process that posts it, where the system tells.
        #[serde(default)]
        owner: Option<ProcessIdentity>,
    },
    /// It was posted and seen.
    PostDone {
        /// The memo's nonce.
        nonce: String,
        /// Its comment.
        comment: CommentId,
    },
    /// It will never be posted.
    PostDropped {
        /// The memo's nonce.
        nonce: String,
    },
    /// A claim is about to be posted.
    ClaimIntent {
        /// The issue.
        issue: IssueKey,
        /// The claim's nonce.
        nonce: String,
        /// Its run.
        run: RunId,
        /// The process that asks, where the system tells.
        owner: Option<ProcessIdentity>,
    },
    /// A claim was won.
    ClaimWon {
        /// The issue.
        issue: IssueKey,
        /// The claim's comment.
        claim: CommentId,
        /// Its nonce.
        nonce: String,
        /// Its round.
        round: EventId,
        /// Its run.
        run: RunId,
        /// The process that makes the run, where the system tells.
        owner: Option<ProcessIdentity>,
    },
    /// A workspace is in use by a run.
    WorkspaceTaken {
        /// The run.
        run: RunId,
        /// The workspace.
        workspace: Workspace,
    },
    /// A child process of a run was started.
    ChildStarted {
        /// The run.
        run: RunId,
        /// The process.
        process: ProcessIdentity,
    },
    /// A run's patch is stored, with a ref, synced.
    PatchStored {
        /// The run.
        run: RunId,
        /// The patch.
        patch: PatchId,
    },
    /// Nothing of a run is left to do on this machine.
    RunClosed {
        /// The run.
        run: RunId,
        /// How it ended, in one word.
        outcome: String,
    },
    /// A landing is about to move its ref.
    LandIntent {
        /// What exactly.
        plan: LandingPlan,
    },
    /// The ref and every checkout have moved, or it was found that they will not.
    LandDone {
        /// The candidate.
        candidate: String,
        /// Whether it landed.
        landed: bool,
    },
    /// The journal was rotated: what was over before this record lies in the file beside it, `journal.old`.
    Rotated {
        /// The last record of the old file.
        after: u64,
    },
    /// A shipping command is about to run.
    ShipIntent {
        /// The commit.
        commit: String,
        /// The digest of the deploy rules it ships under.
        #[serde(default)]
        rules: String,
        /// Who permitted it.
        #[serde(default)]
        by: String,
    },
    /// A shipping command has ended.
    ShipDone {
        /// The commit.
        commit: String,
        /// Its exit code.
        exit_code: Option<i32>,
    },
    /// The issue of a plan item is about to be created.
    PlanIssueIntent {
        /// The item's fingerprint, which the issue will carry.
        item: String,
        /// The plan's file.
        file: String,
        /// The issue's title.
        title: String,
    },
    /// It was created, or found to have been.
    PlanIssueDone {
        /// The item's fingerprint.
        item: String,
        /// Its issue.
        issue: IssueKey,
    },
    /// It was certainly not created.
    PlanIssueDropped {
        /// The item's fingerprint.
        item: String,
    },
    /// A plan's file was written with these changes.
    PlanWritten {
        /// The plan's file.
        file: String,
        /// The digest of what was written.
        digest: String,
    },
}

/// A record of the journal with its place.
pub type Entry = Line<Record>;

/// Where records are kept.
///
/// # Contract
/// `append` returns only when the record survives a power cut. Records of other processes are seen by `entries`.
pub trait Journal: Debug + Send + Sync + 'static {
    /// Appends a record and syncs it.
    ///
    /// # Errors
    /// [`JournalError`]; the outside effect must not happen then.
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError>;
    /// Returns every record, oldest first; after a rotation only those that were not over then, and all since.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if anything but a torn tail is broken.
    fn entries(&self) -> Result<Vec<Entry>, JournalError>;
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("the journal {path} cannot be {operation}: check the disk and the rights of the state directory", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A whole record is broken. Only a record that was never written to its end is cut off.
    #[error("the journal {path} is damaged at record {record} ({reason}): nothing is started until a person has looked; move the file aside to begin a new one: then what ran is waited for until its lease ends", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record that is broken, from 1.
        record: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A journal in memory, for tests and for pipelines that run once.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Entry>>,
}

impl Journal for MemoryJournal {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        let mut entries = self
            .entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let seq = entries.len() as u64 + 1;
        entries.push(Entry {
            seq,
            at,
            record: record.clone(),
        });
        Ok(seq)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self
            .entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone())
    }
}

#[cfg(test)]
mod tests;
