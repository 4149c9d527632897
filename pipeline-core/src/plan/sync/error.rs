//! Why a plan and a tracker were not brought together.

use super::apply::SyncReport;
use crate::journal::JournalError;
use crate::plan::document::EditError;
use crate::plan::files::FilesError;
use crate::tracker::TrackerError;

/// Why a plan was not read or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The tracker cannot be read.
    #[error("the tracker cannot be read")]
    Read(#[source] TrackerError),
    /// There is no such phase.
    #[error("the plan has no phase `{asked}`: there are {known}")]
    NoSuchPhase {
        /// What was asked for.
        asked: String,
        /// The phases there are.
        known: String,
    },
    /// The dry run found something that has to be put right first; nothing was written.
    #[error("nothing was written, because the plan cannot be applied as it is:\n  {}", problems.join("\n  "))]
    Problems {
        /// What, and what to do.
        problems: Vec<String>,
    },
    /// A file is no longer what the plan was made from; nothing was written.
    #[error(
        "{file} was changed since the plan was made: nothing was written; look at the plan again"
    )]
    Changed {
        /// The file.
        file: String,
    },
    /// The journal cannot be read; nothing was written.
    #[error("nothing was written, because the journal cannot be used")]
    Journal(#[source] JournalError),
    /// It stopped on the way; what was made until then is linked, and running it again goes on.
    #[error("stopped after {} of {} issues; what was made is linked, and the same command goes on from there", stopped.report.created.len() + stopped.report.adopted.len(), stopped.wanted)]
    Stopped {
        /// What was done.
        stopped: Box<Stopped>,
        /// Why it stopped.
        #[source]
        source: Box<StopReason>,
    },
}

/// How far it came.
#[derive(Debug)]
pub struct Stopped {
    /// What was done until then.
    pub report: SyncReport,
    /// How many issues were to be made or linked.
    pub wanted: usize,
}

/// Why it stopped on the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// A label or milestone was not made.
    #[error("`{name}` could not be made")]
    Name {
        /// The label or milestone.
        name: String,
        /// Why.
        #[source]
        source: TrackerError,
    },
    /// An issue was not made.
    #[error("the issue of {file}, line {line} was not made")]
    Create {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// Why.
        #[source]
        source: TrackerError,
    },
    /// The tracker could not be asked what became of a lost reply.
    #[error("what became of the issue of {file}, line {line} is not known")]
    Unknown {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// Why.
        #[source]
        source: TrackerError,
    },
    /// The journal could not be written.
    #[error("the journal cannot be written")]
    Journal(#[from] JournalError),
    /// A file could not be written.
    #[error("the links could not be written")]
    Files(#[from] FilesError),
    /// A link has no place.
    #[error("the links of {file} could not be written")]
    Edit {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: EditError,
    },
    /// Somebody keeps changing the file.
    #[error("{file} changes faster than its links can be written: save it and run this again")]
    Busy {
        /// The file.
        file: String,
    },
}
