//! The integrator of the repository in memory.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryRepository;
use super::diff::diff;
use super::session::MemoryIntegration;
use crate::integrate::Candidate;
use crate::integrate::CandidateId;
use crate::integrate::IntegrateError;
use crate::integrate::OpenOutcome;
use crate::integrate::PatchIntegrator;
use crate::patch::ParsedPatch;
use crate::protected::Hold;
use crate::workspace::Patch;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// Finds what holds a patch until a person names it.
pub(super) type HoldFinder = Arc<dyn Fn(&ParsedPatch<'_>) -> Vec<Hold> + Send + Sync>;

/// Builds and lands candidates in a [`MemoryRepository`].
#[derive(Clone)]
pub struct MemoryIntegrator {
    name: String,
    repository: MemoryRepository,
    folder: PathBuf,
    holds: Option<HoldFinder>,
}

impl std::fmt::Debug for MemoryIntegrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryIntegrator")
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

impl MemoryIntegrator {
    /// Makes an integrator whose verification folder is `folder`.
    #[must_use]
    pub fn new(name: &str, repository: MemoryRepository, folder: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            repository,
            folder: folder.into(),
            holds: None,
        }
    }

    /// Sets what finds the holds of a patch; without it none is held.
    #[must_use]
    pub fn with_holds(
        mut self,
        find: impl Fn(&ParsedPatch<'_>) -> Vec<Hold> + Send + Sync + 'static,
    ) -> Self {
        self.holds = Some(Arc::new(find));
        self
    }
}

#[async_trait]
impl PatchIntegrator for MemoryIntegrator {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &'static str {
        "memory"
    }

    async fn store(&self, patch: &Patch) -> Result<(), IntegrateError> {
        let mut state = self.repository.state();
        state.patches.insert(patch.id().clone(), patch.clone());
        Ok(())
    }

    async fn stored(&self, id: &PatchId) -> Result<Option<Patch>, IntegrateError> {
        Ok(self.repository.state().patches.get(id).cloned())
    }

    async fn open(&self, target: &Target) -> Result<OpenOutcome, IntegrateError> {
        let mut state = self.repository.state();
        if !state.tips.contains_key(target) {
            return Err(IntegrateError::UnknownTarget {
                target: target.clone(),
                hint: "make its first commit".to_owned(),
            });
        }
        if state.integrating {
            return Ok(OpenOutcome::Busy);
        }
        state.integrating = true;
        let candidate = state.candidates.get(target).cloned();
        let session = MemoryIntegration::new(
            self.repository.clone(),
            self.folder.clone(),
            target.clone(),
            candidate,
            self.holds.clone(),
        );
        Ok(OpenOutcome::Opened(Box::new(session)))
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, IntegrateError> {
        Ok(self
            .repository
            .state()
            .candidates
            .values()
            .cloned()
            .collect())
    }

    async fn diff(&self, candidate: &Candidate) -> Result<Vec<u8>, IntegrateError> {
        let state = self.repository.state();
        let old = state.tree(&candidate.base.commit).unwrap_or_default();
        let new = candidate.tip().and_then(|tip| state.tree(&tip.commit));
        Ok(diff(&old, &new.unwrap_or_else(|| old.clone())))
    }

    async fn resume(&self, candidate: &CandidateId) -> Result<OpenOutcome, IntegrateError> {
        let waiting = self.candidates().await?;
        let found = waiting.iter().find(|waiting| waiting.id() == *candidate);
        let found = found.ok_or_else(|| IntegrateError::NoSuchCandidate {
            typed: candidate.short().to_owned(),
        })?;
        self.open(&found.base.target).await
    }
}
