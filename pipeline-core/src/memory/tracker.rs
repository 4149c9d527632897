//! A tracker in memory, with scripted time, two kinds of actors and switchable trouble.

mod person;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;

pub use self::person::MemoryPerson;
use self::state::State;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::issue::IssueRef;
use crate::status::Status;
use crate::status::Transition;
use crate::tracker::ChangeMark;
use crate::tracker::Changes;
use crate::tracker::Dialect;
use crate::tracker::IssueQuery;
use crate::tracker::PlainDialect;
use crate::tracker::Reply;
use crate::tracker::StatusEvent;
use crate::tracker::StatusEventKind;
use crate::tracker::Tracker;
use crate::tracker::TrackerCapabilities;
use crate::tracker::TrackerError;

const NAME: &str = "memory";

/// One write that landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who made it.
    pub actor: Account,
    /// The issue it changed.
    pub issue: IssueKey,
    /// What it did.
    pub effect: WriteEffect,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteEffect {
    /// Filed the issue.
    Created,
    /// Posted a comment.
    Commented {
        /// Its id.
        id: CommentId,
        /// Its text.
        body: String,
    },
    /// Moved the issue.
    Moved {
        /// From here.
        from: Status,
        /// To there.
        to: Status,
    },
    /// Attached a file.
    Attached {
        /// Its id.
        id: AttachmentId,
        /// The name it was given.
        name: String,
    },
    /// Changed title, body, labels or the like.
    Edited,
    /// Changed the text of a comment.
    CommentEdited {
        /// The comment.
        id: CommentId,
    },
    /// Deleted a comment.
    CommentDeleted {
        /// The comment.
        id: CommentId,
    },
    /// Deleted the issue.
    Deleted,
}

/// How one write of the pipeline fails; the caller sees [`TrackerError::OutcomeUnknown`] either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The request is lost: nothing is written.
    Lost,
    /// The write lands and only its answer is lost.
    Landed,
}

/// A tracker in memory.
///
/// Clones share one store. The seam's methods act as the pipeline's account; people act through
/// [`as_person`](Self::as_person).
///
/// # Guarantees
/// Comments and status events take their ids from one sequence over the whole tracker. With a
/// [lag](Self::set_lag), a landed comment and its place in [`changes`](Tracker::changes) stay invisible until
/// the clock has moved by it; a mark never runs past something still invisible.
///
/// # Examples
/// ```
/// use pipeline_core::memory::MemoryTracker;
/// use pipeline_core::status::{Status, Transition};
/// use pipeline_core::tracker::Tracker as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = MemoryTracker::new();
/// let alice = tracker.as_person("alice");
/// let key = alice.new_issue("Login fails", "It says 500.")?;
/// tracker.add_comment(&key, "Note: looked at it.").await?;
/// tracker.transition(&key, &Transition::triaged(), None).await?;
/// alice.move_to(&key, &Status::InProgress)?;
///
/// let history = tracker.history(&key).await?.value;
/// assert_eq!(history[1].actor.as_ref().map(|a| a.id.as_str()), Some("alice"));
/// assert_eq!(tracker.writes().len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryTracker {
    me: Account,
    identity: String,
    capabilities: TrackerCapabilities,
    settle: Duration,
    dialect: Arc<dyn Dialect>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

impl Default for MemoryTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTracker {
    /// Makes an empty tracker on the system clock that can do everything and is consistent.
    #[must_use]
    pub fn new() -> Self {
        Self {
            me: Account::new("pipeline", Some("pipeline".to_owned()), "pipeline"),
            identity: "memory:1".to_owned(),
            capabilities: TrackerCapabilities {
                create_issues: true,
                attachments: true,
                comment_with_transition: true,
                forgeable_history: true,
            },
            settle: Duration::ZERO,
            dialect: Arc::new(PlainDialect),
            clock: Arc::new(SystemClock),
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Takes its time from `clock`.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Declares other capabilities; what is not declared answers `Unsupported`.
    #[must_use]
    pub fn with_capabilities(self, capabilities: TrackerCapabilities) -> Self {
        Self {
            capabilities,
            ..self
        }
    }

    /// Announces D, how long a landed comment may stay invisible. [`set_lag`](Self::set_lag) makes it happen.
    #[must_use]
    pub fn with_settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Treats text by `dialect`.
    #[must_use]
    pub fn with_dialect(self, dialect: Arc<dyn Dialect>) -> Self {
        Self { dialect, ..self }
    }

    /// Answers to another identity.
    #[must_use]
    pub fn with_identity(self, identity: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            ..self
        }
    }

    /// Returns a handle on the same store that posts under another account, as a second machine with an
    /// account of its own would.
    #[must_use]
    pub fn acting_as(&self, me: Account) -> Self {
        Self { me, ..self.clone() }
    }

    /// Knows one more status, beside `Open`, `Spec/log review`, `In progress`, `Resolved` and `Closed`.
    #[must_use]
    pub fn with_status(self, status: Status) -> Self {
        self.state().statuses.insert(status);
        self
    }

    /// Returns a person with this login, whose id is the login too.
    #[must_use]
    pub fn as_person(&self, login: &str) -> MemoryPerson {
        let account = Account::new(login, Some(login.to_owned()), login);
        MemoryPerson::new(self.clone(), account)
    }

    /// Makes comments posted from now on stay invisible for this long by the tracker's clock.
    pub fn set_lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// Makes every call answer [`TrackerError::Unavailable`] until switched back.
    pub fn set_reachable(&self, reachable: bool) {
        self.state().reachable = reachable;
    }

    /// Makes the next write of the seam's methods fail; several calls queue up.
    pub fn fail_next_write(&self, fault: WriteFault) {
        self.state().faults.push_back(fault);
    }

    /// Returns everything that was written, by whomever, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.state().writes.clone()
    }

