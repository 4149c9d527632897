//! The seam to the one place where patches reach a target, and the candidate it builds.

use std::fmt;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::BoxError;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::gate::Approval;
use crate::gate::LocalDiff;
use crate::gate::Person;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::protected::Hold;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// Which claim a patch was made under; stands in the trailers of its commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimRef {
    /// The issue.
    pub issue: IssueKey,
    /// The claim's comment: the fence token.
    pub comment: CommentId,
    /// The claim's nonce, 32 hexadecimal digits.
    pub nonce: String,
    /// The approving start event.
    pub round: EventId,
}

/// One patch that waits for integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The claim it was made under.
    pub claim: ClaimRef,
    /// The base it was made on.
    pub base: CommitId,
    /// The patch.
    pub patch: Patch,
    /// The issue's title, for the commit message.
    pub title: String,
    /// Who is named as author.
    pub author: Person,
    /// When the work was submitted: the author date.
    pub authored: Timestamp,
    /// The finished message without trailers.
    pub message: String,
    /// What commands of its run hold it, besides what stands in the patch itself.
    pub holds: Vec<Hold>,
}

/// One commit of a candidate: one patch of one issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateCommit {
    /// The claim it comes from.
    pub claim: ClaimRef,
    /// The patch.
    pub patch: PatchId,
    /// The commit object.
    pub commit: CommitId,
    /// Its tree.
    pub tree: CommitId,
    /// Its author.
    pub author: Person,
    /// Its author date, whole seconds.
    pub authored: Timestamp,
    /// Its message without trailers.
    pub message: String,
    /// The paths it touches.
    pub touched: Vec<String>,
    /// The paths it touches outside the ones declared in its claim.
    pub drift: Vec<String>,
    /// What holds it until an OK names it.
    pub holds: Vec<Hold>,
}

/// The verification that ran on exactly one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationRecord {
    /// The tree it ran on.
    pub tree: CommitId,
    /// Digest of the commands that ran.
    pub commands: String,
    /// Whether there was anything to run; false is said to people.
    pub verified: bool,
    /// When it passed.
    pub at: Timestamp,
}

/// The id of a candidate: any change of what would be committed changes it. 64 hexadecimal digits; people type the
/// first twelve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CandidateId(String);

impl CandidateId {
    /// Returns the full id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the twelve digits people read and type.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// Returns whether what a person typed names this candidate: its short or full id.
    #[must_use]
    pub fn is_named_by(&self, typed: &str) -> bool {
        typed == self.short() || typed == self.0
    }
}

impl fmt::Display for CandidateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// A chain of commits, one per patch, on one base of one target, waiting for a person's OK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where the chain stands.
    pub base: BaseRevision,
    /// The commits, first to last; never empty once stored.
    pub commits: Vec<CandidateCommit>,
    /// The verification of the last tree; `None` until it passed.
    pub verification: Option<VerificationRecord>,
    /// No further patch joins; the id is final.
    pub sealed: bool,
    /// When it was sealed.
    pub sealed_at: Option<Timestamp>,
}

impl Candidate {
    /// Returns the id: a digest over target, base commit and, per commit, issue, claim nonce, round, tree, author with
    /// date, message and holds; and the verification of the last tree.
    ///
    /// Commit ids are left out on purpose: the chain is written anew at landing with the approver as committer.
    #[must_use]
    pub fn id(&self) -> CandidateId {
        let mut h = Sha256::new();
        // Length-prefixed, so that no two different contents run together into one input.
        let mut field = |bytes: &[u8]| {
            h.update((bytes.len() as u64).to_be_bytes());
            h.update(bytes);
        };
        field(b"candidate v1");
        field(self.base.target.as_str().as_bytes());
        field(self.base.commit.as_str().as_bytes());
        for c in &self.commits {
            field(c.claim.issue.as_str().as_bytes());
            field(c.claim.nonce.as_bytes());
            field(&c.claim.round.0.to_be_bytes());
            field(c.tree.as_str().as_bytes());
            field(c.author.name.as_bytes());
            field(c.author.email.as_bytes());
            field(&c.authored.as_secs().to_be_bytes());
            field(c.message.as_bytes());
            for hold in &c.holds {
                field(hold.id.full().as_bytes());
            }
        }
        match &self.verification {
            Some(v) => {
                field(v.tree.as_str().as_bytes());
                field(v.commands.as_bytes());
                field(&[u8::from(v.verified)]);
            }
            None => field(b"unverified"),
        }
        CandidateId(hex::encode(h.finalize()))
    }

