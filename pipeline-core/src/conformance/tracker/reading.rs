//! What lists, issues and threads hold, and in which order.

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
use crate::tracker::IssueQuery;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// A list holds every issue once, oldest first, however many pages it takes.
///
/// # Errors
/// A [`Violation`].
pub async fn issues_are_listed_once_oldest_first(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let mut made = Vec::new();
    for i in 0..many(harness) {
        made.push(filed(harness, &format!("Conformance {i}")).await?);
    }
    harness.settle().await;
    for query in [IssueQuery::in_status(Status::Open), IssueQuery::default()] {
        let mut listed = listed(&*harness.tracker(), &query).await?;
        listed.retain(|key| made.contains(key));
        same("the list of the filed issues", &listed, &made)?;
    }
    Ok(())
}

/// A list without a filter holds the issues of every status.
///
/// # Errors
/// A [`Violation`].
pub async fn an_empty_query_lists_every_status(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let mut made = Vec::new();
    for to in [None, Some(Status::SpecReview), Some(Status::InProgress)] {
        let key = filed(harness, "In any status").await?;
        if let Some(to) = to {
            moved(harness, &key, &to).await?;
        }
        made.push(key);
    }
    harness.settle().await;
    let mut listed = listed(&*harness.tracker(), &IssueQuery::default()).await?;
    listed.retain(|key| made.contains(key));
    same("the list of all issues", &listed, &made)
}

/// A list by status holds the issues in these statuses and no others.
///
/// # Errors
/// A [`Violation`].
pub async fn lists_hold_only_the_asked_statuses(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let open = filed(harness, "Stays open").await?;
    let review = filed(harness, "Goes to review").await?;
    let started = filed(harness, "Is started").await?;
    moved(harness, &review, &Status::SpecReview).await?;
    moved(harness, &started, &Status::InProgress).await?;
    harness.settle().await;
    let query = IssueQuery {
        statuses: vec![Status::Open, Status::InProgress],
        updated_since: None,
    };
    let tracker = harness.tracker();
    let reply = tracker.list_issues(&query).await;
    let listed = reply.succeeds("listing two statuses")?.value;
    if let Some(stranger) = listed.iter().find(|i| !query.statuses.contains(&i.status)) {
        return Err(Violation::new(format!(
            "issue {} is listed although it says it is in `{}`",
            stranger.key, stranger.status
        )));
    }
    for (key, expected) in [(&open, true), (&review, false), (&started, true)] {
        let found = listed.iter().any(|i| i.key == *key);
        same(&format!("whether issue {key} is listed"), &found, &expected)?;
    }
    Ok(())
}

/// A list of what changed since a time may hold more, but nothing is missing from it.
///
/// # Errors
/// A [`Violation`].
pub async fn lists_since_a_time_miss_nothing(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let old = filed(harness, "Filed before").await?;
    harness.settle().await;
    let before = tracker.me().await.succeeds("asking for the account")?.date;
    harness.settle().await;
    let new = filed(harness, "Filed after").await?;
    moved(harness, &old, &Status::SpecReview).await?;
    harness.settle().await;
    let query = IssueQuery {
        statuses: Vec::new(),
        updated_since: Some(before),
    };
    let listed = listed(&*tracker, &query).await?;
    for key in [&old, &new] {
        ensure(listed.contains(key), || {
            format!("issue {key} changed after {before} and is not in the list since then")
        })?;
    }
    Ok(())
}

/// A status the tracker does not have is an error that names it.
///
/// # Errors
/// A [`Violation`].
pub async fn an_unknown_status_is_named(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let name = "No such status 4711";
    let query = IssueQuery::in_status(Status::Other(name.to_owned()));
    match harness.tracker().list_issues(&query).await {
        Err(error @ TrackerError::UnknownStatus { .. }) => {
            ensure(error.to_string().contains(name), || {
                format!("the error does not name the status: {error}")
            })
        }
        Err(other) => Err(Violation::new(format!(
            "an unknown status is answered with: {other}"
        ))),
        Ok(_) => Err(Violation::new("an unknown status is answered with a list")),
    }
}

/// What a person files reads back as it was written.
///
/// # Errors
/// A [`Violation`].
pub async fn an_issue_reads_back_as_filed(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let title = "ログインに失敗する (500)";
    let body = "最初の行\n\n- 手順 1\n- 手順 2\n\nThe last line.";
    let key = harness.new_issue_by_human(title, body).await;
    let key = key.succeeds("filing an issue as the person")?;
    let human = harness.human().await.succeeds("asking who the person is")?;
    harness.settle().await;
    let issue = harness.tracker().issue(&key).await;
    let issue = issue.succeeds("reading the issue")?.value;
    same("its key", &issue.key, &key)?;
    same("its title", &issue.title.as_str(), &title)?;
    same("its body", &issue.body.as_str(), &body)?;
    same("its status", &issue.status, &Status::Open)?;
    if let Some(author) = issue.author {
        same("its author", &author.id, &human.id)?;
    }
    Ok(())
}

