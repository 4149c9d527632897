//! What an adapter finds amiss about its account and its project, for `doctor`.

use std::fmt;

use async_trait::async_trait;
use pipeline_core::tracker::TrackerError;

/// Something that will fail later, and what to do about it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is amiss, as a sentence.
    pub what: String,
    /// What to do.
    pub cure: String,
}

impl Finding {
    /// Makes a finding.
    #[must_use]
    pub fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cure: cure.into(),
        }
    }
}

/// Looks for what the calls of the seam cannot tell without writing: the account's role, a moved project.
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync {
    /// Returns everything that is amiss. Reads only.
    ///
    /// # Errors
    /// What the service refuses even to read.
    ///
    /// # Cancel safety
    /// Changes nothing.
    async fn probe(&self) -> Result<Vec<Finding>, TrackerError>;
}
