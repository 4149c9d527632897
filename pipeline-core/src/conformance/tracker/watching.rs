//! The stream of changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::TrackerHarness;
use super::filed;
use super::moved;
use super::said;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::status::Transition;
use crate::tracker::ChangeMark;
use crate::tracker::Changes;
use crate::tracker::Tracker;

/// Without a mark the answer is the mark of now and no issue.
///
/// # Errors
/// A [`Violation`].
pub async fn the_first_mark_comes_with_nothing(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    filed(harness, "There already").await?;
    harness.settle().await;
    let first = changes(&*harness.tracker(), None).await?;
    same("the first set", &first.issues, &BTreeSet::new())?;
    same("whether it is complete", &first.complete, &true)
}

/// A comment, a move, an edit and a new issue each show as a change of their issue, whoever made them.
///
/// # Errors
/// A [`Violation`].
pub async fn whatever_happens_is_a_change(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Watched").await?;
    harness.settle().await;
    let mut mark = changes(&*tracker, None).await?.next;
    for what in 0..6 {
        let (what, key) = match what {
            0 => {
                said(harness, &key, "A plain comment.").await?;
                ("a person's comment", key.clone())
            }
            1 => {
                let posted = tracker.add_comment(&key, "Ours.").await;
                posted.succeeds("posting")?;
                ("our comment", key.clone())
            }
            2 => {
                let step = Transition::triaged();
                let moved = tracker.transition(&key, &step, None).await;
                moved.succeeds("moving the issue")?;
                ("our move", key.clone())
            }
            3 => {
                moved(harness, &key, &Status::InProgress).await?;
                ("a person's move", key.clone())
            }
            4 => {
                let edited = harness.edit_body_by_human(&key, "Another text.").await;
                edited.succeeds("editing the body as the person")?;
                ("an edit of the body", key.clone())
            }
            _ => ("a new issue", filed(harness, "Filed while watched").await?),
        };
        harness.settle().await;
        let found = changes(&*tracker, Some(&mark)).await?;
        same("whether the set is complete", &found.complete, &true)?;
        ensure(found.issues.contains(&key), || {
            format!("{what} on issue {key} is not reported as a change")
        })?;
        mark = found.next;
    }
    Ok(())
}

/// A mark that was used can be used again, as after a crash, and misses nothing then.
///
/// # Errors
/// A [`Violation`].
pub async fn a_mark_can_be_used_again(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Read twice").await?;
    harness.settle().await;
    let mark = changes(&*tracker, None).await?.next;
    said(harness, &key, "Once.").await?;
    harness.settle().await;
    for reading in ["first", "second"] {
        let found = changes(&*tracker, Some(&mark)).await?;
        ensure(found.complete && found.issues.contains(&key), || {
            format!("the {reading} reading from the same mark misses issue {key}")
        })?;
    }
    Ok(())
}

/// Of many writers at once, none is missed by a reader who goes from mark to mark meanwhile.
///
/// # Errors
/// A [`Violation`].
pub async fn no_change_is_lost_between_marks(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    const WRITERS: usize = 4;
    const EACH: usize = 4;
    let tracker = harness.tracker();
    // Every write has an issue of its own: one that is missed is missing for good.
    let mut keys = Vec::new();
    for i in 0..WRITERS * EACH {
        keys.push(filed(harness, &format!("Written to by somebody, {i}")).await?);
    }
    harness.settle().await;
    let mut mark = changes(&*tracker, None).await?.next;
    let mut seen = BTreeSet::new();
    let writers: Vec<_> = keys
        .chunks(EACH)
        .map(|own| {
            let (tracker, own) = (Arc::clone(&tracker), own.to_vec());
            tokio::spawn(async move {
                for key in own {
                    tracker.add_comment(&key, "Something new.").await?;
                }
                Ok::<_, crate::tracker::TrackerError>(())
            })
        })
        .collect();
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        if done {
            harness.settle().await;
        }
        let found = changes(&*tracker, Some(&mark)).await?;
        same("whether the set is complete", &found.complete, &true)?;
        seen.extend(found.issues);
        mark = found.next;
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        let wrote = writer.await.succeeds("running a writer")?;
        wrote.succeeds("posting while somebody watches")?;
    }
    let lost: Vec<&IssueKey> = keys.iter().filter(|k| !seen.contains(*k)).collect();
    ensure(lost.is_empty(), || {
        format!("the writes on {lost:?} were never reported")
    })
}

/// A mark the tracker never gave is refused or answered as incomplete, never with a set that claims to be all.
///
/// # Errors
/// A [`Violation`].
pub async fn a_foreign_mark_is_never_complete(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    filed(harness, "There").await?;
    harness.settle().await;
    let far = "9".repeat(40);
    for foreign in [
        "",
        " ",
        "nonsense",
        "-1",
        "１",
        "\u{0}",
        "{\"a\":",
        far.as_str(),
    ] {
        let mark = ChangeMark(foreign.to_owned());
        if let Ok(found) = tracker.changes(Some(&mark)).await {
            ensure(!found.value.complete, || {
                format!("the mark {foreign:?} is answered as if it were known")
            })?;
        }
    }
    Ok(())
}

async fn changes(tracker: &dyn Tracker, since: Option<&ChangeMark>) -> Result<Changes, Violation> {
    let reply = tracker
        .changes(since)
        .await
        .succeeds("reading the changes")?;
    Ok(reply.value)
}
