//! What happens, told while it happens: for progress, audit and tests.

use std::fmt::Debug;

use serde::Serialize;

use crate::agent::RunId;
use crate::agent::Usage;
use crate::clock::Timestamp;
use crate::issue::IssueKey;

/// A stage of the pipeline.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Open → Spec/log review.
    Triage,
    /// Read-only inspection in Spec/log review.
    Check,
    /// In progress: lock, run, submit.
    Dispatch,
    /// Merge, verify, ask, land.
    Integrate,
}

impl Stage {
    /// Returns the name people type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Check => "check",
            Self::Dispatch => "dispatch",
            Self::Integrate => "integrate",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage began its tick.
    TickBegan {
        /// The stage.
        stage: Stage,
    },
    /// A run began.
    RunBegan {
        /// The run.
        run: RunId,
        /// The issue.
        issue: IssueKey,
        /// The worker slot.
        slot: String,
        /// When.
        at: Timestamp,
    },
    /// An agent told something; untrusted text, one line.
    Progress {
        /// The run.
        run: RunId,
        /// The issue.
        issue: IssueKey,
        /// What it told.
        line: String,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// The issue.
        issue: IssueKey,
        /// The worker slot.
        slot: String,
        /// The outcome's reason word.
        outcome: String,
        /// What it used.
        usage: Usage,
        /// When.
        at: Timestamp,
    },
    /// A comment was posted or a status moved.
    Wrote {
        /// The issue.
        issue: IssueKey,
        /// What, in a few words.
        what: String,
    },
    /// A person is needed; told once per cause.
    PersonNeeded {
        /// The issue, if it is about one.
        issue: Option<IssueKey>,
        /// A stable name of the cause: the same cause has the same name.
        cause: String,
        /// What to do, with the command to type.
        what: String,
    },
    /// Something about one issue, for the log.
    Note {
        /// The issue.
        issue: Option<IssueKey>,
        /// What.
        what: String,
    },
}

/// Is told what happens. Called from inside the stages: return quickly, never block, never fail.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: &Event);
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _event: &Event) {}
}
