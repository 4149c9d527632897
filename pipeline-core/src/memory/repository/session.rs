//! An open session of the integrator in memory.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

use super::MemoryRepository;
use super::State;
use super::StoredCommit;
use super::files::Files;
use super::integrator::HoldFinder;
use crate::BoxError;
use crate::clock::Timestamp;
use crate::footprint::encode_readable;
use crate::gate::Approval;
use crate::gate::LocalDiff;
use crate::gate::Person;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::CandidateId;
use crate::integrate::Checkout;
use crate::integrate::ClaimRef;
use crate::integrate::IntegrateError;
use crate::integrate::Integration;
use crate::integrate::LandBy;
use crate::integrate::LandOutcome;
use crate::integrate::LandingPlan;
use crate::integrate::PushOutcome;
use crate::integrate::Submission;
use crate::integrate::TrailerHit;
use crate::integrate::TrailerSearch;
use crate::integrate::VerificationRecord;
use crate::patch::ChangeKind;
use crate::patch::FileMode;
use crate::patch::ParsedPatch;
use crate::patch::PatchLimits;
use crate::patch::PatchPolicy;
use crate::patch::parse;
use crate::trailers::Trailers;
use crate::trailers::with_trailers;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::Target;

/// The session; another one can be opened once it is dropped.
pub(super) struct MemoryIntegration {
    repository: MemoryRepository,
    folder: PathBuf,
    target: Target,
    candidate: Option<Candidate>,
    holds: Option<HoldFinder>,
}

impl fmt::Debug for MemoryIntegration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryIntegration")
            .field("target", &self.target)
            .field("candidate", &self.candidate)
            .finish_non_exhaustive()
    }
}

impl Drop for MemoryIntegration {
    fn drop(&mut self) {
        self.repository.state().integrating = false;
    }
}

impl MemoryIntegration {
    pub(super) const fn new(
        repository: MemoryRepository,
        folder: PathBuf,
        target: Target,
        candidate: Option<Candidate>,
        holds: Option<HoldFinder>,
    ) -> Self {
        Self {
            repository,
            folder,
            target,
            candidate,
            holds,
        }
    }

    fn must_wait(&self) -> Result<&Candidate, IntegrateError> {
        let gone = || IntegrateError::NoSuchCandidate {
            typed: format!("on {}", self.target),
        };
        self.candidate.as_ref().ok_or_else(gone)
    }

    fn keep(&mut self, candidate: Option<Candidate>) {
        let mut state = self.repository.state();
        match &candidate {
            Some(waiting) => {
                state
                    .candidates
                    .insert(self.target.clone(), waiting.clone());
            }
            None => {
                state.candidates.remove(&self.target);
            }
        }
        drop(state);
        self.candidate = candidate;
    }

    fn begin(&self, base: CommitId) -> Candidate {
        Candidate {
            base: BaseRevision {
                target: self.target.clone(),
                commit: base,
            },
            commits: Vec::new(),
            verification: None,
            sealed: false,
            sealed_at: None,
        }
    }

