//! The integrator: the one place where patches reach a target.

mod build;
mod chain;
mod checkout;
mod filters;
mod fit;
mod landing;
mod options;
mod oslock;
mod push;
mod record;
mod session;
mod trailers;

use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::integrate::Candidate;
use pipeline_core::integrate::CandidateId;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::integrate::OpenOutcome;
use pipeline_core::integrate::PatchIntegrator;
use pipeline_core::workspace::Patch;
use pipeline_core::workspace::PatchId;
use pipeline_core::workspace::Target;

use crate::error::GitError;
pub use crate::integrator::options::HoldFinder;
pub use crate::integrator::options::IntegratorOptions;
pub use crate::integrator::options::Signing;
pub use crate::integrator::push::PushOptions;
use crate::integrator::session::Session;
use crate::object::Objects;
use crate::object::blocking;
use crate::refs;
use crate::repository::Repository;
use crate::store::PatchStore;
use crate::store::Stored;
use crate::workspace::parsed;

/// The largest difference that is shown for review, in bytes.
const REVIEW: usize = 256 << 20;

/// Builds candidates out of patches and lands them on branches of a git repository.
///
/// No checkout is touched before a landing: commits are written from the touched paths alone, and
/// verified in a worktree that belongs to the integrator. Everything a candidate is made of hangs on
/// one ref, `refs/agents/candidate/<target>`, so nothing of it is lost and whoever can read the
/// repository can review it.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pipeline_core::integrate::{OpenOutcome, PatchIntegrator as _};
/// use pipeline_core::workspace::Target;
/// use pipeline_git::{GitIntegrator, GitOptions, IntegratorOptions, Repository};
///
/// let repository = Repository::open(GitOptions::default(), "/src/shop", "/var/lib/shop-state").await?;
/// let integrator = GitIntegrator::new(&repository, IntegratorOptions::new("main-codex", "3f2a"));
/// match integrator.open(&Target::new("main")?).await? {
///     OpenOutcome::Opened(session) => println!("{:?}", session.candidate()),
///     _ => println!("another process has it"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GitIntegrator {
    shared: Arc<Shared>,
}

/// What every session of an integrator works with.
#[derive(Debug)]
struct Shared {
    repository: Repository,
    options: IntegratorOptions,
}

