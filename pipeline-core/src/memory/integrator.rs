//! An integrator over the repository in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use async_trait::async_trait;

use super::repository::Change;
use super::repository::MemoryCommit;
use super::repository::MemoryRepository;
use super::repository::Tree;
use super::repository::tree_id;
use super::repository::write_tree;
use crate::clock::Timestamp;
use crate::gate::Approval;
use crate::gate::LocalDiff;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::CandidateId;
use crate::integrate::Checkout;
use crate::integrate::ClaimRef;
use crate::integrate::IntegrateError;
use crate::integrate::Integration;
use crate::integrate::LandOutcome;
use crate::integrate::LandingPlan;
use crate::integrate::OpenOutcome;
use crate::integrate::PatchIntegrator;
use crate::integrate::PushOutcome;
use crate::integrate::Submission;
use crate::integrate::TrailerHit;
use crate::integrate::TrailerSearch;
use crate::integrate::VerificationRecord;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// An integrator over a [`MemoryRepository`].
#[derive(Debug, Clone)]
pub struct MemoryIntegrator {
    name: String,
    id: String,
    repository: MemoryRepository,
    folder: PathBuf,
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    patches: BTreeMap<PatchId, Vec<u8>>,
    candidates: BTreeMap<Target, Candidate>,
    open: bool,
}

impl MemoryIntegrator {
    /// Makes an integrator whose verification folders lie below `folder`.
    #[must_use]
    pub fn new(name: &str, repository: MemoryRepository, folder: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            id: "memory".into(),
            repository,
            folder: folder.into(),
            store: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open session; gives the integrator back when it is dropped.
#[derive(Debug)]
struct Session {
    integrator: MemoryIntegrator,
    target: Target,
    candidate: Option<Candidate>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.integrator.lock().open = false;
    }
}

#[async_trait]
impl PatchIntegrator for MemoryIntegrator {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &str {
        &self.id
    }

    async fn store(&self, patch: &Patch) -> Result<(), IntegrateError> {
        self.lock()
            .patches
            .insert(patch.id().clone(), patch.bytes().to_vec());
        Ok(())
    }

    async fn stored(&self, id: &PatchId) -> Result<Option<Patch>, IntegrateError> {
        Ok(self.lock().patches.get(id).cloned().map(Patch::new))
    }

    async fn open(&self, target: &Target) -> Result<OpenOutcome, IntegrateError> {
        if self.repository.tip(target).is_none() {
            return Err(IntegrateError::UnknownTarget {
                target: target.clone(),
                hint: "commit something on it first".into(),
            });
        }
        let mut store = self.lock();
        if std::mem::replace(&mut store.open, true) {
            return Ok(OpenOutcome::Busy);
        }
        let candidate = store.candidates.get(target).cloned();
        let session = Session {
            integrator: self.clone(),
            target: target.clone(),
            candidate,
        };
        Ok(OpenOutcome::Opened(Box::new(session)))
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, IntegrateError> {
        Ok(self.lock().candidates.values().cloned().collect())
    }

    async fn diff(&self, candidate: &Candidate) -> Result<Vec<u8>, IntegrateError> {
        let mut out = String::new();
        for c in &candidate.commits {
            out.push_str(&format!("{}: {}\n", c.claim.issue, c.touched.join(" ")));
        }
        Ok(out.into_bytes())
    }

    async fn resume(&self, candidate: &CandidateId) -> Result<OpenOutcome, IntegrateError> {
        let target = {
            let store = self.lock();
            store
                .candidates
                .iter()
                .find(|(_, c)| c.id() == *candidate)
                .map(|(t, _)| t.clone())
        };
        match target {
            Some(target) => self.open(&target).await,
            None => Err(IntegrateError::NoSuchCandidate {
                typed: candidate.to_string(),
            }),
        }
    }
}

impl Session {
    fn tree(&self, commit: &CommitId) -> Tree {
        let state = self.integrator.repository.lock();
        state
            .commits
            .get(commit)
            .map(|c| c.tree.clone())
            .unwrap_or_default()
    }

    fn save(&mut self, candidate: Option<Candidate>) {
        let mut store = self.integrator.lock();
        match &candidate {
            Some(c) => drop(store.candidates.insert(self.target.clone(), c.clone())),
            None => drop(store.candidates.remove(&self.target)),
        }
        drop(store);
        self.candidate = candidate;
    }

    fn tip_now(&self) -> Result<CommitId, IntegrateError> {
        self.integrator
            .repository
            .tip(&self.target)
            .ok_or_else(|| IntegrateError::UnknownTarget {
                target: self.target.clone(),
                hint: "commit something on it first".into(),
            })
    }

