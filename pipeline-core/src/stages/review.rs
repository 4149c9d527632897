//! What a person does with a candidate: look at it, give the OK, or send one patch back.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Tick;
use super::integrate::GoesBack;
use super::integrate::integrate_error;
use crate::event::Stage;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::NotApproved;
use crate::gate::Person;
use crate::integrate::Candidate;
use crate::integrate::Integration;
use crate::integrate::OpenOutcome;
use crate::issue::IssueKey;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::TickReport;

/// A candidate as a person reviews it.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// The full id.
    pub id: String,
    /// The candidate.
    pub candidate: Candidate,
    /// What holds it, with the option that lifts each.
    pub holds: Vec<String>,
    /// The whole diff against its base, lossy UTF-8, untrusted.
    pub diff: String,
    /// What to type.
    pub how: String,
}

/// An OK as a person gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// The short or full id of the candidate.
    pub candidate: String,
    /// Who gives it.
    pub by: Person,
    /// Hold classes lifted.
    pub allow: BTreeSet<String>,
    /// Protected operations lifted, one by one.
    pub protected: BTreeSet<String>,
}

impl Pipeline {
    /// Returns the candidates that wait, sealing the one that is named so that its id no longer changes.
    ///
    /// Without a name every sealed and unsealed candidate is shown as it is.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] if no candidate has that id.
    pub async fn review(&self, named: Option<&str>) -> Result<Vec<Review>, PipelineError> {
        let stage = Stage::Integrate;
        let integrator = self.integrator.as_ref().ok_or(PipelineError::Missing {
            stage,
            what: "an integrator",
        })?;
        let mut candidates = integrator.candidates().await.map_err(integrate_error)?;
        if let Some(typed) = named {
            candidates.retain(|c| c.id().is_named_by(typed));
            if candidates.is_empty() {
                return Err(no_candidate(typed));
            }
        }
        if named.is_some() && candidates.iter().any(|c| !c.sealed && c.is_verified()) {
            // Looking at it is the moment to seal it: what is approved is what was seen.
            for c in candidates.iter().filter(|c| !c.sealed && c.is_verified()) {
                if let OpenOutcome::Opened(mut session) = integrator
                    .open(&c.base.target)
                    .await
                    .map_err(integrate_error)?
                {
                    let mut tick = Tick::begin(self, stage);
                    self.seal(&mut *session, &mut tick).await?;
                }
            }
            let targets: BTreeSet<_> = candidates.iter().map(|c| c.base.target.clone()).collect();
            candidates = integrator.candidates().await.map_err(integrate_error)?;
            candidates.retain(|c| targets.contains(&c.base.target));
        }
        let mut reviews = Vec::new();
        for candidate in candidates {
            let diff = integrator.diff(&candidate).await.map_err(integrate_error)?;
            reviews.push(Review {
                id: candidate.id().as_str().to_owned(),
                holds: candidate.holds().map(ToString::to_string).collect(),
                how: self.how_to_approve(&candidate),
                diff: String::from_utf8_lossy(&diff).into_owned(),
                candidate,
            });
        }
        Ok(reviews)
    }

    /// Checks an OK given on a terminal and returns the evidence to be written down; the next integrate lands it.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] with every hold that is not lifted, or if the candidate is gone or was rebuilt.
    pub async fn approve(&self, ok: &Approve) -> Result<GateEvidence, PipelineError> {
        let stage = Stage::Integrate;
        let integrator = self.integrator.as_ref().ok_or(PipelineError::Missing {
            stage,
            what: "an integrator",
        })?;
        let candidates = integrator.candidates().await.map_err(integrate_error)?;
        let candidate = candidates
            .iter()
            .find(|c| c.id().is_named_by(&ok.candidate))
            .ok_or_else(|| no_candidate(&ok.candidate))?;
        let evidence = GateEvidence {
            subject: candidate.id().as_str().to_owned(),
            by: ok.by.clone(),
            at: self.now(),
            place: GatePlace::Terminal,
            allow: ok.allow.clone(),
            protected: ok.protected.clone(),
            rules: None,
        };
        // The very check that landing makes, so that whoever types it learns at once what is missing.
        crate::gate::Approval::mint(candidate, evidence.clone())
            .map_err(|e: NotApproved| PipelineError::Refused(e.to_string()))?;
        Ok(evidence)
    }

