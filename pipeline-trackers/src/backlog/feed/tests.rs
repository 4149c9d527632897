use proptest::prelude::*;
use serde_json::json;

use super::*;

const PROJECT: &str = "PROJ";
const D: Duration = Duration::from_secs(30);

fn activity(id: u64, key_id: u64, at: i64) -> Activity {
    let created = Timestamp::from_millis(at * 1000).to_string();
    serde_json::from_value(json!({
        "id": id, "type": 3, "content": {"key_id": key_id, "comment": {"id": id * 10}, "changes": []},
        "created": created,
    }))
    .unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn key(key_id: u64) -> IssueKey {
    IssueKey::new(format!("{PROJECT}-{key_id}")).unwrap()
}

/// Reads a feed as the adapter does: newest first, page by page, back to `upto` and past the time of lag.
fn read(
    feed: &[Activity],
    upto: Option<u64>,
    visible: Timestamp,
    count: usize,
    inclusive: bool,
) -> Reading {
    let mut reading = Reading::default();
    loop {
        let below = |a: &&Activity| match reading.lowest() {
            None => true,
            Some(lowest) if inclusive => a.id <= lowest,
            Some(lowest) => a.id < lowest,
        };
        let page: Vec<_> = feed
            .iter()
            .rev()
            .filter(below)
            .take(count)
            .cloned()
            .collect();
        let full = page.len() == count;
        assert!(reading.take(page, full), "the feed does not go on");
        let back = match upto {
            Some(upto) => reading.reaches(upto),
            None => reading.reaches_before(visible),
        };
        if back {
            return reading;
        }
    }
}

fn poll(feed: &[Activity], mark: Option<&ChangeMark>, now: i64, inclusive: bool) -> Changes {
    let mark = mark.map(|m| Mark::parse(m, PROJECT).unwrap());
    let visible = at(now).minus(D);
    let reading = read(feed, mark.as_ref().map(|m| m.upto), visible, 3, inclusive);
    reading.changes(mark.as_ref(), PROJECT, at(now), D)
}

#[test]
fn the_first_mark_comes_with_nothing_and_the_next_with_what_is_new() {
    let mut feed: Vec<_> = (1..=10).map(|id| activity(id, id, 0)).collect();
    let first = poll(&feed, None, 100, true);
    assert_eq!((first.issues, first.complete), (BTreeSet::new(), true));
    assert_eq!(first.next.0, "PROJ:10");
    feed.push(activity(15, 4, 100));
    let second = poll(&feed, Some(&first.next), 101, true);
    assert_eq!(second.issues, BTreeSet::from([key(4)]));
    // Too new to be done with, and not told twice.
    assert_eq!(second.next.0, "PROJ:10+15");
    let third = poll(&feed, Some(&second.next), 102, true);
    assert_eq!(third.issues, BTreeSet::new());
    let fourth = poll(&feed, Some(&third.next), 200, true);
    assert_eq!(
        (fourth.issues, fourth.next.0.as_str()),
        (BTreeSet::new(), "PROJ:15")
    );
}

#[test]
fn an_activity_that_shows_late_under_a_lower_id_is_not_lost() {
    let mut feed = vec![activity(10, 1, 0)];
    let first = poll(&feed, None, 60, true);
    feed.push(activity(12, 2, 100));
    let second = poll(&feed, Some(&first.next), 101, true);
    assert_eq!(second.issues, BTreeSet::from([key(2)]));
    feed.insert(1, activity(11, 3, 99));
    let third = poll(&feed, Some(&second.next), 110, true);
    assert_eq!(third.issues, BTreeSet::from([key(3)]));
}

#[test]
fn a_feed_that_does_not_hold_the_mark_is_incomplete() {
    let feed = vec![activity(10, 1, 0), activity(12, 2, 0)];
    for foreign in ["PROJ:5", "PROJ:13", "PROJ:999999"] {
        let changes = poll(&feed, Some(&ChangeMark(foreign.to_owned())), 100, true);
        assert!(!changes.complete, "{foreign}");
        assert_eq!(changes.next.0, "PROJ:12", "{foreign}");
    }
    assert!(poll(&feed, Some(&ChangeMark("PROJ:10".to_owned())), 100, true).complete);
    assert!(poll(&feed, Some(&ChangeMark("PROJ:0".to_owned())), 100, true).complete);
    assert!(poll(&[], Some(&ChangeMark("PROJ:0".to_owned())), 100, true).complete);
}

#[test]
fn marks_of_others_are_none() {
    for foreign in [
        "",
        "PROJ",
        "PROJ:",
        "PROJ:-1",
        "PROJ:１",
        "OTHER:5",
        "PROJX:5",
        "PROJ:5+",
        "PROJ:5+4",
        "PROJ:5+x",
        "12-ab",
        "PROJ:99999999999999999999999",
    ] {
        assert_eq!(
            Mark::parse(&ChangeMark(foreign.to_owned()), PROJECT),
            None,
            "{foreign}"
        );
    }
}

proptest! {
    #[test]
    fn marks_round_trip(upto in any::<u64>(), seen in prop::collection::btree_set(any::<u64>(), 0..5)) {
        let seen = seen.into_iter().filter(|id| *id > upto).collect();
        let mark = Mark { project: PROJECT.to_owned(), upto, seen };
        prop_assert_eq!(Mark::parse(&mark.render(), PROJECT), Some(mark));
    }

    #[test]
    fn no_mark_makes_it_panic(mark in any::<String>()) {
        let _parsed = Mark::parse(&ChangeMark(mark), PROJECT);
    }

    /// Whatever shows in whatever order within the time of lag, is reported, and reported once.
    #[test]
    fn every_activity_is_reported_once(
        steps in prop::collection::vec((1i64..20, 0i64..25, any::<bool>()), 1..60),
        inclusive in any::<bool>(),
    ) {
        let mut all: Vec<(i64, Activity)> = Vec::new();
        let mut now = 100;
        let mut mark = poll(&[], None, now, inclusive).next;
        let mut reported: Vec<IssueKey> = Vec::new();
        let mut look = |all: &[(i64, Activity)], now: i64| {
            let visible: Vec<_> = all.iter().filter(|(from, _)| *from <= now).map(|(_, a)| a.clone()).collect();
            let changes = poll(&visible, Some(&mark), now, inclusive);
            assert!(changes.complete);
            mark = changes.next;
            reported.extend(changes.issues);
        };
        for (step, lag, poll_now) in steps {
            now += step;
            let id = all.len() as u64 + 1;
            all.push((now + lag, activity(id, id, now)));
            if poll_now {
                look(&all, now);
            }
        }
        look(&all, now + 60);
        look(&all, now + 120);
        let expected: Vec<_> = (1..=all.len() as u64).map(key).collect();
        reported.sort_by_key(|k| expected.iter().position(|e| e == k));
        prop_assert_eq!(reported, expected);
    }
}
