//! The conformance suite of [`PatchIntegrator`] and [`Integration`].
//!
//! An integrator's tests implement [`IntegratorHarness`], which sets up a repository and plays the person, and call
//! [`integrator_conformance!`](crate::integrator_conformance).

mod building;
mod landing;
mod sessions;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::building::a_checkout_holds_the_wanted_tree_and_nothing_else;
pub use self::building::a_patch_becomes_the_last_commit;
pub use self::building::a_patch_that_does_not_apply_changes_nothing;
pub use self::building::a_rebuilt_candidate_leaves_out_what_no_longer_applies;
pub use self::building::a_refused_patch_changes_nothing;
pub use self::building::nothing_of_the_person_moves_before_landing;
pub use self::building::the_id_is_of_the_content;
pub use self::building::work_that_is_there_already_is_empty;
pub use self::landing::a_checkout_that_differs_makes_the_landing_wait;
pub use self::landing::a_landing_is_found_by_its_trailers;
pub use self::landing::a_landing_moves_branch_and_checkout;
pub use self::landing::a_landing_rolls_forward_once;
pub use self::landing::a_moved_base_lands_nothing;
pub use self::landing::a_stale_approval_lands_nothing;
pub use self::landing::equal_approvals_write_equal_commits;
pub use self::landing::other_work_of_the_person_stays;
pub use self::landing::what_lands_is_what_was_approved;
pub use self::sessions::a_candidate_survives_its_session;
pub use self::sessions::a_discarded_candidate_is_gone_and_its_patch_is_not;
pub use self::sessions::a_sealed_candidate_takes_nothing_more;
pub use self::sessions::a_stored_patch_comes_back;
pub use self::sessions::an_unknown_target_is_named;
pub use self::sessions::one_session_at_a_time;
pub use self::sessions::only_this_very_candidate_is_resumed;
pub use self::sessions::patches_that_joined_are_stored_by_the_next_checkout;
pub use self::sessions::verification_is_of_the_last_tree;
use super::Violation;
use super::case::Succeeds as _;
use super::case::same;
pub use super::files::FileEntry;
pub use super::files::FileSet;
use crate::BoxError;
use crate::clock::Timestamp;
use crate::gate::Approval;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::LocalDiff;
use crate::gate::Person;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::ClaimRef;
use crate::integrate::Integration;
use crate::integrate::OpenOutcome;
use crate::integrate::PatchIntegrator;
use crate::integrate::Submission;
use crate::integrate::VerificationRecord;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::Target;

/// One commit as the person reads it in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedCommit {
    /// Its id.
    pub id: CommitId,
    /// Who made the change.
    pub author: Person,
    /// When, in whole seconds since 1970.
    pub authored: i64,
    /// Who committed it.
    pub committer: Person,
    /// When, in whole seconds since 1970.
    pub committed: i64,
    /// The whole message, trailers included.
    pub message: String,
}

impl LoggedCommit {
    /// Describes a commit.
    #[must_use]
    pub fn new(
        id: CommitId,
        author: (Person, i64),
        committer: (Person, i64),
        message: impl Into<String>,
    ) -> Self {
        Self {
            id,
            author: author.0,
            authored: author.1,
            committer: committer.0,
            committed: committer.1,
            message: message.into(),
        }
    }
}

/// One repository under test, and the person beside it.
///
/// What it says about the repository comes by another way than the integrator: that is what makes the cases mean
/// something.
#[async_trait]
pub trait IntegratorHarness: Send + Sync {
    /// Sets up a repository with one target, which the person has checked out, and at least one commit on it.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns an integrator as a process that was just started opens it: no hooks, no holds, no push.
    async fn integrator(&self) -> Result<Arc<dyn PatchIntegrator>, BoxError>;

    /// Returns the target.
    fn target(&self) -> Target;

    /// Commits on the target, as the person, a tree with exactly these files.
    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError>;

    /// Makes the patch between the files of a commit and these, as an agent's workspace would.
    async fn patch(&self, from: &CommitId, to: &FileSet) -> Result<Patch, BoxError>;

    /// Returns the files of the target's tip.
    async fn files(&self) -> Result<FileSet, BoxError>;

    /// Returns the files of the person's checkout.
    async fn checkout(&self) -> Result<FileSet, BoxError>;

    /// Changes a file of the person's checkout without committing it.
    async fn edit(&self, path: &str, content: &[u8]) -> Result<(), BoxError>;

    /// Describes everything that belongs to the person: branches, tags, files, index.
    async fn belongings(&self) -> Result<String, BoxError>;

    /// Returns the commits of the target, newest first.
    async fn log(&self) -> Result<Vec<LoggedCommit>, BoxError>;
}

/// Expands to one test per behaviour of a [`PatchIntegrator`], for a type
/// that implements [`IntegratorHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::integrator_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! integrator_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::integrate::IntegratorHarness,
            $crate::conformance::integrate,
            [
                a_candidate_survives_its_session,
                a_checkout_holds_the_wanted_tree_and_nothing_else,
                a_checkout_that_differs_makes_the_landing_wait,
                a_discarded_candidate_is_gone_and_its_patch_is_not,
                a_landing_is_found_by_its_trailers,
                a_landing_moves_branch_and_checkout,
                a_landing_rolls_forward_once,
                a_moved_base_lands_nothing,
                a_patch_becomes_the_last_commit,
                a_patch_that_does_not_apply_changes_nothing,
                a_rebuilt_candidate_leaves_out_what_no_longer_applies,
                a_refused_patch_changes_nothing,
                a_sealed_candidate_takes_nothing_more,
                a_stale_approval_lands_nothing,
                a_stored_patch_comes_back,
                an_unknown_target_is_named,
                equal_approvals_write_equal_commits,
                nothing_of_the_person_moves_before_landing,
                one_session_at_a_time,
                only_this_very_candidate_is_resumed,
                other_work_of_the_person_stays,
                the_id_is_of_the_content,
                patches_that_joined_are_stored_by_the_next_checkout,
                verification_is_of_the_last_tree,
                what_lands_is_what_was_approved,
                work_that_is_there_already_is_empty,
            ]
        );
    };
}

