//! Issues.

use pipeline_core::clock::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::PROJECT;
use super::answer::Answered;
use super::answer::Refused;
use super::answer::known;
use super::answer::may_change;
use super::answer::missing;
use super::answer::numbers;
use super::answer::one;
use super::answer::refused;
use super::answer::storable;
use super::show;
use super::state::Doing;
use super::state::Issue;
use super::state::Named;
use super::state::State;
use crate::fake::FakeAnswer;
use crate::fake::FakeRequest;

const FILTERS: &[&str] = &[
    "projectId[]",
    "issueTypeId[]",
    "categoryId[]",
    "versionId[]",
    "milestoneId[]",
    "statusId[]",
    "priorityId[]",
    "assigneeId[]",
    "createdUserId[]",
    "resolutionId[]",
    "id[]",
    "parentIssueId[]",
    "parentChild",
    "attachment",
    "sharedFile",
    "sort",
    "order",
    "offset",
    "count",
    "createdSince",
    "createdUntil",
    "updatedSince",
    "updatedUntil",
    "startDateSince",
    "startDateUntil",
    "dueDateSince",
    "dueDateUntil",
    "hasDueDate",
    "keyword",
];

const CHANGES: &[&str] = &[
    "summary",
    "description",
    "statusId",
    "resolutionId",
    "dueDate",
    "categoryId[]",
    "versionId[]",
    "milestoneId[]",
    "priorityId",
    "assigneeId",
    "notifiedUserId[]",
    "attachmentId[]",
    "comment",
    "issueTypeId",
    "parentIssueId",
    "startDate",
    "estimatedHours",
    "actualHours",
];

pub(super) fn list(state: &State, request: &FakeRequest, now: Timestamp) -> Answered {
    let query = &request.query;
    known(query, FILTERS)?;
    let count = numbers(query, "count")?.first().copied().unwrap_or(20);
    if !(1..=100).contains(&count) {
        return refused(400, 7, "count");
    }
    let projects = numbers(query, "projectId[]")?;
    if projects.iter().any(|id| *id != show::PROJECT_ID) {
        return missing("project");
    }
    let (ids, statuses) = (numbers(query, "id[]")?, numbers(query, "statusId[]")?);
    let since = one(query, "updatedSince").map(day).transpose()?;
    let within = |chosen: &[u64], id: u64| chosen.is_empty() || chosen.contains(&id);
    let wanted = |issue: &&Issue| {
        issue.visible <= now
            && within(&ids, issue.id)
            && within(&statuses, issue.status)
            && since.is_none_or(|since| issue.updated >= since)
    };
    let mut found: Vec<&Issue> = state.issues.values().filter(wanted).collect();
    let key = |issue: &&Issue| match one(query, "sort") {
        Some("created") => (issue.created, issue.number),
        _ => (issue.updated, issue.number),
    };
    found.sort_by_key(key);
    if one(query, "order") != Some("asc") {
        found.reverse();
    }
    let offset = numbers(query, "offset")?.first().copied().unwrap_or(0);
    let (offset, count) = (
        usize::try_from(offset).unwrap_or(usize::MAX),
        usize::try_from(count).unwrap_or(20),
    );
    let mut rows: Vec<Value> = found
        .into_iter()
        .skip(offset)
        .take(count)
        .map(|i| show::issue(state, i))
        .collect();
    if state.oddities.duplicate_rows
        && rows.len() >= 3
        && let Some(second) = rows.get(1).cloned()
    {
        // A row that moved shows twice, and the last one of the page is pushed over to the next.
        rows.insert(2, second);
        rows.truncate(count);
    }
    Ok(FakeAnswer::json(200, &rows))
}

