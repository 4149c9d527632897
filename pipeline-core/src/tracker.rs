//! The seam to the issue tracker.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

use crate::BoxError;
use crate::clock::Timestamp;
use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::issue::IssueRef;
use crate::status::Status;
use crate::status::Transition;

/// A reply together with the time the server put on it.
///
/// Whoever challenges somebody else's lock counts by the server's time, never by its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// What was asked for.
    pub value: T,
    /// The server's own time of the reply (`Date`), the earliest one if it took several requests.
    pub date: Timestamp,
}

impl<T> Reply<T> {
    /// Joins a value with the server's time.
    pub const fn new(value: T, date: Timestamp) -> Self {
        Self { value, date }
    }
}

/// Which issues to list. Empty fields do not restrict: an empty query means every issue in every status, the finished
/// and closed ones too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssueQuery {
    /// Only issues in one of these statuses.
    pub statuses: Vec<Status>,
    /// Only issues that changed at or after this time, as far as the tracker can tell (it may return more).
    pub updated_since: Option<Timestamp>,
}

impl IssueQuery {
    /// Asks for the issues in one status.
    #[must_use]
    pub fn in_status(status: Status) -> Self {
        Self {
            statuses: vec![status],
            updated_since: None,
        }
    }
}

/// How a status change came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusEventKind {
    /// A move of this very issue, recorded by the server with its actor.
    Move,
    /// A side effect of something else (a status deleted, a bulk operation without a record of its own).
    /// Never evidence for a gate.
    SideEffect,
    /// The record contradicts itself or another one. Never evidence for a gate.
    Ambiguous,
}

/// One entry of an issue's status history, made by the server and not writable by anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// Its id; rises in creation order.
    pub id: EventId,
    /// When the server stamped it.
    pub at: Timestamp,
    /// Who did it; `None` where the server no longer tells.
    pub actor: Option<Account>,
    /// The status before, where the record tells.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// How it came about.
    pub kind: StatusEventKind,
    /// The newest comment that is certainly older than this event: by id where comments and events share
    /// one ordering domain, else by the server's stamps. `None` = no comment is certainly older.
    pub after_comment: Option<CommentId>,
}

/// An opaque position in the tracker's stream of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeMark(pub String);

/// Which issues changed since a mark, in any way: text, comments, edits, status, creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The issues that changed; may contain some that did not.
    pub issues: BTreeSet<IssueKey>,
    /// Where to go on next time.
    pub next: ChangeMark,
    /// False if the stream did not reach back to the mark: everything has to be read again.
    pub complete: bool,
}

/// The names an issue can be created with, as the tracker has them now.
///
/// `None` = the tracker takes any text there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IssueNames {
    /// Labels or categories.
    pub labels: Option<BTreeSet<String>>,
    /// Milestones by title, those an issue can still be put on.
    pub milestones: Option<BTreeSet<String>>,
    /// Issue types; empty where the tracker has none.
    pub kinds: Option<BTreeSet<String>>,
    /// Priorities, as [`IssueDraft::priority`] names them; empty where the tracker has none.
    pub priorities: Option<BTreeSet<i64>>,
}

/// A name that can be made where it is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueName {
    /// A label or category.
    Label(String),
    /// A milestone, by title.
    Milestone(String),
}

impl IssueName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Label(name) | Self::Milestone(name) => name,
        }
    }
}

/// What a tracker can do beyond reading and commenting. Not declared ⇒ the call answers `Unsupported`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrackerCapabilities {
    /// [`Tracker::create_issue`], [`Tracker::issue_names`] and [`Tracker::provide`] work.
    pub create_issues: bool,
    /// [`Tracker::attachment`] and [`Tracker::attach`] work.
    pub attachments: bool,
    /// A status move and its comment are one request.
    pub comment_with_transition: bool,
    /// Whoever can write where the pipeline stores things could also forge history. True for the local tracker.
    pub forgeable_history: bool,
}

