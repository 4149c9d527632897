//! Cases about leases, beats and submissions.

use std::time::Duration;

use super::LEASE_OVER;
use super::LockHarness;
use super::is_live;
use super::opened;
use super::refused;
use super::request;
use super::started;
use super::taken;
use super::view;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::lock::BEAT_LEASE;
use crate::lock::FIRST_LEASE;
use crate::lock::LockStore;
use crate::lock::MARGIN;
use crate::lock::PARK;
use crate::lock::WorkLock;
use crate::protected::Evidence;
use crate::protected::Hold;
use crate::protected::HoldReason;
use crate::protected::ProtectedKind;
use crate::workspace::PatchId;

/// A server may stamp in whole seconds.
const STAMP: Duration = Duration::from_secs(2);

/// The holder's own deadline lies a margin before the time from which others may take the lock.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_holder_stops_before_the_others_begin(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let before = harness.clock().elapsed();
    let lock = taken(&*store, &request(&issue, &["path:a"])).await?;
    ensure(lock.deadline() > before, || {
        "the deadline of a fresh lock has passed".to_owned()
    })?;
    stops_in_time(harness, &*store, &lock, lock.deadline()).await?;
    harness.pass(FIRST_LEASE / 2).await;
    let renewed = store.renew(&lock).await.succeeds("sending a beat")?;
    let renewed = renewed.ok_or_else(|| Violation::new("a live lock was not renewed"))?;
    stops_in_time(harness, &*store, &lock, renewed).await
}

async fn stops_in_time(
    harness: &dyn LockHarness,
    store: &dyn LockStore,
    lock: &WorkLock,
    deadline: Duration,
) -> Result<(), Violation> {
    let seen = view(store, &[lock.issue()]).await?;
    let now = harness.clock().elapsed();
    let live = seen.state.live_claim(lock.id(), seen.date);
    let live = live.ok_or_else(|| Violation::new("a fresh lock is not live"))?;
    let end = now.saturating_add(live.end.since(seen.date));
    ensure(
        deadline.saturating_add(MARGIN) <= end.saturating_add(STAMP),
        || {
            format!(
                "the holder works until {deadline:?} while the lease ends at {end:?}, which is less than {MARGIN:?} later"
            )
        },
    )
}

/// A holder that is not heard of any more loses its lock without anybody ending it, and notices.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_dead_holder_loses_its_lock_by_time_alone(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["path:a"])).await?;
    harness.pass(FIRST_LEASE.saturating_sub(MARGIN)).await;
    refused(&*other, &request(&second, &["path:a"])).await?;
    harness.pass(LEASE_OVER).await;
    ensure(harness.clock().elapsed() > lock.deadline(), || {
        "the time of the harness does not reach the holder".to_owned()
    })?;
    taken(&*other, &request(&second, &["path:a"])).await?;
    let renewed = store.renew(&lock).await.succeeds("sending a late beat")?;
    same("the deadline after a late beat", &renewed, &None)?;
    ensure(!is_live(&*store, &lock).await?, || {
        "a late beat brought a lost lock back".to_owned()
    })
}

/// A beat gives a later deadline than there was, and a shorter lease never takes time away.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_beat_prolongs_and_never_shortens(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let mut wanted = request(&first, &["path:a"]);
    wanted.claim.lease = BEAT_LEASE.saturating_mul(2);
    let lock = taken(&*store, &wanted).await?;
    let end_of = async || {
        let seen = view(&*store, &[&first.issue]).await?;
        let live = seen.state.live_claim(lock.id(), seen.date).map(|h| h.end);
        live.ok_or_else(|| Violation::new("the lock is not live"))
    };
    let end = end_of().await?;
    store.renew(&lock).await.succeeds("sending a beat")?;
    ensure(end_of().await? >= end, || {
        "a beat shortened the lease".to_owned()
    })?;
    harness
        .pass(BEAT_LEASE.saturating_mul(2) - Duration::from_secs(60))
        .await;
    let renewed = store.renew(&lock).await.succeeds("sending a beat")?;
    ensure(renewed.is_some_and(|d| d > lock.deadline()), || {
        format!("after a beat the deadline is {renewed:?} instead of a later one")
    })?;
    ensure(end_of().await? > end, || {
        "a beat did not prolong the lease".to_owned()
    })?;
    harness.pass(LEASE_OVER).await;
    refused(&*other, &request(&second, &["path:a"]))
        .await
        .map(drop)
}