    /// Adds one patch to a candidate, or says why not.
    fn join(
        &self,
        candidate: Option<Candidate>,
        base: &CommitId,
        s: &Submission,
        declared: &[String],
    ) -> Result<Candidate, ApplyOutcome> {
        let mut candidate = candidate.unwrap_or_else(|| Candidate {
            base: BaseRevision {
                target: self.target.clone(),
                commit: base.clone(),
            },
            commits: Vec::new(),
            verification: None,
            sealed: false,
            sealed_at: None,
        });
        let parent = candidate.tip().map_or(base.clone(), |c| c.commit.clone());
        let before = self.tree(&parent);
        let Ok(changes) = serde_json::from_slice::<Vec<Change>>(s.patch.bytes()) else {
            return Err(ApplyOutcome::Refused {
                reason: "it is not a patch".into(),
            });
        };
        let mut tree = before.clone();
        for c in &changes {
            if c.path.starts_with('/') || c.path.split('/').any(|p| p == ".." || p == ".git") {
                let reason = format!("path `{}` lies outside the tree", c.path.escape_debug());
                return Err(ApplyOutcome::Refused { reason });
            }
            if tree.get(&c.path) != c.before.as_ref() {
                return Err(ApplyOutcome::DoesNotApply {
                    detail: format!("`{}` is not what the patch expects", c.path),
                });
            }
            match &c.after {
                Some(bytes) => drop(tree.insert(c.path.clone(), bytes.clone())),
                None => drop(tree.remove(&c.path)),
            }
        }
        if tree == before {
            return Err(ApplyOutcome::Empty);
        }
        let touched: Vec<String> = changes.into_iter().map(|c| c.path).collect();
        let drift = touched
            .iter()
            .filter(|p| !declared.contains(p))
            .cloned()
            .collect();
        let tree_name = tree_id(&tree);
        let commit = self.integrator.repository.lock().add(MemoryCommit {
            parent: Some(parent),
            tree,
            message: s.message.clone(),
        });
        candidate.verification = None;
        candidate.commits.push(CandidateCommit {
            claim: s.claim.clone(),
            patch: s.patch.id().clone(),
            commit,
            tree: tree_name,
            author: s.author.clone(),
            authored: s.authored,
            message: s.message.clone(),
            touched,
            drift,
            holds: s.holds.clone(),
        });
        Ok(candidate)
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
        self.tip_now()
    }

    async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError> {
        let state = self.integrator.repository.lock();
        let mut hits = Vec::new();
        let mut at = Some(search.tip.clone());
        while let Some(id) = at {
            let Some(commit) = state.commits.get(&id) else {
                break;
            };
            let hit = read_trailers(&id, &commit.message);
            if !hit.claims.is_empty() || !hit.rounds.is_empty() {
                hits.push(hit);
            }
            at = commit.parent.clone();
        }
        Ok(hits)
    }

    async fn apply(
        &mut self,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, IntegrateError> {
        if let Some(c) = self.candidate.as_ref().filter(|c| c.sealed) {
            return Err(IntegrateError::Sealed { id: c.id() });
        }
        let base = match &self.candidate {
            Some(c) => c.base.commit.clone(),
            None => self.tip_now()?,
        };
        match self.join(self.candidate.clone(), &base, submission, declared) {
            Ok(candidate) => {
                self.save(Some(candidate));
                Ok(ApplyOutcome::Applied)
            }
            Err(outcome) => Ok(outcome),
        }
    }

    async fn rebuild(
        &mut self,
        base: &CommitId,
        submissions: &[(Submission, Vec<String>)],
    ) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError> {
        let mut candidate = None;
        let mut left_out = Vec::new();
        for (s, declared) in submissions {
            match self.join(candidate.clone(), base, s, declared) {
                Ok(joined) => candidate = Some(joined),
                Err(outcome) => left_out.push((s.claim.clone(), outcome)),
            }
        }
        self.save(candidate);
        Ok(left_out)
    }

    async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError> {
        let commit = match (which, &self.candidate) {
            (Checkout::Candidate, Some(c)) => {
                c.tip().map_or(c.base.commit.clone(), |t| t.commit.clone())
            }
            (Checkout::Base, Some(c)) => c.base.commit.clone(),
            (_, None) => self.tip_now()?,
        };
        let folder = self.integrator.folder.join("verification");
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(IntegrateError::Other {
                    operation: format!("clear {}", folder.display()),
                    source: Some(e.into()),
                });
            }
            Ok(()) | Err(_) => {}
        }
        write_tree(&folder, &self.tree(&commit)).map_err(|e| IntegrateError::Other {
            operation: "check out the tree".into(),
            source: Some(e.into()),
        })?;
        Ok(folder)
    }

