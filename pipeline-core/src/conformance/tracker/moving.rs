//! Moves and the history they leave.

use super::MARKER;
use super::TrackerHarness;
use super::filed;
use super::many;
use super::moved;
use super::said;
use super::written;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::status::Transition;
use crate::tracker::StatusEvent;
use crate::tracker::StatusEventKind;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// A move from a status the issue is not in is `StatusChanged`; nothing is moved and nothing is posted.
///
/// # Errors
/// A [`Violation`].
pub async fn a_move_from_elsewhere_changes_nothing(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Somebody was faster").await?;
    moved(harness, &key, &Status::InProgress).await?;
    harness.settle().await;
    let before = history(&*tracker, &key).await?;
    let memo = tracker
        .capabilities()
        .comment_with_transition
        .then_some(MARKER);
    match tracker.transition(&key, &Transition::triaged(), memo).await {
        Err(TrackerError::StatusChanged {
            issue,
            expected,
            found,
        }) => {
            same("the issue in the error", &issue, &key)?;
            same("the expected status", &expected, &Status::Open)?;
            same("the found status", &found, &Status::InProgress)?;
        }
        Err(other) => {
            return Err(Violation::new(format!(
                "the move is answered with: {other}"
            )));
        }
        Ok(_) => return Err(Violation::new("the move was made")),
    }
    harness.settle().await;
    let issue = tracker
        .issue(&key)
        .await
        .succeeds("reading the issue")?
        .value;
    same("the status", &issue.status, &Status::InProgress)?;
    same("the history", &history(&*tracker, &key).await?, &before)?;
    let thread = written(&*tracker, &key).await?;
    same("the number of comments", &thread.len(), &0)
}

/// A permitted move changes the status and leaves one event with our account.
///
/// # Errors
/// A [`Violation`].
pub async fn a_move_is_made_and_recorded_once(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Triaged").await?;
    let step = Transition::triaged();
    let reply = tracker.transition(&key, &step, None).await;
    let comment = reply.succeeds("moving the issue")?.value;
    ensure(comment.is_none(), || {
        "a move without memo returned a comment".to_owned()
    })?;
    harness.settle().await;
    let issue = tracker
        .issue(&key)
        .await
        .succeeds("reading the issue")?
        .value;
    same("the status", &issue.status, &Status::SpecReview)?;
    let me = tracker.me().await.succeeds("asking for the account")?.value;
    let history = history(&*tracker, &key).await?;
    let into: Vec<_> = history
        .iter()
        .filter(|e| e.to == Status::SpecReview)
        .collect();
    let [event] = into.as_slice() else {
        return Err(Violation::new(format!(
            "the history has {} moves into the status instead of one",
            into.len()
        )));
    };
    same(
        "its actor",
        &event.actor.as_ref().map(|a| &a.id),
        &Some(&me.id),
    )?;
    same("its kind", &event.kind, &StatusEventKind::Move)?;
    if let Some(from) = &event.from {
        same("where it began", from, &Status::Open)?;
    }
    Ok(())
}

/// A memo sent with a move is posted with it, where that is declared; otherwise it is `Unsupported` and nothing moves.
///
/// # Errors
/// A [`Violation`].
pub async fn a_move_may_carry_its_memo(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Triaged with a memo").await?;
    let memo = tracker
        .dialect()
        .neutralise(&format!("{MARKER}\nAll clear."));
    let reply = tracker
        .transition(&key, &Transition::triaged(), Some(&memo))
        .await;
    harness.settle().await;
    let issue = tracker
        .issue(&key)
        .await
        .succeeds("reading the issue")?
        .value;
    let thread = written(&*tracker, &key).await?;
    if !tracker.capabilities().comment_with_transition {
        let refused = matches!(reply, Err(TrackerError::Unsupported { .. }));
        ensure(refused, || {
            "a memo with a move is not declared and not answered with `Unsupported`".to_owned()
        })?;
        same("the status", &issue.status, &Status::Open)?;
        return same("the number of comments", &thread.len(), &0);
    }
    let Some(comment) = reply.succeeds("moving with a memo")?.value else {
        return Err(Violation::new("the move did not return its memo"));
    };
    same("the status", &issue.status, &Status::SpecReview)?;
    same("the returned body", &comment.body, &memo)?;
    let read: Vec<_> = thread.iter().map(|c| (c.id, &c.body)).collect();
    same("the thread", &read, &vec![(comment.id, &memo)])
}