    fn append(
        &self,
        candidate: &mut Candidate,
        submission: &Submission,
        declared: &[String],
    ) -> ApplyOutcome {
        let mut state = self.repository.state();
        let parent = candidate
            .tip()
            .map_or_else(|| candidate.base.commit.clone(), |tip| tip.commit.clone());
        let old = state.tree(&parent).unwrap_or_default();
        let parsed = match parse(submission.patch.bytes(), &PatchLimits::default()) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                return ApplyOutcome::Refused {
                    reason: refusal.to_string(),
                };
            }
        };
        if let Err(refusal) = PatchPolicy::default().check(&parsed, &old.names()) {
            return ApplyOutcome::Refused {
                reason: refusal.to_string(),
            };
        }
        let new = match applied(&old, &parsed) {
            Ok(new) if new == old => return ApplyOutcome::Empty,
            Ok(new) => new,
            Err(detail) => return ApplyOutcome::DoesNotApply { detail },
        };
        let touched: Vec<String> = old
            .differing(&new)
            .iter()
            .map(|path| encode_readable(path))
            .collect();
        let mut holds = submission.holds.clone();
        holds.extend(self.holds.iter().flat_map(|find| find(&parsed)));
        let tree = state.keep_tree(new);
        let commit = state.keep_commit(StoredCommit {
            parent: Some(parent),
            tree: tree.clone(),
            author: submission.author.clone(),
            authored: submission.authored,
            committer: Person::new("pipeline", "pipeline@localhost"),
            committed: submission.authored,
            message: with_trailers(&submission.message, &submission.claim, None),
        });
        candidate.commits.push(CandidateCommit {
            claim: submission.claim.clone(),
            patch: submission.patch.id().clone(),
            commit,
            tree,
            author: submission.author.clone(),
            authored: submission.authored,
            message: submission.message.clone(),
            drift: touched
                .iter()
                .filter(|path| !declared.contains(path))
                .cloned()
                .collect(),
            touched,
            holds,
        });
        candidate.verification = None;
        ApplyOutcome::Applied
    }

    /// Says what in the person's checkout is not as the base has it.
    fn obstacle(state: &State, plan: &LandingPlan) -> Option<String> {
        let base = state.tree(&plan.old).unwrap_or_default();
        let new = state.tree(&plan.new).unwrap_or_default();
        let checkout = state.checkouts.get(&plan.target)?;
        let differs = |path: &Vec<u8>| checkout.get(path) != base.get(path);
        let path = base.differing(&new).into_iter().find(differs)?;
        Some(format!(
            "{} differs from the base in the checkout of {}: commit or revert it",
            encode_readable(&path),
            plan.target
        ))
    }
}

#[async_trait]
impl Integration for MemoryIntegration {
    fn target(&self) -> &Target {
        &self.target
    }

    fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    async fn tip(&self) -> Result<CommitId, IntegrateError> {
        let state = self.repository.state();
        let tip = state.tips.get(&self.target).cloned();
        tip.ok_or_else(|| IntegrateError::UnknownTarget {
            target: self.target.clone(),
            hint: "make its first commit".to_owned(),
        })
    }

    async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError> {
        let state = self.repository.state();
        let all = state.reachable(&search.tip);
        // What every base contains is left out; a base that is no ancestor stops nothing.
        let known = search.oldest.iter().all(|base| all.contains(base));
        let mut stop = search.oldest.iter().map(|base| state.reachable(base));
        let stop = match stop.next() {
            Some(first) if known => stop.fold(first, |both, next| &both & &next),
            _ => std::collections::BTreeSet::new(),
        };
        let hits = all.difference(&stop).filter_map(|id| {
            let commit = state.commits.get(id)?;
            let found = Trailers::of(&commit.message);
            (!found.is_empty()).then(|| TrailerHit {
                commit: id.clone(),
                claims: found.claims,
                rounds: found.rounds,
            })
        });
        Ok(hits.collect())
    }

