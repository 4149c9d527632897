//! The suite on the store in the comment thread, honest and lying.

mod liar;

use std::marker::PhantomData;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use self::liar::Liar;
use self::liar::Lie;
use super::*;
use crate::clock::Timestamp;
use crate::issue::AccountRef;
use crate::journal::MemoryJournal;
use crate::lock::CommentLocks;
use crate::memo::Markers;
use crate::memo::SigningKeys;
use crate::memory::MemoryPerson;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;
use crate::mirror::Mirror;
use crate::post::Poster;
use crate::secret::Redactor;
use crate::status::Status;
use crate::thread::Protocol;
use crate::tracker::Tracker as _;

const LAG: Duration = Duration::from_secs(30);

/// Comment locks over the tracker in memory; every store has a mirror and a journal of its own.
struct MemoryHarness<S> {
    tracker: MemoryTracker,
    clock: Arc<ScriptedClock>,
    ann: MemoryPerson,
    filed: AtomicU32,
    lie: Option<Lie>,
    setup: PhantomData<S>,
}

trait Setup: Send + Sync {
    fn memory() -> MemoryTracker;
}

struct Consistent;

impl Setup for Consistent {
    fn memory() -> MemoryTracker {
        MemoryTracker::new()
    }
}

/// Comments show late, as they do on a real service.
struct Lagging;

impl Setup for Lagging {
    fn memory() -> MemoryTracker {
        let memory = MemoryTracker::new().with_settle(LAG);
        memory.set_lag(LAG);
        memory
    }
}

/// Comments show late and nobody waits for them.
struct Hasty;

impl Setup for Hasty {
    fn memory() -> MemoryTracker {
        let memory = MemoryTracker::new();
        memory.set_lag(LAG);
        memory
    }
}

mod consistent {
    crate::lock_conformance!(super::MemoryHarness<super::Consistent>);
}

mod lagging {
    crate::lock_conformance!(super::MemoryHarness<super::Lagging>);
}

impl<S: Setup> MemoryHarness<S> {
    fn new(lie: Option<Lie>) -> Self {
        let clock = Arc::new(ScriptedClock::jumping(Timestamp::from_millis(
            1_800_000_000_000,
        )));
        let tracker = S::memory().with_clock(Arc::clone(&clock) as _);
        Self {
            ann: tracker.as_person("ann"),
            tracker,
            clock,
            filed: AtomicU32::new(0),
            lie,
            setup: PhantomData,
        }
    }

    async fn round(&self, issue: &IssueKey) -> Result<EventId, BoxError> {
        let history = self.tracker.history(issue).await?.value;
        let last = history.last().ok_or("it was never moved")?;
        Ok(last.id)
    }
}

#[async_trait]
impl<S: Setup> LockHarness for MemoryHarness<S> {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self::new(None))
    }

    async fn store(&self) -> Result<Arc<dyn LockStore>, BoxError> {
        let me = self.tracker.me().await?.value;
        let protocol = Protocol {
            accounts: vec![AccountRef(me.id)],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new(self.tracker.identity()),
        };
        let poster = Poster {
            tracker: Arc::new(self.tracker.clone()),
            protocol: Arc::new(protocol),
            journal: Arc::new(MemoryJournal::default()),
            clock: self.clock(),
            redactor: Arc::new(Redactor::default()),
            most_per_day: usize::MAX,
            owner: None,
        };
        let mirror = Arc::new(Mirror::in_memory());
        let honest = CommentLocks::new(poster, mirror, Timestamp::EPOCH);
        Ok(match self.lie {
            None => Arc::new(honest),
            Some(lie) => Arc::new(Liar::new(honest, lie)),
        })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn settle(&self) {
        self.clock.advance(LAG);
    }

    async fn started(&self) -> Result<Started, BoxError> {
        let n = self.filed.fetch_add(1, Ordering::Relaxed);
        let issue = self.ann.new_issue(&format!("Issue {n}"), "please")?;
        self.ann.move_to(&issue, &Status::InProgress)?;
        let round = self.round(&issue).await?;
        Ok(Started { issue, round })
    }

    async fn taken_back(&self, issue: &IssueKey) -> Result<(), BoxError> {
        Ok(self.ann.move_to(issue, &Status::SpecReview)?)
    }

    async fn started_again(&self, issue: &IssueKey) -> Result<EventId, BoxError> {
        self.ann.move_to(issue, &Status::InProgress)?;
        self.round(issue).await
    }
}

