//! What a poll of Backlog costs, and what a poll does not see and a claim or landing must.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::agent::RunId;
use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::conflict::ResourceSet;
use pipeline_core::conflict::Scope;
use pipeline_core::issue::AccountRef;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueKey;
use pipeline_core::journal::MemoryJournal;
use pipeline_core::lock::Claim;
use pipeline_core::lock::CommentLocks;
use pipeline_core::lock::FIRST_LEASE;
use pipeline_core::lock::Integrator;
use pipeline_core::lock::LockOutcome;
use pipeline_core::lock::LockRequest;
use pipeline_core::lock::LockStore as _;
use pipeline_core::memo::Markers;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::mirror::Mirror;
use pipeline_core::post::Poster;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::thread::Protocol;
use pipeline_core::tracker::Tracker;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Target;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::backlog::ALICE;
use pipeline_trackers::fake::backlog::BOT;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;

use crate::schedules::loops;

struct World {
    server: FakeServer<FakeBacklog>,
    clock: Arc<ScriptedClock>,
    protocol: Arc<Protocol>,
}

impl World {
    fn new() -> Self {
        let start = Timestamp::parse("2026-05-04T00:00:00Z").unwrap();
        let clock = Arc::new(ScriptedClock::jumping(start));
        let server =
            FakeServer::start(FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
        let protocol = Protocol {
            accounts: vec![AccountRef(BOT.to_string())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new("backlog"),
        };
        Self {
            server,
            clock,
            protocol: Arc::new(protocol),
        }
    }

    /// An adapter as in a new process, with the settle time people have.
    fn connect(&self) -> Arc<dyn Tracker> {
        let address = format!("{}projects/WEB", self.server.url())
            .parse()
            .unwrap();
        let options = BacklogOptions::new(address, BacklogCredential::ApiKey(Secret::new(KEY)))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        Arc::new(BacklogTracker::new(options).unwrap())
    }

    /// Reads what changed, as each tick does first, and returns what it cost.
    async fn poll(&self, mirror: &Mirror, tracker: &dyn Tracker) -> usize {
        let before = self.server.log().len();
        let none = BTreeSet::new();
        let read = mirror.refresh(tracker, &self.protocol, Timestamp::EPOCH, &none);
        read.await.unwrap();
        self.server.log().len() - before
    }

    fn locks(&self) -> CommentLocks {
        let poster = Poster {
            tracker: self.connect(),
            protocol: Arc::clone(&self.protocol),
            journal: Arc::new(MemoryJournal::default()),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            redactor: Arc::new(Redactor::default()),
            most_per_day: 100,
            owner: None,
        };
        CommentLocks::new(poster, Arc::new(Mirror::in_memory()), Timestamp::EPOCH)
    }

    /// An issue that Alice has started.
    fn started(&self, title: &str) -> IssueKey {
        let fake = self.server.service();
        let key = fake.file_issue(ALICE, title, "本文").unwrap();
        fake.move_to(ALICE, &key, "In Progress", "").unwrap();
        key
    }

    async fn request(&self, locks: &CommentLocks, issue: &IssueKey) -> LockRequest {
        let own = BTreeSet::from([issue.clone()]);
        let view = locks.live(&own).await.unwrap();
        let round = view.view.issues.get(issue).and_then(|m| m.current_round());
        request(issue, round.unwrap())
    }
}

fn request(issue: &IssueKey, round: EventId) -> LockRequest {
    // Unknown files: it meets every other claim.
    let resources = ResourceSet::new(
        Scope::new("repo", "main"),
        issue.as_str(),
        ["all".parse().unwrap()],
    );
    let claim = Claim {
        run: RunId::random(),
        round,
        attempt: 1,
        lease: FIRST_LEASE,
        base: BaseRevision {
            target: Target::new("main").unwrap(),
            commit: CommitId::new("1".repeat(40)).unwrap(),
        },
        resources,
        rules: "r1".to_owned(),
        files: Vec::new(),
        agent: "agent-1".to_owned(),
        workdir: "run-1".to_owned(),
        integrator: Integrator {
            name: "main-agent".to_owned(),
            id: "here/main".to_owned(),
        },
        patch: None,
    };
    LockRequest {
        issue: issue.clone(),
        claim,
        text: "Work starts.".to_owned(),
    }
}

#[tokio::test]
async fn a_quiet_poll_over_a_thousand_issues_costs_three_requests_at_most() {
    let world = World::new();
    let fake = world.server.service();
    let mut last = None;
    let issues = usize::try_from(loops(1000)).unwrap();
    for i in 0..issues {
        let key = fake
            .file_issue(ALICE, &format!("Issue {i}"), "本文")
            .unwrap();
        let to = if i % 2 == 0 {
            "Spec/log review"
        } else {
            "In Progress"
        };
        fake.move_to(ALICE, &key, to, "").unwrap();
        last = Some(key);
    }
    world.clock.advance(Duration::from_secs(600));
    let scratch = tempfile::tempdir().unwrap();
    let first = world
        .poll(&Mirror::open(scratch.path()).unwrap(), &*world.connect())
        .await;
    // The first reading is of everything: this is what the others are saved.
    assert!(first > 3 * issues, "{first}");
    // Each poll is a process of its own, as from a timer.
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(900));
        let mirror = Mirror::open(scratch.path()).unwrap();
        let cost = world.poll(&mirror, &*world.connect()).await;
        assert!(
            cost <= 3,
            "{cost} requests: {:?}",
            world
                .server
                .log()
                .all()
                .iter()
                .rev()
                .take(cost)
                .collect::<Vec<_>>()
        );
    }
    // A plain comment, which touches no issue's time, is read with its issue and nothing else.
    let key = last.unwrap();
    fake.comment(ALICE, &key, "What about this?").unwrap();
    world.clock.advance(Duration::from_secs(900));
    let mirror = Mirror::open(scratch.path()).unwrap();
    let tracker = world.connect();
    let cost = world.poll(&mirror, &*tracker).await;
    assert!((4..=12).contains(&cost), "{cost}");
    let none = BTreeSet::new();
    let view = mirror
        .refresh(&*tracker, &world.protocol, Timestamp::EPOCH, &none)
        .await
        .unwrap();
    let thread = &view.issues[&key].comments;
    assert_eq!(
        thread.last().map(|c| c.body.as_str()),
        Some("What about this?")
    );
}