/// How a tracker treats text; core keeps within it, and nothing else rewrites what is sent.
///
/// # Contract
/// Pure. `neutralise` is idempotent, leaves plain text alone, and never turns a line that is not a command,
/// mention or reference into one. What it changes stays visible.
pub trait Dialect: Debug + Send + Sync {
    /// Makes untrusted text harmless: commands, mentions, cross-references, characters the tracker refuses.
    fn neutralise(&self, text: &str) -> String;
    /// Returns the longest body the tracker takes, in characters.
    fn max_chars(&self) -> usize;
    /// Returns what stands before each `key: value` line so that the tracker's text mode keeps the lines apart:
    /// `""` or `"- "`.
    fn key_prefix(&self) -> &str;
}

/// The dialect of a tracker that shows text as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainDialect;

impl Dialect for PlainDialect {
    fn neutralise(&self, text: &str) -> String {
        text.to_owned()
    }

    fn max_chars(&self) -> usize {
        100_000
    }

    fn key_prefix(&self) -> &str {
        ""
    }
}

/// The issue tracker that carries the pipeline's state.
///
/// # Contract
/// - Every method is required. An operation whose capability is not declared answers
///   [`TrackerError::Unsupported`] before any request is sent.
/// - Ids of comments rise in creation order over the whole tracker (A1), and a landed comment is visible to
///   every list within [`settle`](Self::settle) (A2).
/// - Writes are sent once. As soon as a request may have arrived and no answer tells, the write fails with
///   [`TrackerError::OutcomeUnknown`]; the caller reads the thread again before it repeats anything.
/// - Reads may be retried inside; they never return a part as the whole.
#[async_trait]
pub trait Tracker: Debug + Send + Sync + 'static {
    /// Returns the adapter's name, for people (`local`, `backlog`, …).
    fn name(&self) -> &str;
    /// Returns the identity of what stands behind it (host and project), which signatures and digests are bound to.
    fn identity(&self) -> String;
    /// Returns what it can do.
    fn capabilities(&self) -> TrackerCapabilities;
    /// Returns how it treats text.
    fn dialect(&self) -> &dyn Dialect;
    /// Returns D: how long a landed comment may stay invisible. Zero for a consistent tracker.
    fn settle(&self) -> Duration;
    /// Returns the account whose name stands under what this adapter posts.
    ///
    /// # Errors
    /// Any [`TrackerError`]; nothing is written.
    async fn me(&self) -> Result<Reply<Account>, TrackerError>;
    /// Returns every issue that matches, oldest first, across all pages, each once.
    ///
    /// # Errors
    /// Any [`TrackerError`]; an unknown status name is [`TrackerError::UnknownStatus`].
    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError>;
    /// Returns one issue.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`] if it is not there or not visible.
    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError>;
    /// Returns the whole thread, oldest first (by id). Order, not time, decides what is "after" what.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`] if the issue is not there or not visible.
    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError>;
    /// Returns the status history, oldest first (by id).
    ///
    /// # Errors
    /// [`TrackerError::NotFound`] if the issue is not there or not visible.
    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError>;
    /// Returns what changed since a mark; without one, an empty set and the mark of now.
    ///
    /// # Errors
    /// Any [`TrackerError`].
    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError>;
    /// Appends one comment and returns it as the server stored it.
    ///
    /// # Errors
    /// [`TrackerError::OutcomeUnknown`] once a request may have arrived; [`TrackerError::Altered`] if the server
    /// stored something other than what was sent.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have posted. The caller treats that as `OutcomeUnknown`.
    async fn add_comment(&self, key: &IssueKey, body: &str)
    -> Result<Reply<Comment>, TrackerError>;
    /// Makes a permitted move, with `memo` as its comment if given, and returns that comment.
    ///
    /// Where the tracker has no conditional write, the adapter reads first and documents the gap.
    ///
    /// # Errors
    /// [`TrackerError::StatusChanged`] if the issue is not in `step.from()`; nothing is moved or posted then.
    ///
    /// # Cancel safety
    /// Not cancel safe, like [`add_comment`](Self::add_comment).
    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError>;
    /// Returns the bytes of an attachment.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::TooLarge`].
    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError>;
    /// Attaches a file to an issue.
    ///
    /// # Errors
    /// Like [`add_comment`](Self::add_comment).
    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError>;
    /// Returns the names an issue can be created with.
    ///
    /// # Errors
    /// Any [`TrackerError`]; nothing is written.
    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError>;
    /// Makes sure a label or milestone of this name exists; where it does, nothing is written.
    ///
    /// # Errors
    /// Like [`add_comment`](Self::add_comment); after `OutcomeUnknown` it may simply be called again.
    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError>;
    /// Creates an issue in the status new issues have. Its labels and its milestone were [provided](Self::provide).
    ///
    /// A draft with a name the tracker does not have is refused with [`TrackerError::NotFound`] before anything is
    /// written; nothing is silently left out.
    ///
    /// # Errors
    /// Like [`add_comment`](Self::add_comment).
    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError>;
}

