mod claimers;

use super::*;
use crate::agent::RunId;
use crate::clock::Clock;
use crate::conflict::ResourceSet;
use crate::conflict::Scope;
use crate::issue::AccountRef;
use crate::issue::EventId;
use crate::journal::MemoryJournal;
use crate::lock::Claim;
use crate::lock::FIRST_LEASE;
use crate::lock::GRACE;
use crate::lock::record::tests::claim;
use crate::memo::Markers;
use crate::memo::SigningKey;
use crate::memo::SigningKeys;
use crate::memory::MemoryPerson;
use crate::memory::MemoryTracker;
use crate::memory::WriteFault;
use crate::secret::Redactor;
use crate::secret::Secret;
use crate::thread::Protocol;
use crate::tracker::Tracker;

const D: Duration = Duration::from_secs(30);

/// A clock on the runtime's paused time: whoever waits waits, and the time goes on when everybody does.
#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus(self.0.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct World {
    clock: Arc<PausedClock>,
    tracker: MemoryTracker,
    ann: MemoryPerson,
}

impl World {
    /// Makes a world on the paused time of the test's runtime.
    fn new(settle: Duration) -> Self {
        let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
        let tracker = MemoryTracker::new()
            .with_clock(Arc::clone(&clock) as _)
            .with_settle(settle);
        let ann = tracker.as_person("ann");
        Self {
            clock,
            tracker,
            ann,
        }
    }

    fn started(&self) -> IssueKey {
        let key = self.ann.new_issue("x", "").expect("filed");
        self.ann
            .move_to(&key, &Status::InProgress)
            .expect("started");
        key
    }

    fn keys(&self) -> SigningKeys {
        SigningKeys::new(self.tracker.identity())
    }

    /// Makes a lock store as one more machine has it.
    fn machine(&self, tracker: Arc<dyn Tracker>) -> CommentLocks {
        self.machine_with(tracker, self.keys())
    }

    fn machine_with(&self, tracker: Arc<dyn Tracker>, keys: SigningKeys) -> CommentLocks {
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys,
        };
        let poster = Poster {
            tracker,
            protocol: Arc::new(protocol),
            journal: Arc::new(MemoryJournal::default()),
            clock: Arc::clone(&self.clock) as _,
            redactor: Arc::new(Redactor::new([])),
            most_per_day: 10_000,
            owner: None,
        };
        CommentLocks::new(poster, Arc::new(Mirror::in_memory()), Timestamp::EPOCH)
    }

    fn plain(&self) -> CommentLocks {
        self.machine(Arc::new(self.tracker.clone()))
    }

    async fn round(&self, issue: &IssueKey) -> EventId {
        let history = self.tracker.history(issue).await.expect("read").value;
        history.last().expect("started").id
    }

    async fn request(&self, issue: &IssueKey, run: &str, keys: &[&str]) -> LockRequest {
        let keys = keys.iter().map(|k| k.parse().expect("a key"));
        LockRequest {
            issue: issue.clone(),
            claim: Claim {
                run: RunId::new(run).expect("a run"),
                round: self.round(issue).await,
                resources: ResourceSet::new(Scope::new("shop", "main"), issue.as_str(), keys),
                ..claim(issue.as_str(), &[])
            },
            text: "Begins.".into(),
        }
    }

    async fn bodies(&self, issue: &IssueKey) -> Vec<String> {
        let thread = self.tracker.comments(issue).await.expect("read").value;
        thread.into_iter().map(|c| c.body).collect()
    }
}

async fn one(locks: &CommentLocks, request: LockRequest) -> LockOutcome {
    let mut outcomes = locks.acquire(&[request]).await.expect("answered");
    outcomes.pop().expect("one for one")
}

