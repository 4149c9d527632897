//! How things look in answers.

use pipeline_core::clock::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::PROJECT;
use super::state::Activity;
use super::state::File;
use super::state::Issue;
use super::state::Named;
use super::state::Record;
use super::state::State;

pub(super) const PROJECT_ID: u64 = 31_224;

/// Writes a time as the service does: UTC without fractions.
pub(super) fn time(at: Timestamp) -> String {
    let text = at.to_string();
    let (whole, _) = text.split_once('.').unwrap_or((&text, ""));
    format!("{}Z", whole.trim_end_matches('Z'))
}

pub(super) fn project(state: &State) -> Value {
    json!({
        "id": PROJECT_ID, "projectKey": PROJECT, "name": "Web", "chartEnabled": false, "subtaskingEnabled": false,
        "projectLeaderCanEditProjectLeader": false, "textFormattingRule": state.text_formatting, "archived": false,
        "useDevAttributes": true, "displayOrder": 2_147_483_646_u64,
    })
}

pub(super) fn user(state: &State, id: u64) -> Value {
    let Some(user) = state.users.iter().find(|u| u.id == id) else {
        return Value::Null;
    };
    let role = if id == super::BOT {
        state.oddities.role
    } else {
        user.role
    };
    json!({
        "id": user.id, "userId": user.login, "name": user.name, "roleType": role, "lang": "ja",
        "mailAddress": format!("{}@example.com", user.login),
        "nulabAccount": {"nulabId": format!("n{id}"), "name": user.name, "uniqueId": user.login},
        "lastLoginTime": "2026-01-01T00:00:00Z",
    })
}

pub(super) fn status(status: &Named, order: usize) -> Value {
    json!({"id": status.id, "projectId": PROJECT_ID, "name": status.name, "color": "#ed8077", "displayOrder": 1000 * (order + 1)})
}

pub(super) fn named(named: &Named) -> Value {
    json!({
        "id": named.id, "projectId": PROJECT_ID, "name": named.name, "color": "#7ea800",
        "displayOrder": 2_147_483_646_u64,
    })
}

fn version(named: &Named) -> Value {
    json!({
        "id": named.id, "projectId": PROJECT_ID, "name": named.name, "description": "", "startDate": null,
        "releaseDueDate": null, "archived": false, "displayOrder": 2_147_483_646_u64,
    })
}

pub(super) fn versions(state: &State) -> Vec<Value> {
    state.milestones.iter().map(version).collect()
}

pub(super) fn file(state: &State, file: &File) -> Value {
    json!({
        "id": file.id, "name": file.name, "size": file.content.len(), "createdUser": user(state, file.by),
        "created": time(file.created),
    })
}

pub(super) fn issue(state: &State, issue: &Issue) -> Value {
    let one = |known: &[Named], id: u64| known.iter().find(|k| k.id == id).map(named);
    let many = |known: &[Named], ids: &[u64], show: fn(&Named) -> Value| {
        let chosen = known.iter().filter(|k| ids.contains(&k.id));
        chosen.map(show).collect::<Vec<_>>()
    };
    let at = state.statuses.iter().position(|s| s.id == issue.status);
    let shown = at.and_then(|at| Some(status(state.statuses.get(at)?, at)));
    let files: Vec<_> = issue.files.iter().map(|f| file(state, f)).collect();
    json!({
        "id": issue.id, "projectId": PROJECT_ID, "issueKey": format!("{PROJECT}-{}", issue.number),
        "keyId": issue.number, "issueType": one(&state.kinds, issue.kind), "summary": issue.summary,
        "description": issue.description, "resolution": null, "priority": one(&state.priorities, issue.priority),
        "status": shown, "assignee": null, "category": many(&state.categories, &issue.categories, named),
        "versions": [], "milestone": many(&state.milestones, &issue.milestones, version), "startDate": null,
        "dueDate": null, "estimatedHours": null, "actualHours": null, "parentIssueId": null,
        "createdUser": user(state, issue.created_by), "created": time(issue.created),
        "updatedUser": user(state, issue.updated_by), "updated": time(issue.updated), "customFields": [],
        "attachments": files, "sharedFiles": [], "stars": [],
    })
}

pub(super) fn record(state: &State, record: &Record) -> Value {
    json!({
        "id": record.id,
        "content": if record.content.is_empty() { Value::Null } else { Value::from(record.content.clone()) },
        "changeLog": record.changes, "createdUser": user(state, record.by), "created": time(record.created),
        "updated": time(record.updated), "stars": [], "notifications": [],
    })
}

pub(super) fn activity(state: &State, activity: &Activity) -> Value {
    json!({
        "id": activity.id, "project": project(state), "type": activity.kind, "content": activity.content,
        "notifications": [], "createdUser": user(state, activity.by), "created": time(activity.created),
    })
}
