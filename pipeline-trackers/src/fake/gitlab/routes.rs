//! What is asked, and how it is answered.

use std::time::Duration;

use pipeline_core::clock::Timestamp;
use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;

use super::super::FakeAnswer;
use super::super::FakeRequest;
use super::FakeGitLab;
use super::message;
use super::page::page;
use super::state::Issue;
use super::state::State;
use super::text;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn answer(state: &mut State, request: &FakeRequest, now: Timestamp) -> FakeAnswer {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let root: Vec<&str> = state.root.iter().map(String::as_str).collect();
    let Some(["api", "v4", rest @ ..]) = segments.strip_prefix(root.as_slice()) else {
        return FakeAnswer::html(404);
    };
    let rest: Vec<String> = rest.iter().map(|s| (*s).to_owned()).collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let given = request.header("private-token");
    if given != Some(FakeGitLab::TOKEN) || state.switches.token_expired {
        return message(401, "401 Unauthorized");
    }
    state.requests.retain(|at| now.since(*at) < MINUTE);
    let counted = u64::try_from(state.requests.len()).unwrap_or(u64::MAX);
    let limit = state.switches.requests_per_minute;
    let reset = now.as_secs() + 60;
    let with_rate = |answer: FakeAnswer, limit: u64| {
        answer
            .with_header("RateLimit-Limit", limit)
            .with_header("RateLimit-Name", "throttle_authenticated_api")
            .with_header("RateLimit-Observed", counted + 1)
            .with_header("RateLimit-Remaining", limit.saturating_sub(counted + 1))
            .with_header("RateLimit-Reset", reset)
    };
    if let Some(limit) = limit.filter(|limit| counted >= *limit) {
        return with_rate(FakeAnswer::text(429, "Retry later"), limit)
            .with_header("Retry-After", 60);
    }
    state.requests.push_back(now);
    if request.is_write() && state.switches.read_only {
        return message(403, "403 Forbidden");
    }
    let answer = route(state, request, &rest, now);
    match limit {
        Some(limit) => with_rate(answer, limit),
        None => answer,
    }
}

/// Returns the refusal of the limits that are counted inside: without any header.
pub(super) fn too_many_of_one() -> FakeAnswer {
    let body = json!({
        "message": { "error": "This endpoint has been requested too many times. Try again later." }
    });
    FakeAnswer::json(429, &body)
}