/// A person's move carries that person and never us: it is what the start gate believes.
///
/// # Errors
/// A [`Violation`].
pub async fn a_persons_move_is_that_persons(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let human = harness.human().await.succeeds("asking who the person is")?;
    let key = filed(harness, "Started by a person").await?;
    let step = Transition::triaged();
    tracker
        .transition(&key, &step, None)
        .await
        .succeeds("moving the issue")?;
    moved(harness, &key, &Status::InProgress).await?;
    harness.settle().await;
    let history = history(&*tracker, &key).await?;
    let Some(event) = history.last() else {
        return Err(Violation::new("the history is empty"));
    };
    same("the last move", &event.to, &Status::InProgress)?;
    same("its kind", &event.kind, &StatusEventKind::Move)?;
    same(
        "its actor",
        &event.actor.as_ref().map(|a| &a.id),
        &Some(&human.id),
    )
}

/// A history holds every move once, oldest first, with rising ids, however many pages it takes.
///
/// # Errors
/// A [`Violation`].
pub async fn history_is_complete_and_oldest_first(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Back and forth").await?;
    let mut made = Vec::new();
    for i in 0..many(harness) {
        let to = [Status::SpecReview, Status::InProgress, Status::Open]
            .into_iter()
            .nth(i % 3);
        let to = to.unwrap_or(Status::Open);
        moved(harness, &key, &to).await?;
        made.push(to);
    }
    harness.settle().await;
    let history = history(&*tracker, &key).await?;
    let rising = history.is_sorted_by(|a, b| a.id < b.id);
    ensure(rising, || "the ids of the history do not rise".to_owned())?;
    // Some trackers begin a history with the creation.
    let found: Vec<_> = history.iter().map(|e| e.to.clone()).collect();
    let tail = found.len().saturating_sub(made.len());
    let found = found.get(tail..).unwrap_or_default();
    same("the moves", &found, &made.as_slice())?;
    for pair in history.windows(2) {
        if let [earlier, later] = pair
            && let Some(from) = &later.from
        {
            same("where a move began", from, &earlier.to)?;
        }
    }
    Ok(())
}

/// An event names the newest comment that was there before it, and none that came after.
///
/// # Errors
/// A [`Violation`].
pub async fn events_know_the_comment_before_them(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Talk, move, talk").await?;
    moved(harness, &key, &Status::SpecReview).await?;
    harness.settle().await;
    let first = said(harness, &key, "Before the start.").await?;
    harness.settle().await;
    moved(harness, &key, &Status::InProgress).await?;
    harness.settle().await;
    let second = said(harness, &key, "After the start.").await?;
    harness.settle().await;
    moved(harness, &key, &Status::Open).await?;
    harness.settle().await;
    let history = history(&*tracker, &key).await?;
    for (to, expected) in [
        (Status::SpecReview, None),
        (Status::InProgress, Some(first)),
        (Status::Open, Some(second)),
    ] {
        let event = history.iter().rfind(|e| e.to == to);
        let Some(event) = event else {
            return Err(Violation::new(format!(
                "the move to `{to}` is not in the history"
            )));
        };
        // Where a move is itself a record of the thread, an earlier move may stand here instead of nothing.
        let found = event.after_comment.filter(|_| expected.is_some());
        same(
            &format!("the comment before the move to `{to}`"),
            &found,
            &expected,
        )?;
        let ahead = event
            .after_comment
            .is_some_and(|c| expected.is_none() && c >= first);
        ensure(!ahead, || {
            format!("the move to `{to}` names a comment that came later")
        })?;
    }
    Ok(())
}

async fn history(tracker: &dyn Tracker, key: &IssueKey) -> Result<Vec<StatusEvent>, Violation> {
    let reply = tracker.history(key).await.succeeds("reading the history")?;
    Ok(reply.value)
}
