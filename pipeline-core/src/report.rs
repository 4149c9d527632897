//! What a tick did, per issue.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::event::Stage;
use crate::issue::IssueKey;

/// How a tick is run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TickOptions {
    /// Call no agent, write nothing; say what would be done.
    pub dry_run: bool,
    /// Look at this issue only.
    pub only: Option<IssueKey>,
    /// Do it although it was done (`triage|check ISSUE --again`).
    pub again: bool,
}

/// What became of one issue in one tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Something was done.
    Done {
        /// What.
        what: String,
    },
    /// A dry run would do this.
    WouldDo {
        /// What.
        what: String,
    },
    /// There is nothing to do.
    Nothing {
        /// Why.
        why: String,
    },
    /// It waits for something or somebody.
    Waits {
        /// For what, and what to do.
        why: String,
    },
    /// It failed; other issues are not affected.
    Failed {
        /// Why, and what to do.
        why: String,
    },
}

impl Outcome {
    /// Returns whether the tick changed something.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// Returns the sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Done { what } | Self::WouldDo { what } => what,
            Self::Nothing { why } | Self::Waits { why } | Self::Failed { why } => why,
        }
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueReport {
    /// The issue; `None` for what concerns a whole target.
    pub issue: Option<IssueKey>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a tick did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TickReport {
    /// The stage.
    pub stage: Stage,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What became of each issue, in the order they were looked at.
    pub issues: Vec<IssueReport>,
    /// How many issues are left for the next tick because of `max_issues_per_tick`.
    pub left: usize,
}

impl TickReport {
    /// Returns whether anything was changed.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.issues.iter().any(|i| i.outcome.is_done())
    }

    /// Returns whether anything failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.issues
            .iter()
            .any(|i| matches!(i.outcome, Outcome::Failed { .. }))
    }
}

/// Returns an error with its causes in one line.
///
/// # Examples
/// ```
/// let e = std::io::Error::other("disk is full");
/// assert_eq!(pipeline_core::report::chain(&e), "disk is full");
/// ```
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        out.push_str(": ");
        out.push_str(&error.to_string());
        cause = error.source();
    }
    out
}
