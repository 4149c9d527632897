use std::collections::BTreeSet;

use super::*;
use crate::clock::Timestamp;
use crate::memory::ScriptedClock;
use crate::status::Transition;
use crate::tracker::Tracker as _;

const D: Duration = Duration::from_secs(30);

fn at(clock: &Arc<ScriptedClock>) -> MemoryTracker {
    let clock: Arc<dyn Clock> = Arc::<ScriptedClock>::clone(clock);
    MemoryTracker::new().with_clock(clock)
}

#[tokio::test]
async fn a_lagging_comment_shows_late_in_its_place_and_no_mark_runs_past_it() {
    let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
    let tracker = at(&clock).with_settle(D);
    let alice = tracker.as_person("alice");
    let late = alice.new_issue("late", "").unwrap();
    let soon = alice.new_issue("soon", "").unwrap();
    let mark = tracker.changes(None).await.unwrap().value.next;

    tracker.set_lag(D);
    let hidden = tracker.add_comment(&late, "first").await.unwrap().value;
    tracker.set_lag(Duration::ZERO);
    let shown = tracker.add_comment(&soon, "second").await.unwrap().value;
    assert!(hidden.id < shown.id);
    assert!(tracker.comments(&late).await.unwrap().value.is_empty());
    let before = tracker.changes(Some(&mark)).await.unwrap().value;
    assert_eq!(before.issues, BTreeSet::from([soon.clone()]));

    clock.advance(D);
    assert_eq!(tracker.comments(&late).await.unwrap().value, [hidden]);
    let after = tracker.changes(Some(&before.next)).await.unwrap().value;
    assert!(after.complete);
    assert!(after.issues.contains(&late));
    let end = tracker.changes(Some(&after.next)).await.unwrap().value;
    assert!(end.issues.is_empty());
}

#[tokio::test]
async fn a_lost_answer_hides_whether_the_write_landed() {
    let tracker = MemoryTracker::new();
    let key = tracker.as_person("alice").new_issue("x", "").unwrap();
    tracker.fail_next_write(WriteFault::Lost);
    tracker.fail_next_write(WriteFault::Landed);
    for body in ["lost", "landed"] {
        let error = tracker.add_comment(&key, body).await.unwrap_err();
        assert!(matches!(error, TrackerError::OutcomeUnknown { .. }));
    }
    let thread = tracker.comments(&key).await.unwrap().value;
    let bodies: Vec<_> = thread.iter().map(|c| c.body.as_str()).collect();
    assert_eq!(bodies, ["landed"]);
}

#[tokio::test]
async fn a_memo_stands_right_before_the_move_it_came_with() {
    let tracker = MemoryTracker::new();
    let key = tracker.as_person("alice").new_issue("x", "").unwrap();
    let memo = tracker
        .transition(&key, &Transition::triaged(), Some("permit"))
        .await
        .unwrap()
        .value
        .expect("a memo was sent");
    let history = tracker.history(&key).await.unwrap().value;
    assert_eq!(history[0].after_comment, Some(memo.id));
    assert!(history[0].id.0 > memo.id.0);
}

#[tokio::test]
async fn an_unreachable_tracker_answers_nothing_and_writes_nothing() {
    let tracker = MemoryTracker::new();
    let key = tracker.as_person("alice").new_issue("x", "").unwrap();
    tracker.set_reachable(false);
    let error = tracker.add_comment(&key, "x").await.unwrap_err();
    assert!(error.is_transient());
    assert!(tracker.me().await.is_err());
    tracker.set_reachable(true);
    assert!(tracker.comments(&key).await.unwrap().value.is_empty());
}

#[tokio::test]
async fn an_event_without_an_actor_moves_the_issue_all_the_same() {
    let tracker = MemoryTracker::new();
    let key = tracker.as_person("alice").new_issue("x", "").unwrap();
    let event = tracker
        .record_event(&key, &Status::InProgress, None, StatusEventKind::SideEffect)
        .unwrap();
    assert_eq!(event.from, Some(Status::Open));
    let issue = tracker.issue(&key).await.unwrap().value;
    assert_eq!(issue.status, Status::InProgress);
}

#[tokio::test]
async fn writes_are_told_apart_by_actor() {
    let tracker = MemoryTracker::new();
    let alice = tracker.as_person("alice");
    let key = alice.new_issue("x", "").unwrap();
    tracker.add_comment(&key, "ours").await.unwrap();
    let me = tracker.me().await.unwrap().value;
    assert_eq!(tracker.writes_by(&me).len(), 1);
    assert_eq!(
        tracker.writes_by(alice.account())[0].effect,
        WriteEffect::Created
    );
}

#[tokio::test]
async fn a_deleted_issue_and_a_deleted_comment_are_gone_and_their_ids_stay_used() {
    let tracker = MemoryTracker::new();
    let alice = tracker.as_person("alice");
    let key = alice.new_issue("x", "").unwrap();
    let first = alice.comment(&key, "a").unwrap();
    alice.delete_comment(&key, first.id).unwrap();
    assert!(alice.comment(&key, "b").unwrap().id > first.id);
    alice.delete_issue(&key).unwrap();
    assert!(tracker.issue(&key).await.is_err());
    assert_ne!(alice.new_issue("y", "").unwrap(), key);
}
