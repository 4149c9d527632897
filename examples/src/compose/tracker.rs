//! The tracker a configuration names.

use std::sync::Arc;

use pipeline_core::secret::Secret;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;

use super::ComposeError;
use crate::config::model::TrackerKind;
use crate::surroundings::Surroundings;
use crate::workplace::Workplace;

/// A tracker, with what must never be posted because of it.
#[derive(Debug)]
pub(crate) struct OpenTracker {
    pub(crate) tracker: Arc<dyn Tracker>,
    pub(crate) secrets: Vec<Secret>,
    /// What stands behind it, for people.
    pub(crate) shown: String,
}

/// Opens the tracker that `[tracker]` names, as the pipeline.
///
/// # Errors
/// [`ComposeError`]; on a server nothing is asked yet.
pub(crate) async fn open(
    workplace: &Workplace,
    _around: &Surroundings,
) -> Result<OpenTracker, ComposeError> {
    match workplace.config().tracker.kind {
        TrackerKind::Local => {
            let dir = workplace.tracker_dir();
            let local =
                LocalTracker::open(&dir, Actor::pipeline()).map_err(ComposeError::Tracker)?;
            Ok(OpenTracker {
                tracker: Arc::new(local),
                secrets: Vec::new(),
                shown: format!("local, {}", dir.display()),
            })
        }
    }
}
