//! Sealing the candidate, and keeping the claims of what waits.

use super::integrate_error;
use super::verifying::Verified;
use crate::integrate::Integration;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::stages::Tick;
use crate::stages::done;
use crate::stages::failed;
use crate::stages::waits;

impl Pipeline {
    /// Seals the candidate when its queue is empty, and asks for the OK in each of its issues, once.
    pub(in crate::stages) async fn seal(
        &self,
        session: &mut dyn Integration,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(());
        };
        if !candidate.sealed {
            if !candidate.is_verified() {
                match self.verify_candidate(session, &mut false).await? {
                    Verified::Passed => {}
                    Verified::Failed(_) | Verified::Blocked(_) | Verified::Infra(_) => {
                        // Built from parts that passed one by one, it fails as a whole: begin again from the parts.
                        session.discard().await.map_err(integrate_error)?;
                        tick.push(None, waits("the candidate failed as a whole: it is built again from its patches"));
                        return Ok(());
                    }
                }
            }
            session.seal(self.now()).await.map_err(integrate_error)?;
        }
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(());
        };
        for commit in &candidate.commits {
            match self.ask_for_ok(&candidate, commit).await {
                Ok(true) => tick.push(
                    Some(&commit.claim.issue),
                    done(format!("candidate {} waits for its OK", candidate.id())),
                ),
                Ok(false) => {}
                Err(why) => tick.push(Some(&commit.claim.issue), failed(why)),
            }
        }
        Ok(())
    }

    pub(super) async fn keep_parked(&self, locks: &LockView, target: &crate::workspace::Target) {
        const BEAT_WHEN_LEFT: std::time::Duration = std::time::Duration::from_secs(4 * 24 * 3600);
        for h in self.submitted(locks, target) {
            let current = locks
                .view
                .issues
                .get(&h.issue)
                .and_then(|m| m.current_round());
            if h.end.since(locks.date) < BEAT_WHEN_LEFT
                && current == Some(h.claim.round)
                && let Err(error) = self.locks.park(&h.claim_ref()).await
            {
                tracing::warn!(issue = %h.issue, error = chain(&error), "the submitted claim got no beat");
            }
        }
    }
}