/// Reads a day, which is all the service takes.
fn day(text: &str) -> Result<Timestamp, Refused> {
    let time = Timestamp::parse(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
    time.map_or_else(|| refused(400, 7, "expected yyyy-MM-dd"), Ok)
}

pub(super) fn show(state: &State, number: u64) -> Answered {
    let issue = state.issues.get(&number);
    Ok(FakeAnswer::json(200, &issue.map(|i| show::issue(state, i))))
}

pub(super) fn create(state: &mut State, request: &FakeRequest, doing: Doing) -> Answered {
    let form = request.form();
    let mut names = CHANGES.to_vec();
    names.push("projectId");
    known(&form, &names)?;
    for required in ["projectId", "summary", "issueTypeId", "priorityId"] {
        if one(&form, required).is_none_or(str::is_empty) {
            return refused(400, 7, &format!("{required} is required"));
        }
    }
    if state.oddities.role == 4 {
        return refused(403, 5, "You do not have permission to add issues.");
    }
    let summary = one(&form, "summary").unwrap_or_default().to_owned();
    let description = one(&form, "description").unwrap_or_default().to_owned();
    storable(&summary, 255)?;
    storable(&description, 100_000)?;
    let kind = chosen(&form, "issueTypeId", &state.kinds)?;
    let priority = chosen(&form, "priorityId", &state.priorities)?;
    let categories = chosen(&form, "categoryId[]", &state.categories)?;
    let milestones = chosen(&form, "milestoneId[]", &state.milestones)?;
    let number = state.file(&summary, &description, doing);
    if let Some(issue) = state.issues.get_mut(&number) {
        issue.kind = kind.first().copied().unwrap_or(issue.kind);
        issue.priority = priority.first().copied().unwrap_or(issue.priority);
        issue.categories = categories;
        issue.milestones = milestones;
    }
    let body = state.issues.get(&number).map(|i| show::issue(state, i));
    let place = format!("https://space.example/view/{PROJECT}-{number}");
    Ok(FakeAnswer::json(201, &body).with_header("Location", place))
}

fn chosen(form: &[(String, String)], name: &str, known: &[Named]) -> Result<Vec<u64>, Refused> {
    let ids = numbers(form, name)?;
    if ids.iter().any(|id| known.iter().all(|k| k.id != *id)) {
        return refused(400, 7, &format!("{name} is not in the project"));
    }
    Ok(ids)
}

pub(super) fn update(
    state: &mut State,
    number: u64,
    request: &FakeRequest,
    doing: Doing,
) -> Answered {
    let form = request.form();
    known(&form, CHANGES)?;
    may_change(state)?;
    let words = one(&form, "comment").unwrap_or_default().to_owned();
    storable(&words, 50_000)?;
    let to = chosen(&form, "statusId", &state.statuses)?.first().copied();
    let mut changes = Vec::new();
    for id in numbers(&form, "attachmentId[]")? {
        let at = state.uploads.iter().position(|f| f.id == id);
        let Some(mut file) = at.map(|at| state.uploads.remove(at)) else {
            return refused(400, 7, "attachmentId");
        };
        // The stored file has another id than the uploaded one.
        file.id = state.other_id();
        changes.push(json!({
            "field": "attachment", "newValue": file.name, "originalValue": null,
            "attachmentInfo": {"id": file.id, "name": file.name}, "attributeInfo": null, "notificationInfo": null,
        }));
        if let Some(issue) = state.issues.get_mut(&number) {
            issue.files.push(file);
        }
    }
    let stay = state.issues.get(&number).map_or(0, |i| i.status);
    state.change_status(number, to.unwrap_or(stay), &words, changes, doing);
    show(state, number)
}

pub(super) fn file(state: &State, number: u64, id: &str) -> Answered {
    let issue = state.issues.get(&number);
    let mut files = issue.iter().flat_map(|i| &i.files);
    match files.find(|f| f.id.to_string() == id) {
        None => missing("attachment"),
        Some(file) => {
            let mut name = String::new();
            for part in url::form_urlencoded::byte_serialize(file.name.as_bytes()) {
                name.push_str(part);
            }
            let place = format!("attachment; filename*=UTF-8''{name}");
            let answer = FakeAnswer::bytes(200, "application/octet-stream", file.content.clone());
            Ok(answer.with_header("Content-Disposition", place))
        }
    }
}