#[tokio::test]
async fn an_issue_that_was_not_there_for_a_moment_is_seen_again() {
    let world = World::new();
    let keys = [
        world.started("One"),
        world.started("Two"),
        world.started("Three"),
    ];
    world.clock.advance(Duration::from_secs(600));
    let (mirror, tracker) = (Mirror::in_memory(), world.connect());
    world.poll(&mirror, &*tracker).await;
    // A permission is missing while people talk, which the service calls "not there".
    for key in &keys {
        world
            .server
            .service()
            .comment(ALICE, key, "What about this?")
            .unwrap();
    }
    let away = world.server.faults();
    away.when(100, Fault::NotFound, |r| r.path.ends_with("/comments"));
    world.clock.advance(Duration::from_secs(600));
    world.poll(&mirror, &*tracker).await;
    away.clear();
    let none = BTreeSet::new();
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(900));
        let cost = world.poll(&mirror, &*tracker).await;
        assert!(cost <= 6, "{cost}");
    }
    let read = mirror.refresh(&*tracker, &world.protocol, Timestamp::EPOCH, &none);
    let view = read.await.unwrap();
    for key in &keys {
        let m = &view.issues[key];
        assert!(!m.gone && m.comments.len() == 2, "{key}");
    }
}

#[tokio::test]
async fn an_edited_memo_is_noticed_before_the_next_claim_and_the_landing() {
    let world = World::new();
    let (one, other) = (world.started("One"), world.started("Other"));
    world.clock.advance(Duration::from_secs(600));
    let locks = world.locks();
    let asked = world.request(&locks, &one).await;
    let outcome = locks
        .acquire(std::slice::from_ref(&asked))
        .await
        .unwrap()
        .pop();
    let Some(LockOutcome::Acquired(won)) = outcome else {
        panic!("{outcome:?}");
    };
    let text = world.server.service().said(&one).pop().unwrap().1;
    let forged = text.replace("lease-s: 1800", "lease-s: 1");
    assert_ne!(forged, text);
    world.clock.advance(Duration::from_secs(60));
    world
        .server
        .service()
        .edit_comment(&one, won.id, &forged)
        .unwrap();
    // The feed tells nothing of it.
    let own = BTreeSet::from([one.clone()]);
    let view = locks.live(&own).await.unwrap();
    assert!(
        view.distrust(&one).is_some(),
        "what the fence reads before a landing"
    );
    assert!(
        view.state.live_claim(won.id, view.date).is_some(),
        "it counts as first read"
    );
    // And the next claim, of another issue, reads it too.
    let next = world.request(&locks, &other).await;
    let outcome = locks.acquire(&[next]).await.unwrap().pop().unwrap();
    assert!(
        matches!(&outcome, LockOutcome::Held { holder: Some(h), .. } if *h == one),
        "{outcome:?}"
    );
    let outcome = locks.acquire(&[asked]).await.unwrap().pop().unwrap();
    assert!(
        matches!(outcome, LockOutcome::Tampered { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_deleted_memo_still_holds_what_it_held() {
    let world = World::new();
    let (one, other) = (world.started("One"), world.started("Other"));
    world.clock.advance(Duration::from_secs(600));
    let locks = world.locks();
    let asked = world.request(&locks, &one).await;
    let outcome = locks.acquire(&[asked]).await.unwrap().pop();
    let Some(LockOutcome::Acquired(won)) = outcome else {
        panic!("{outcome:?}");
    };
    world.server.service().delete_comment(&one, won.id).unwrap();
    let own = BTreeSet::from([one.clone()]);
    let view = locks.live(&own).await.unwrap();
    let gone = view.view.issues[&one]
        .comments
        .iter()
        .all(|c| c.id != won.id);
    assert!(gone, "the reading before a landing shows that it is gone");
    let next = world.request(&locks, &other).await;
    let outcome = locks.acquire(&[next]).await.unwrap().pop().unwrap();
    assert!(
        matches!(&outcome, LockOutcome::Held { holder: Some(h), .. } if *h == one),
        "{outcome:?}"
    );
}
