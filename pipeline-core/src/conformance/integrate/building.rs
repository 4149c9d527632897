//! Cases about building candidates.

use super::Bench;
use super::FileEntry;
use super::FileSet;
use super::IntegratorHarness;
use super::sample;
use super::waiting;
use super::with;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::conformance::files::write_file;
use crate::integrate::ApplyOutcome;
use crate::integrate::Checkout;
use crate::workspace::Patch;

/// An applied patch is the last commit, with everything that came with it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_patch_becomes_the_last_commit(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    same("the candidate", &session.candidate(), &None)?;
    let mut files = with("app/a.txt", "A\n");
    files.put("app/名前 x.txt", b"x\n");
    files.remove("docs/readme.md");
    let submission = bench.submission_of(1, bench.patch(&files).await?);
    let declared = ["app/a.txt".to_owned()];
    let outcome = session
        .apply(&submission, &declared)
        .await
        .succeeds("applying")?;
    same("the outcome", &outcome, &ApplyOutcome::Applied)?;
    let second = bench.submission(2, "app/b.txt", "B\n").await?;
    bench.apply(&mut *session, &second).await?;
    let candidate = waiting(&*session)?;
    same("the base", &candidate.base.commit, &bench.base)?;
    same("the target", &candidate.base.target, &harness.target())?;
    let claims: Vec<_> = candidate
        .commits
        .iter()
        .map(|commit| &commit.claim)
        .collect();
    same(
        "the claims",
        &claims,
        &vec![&submission.claim, &second.claim],
    )?;
    let first = &candidate.commits[0];
    same("the patch", &first.patch, submission.patch.id())?;
    same("the author", &first.author, &submission.author)?;
    same("its date", &first.authored, &submission.authored)?;
    same("the message", &first.message, &submission.message)?;
    let touched = ["app/a.txt", "app/名前 x.txt", "docs/readme.md"].map(str::to_owned);
    same("the touched paths", &first.touched, &touched.to_vec())?;
    same("the drift", &first.drift, &touched[1..].to_vec())?;
    ensure(first.tree != candidate.commits[1].tree, || {
        "both commits have one tree".to_owned()
    })
}

/// Until it lands, a candidate is seen in no branch, tag, file or index of the person.
///
/// # Errors
/// Says how the rule is broken.
pub async fn nothing_of_the_person_moves_before_landing(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let before = harness
        .belongings()
        .await
        .succeeds("looking at the person's things")?;
    let (mut session, candidate) = bench.sealed().await?;
    session
        .checkout(Checkout::Candidate)
        .await
        .succeeds("checking out")?;
    let approval = super::approve(&candidate)?;
    session
        .prepare(&approval)
        .await
        .succeeds("preparing the landing")?;
    let after = harness
        .belongings()
        .await
        .succeeds("looking at the person's things")?;
    same("what belongs to the person", &after, &before)
}

/// A patch that does not fit is an outcome with its reason, and the candidate is as before.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_patch_that_does_not_apply_changes_nothing(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let first = bench.submission(1, "app/b.txt", "theirs\n").await?;
    let clash = bench.submission(2, "app/b.txt", "ours\n").await?;
    let same_new_file = bench.submission(3, "new", "one\n").await?;
    let other_new_file = bench.submission(4, "new", "other\n").await?;
    bench.apply(&mut *session, &first).await?;
    bench.apply(&mut *session, &same_new_file).await?;
    let before = waiting(&*session)?;
    for submission in [clash, other_new_file] {
        let outcome = session.apply(&submission, &[]).await.succeeds("applying")?;
        let ApplyOutcome::DoesNotApply { detail } = outcome else {
            return Err(Violation::new(format!("it is answered with {outcome:?}")));
        };
        let path = if submission.claim.issue.as_str() == "SHOP-2" {
            "app/b.txt"
        } else {
            "new"
        };
        ensure(detail.contains(path), || {
            format!("`{detail}` does not name {path}")
        })?;
        same("the candidate", &waiting(&*session)?, &before)?;
    }
    Ok(())
}

/// A patch that would leave the tree, or put something into git's own folder, or a link, is refused.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_refused_patch_changes_nothing(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    const HELLO: &str = "e965047ad7c57865823c7d992b1d046ea66edf78";
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let first = bench.submission(1, "app/b.txt", "B\n").await?;
    bench.apply(&mut *session, &first).await?;
    let before = waiting(&*session)?;
    let nothing = "0".repeat(HELLO.len());
    for (path, mode) in [
        ("../outside", "100644"),
        ("/outside", "100644"),
        (".git/config", "100644"),
        ("sub/.GIT/hooks/x", "100755"),
        ("link", "120000"),
        ("module", "160000"),
        ("set-user-id", "104755"),
    ] {
        let diff = format!(
            "diff --git a/{path} b/{path}\nnew file mode {mode}\nindex {nothing}..{HELLO}\n--- /dev/null\n\
             +++ b/{path}\n@@ -0,0 +1 @@\n+Hello\n"
        );
        let submission = bench.submission_of(2, Patch::new(diff.into_bytes()));
        let outcome = session.apply(&submission, &[]).await.succeeds("applying")?;
        ensure(matches!(outcome, ApplyOutcome::Refused { .. }), || {
            format!("{path} with mode {mode} is answered with {outcome:?}")
        })?;
        same("the candidate", &waiting(&*session)?, &before)?;
    }
    let garbage = bench.submission_of(2, Patch::new(b"not a patch at all\n".to_vec()));
    let outcome = session.apply(&garbage, &[]).await.succeeds("applying")?;
    ensure(matches!(outcome, ApplyOutcome::Refused { .. }), || {
        format!("garbage is answered with {outcome:?}")
    })?;
    same("the candidate", &waiting(&*session)?, &before)
}

