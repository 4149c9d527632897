use super::*;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;

fn world() -> (Arc<ScriptedClock>, MemoryTracker, IssueKey) {
    let clock = Arc::new(ScriptedClock::new(Timestamp::from_millis(
        1_800_000_000_000,
    )));
    let tracker = MemoryTracker::new().with_clock(Arc::clone(&clock) as _);
    let key = tracker.as_person("ann").new_issue("x", "").unwrap();
    (clock, tracker, key)
}

fn around(tracker: &MemoryTracker, faults: Faults, seed: u64) -> FaultyTracker {
    FaultyTracker::new(Arc::new(tracker.clone()), faults, seed, 0)
}

#[tokio::test]
async fn a_lost_answer_has_landed_and_a_lost_write_has_not() {
    let (_, tracker, key) = world();
    let lost_answers = Faults {
        lost_answers: 1000,
        ..Faults::default()
    };
    let said = around(&tracker, lost_answers, 1)
        .add_comment(&key, "a")
        .await;
    assert!(matches!(said, Err(TrackerError::OutcomeUnknown { .. })));
    assert_eq!(tracker.comments(&key).await.unwrap().value.len(), 1);
    let lost_writes = Faults {
        lost_writes: 1000,
        ..Faults::default()
    };
    let said = around(&tracker, lost_writes, 1)
        .add_comment(&key, "b")
        .await;
    assert!(matches!(said, Err(TrackerError::OutcomeUnknown { .. })));
    assert_eq!(tracker.comments(&key).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn a_late_write_lands_at_some_later_reading() {
    let (_, tracker, key) = world();
    let faults = Faults {
        late_writes: 1000,
        ..Faults::default()
    };
    let faulty = around(&tracker, faults, 1);
    faulty.add_comment(&key, "a").await.unwrap_err();
    assert_eq!(tracker.comments(&key).await.unwrap().value.len(), 0);
    let mut landed = 0;
    for _ in 0..64 {
        landed = faulty.comments(&key).await.unwrap().value.len();
    }
    assert_eq!(landed, 1);
}

#[tokio::test]
async fn a_comment_is_invisible_for_its_lag_and_then_a_change() {
    let (clock, tracker, key) = world();
    let faults = Faults {
        lag: Duration::from_secs(30),
        ..Faults::default()
    };
    let faulty = around(&tracker, faults, 7);
    let mark = faulty.changes(None).await.unwrap().value.next;
    let id = faulty.add_comment(&key, "a").await.unwrap().value.id;
    assert!(faulty.lag_of(id) > Duration::ZERO, "choose another seed");
    assert_eq!(faulty.comments(&key).await.unwrap().value.len(), 0);
    let mark = faulty.changes(Some(&mark)).await.unwrap().value.next;
    clock.advance(Duration::from_secs(30));
    assert_eq!(faulty.comments(&key).await.unwrap().value.len(), 1);
    let news = faulty.changes(Some(&mark)).await.unwrap().value.issues;
    assert!(news.contains(&key));
}

#[tokio::test]
async fn what_befalls_a_comment_is_the_same_for_every_reader_with_the_seed() {
    let (clock, tracker, key) = world();
    let faults = Faults {
        deleted: 300,
        edited: 300,
        back_dated: 300,
        future_dated: 300,
        shuffled: 1000,
        ..Faults::default()
    };
    for n in 0..40 {
        tracker.add_comment(&key, &n.to_string()).await.unwrap();
    }
    clock.advance(Duration::from_secs(3600));
    let sorted = |mut c: Vec<Comment>| {
        c.sort_by_key(|c| c.id);
        c.dedup();
        c
    };
    let one = FaultyTracker::new(Arc::new(tracker.clone()), faults, 3, 1);
    let other = FaultyTracker::new(Arc::new(tracker.clone()), faults, 3, 2);
    let raw = one.comments(&key).await.unwrap().value;
    assert_ne!(raw, sorted(raw.clone()), "rows are out of order");
    let seen = sorted(raw);
    assert_eq!(seen, sorted(other.comments(&key).await.unwrap().value));
    assert!(seen.len() < 40, "some were deleted");
    assert!(seen.iter().any(|c| c.body.ends_with("(edited)")));
    let real = tracker.comments(&key).await.unwrap().value;
    let off = |c: &&Comment| real.iter().any(|r| r.id == c.id && r.created != c.created);
    assert!(seen.iter().any(|c| off(&c)));
}
