//! Crash points, for tests: decorators of the seams and the journal that end the process right before the n-th
//! outside effect, as a power cut would. Only with the feature `crash-points`; no library code knows of it.

mod git;
mod tracker;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use pipeline_core::clock::Timestamp;
use pipeline_core::journal::Entry;
use pipeline_core::journal::Journal;
use pipeline_core::journal::JournalError;
use pipeline_core::journal::Record;

pub use self::git::CrashingIntegrator;
pub use self::git::CrashingWorkspaces;
pub use self::tracker::CrashingTracker;

/// Counts the points of one process, and ends it at one of them.
#[derive(Debug, Clone)]
pub struct Points {
    passed: Arc<AtomicU64>,
    crash_at: Option<u64>,
}

impl Points {
    /// Crashes at this point, from 1; never without.
    #[must_use]
    pub fn new(crash_at: Option<u64>) -> Self {
        Self {
            passed: Arc::default(),
            crash_at,
        }
    }

    /// Passes a point, or ends the process there without any clean-up.
    pub(crate) fn pass(&self, what: &'static str) {
        let n = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::debug!(point = n, what, "crash point");
        if self.crash_at == Some(n) {
            tracing::error!(point = n, what, "crashing here, as asked");
            std::process::abort();
        }
    }

    /// Passes a point and then makes the effect. Behind it comes the point of the next one.
    pub(crate) async fn before<T>(&self, what: &'static str, effect: impl Future<Output = T>) -> T {
        self.pass(what);
        effect.await
    }
}

/// A journal with a crash point before each record.
#[derive(Debug)]
pub struct CrashingJournal {
    inner: Arc<dyn Journal>,
    points: Points,
}

impl CrashingJournal {
    /// Wraps a journal.
    #[must_use]
    pub const fn new(inner: Arc<dyn Journal>, points: Points) -> Self {
        Self { inner, points }
    }
}

impl Journal for CrashingJournal {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        self.points.pass("journal");
        self.inner.append(at, record)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries()
    }
}
