//! Records of a thread, and the feed.

use pipeline_core::clock::Timestamp;
use serde_json::Value;

use super::PROJECT;
use super::answer::Answered;
use super::answer::known;
use super::answer::numbers;
use super::answer::one;
use super::answer::refused;
use super::answer::storable;
use super::show;
use super::state::Doing;
use super::state::State;
use crate::fake::FakeAnswer;
use crate::fake::FakeRequest;

/// Chooses a page by ids.
fn page<T: Clone>(
    rows: Vec<(u64, T)>,
    request: &FakeRequest,
    state: &State,
) -> Result<Vec<T>, super::answer::Refused> {
    let query = &request.query;
    let number = |name: &str| -> Result<Option<u64>, super::answer::Refused> {
        Ok(numbers(query, name)?.first().copied())
    };
    let (min, max) = (number("minId")?, number("maxId")?);
    let count = number("count")?.unwrap_or(20);
    if !(1..=100).contains(&count) {
        return refused(400, 7, "count");
    }
    let inclusive = state.oddities.inclusive;
    let within = |id: u64| {
        let above = min.is_none_or(|min| id > min || (inclusive && id == min));
        let below = max.is_none_or(|max| id < max || (inclusive && id == max));
        above && below
    };
    let mut rows: Vec<_> = rows.into_iter().filter(|(id, _)| within(*id)).collect();
    rows.sort_by_key(|(id, _)| *id);
    if one(query, "order") != Some("asc") {
        rows.reverse();
    }
    let mut rows: Vec<T> = rows.into_iter().map(|(_, row)| row).collect();
    let count = usize::try_from(count).unwrap_or(20);
    if state.oddities.duplicate_rows
        && rows.len() > count
        && let Some(first) = rows.first().cloned()
    {
        rows.insert(1, first);
    }
    rows.truncate(count);
    Ok(rows)
}

pub(super) fn list(state: &State, number: u64, request: &FakeRequest, now: Timestamp) -> Answered {
    // Unknown parameters were seen to be ignored here, and only here.
    let issue = state.issues.get(&number);
    let records = issue
        .iter()
        .flat_map(|i| &i.thread)
        .filter(|r| r.visible <= now);
    let rows = records.map(|r| (r.id, show::record(state, r))).collect();
    Ok(FakeAnswer::json(200, &page(rows, request, state)?))
}

pub(super) fn add(state: &mut State, number: u64, request: &FakeRequest, doing: Doing) -> Answered {
    let form = request.form();
    known(&form, &["content", "notifiedUserId[]", "attachmentId[]"])?;
    let content = one(&form, "content").unwrap_or_default().to_owned();
    if content.is_empty() {
        return refused(400, 7, "content is required");
    }
    if state.oddities.role == 4 {
        return refused(403, 5, "You do not have permission to comment.");
    }
    storable(&content, 50_000)?;
    let id = state.comment(number, &content, doing).unwrap_or_default();
    let issue = state.issues.get(&number);
    let record = issue.and_then(|i| i.thread.iter().find(|r| r.id == id));
    let body = record.map_or(Value::Null, |r| show::record(state, r));
    let place = format!("https://space.example/view/{PROJECT}-{number}#comment-{id}");
    Ok(FakeAnswer::json(201, &body).with_header("Location", place))
}

pub(super) fn feed(state: &State, request: &FakeRequest, now: Timestamp) -> Answered {
    known(
        &request.query,
        &["activityTypeId[]", "minId", "maxId", "count", "order"],
    )?;
    let kinds = numbers(&request.query, "activityTypeId[]")?;
    let wanted = |kind: u64| kinds.is_empty() || kinds.contains(&kind);
    let visible = state
        .feed
        .iter()
        .filter(|a| a.visible <= now && wanted(a.kind));
    let rows = visible.map(|a| (a.id, show::activity(state, a))).collect();
    Ok(FakeAnswer::json(200, &page(rows, request, state)?))
}
