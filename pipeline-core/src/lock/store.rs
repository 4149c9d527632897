//! The seam to a lock store, and the proof that a lock is held.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::fold::LockState;
use super::fold::TamperedIssue;
use super::record::Claim;
use super::record::Ender;
use crate::BoxError;
use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::integrate::ClaimRef;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::mirror::View;
use crate::protected::Hold;
use crate::workspace::CommitId;
use crate::workspace::PatchId;

/// M: how long before the end of its lease a holder stops.
pub const MARGIN: Duration = super::fold::GRACE;
/// The lease of a claim.
pub const FIRST_LEASE: Duration = Duration::from_secs(30 * 60);
/// The lease of a beat.
pub const BEAT_LEASE: Duration = Duration::from_secs(2 * 3600);

/// A lock that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// The issue.
    pub issue: IssueKey,
    /// What is posted.
    pub claim: Claim,
    /// A sentence for people under the memo.
    pub text: String,
}

/// A lock that was won, as plain data. Becomes a [`WorkLock`] only in this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRecord {
    /// The issue.
    pub issue: IssueKey,
    /// The claim's comment: the fence token.
    pub id: CommentId,
    /// Its nonce.
    pub nonce: String,
    /// What was posted.
    pub claim: Claim,
    /// On the monotonic clock: from then on the holder must not work any more.
    pub deadline: Duration,
}

/// What asking for a lock came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOutcome {
    /// It is ours.
    Acquired(Box<LockRecord>),
    /// Something it needs is held; nothing was posted, or what was posted is dead.
    Held {
        /// Who holds what, for people.
        by: String,
        /// The holder's issue, where known.
        holder: Option<IssueKey>,
    },
    /// The issue left the status or is in another round; what was posted was released.
    NotCurrent,
    /// The issue's memos cannot be trusted.
    Tampered {
        /// What is wrong.
        reason: String,
    },
    /// Its memo could not be posted, or the win not be journaled; whatever was posted is released or expires by itself.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Who holds what, freshly read.
#[derive(Debug, Clone)]
pub struct LockView {
    /// The fold.
    pub state: LockState,
    /// The issues whose memos cannot be trusted.
    pub tampered: Vec<TamperedIssue>,
    /// The server's time of the reading.
    pub date: Timestamp,
    /// Everything else that was read with it.
    pub view: View,
}

impl LockView {
    /// Returns what is wrong with an issue's memos, if anything.
    #[must_use]
    pub fn distrust(&self, issue: &IssueKey) -> Option<&TamperedIssue> {
        self.tampered.iter().find(|t| t.issue == *issue)
    }

    /// Returns the comment that blocks everything, because it may be a claim that nobody can read, if there is one.
    #[must_use]
    pub fn blocks_all(&self) -> Option<&TamperedIssue> {
        self.tampered.iter().find(|t| t.blocks_all)
    }
}

/// How a claim ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndKind {
    /// It is given up.
    Release {
        /// In one word.
        reason: String,
        /// Who says so.
        by: Ender,
    },
    /// The integrator gives the patch back.
    Refused {
        /// In one word.
        reason: String,
    },
    /// Its round is in the target.
    Landed {
        /// The commit.
        commit: Option<CommitId>,
    },
}

/// Work-start locks.
///
/// # Contract
/// `docs/guarantees.md` and the lock protocol: at most one holder per resource, a loser never becomes the holder, a
/// dead holder loses its lock by time alone. Correctness of integration does not depend on it but on the fence.
#[async_trait]
pub trait LockStore: Debug + Send + Sync + 'static {
    /// Reads who holds what; the threads of `own` and of every live claim in full.
    ///
    /// # Errors
    /// [`LockError`].
    async fn live(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError>;
    /// Asks for a batch of locks that do not conflict with each other; one settle for all. Never waits for a holder.
    ///
    /// # Errors
    /// [`LockError`]; whatever was posted expires by itself.
    async fn acquire(&self, requests: &[LockRequest]) -> Result<Vec<LockOutcome>, LockError>;
    /// Sends a beat and returns the new deadline once it was re-read as accepted; `None` = the lock is lost.
    ///
    /// # Errors
    /// [`LockError`]; the old deadline holds.
    async fn renew(&self, lock: &WorkLock) -> Result<Option<Duration>, LockError>;
    /// Hands the patch over; false = the lock was lost before, the submission is visible but late.
    ///
    /// # Errors
    /// [`LockError`]; can be repeated.
    async fn submit(
        &self,
        lock: &WorkLock,
        patch: &PatchId,
        holds: Vec<Hold>,
        text: String,
    ) -> Result<bool, LockError>;
    /// Ends a claim.
    ///
    /// # Errors
    /// [`LockError`]; can be repeated, an ended claim is not ended twice.
    async fn end(&self, claim: &ClaimRef, how: &EndKind, text: String) -> Result<(), LockError>;
    /// Sends a beat for a submitted claim, on behalf of the integrator that keeps its patch.
    ///
    /// # Errors
    /// [`LockError`].
    async fn park(&self, claim: &ClaimRef) -> Result<(), LockError>;
}

/// Why a lock store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// What it stands on could not be read.
    #[error("the work-start locks cannot be read")]
    Unreadable {
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A memo could not be posted.
    #[error("the work-start memo of {issue} was not posted")]
    Post {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The journal could not be written.
    #[error("the journal cannot be written, so nothing was started")]
    Journal {
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// The proof that a run holds its issue and resources. Only this crate mints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkLock {
    record: LockRecord,
    lease: Duration,
}

impl WorkLock {
    pub(crate) const fn mint(record: LockRecord) -> Self {
        let lease = record.claim.lease;
        Self { record, lease }
    }

    /// Returns the issue.
    #[must_use]
    pub const fn issue(&self) -> &IssueKey {
        &self.record.issue
    }

    /// Returns the claim's comment: the fence token.
    #[must_use]
    pub const fn id(&self) -> CommentId {
        self.record.id
    }

    /// Returns the run that holds it.
    #[must_use]
    pub const fn run(&self) -> &RunId {
        &self.record.claim.run
    }

    /// Returns the round it was taken for.
    #[must_use]
    pub const fn round(&self) -> EventId {
        self.record.claim.round
    }

    /// Returns what was posted.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.record.claim
    }

    /// Returns from when on, on the monotonic clock, the holder must not work any more.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.record.deadline
    }

    /// Returns how long the lease is that ends [`MARGIN`] after the deadline.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    pub(crate) const fn extend(&mut self, deadline: Duration) {
        self.record.deadline = deadline;
        self.lease = BEAT_LEASE;
    }

    /// Returns what stands in the trailers.
    #[must_use]
    pub fn claim_ref(&self) -> ClaimRef {
        ClaimRef {
            issue: self.record.issue.clone(),
            comment: self.record.id,
            nonce: self.record.nonce.clone(),
            round: self.record.claim.round,
        }
    }
}
