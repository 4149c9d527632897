//! Cases about sessions and what they keep.

use super::Bench;
use super::IntegratorHarness;
use super::at;
use super::verify;
use super::waiting;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::integrate::Checkout;
use crate::integrate::IntegrateError;
use crate::integrate::OpenOutcome;
use crate::integrate::VerificationRecord;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// A stored patch comes back byte for byte, to the next process too; one that was never stored is nothing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_stored_patch_comes_back(harness: &dyn IntegratorHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let patch = bench.submission(1, "app/b.txt", "B\n").await?.patch;
    for _ in 0..2 {
        bench.integrator.store(&patch).await.succeeds("storing")?;
    }
    let next = harness
        .integrator()
        .await
        .succeeds("opening the integrator again")?;
    let stored = next.stored(patch.id()).await.succeeds("reading it back")?;
    same("the stored patch", &stored.as_ref(), &Some(&patch))?;
    let unknown = next.stored(&PatchId::of(b"never stored")).await;
    same(
        "what was never stored",
        &unknown.succeeds("looking for it")?,
        &None,
    )
}

/// Whoever comes second is told so, and the first one's end frees the repository.
///
/// # Errors
/// Says how the rule is broken.
pub async fn one_session_at_a_time(harness: &dyn IntegratorHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let session = bench.open().await?;
    let second = harness
        .integrator()
        .await
        .succeeds("opening another integrator")?;
    let busy = second
        .open(&harness.target())
        .await
        .succeeds("asking for the session")?;
    ensure(matches!(busy, OpenOutcome::Busy), || {
        "two sessions are open at once".to_owned()
    })?;
    drop(session);
    let free = second
        .open(&harness.target())
        .await
        .succeeds("asking for the session")?;
    ensure(matches!(free, OpenOutcome::Opened(_)), || {
        "it is still busy after the session was dropped".to_owned()
    })
}

/// A branch that does not exist is an error of its own.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_unknown_target_is_named(harness: &dyn IntegratorHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let unknown = Target::new("no-such-branch").succeeds("naming a target")?;
    match bench.integrator.open(&unknown).await {
        Err(IntegrateError::UnknownTarget { target, .. }) => same("the target", &target, &unknown),
        other => Err(Violation::new(format!("it is answered with {other:?}"))),
    }
}

/// What a session shows is there for the next process, and listed without a session.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_candidate_survives_its_session(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (session, candidate) = bench.sealed().await?;
    drop(session);
    let next = harness
        .integrator()
        .await
        .succeeds("opening the integrator again")?;
    let listed = next.candidates().await.succeeds("listing candidates")?;
    same("the list", &listed, &vec![candidate.clone()])?;
    let diff = next
        .diff(&candidate)
        .await
        .succeeds("showing the candidate")?;
    let diff = String::from_utf8_lossy(&diff).into_owned();
    ensure(
        diff.contains("+A2\n") && diff.contains("app/new/c.txt"),
        || format!("the diff for review does not show the work: {diff}"),
    )?;
    let session = match next
        .open(&harness.target())
        .await
        .succeeds("opening the session")?
    {
        OpenOutcome::Opened(session) => session,
        OpenOutcome::Busy => return Err(Violation::new("a dropped session is still busy")),
    };
    same("the candidate", &waiting(&*session)?, &candidate)
}

/// Whatever is run on a candidate is run on what the next process finds, too.
///
/// # Errors
/// Says how the rule is broken.
pub async fn patches_that_joined_are_stored_by_the_next_checkout(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    for (number, path) in [(1, "app/b.txt"), (2, "app/new/c.txt")] {
        let submission = bench.submission(number, path, "more\n").await?;
        bench.apply(&mut *session, &submission).await?;
    }
    let checkout = session.checkout(Checkout::Candidate).await;
    checkout.succeeds("checking the candidate out")?;
    let candidate = waiting(&*session)?;
    same("the number of commits", &candidate.commits.len(), &2)?;
    drop(session);
    let session = bench.open().await?;
    same("the candidate", &waiting(&*session)?, &candidate)
}