    /// Returns the last commit, whose tree is verified and approved.
    #[must_use]
    pub fn tip(&self) -> Option<&CandidateCommit> {
        self.commits.last()
    }

    /// Returns every hold of every commit.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.commits.iter().flat_map(|c| &c.holds)
    }

    /// Returns whether the verification ran on exactly the last tree.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        match (&self.verification, self.tip()) {
            (Some(v), Some(tip)) => v.tree == tip.tree,
            _ => false,
        }
    }
}

/// What adding one patch to the chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyOutcome {
    /// It is the new last commit.
    Applied,
    /// It does not fit the tree; every byte of the candidate is as before.
    DoesNotApply {
        /// Which file and why, for the rework memo.
        detail: String,
    },
    /// The policy refuses it; it is kept for reading.
    Refused {
        /// The sentence.
        reason: String,
    },
    /// It changes nothing on this base: somebody else's work already contains it.
    Empty,
}

/// The outcome of asking for a target's integration session.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenOutcome {
    /// It is ours until it is dropped or closed.
    Opened(Box<dyn Integration>),
    /// Another process has it.
    Busy,
}

/// Which tree to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkout {
    /// The candidate's last tree.
    Candidate,
    /// The tree of the candidate's base, without any patch.
    Base,
}

/// What to search the target's history for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailerSearch {
    /// The commit to search from, included.
    pub tip: CommitId,
    /// The oldest bases to search back to; each must be an ancestor, else the whole history is searched.
    pub oldest: Vec<CommitId>,
}

/// A commit that carries our trailers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailerHit {
    /// The commit.
    pub commit: CommitId,
    /// The claims named in it (`Agent-Claim: <issue> <comment id> <nonce>`).
    pub claims: Vec<(IssueKey, CommentId, String)>,
    /// The rounds named in it (`Agent-Round: <issue> <id>`).
    pub rounds: Vec<(IssueKey, EventId)>,
}

/// A landing that is written but not yet visible: commit objects exist, no ref has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingPlan {
    /// The candidate it lands.
    pub candidate: CandidateId,
    /// The target.
    pub target: Target,
    /// The tip the compare-and-swap expects.
    pub old: CommitId,
    /// The commit it sets.
    pub new: CommitId,
    /// The new commits with the claims they land, first to last.
    pub commits: Vec<(ClaimRef, CommitId)>,
    /// The paths that differ between the two.
    pub touched: Vec<String>,
}

/// Until when a landing may move its ref: what the fence before it has read is too old afterwards.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use pipeline_core::clock::Timestamp;
/// use pipeline_core::integrate::LandBy;
/// use pipeline_core::memory::ScriptedClock;
///
/// let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
/// let by = LandBy::new(clock.clone(), Duration::from_secs(60));
/// assert!(!by.has_passed());
/// clock.advance(Duration::from_secs(61));
/// assert!(by.has_passed());
/// ```
#[derive(Debug, Clone)]
pub struct LandBy {
    clock: Arc<dyn Clock>,
    end: Duration,
}

impl LandBy {
    /// Takes the last moment on the clock's monotonic time.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, end: Duration) -> Self {
        Self { clock, end }
    }

    /// Returns whether it is too late to move the ref.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.clock.elapsed() > self.end
    }
}

