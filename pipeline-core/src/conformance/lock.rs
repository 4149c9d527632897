//! The conformance suite of [`LockStore`].
//!
//! A store's tests implement [`LockHarness`], which has issues started by a person and lets time pass, and call
//! [`lock_conformance!`](crate::lock_conformance). Every store that the harness opens stands for a process of its
//! own: what one of them holds, all of them must see.

mod ending;
mod holding;
mod taking;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::ending::a_claim_is_ended_once;
pub use self::ending::a_foreign_release_frees_only_when_the_lease_is_over;
pub use self::ending::a_landed_round_takes_no_more_locks;
pub use self::ending::a_refused_patch_frees_at_once_and_counts;
pub use self::ending::a_released_lock_is_free_at_once;
pub use self::ending::a_submitted_claim_is_ended_by_anybody_of_ours;
pub use self::holding::a_beat_prolongs_and_never_shortens;
pub use self::holding::a_dead_holder_loses_its_lock_by_time_alone;
pub use self::holding::a_parked_patch_is_kept_as_long_as_it_is_beaten;
pub use self::holding::a_submission_holds_and_says_what;
pub use self::holding::a_submission_that_comes_late_is_not_lost;
pub use self::holding::the_holder_stops_before_the_others_begin;
pub use self::taking::a_batch_has_one_outcome_per_request;
pub use self::taking::a_free_lock_is_acquired_and_seen_by_all;
pub use self::taking::a_held_lock_names_its_holder;
pub use self::taking::a_loser_never_becomes_the_holder;
pub use self::taking::a_tree_meets_what_lies_in_it;
pub use self::taking::an_earlier_round_is_not_current;
pub use self::taking::an_issue_that_left_its_status_is_not_current;
pub use self::taking::of_many_that_ask_at_once_one_wins;
pub use self::taking::other_targets_do_not_meet;
use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use crate::BoxError;
use crate::agent::RunId;
use crate::clock::Clock;
use crate::conflict::ResourceSet;
use crate::conflict::Scope;
use crate::integrate::ClaimRef;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::lock::Claim;
use crate::lock::EndKind;
use crate::lock::Ender;
use crate::lock::FIRST_LEASE;
use crate::lock::GRACE;
use crate::lock::Integrator;
use crate::lock::LockOutcome;
use crate::lock::LockRequest;
use crate::lock::LockStore;
use crate::lock::LockView;
use crate::lock::WorkLock;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::Target;

/// An issue that a person has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The issue.
    pub issue: IssueKey,
    /// The start event: its current round.
    pub round: EventId,
}

/// One lock store under test, the person beside it, and its time.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// Sets up a place where nothing is held.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Opens the store as a process that was just started does.
    async fn store(&self) -> Result<Arc<dyn LockStore>, BoxError>;

    /// Returns the clock that the stores and their holders work by.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets this much time pass, for the stores and for whatever they stand on.
    async fn pass(&self, time: Duration);

    /// Waits until everything written so far is visible to every store. A consistent one does nothing.
    async fn settle(&self);

    /// Makes an issue, and moves it into In progress as the person.
    async fn started(&self) -> Result<Started, BoxError>;

    /// Moves an issue out of In progress as the person.
    async fn taken_back(&self, issue: &IssueKey) -> Result<(), BoxError>;

    /// Moves an issue that was taken back into In progress again, and returns its new round.
    async fn started_again(&self, issue: &IssueKey) -> Result<EventId, BoxError>;
}

/// Expands to one test per behaviour of a [`LockStore`], for a type that implements [`LockHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::lock_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! lock_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::lock::LockHarness,
            $crate::conformance::lock,
            [
                a_batch_has_one_outcome_per_request,
                a_beat_prolongs_and_never_shortens,
                a_claim_is_ended_once,
                a_dead_holder_loses_its_lock_by_time_alone,
                a_foreign_release_frees_only_when_the_lease_is_over,
                a_free_lock_is_acquired_and_seen_by_all,
                a_held_lock_names_its_holder,
                a_landed_round_takes_no_more_locks,
                a_loser_never_becomes_the_holder,
                a_parked_patch_is_kept_as_long_as_it_is_beaten,
                a_refused_patch_frees_at_once_and_counts,
                a_released_lock_is_free_at_once,
                a_submission_holds_and_says_what,
                a_submission_that_comes_late_is_not_lost,
                a_submitted_claim_is_ended_by_anybody_of_ours,
                a_tree_meets_what_lies_in_it,
                an_earlier_round_is_not_current,
                an_issue_that_left_its_status_is_not_current,
                of_many_that_ask_at_once_one_wins,
                other_targets_do_not_meet,
                the_holder_stops_before_the_others_begin,
            ]
        );
    };
}