/// A patch that changes nothing makes no commit.
///
/// # Errors
/// Says how the rule is broken.
pub async fn work_that_is_there_already_is_empty(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let nothing = bench.submission_of(1, Patch::new(Vec::new()));
    let outcome = session.apply(&nothing, &[]).await.succeeds("applying")?;
    same("the outcome", &outcome, &ApplyOutcome::Empty)?;
    same("the candidate", &session.candidate(), &None)
}

/// The same work on the same base has the same id and commits, anything else another.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_id_is_of_the_content(harness: &dyn IntegratorHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let one = bench.submission(1, "app/a.txt", "A\n").await?;
    let other = bench.submission(2, "app/b.txt", "B\n").await?;
    bench.apply(&mut *session, &one).await?;
    bench.apply(&mut *session, &other).await?;
    let first = waiting(&*session)?;
    session.discard().await.succeeds("dropping the candidate")?;
    bench.apply(&mut *session, &one).await?;
    bench.apply(&mut *session, &other).await?;
    same("the same work", &waiting(&*session)?, &first)?;
    let in_order = |list: Vec<_>| {
        list.into_iter()
            .map(|s| (s, Vec::new()))
            .collect::<Vec<_>>()
    };
    let mut renamed = one.clone();
    renamed.message = "Do something else\n".to_owned();
    for changed in [
        in_order(vec![other.clone(), one.clone()]),
        in_order(vec![one.clone()]),
        in_order(vec![renamed, other]),
    ] {
        let left_out = session
            .rebuild(&bench.base, &changed)
            .await
            .succeeds("rebuilding")?;
        same("what was left out", &left_out.len(), &0)?;
        ensure(waiting(&*session)?.id() != first.id(), || {
            "another candidate has the same id".to_owned()
        })?;
    }
    Ok(())
}

/// On another base, what no longer fits is left out and named with its reason; nothing left is no candidate.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_rebuilt_candidate_leaves_out_what_no_longer_applies(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut session = bench.open().await?;
    let clash = bench.submission(1, "app/b.txt", "ours\n").await?;
    let fits = bench
        .submission(2, "app/a.txt", "a1\na2\na3\na4\nA5\n")
        .await?;
    bench.apply(&mut *session, &clash).await?;
    bench.apply(&mut *session, &fits).await?;
    let moved = with("app/b.txt", "somebody else's\n");
    let base = harness
        .commit(&moved)
        .await
        .succeeds("committing as the person")?;
    same(
        "the tip",
        &session.tip().await.succeeds("reading the tip")?,
        &base,
    )?;
    let both = [(clash.clone(), Vec::new()), (fits.clone(), Vec::new())];
    let left_out = session.rebuild(&base, &both).await.succeeds("rebuilding")?;
    let claims: Vec<_> = left_out.iter().map(|(claim, _)| claim).collect();
    same("what was left out", &claims, &vec![&clash.claim])?;
    ensure(
        matches!(left_out[0].1, ApplyOutcome::DoesNotApply { .. }),
        || format!("the reason is {:?}", left_out[0].1),
    )?;
    let candidate = waiting(&*session)?;
    same("the base", &candidate.base.commit, &base)?;
    let claims: Vec<_> = candidate
        .commits
        .iter()
        .map(|commit| &commit.claim)
        .collect();
    same("what is left", &claims, &vec![&fits.claim])?;
    session
        .rebuild(&base, &both[..1])
        .await
        .succeeds("rebuilding")?;
    same("the candidate of nothing", &session.candidate(), &None)
}

/// The directory for verification holds the wanted tree; what a former check left there is gone.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_checkout_holds_the_wanted_tree_and_nothing_else(
    harness: &dyn IntegratorHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut files = with("app/a.txt", "A\n");
    files.remove("app/b.txt");
    files.put_entry(
        "run.sh",
        FileEntry {
            content: b"#!/bin/sh\n".to_vec(),
            executable: true,
        },
    );
    let submission = bench.submission_of(1, bench.patch(&files).await?);
    let mut session = bench.open().await?;
    bench.apply(&mut *session, &submission).await?;
    for _ in 0..2 {
        for (which, expected) in [(Checkout::Candidate, &files), (Checkout::Base, &sample())] {
            let root = session.checkout(which).await.succeeds("checking out")?;
            let found = FileSet::read(&root).succeeds("reading the checkout")?;
            same(&format!("{which:?}"), &found, expected)?;
            // As a check may leave it.
            let junk = FileEntry {
                content: b"left by a check\n".to_vec(),
                executable: false,
            };
            for path in ["app/a.txt", "docs/readme.md", "left/deep/file", "left.log"] {
                write_file(&root.join(path), &junk).succeeds("writing into the checkout")?;
            }
        }
    }
    let tip = session.tip().await.succeeds("reading the tip")?;
    same("the target", &tip, &bench.base)
}
