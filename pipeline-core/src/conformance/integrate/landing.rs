//! Cases about landing.

use super::Bench;
use super::FileSet;
use super::IntegratorHarness;
use super::approve;
use super::sample;
use super::with;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::integrate::IntegrateError;
use crate::integrate::Integration;
use crate::integrate::LandBy;
use crate::integrate::LandOutcome;
use crate::integrate::TrailerSearch;
use crate::memory::ScriptedClock;
use crate::trailers::with_trailers;
use crate::workspace::CommitId;

/// The files of [`Bench::sealed`] once they have landed.
fn landed_files() -> FileSet {
    let mut files = with("app/a.txt", "a1\nA2\na3\na4\na5\n");
    files.put("app/new/c.txt", b"c\n");
    files
}

/// A landing that may take as long as it takes.
fn in_time() -> LandBy {
    let clock = ScriptedClock::new(Timestamp::EPOCH);
    LandBy::new(Arc::new(clock), Duration::MAX)
}

async fn land(bench: &Bench<'_>) -> Result<Box<dyn Integration>, Violation> {
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    let outcome = session
        .land(&plan, &approval, &in_time())
        .await
        .succeeds("landing")?;
    same("the outcome", &outcome, &LandOutcome::Landed)?;
    Ok(session)
}

/// After a landing branch and checkout have the work, and nothing waits any more.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_landing_moves_branch_and_checkout(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let session = land(&bench).await?;
    same(
        "the branch",
        &harness.files().await.succeeds("reading the branch")?,
        &landed_files(),
    )?;
    let checkout = harness.checkout().await.succeeds("reading the checkout")?;
    same("the checkout", &checkout, &landed_files())?;
    same("the candidate", &session.candidate(), &None)?;
    drop(session);
    let listed = bench
        .integrator
        .candidates()
        .await
        .succeeds("listing candidates")?;
    same("the number of candidates", &listed.len(), &0)
}

/// Order, authors, dates, messages and trailers are the candidate's; the committer is who gave the OK, and when.
///
/// # Errors
/// Says how the rule is broken.
pub async fn what_lands_is_what_was_approved(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    same("the old tip", &plan.old, &bench.base)?;
    same("the candidate", &plan.candidate, &candidate.id())?;
    same(
        "the touched paths",
        &plan.touched,
        &vec!["app/a.txt".to_owned(), "app/new/c.txt".to_owned()],
    )?;
    let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
    let by = LandBy::new(Arc::clone(&clock) as _, Duration::from_secs(60));
    clock.advance(Duration::from_secs(61));
    let outcome = session
        .land(&plan, &approval, &by)
        .await
        .succeeds("landing too late")?;
    same(
        "the outcome of a late landing",
        &outcome,
        &LandOutcome::TooLate,
    )?;
    same(
        "the tip after a late landing",
        &session.tip().await.succeeds("reading the tip")?,
        &bench.base,
    )?;
    let outcome = session
        .land(&plan, &approval, &in_time())
        .await
        .succeeds("landing")?;
    same("the outcome", &outcome, &LandOutcome::Landed)?;
    let log = harness.log().await.succeeds("reading the history")?;
    let landed: Vec<_> = log
        .iter()
        .take_while(|commit| commit.id != bench.base)
        .collect();
    same(
        "the number of commits",
        &landed.len(),
        &candidate.commits.len(),
    )?;
    same(
        "the new tip",
        &landed.first().map(|commit| &commit.id),
        &Some(&plan.new),
    )?;
    let steps = candidate.commits.iter().zip(&plan.commits);
    for (commit, (step, (claim, id))) in landed.iter().rev().zip(steps) {
        same("the commit", &commit.id, id)?;
        same("its claim", claim, &step.claim)?;
        same("its author", &commit.author, &step.author)?;
        same(
            "its author date",
            &commit.authored,
            &step.authored.as_secs(),
        )?;
        same("its committer", &commit.committer, &approval.evidence().by)?;
        same(
            "its committer date",
            &commit.committed,
            &approval.evidence().at.as_secs(),
        )?;
        let message = with_trailers(&step.message, &step.claim, None);
        same(
            "its message",
            &commit.message.trim_end(),
            &message.trim_end(),
        )?;
    }
    Ok(())
}

/// Preparing the same landing twice names the same commits.
///
/// # Errors
/// Says how the rule is broken.
pub async fn equal_approvals_write_equal_commits(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let first = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    drop(session);
    let session = bench.open().await?;
    let second = session
        .prepare(&approval)
        .await
        .succeeds("preparing it again")?;
    same("the second plan", &second, &first)
}

/// An OK for a candidate that was rebuilt since lands nothing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_stale_approval_lands_nothing(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    let other = bench.submission(1, "app/a.txt", "rebuilt\n").await?;
    session
        .rebuild(&bench.base, &[(other, Vec::new())])
        .await
        .succeeds("rebuilding")?;
    let prepared = session.prepare(&approval).await;
    ensure(
        matches!(prepared, Err(IntegrateError::StaleApproval { .. })),
        || format!("preparing is answered with {prepared:?}"),
    )?;
    let landed = session.land(&plan, &approval, &in_time()).await;
    ensure(
        matches!(landed, Err(IntegrateError::StaleApproval { .. })),
        || format!("landing is answered with {landed:?}"),
    )?;
    same(
        "the branch",
        &harness.files().await.succeeds("reading the branch")?,
        &sample(),
    )
}