/// Why a tracker could not do what was asked, by what the pipeline does differently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// There is no such thing, or this account may not see it.
    #[error("{tracker} has no {what}, or this account may not see it")]
    NotFound {
        /// The adapter.
        tracker: String,
        /// What was asked for.
        what: String,
    },
    /// The credential is missing, wrong or expired.
    #[error("{tracker} does not accept the credential: check the variable it is read from")]
    Unauthenticated {
        /// The adapter.
        tracker: String,
    },
    /// The account may not do this.
    #[error("{tracker} does not let this account {operation}: give it a role that may")]
    PermissionDenied {
        /// The adapter.
        tracker: String,
        /// What was tried.
        operation: String,
    },
    /// Too many requests.
    #[error("{tracker} asks to come back later")]
    RateLimited {
        /// The adapter.
        tracker: String,
        /// How long the server asks to wait, where it tells.
        retry_after: Option<Duration>,
    },
    /// The issue is no longer where the move begins.
    #[error("issue {issue} is in `{found}`, not in `{expected}`: somebody moved it meanwhile")]
    StatusChanged {
        /// The issue.
        issue: IssueKey,
        /// Where it should have been.
        expected: Status,
        /// Where it is.
        found: Status,
    },
    /// No status of the tracker has the configured name.
    #[error(
        "{tracker} has no status `{name}`: create it or change its name in [tracker.statuses] (there are: {known})"
    )]
    UnknownStatus {
        /// The adapter.
        tracker: String,
        /// The configured name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A status is no longer what was written down under its name.
    #[error("{tracker}: {}", renamed(name, now.as_deref()))]
    StatusRenamed {
        /// The adapter.
        tracker: String,
        /// The configured name.
        name: String,
        /// What it is called now; `None` if it is gone and something else has its name.
        now: Option<String>,
    },
    /// The write may or may not have happened.
    #[error("{tracker} did not answer the write on {issue}: it may have happened")]
    OutcomeUnknown {
        /// The adapter.
        tracker: String,
        /// The issue written to, or what was to be created.
        issue: String,
        /// What happened on the wire.
        #[source]
        source: Option<BoxError>,
    },
    /// The server stored something else than what was sent.
    #[error("{tracker} stored a different text than was sent on {issue} (comment {comment:?})")]
    Altered {
        /// The adapter.
        tracker: String,
        /// The issue written to.
        issue: IssueKey,
        /// The stored comment, where there is one.
        comment: Option<CommentId>,
    },
    /// The answer does not make sense.
    #[error("{tracker} answered something unexpected to {operation}")]
    InvalidResponse {
        /// The adapter.
        tracker: String,
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        #[source]
        source: Option<BoxError>,
    },
    /// Not reachable now.
    #[error("{tracker} cannot be reached for {operation}")]
    Unavailable {
        /// The adapter.
        tracker: String,
        /// What was asked.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// Larger than allowed.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The tracker cannot do this; asking again is useless.
    #[error("{tracker} cannot {operation}")]
    Unsupported {
        /// The adapter.
        tracker: String,
        /// What was asked.
        operation: String,
    },
    /// Its stored data is damaged.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// Which file or record.
        what: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Anything else.
    #[error("{tracker} failed to {operation}")]
    Other {
        /// The adapter.
        tracker: String,
        /// What was asked.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}

fn renamed(name: &str, now: Option<&str>) -> String {
    match now {
        Some(now) => format!(
            "the status `{name}` is called `{now}` now: change its name in [tracker.statuses], or rename it back"
        ),
        None => format!(
            "the status `{name}` is not the one that `init` wrote down: if the new one is meant, correct its id in the \
             configuration"
        ),
    }
}

impl TrackerError {
    /// Returns whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::OutcomeUnknown { .. }
        )
    }

    /// Returns how long the server asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
