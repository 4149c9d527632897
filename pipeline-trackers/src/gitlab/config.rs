//! What a team says about its project.

use std::time::Duration;

use pipeline_core::status::Status;
use url::Url;

use crate::ConnectionOptions;

/// The names of the status labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitLabStatuses {
    pub(super) open: String,
    pub(super) spec_review: String,
    pub(super) in_progress: String,
    pub(super) others: Vec<String>,
}

impl Default for GitLabStatuses {
    fn default() -> Self {
        Self::new(
            "status::open",
            "status::spec review",
            "status::in progress",
            [],
        )
    }
}

impl GitLabStatuses {
    /// Names the labels. The first one need not exist: an opened issue without any of them is Open too.
    #[must_use]
    pub fn new(
        open: impl Into<String>,
        spec_review: impl Into<String>,
        in_progress: impl Into<String>,
        others: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            open: open.into(),
            spec_review: spec_review.into(),
            in_progress: in_progress.into(),
            others: others.into_iter().collect(),
        }
    }

    /// Returns every status that is a label, with the label's name.
    pub(super) fn labels(&self) -> Vec<(Status, &str)> {
        let starting = [
            (Status::Open, self.open.as_str()),
            (Status::SpecReview, self.spec_review.as_str()),
            (Status::InProgress, self.in_progress.as_str()),
        ];
        let others = self.others.iter().filter(|name| *name != CLOSED);
        starting
            .into_iter()
            .chain(others.map(|name| (Status::Other(name.clone()), name.as_str())))
            .collect()
    }
}

/// The ids that the status labels had when they were written down: a rename leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GitLabLabelIds {
    /// Of the label of open issues, which need not exist.
    pub open: Option<u64>,
    /// Of the label of issues in review.
    pub spec_review: Option<u64>,
    /// Of the label of issues in progress.
    pub in_progress: Option<u64>,
}

impl GitLabLabelIds {
    pub(super) const fn of(&self, status: &Status) -> Option<u64> {
        match status {
            Status::Open => self.open,
            Status::SpecReview => self.spec_review,
            Status::InProgress => self.in_progress,
            Status::Other(_) => None,
        }
    }
}

/// The status of a closed issue, which is no label.
pub(super) const CLOSED: &str = "Closed";

/// A project, and how it is used.
#[derive(Debug, Clone)]
pub struct GitLabOptions {
    project: Url,
    root: Option<String>,
    statuses: GitLabStatuses,
    label_ids: GitLabLabelIds,
    settle: Duration,
    internal_notes: bool,
    confidential: bool,
    connection: ConnectionOptions,
}

impl GitLabOptions {
    /// Names the project by the address people open, under whatever path the instance lies.
    #[must_use]
    pub fn new(project: Url) -> Self {
        Self {
            project,
            root: None,
            statuses: GitLabStatuses::default(),
            label_ids: GitLabLabelIds::default(),
            settle: Duration::from_secs(30),
            internal_notes: false,
            confidential: false,
            connection: ConnectionOptions::default(),
        }
    }

    /// Says which part of the project's path is the instance's own (`gitlab` in `https://host/gitlab/group/project`).
    ///
    /// Without it the first call finds out.
    #[must_use]
    pub fn root(mut self, root: impl Into<String>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Names the status labels.
    #[must_use]
    pub fn statuses(mut self, statuses: GitLabStatuses) -> Self {
        self.statuses = statuses;
        self
    }

    /// Says which labels the names stood for. A label that is called otherwise now, or another one of its name, is told
    /// ([`TrackerError::StatusRenamed`](pipeline_core::tracker::TrackerError::StatusRenamed)) and nothing is read or written.
    #[must_use]
    pub const fn label_ids(mut self, label_ids: GitLabLabelIds) -> Self {
        self.label_ids = label_ids;
        self
    }

    /// Says how long a landed note may stay invisible to a list.
    #[must_use]
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Posts notes that only members from Reporter on can read.
    #[must_use]
    pub const fn internal_notes(mut self, internal: bool) -> Self {
        self.internal_notes = internal;
        self
    }

    /// Creates issues that only members can read.
    #[must_use]
    pub const fn confidential(mut self, confidential: bool) -> Self {
        self.confidential = confidential;
        self
    }

    /// Says how the instance is reached.
    #[must_use]
    pub fn connection(mut self, connection: ConnectionOptions) -> Self {
        self.connection = connection;
        self
    }

    pub(super) const fn connection_options(&self) -> &ConnectionOptions {
        &self.connection
    }

    pub(super) const fn status_labels(&self) -> &GitLabStatuses {
        &self.statuses
    }

    pub(super) const fn pinned(&self) -> &GitLabLabelIds {
        &self.label_ids
    }

    pub(super) const fn settles_in(&self) -> Duration {
        self.settle
    }

    pub(super) const fn posts_internal(&self) -> bool {
        self.internal_notes
    }

    pub(super) const fn files_confidential(&self) -> bool {
        self.confidential
    }

    pub(super) fn named_root(&self) -> Option<Vec<String>> {
        let root = self.root.as_deref()?;
        Some(
            root.split('/')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Returns the segments of the project's address.
    pub(super) fn path(&self) -> Vec<String> {
        let path = self.project.path().trim_end_matches(".git");
        let decoded = path.split('/').filter(|s| !s.is_empty());
        // What people copy may go on behind the project: /-/issues and the like.
        decoded
            .take_while(|s| *s != "-")
            .map(str::to_owned)
            .collect()
    }

    /// Returns the address of the host alone.
    pub(super) fn origin(&self) -> Url {
        let mut origin = self.project.clone();
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        // Neither fails for an address with a host; without one the client refuses it.
        let _ = origin.set_username("");
        let _ = origin.set_password(None);
        origin
    }

    /// Returns what stands behind the tracker, in words that stay the same.
    pub(super) fn identity(&self) -> String {
        let host = self.project.host_str().unwrap_or_default();
        let port = self
            .project
            .port()
            .map(|p| format!(":{p}"))
            .unwrap_or_default();
        format!(
            "{}:{host}{port}/{}",
            super::NAME,
            self.path().join("/").to_lowercase()
        )
    }
}