/// What every case begins with.
fn sample() -> FileSet {
    FileSet::of(&[
        ("app/a.txt", "a1\na2\na3\na4\na5\n"),
        ("app/b.txt", "b1\nb2\n"),
        ("docs/readme.md", "# Read me\n"),
    ])
}

/// Returns [`sample`] with one file changed.
fn with(path: &str, content: &str) -> FileSet {
    let mut files = sample();
    files.put(path, content.as_bytes());
    files
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A harness with [`sample`] on its target, and what the cases do with it.
struct Bench<'h> {
    harness: &'h dyn IntegratorHarness,
    integrator: Arc<dyn PatchIntegrator>,
    base: CommitId,
}

impl<'h> Bench<'h> {
    async fn of(harness: &'h dyn IntegratorHarness) -> Result<Self, Violation> {
        let base = harness
            .commit(&sample())
            .await
            .succeeds("committing as the person")?;
        let integrator = harness
            .integrator()
            .await
            .succeeds("opening the integrator")?;
        Ok(Self {
            harness,
            integrator,
            base,
        })
    }

    async fn open(&self) -> Result<Box<dyn Integration>, Violation> {
        let opened = self.integrator.open(&self.harness.target()).await;
        match opened.succeeds("opening the session")? {
            OpenOutcome::Opened(session) => Ok(session),
            OpenOutcome::Busy => Err(Violation::new("the session is busy, but nobody has it")),
        }
    }

    async fn patch(&self, to: &FileSet) -> Result<Patch, Violation> {
        let patch = self.harness.patch(&self.base, to).await;
        patch.succeeds("making a patch")
    }

    /// Makes the submission of issue `SHOP-<number>` that changes one file.
    async fn submission(
        &self,
        number: u64,
        path: &str,
        content: &str,
    ) -> Result<Submission, Violation> {
        let patch = self.patch(&with(path, content)).await?;
        Ok(self.submission_of(number, patch))
    }

    fn submission_of(&self, number: u64, patch: Patch) -> Submission {
        Submission {
            claim: ClaimRef {
                issue: IssueKey::new(format!("SHOP-{number}")).expect("a well-formed key"),
                comment: CommentId(1000 + number),
                nonce: format!("{number:032x}"),
                round: EventId(50 + number),
            },
            base: self.base.clone(),
            patch,
            title: format!("Issue {number}"),
            author: Person::new("codex-1", "codex-1@example.org"),
            authored: at(1_700_000_000),
            message: format!("Do what SHOP-{number} asks\n\nIn more words.\n"),
            holds: Vec::new(),
        }
    }

    /// Applies a submission that fits.
    async fn apply(
        &self,
        session: &mut dyn Integration,
        submission: &Submission,
    ) -> Result<(), Violation> {
        let applied = session
            .apply(submission, &[])
            .await
            .succeeds("applying a patch")?;
        same("the outcome", &applied, &ApplyOutcome::Applied)
    }

    /// Builds, verifies and seals a candidate of two patches.
    async fn sealed(&self) -> Result<(Box<dyn Integration>, Candidate), Violation> {
        let mut session = self.open().await?;
        let first = self
            .submission(1, "app/a.txt", "a1\nA2\na3\na4\na5\n")
            .await?;
        let second = self.submission(2, "app/new/c.txt", "c\n").await?;
        self.apply(&mut *session, &first).await?;
        self.apply(&mut *session, &second).await?;
        verify(&mut *session).await?;
        session.seal(at(1_700_000_200)).await.succeeds("sealing")?;
        let candidate = waiting(&*session)?;
        Ok((session, candidate))
    }
}

/// Returns the candidate, which there must be.
fn waiting(session: &dyn Integration) -> Result<Candidate, Violation> {
    let candidate = session.candidate().cloned();
    candidate.ok_or_else(|| Violation::new("there is no candidate"))
}

/// Records that the last tree passed.
async fn verify(session: &mut dyn Integration) -> Result<(), Violation> {
    let candidate = waiting(session)?;
    let tip = candidate
        .tip()
        .ok_or_else(|| Violation::new("the candidate has no commit"))?;
    let record = VerificationRecord {
        tree: tip.tree.clone(),
        commands: "digest of the commands".to_owned(),
        verified: true,
        at: at(1_700_000_100),
    };
    session
        .set_verified(record)
        .await
        .succeeds("recording the verification")
}

/// Gives the OK for a candidate, as the person Ada.
fn approve(candidate: &Candidate) -> Result<Approval<LocalDiff>, Violation> {
    let evidence = GateEvidence {
        subject: candidate.id().as_str().to_owned(),
        by: Person::new("Ada", "ada@example.org"),
        at: at(1_700_001_000),
        place: GatePlace::Terminal,
        allow: BTreeSet::new(),
        protected: BTreeSet::new(),
        rules: None,
    };
    Approval::mint(candidate, evidence).succeeds("giving the OK")
}
