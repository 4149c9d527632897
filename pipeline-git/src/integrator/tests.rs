//! The integrator on real repositories: building, verifying, landing, recovering.

mod build;
mod checkout;
mod land;

use pipeline_core::clock::Timestamp;
use pipeline_core::gate::Person;
use pipeline_core::integrate::ApplyOutcome;
use pipeline_core::integrate::Checkout;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::integrate::Integration as _;
use pipeline_core::integrate::LandingPlan;
use pipeline_core::integrate::Submission;
use pipeline_core::integrate::VerificationRecord;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueKey;
use pipeline_core::workspace::CommitId;

use pipeline_core::protected::Hold;

use super::*;
use crate::integrator::chain::LocalOk;
use crate::object::Signature;
use crate::testing::Fixture;

const FILES: &[(&str, &str)] = &[
    ("app/a.txt", "a1\na2\na3\n"),
    ("app/b.txt", "b1\nb2\nb3\n"),
    ("docs/readme.md", "# Read me\n"),
];

/// A repository with its integrator, and patches made the way a person would make them.
struct Bench {
    fixture: Fixture,
    integrator: GitIntegrator,
}

impl Bench {
    async fn new() -> Self {
        Self::with(FILES, |options| options).await
    }

    async fn with(
        files: &[(&str, &str)],
        configure: impl FnOnce(IntegratorOptions) -> IntegratorOptions,
    ) -> Self {
        let fixture = Fixture::with(files).await;
        let options = configure(IntegratorOptions::new("main-codex", "machine-1"));
        let integrator = GitIntegrator::new(&fixture.repository, options);
        Self {
            fixture,
            integrator,
        }
    }

    fn target() -> Target {
        Target::new("main").expect("a branch")
    }

    async fn session(&self) -> Session {
        self.integrator
            .session(&Self::target())
            .await
            .expect("opens")
            .expect("free")
    }

    /// Makes the patch of an edit in a clone of its own, so that the user's checkout stays as it is.
    fn patch(&self, edit: impl FnOnce(&Elsewhere)) -> Patch {
        let elsewhere = Elsewhere::of(&self.fixture);
        edit(&elsewhere);
        elsewhere.git(&["add", "-A"]);
        let file = self.fixture.root().join("made.patch");
        let output = format!("--output={}", file.display());
        elsewhere.git(&[
            "diff",
            "--cached",
            "--binary",
            "--full-index",
            "-M",
            &output,
        ]);
        Patch::new(std::fs::read(file).expect("git wrote it"))
    }

    fn submission(&self, number: u64, patch: Patch) -> Submission {
        Submission {
            claim: claim(number),
            base: CommitId::new(self.fixture.oid("main").hex()).expect("a commit"),
            patch,
            title: format!("Issue {number}"),
            author: Person::new("codex-1", "codex-1@example.org"),
            authored: Timestamp::from_millis(1_700_000_000_000),
            message: format!("Do what SHOP-{number} asks\n"),
            holds: Vec::new(),
        }
    }

    /// Adds an edit of one file to the candidate.
    async fn add(&self, session: &mut Session, number: u64, path: &str, content: &str) {
        let patch = self.patch(|fixture| fixture.write(path, content));
        let submission = self.submission(number, patch);
        let outcome = session
            .apply(&submission, &[path.to_owned()])
            .await
            .expect("tried");
        assert_eq!(outcome, ApplyOutcome::Applied);
    }

    /// Has everything stored that has joined.
    async fn store(&self, session: &mut Session) {
        let checkout = session.checkout(Checkout::Candidate).await;
        checkout.expect("checked out");
    }

    /// Verifies and seals what waits, and gives the OK for it.
    async fn seal(&self, session: &mut Session) -> LocalOk {
        let tree = session
            .candidate()
            .and_then(Candidate::tip)
            .expect("a chain")
            .tree
            .clone();
        let record = VerificationRecord {
            tree,
            commands: "digest".to_owned(),
            verified: true,
            at: Timestamp::from_millis(1_700_000_100_000),
        };
        session.set_verified(record).await.expect("kept");
        let id = session
            .seal(Timestamp::from_millis(1_700_000_200_000))
            .await
            .expect("sealed");
        ok_for(id.as_str())
    }

    /// A session with a sealed candidate of one edit, its OK and its landing plan.
    async fn prepared(&self) -> (Session, LocalOk, LandingPlan) {
        let mut session = self.session().await;
        self.add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n").await;
        self.add(&mut session, 2, "app/new/c.txt", "c\n").await;
        let ok = self.seal(&mut session).await;
        let plan = session.prepare_for(&ok).await.expect("written");
        (session, ok, plan)
    }

    fn tip(&self) -> String {
        self.fixture.git(&["rev-parse", "main"])
    }

    fn status(&self) -> String {
        self.fixture.git(&["status", "--porcelain", "--ignored"])
    }
}

/// A clone that a patch is made in.
struct Elsewhere {
    dir: tempfile::TempDir,
}

impl Elsewhere {
    fn of(fixture: &Fixture) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let to = dir.path().join("clone");
        let to = to.to_str().expect("a plain path");
        fixture.git(&["clone", "-q", "--shared", "--branch", "main", ".", to]);
        Self { dir }
    }

    fn repo(&self) -> std::path::PathBuf {
        self.dir.path().join("clone")
    }

    fn git(&self, args: &[&str]) -> String {
        crate::testing::git(&self.repo(), args)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        crate::testing::write(&self.repo().join(path), content);
    }
}

fn claim(number: u64) -> ClaimRef {
    ClaimRef {
        issue: IssueKey::new(format!("SHOP-{number}")).expect("a key"),
        comment: CommentId(100 + number),
        nonce: format!("{number:032x}"),
        round: EventId(10 + number),
    }
}

fn ok_for(id: &str) -> LocalOk {
    let committer = Signature {
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        seconds: 1_700_001_000,
    };
    LocalOk {
        subject: id.to_owned(),
        committer,
    }
}