fn route(state: &mut State, request: &FakeRequest, rest: &[&str], now: Timestamp) -> FakeAnswer {
    let (project, rest) = match rest {
        ["user"] => return FakeAnswer::json(200, &state.user_json(FakeGitLab::BOT)),
        ["version"] => {
            return FakeAnswer::json(200, &json!({ "version": "18.4.0", "revision": "abcdef0" }));
        }
        ["projects", project, rest @ ..] => (*project, rest),
        _ => return message(404, "404 Not Found"),
    };
    let former = state.former.iter().any(|path| path.join("/") == project);
    if former {
        let target = request
            .path
            .replace(&project.replace('/', "%2F"), &state.project.to_string());
        return FakeAnswer::empty(301).with_header("location", target);
    }
    if project != state.project.to_string() && project != state.path.join("/") {
        return message(404, "404 Project Not Found");
    }
    match (request.method.as_str(), rest) {
        ("GET", []) => FakeAnswer::json(200, &project_json(state)),
        ("GET", ["issues"]) => list(state, request, now),
        ("POST", ["issues"]) => create(state, request, now),
        ("GET", ["labels"]) => {
            let rows: Vec<Value> = state
                .labels
                .keys()
                .map(|id| state.label_json(*id))
                .collect();
            page(state, request, &rows)
        }
        ("POST", ["labels"]) => {
            let name = text_of(&fields_of(request), "name");
            if name.is_empty() {
                return message(400, "name is missing");
            }
            if state.label_named(&name).is_some() {
                return message(409, "Label already exists");
            }
            let id = state.label(&name);
            FakeAnswer::json(201, &state.label_json(id))
        }
        ("GET", ["milestones"]) => {
            let wanted = request.parameter("title");
            let found = state
                .milestones
                .iter()
                .filter(|(_, t)| wanted.is_none_or(|w| w == *t));
            let row = |(id, title): (&u64, &String)| json!({ "id": id, "iid": id, "title": title, "state": "active" });
            let rows: Vec<Value> = found.map(row).collect();
            page(state, request, &rows)
        }
        ("POST", ["milestones"]) => {
            let title = text_of(&fields_of(request), "title");
            if state.milestones.values().any(|known| *known == title) {
                return FakeAnswer::json(
                    400,
                    &json!({ "message": { "title": ["already being used"] } }),
                );
            }
            let id = state.id();
            state.milestones.insert(id, title.clone());
            FakeAnswer::json(
                201,
                &json!({ "id": id, "iid": id, "title": title, "state": "active" }),
            )
        }
        ("POST", ["uploads"]) => upload(state, request),
        ("GET", ["uploads", secret, name]) => {
            let at = ((*secret).to_owned(), (*name).to_owned());
            match state.uploads.get(&at) {
                Some(bytes) => FakeAnswer::bytes(200, "application/octet-stream", bytes.clone()),
                None => message(404, "404 Not found"),
            }
        }
        (method, ["issues", iid, rest @ ..]) => {
            let iid = iid.parse().ok().filter(|iid| visible(state, *iid));
            match iid {
                Some(iid) => of_issue(state, request, method, iid, rest, now),
                None => message(404, "404 Issue Not Found"),
            }
        }
        _ => message(404, "404 Not Found"),
    }
}

fn visible(state: &State, iid: u64) -> bool {
    state.issues.contains_key(&iid) && !state.hidden.contains(&iid)
}

fn project_json(state: &State) -> Value {
    let path = state.path.join("/");
    let level = if state.switches.read_only { 10 } else { 20 };
    json!({
        "id": state.project, "path_with_namespace": path, "web_url": format!("https://gitlab.example/{path}"),
        "permissions": { "project_access": { "access_level": level, "notification_level": 3 }, "group_access": null },
    })
}

fn of_issue(
    state: &mut State,
    request: &FakeRequest,
    method: &str,
    iid: u64,
    rest: &[&str],
    now: Timestamp,
) -> FakeAnswer {
    let horizon = now.minus(state.switches.lag);
    let settled = |at: Timestamp| at <= horizon;
    let Some(issue) = state.issues.get(&iid) else {
        return message(404, "404 Issue Not Found");
    };
    match (method, rest) {
        ("GET", []) => FakeAnswer::json(200, &state.issue_json(issue, false)),
        ("PUT", []) => update(state, request, iid, now),
        ("GET", ["notes"]) => {
            let mut notes: Vec<_> = issue.notes.iter().filter(|n| settled(n.created)).collect();
            if request.parameter("activity_filter") == Some("only_comments") {
                notes.retain(|n| !n.system);
            }
            if request.parameter("sort") != Some("asc") {
                notes.reverse();
            }
            let rows: Vec<Value> = notes
                .into_iter()
                .map(|note| state.note_json(issue, note))
                .collect();
            page(state, request, &rows)
        }
        ("POST", ["notes"]) => post_note(state, request, iid, now),
        ("GET", ["resource_label_events"]) => {
            let events = issue.label_events.iter().filter(|e| settled(e.at));
            let rows: Vec<Value> = events.map(|e| state.label_event_json(issue, e)).collect();
            page(state, request, &rows)
        }
        ("GET", ["resource_state_events"]) => {
            let events = issue.state_events.iter().filter(|e| settled(e.at));
            let rows: Vec<Value> = events.map(|e| state.state_event_json(issue, e)).collect();
            page(state, request, &rows)
        }
        _ => message(404, "404 Not Found"),
    }
}