/// Runs one case on a store that lies in one way.
macro_rules! caught {
    ($($lie:ident => $case:ident),* $(,)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn every_lie_is_caught_by_its_case() {
            let mut told = Vec::new();
            $(
                let lying = MemoryHarness::<Consistent>::new(Some(Lie::$lie));
                let found = $case(&lying).await;
                assert!(found.is_err(), "{:?} passes {}", Lie::$lie, stringify!($case));
                told.push(Lie::$lie);
            )*
            told.sort();
            told.dedup();
            assert_eq!(told, Lie::ALL, "a lie is not tried");
        }

        #[test]
        fn every_case_catches_a_lie() {
            let cases: BTreeSet<_> = [$(stringify!($case)),*].into();
            let missing: Vec<_> = public_cases().into_iter().filter(|c| !cases.contains(c)).collect();
            assert_eq!(missing, Vec::<&str>::new());
        }
    };
}

caught! {
    AnswersBackwards => a_batch_has_one_outcome_per_request,
    CountsNothing => a_refused_patch_frees_at_once_and_counts,
    DropsHolds => a_submission_holds_and_says_what,
    EndsWhatFollows => a_claim_is_ended_once,
    ForgetsToEnd => a_released_lock_is_free_at_once,
    ForgetsTheTarget => other_targets_do_not_meet,
    FreesForAnybody => a_foreign_release_frees_only_when_the_lease_is_over,
    GivesToEverybody => of_many_that_ask_at_once_one_wins,
    HidesTheHolder => a_held_lock_names_its_holder,
    IgnoresTheRound => an_earlier_round_is_not_current,
    IgnoresTheRound => an_issue_that_left_its_status_is_not_current,
    KnowsNoTrees => a_tree_meets_what_lies_in_it,
    MakesItsOwnNonce => a_free_lock_is_acquired_and_seen_by_all,
    NeverEndsForOthers => a_submitted_claim_is_ended_by_anybody_of_ours,
    NeverLands => a_landed_round_takes_no_more_locks,
    NeverRenews => a_beat_prolongs_and_never_shortens,
    ParksNothing => a_parked_patch_is_kept_as_long_as_it_is_beaten,
    RenewsAlways => a_dead_holder_loses_its_lock_by_time_alone,
    RevivesLosers => a_loser_never_becomes_the_holder,
    RunsToTheEnd => the_holder_stops_before_the_others_begin,
    SubmitsAlways => a_submission_that_comes_late_is_not_lost,
}

/// Without the settle a claim is not even seen by whoever posted it.
#[tokio::test]
async fn a_store_that_does_not_settle_is_caught() {
    let hasty = MemoryHarness::<Hasty>::new(None);
    let found = a_free_lock_is_acquired_and_seen_by_all(&hasty).await;
    assert!(found.is_err());
}

/// Returns the names of the suite's public cases, from its source.
fn public_cases() -> Vec<&'static str> {
    let source = include_str!("../lock.rs");
    let mut cases: Vec<_> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub use self::")?.strip_suffix(';'))
        .filter_map(|path| path.split("::").nth(1))
        .collect();
    cases.sort_unstable();
    cases
}

#[test]
fn the_macro_lists_every_case_and_every_case_is_public() {
    let source = include_str!("../lock.rs");
    let (_, list) = source.split_once("$crate::conformance::lock,").unwrap();
    let (list, _) = list.split_once("]\n").unwrap();
    let mut listed: Vec<_> = list
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, public_cases());
    let written: usize = [
        include_str!("ending.rs"),
        include_str!("holding.rs"),
        include_str!("taking.rs"),
    ]
    .iter()
    .map(|file| file.matches("\npub async fn ").count())
    .sum();
    assert_eq!(listed.len(), written);
}
