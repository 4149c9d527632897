//! Issues of a GitLab project, over REST v4.
//!
//! | here | there |
//! |---|---|
//! | issue key | the issue's number in its project (`iid`) |
//! | status | an opened issue's status label; none of them = Open; a closed issue = `Closed` |
//! | comment | a note that no system wrote |
//! | status history | label and state events, which nobody can write |
//! | ordering of comments | the id of the note, from one sequence of the instance |
//!
//! # Guarantees
//! - A move is one request that adds one status label and takes the other away; no other label is touched, and no label
//!   is made by accident.
//! - An issue with two status labels is in neither status: it says which to remove.
//! - Where history cannot be trusted it says so: an event without user has no actor, a status that came about by two
//!   people is [ambiguous](pipeline_core::tracker::StatusEventKind::Ambiguous).
//!
//! # Gaps
//! - There is no conditional write: a move reads the issue first, and whoever moves it in between loses.
//! - Owners can date events and notes back; so both are ordered by id. Label events and state events have ids of their
//!   own each: only between the two kinds the times decide.

mod config;
mod dialect;
mod error;
mod history;
mod hook;
mod paging;
mod project;
mod seam;
mod status;
mod wire;
mod write;

use std::fmt;
use std::sync::Arc;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::TrackerError;

pub use self::config::GitLabLabelIds;
pub use self::config::GitLabOptions;
pub use self::config::GitLabStatuses;
pub use self::dialect::GitLabDialect;
use self::error::GitLabService;
pub use self::hook::webhook;
use self::project::Place;
use crate::ConnectionOptions;
use crate::http::Client;
use crate::http::Credential;

const NAME: &str = "gitlab";
/// Rows of a page, the most GitLab gives.
const PAGE: u32 = 100;

/// A project on a GitLab instance.
///
/// Nothing is asked before the first call. Clones share connections, limits and what is known of the project.
///
/// # Examples
/// ```
/// use pipeline_core::secret::Secret;
/// use pipeline_core::tracker::Tracker as _;
/// use pipeline_trackers::gitlab::{GitLabOptions, GitLabTracker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = GitLabOptions::new("https://gitlab.example/group/sub/project".parse()?);
/// let tracker = GitLabTracker::new(options, Secret::new("glpat-…"))?;
/// assert_eq!(tracker.identity(), "gitlab:gitlab.example/group/sub/project");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GitLabTracker {
    client: Client,
    options: Arc<GitLabOptions>,
    place: Arc<Place>,
}

impl fmt::Debug for GitLabTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLabTracker")
            .field("options", &self.options)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl GitLabTracker {
    /// Makes a tracker for the project its options name, with a personal, project, group or OAuth token.
    ///
    /// # Errors
    /// [`TrackerError::Unsupported`] for an address that is not safe or names no project, [`TrackerError::Other`] for
    /// connection options that cannot be used.
    pub fn new(options: GitLabOptions, token: Secret) -> Result<Self, TrackerError> {
        Self::with_clock(options, token, Arc::new(SystemClock))
    }

    /// Makes a tracker that waits by another clock.
    ///
    /// # Errors
    /// Like [`new`](Self::new).
    pub fn with_clock(
        options: GitLabOptions,
        token: Secret,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TrackerError> {
        let place = Place::of(&options)?;
        let connection: &ConnectionOptions = options.connection_options();
        let client = Client::new(
            options.origin(),
            Credential::Header("private-token", token),
            GitLabService,
            connection,
            clock,
        )?;
        Ok(Self {
            client,
            options: Arc::new(options),
            place: Arc::new(place),
        })
    }
}

#[cfg(test)]
mod tests;