fn list(state: &State, request: &FakeRequest, now: Timestamp) -> FakeAnswer {
    let keyset = request.parameter("pagination") == Some("keyset");
    if keyset && !state.switches.keyset {
        let text = "Keyset pagination is not yet available for this type of request";
        return FakeAnswer::json(405, &json!({ "error": text }));
    }
    let horizon = now.minus(state.switches.lag);
    let time = |name: &str| request.parameter(name).and_then(Timestamp::parse);
    let names = |name: &str| -> Vec<String> {
        let listed = request.parameter(name).unwrap_or_default();
        listed
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (with, without) = (names("labels"), names("not[labels]"));
    let iids: Vec<&str> = request.parameters("iids[]").collect();
    let has = |issue: &Issue, name: &String| {
        state
            .label_named(name)
            .is_some_and(|id| issue.labels.contains(&id))
    };
    let wanted = |issue: &&Issue| {
        let state_fits = match request.parameter("state") {
            Some("opened") => !issue.closed,
            Some("closed") => issue.closed,
            _ => true,
        };
        state_fits
            && !state.hidden.contains(&issue.iid)
            && issue.created <= horizon
            && (iids.is_empty() || iids.contains(&issue.iid.to_string().as_str()))
            && with.iter().all(|name| has(issue, name))
            && !without.iter().any(|name| has(issue, name))
            && time("updated_after").is_none_or(|at| issue.updated >= at)
    };
    let mut found: Vec<&Issue> = state.issues.values().filter(wanted).collect();
    if request.parameter("order_by") == Some("updated_at") {
        found.sort_by_key(|issue| (issue.updated, issue.id));
    }
    if request.parameter("sort") != Some("asc") {
        found.reverse();
    }
    let details = request.parameter("with_labels_details") == Some("true");
    let rows: Vec<Value> = found
        .into_iter()
        .map(|issue| state.issue_json(issue, details))
        .collect();
    page(state, request, &rows)
}

/// Returns the fields of a body, which may be JSON or a form.
fn fields_of(request: &FakeRequest) -> Value {
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return request.json();
    }
    let fields = request.form().into_iter();
    Value::Object(
        fields
            .map(|(name, value)| (name, Value::String(value)))
            .collect(),
    )
}

fn create(state: &mut State, request: &FakeRequest, now: Timestamp) -> FakeAnswer {
    let body = fields_of(request);
    let title = text_of(&body, "title").trim().to_owned();
    if title.is_empty() {
        return message(400, "title is missing");
    }
    if title.chars().count() > 255 {
        return FakeAnswer::json(
            400,
            &json!({ "message": { "title": ["is too long (maximum is 255 characters)"] } }),
        );
    }
    let (description, acted) = text::extract(&text_of(&body, "description"));
    let iid = state.file(FakeGitLab::BOT, &title, &description, now);
    act(state, iid, &acted, now);
    let labels = text_of(&body, "labels");
    let ids: Vec<u64> = labels
        .split(',')
        .filter(|n| !n.is_empty())
        .map(|name| state.label(name))
        .collect();
    if let Some(issue) = state.issues.get_mut(&iid) {
        // Labels an issue is made with leave no event.
        issue.labels.extend(ids);
        let milestone = body.get("milestone_id");
        issue.milestone = milestone.and_then(|id| {
            id.as_u64()
                .or_else(|| id.as_str().and_then(|id| id.parse().ok()))
        });
        issue.confidential = body
            .get("confidential")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let kind = text_of(&body, "issue_type");
        if !kind.is_empty() {
            issue.kind = kind;
        }
    }
    shown(state, 201, iid)
}

