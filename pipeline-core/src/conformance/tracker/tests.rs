//! The suite on the tracker in memory, honest and lying.

mod liar;

use std::marker::PhantomData;
use std::time::Duration;

use self::liar::Liar;
use self::liar::Lie;
use super::*;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::memory::MemoryPerson;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;
use crate::tracker::TrackerCapabilities;

const LAG: Duration = Duration::from_secs(30);

/// The tracker in memory behind any adapter, on a clock that every settling moves.
struct MemoryHarness<S> {
    tracker: Arc<dyn Tracker>,
    clock: Arc<ScriptedClock>,
    alice: MemoryPerson,
    leaks: bool,
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

/// Comments show late, so a case that forgets to settle fails here.
struct Lagging;

impl Setup for Lagging {
    fn memory() -> MemoryTracker {
        let memory = MemoryTracker::new().with_settle(LAG);
        memory.set_lag(LAG);
        memory
    }
}

/// Nothing is declared beyond reading and commenting.
struct Bare;

impl Setup for Bare {
    fn memory() -> MemoryTracker {
        MemoryTracker::new().with_capabilities(TrackerCapabilities::default())
    }
}

mod consistent {
    tracker_conformance!(super::MemoryHarness<super::Consistent>);
}

mod lagging {
    tracker_conformance!(super::MemoryHarness<super::Lagging>);
}

mod bare {
    tracker_conformance!(super::MemoryHarness<super::Bare>);
}

impl<S: Setup> MemoryHarness<S> {
    fn over(adapter: impl FnOnce(MemoryTracker) -> Arc<dyn Tracker>) -> Self {
        let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
        let shared: Arc<dyn Clock> = Arc::<ScriptedClock>::clone(&clock);
        let memory = S::memory().with_clock(shared);
        Self {
            alice: memory.as_person("alice"),
            tracker: adapter(memory),
            clock,
            leaks: false,
            setup: PhantomData,
        }
    }
}

#[async_trait]
impl<S: Setup> TrackerHarness for MemoryHarness<S> {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self::over(|memory| Arc::new(memory)))
    }

    fn tracker(&self) -> Arc<dyn Tracker> {
        Arc::clone(&self.tracker)
    }

    async fn human(&self) -> Result<Account, BoxError> {
        Ok(self.alice.account().clone())
    }

    fn page(&self) -> usize {
        1
    }

    fn label(&self) -> Option<String> {
        Some("bug".to_owned())
    }

    async fn settle(&self) {
        self.clock.advance(LAG);
    }

    async fn new_issue_by_human(&self, title: &str, body: &str) -> Result<IssueKey, BoxError> {
        Ok(self.alice.new_issue(title, body)?)
    }

    async fn comment_by_human(&self, key: &IssueKey, body: &str) -> Result<CommentId, BoxError> {
        Ok(self.alice.comment(key, body)?.id)
    }

    async fn move_by_human(&self, key: &IssueKey, to: &Status) -> Result<(), BoxError> {
        Ok(self.alice.move_to(key, to)?)
    }

    async fn edit_body_by_human(&self, key: &IssueKey, body: &str) -> Result<(), BoxError> {
        Ok(self.alice.edit_body(key, body)?)
    }

    async fn edit_comment_by_human(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), BoxError> {
        Ok(self.alice.edit_comment(key, id, body)?)
    }

    async fn delete_comment_by_human(&self, key: &IssueKey, id: CommentId) -> Result<(), BoxError> {
        Ok(self.alice.delete_comment(key, id)?)
    }

    fn missing_issue(&self) -> IssueKey {
        IssueKey::new("4711").expect("digits are a key")
    }

    async fn in_trouble(&self, canary: &Secret) -> Result<Vec<Arc<dyn Tracker>>, BoxError> {
        if !self.leaks {
            return Ok(Vec::new());
        }
        let shown = format!("memory:{}", canary.expose());
        Ok(vec![Arc::new(MemoryTracker::new().with_identity(shown))])
    }
}