/// Past the end of a first lease and the grace after it.
const LEASE_OVER: Duration = FIRST_LEASE
    .saturating_add(GRACE)
    .saturating_add(Duration::from_secs(60));

async fn opened(harness: &dyn LockHarness) -> Result<Arc<dyn LockStore>, Violation> {
    harness.store().await.succeeds("opening the store")
}

async fn started(harness: &dyn LockHarness) -> Result<Started, Violation> {
    harness
        .started()
        .await
        .succeeds("starting an issue as the person")
}

/// Asks for an issue's lock on the target `main`.
fn request(of: &Started, keys: &[&str]) -> LockRequest {
    request_on("main", of, keys)
}

fn request_on(target: &str, of: &Started, keys: &[&str]) -> LockRequest {
    let keys = keys.iter().map(|key| key.parse().expect("a key"));
    let scope = Scope::new("conformance", target);
    LockRequest {
        issue: of.issue.clone(),
        claim: Claim {
            run: RunId::random(),
            round: of.round,
            attempt: 1,
            lease: FIRST_LEASE,
            base: BaseRevision {
                target: Target::new(target).expect("a branch name"),
                commit: CommitId::new("1".repeat(40)).expect("forty digits"),
            },
            resources: ResourceSet::new(scope, of.issue.as_str(), keys),
            rules: "r1".to_owned(),
            files: vec!["src/名前 one.rs".to_owned()],
            agent: "agent-1".to_owned(),
            workdir: "run-1".to_owned(),
            integrator: Integrator {
                name: "main-agent".to_owned(),
                id: "conformance/main".to_owned(),
            },
            patch: None,
        },
        text: "Work starts.".to_owned(),
    }
}

/// Asks for one lock.
async fn asked(store: &dyn LockStore, request: &LockRequest) -> Result<LockOutcome, Violation> {
    let outcomes = store.acquire(std::slice::from_ref(request)).await;
    let mut outcomes = outcomes.succeeds("asking for a lock")?;
    let outcome = outcomes.pop();
    ensure(outcomes.is_empty(), || {
        "one request has more than one outcome".to_owned()
    })?;
    outcome.ok_or_else(|| Violation::new("one request has no outcome"))
}

/// Asks for a lock that must be free.
async fn taken(store: &dyn LockStore, request: &LockRequest) -> Result<WorkLock, Violation> {
    match asked(store, request).await? {
        LockOutcome::Acquired(record) => Ok(WorkLock::mint(*record)),
        other => Err(Violation::new(format!(
            "{} asked for a free lock and got {other:?}",
            request.issue
        ))),
    }
}

/// Asks for a lock that must not be free.
async fn refused(store: &dyn LockStore, request: &LockRequest) -> Result<LockOutcome, Violation> {
    match asked(store, request).await? {
        LockOutcome::Acquired(record) => Err(Violation::new(format!(
            "{} acquired claim {} although what it needs is not to be had",
            request.issue, record.id
        ))),
        other => Ok(other),
    }
}

async fn view(store: &dyn LockStore, of: &[&IssueKey]) -> Result<LockView, Violation> {
    let of: BTreeSet<IssueKey> = of.iter().copied().cloned().collect();
    let view = store.live(&of).await.succeeds("reading who holds what")?;
    ensure(view.tampered.is_empty(), || {
        format!(
            "an issue that only the store wrote to is distrusted: {:?}",
            view.tampered
        )
    })?;
    Ok(view)
}

async fn is_live(store: &dyn LockStore, lock: &WorkLock) -> Result<bool, Violation> {
    let view = view(store, &[lock.issue()]).await?;
    Ok(view.state.live_claim(lock.id(), view.date).is_some())
}

fn released(lock: &WorkLock) -> EndKind {
    EndKind::Release {
        reason: "failed".to_owned(),
        by: Ender::Run(lock.run().clone()),
    }
}

/// Ends a claim and lets everybody see it.
async fn end(
    harness: &dyn LockHarness,
    store: &dyn LockStore,
    claim: &ClaimRef,
    how: &EndKind,
) -> Result<(), Violation> {
    let ended = store.end(claim, how, "It is over.".to_owned()).await;
    ended.succeeds("ending a claim")?;
    harness.settle().await;
    Ok(())
}
