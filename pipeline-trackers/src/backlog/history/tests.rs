use serde_json::Value;
use serde_json::json;

use super::super::feed::Evidences;
use super::super::feed::Reading;
use super::super::statuses::BacklogStatuses;
use super::super::wire;
use super::*;

const OPEN: u64 = 1;
const REVIEW: u64 = 77;
const DOING: u64 = 2;

fn statuses() -> Resolved {
    let found = [
        (OPEN, "Open"),
        (REVIEW, "Review"),
        (DOING, "Doing"),
        (4, "Closed"),
    ];
    let found = found.map(|(id, name)| wire::Status {
        id,
        name: name.to_owned(),
    });
    Resolved::new(&BacklogStatuses::new("Open", "Review", "Doing"), &found)
}

fn record(id: u64, actor: u64, said: &str, changes: impl Into<Value>) -> Comment {
    let changes = changes.into();
    serde_json::from_value(json!({
        "id": id, "content": said, "changeLog": changes, "createdUser": {"id": actor, "name": "x"},
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

fn moved(from: &str, to: &str) -> Value {
    json!([{"field": "status", "newValue": to, "originalValue": from, "attributeInfo": null}])
}

fn told(id: u64, kind: u64, actor: u64, content: impl Into<Value>) -> wire::Activity {
    let content = content.into();
    serde_json::from_value(json!({
        "id": id, "type": kind, "content": content, "createdUser": {"id": actor, "name": "x"},
        "created": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

fn change(from: u64, to: u64) -> Value {
    json!([{"field": "status", "new_value": to.to_string(), "old_value": from.to_string(), "type": "standard"}])
}

fn update(id: u64, record: u64, actor: u64, from: u64, to: u64) -> wire::Activity {
    let content = json!({"key_id": 3, "comment": {"id": record}, "changes": change(from, to)});
    told(id, 2, actor, content)
}

fn bulk(id: u64, record: Option<u64>, actor: u64, to: u64) -> wire::Activity {
    let content = json!({
        "tx_id": 1, "comment": {"content": ""},
        "link": [{"key_id": 9, "comment": {"id": 900 + id}}, {"key_id": 3, "comment": record.map(|id| json!({"id": id}))}],
        "changes": [{"field": "status", "new_value": to.to_string(), "type": "standard"}],
    });
    told(id, 14, actor, content)
}

fn told_of(thread: &[Comment], feed: Vec<wire::Activity>) -> Vec<StatusEvent> {
    let mut reading = Reading::default();
    reading.take(feed, false);
    let mut evidences = Evidences::default();
    evidences.take(&reading);
    history(thread, &evidences.of(3), &statuses())
}

fn last(thread: &[Comment], feed: Vec<wire::Activity>) -> StatusEvent {
    told_of(thread, feed).pop().unwrap()
}

#[test]
fn a_move_is_joined_with_its_activity() {
    let thread = [
        record(10, 7, "Hello.", json!([])),
        record(11, 7, "", moved("Review", "Doing")),
    ];
    let event = last(&thread, vec![update(1, 11, 7, REVIEW, DOING)]);
    assert_eq!(event.id, EventId(11));
    assert_eq!(event.actor.map(|a| a.id), Some("7".to_owned()));
    assert_eq!(
        (event.from, event.to),
        (Some(Status::SpecReview), Status::InProgress)
    );
    assert_eq!(event.kind, StatusEventKind::Move);
    assert_eq!(event.after_comment, Some(CommentId(10)));
}

#[test]
fn a_comment_sent_with_the_move_stands_before_it() {
    let thread = [record(11, 7, "Go.", moved("Review", "Doing"))];
    let event = last(&thread, vec![update(1, 11, 7, REVIEW, DOING)]);
    assert_eq!(event.after_comment, Some(CommentId(11)));
}

#[test]
fn a_record_the_feed_does_not_confirm_is_ambiguous() {
    let thread = [record(11, 7, "", moved("Review", "Doing"))];
    for feed in [
        vec![],
        // Another record, another actor, another status, no status at all, two of them.
        vec![update(1, 12, 7, REVIEW, DOING)],
        vec![update(1, 11, 8, REVIEW, DOING)],
        vec![update(1, 11, 7, REVIEW, OPEN)],
        vec![told(
            1,
            2,
            7,
            json!({"key_id": 3, "comment": {"id": 11}, "changes": []}),
        )],
        vec![told(
            1,
            2,
            7,
            json!({"key_id": 3, "comment": {"id": 11}, "changes": [change(1, DOING)[0], change(1, OPEN)[0]]}),
        )],
        // The same record, of another issue.
        vec![told(
            1,
            2,
            7,
            json!({"key_id": 4, "comment": {"id": 11}, "changes": change(REVIEW, DOING)}),
        )],
    ] {
        let shown = format!("{feed:?}");
        assert_eq!(
            last(&thread, feed).kind,
            StatusEventKind::Ambiguous,
            "{shown}"
        );
    }
}

#[test]
fn a_custom_field_called_status_is_no_move() {
    let changes = json!([{"field": "status", "newValue": "Doing", "originalValue": "", "attributeInfo": {"id": 5, "typeId": "1"}}]);
    let thread = [record(11, 7, "", changes)];
    assert_eq!(told_of(&thread, vec![update(1, 11, 7, REVIEW, DOING)]), []);
}

#[test]
fn a_status_renamed_since_is_told_by_its_id() {
    let thread = [record(11, 7, "", moved("Prüfung", "In Arbeit"))];
    let event = last(&thread, vec![update(1, 11, 7, REVIEW, DOING)]);
    assert_eq!(
        (event.to, event.kind),
        (Status::InProgress, StatusEventKind::Move)
    );
    // Without the id it is nothing we know.
    let event = last(&thread, vec![]);
    assert_eq!(event.to, Status::Other("In Arbeit".to_owned()));
}

#[test]
fn a_bulk_update_counts_with_the_record_of_its_issue_only() {
    let thread = [record(11, 7, "", moved("Review", "Doing"))];
    assert_eq!(
        last(&thread, vec![bulk(1, Some(11), 7, DOING)]).kind,
        StatusEventKind::Move
    );
    // Approved once, then moved out and in by strokes that left no record: the approval is no longer what it was.
    let feed = vec![
        update(1, 11, 7, REVIEW, DOING),
        bulk(2, None, 7, OPEN),
        bulk(3, None, 7, DOING),
    ];
    assert_eq!(last(&thread, feed).kind, StatusEventKind::SideEffect);
}

#[test]
fn a_deleted_status_never_counts() {
    let content = |record: Option<u64>| {
        json!({
            "deletedStatus": {"name": "Waiting"},
            "link": [{"key_id": 3, "comment": record.map(|id| json!({"id": id}))}],
            "change": {"field": "status", "new_value": DOING.to_string(), "type": "standard"},
        })
    };
    let thread = [record(11, 7, "", moved("Waiting", "Doing"))];
    let event = last(&thread, vec![told(1, 34, 7, content(Some(11)))]);
    assert_eq!(event.kind, StatusEventKind::SideEffect);
    let feed = vec![
        update(1, 11, 7, REVIEW, DOING),
        told(2, 34, 1, content(None)),
    ];
    assert_eq!(last(&thread, feed).kind, StatusEventKind::SideEffect);
}

#[test]
fn a_removed_record_does_not_bring_an_older_approval_back() {
    let thread = [record(11, 7, "", moved("Review", "Doing"))];
    let feed = vec![
        update(1, 11, 7, REVIEW, DOING),
        update(2, 12, 8, DOING, OPEN),
    ];
    assert_eq!(last(&thread, feed).kind, StatusEventKind::Ambiguous);
}

#[test]
fn only_the_latest_move_needs_the_feed() {
    let thread = [
        record(10, 7, "", moved("Open", "Review")),
        record(11, 7, "", moved("Review", "Doing")),
        record(12, 7, "Words.", json!([])),
    ];
    assert_eq!(latest(&thread).map(|c| c.id), Some(11));
    assert_eq!(latest(&thread[2..]), None);
}
