//! The plan and the tracker, side by side.

mod apply;
mod body;
mod drift;
mod driven;
mod error;
mod look;
mod options;
mod plan;
mod show;

use std::sync::Arc;

pub use self::apply::Done;
pub use self::apply::PlanWatch;
pub use self::apply::SyncReport;
pub use self::apply::Unwatched;
pub use self::drift::Drift;
pub use self::driven::TakenBack;
pub use self::error::PlanError;
pub use self::error::StopReason;
pub use self::error::Stopped;
pub use self::options::PhaseNames;
pub use self::options::SyncOptions;
pub use self::plan::Action;
pub use self::plan::FilePlan;
pub use self::plan::ItemPlan;
pub use self::plan::Skip;
pub use self::plan::SyncPlan;
use super::files::PlanFiles;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::secret::Redactor;
use crate::tracker::Tracker;

/// Keeps plans and a tracker together.
///
/// # Guarantees
/// - [`look`](Self::look) writes nothing, anywhere.
/// - [`apply`](Self::apply) makes at most one issue per item: it is announced in the journal, carries the item's fingerprint, is
///   looked for over all issues before it is made, and again after a reply was lost.
/// - A linked item is never made again; its link is its identity, whatever its text becomes.
/// - Issues of others are never changed, and ours neither once they are made: what differs is reported.
#[derive(Debug, Clone)]
pub struct PlanSync {
    pub(super) tracker: Arc<dyn Tracker>,
    pub(super) files: Arc<dyn PlanFiles>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) redactor: Arc<Redactor>,
    pub(super) options: SyncOptions,
}

impl PlanSync {
    /// Joins the parts.
    #[must_use]
    pub fn new(
        tracker: Arc<dyn Tracker>,
        files: Arc<dyn PlanFiles>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        options: SyncOptions,
    ) -> Self {
        Self {
            tracker,
            files,
            journal,
            clock,
            redactor: Arc::new(Redactor::default()),
            options,
        }
    }

    /// Blocks an issue that contains one of these secrets.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Arc<Redactor>) -> Self {
        self.redactor = redactor;
        self
    }
}