/// Dropping a candidate leaves nothing waiting, and its patches stored.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_discarded_candidate_is_gone_and_its_patch_is_not(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let submission = bench.submission(1, "app/b.txt", "B\n").await?;
    bench
        .integrator
        .store(&submission.patch)
        .await
        .succeeds("storing")?;
    let mut session = bench.open().await?;
    bench.apply(&mut *session, &submission).await?;
    for _ in 0..2 {
        session.discard().await.succeeds("dropping the candidate")?;
    }
    same("the candidate", &session.candidate(), &None)?;
    drop(session);
    let listed = bench
        .integrator
        .candidates()
        .await
        .succeeds("listing candidates")?;
    same("the number of candidates", &listed.len(), &0)?;
    let stored = bench.integrator.stored(submission.patch.id()).await;
    same(
        "the patch",
        &stored.succeeds("reading it back")?,
        &Some(submission.patch),
    )
}

/// A verification of any other tree is refused, and a further patch drops the one there was.
///
/// # Errors
/// Says how the rule is broken.
pub async fn verification_is_of_the_last_tree(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let first = bench.submission(1, "app/a.txt", "A\n").await?;
    bench.apply(&mut *session, &first).await?;
    let wrong = VerificationRecord {
        tree: waiting(&*session)?.base.commit,
        commands: String::new(),
        verified: true,
        at: at(0),
    };
    let refused = session.set_verified(wrong).await;
    ensure(matches!(refused, Err(IntegrateError::WrongTree)), || {
        format!("a verification of another tree is answered with {refused:?}")
    })?;
    let unverified = waiting(&*session)?.id();
    verify(&mut *session).await?;
    ensure(waiting(&*session)?.is_verified(), || {
        "it is not verified".to_owned()
    })?;
    ensure(waiting(&*session)?.id() != unverified, || {
        "the id does not tell whether it is verified".to_owned()
    })?;
    let second = bench.submission(2, "app/b.txt", "B\n").await?;
    bench.apply(&mut *session, &second).await?;
    same(
        "the verification after a further patch",
        &waiting(&*session)?.verification,
        &None,
    )?;
    let sealed = session.seal(at(0)).await;
    ensure(matches!(sealed, Err(IntegrateError::WrongTree)), || {
        format!("sealing what is not verified is answered with {sealed:?}")
    })
}

/// Once sealed, the id is final: no patch joins, and sealing again changes nothing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_sealed_candidate_takes_nothing_more(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    ensure(candidate.sealed, || "it is not sealed".to_owned())?;
    let again = session
        .seal(at(1_800_000_000))
        .await
        .succeeds("sealing again")?;
    same("the id", &again, &candidate.id())?;
    let late = bench.submission(3, "app/b.txt", "B\n").await?;
    match session.apply(&late, &[]).await {
        Err(IntegrateError::Sealed { id }) => same("the id", &id, &candidate.id())?,
        other => {
            return Err(Violation::new(format!(
                "a late patch is answered with {other:?}"
            )));
        }
    }
    same("the candidate", &waiting(&*session)?, &candidate)
}

/// A candidate is resumed by its id only while it is exactly that one.
///
/// # Errors
/// Says how the rule is broken.
pub async fn only_this_very_candidate_is_resumed(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let id = candidate.id();
    let busy = bench
        .integrator
        .resume(&id)
        .await
        .succeeds("resuming it while it is open")?;
    ensure(matches!(busy, OpenOutcome::Busy), || {
        "two sessions are open at once".to_owned()
    })?;
    drop(session);
    match bench.integrator.resume(&id).await.succeeds("resuming it")? {
        OpenOutcome::Opened(resumed) => session = resumed,
        OpenOutcome::Busy => return Err(Violation::new("a dropped session is still busy")),
    }
    same("the candidate", &waiting(&*session)?, &candidate)?;
    let one = bench.submission(1, "app/a.txt", "rebuilt\n").await?;
    let rebuilt = session.rebuild(&bench.base, &[(one, Vec::new())]).await;
    rebuilt.succeeds("rebuilding")?;
    drop(session);
    match bench.integrator.resume(&id).await {
        Err(IntegrateError::NoSuchCandidate { .. }) => Ok(()),
        other => Err(Violation::new(format!(
            "a rebuilt candidate is answered with {other:?}"
        ))),
    }
}