fn won(outcome: LockOutcome) -> WorkLock {
    let LockOutcome::Acquired(record) = outcome else {
        panic!("{outcome:?}")
    };
    WorkLock::mint(*record)
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_before_the_first_sending() {
    let w = World::new(D);
    let issue = w.started();
    let locks = w.plain();
    let request = w.request(&issue, "r1", &[]).await;
    let began = w.clock.elapsed();
    // The first answer is lost: D passes before the memo is found, and another D until it has settled.
    w.tracker.fail_next_write(WriteFault::Landed);
    let lock = won(one(&locks, request).await);
    assert_eq!(w.clock.elapsed() - began, D + D);
    assert_eq!(lock.deadline(), began + FIRST_LEASE - MARGIN);
    assert_eq!(w.bodies(&issue).await.len(), 1, "sent once");
}

#[tokio::test(start_paused = true)]
async fn a_beat_moves_the_deadline_only_once_it_was_read_again() {
    let w = World::new(D);
    let issue = w.started();
    let locks = w.plain();
    let lock = won(one(&locks, w.request(&issue, "r1", &[]).await).await);
    let sent = w.clock.elapsed();
    let renewed = locks.renew(&lock).await.expect("answered");
    assert_eq!(renewed, Some(sent + BEAT_LEASE - MARGIN));
    // Invisible beyond D: the beat does not count.
    w.tracker.set_lag(D + D);
    assert_eq!(locks.renew(&lock).await.expect("answered"), None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_sent_twice_counts_at_its_lowest_comment() {
    let w = World::new(D);
    let issue = w.started();
    let faults = crate::conformance::faults::Faults {
        doubled: 1000,
        ..Default::default()
    };
    let doubling =
        crate::conformance::faults::FaultyTracker::new(Arc::new(w.tracker.clone()), faults, 1, 1);
    let locks = w.machine(Arc::new(doubling));
    let lock = won(one(&locks, w.request(&issue, "r1", &[]).await).await);
    let thread = w.tracker.comments(&issue).await.expect("read").value;
    assert_eq!(thread.len(), 2);
    assert_eq!(lock.id(), thread[0].id);
}

#[tokio::test(start_paused = true)]
async fn an_issue_that_left_while_its_lock_was_taken_is_released() {
    let w = World::new(D);
    let issue = w.started();
    let locks = w.plain();
    let request = w.request(&issue, "r1", &[]).await;
    let (outcome, ()) = tokio::join!(one(&locks, request), async {
        w.clock.sleep(D / 2).await;
        w.ann.move_to(&issue, &Status::Open).expect("moved");
    });
    assert_eq!(outcome, LockOutcome::NotCurrent);
    let read = locks.live(&BTreeSet::new()).await.expect("read");
    assert_eq!(
        read.state.blocking(read.date).count(),
        0,
        "our own word frees at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_claim_blocks_on_and_its_release_tells_those_who_never_read_it() {
    let w = World::new(Duration::ZERO);
    let (issue, other) = (w.started(), w.started());
    let locks = w.plain();
    let lock = won(one(&locks, w.request(&issue, "r1", &["path:a"]).await).await);
    w.ann.delete_comment(&issue, lock.id()).expect("deleted");
    let how = EndKind::Release {
        reason: "revoked".into(),
        by: Ender::Other,
    };
    locks
        .end(&lock.claim_ref(), &how, "Its comment is gone.".into())
        .await
        .expect("said");
    locks
        .end(&lock.claim_ref(), &how, "Its comment is gone.".into())
        .await
        .expect("said once");
    assert_eq!(w.bodies(&issue).await.len(), 1);

    let stranger = w.plain();
    let read = stranger.live(&BTreeSet::new()).await.expect("read");
    let held: Vec<_> = read.state.blocking(read.date).collect();
    assert_eq!((held[0].id, held[0].revoked), (lock.id(), true));
    assert_eq!(held[0].claim, *lock.claim());
    let request = w.request(&other, "r2", &["path:a"]).await;
    let outcome = one(&stranger, request.clone()).await;
    assert!(matches!(outcome, LockOutcome::Held { .. }), "{outcome:?}");
    w.clock
        .sleep(FIRST_LEASE + GRACE + Duration::from_secs(1))
        .await;
    won(one(&stranger, request).await);
}

#[tokio::test(start_paused = true)]
async fn a_work_start_memo_that_nobody_ever_read_blocks_everything() {
    let w = World::new(Duration::ZERO);
    let (issue, other) = (w.started(), w.started());
    let lock = won(one(&w.plain(), w.request(&issue, "r1", &["path:a"]).await).await);
    let body = w.bodies(&issue).await.remove(0);
    let broken = body.replace("round:", "rnd:");
    w.ann
        .edit_comment(&issue, lock.id(), &broken)
        .expect("edited");
    let request = w.request(&other, "r2", &["path:b"]).await;
    let outcome = one(&w.plain(), request.clone()).await;
    let LockOutcome::Held { by, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(by.contains("blocks everything"), "{by}");
    w.ann
        .edit_comment(&issue, lock.id(), &body)
        .expect("mended");
    won(one(&w.plain(), request).await);
}

#[tokio::test(start_paused = true)]
async fn a_tampered_claim_blocks_with_what_was_read_before_and_its_issue_gets_no_other() {
    let w = World::new(Duration::ZERO);
    let (issue, other) = (w.started(), w.started());
    let locks = w.plain();
    let lock = won(one(&locks, w.request(&issue, "r1", &["path:a"]).await).await);
    let body = w.bodies(&issue).await.remove(0);
    let less = body.replace("res: path:a", "res: path:z");
    assert_ne!(less, body);
    w.ann
        .edit_comment(&issue, lock.id(), &less)
        .expect("edited");
    let same = one(&locks, w.request(&other, "r2", &["path:a"]).await).await;
    assert!(matches!(same, LockOutcome::Held { .. }), "{same:?}");
    let again = one(&locks, w.request(&issue, "r3", &[]).await).await;
    assert!(matches!(again, LockOutcome::Tampered { .. }), "{again:?}");
    won(one(&locks, w.request(&other, "r4", &["path:b"]).await).await);
}

#[tokio::test(start_paused = true)]
async fn signed_memos_survive_a_rotation_and_what_was_unsigned_before() {
    let w = World::new(Duration::ZERO);
    let issue = w.started();
    let key = |id: &str| SigningKey::new(id, Secret::new(format!("secret of {id}")));
    let tracker = || Arc::new(w.tracker.clone()) as Arc<dyn Tracker>;
    let lock = won(one(&w.plain(), w.request(&issue, "r0", &[]).await).await);

    // A key without a word about the time before it: everything unsigned is tampered.
    let strict = w.machine_with(tracker(), w.keys().with_current(key("k1")));
    let read = strict.live(&BTreeSet::new()).await.expect("read");
    assert!(read.distrust(&issue).is_some());

    let since = crate::issue::CommentId(lock.id().0 + 1);
    let k1 = w.keys().with_current(key("k1")).with_signed_since(since);
    let signing = w.machine_with(tracker(), k1);
    let read = signing.live(&BTreeSet::new()).await.expect("read");
    assert!(read.distrust(&issue).is_none());
    assert_eq!(read.state.live(read.date).count(), 1);
    signing.renew(&lock).await.expect("a signed beat");

    // After the rotation the old key is only read.
    let k2 = w
        .keys()
        .with_current(key("k2"))
        .with_old(key("k1"))
        .with_signed_since(since);
    let rotated = w.machine_with(tracker(), k2);
    assert!(rotated.renew(&lock).await.expect("read").is_some());
    let bodies = w.bodies(&issue).await;
    assert!(bodies[1].contains("sig: k1 ") && bodies[2].contains("sig: k2 "));

    // An edit by anybody without the key is seen, even by who never read the original.
    let beat = w.tracker.comments(&issue).await.expect("read").value[2].id;
    let longer = bodies[2].replace("lease-s: 7200", "lease-s: 7201");
    w.ann.edit_comment(&issue, beat, &longer).expect("edited");
    let k2 = w
        .keys()
        .with_current(key("k2"))
        .with_old(key("k1"))
        .with_signed_since(since);
    let read = w.machine_with(tracker(), k2);
    let read = read.live(&BTreeSet::new()).await.expect("read");
    assert!(
        read.distrust(&issue)
            .is_some_and(|t| t.reason.contains("signature"))
    );
}