/// A plan whose base is no longer the tip lands nothing and loses nothing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_moved_base_lands_nothing(harness: &dyn IntegratorHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    let moved = with("docs/readme.md", "# Moved on\n");
    let tip = harness
        .commit(&moved)
        .await
        .succeeds("committing as the person")?;
    let outcome = session
        .land(&plan, &approval, &in_time())
        .await
        .succeeds("landing")?;
    same("the outcome", &outcome, &LandOutcome::BaseMoved)?;
    let outcome = session
        .roll_forward(&plan)
        .await
        .succeeds("rolling forward")?;
    same(
        "the outcome of rolling forward",
        &outcome,
        &LandOutcome::BaseMoved,
    )?;
    same(
        "the tip",
        &session.tip().await.succeeds("reading the tip")?,
        &tip,
    )?;
    same(
        "the branch",
        &harness.files().await.succeeds("reading the branch")?,
        &moved,
    )?;
    same("the candidate", &session.candidate(), &Some(&candidate))
}

/// A touched file that the person has changed keeps the landing away, with its name, and nothing moves.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_checkout_that_differs_makes_the_landing_wait(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    for (path, restored) in [
        ("app/a.txt", sample().content("app/a.txt")),
        ("app/new/c.txt", None),
    ] {
        harness
            .edit(path, b"mine\n")
            .await
            .succeeds("editing as the person")?;
        let before = harness
            .belongings()
            .await
            .succeeds("looking at the person's things")?;
        let outcome = session
            .land(&plan, &approval, &in_time())
            .await
            .succeeds("landing")?;
        let LandOutcome::Waits { reason } = outcome else {
            return Err(Violation::new(format!("it is answered with {outcome:?}")));
        };
        ensure(reason.contains(path), || {
            format!("`{reason}` does not name {path}")
        })?;
        let after = harness
            .belongings()
            .await
            .succeeds("looking at the person's things")?;
        same("what belongs to the person", &after, &before)?;
        same("the candidate", &session.candidate(), &Some(&candidate))?;
        if let Some(content) = restored {
            harness
                .edit(path, content)
                .await
                .succeeds("taking the edit back")?;
        }
    }
    Ok(())
}

/// What the person changes elsewhere stays as it is, through the landing and after.
///
/// # Errors
/// Says how the rule is broken.
pub async fn other_work_of_the_person_stays(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    harness
        .edit("docs/readme.md", b"# Mine\n")
        .await
        .succeeds("editing as the person")?;
    harness
        .edit("scratch.txt", b"mine\n")
        .await
        .succeeds("editing as the person")?;
    land(&bench).await?;
    let mut expected = landed_files();
    expected.put("docs/readme.md", b"# Mine\n");
    expected.put("scratch.txt", b"mine\n");
    let checkout = harness.checkout().await.succeeds("reading the checkout")?;
    same("the checkout", &checkout, &expected)?;
    same(
        "the branch",
        &harness.files().await.succeeds("reading the branch")?,
        &landed_files(),
    )
}

/// A landing is found from any later tip, back to the oldest base and no further.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_landing_is_found_by_its_trailers(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let session = land(&bench).await?;
    let landed = session.tip().await.succeeds("reading the tip")?;
    let mut later = landed_files();
    later.put("docs/readme.md", b"# Later\n");
    let tip = harness
        .commit(&later)
        .await
        .succeeds("committing as the person")?;
    let rounds = async |oldest: Vec<CommitId>| {
        let search = TrailerSearch {
            tip: tip.clone(),
            oldest,
        };
        let hits = session.trailers(&search).await.succeeds("searching")?;
        let mut rounds: Vec<_> = hits
            .iter()
            .flat_map(|hit| &hit.rounds)
            .map(|(issue, round)| format!("{issue} {round}"))
            .collect();
        rounds.sort();
        for hit in &hits {
            same("the claims of a commit", &hit.claims.len(), &1)?;
        }
        Ok::<_, Violation>(rounds)
    };
    let both = vec!["SHOP-1 51".to_owned(), "SHOP-2 52".to_owned()];
    same(
        "from the base",
        &rounds(vec![bench.base.clone()]).await?,
        &both,
    )?;
    same("from the whole history", &rounds(Vec::new()).await?, &both)?;
    same(
        "from after the landing",
        &rounds(vec![landed.clone()]).await?.len(),
        &0,
    )?;
    same(
        "from the older base",
        &rounds(vec![landed, bench.base.clone()]).await?,
        &both,
    )?;
    let unknown = CommitId::new("0123456789abcdef0123456789abcdef01234567")
        .succeeds("naming a commit that is not there")?;
    same(
        "from a base that is gone",
        &rounds(vec![tip.clone(), unknown]).await?,
        &both,
    )
}

/// Rolling forward completes what has begun, does nothing twice, and begins nothing.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_landing_rolls_forward_once(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let (mut session, candidate) = bench.sealed().await?;
    let approval = approve(&candidate)?;
    let plan = session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    let outcome = session
        .roll_forward(&plan)
        .await
        .succeeds("rolling forward before")?;
    same(
        "the outcome before the landing",
        &outcome,
        &LandOutcome::BaseMoved,
    )?;
    same(
        "the branch",
        &harness.files().await.succeeds("reading the branch")?,
        &sample(),
    )?;
    let outcome = session
        .land(&plan, &approval, &in_time())
        .await
        .succeeds("landing")?;
    same("the outcome", &outcome, &LandOutcome::Landed)?;
    let before = harness
        .belongings()
        .await
        .succeeds("looking at the person's things")?;
    for _ in 0..2 {
        let outcome = session
            .roll_forward(&plan)
            .await
            .succeeds("rolling forward after")?;
        same(
            "the outcome after the landing",
            &outcome,
            &LandOutcome::Landed,
        )?;
    }
    let after = harness
        .belongings()
        .await
        .succeeds("looking at the person's things")?;
    same("what belongs to the person", &after, &before)
}