impl GitIntegrator {
    /// Makes the integrator of a repository.
    #[must_use]
    pub fn new(repository: &Repository, options: IntegratorOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                repository: repository.clone(),
                options,
            }),
        }
    }

    /// Opens the session of a target; `None` when another process has the integrator.
    async fn session(&self, target: &Target) -> Result<Option<Session>, IntegrateError> {
        let repository = &self.shared.repository;
        let operation = || format!("open the session of {target}");
        let branch = format!("refs/heads/{target}");
        let tip = refs::branch(repository, &branch)
            .await
            .map_err(|error| failed(operation(), error))?;
        match tip {
            refs::Branch::Commit(_) => {}
            refs::Branch::Missing => {
                return Err(IntegrateError::UnknownTarget {
                    target: target.clone(),
                    hint: crate::target::hint(repository).await,
                });
            }
            refs::Branch::Symbolic(to) => {
                return Err(IntegrateError::UnknownTarget {
                    target: target.clone(),
                    hint: format!("it only points to {to}, which is the one to name"),
                });
            }
        }
        let lock = oslock::take(repository)
            .await
            .map_err(|error| failed(operation(), error))?;
        let Some(lock) = lock else {
            return Ok(None);
        };
        landing::clear(repository)
            .await
            .map_err(|error| failed(operation(), error))?;
        let quarantine = repository.quarantine();
        blocking("clear", &quarantine.clone(), move || {
            crate::held::sweep(&quarantine)
        })
        .await
        .map_err(|error| failed(operation(), error))?;
        Session::open(Arc::clone(&self.shared), target.clone(), lock)
            .await
            .map(Some)
    }

    /// Returns the refs that keep patches and salvaged work.
    ///
    /// # Errors
    /// [`IntegrateError::Other`] if they cannot be listed.
    pub async fn kept(&self) -> Result<Vec<String>, IntegrateError> {
        let list = async {
            let repository = &self.shared.repository;
            let mut names = Vec::new();
            for prefix in [refs::PATCH, refs::SALVAGE] {
                let found = refs::list(repository, prefix).await?;
                names.extend(found.into_iter().map(|(name, _)| name));
            }
            Ok(names)
        };
        list.await
            .map_err(|error| failed("list what is kept".to_owned(), error))
    }

    /// Lets go of a patch or of salvaged work, by the name [`kept`](Self::kept) returns. Whether that is safe is for the
    /// caller to know.
    ///
    /// # Errors
    /// [`IntegrateError::Other`] if something of it is left; calling again is safe.
    pub async fn forget(&self, reference: &str) -> Result<(), IntegrateError> {
        let repository = &self.shared.repository;
        let failed = |error| failed(format!("let go of {reference}"), error);
        if let Some(id) = reference.strip_prefix(refs::PATCH) {
            if let Ok(id) = PatchId::new(id) {
                PatchStore::new(repository)
                    .remove(&id)
                    .await
                    .map_err(failed)?;
            }
        } else if reference.starts_with(refs::SALVAGE) {
            refs::delete(repository, reference).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Removes the verification worktrees, which are otherwise kept between candidates.
    ///
    /// # Errors
    /// [`IntegrateError::Other`] if something is left; calling again is safe.
    pub async fn remove_verification_worktrees(&self) -> Result<(), IntegrateError> {
        checkout::remove_all(&self.shared.repository)
            .await
            .map_err(|error| failed("remove the verification worktrees".to_owned(), error))
    }
}

#[async_trait]
impl PatchIntegrator for GitIntegrator {
    fn name(&self) -> &str {
        &self.shared.options.name
    }

    fn id(&self) -> &str {
        &self.shared.options.id
    }

    async fn store(&self, patch: &Patch) -> Result<(), IntegrateError> {
        PatchStore::new(&self.shared.repository)
            .put(patch)
            .await
            .map_err(|error| failed(format!("keep patch {}", patch.id().short()), error))
    }

    async fn stored(&self, id: &PatchId) -> Result<Option<Patch>, IntegrateError> {
        let stored = PatchStore::new(&self.shared.repository)
            .get(id)
            .await
            .map_err(|error| failed(format!("read patch {}", id.short()), error))?;
        match stored {
            Stored::Nothing => Ok(None),
            Stored::Whole(patch) => Ok(Some(patch)),
            Stored::Damaged => Err(IntegrateError::Corrupt {
                what: format!("patch {}", id.short()),
                reason: "neither its file nor its blob has the bytes its name promises; have the work done again"
                    .to_owned(),
            }),
        }
    }

    async fn open(&self, target: &Target) -> Result<OpenOutcome, IntegrateError> {
        Ok(match self.session(target).await? {
            Some(session) => OpenOutcome::Opened(Box::new(session)),
            None => OpenOutcome::Busy,
        })
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, IntegrateError> {
        let objects = Objects::open(&self.shared.repository)
            .map_err(|error| failed("list the candidates".to_owned(), error))?;
        let kept = record::all(&self.shared.repository, &objects).await?;
        Ok(kept.into_iter().map(|kept| kept.candidate).collect())
    }

    async fn diff(&self, candidate: &Candidate) -> Result<Vec<u8>, IntegrateError> {
        let diff = async {
            let objects = Objects::open(&self.shared.repository)?;
            let old = objects.commit(&parsed(&candidate.base.commit)).await?.tree;
            let new = candidate.tip().map_or(old, |tip| parsed(&tip.tree));
            objects.diff(&old, &new, REVIEW).await
        };
        diff.await
            .map_err(|error| failed(format!("show candidate {}", candidate.id()), error))
    }

    async fn resume(&self, candidate: &CandidateId) -> Result<OpenOutcome, IntegrateError> {
        let gone = || IntegrateError::NoSuchCandidate {
            typed: candidate.short().to_owned(),
        };
        let waiting = self.candidates().await?;
        let found = waiting
            .iter()
            .find(|waiting| waiting.id() == *candidate)
            .ok_or_else(gone)?;
        let outcome = self.open(&found.base.target).await?;
        if let OpenOutcome::Opened(session) = &outcome
            // It may have been rebuilt between the look and the lock.
            && session.candidate().is_none_or(|now| now.id() != *candidate)
        {
            return Err(gone());
        }
        Ok(outcome)
    }
}

fn failed(operation: String, error: GitError) -> IntegrateError {
    match error {
        GitError::Missing { .. } | GitError::TooOld { .. } => IntegrateError::Git {
            reason: error.to_string(),
            source: None,
        },
        error => IntegrateError::Other {
            operation,
            source: Some(error.into()),
        },
    }
}

#[cfg(test)]
mod tests;
