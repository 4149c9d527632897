//! An open session on one target.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::clock::Timestamp;
use pipeline_core::gate::Approval;
use pipeline_core::gate::LocalDiff;
use pipeline_core::integrate::ApplyOutcome;
use pipeline_core::integrate::Candidate;
use pipeline_core::integrate::CandidateId;
use pipeline_core::integrate::Checkout;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::integrate::Integration;
use pipeline_core::integrate::LandBy;
use pipeline_core::integrate::LandOutcome;
use pipeline_core::integrate::LandingPlan;
use pipeline_core::integrate::PushOutcome;
use pipeline_core::integrate::Submission;
use pipeline_core::integrate::TrailerHit;
use pipeline_core::integrate::TrailerSearch;
use pipeline_core::integrate::VerificationRecord;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Target;

use crate::error::GitError;
use crate::integrator::Shared;
use crate::integrator::build::Built;
use crate::integrator::build::build;
use crate::integrator::chain;
use crate::integrator::chain::LocalOk;
use crate::integrator::checkout::VerificationTree;
use crate::integrator::failed;
use crate::integrator::landing::Landing;
use crate::integrator::oslock::OsLock;
use crate::integrator::push;
use crate::integrator::record;
use crate::integrator::record::Kept;
use crate::integrator::trailers;
use crate::object::Objects;
use crate::oid::Oid;
use crate::refs;
use crate::refs::Mover;
use crate::workspace::commit_id;
use crate::workspace::parsed;

/// The session; the lock of the repository goes with it.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    target: Target,
    objects: Objects,
    /// Moves the candidate's ref.
    mover: Mover,
    candidate: Option<Candidate>,
    /// The commit that holds what is stored of it: what the ref must still name when it is replaced.
    record: Option<Oid>,
    /// Patches have joined since; they are stored together, before anything is built on them.
    unstored: bool,
    _lock: OsLock,
}

impl Session {
    /// Opens the session of a target whose branch is known to exist.
    pub(crate) async fn open(
        shared: Arc<Shared>,
        target: Target,
        lock: OsLock,
    ) -> Result<Self, IntegrateError> {
        let objects = Objects::open_packing(&shared.repository)
            .map_err(|error| failed(format!("open the session of {target}"), error))?;
        let kept = record::load(&shared.repository, &objects, &target).await?;
        let (candidate, record) = match kept {
            Some(Kept { candidate, record }) => (Some(candidate), Some(record)),
            None => (None, None),
        };
        Ok(Self {
            shared,
            target,
            objects,
            mover: Mover::new("candidate"),
            candidate,
            record,
            unstored: false,
            _lock: lock,
        })
    }

    /// Returns the candidate, which there must be.
    fn must_wait(&self) -> Result<&Candidate, IntegrateError> {
        self.candidate
            .as_ref()
            .ok_or_else(|| IntegrateError::NoSuchCandidate {
                typed: format!("on {}", self.target),
            })
    }

    async fn find_tip(&self) -> Result<Oid, IntegrateError> {
        let operation = || format!("read the tip of {}", self.target);
        let branch = format!("refs/heads/{}", self.target);
        let tip = refs::find(&self.shared.repository, &branch)
            .await
            .map_err(|error| failed(operation(), error))?;
        match tip {
            Some(tip) => Ok(tip),
            None => Err(IntegrateError::UnknownTarget {
                target: self.target.clone(),
                hint: crate::target::hint(&self.shared.repository).await,
            }),
        }
    }