/// A submitted patch stands in the claim with what holds it, keeps its resources past the lease, and is
/// submitted once however often it is said.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_submission_holds_and_says_what(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["path:a"])).await?;
    let patch = PatchId::of(b"a patch");
    let holds = vec![Hold::new(
        HoldReason::Protected(ProtectedKind::DbChange),
        "sql",
        Evidence::Command {
            text: "psql -c 'DROP TABLE 名前'".to_owned(),
        },
    )];
    for _ in 0..2 {
        let submitted = store
            .submit(&lock, &patch, holds.clone(), "Done.".to_owned())
            .await;
        ensure(submitted.succeeds("submitting")?, || {
            "the submission of a live lock is called late".to_owned()
        })?;
    }
    harness.pass(LEASE_OVER.saturating_mul(3)).await;
    let seen = view(&*other, &[&first.issue]).await?;
    let live = seen.state.live_claim(lock.id(), seen.date);
    let live =
        live.ok_or_else(|| Violation::new("a submitted claim ran out with its first lease"))?;
    same("the patch", &live.submitted, &Some(patch))?;
    same("what holds it", &live.holds, &holds)?;
    refused(&*other, &request(&second, &["path:a"]))
        .await
        .map(drop)
}

/// What is submitted after the lease has ended is kept for a claim to come, and frees nobody's way meanwhile.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_submission_that_comes_late_is_not_lost(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&issue, &["path:a"])).await?;
    harness.pass(LEASE_OVER).await;
    let other = started(harness).await?;
    taken(&*store, &request(&other, &["path:a"])).await?;
    let patch = PatchId::of(b"late work");
    let submitted = store
        .submit(&lock, &patch, Vec::new(), "Done.".to_owned())
        .await;
    ensure(!submitted.succeeds("submitting late")?, || {
        "a submission under a lost lock is called good".to_owned()
    })?;
    harness.settle().await;
    ensure(!is_live(&*store, &lock).await?, || {
        "a late submission brought a lost lock back".to_owned()
    })?;
    let seen = view(&*store, &[&issue.issue]).await?;
    let orphans = seen.state.orphans(seen.date);
    let kept: Vec<_> = orphans.iter().map(|o| (o.id, o.patch.clone())).collect();
    same(
        "the patches without a claim",
        &kept,
        &vec![(lock.id(), patch)],
    )
}

/// A submitted claim holds for as long as the integrator beats it, and not for ever without.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_parked_patch_is_kept_as_long_as_it_is_beaten(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&issue, &["path:a"])).await?;
    let patch = PatchId::of(b"a patch");
    let submitted = store
        .submit(&lock, &patch, Vec::new(), "Done.".to_owned())
        .await;
    submitted.succeeds("submitting")?;
    let integrator = opened(harness).await?;
    for _ in 0..2 {
        harness.pass(PARK - Duration::from_secs(3600)).await;
        let parked = integrator.park(&lock.claim_ref()).await;
        parked.succeeds("beating a submitted claim")?;
        harness.settle().await;
    }
    ensure(is_live(&*store, &lock).await?, || {
        "a beaten claim ran out".to_owned()
    })?;
    harness.pass(PARK + LEASE_OVER).await;
    ensure(!is_live(&*store, &lock).await?, || {
        "a claim that nobody beats holds for ever".to_owned()
    })
}
