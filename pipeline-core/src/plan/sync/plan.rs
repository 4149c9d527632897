//! What is to be done, before anything is.

use serde::Serialize;

use super::drift::Drift;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::plan::fingerprint::Fingerprint;
use crate::tracker::IssueName;

/// What [`PlanSync::apply`](super::PlanSync::apply) would do, item by item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncPlan {
    /// A digest over the files and everything that would be written: the same as long as the same would happen.
    pub id: String,
    /// The files, in the order they were named.
    pub files: Vec<FilePlan>,
    /// Labels and milestones that would be made.
    pub names: Vec<IssueName>,
    /// Where plan and tracker have come apart.
    pub drift: Vec<Drift>,
    /// What has to be put right before anything is written.
    pub problems: Vec<String>,
    /// Requests that would write: one per name and per issue.
    pub writes: usize,
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilePlan {
    /// Its path, as it was named.
    pub file: String,
    /// The sha256 of its text.
    pub digest: String,
    /// Its items, in their order.
    pub items: Vec<ItemPlan>,
}

/// One item and what would become of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemPlan {
    /// Its line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// The heading of its phase.
    pub phase: Option<String>,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What would be done.
    pub action: Action,
}

/// What would be done with an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// An issue is made, and linked.
    Create {
        /// The issue.
        draft: IssueDraft,
    },
    /// An issue made earlier is linked: its link was never written.
    Adopt {
        /// The issue.
        key: IssueKey,
        /// Where the link leads.
        url: String,
    },
    /// Its box is ticked, since its issue is done.
    Tick {
        /// The issue.
        key: IssueKey,
    },
    /// Nothing: it is linked.
    Keep {
        /// The issue.
        key: IssueKey,
    },
    /// Nothing.
    Skip {
        /// Why.
        why: Skip,
    },
}

/// Why nothing becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It is done and has no issue.
    Ticked,
    /// Its phase was not asked for.
    OtherPhase,
    /// It links to some other tracker or project.
    LinkedElsewhere,
}

impl SyncPlan {
    /// Returns whether applying would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.items().all(|(_, item)| !item.action.changes())
    }

    /// Returns what is left if nothing is made: links to issues that are there.
    #[must_use]
    pub fn without_creations(mut self) -> Self {
        for file in &mut self.files {
            file.items
                .retain(|item| !matches!(item.action, Action::Create { .. }));
        }
        self.names.clear();
        self.writes = 0;
        self
    }

    /// Returns every issue that would be made, with its file and item.
    pub fn creations(&self) -> impl Iterator<Item = (&FilePlan, &ItemPlan, &IssueDraft)> {
        self.items().filter_map(|(file, item)| match &item.action {
            Action::Create { draft } => Some((file, item, draft)),
            _ => None,
        })
    }

    /// Returns every item with its file.
    pub fn items(&self) -> impl Iterator<Item = (&FilePlan, &ItemPlan)> {
        self.files
            .iter()
            .flat_map(|f| f.items.iter().map(move |i| (f, i)))
    }
}

impl Action {
    /// Returns whether it changes the document or the tracker.
    #[must_use]
    pub const fn changes(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::Adopt { .. } | Self::Tick { .. }
        )
    }
}