fn update(state: &mut State, request: &FakeRequest, iid: u64, now: Timestamp) -> FakeAnswer {
    let body = request.json();
    let fields = body.as_object().map_or(0, serde_json::Map::len);
    if fields == 0 {
        return message(400, "at least one parameter must be provided");
    }
    let named = |field: &str| -> Vec<String> {
        let listed = text_of(&body, field);
        listed
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let add: Vec<u64> = named("add_labels")
        .iter()
        .map(|name| state.label(name))
        .collect();
    let remove: Vec<u64> = named("remove_labels")
        .iter()
        .filter_map(|name| state.label_named(name))
        .collect();
    state.relabel(FakeGitLab::BOT, iid, &add, &remove, now);
    match body.get("state_event").and_then(Value::as_str) {
        Some("close") => state.close(FakeGitLab::BOT, iid, true, now),
        Some("reopen") => state.close(FakeGitLab::BOT, iid, false, now),
        _ => {}
    }
    shown(state, 200, iid)
}

fn shown(state: &State, status: u16, iid: u64) -> FakeAnswer {
    match state.issues.get(&iid) {
        Some(issue) => FakeAnswer::json(status, &state.issue_json(issue, false)),
        None => message(404, "404 Issue Not Found"),
    }
}

fn post_note(state: &mut State, request: &FakeRequest, iid: u64, now: Timestamp) -> FakeAnswer {
    state.notes.retain(|at| now.since(*at) < MINUTE);
    let counted = u64::try_from(state.notes.len()).unwrap_or(u64::MAX);
    if state
        .switches
        .notes_per_minute
        .is_some_and(|most| counted >= most)
    {
        return too_many_of_one();
    }
    state.notes.push_back(now);
    let sent = request.json();
    let body = text_of(&sent, "body");
    if body.chars().count() > 1_000_000 {
        return message(
            400,
            "400 Bad request - Note {:note=>[\"is too long (maximum is 1000000 characters)\"]}",
        );
    }
    let (body, acted) = text::extract(&body);
    if body.contains('\u{0}') {
        return message(400, "body contains a null byte");
    }
    act(state, iid, &acted, now);
    if body.trim().is_empty() {
        if acted.any {
            return FakeAnswer::json(
                202,
                &json!({ "commands_changes": {}, "summary": ["Done."] }),
            );
        }
        return message(400, "400 Bad request - Note {:note=>[\"can't be blank\"]}");
    }
    let internal = sent
        .get("internal")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let id = state
        .note(FakeGitLab::BOT, iid, &body, false, now)
        .map(|note| {
            note.internal = internal;
            note.id
        });
    let issue = state.issues.get(&iid);
    let note = issue.and_then(|i| Some((i, i.notes.iter().find(|n| Some(n.id) == id)?)));
    match note {
        Some((issue, note)) => FakeAnswer::json(201, &state.note_json(issue, note)),
        None => message(404, "404 Issue Not Found"),
    }
}

/// Carries out quick actions with the rights of the token.
fn act(state: &mut State, iid: u64, acted: &text::Acted, now: Timestamp) {
    let add: Vec<u64> = acted
        .add
        .iter()
        .filter_map(|name| state.label_named(name))
        .collect();
    let remove: Vec<u64> = acted
        .remove
        .iter()
        .filter_map(|name| state.label_named(name))
        .collect();
    state.relabel(FakeGitLab::BOT, iid, &add, &remove, now);
    if let Some(closed) = acted.close {
        state.close(FakeGitLab::BOT, iid, closed, now);
    }
}

fn upload(state: &mut State, request: &FakeRequest) -> FakeAnswer {
    let Some(file) = request.file() else {
        return message(400, "file is invalid");
    };
    let number = state.id();
    let digest = hex::encode(sha2::Sha256::digest(number.to_be_bytes()));
    let secret: String = digest.chars().take(32).collect();
    let name = text::file_name(&file.name);
    let url = format!("/uploads/{secret}/{name}");
    state.uploads.insert((secret, name.clone()), file.content);
    FakeAnswer::json(
        201,
        &json!({ "id": number, "alt": name, "url": url, "full_path": format!("/-/project/{}{url}", state.project), "markdown": format!("[{name}]({url})") }),
    )
}

fn text_of(body: &Value, field: &str) -> String {
    match body.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let texts: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            texts.join(",")
        }
        _ => String::new(),
    }
}