    async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError> {
        let mut candidate = self.candidate.clone().ok_or(IntegrateError::WrongTree)?;
        if candidate.tip().is_none_or(|t| t.tree != record.tree) {
            return Err(IntegrateError::WrongTree);
        }
        candidate.verification = Some(record);
        self.save(Some(candidate));
        Ok(())
    }

    async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError> {
        let mut candidate = self.candidate.clone().ok_or(IntegrateError::WrongTree)?;
        if !candidate.is_verified() {
            return Err(IntegrateError::WrongTree);
        }
        if !candidate.sealed {
            candidate.sealed = true;
            candidate.sealed_at = Some(at);
        }
        let id = candidate.id();
        self.save(Some(candidate));
        Ok(id)
    }

    async fn discard(&mut self) -> Result<(), IntegrateError> {
        self.save(None);
        Ok(())
    }

    async fn prepare(&self, approval: &Approval<LocalDiff>) -> Result<LandingPlan, IntegrateError> {
        let found = self.candidate.as_ref().map(Candidate::id);
        let stale = |found: &str| IntegrateError::StaleApproval {
            approved: approval.subject().chars().take(12).collect(),
            found: found.to_owned(),
        };
        let Some(candidate) = &self.candidate else {
            return Err(stale("none"));
        };
        if found
            .as_ref()
            .is_none_or(|id| id.as_str() != approval.subject())
        {
            return Err(stale(candidate.id().short()));
        }
        let mut state = self.integrator.repository.lock();
        let mut parent = candidate.base.commit.clone();
        let mut commits = Vec::new();
        let mut touched = Vec::new();
        for c in &candidate.commits {
            let tree = state
                .commits
                .get(&c.commit)
                .map(|c| c.tree.clone())
                .unwrap_or_default();
            let message = format!(
                "{}\n\nAgent-Claim: {} {} {}\nAgent-Round: {} {}",
                c.message,
                c.claim.issue,
                c.claim.comment,
                c.claim.nonce,
                c.claim.issue,
                c.claim.round
            );
            parent = state.add(MemoryCommit {
                parent: Some(parent),
                tree,
                message,
            });
            commits.push((c.claim.clone(), parent.clone()));
            touched.extend(c.touched.iter().cloned());
        }
        Ok(LandingPlan {
            candidate: candidate.id(),
            target: self.target.clone(),
            old: candidate.base.commit.clone(),
            new: parent,
            commits,
            touched,
        })
    }

    async fn land(
        &mut self,
        plan: &LandingPlan,
        _approval: &Approval<LocalDiff>,
    ) -> Result<LandOutcome, IntegrateError> {
        let mut state = self.integrator.repository.lock();
        match state.branches.get_mut(&self.target) {
            Some(tip) if *tip == plan.old => {
                *tip = plan.new.clone();
                Ok(LandOutcome::Landed)
            }
            Some(_) | None => Ok(LandOutcome::BaseMoved),
        }
    }

    async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError> {
        let search = TrailerSearch {
            tip: self.tip_now()?,
            oldest: Vec::new(),
        };
        let landed = self
            .trailers(&search)
            .await?
            .iter()
            .any(|h| h.commit == plan.new);
        Ok(if landed {
            LandOutcome::Landed
        } else {
            LandOutcome::BaseMoved
        })
    }

    async fn push(&mut self) -> Result<PushOutcome, IntegrateError> {
        Ok(PushOutcome::Off)
    }
}

fn read_trailers(commit: &CommitId, message: &str) -> TrailerHit {
    let mut hit = TrailerHit {
        commit: commit.clone(),
        claims: Vec::new(),
        rounds: Vec::new(),
    };
    for line in message.lines() {
        let mut words = line.split(' ');
        let (name, issue) = (
            words.next(),
            words.next().and_then(|i| IssueKey::new(i).ok()),
        );
        let number = words.next().and_then(|n| n.parse().ok());
        match (name, issue, number, words.next()) {
            (Some("Agent-Claim:"), Some(issue), Some(id), Some(nonce)) => {
                hit.claims.push((issue, CommentId(id), nonce.to_owned()));
            }
            (Some("Agent-Round:"), Some(issue), Some(id), None) => {
                hit.rounds.push((issue, EventId(id)))
            }
            _ => {}
        }
    }
    hit
}
