//! Cases about the end of claims.

use super::LEASE_OVER;
use super::LockHarness;
use super::end;
use super::is_live;
use super::opened;
use super::refused;
use super::released;
use super::request;
use super::started;
use super::taken;
use super::view;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::lock::EndKind;
use crate::lock::Ender;
use crate::lock::LockOutcome;
use crate::workspace::PatchId;

/// The holder's own release frees its resources for everybody, without waiting.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_released_lock_is_free_at_once(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["path:a"])).await?;
    end(harness, &*store, &lock.claim_ref(), &released(&lock)).await?;
    let renewed = store
        .renew(&lock)
        .await
        .succeeds("beating a released claim")?;
    same("the deadline of a released claim", &renewed, &None)?;
    taken(&*other, &request(&second, &["path:a"]))
        .await
        .map(drop)
}

/// Whoever is neither the holder nor the integrator stops a run only from going on: what it holds blocks until its
/// lease is over, since its agent may still be writing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_foreign_release_frees_only_when_the_lease_is_over(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["path:a"])).await?;
    let by_hand = EndKind::Release {
        reason: "revoked".to_owned(),
        by: Ender::Other,
    };
    end(harness, &*other, &lock.claim_ref(), &by_hand).await?;
    refused(&*other, &request(&second, &["path:a"])).await?;
    let renewed = store
        .renew(&lock)
        .await
        .succeeds("beating a revoked claim")?;
    same("the deadline of a revoked claim", &renewed, &None)?;
    let submitted = store
        .submit(&lock, &PatchId::of(b"x"), Vec::new(), "Done.".to_owned())
        .await;
    ensure(
        !submitted.succeeds("submitting under a revoked claim")?,
        || "the submission of a revoked claim is called good".to_owned(),
    )?;
    harness.pass(LEASE_OVER).await;
    taken(&*other, &request(&second, &["path:a"]))
        .await
        .map(drop)
}

/// What has been handed over has no agent any more: whoever of ours ends it frees it at once.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_submitted_claim_is_ended_by_anybody_of_ours(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["path:a"])).await?;
    let submitted = store
        .submit(&lock, &PatchId::of(b"x"), Vec::new(), "Done.".to_owned())
        .await;
    submitted.succeeds("submitting")?;
    let by_hand = EndKind::Release {
        reason: "revoked".to_owned(),
        by: Ender::Other,
    };
    end(harness, &*other, &lock.claim_ref(), &by_hand).await?;
    taken(&*other, &request(&second, &["path:a"]))
        .await
        .map(drop)
}

/// A patch that goes back frees what it held, and its round has one attempt more behind it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_refused_patch_frees_at_once_and_counts(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, integrator) = (opened(harness).await?, opened(harness).await?);
    let issue = started(harness).await?;
    for attempt in 1..=2 {
        let mut wanted = request(&issue, &["path:a"]);
        wanted.claim.attempt = attempt;
        let lock = taken(&*store, &wanted).await?;
        let patch = PatchId::of(&attempt.to_be_bytes());
        let submitted = store
            .submit(&lock, &patch, Vec::new(), "Done.".to_owned())
            .await;
        submitted.succeeds("submitting")?;
        let refused = EndKind::Refused {
            reason: "verify".to_owned(),
        };
        end(harness, &*integrator, &lock.claim_ref(), &refused).await?;
        let seen = view(&*store, &[&issue.issue]).await?;
        ensure(
            seen.state.live_claim(lock.id(), seen.date).is_none(),
            || "a refused claim is live".to_owned(),
        )?;
        let counted = seen.state.attempts(&issue.issue, issue.round);
        same("the attempts of the round", &counted, &attempt)?;
    }
    Ok(())
}

/// Once a round is in the target nothing of it is live and nothing can be acquired for it any more.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_landed_round_takes_no_more_locks(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, integrator) = (opened(harness).await?, opened(harness).await?);
    let issue = started(harness).await?;
    let lock = taken(&*store, &request(&issue, &["path:a"])).await?;
    let submitted = store
        .submit(&lock, &PatchId::of(b"x"), Vec::new(), "Done.".to_owned())
        .await;
    submitted.succeeds("submitting")?;
    let landed = EndKind::Landed { commit: None };
    end(harness, &*integrator, &lock.claim_ref(), &landed).await?;
    let seen = view(&*store, &[&issue.issue]).await?;
    ensure(seen.state.has_landed(&issue.issue, issue.round), || {
        "the round is not known as landed".to_owned()
    })?;
    same("what is live", &seen.state.live(seen.date).count(), &0)?;
    let outcome = refused(&*store, &request(&issue, &["path:b"])).await?;
    ensure(
        matches!(outcome, LockOutcome::Held { .. } | LockOutcome::NotCurrent),
        || format!("a landed round got {outcome:?}"),
    )?;
    // It stands in nobody's way.
    let other = started(harness).await?;
    taken(&*store, &request(&other, &["path:a", "path:b"]))
        .await
        .map(drop)
}

/// Ending a claim again is fine and changes nothing: not its fate, not what came after it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_claim_is_ended_once(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let issue = started(harness).await?;
    let lock = taken(&*store, &request(&issue, &["path:a"])).await?;
    end(harness, &*store, &lock.claim_ref(), &released(&lock)).await?;
    let next = taken(&*store, &request(&issue, &["path:a"])).await?;
    let again = EndKind::Refused {
        reason: "verify".to_owned(),
    };
    end(harness, &*other, &lock.claim_ref(), &again).await?;
    ensure(is_live(&*store, &next).await?, || {
        "ending an ended claim took the next one's lock".to_owned()
    })?;
    let seen = view(&*store, &[&issue.issue]).await?;
    let fate = seen.state.ended(lock.id()).map(|e| e.fate.clone());
    let expected = crate::lock::Fate::Released {
        reason: "failed".to_owned(),
    };
    same("the fate of the first claim", &fate, &Some(expected))?;
    same(
        "the attempts of the round",
        &seen.state.attempts(&issue.issue, issue.round),
        &1,
    )
}
