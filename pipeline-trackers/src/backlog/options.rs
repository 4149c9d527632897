//! What an adapter is made from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::secret::Secret;

use super::BacklogAddress;
use super::BacklogStatuses;
use super::OAuthAccess;
use super::TextMode;
use crate::ConnectionOptions;

/// How the pipeline's account proves itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BacklogCredential {
    /// By a key of the account, which the service takes in the query only.
    ApiKey(Secret),
    /// By OAuth.
    OAuth(OAuthAccess),
}

/// What new issues get where their draft says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewIssues {
    /// The issue type by name; else the project's first.
    pub kind: Option<String>,
    /// A category by name that every new issue gets.
    pub category: Option<String>,
    /// The priority by name for each number a draft may have; a number without a name here is the service's own.
    pub priorities: BTreeMap<i64, String>,
    /// The priority by name of drafts without a number; else the service's normal one.
    pub priority: Option<String>,
}

/// What an adapter is made from.
#[derive(Debug, Clone)]
pub struct BacklogOptions {
    pub(super) address: BacklogAddress,
    pub(super) credential: BacklogCredential,
    pub(super) statuses: BacklogStatuses,
    pub(super) text: TextMode,
    pub(super) new_issues: NewIssues,
    pub(super) settle: Duration,
    pub(super) page: usize,
    pub(super) connection: ConnectionOptions,
    pub(super) clock: Arc<dyn Clock>,
}

impl BacklogOptions {
    /// Takes a project and a credential, and defaults for the rest.
    #[must_use]
    pub fn new(address: BacklogAddress, credential: BacklogCredential) -> Self {
        Self {
            address,
            credential,
            statuses: BacklogStatuses::default(),
            text: TextMode::default(),
            new_issues: NewIssues::default(),
            settle: Duration::from_secs(30),
            page: 100,
            connection: ConnectionOptions::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Names the three statuses.
    #[must_use]
    pub fn statuses(self, statuses: BacklogStatuses) -> Self {
        Self { statuses, ..self }
    }

    /// Says how the project shows texts.
    #[must_use]
    pub fn text(self, text: TextMode) -> Self {
        Self { text, ..self }
    }

    /// Says what new issues get.
    #[must_use]
    pub fn new_issues(self, new_issues: NewIssues) -> Self {
        Self { new_issues, ..self }
    }

    /// Says how long what was written may stay invisible.
    #[must_use]
    pub fn settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Asks for so many rows at a time, 2 to 100; for tests.
    #[must_use]
    pub fn page(self, rows: usize) -> Self {
        let page = rows.clamp(2, 100);
        Self { page, ..self }
    }

    /// Says how the service is reached.
    #[must_use]
    pub fn connection(self, connection: ConnectionOptions) -> Self {
        Self { connection, ..self }
    }

    /// Waits by another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}