    async fn apply(
        &mut self,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, IntegrateError> {
        let mut candidate = match &self.candidate {
            Some(waiting) if waiting.sealed => {
                return Err(IntegrateError::Sealed { id: waiting.id() });
            }
            Some(waiting) => waiting.clone(),
            None => self.begin(self.tip().await?),
        };
        let outcome = self.append(&mut candidate, submission, declared);
        if outcome == ApplyOutcome::Applied {
            self.keep(Some(candidate));
        }
        Ok(outcome)
    }

    async fn rebuild(
        &mut self,
        base: &CommitId,
        submissions: &[(Submission, Vec<String>)],
    ) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError> {
        let mut candidate = self.begin(base.clone());
        let mut left_out = Vec::new();
        for (submission, declared) in submissions {
            let outcome = self.append(&mut candidate, submission, declared);
            if outcome != ApplyOutcome::Applied {
                left_out.push((submission.claim.clone(), outcome));
            }
        }
        self.keep((!candidate.commits.is_empty()).then_some(candidate));
        Ok(left_out)
    }

    async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError> {
        let commit = match (which, &self.candidate) {
            (Checkout::Base, None) => self.tip().await?,
            (Checkout::Base, Some(waiting)) => waiting.base.commit.clone(),
            (Checkout::Candidate, _) => {
                let waiting = self.must_wait()?;
                waiting
                    .tip()
                    .map_or_else(|| waiting.base.commit.clone(), |tip| tip.commit.clone())
            }
        };
        let tree = self.repository.state().tree(&commit).unwrap_or_default();
        let root = self.folder.clone();
        let fresh = || -> std::io::Result<()> {
            if root.exists() {
                std::fs::remove_dir_all(&root)?;
            }
            tree.write(&root)
        };
        fresh().map_err(|error| failed(format!("check out {}", commit.short()), error))?;
        Ok(root)
    }

    async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError> {
        let mut candidate = self.must_wait()?.clone();
        if candidate.tip().is_none_or(|tip| tip.tree != record.tree) {
            return Err(IntegrateError::WrongTree);
        }
        let id = candidate.id();
        candidate.verification = Some(record);
        if candidate.sealed && candidate.id() != id {
            return Err(IntegrateError::Sealed { id });
        }
        self.keep(Some(candidate));
        Ok(())
    }

    async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError> {
        let mut candidate = self.must_wait()?.clone();
        if !candidate.is_verified() {
            return Err(IntegrateError::WrongTree);
        }
        if !candidate.sealed {
            candidate.sealed = true;
            candidate.sealed_at = Some(at);
        }
        let id = candidate.id();
        self.keep(Some(candidate));
        Ok(id)
    }

    async fn discard(&mut self) -> Result<(), IntegrateError> {
        self.keep(None);
        Ok(())
    }

    async fn prepare(&self, approval: &Approval<LocalDiff>) -> Result<LandingPlan, IntegrateError> {
        let candidate = approved(self.must_wait()?, approval)?;
        let evidence = approval.evidence();
        let mut state = self.repository.state();
        let mut parent = candidate.base.commit.clone();
        let mut commits = Vec::new();
        for step in &candidate.commits {
            parent = state.keep_commit(StoredCommit {
                parent: Some(parent),
                tree: step.tree.clone(),
                author: step.author.clone(),
                authored: step.authored,
                committer: evidence.by.clone(),
                committed: evidence.at,
                message: with_trailers(&step.message, &step.claim, None),
            });
            commits.push((step.claim.clone(), parent.clone()));
        }
        let old = state.tree(&candidate.base.commit).unwrap_or_default();
        let new = state.tree(&parent).unwrap_or_default();
        Ok(LandingPlan {
            candidate: candidate.id(),
            target: self.target.clone(),
            old: candidate.base.commit.clone(),
            new: parent,
            commits,
            touched: old
                .differing(&new)
                .iter()
                .map(|path| encode_readable(path))
                .collect(),
        })
    }

    async fn land(
        &mut self,
        plan: &LandingPlan,
        approval: &Approval<LocalDiff>,
        by: &LandBy,
    ) -> Result<LandOutcome, IntegrateError> {
        approved(self.must_wait()?, approval)?;
        // Others get their turn, and whoever waits for this may die, on both sides of the move.
        tokio::task::yield_now().await;
        let expected = self.prepare(approval).await?;
        if expected != *plan {
            return Err(IntegrateError::Corrupt {
                what: format!("the landing plan of candidate {}", plan.candidate),
                reason: "it is not what was approved; make it anew".to_owned(),
            });
        }
        {
            let mut state = self.repository.state();
            match state.tips.get(&self.target) {
                Some(tip) if *tip == plan.new => {}
                Some(tip) if *tip == plan.old => {
                    if let Some(reason) = Self::obstacle(&state, plan) {
                        return Ok(LandOutcome::Waits { reason });
                    }
                    if by.has_passed() {
                        return Ok(LandOutcome::TooLate);
                    }
                    let old = state.tree(&plan.old).unwrap_or_default();
                    let new = state.tree(&plan.new).unwrap_or_default();
                    let checkout = state.checkouts.entry(self.target.clone()).or_default();
                    for path in old.differing(&new) {
                        match new.get(&path) {
                            Some(file) => checkout.put(&path, file.mode, &file.content),
                            None => checkout.remove(&path),
                        }
                    }
                    state.tips.insert(self.target.clone(), plan.new.clone());
                }
                _ => return Ok(LandOutcome::BaseMoved),
            }
        }
        tokio::task::yield_now().await;
        self.keep(None);
        Ok(LandOutcome::Landed)
    }

    async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError> {
        let tip = self.tip().await?;
        if !self.repository.state().reachable(&tip).contains(&plan.new) {
            return Ok(LandOutcome::BaseMoved);
        }
        if self
            .candidate
            .as_ref()
            .is_some_and(|waiting| waiting.id() == plan.candidate)
        {
            self.keep(None);
        }
        Ok(LandOutcome::Landed)
    }

    async fn push(&mut self, _commit: &CommitId) -> Result<PushOutcome, IntegrateError> {
        if self.repository.state().pushes_fail {
            let error = std::io::Error::from(std::io::ErrorKind::NotConnected);
            return Err(failed(format!("push {}", self.target), error));
        }
        Ok(PushOutcome::Off)
    }
}

/// Returns the tree that a patch makes; the sentence says where it does not fit.
pub(super) fn applied(old: &Files, patch: &ParsedPatch<'_>) -> Result<Files, String> {
    let mut new = old.clone();
    let no = |path: &[u8], why: &str| format!("{}: {why}", encode_readable(path));
    for file in patch.files() {
        let before = match &file.old_path {
            None => None,
            Some(path) => {
                let path = path.as_bytes();
                Some(
                    old.get(path)
                        .ok_or_else(|| no(path, "there is no such file"))?,
                )
            }
        };
        if matches!(file.kind, ChangeKind::Deleted | ChangeKind::Renamed)
            && let Some(path) = &file.old_path
        {
            new.remove(path.as_bytes());
        }
        let content = before.map(|file| &*file.content).unwrap_or_default();
        let after = file
            .applied_to(content)
            .ok_or_else(|| no(file.path().as_bytes(), "patch does not apply"))?;
        if let Some(path) = &file.new_path {
            let path = path.as_bytes();
            if file.kind != ChangeKind::Modified && new.get(path).is_some() {
                return Err(no(path, "it is there already"));
            }
            let kept = before.map_or(FileMode::Regular, |file| file.mode);
            new.put(path, file.new_mode.unwrap_or(kept), &after);
        }
    }
    let is_folder = |path: &[u8]| {
        let below = [path, b"/"].concat();
        new.paths().any(|other| other.starts_with(&below))
    };
    if let Some(path) = new.paths().find(|path| is_folder(path)) {
        return Err(no(path, "it would be a file and a folder at once"));
    }
    Ok(new)
}

fn approved<'c>(
    candidate: &'c Candidate,
    approval: &Approval<LocalDiff>,
) -> Result<&'c Candidate, IntegrateError> {
    let id = candidate.id();
    if approval.subject() == id.as_str() {
        Ok(candidate)
    } else {
        Err(IntegrateError::StaleApproval {
            approved: approval.subject().chars().take(12).collect(),
            found: id.short().to_owned(),
        })
    }
}

fn failed(operation: String, error: impl Into<BoxError>) -> IntegrateError {
    IntegrateError::Other {
        operation,
        source: Some(error.into()),
    }
}
