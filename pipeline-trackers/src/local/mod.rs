//! An issue tracker in a folder: the embedded default, which needs no server and no account.
//!
//! ```text
//! DIR/log.jsonl   every change ever made, one line each, oldest first; only ever appended to
//! DIR/files/      attached files, each under the sha256 of its content
//! DIR/lock        held by whoever is writing
//! ```
//!
//! # Guarantees
//! - A write is on the disk when it is answered, and every later call of every process sees it: `settle` is zero.
//! - Any number of processes may read and write. Readers take no lock.
//! - A process that dies while writing (kill −9, power cut) leaves its record whole or not at all. Damage
//!   anywhere but at the unfinished end is never repaired silently: it is [`TrackerError::Corrupt`], with file, line
//!   and remedy.
//! - Ids of comments, status events and attachments come from one sequence over the whole tracker and are never
//!   given twice. A move and its memo are one line.
//!
//! # Trust
//! The actor is an argument: whoever can write the folder can write any line under any name, and the start gate
//! believes those lines. The checksums find accidents, not forgers. So the folder is made readable and writable by
//! its owner alone, [`forgeable_history`](pipeline_core::tracker::TrackerCapabilities::forgeable_history) is declared, and an agent must run where it cannot
//! reach the folder. A team that needs unforgeable gates uses a tracker on a server, or the `owner` place for the OK.
//!
//! The folder belongs on a local disk: network file systems do not keep the locks this relies on.

mod actor;
mod edit;
mod error;
mod files;
mod folder;
mod limits;
mod log;
mod person;
mod record;
mod replica;
mod seam;
mod statuses;

use std::path::Path;
use std::sync::Arc;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;

pub use self::actor::Actor;
pub use self::actor::InvalidActor;
pub use self::edit::IssueEdit;
use self::error::LocalError;
use self::folder::Folder;
use self::record::Event;
use self::record::Memo;
use self::replica::Entry;
use self::replica::Replica;
pub use self::statuses::InvalidStatuses;
pub use self::statuses::LocalStatuses;

const NAME: &str = "local";

/// A tracker in a folder.
///
/// Handles made by [`acting_as`](Self::acting_as) and clones share what was read, so a second actor costs nothing.
/// The methods of the seam need a tokio runtime: they work on its threads for blocking tasks.
///
/// # Examples
/// ```
/// use pipeline_core::issue::IssueDraft;
/// use pipeline_core::status::{Status, Transition};
/// use pipeline_core::tracker::Tracker as _;
/// use pipeline_trackers::local::{Actor, LocalStatuses, LocalTracker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scratch = tempfile::tempdir()?;
/// # let dir = scratch.path().join("tracker");
/// LocalTracker::init(&dir, &LocalStatuses::default())?;
/// let pipeline = LocalTracker::open(&dir, Actor::pipeline())?;
/// let alice = pipeline.acting_as(Actor::person("alice")?);
///
/// let mut draft = IssueDraft::default();
/// draft.title = "Login fails".to_owned();
/// let key = alice.create_issue(&draft).await?.key;
/// pipeline.add_comment(&key, "Note: looked at it.").await?;
/// pipeline.transition(&key, &Transition::triaged(), None).await?;
/// alice.move_to(&key, &Status::InProgress).await?;
///
/// let history = pipeline.history(&key).await?.value;
/// assert_eq!(history[1].actor.as_ref().map(|a| a.id.as_str()), Some("person:alice"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LocalTracker {
    folder: Arc<Folder>,
    identity: String,
    actor: Actor,
    clock: Arc<dyn Clock>,
}

impl LocalTracker {
    /// Makes a tracker in a folder that is missing or empty, with access for its owner alone; where a tracker is
    /// already, only its statuses are changed to these.
    ///
    /// Blocks for a moment, as [`open`](Self::open) does.
    ///
    /// # Errors
    /// [`TrackerError::Unsupported`] for a folder that holds something else, or for a status dropped while an issue is in it;
    /// [`TrackerError::Corrupt`], [`TrackerError::Unavailable`], [`TrackerError::Other`].
    pub fn init(dir: impl AsRef<Path>, statuses: &LocalStatuses) -> Result<(), TrackerError> {
        Ok(Folder::init(dir.as_ref(), statuses, &SystemClock)?)
    }

    /// Opens a tracker for one actor and reads it.
    ///
    /// # Errors
    /// [`TrackerError::Other`] if the folder holds no tracker or cannot be read, [`TrackerError::Corrupt`] if it is
    /// damaged.
    pub fn open(dir: impl AsRef<Path>, actor: Actor) -> Result<Self, TrackerError> {
        let folder = Folder::open(dir.as_ref())?;
        let identity = folder.read(|replica| {
            let id = replica.identity().unwrap_or_default();
            Ok(format!("{NAME}:{id}"))
        })?;
        Ok(Self {
            folder: Arc::new(folder),
            identity,
            actor,
            clock: Arc::new(SystemClock),
        })
    }

    /// Returns a handle that writes under another actor.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }

    /// Stamps by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Returns who this handle writes as.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Replica) -> Result<T, LocalError> + Send + 'static,
    ) -> Result<Reply<T>, TrackerError> {
        let date = self.clock.now();
        let folder = Arc::clone(&self.folder);
        let value = blocking("read", move || folder.read(look)).await?;
        Ok(Reply::new(value, date))
    }

    async fn write<T: Send + 'static>(
        &self,
        plan: impl FnOnce(&Replica, Timestamp) -> Result<(Event, T), LocalError> + Send + 'static,
    ) -> Result<Reply<T>, TrackerError> {
        let folder = Arc::clone(&self.folder);
        let (actor, clock) = (self.actor.clone(), Arc::clone(&self.clock));
        blocking("write", move || folder.write(&actor, &*clock, plan)).await
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> Result<T, TrackerError> {
    // Without a runtime nobody else waits for this thread.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Ok(work()?);
    };
    match runtime.spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Err(TrackerError::OutcomeUnknown {
                tracker: NAME.to_owned(),
                issue: format!("anything it was asked to {operation}"),
                source: Some(stopped.into()),
            }),
        },
    }
}

fn entry<'a>(replica: &'a Replica, key: &IssueKey) -> Result<&'a Entry, LocalError> {
    let found = replica.entry(key);
    found.ok_or_else(|| LocalError::Missing(format!("issue {key}")))
}

fn known(replica: &Replica, status: &Status) -> Result<(), LocalError> {
    let statuses = replica.statuses();
    if statuses.name_of(status).is_some() {
        return Ok(());
    }
    Err(LocalError::UnknownStatus {
        name: status.name().to_owned(),
        known: statuses.listed(),
    })
}

/// Makes the line of a move, and the memo in it: first the memo's id, then the event's.
fn moving(
    replica: &Replica,
    issue: IssueKey,
    from: &Status,
    to: &Status,
    memo: Option<String>,
) -> (Event, Option<Memo>) {
    let next = replica.next_id();
    let memo = memo.map(|body| Memo {
        id: CommentId(next),
        body,
    });
    let event = Event::Move {
        issue,
        id: EventId(if memo.is_some() { next + 1 } else { next }),
        from: from.clone(),
        to: to.clone(),
        memo: memo.clone(),
    };
    (event, memo)
}

#[cfg(test)]
mod tests;