    /// Sends one patch of a candidate back with a person's reason, and builds the rest again.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] if the candidate or the issue in it is not there.
    pub async fn reject(
        &self,
        typed: &str,
        issue: &IssueKey,
        reason: &str,
    ) -> Result<TickReport, PipelineError> {
        let stage = Stage::Integrate;
        let integrator = self.integrator.as_ref().ok_or(PipelineError::Missing {
            stage,
            what: "an integrator",
        })?;
        let candidates = integrator.candidates().await.map_err(integrate_error)?;
        let candidate = candidates
            .iter()
            .find(|c| c.id().is_named_by(typed))
            .ok_or_else(|| no_candidate(typed))?;
        let OpenOutcome::Opened(mut session) = integrator
            .resume(&candidate.id())
            .await
            .map_err(integrate_error)?
        else {
            return Err(PipelineError::Refused(
                "another integrator is at work: try again".into(),
            ));
        };
        let mut tick = Tick::begin(self, stage);
        self.reject_in(&mut *session, issue, reason, &mut tick)
            .await?;
        Ok(tick.end(self))
    }

    async fn reject_in(
        &self,
        session: &mut dyn Integration,
        issue: &IssueKey,
        reason: &str,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let commit = session
            .candidate()
            .and_then(|c| c.commits.iter().find(|c| c.claim.issue == *issue).cloned())
            .ok_or_else(|| PipelineError::Refused(format!("{issue} is not in that candidate")))?;
        let locks = self.settled_locks(session).await?;
        let attempt = locks
            .state
            .live_claim(commit.claim.comment, locks.date)
            .map_or(1, |h| h.claim.attempt);
        let why = GoesBack::new("rejected", reason.to_owned());
        self.send_back(&commit.claim, attempt, &why).await?;
        tick.push(
            Some(issue),
            super::done("its patch went back with your reason"),
        );
        session.discard().await.map_err(integrate_error)?;
        self.integrate_target(session, tick).await
    }

    /// Ends a claim in a person's name.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] if no live claim has that id.
    pub async fn release_claim(
        &self,
        claim: crate::issue::CommentId,
        person: &str,
    ) -> Result<String, PipelineError> {
        let stage = Stage::Dispatch;
        let locks_error = |source| PipelineError::Locks { stage, source };
        let locks = self
            .locks
            .live(&BTreeSet::new())
            .await
            .map_err(locks_error)?;
        let Some(h) = locks.state.blocking(locks.date).find(|h| h.id == claim) else {
            return Err(PipelineError::Refused(format!(
                "no live claim {claim}: `status` shows the claims there are"
            )));
        };
        let how = crate::lock::EndKind::Release {
            reason: "revoked".into(),
            by: crate::lock::Ender::Other,
        };
        let text = format!("Ended by a person.\n\n{}", crate::memo::quote(person));
        self.locks
            .end(&h.claim_ref(), &how, text)
            .await
            .map_err(locks_error)?;
        Ok(match h.submitted {
            Some(_) => format!("claim {claim} of {} is ended and free", h.issue),
            None => format!(
                "claim {claim} of {} is ended; it blocks until its agent has stopped or its lease ends at {}",
                h.issue, h.end
            ),
        })
    }

    /// Ends the run of an issue; its lock is released by the run itself.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] if nothing runs for the issue on this machine.
    pub async fn stop(&self, issue: &IssueKey) -> Result<String, PipelineError> {
        let runner = self.runner.as_ref().ok_or(PipelineError::Missing {
            stage: Stage::Dispatch,
            what: "an agent",
        })?;
        let refused = |e| PipelineError::Refused(crate::report::chain(&e));
        let running = runner.running(&self.settings.repo).await.map_err(refused)?;
        let Some(run) = running.iter().find(|r| r.issue == *issue) else {
            return Err(PipelineError::Refused(format!(
                "nothing runs for {issue} on this machine"
            )));
        };
        runner.cancel(&run.run).await.map_err(refused)?;
        Ok(format!(
            "run {} of {issue} is asked to end; what it wrote is kept",
            run.run
        ))
    }
}

fn no_candidate(typed: &str) -> PipelineError {
    integrate_error(crate::integrate::IntegrateError::NoSuchCandidate {
        typed: typed.to_owned(),
    })
}
