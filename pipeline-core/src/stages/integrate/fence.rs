//! The fence: what must hold before a patch is applied and again right before it lands.

use std::collections::BTreeSet;

use super::integrate_error;
use crate::event::Stage;
use crate::integrate::ClaimRef;
use crate::integrate::Integration;
use crate::integrate::TrailerSearch;
use crate::issue::IssueKey;
use crate::lock::EndKind;
use crate::lock::LiveClaim;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::workspace::CommitId;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// What the fence says of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fenced {
    /// It may go on.
    Open,
    /// Its round is in the target already.
    Landed(CommitId),
    /// It is over, or no longer current.
    Closed(String),
}

impl Pipeline {
    /// Reads the locks after everything that was submitted has settled.
    pub(in crate::stages) async fn settled_locks(
        &self,
        session: &dyn Integration,
    ) -> Result<LockView, PipelineError> {
        let stage = Stage::Integrate;
        let locks_error = |source| PipelineError::Locks { stage, source };
        let mut own: BTreeSet<IssueKey> = BTreeSet::new();
        if let Some(c) = session.candidate() {
            own.extend(c.commits.iter().map(|c| c.claim.issue.clone()));
        }
        let first = self.locks.live(&own).await.map_err(locks_error)?;
        let newest = self
            .submitted(&first, session.target())
            .filter_map(|h| h.submitted_at)
            .max();
        // What is left of D since the newest submit landed.
        let left = newest.map_or(std::time::Duration::ZERO, |at| {
            self.tracker.settle().saturating_sub(first.date.since(at))
        });
        if left.is_zero() {
            return Ok(first);
        }
        self.clock.sleep(left).await;
        self.locks.live(&own).await.map_err(locks_error)
    }

    /// Returns the submitted claims of a target whose patches are kept here, in the order of their claims.
    pub(super) fn submitted<'a>(
        &'a self,
        locks: &'a LockView,
        target: &'a Target,
    ) -> impl Iterator<Item = &'a LiveClaim> {
        locks.state.live(locks.date).filter(move |h| {
            h.submitted.is_some()
                && h.claim.base.target == *target
                && h.claim.integrator.id == self.settings.integrator.id
                && h.claim.resources.scope().repo == self.settings.repo
        })
    }

    /// Decides whether one claim may still reach the target.
    pub(super) async fn fence(
        &self,
        session: &dyn Integration,
        locks: &LockView,
        claim: &ClaimRef,
        patch: &PatchId,
        tip: &CommitId,
    ) -> Result<Fenced, PipelineError> {
        let closed = |why: String| Ok(Fenced::Closed(why));
        // Without any claim of the round there is no base to stop at: the whole history is searched.
        let search = TrailerSearch {
            tip: tip.clone(),
            oldest: locks.state.bases_of(&claim.issue, claim.round),
        };
        for hit in session.trailers(&search).await.map_err(integrate_error)? {
            let named = hit.claims.iter().any(|(_, _, nonce)| *nonce == claim.nonce)
                || hit
                    .rounds
                    .iter()
                    .any(|(i, r)| *i == claim.issue && *r == claim.round);
            if named {
                return Ok(Fenced::Landed(hit.commit));
            }
        }
        if let Some(t) = locks.distrust(&claim.issue) {
            return closed(format!("its memos cannot be trusted: {}", t.reason));
        }
        // However young: a landing cannot be taken back once the thread shows that it was deleted.
        let thread = locks.view.issues.get(&claim.issue);
        if let Some(gone) = thread.and_then(|m| m.missing(claim.comment, &self.protocol)) {
            return closed(format!("its comment {gone} is not in the thread any more"));
        }
        let current = locks
            .view
            .issues
            .get(&claim.issue)
            .and_then(|m| m.current_round());
        match locks.state.may_land(claim, patch, current, locks.date) {
            Ok(()) => Ok(Fenced::Open),
            Err(why) => closed(why.into()),
        }
    }

    /// Says in the thread that a round is in the target, once.
    pub(super) async fn say_landed(
        &self,
        claim: &ClaimRef,
        commit: &CommitId,
    ) -> Result<(), PipelineError> {
        let text = format!(
            "Landed as commit {}. Shipping it is a person's step of its own.",
            commit.short()
        );
        let how = EndKind::Landed {
            commit: Some(commit.clone()),
        };
        self.locks
            .end(claim, &how, text)
            .await
            .map_err(|source| PipelineError::Locks {
                stage: Stage::Integrate,
                source,
            })
    }
}