/// What landing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LandOutcome {
    /// The target has moved, and every checkout of it with it.
    Landed,
    /// It took so long that the fence before it no longer counts; no ref moved.
    TooLate,
    /// Not now; no ref moved.
    Waits {
        /// What a person has to do, naming the tree.
        reason: String,
    },
    /// The target's tip is no longer the plan's `old`; no ref moved.
    BaseMoved,
    /// A checkout of the target was changed by a person while the ref moved: everything is kept, nothing overwritten.
    EditedMeanwhile {
        /// Which paths, in which tree, and what to do.
        detail: String,
    },
}

/// What pushing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushOutcome {
    /// The remote has the commits.
    Pushed,
    /// Pushing is not configured.
    Off,
    /// The remote refused; the commits stay local and nothing is rebased.
    Refused {
        /// What it said.
        detail: String,
    },
}

/// The one place where patches reach a target.
///
/// # Contract
/// One integration session per repository at a time, over all processes. A dead process holds nothing.
#[async_trait]
pub trait PatchIntegrator: Debug + Send + Sync + 'static {
    /// Returns its configured name (`main-codex`).
    fn name(&self) -> &str;
    /// Returns the id of (machine, repository) that keeps the patches: others leave its claims alone.
    fn id(&self) -> &str;
    /// Keeps a patch: content-addressed, with a ref, synced before this returns. Idempotent.
    ///
    /// # Errors
    /// [`IntegrateError::Other`]; the workspace must stay then.
    async fn store(&self, patch: &Patch) -> Result<(), IntegrateError>;
    /// Returns a kept patch.
    ///
    /// # Errors
    /// [`IntegrateError::Corrupt`] if its bytes no longer have its id.
    async fn stored(&self, id: &PatchId) -> Result<Option<Patch>, IntegrateError>;
    /// Opens the session of a target, with the candidate that waits there, if any.
    ///
    /// # Errors
    /// [`IntegrateError`]; `Busy` is a value.
    async fn open(&self, target: &Target) -> Result<OpenOutcome, IntegrateError>;
    /// Returns the candidates that wait, of every target, without taking the lock.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn candidates(&self) -> Result<Vec<Candidate>, IntegrateError>;
    /// Returns the whole diff of a candidate against its base, for `review`.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn diff(&self, candidate: &Candidate) -> Result<Vec<u8>, IntegrateError>;
    /// Opens the session of the target on which this very candidate waits; the OK comes days later.
    ///
    /// # Errors
    /// [`IntegrateError::NoSuchCandidate`] if it is gone or was rebuilt.
    async fn resume(&self, candidate: &CandidateId) -> Result<OpenOutcome, IntegrateError>;
}