/// Runs one case on a tracker that lies in one way.
macro_rules! caught {
    ($($lie:ident => $case:ident),* $(,)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn every_lie_is_caught_by_its_case() {
            let mut told = Vec::new();
            $(
                let lying = MemoryHarness::<Consistent>::over(|memory| {
                    Arc::new(Liar::new(memory, Lie::$lie))
                });
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
            let cases: std::collections::BTreeSet<_> = [$(stringify!($case)),*].into();
            let missing: Vec<_> = public_cases().into_iter().filter(|c| !cases.contains(c)).collect();
            // This one needs adapters with a credential; `a_shown_secret_is_caught` looks after it.
            assert_eq!(missing, ["no_secret_is_shown"]);
        }
    };
}

caught! {
    CutsLongBodies => a_body_over_the_limit_is_never_cut,
    CutsLongBodies => the_longest_body_survives_whole,
    ForgetsTheMark => a_foreign_mark_is_never_complete,
    ForgetsTheMark => a_mark_can_be_used_again,
    MakesUpFiles => a_missing_attachment_is_not_found,
    MovesAnyway => a_move_from_elsewhere_changes_nothing,
    PostsBeforeItLooks => a_move_from_elsewhere_changes_nothing,
    MovesTwice => a_move_is_made_and_recorded_once,
    DropsTheMemo => a_move_may_carry_its_memo,
    DropsTheMilestone => names_are_provided,
    HidesWhatMoved => an_empty_query_lists_every_status,
    ChangesItsIdentity => a_name_and_an_identity_stay,
    ClaimsEveryMove => a_persons_move_is_that_persons,
    IsEverybody => our_comments_carry_our_account,
    TrimsTitles => an_issue_reads_back_as_filed,
    KnowsEveryStatus => an_unknown_status_is_named,
    CutsFiles => attachments_round_trip,
    TrimsBodies => bodies_survive_byte_for_byte,
    CountsPerIssue => comment_ids_rise_across_issues,
    LosesEveryThird => concurrent_comments_are_all_kept,
    ForgetsLabels => created_issues_read_back,
    TurnsTheClockBack => dates_never_run_backwards,
    CachesThreads => edited_and_deleted_comments_show,
    GuessesTheComment => events_know_the_comment_before_them,
    ReversesHistory => history_is_complete_and_oldest_first,
    CutsFiles => hostile_file_names_do_no_harm,
    ReversesLists => issues_are_listed_once_oldest_first,
    RepeatsRows => issues_are_listed_once_oldest_first,
    IgnoresTheQuery => lists_hold_only_the_asked_statuses,
    ListsTheFirstPage => issues_are_listed_once_oldest_first,
    ListsTheFirstPage => lists_since_a_time_miss_nothing,
    SkipsChanges => no_change_is_lost_between_marks,
    SkipsComments => whatever_happens_is_a_change,
    NeutralisesAgain => the_dialect_is_idempotent,
    Shouts => the_dialect_leaves_plain_text_alone,
    BeginsWithEverything => the_first_mark_comes_with_nothing,
    ReversesThreads => threads_are_complete_and_oldest_first,
    ReadsTheFirstPage => threads_are_complete_and_oldest_first,
    DeclaresNothing => undeclared_capabilities_are_unsupported,
    FindsNothing => what_is_missing_is_not_found_and_named,
}

/// Returns the names of the suite's public cases, from its source.
fn public_cases() -> Vec<&'static str> {
    let source = include_str!("../tracker.rs");
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
    let source = include_str!("../tracker.rs");
    let (_, list) = source.split_once("$crate::conformance::tracker,").unwrap();
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
        include_str!("abilities.rs"),
        include_str!("moving.rs"),
        include_str!("reading.rs"),
        include_str!("watching.rs"),
        include_str!("writing.rs"),
    ]
    .iter()
    .map(|file| file.matches("\npub async fn ").count())
    .sum();
    assert_eq!(listed.len(), written);
}

#[tokio::test]
async fn a_shown_secret_is_caught_and_not_repeated() {
    let mut harness = MemoryHarness::<Consistent>::fresh().await.unwrap();
    harness.leaks = true;
    let violation = no_secret_is_shown(&harness).await.unwrap_err();
    assert!(!violation.to_string().contains("cAnary"), "{violation}");
}