    /// Returns what `actor` wrote, in order.
    #[must_use]
    pub fn writes_by(&self, actor: &Account) -> Vec<Write> {
        let mut writes = self.writes();
        writes.retain(|w| w.actor == *actor);
        writes
    }

    /// Records a status change that no person made the ordinary way: a deleted status, an actor who is gone, a
    /// record that contradicts itself.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::UnknownStatus`].
    pub fn record_event(
        &self,
        key: &IssueKey,
        to: &Status,
        actor: Option<Account>,
        kind: StatusEventKind,
    ) -> Result<StatusEvent, TrackerError> {
        let now = self.clock.now();
        let mut state = self.state();
        state.known(to)?;
        let event = state.push_event(key, to, actor, kind, now)?;
        let at = self.clock.elapsed();
        state.touch(key, now, at);
        Ok(event)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self, operation: &str) -> Result<MutexGuard<'_, State>, TrackerError> {
        let state = self.state();
        if state.reachable {
            return Ok(state);
        }
        Err(TrackerError::Unavailable {
            tracker: NAME.to_owned(),
            operation: operation.to_owned(),
            source: None,
        })
    }

    fn reply<T>(&self, value: T) -> Reply<T> {
        Reply::new(value, self.clock.now())
    }

    /// Runs one write of the pipeline under the next scripted fault.
    fn write<T>(
        &self,
        operation: &str,
        issue: &str,
        effect: impl FnOnce(&mut State) -> Result<T, TrackerError>,
    ) -> Result<T, TrackerError> {
        let mut state = self.reachable(operation)?;
        let unknown = || TrackerError::OutcomeUnknown {
            tracker: NAME.to_owned(),
            issue: issue.to_owned(),
            source: None,
        };
        match state.faults.pop_front() {
            None => effect(&mut state),
            Some(WriteFault::Lost) => Err(unknown()),
            Some(WriteFault::Landed) => effect(&mut state).and_then(|_| Err(unknown())),
        }
    }

    fn supports(&self, declared: bool, operation: &str) -> Result<(), TrackerError> {
        if declared {
            return Ok(());
        }
        Err(TrackerError::Unsupported {
            tracker: NAME.to_owned(),
            operation: operation.to_owned(),
        })
    }
}

#[async_trait]
impl Tracker for MemoryTracker {
    fn name(&self) -> &str {
        NAME
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        self.capabilities
    }

    fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    fn settle(&self) -> Duration {
        self.settle
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        drop(self.reachable("ask for the account")?);
        Ok(self.reply(self.me.clone()))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        let state = self.reachable("list issues")?;
        for status in &query.statuses {
            state.known(status)?;
        }
        let wanted = |issue: &Issue| {
            (query.statuses.is_empty() || query.statuses.contains(&issue.status))
                && query.updated_since.is_none_or(|t| issue.updated >= t)
        };
        let found = state.issues().filter(|i| wanted(i)).cloned().collect();
        Ok(self.reply(found))
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let issue = self.reachable("read an issue")?.issue(key)?.clone();
        Ok(self.reply(issue))
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let now = self.clock.elapsed();
        let thread = self.reachable("read a thread")?.thread(key, now)?;
        Ok(self.reply(thread))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        let events = self.reachable("read a history")?.events(key)?.to_vec();
        Ok(self.reply(events))
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        let now = self.clock.elapsed();
        let state = self.reachable("read the changes")?;
        let next = ChangeMark(state.frontier(now).to_string());
        let changes = match since.map(|m| m.0.parse().ok().and_then(|n| state.changed(n, now))) {
            None => Changes {
                issues: BTreeSet::new(),
                next,
                complete: true,
            },
            Some(Some(issues)) => Changes {
                issues,
                next,
                complete: true,
            },
            Some(None) => Changes {
                issues: state.issues().map(|i| i.key.clone()).collect(),
                next,
                complete: false,
            },
        };
        Ok(self.reply(changes))
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let comment = self.write("post a comment", key.as_str(), |s| {
            s.push_comment(key, &self.me, body, now, at)
        })?;
        Ok(Reply::new(comment, now))
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        self.supports(
            memo.is_none() || self.capabilities.comment_with_transition,
            "move an issue and comment on it in one request",
        )?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let comment = self.write("move an issue", key.as_str(), |s| {
            let found = &s.issue(key)?.status;
            if found != step.from() {
                return Err(TrackerError::StatusChanged {
                    issue: key.clone(),
                    expected: step.from().clone(),
                    found: found.clone(),
                });
            }
            s.known(step.to())?;
            // The memo first, so that it stands right before the move it explains.
            let comment = memo
                .map(|body| s.push_comment(key, &self.me, body, now, at))
                .transpose()?;
            s.move_issue(key, &self.me, step.to(), now, at)?;
            Ok(comment)
        })?;
        Ok(Reply::new(comment, now))
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.supports(self.capabilities.attachments, "fetch attachments")?;
        self.reachable("fetch an attachment")?.file(key, id)
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        self.supports(self.capabilities.attachments, "attach files")?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        self.write("attach a file", key.as_str(), |s| {
            s.push_file(key, &self.me, name, content, now, at)
        })
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.supports(self.capabilities.create_issues, "create issues")?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let key = self.write("create an issue", "a new issue", |s| {
            Ok(s.push_issue(&self.me, draft, now, at))
        })?;
        Ok(IssueRef { key, url: None })
    }
}

#[cfg(test)]
mod tests;