/// An open session on one target; holds the integrator's lock until it is dropped.
///
/// # Contract
/// A crash loses nothing. What [`candidate`](Self::candidate) shows is stored when [`rebuild`](Self::rebuild),
/// [`checkout`](Self::checkout), [`set_verified`](Self::set_verified) of something that ran, or [`seal`](Self::seal)
/// returns. What [`apply`](Self::apply) added, and that nothing was to be run, may be stored by the next of these only, in
/// one go for any number of patches; until then whoever opens the next session applies the stored patches again.
/// Nothing touches a checkout of the target, and nothing under `refs/heads` moves, before [`land`](Self::land).
#[async_trait]
pub trait Integration: Debug + Send + Sync {
    /// Returns the target.
    fn target(&self) -> &Target;
    /// Returns the candidate, if there is one.
    fn candidate(&self) -> Option<&Candidate>;
    /// Returns the target's tip now.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn tip(&self) -> Result<CommitId, IntegrateError>;
    /// Returns the commits with our trailers between the tip and the oldest bases.
    ///
    /// # Errors
    /// [`IntegrateError`]; a part is never returned as the whole.
    async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError>;
    /// Adds one patch as the last commit; starts a candidate on the tip if there is none. Drops a former verification.
    ///
    /// # Errors
    /// [`IntegrateError::Sealed`] if the candidate is sealed; the candidate is as before on every error.
    async fn apply(
        &mut self,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, IntegrateError>;
    /// Replaces the candidate by one on `base` made of these submissions, in order; those that no longer apply are
    /// left out and returned with why. None left ⇒ no candidate.
    ///
    /// # Errors
    /// [`IntegrateError`]; the former candidate stays then.
    async fn rebuild(
        &mut self,
        base: &CommitId,
        submissions: &[(Submission, Vec<String>)],
    ) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError>;
    /// Returns a directory with the wanted tree, everything else reset but the paths named `keep`, hooks run.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError>;
    /// Records the verification of the last tree.
    ///
    /// # Errors
    /// [`IntegrateError::WrongTree`] if it names another tree.
    async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError>;
    /// Seals the candidate: no further patch joins, the id is final.
    ///
    /// # Errors
    /// [`IntegrateError::WrongTree`] if the last tree is not verified.
    async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError>;
    /// Drops the candidate; its patches stay stored.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn discard(&mut self) -> Result<(), IntegrateError>;
    /// Writes the chain anew with committer, date and trailers; equal approvals write equal commits.
    ///
    /// # Errors
    /// [`IntegrateError::StaleApproval`] if the approval names another candidate.
    async fn prepare(&self, approval: &Approval<LocalDiff>) -> Result<LandingPlan, IntegrateError>;
    /// Makes a prepared landing visible: the ref by compare-and-swap, then every checkout of the target.
    ///
    /// `by` is asked right before the compare-and-swap, after everything that may take time.
    ///
    /// # Errors
    /// [`IntegrateError`] only where it is unknown how far it got; the next [`roll_forward`](Self::roll_forward) tells.
    ///
    /// # Cancel safety
    /// May be killed anywhere; `roll_forward` completes it.
    async fn land(
        &mut self,
        plan: &LandingPlan,
        approval: &Approval<LocalDiff>,
        by: &LandBy,
    ) -> Result<LandOutcome, IntegrateError>;
    /// Completes a landing whose ref has moved already; `BaseMoved` if it has not.
    ///
    /// # Errors
    /// [`IntegrateError`].
    async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError>;
    /// Pushes one landed commit, with what is before it, to the target's upstream, fast-forward only, where configured.
    ///
    /// What a person has committed on top of it since is not pushed.
    ///
    /// # Errors
    /// [`IntegrateError`] only where the push could not be tried.
    async fn push(&mut self, commit: &CommitId) -> Result<PushOutcome, IntegrateError>;
}

/// Why the integrator could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrateError {
    /// There is no such branch.
    #[error("target `{target}` is not a branch of the repository: {hint}")]
    UnknownTarget {
        /// The target.
        target: Target,
        /// What to do.
        hint: String,
    },
    /// The candidate is gone.
    #[error(
        "there is no candidate {typed}: it has landed, gone back or been rebuilt; `review` shows what waits"
    )]
    NoSuchCandidate {
        /// What was named.
        typed: String,
    },
    /// The approval names something else.
    #[error(
        "the OK names candidate {approved}, but candidate {found} waits now: look at it again and give a new OK"
    )]
    StaleApproval {
        /// The candidate the OK names.
        approved: String,
        /// The candidate there is.
        found: String,
    },
    /// No further patch joins.
    #[error(
        "candidate {id} is sealed and waits for its OK; later patches wait until it has landed or gone back"
    )]
    Sealed {
        /// The candidate.
        id: CandidateId,
    },
    /// The verification is of another tree.
    #[error("the verification is not of the candidate's last tree")]
    WrongTree,
    /// git is missing, too old or refuses the repository.
    #[error("git cannot be used here: {reason}")]
    Git {
        /// Why, and what to do.
        reason: String,
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
    /// Stored data is damaged.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// Which file or object.
        what: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A hook failed.
    #[error("hook {hook} failed in the verification worktree: {detail}")]
    Hook {
        /// Its name.
        hook: String,
        /// What it said.
        detail: String,
    },
    /// Anything else.
    #[error("could not {operation}")]
    Other {
        /// What was tried, on what.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}