/// A thread holds every comment once, oldest first, with rising ids, however many pages it takes.
///
/// # Errors
/// A [`Violation`].
pub async fn threads_are_complete_and_oldest_first(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "A long thread").await?;
    let mut sent = Vec::new();
    for i in 0..many(harness) {
        let body = format!("Comment number {i}.");
        if i % 2 == 0 {
            said(harness, &key, &body).await?;
        } else {
            tracker.add_comment(&key, &body).await.succeeds("posting")?;
        }
        sent.push(body);
    }
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let bodies: Vec<_> = thread.iter().map(|c| c.body.clone()).collect();
    same("the thread", &bodies, &sent)?;
    let rising = thread.is_sorted_by(|a, b| a.id < b.id);
    ensure(rising, || "the ids of the thread do not rise".to_owned())
}

/// A comment that a person edited shows its new text, and a deleted one is gone.
///
/// # Errors
/// A [`Violation`].
pub async fn edited_and_deleted_comments_show(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Somebody tidies up").await?;
    let mut ids = Vec::new();
    for body in ["The first.", "The second.", "The third."] {
        let posted = tracker.add_comment(&key, body).await.succeeds("posting")?;
        ids.push(posted.value.id);
    }
    let [_, second, third] = ids.as_slice() else {
        return Err(Violation::new("three posts did not give three ids"));
    };
    let edited = harness.edit_comment_by_human(&key, *second, "Rewritten.");
    edited.await.succeeds("editing a comment as the person")?;
    let deleted = harness.delete_comment_by_human(&key, *third).await;
    deleted.succeeds("deleting a comment as the person")?;
    let next = tracker.add_comment(&key, "The fourth.").await;
    let next = next.succeeds("posting after a deletion")?.value.id;
    ensure(next > *third, || {
        format!("comment {next} was posted after {third}, which was deleted")
    })?;
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let bodies: Vec<_> = thread.iter().map(|c| c.body.as_str()).collect();
    same(
        "the thread",
        &bodies,
        &vec!["The first.", "Rewritten.", "The fourth."],
    )
}

/// What does not exist is `NotFound`, in words that name it.
///
/// # Errors
/// A [`Violation`].
pub async fn what_is_missing_is_not_found_and_named(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = harness.missing_issue();
    let step = Transition::triaged();
    let mut answers = vec![
        ("issue", tracker.issue(&key).await.map(drop)),
        ("comments", tracker.comments(&key).await.map(drop)),
        ("history", tracker.history(&key).await.map(drop)),
        (
            "add_comment",
            tracker.add_comment(&key, "x").await.map(drop),
        ),
        (
            "transition",
            tracker.transition(&key, &step, None).await.map(drop),
        ),
    ];
    if tracker.capabilities().attachments {
        let attached = tracker.attach(&key, "a.txt", b"a").await.map(drop);
        answers.push(("attach", attached));
    }
    for (call, answer) in answers {
        match answer {
            Err(error @ TrackerError::NotFound { .. }) => {
                ensure(error.to_string().contains(key.as_str()), || {
                    format!("{call} does not name {key}: {error}")
                })?;
            }
            Err(other) => {
                return Err(Violation::new(format!(
                    "{call} on a missing issue is answered with: {other}"
                )));
            }
            Ok(()) => {
                return Err(Violation::new(format!(
                    "{call} on a missing issue succeeds"
                )));
            }
        }
    }
    Ok(())
}

/// Replies carry the server's time, which does not run backwards from one reply to the next.
///
/// # Errors
/// A [`Violation`].
pub async fn dates_never_run_backwards(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Time passes").await?;
    let query = IssueQuery::in_status(Status::Open);
    let step = Transition::triaged();
    let dates = [
        tracker.me().await.succeeds("me")?.date,
        tracker
            .list_issues(&query)
            .await
            .succeeds("list_issues")?
            .date,
        tracker.issue(&key).await.succeeds("issue")?.date,
        tracker
            .add_comment(&key, "x")
            .await
            .succeeds("add_comment")?
            .date,
        tracker.comments(&key).await.succeeds("comments")?.date,
        tracker
            .transition(&key, &step, None)
            .await
            .succeeds("transition")?
            .date,
        tracker.history(&key).await.succeeds("history")?.date,
        tracker.changes(None).await.succeeds("changes")?.date,
        tracker.me().await.succeeds("me")?.date,
    ];
    ensure(dates.is_sorted(), || format!("the dates are {dates:?}"))
}

async fn listed(tracker: &dyn Tracker, query: &IssueQuery) -> Result<Vec<IssueKey>, Violation> {
    let reply = tracker
        .list_issues(query)
        .await
        .succeeds("listing issues")?;
    Ok(reply.value.into_iter().map(|issue| issue.key).collect())
}
