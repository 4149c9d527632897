//! Where plan and tracker have come apart, in either direction.

use std::fmt;

use serde::Serialize;

use crate::issue::IssueKey;

/// One difference between a plan and its issues. It is reported, and never put right behind anybody's back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "drift", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Drift {
    /// The issue is done, the box is empty: `--pull` ticks it.
    DoneInTracker {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issue.
        key: IssueKey,
    },
    /// The box is ticked, the issue is not done.
    DoneInPlan {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issue.
        key: IssueKey,
    },
    /// Item and issue are worded differently.
    Reworded {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issue.
        key: IssueKey,
        /// The item's text.
        plan: String,
        /// The issue's title.
        tracker: String,
    },
    /// The issue lacks a label of the phase its item stands in, or has another milestone: the item was moved.
    Moved {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issue.
        key: IssueKey,
        /// What the phase asks for.
        expected: Vec<String>,
    },
    /// The link leads to an issue that is gone.
    Gone {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issue.
        key: IssueKey,
    },
    /// An issue made from this file, that no item of it links to: its item was deleted or lost its link.
    Orphan {
        /// The file it was made from.
        file: String,
        /// The issue.
        key: IssueKey,
        /// Its title.
        title: String,
    },
    /// Several items link to one issue.
    LinkedTwice {
        /// The issue.
        key: IssueKey,
        /// The items, as `file:line`.
        places: Vec<String>,
    },
    /// Several issues were made for one item; the first is the one that is linked.
    Duplicate {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// The issues, oldest first.
        keys: Vec<IssueKey>,
    },
    /// The item links to some other tracker or project.
    Elsewhere {
        /// The file.
        file: String,
        /// The item's line.
        line: usize,
        /// Where.
        url: String,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoneInTracker { file, line, key } => {
                write!(
                    f,
                    "{file}:{line}: {key} is done and the box is empty; `--pull` ticks it"
                )
            }
            Self::DoneInPlan { file, line, key } => {
                write!(f, "{file}:{line}: the box is ticked and {key} is not done")
            }
            Self::Reworded {
                file,
                line,
                key,
                plan,
                tracker,
            } => {
                write!(
                    f,
                    "{file}:{line}: worded differently: `{plan}` here, `{tracker}` in {key}"
                )
            }
            Self::Moved {
                file,
                line,
                key,
                expected,
            } => {
                write!(
                    f,
                    "{file}:{line}: {key} lacks what its phase asks for: {}",
                    expected.join(", ")
                )
            }
            Self::Gone { file, line, key } => {
                write!(
                    f,
                    "{file}:{line}: {key} is gone; take the link out to have it made again"
                )
            }
            Self::Orphan { file, key, title } => {
                write!(
                    f,
                    "{file}: no item links to {key} (`{title}`), which was made from this file"
                )
            }
            Self::LinkedTwice { key, places } => {
                write!(f, "{key} is linked by several items: {}", places.join(", "))
            }
            Self::Duplicate { file, line, keys } => {
                let keys: Vec<&str> = keys.iter().map(IssueKey::as_str).collect();
                write!(
                    f,
                    "{file}:{line}: made more than once: {}; close all but the first",
                    keys.join(", ")
                )
            }
            Self::Elsewhere { file, line, url } => {
                write!(
                    f,
                    "{file}:{line}: links to another tracker or project: {url}"
                )
            }
        }
    }
}