    /// Adds one submission to a candidate that is not stored yet.
    async fn append(
        &self,
        candidate: &mut Candidate,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, GitError> {
        let (parent, tree) = match candidate.tip() {
            Some(tip) => (parsed(&tip.commit), parsed(&tip.tree)),
            None => {
                let base = parsed(&candidate.base.commit);
                (base, self.objects.commit(&base).await?.tree)
            }
        };
        let built = build(
            &self.shared.repository,
            &self.objects,
            &self.shared.options,
            &parent,
            &tree,
            submission,
            declared,
        );
        match built.await? {
            Built::Not(outcome) => Ok(outcome),
            Built::Commit(commit) => {
                candidate.commits.push(*commit);
                candidate.verification = None;
                Ok(ApplyOutcome::Applied)
            }
        }
    }

    async fn keep(&mut self, candidate: Candidate) -> Result<(), IntegrateError> {
        let record = record::save(
            &self.shared.repository,
            &self.objects,
            &mut self.mover,
            &candidate,
            self.record.as_ref(),
        )
        .await?;
        self.candidate = Some(candidate);
        self.record = Some(record);
        self.unstored = false;
        Ok(())
    }

    /// Stores what has joined since the candidate was last stored: one sync for all of it, not one for each patch.
    async fn store(&mut self) -> Result<(), IntegrateError> {
        match &self.candidate {
            Some(candidate) if self.unstored => self.keep(candidate.clone()).await,
            _ => Ok(()),
        }
    }

    async fn drop_candidate(&mut self) -> Result<(), IntegrateError> {
        record::remove(&self.shared.repository, &self.target).await?;
        self.candidate = None;
        self.record = None;
        self.unstored = false;
        Ok(())
    }

    /// Ends a candidate that has landed.
    async fn settle(
        &mut self,
        plan: &LandingPlan,
        outcome: &LandOutcome,
    ) -> Result<(), IntegrateError> {
        let landed = matches!(
            outcome,
            LandOutcome::Landed | LandOutcome::EditedMeanwhile { .. }
        );
        if landed
            && self
                .candidate
                .as_ref()
                .is_some_and(|waiting| waiting.id() == plan.candidate)
        {
            self.drop_candidate().await?;
        }
        Ok(())
    }

    /// Writes the chain anew for whoever gave this OK.
    pub(crate) async fn prepare_for(&self, ok: &LocalOk) -> Result<LandingPlan, IntegrateError> {
        let candidate = approved(self.must_wait()?, ok)?;
        chain::rewrite(&self.objects, &self.shared.options, candidate, ok)
            .await
            .map_err(|error| {
                failed(
                    format!("write the commits of candidate {}", candidate.id()),
                    error,
                )
            })
    }

    /// Makes a prepared landing visible, however long that takes.
    #[cfg(test)]
    pub(crate) async fn land_for(
        &mut self,
        plan: &LandingPlan,
        ok: &LocalOk,
    ) -> Result<LandOutcome, IntegrateError> {
        self.land_by(plan, ok, &|| true).await
    }

    /// Makes a prepared landing visible if `in_time` says so right before the ref moves.
    pub(crate) async fn land_by(
        &mut self,
        plan: &LandingPlan,
        ok: &LocalOk,
        in_time: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<LandOutcome, IntegrateError> {
        let operation = || format!("land candidate {}", plan.candidate);
        let candidate = approved(self.must_wait()?, ok)?;
        let options = &self.shared.options;
        chain::check(&self.objects, options, candidate, ok, plan)
            .await
            .map_err(|error| failed(operation(), error))?
            .map_err(|why| IntegrateError::Corrupt {
                what: format!("the landing plan of candidate {}", plan.candidate),
                reason: format!("{why}; make it anew"),
            })?;
        let landing = Landing::of(
            &self.shared.repository,
            &self.objects,
            plan,
            &options.filters,
        )
        .await;
        let outcome = async { landing?.land(in_time).await }.await;
        let outcome = outcome.map_err(|error| failed(operation(), error))?;
        self.settle(plan, &outcome).await?;
        Ok(outcome)
    }

    fn new_candidate(&self, base: Oid) -> Candidate {
        Candidate {
            base: BaseRevision {
                target: self.target.clone(),
                commit: commit_id(&base),
            },
            commits: Vec::new(),
            verification: None,
            sealed: false,
            sealed_at: None,
        }
    }
}

#[async_trait]
impl Integration for Session {
    fn target(&self) -> &Target {
        &self.target
    }

    fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    async fn tip(&self) -> Result<CommitId, IntegrateError> {
        Ok(commit_id(&self.find_tip().await?))
    }

    async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError> {
        let oldest: Vec<Oid> = search.oldest.iter().map(parsed).collect();
        trailers::search(&self.shared.repository, &parsed(&search.tip), &oldest)
            .await
            .map_err(|error| failed(format!("search the history of {}", self.target), error))
    }

    async fn apply(
        &mut self,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, IntegrateError> {
        let mut candidate = match &self.candidate {
            Some(candidate) if candidate.sealed => {
                return Err(IntegrateError::Sealed { id: candidate.id() });
            }
            Some(candidate) => candidate.clone(),
            None => self.new_candidate(self.find_tip().await?),
        };
        let issue = &submission.claim.issue;
        let outcome = self
            .append(&mut candidate, submission, declared)
            .await
            .map_err(|error| failed(format!("apply the patch of {issue}"), error))?;
        if outcome == ApplyOutcome::Applied {
            self.candidate = Some(candidate);
            self.unstored = true;
        }
        Ok(outcome)
    }

    async fn rebuild(
        &mut self,
        base: &CommitId,
        submissions: &[(Submission, Vec<String>)],
    ) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError> {
        let mut candidate = self.new_candidate(parsed(base));
        let mut left_out = Vec::new();
        for (submission, declared) in submissions {
            let issue = &submission.claim.issue;
            let outcome = self
                .append(&mut candidate, submission, declared)
                .await
                .map_err(|error| failed(format!("apply the patch of {issue} again"), error))?;
            if outcome != ApplyOutcome::Applied {
                left_out.push((submission.claim.clone(), outcome));
            }
        }
        if candidate.commits.is_empty() {
            self.drop_candidate().await?;
        } else {
            self.keep(candidate).await?;
        }
        Ok(left_out)
    }

    async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError> {
        self.store().await?;
        let commit = match (which, &self.candidate) {
            (Checkout::Base, None) => self.find_tip().await?,
            (Checkout::Base, Some(candidate)) => parsed(&candidate.base.commit),
            (Checkout::Candidate, _) => match self.must_wait()?.tip() {
                Some(tip) => parsed(&tip.commit),
                None => self.find_tip().await?,
            },
        };
        let tree = self
            .objects
            .commit(&commit)
            .await
            .map_err(|error| failed(format!("read {commit}"), error))?
            .tree;
        VerificationTree::of(&self.shared.repository, &self.shared.options, &self.target)
            .bring_to(&self.objects, &commit, &tree)
            .await
    }

    async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError> {
        let candidate = self.must_wait()?;
        if candidate.tip().is_none_or(|tip| tip.tree != record.tree) {
            return Err(IntegrateError::WrongTree);
        }
        let ran = record.verified;
        let mut changed = candidate.clone();
        changed.verification = Some(record);
        if changed.sealed && changed.id() != candidate.id() {
            return Err(IntegrateError::Sealed { id: candidate.id() });
        }
        if !ran && !changed.sealed {
            // That nothing was run is found again at no cost.
            self.candidate = Some(changed);
            self.unstored = true;
            return Ok(());
        }
        self.keep(changed).await
    }

    async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError> {
        let candidate = self.must_wait()?;
        if candidate.sealed {
            return Ok(candidate.id());
        }
        if !candidate.is_verified() {
            return Err(IntegrateError::WrongTree);
        }
        let mut sealed = candidate.clone();
        sealed.sealed = true;
        sealed.sealed_at = Some(at);
        let id = sealed.id();
        self.keep(sealed).await?;
        Ok(id)
    }

    async fn discard(&mut self) -> Result<(), IntegrateError> {
        self.drop_candidate().await
    }

    async fn prepare(&self, approval: &Approval<LocalDiff>) -> Result<LandingPlan, IntegrateError> {
        self.prepare_for(&approval.into()).await
    }

    async fn land(
        &mut self,
        plan: &LandingPlan,
        approval: &Approval<LocalDiff>,
        by: &LandBy,
    ) -> Result<LandOutcome, IntegrateError> {
        let in_time = || !by.has_passed();
        self.land_by(plan, &approval.into(), &in_time).await
    }

    async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError> {
        let new = self.objects.find(&parsed(&plan.new)).await;
        let new = new.map_err(|error| failed(format!("look for {}", plan.new), error))?;
        if new.is_none() {
            // What the branch does not name, somebody's clean-up may have taken; it is written anew.
            return Ok(LandOutcome::BaseMoved);
        }
        let landing = Landing::of(
            &self.shared.repository,
            &self.objects,
            plan,
            &self.shared.options.filters,
        )
        .await;
        let outcome = async { landing?.roll_forward().await }.await;
        let outcome = outcome.map_err(|error| {
            failed(
                format!("complete the landing of candidate {}", plan.candidate),
                error,
            )
        })?;
        self.settle(plan, &outcome).await?;
        Ok(outcome)
    }

    async fn push(&mut self, commit: &CommitId) -> Result<PushOutcome, IntegrateError> {
        let Some(options) = &self.shared.options.push else {
            return Ok(PushOutcome::Off);
        };
        let commit = parsed(commit);
        push::push(&self.shared.repository, options, &self.target, &commit)
            .await
            .map_err(|error| failed(format!("push {}", self.target), error))
    }
}

/// Returns the candidate if the OK names exactly it.
fn approved<'c>(candidate: &'c Candidate, ok: &LocalOk) -> Result<&'c Candidate, IntegrateError> {
    let id = candidate.id();
    if ok.subject == id.as_str() {
        Ok(candidate)
    } else {
        Err(IntegrateError::StaleApproval {
            approved: ok.subject.chars().take(12).collect(),
            found: id.short().to_owned(),
        })
    }
}
