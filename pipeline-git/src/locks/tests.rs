use std::path::PathBuf;

use pipeline_core::BoxError;
use pipeline_core::conformance::lock::LockHarness;
use pipeline_core::conformance::lock::Started;
use pipeline_core::issue::AccountRef;
use pipeline_core::issue::EventId;
use pipeline_core::journal::MemoryJournal;
use pipeline_core::memo::Markers;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::MemoryTracker;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::status::Status;

use super::*;
use crate::testing::Fixture;
use crate::testing::git;

struct Harness {
    fixture: Fixture,
    clock: Arc<ScriptedClock>,
    tracker: MemoryTracker,
}

impl Harness {
    fn remote(&self) -> PathBuf {
        self.fixture.root().join("shared.git")
    }
}

#[async_trait]
impl LockHarness for Harness {
    async fn fresh() -> Result<Self, BoxError> {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let clock = Arc::new(ScriptedClock::new(Timestamp::from_millis(
            1_800_000_000_000,
        )));
        let tracker = MemoryTracker::new().with_clock(Arc::clone(&clock) as _);
        let harness = Self {
            fixture,
            clock,
            tracker,
        };
        let remote = harness.remote();
        let path = remote.to_str().expect("a plain path").to_owned();
        git(&harness.fixture.root(), &["init", "-q", "--bare", &path]);
        harness.fixture.git(&["remote", "add", "shared", &path]);
        Ok(harness)
    }

    async fn store(&self) -> Result<Arc<dyn LockStore>, BoxError> {
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new(self.tracker.identity()),
        };
        let place = LockPlace {
            remote: "shared".into(),
            push: PushOptions::new().local(true),
            tracker: Arc::new(self.tracker.clone()),
            protocol: Arc::new(protocol),
            journal: Arc::new(MemoryJournal::default()),
            clock: self.clock(),
            watermark: Timestamp::EPOCH,
        };
        let repository = &self.fixture.repository;
        Ok(Arc::new(GitLocks::new(
            repository,
            place,
            Mirror::in_memory(),
        )))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn settle(&self) {}

    async fn started(&self) -> Result<Started, BoxError> {
        let ann = self.tracker.as_person("ann");
        let issue = ann.new_issue("x", "")?;
        let round = self.started_again(&issue).await?;
        Ok(Started { issue, round })
    }

    async fn taken_back(&self, issue: &IssueKey) -> Result<(), BoxError> {
        self.tracker
            .as_person("ann")
            .move_to(issue, &Status::Open)?;
        Ok(())
    }

    async fn started_again(&self, issue: &IssueKey) -> Result<EventId, BoxError> {
        let ann = self.tracker.as_person("ann");
        ann.move_to(issue, &Status::InProgress)?;
        let history = self.tracker.history(issue).await?.value;
        Ok(history.last().ok_or("no event")?.id)
    }
}

mod conformance {
    pipeline_core::lock_conformance!(super::Harness);
}

#[tokio::test]
async fn one_ref_per_target_holds_the_live_claims_and_no_branch_moves() {
    let harness = Harness::fresh().await.expect("a harness");
    let store = harness.store().await.expect("a store");
    let started = harness.started().await.expect("started");
    let scope = pipeline_core::conflict::Scope::new("shop", "main");
    let claim = pipeline_core::lock::Claim {
        run: pipeline_core::agent::RunId::random(),
        round: started.round,
        attempt: 1,
        lease: pipeline_core::lock::FIRST_LEASE,
        base: pipeline_core::workspace::BaseRevision {
            target: Target::new("main").expect("a branch"),
            commit: crate::workspace::commit_id(&harness.fixture.oid("main")),
        },
        resources: pipeline_core::conflict::ResourceSet::new(scope, started.issue.as_str(), []),
        rules: "r1".into(),
        files: Vec::new(),
        agent: "codex-1".into(),
        workdir: "w".into(),
        integrator: pipeline_core::lock::Integrator {
            name: "main-codex".into(),
            id: "here".into(),
        },
        patch: None,
    };
    let request = LockRequest {
        issue: started.issue.clone(),
        claim,
        text: "Begins.".into(),
    };
    let outcomes = store.acquire(&[request]).await.expect("answered");
    assert!(
        matches!(outcomes[..], [LockOutcome::Acquired(_)]),
        "{outcomes:?}"
    );
    let refs = git(&harness.remote(), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs.lines().count(), 1);
    assert!(refs.starts_with("refs/agents/locks/"), "{refs}");
    let tree = git(&harness.remote(), &["ls-tree", "--name-only", &refs]);
    assert_eq!(
        tree.lines().count(),
        3,
        "the claim, the target, the number: {tree}"
    );
}
