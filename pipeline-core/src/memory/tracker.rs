//! A tracker in memory, with scripted time, two kinds of actors and switchable trouble.

mod person;
mod seam;
mod state;
mod write;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

pub use self::person::MemoryPerson;
use self::state::State;
pub use self::write::Write;
pub use self::write::WriteEffect;
pub use self::write::WriteFault;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::issue::Account;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::tracker::Dialect;
use crate::tracker::IssueNames;
use crate::tracker::PlainDialect;
use crate::tracker::Reply;
use crate::tracker::StatusEvent;
use crate::tracker::StatusEventKind;
use crate::tracker::TrackerCapabilities;
use crate::tracker::TrackerError;

const NAME: &str = "memory";

/// A tracker in memory.
///
/// Clones share one store. The seam's methods act as the pipeline's account; people act through
/// [`as_person`](Self::as_person).
///
/// # Guarantees
/// Comments and status events take their ids from one sequence over the whole tracker. With a
/// [lag](Self::set_lag), a landed comment and its place in [`changes`](crate::tracker::Tracker::changes) stay invisible until
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

    /// Knows only these names; without this it takes any.
    #[must_use]
    pub fn with_names(self, names: IssueNames) -> Self {
        self.state().names = names;
        self
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

#[cfg(test)]
mod tests;
