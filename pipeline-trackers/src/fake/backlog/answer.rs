//! From a request to its answer.

use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::secret::Secret;
use serde_json::Value;
use serde_json::json;

use super::BOT;
use super::PROJECT;
use super::issues;
use super::show;
use super::state::Doing;
use super::state::File;
use super::state::Named;
use super::state::OAuth;
use super::state::State;
use super::thread;
use crate::fake::FakeAnswer;
use crate::fake::FakeRequest;

/// The refusal of a request.
#[derive(Debug)]
pub(super) struct Refused(pub(super) FakeAnswer);

pub(super) type Answered = Result<FakeAnswer, Refused>;

pub(super) fn refusal(status: u16, code: u64, message: &str) -> FakeAnswer {
    let body = json!({"errors": [{"message": message, "code": code, "moreInfo": ""}]});
    FakeAnswer::json(status, &body)
}

pub(super) fn refused<T>(status: u16, code: u64, message: &str) -> Result<T, Refused> {
    Err(Refused(refusal(status, code, message)))
}

pub(super) fn missing<T>(what: &str) -> Result<T, Refused> {
    refused(404, 6, &format!("No {what}."))
}

/// Returns the value of a form or query, refusing every name that is not known there.
pub(super) fn known(given: &[(String, String)], names: &[&str]) -> Result<(), Refused> {
    let stranger = given
        .iter()
        .find(|(n, _)| n != "apiKey" && !names.contains(&n.as_str()));
    match stranger {
        None => Ok(()),
        Some((name, _)) => refused(400, 7, &format!("error.unknownParameter : {name}")),
    }
}

pub(super) fn one<'a>(given: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = given.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str())
}

pub(super) fn numbers(given: &[(String, String)], name: &str) -> Result<Vec<u64>, Refused> {
    let all = given.iter().filter(|(n, v)| n == name && !v.is_empty());
    let numbers: Result<Vec<u64>, _> = all.map(|(_, v)| v.parse()).collect();
    numbers.or_else(|_| refused(400, 7, &format!("{name} is no number")))
}

/// Refuses what cannot be stored: characters of four bytes, and texts that are too long.
pub(super) fn storable(text: &str, most: usize) -> Result<(), Refused> {
    if let Some(c) = text.chars().find(|c| *c > '\u{FFFF}') {
        let mut bytes = [0; 4];
        let shown: String = c
            .encode_utf8(&mut bytes)
            .bytes()
            .map(|b| format!("%{b:02X}"))
            .collect();
        return refused(400, 7, &format!("Incorrect String: {shown}"));
    }
    if text.chars().count() > most {
        return refused(400, 7, "too long");
    }
    Ok(())
}

pub(super) fn answer(state: &mut State, request: &FakeRequest, now: Timestamp) -> FakeAnswer {
    let rest: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    // A space may lie under a path.
    let api = rest.windows(2).position(|w| w == ["api", "v2"]);
    let Some(path) = api.and_then(|at| rest.get(at + 2..)) else {
        return FakeAnswer::html(404);
    };
    if request.path.ends_with('/') {
        return FakeAnswer::html(404);
    }
    if path == ["oauth2", "token"] {
        return token(state, request, now);
    }
    if !is_known(state, request, now) {
        return refusal(401, 11, "Authentication failure.");
    }
    let bucket = match (request.method.as_str(), path) {
        ("GET", ["issues" | "issues/count"]) => "search",
        ("GET", _) => "read",
        _ => "update",
    };
    let limit = match counted(state, bucket, now) {
        Ok(limit) => limit,
        Err(refused) => return refused,
    };
    let doing = Doing { by: BOT, now };
    let answered = route(state, request, path, doing);
    let answer = answered.unwrap_or_else(|Refused(answer)| answer);
    match limit {
        None => answer,
        Some((limit, left, reset)) => answer
            .with_header("X-RateLimit-Limit", limit)
            .with_header("X-RateLimit-Remaining", left)
            .with_header("X-RateLimit-Reset", reset),
    }
}

fn route(state: &mut State, request: &FakeRequest, path: &[&str], doing: Doing) -> Answered {
    let method = request.method.as_str();
    let ok = |value: Value| Ok(FakeAnswer::json(200, &value));
    match (method, path) {
        ("GET", ["users", "myself"]) => ok(show::user(state, BOT)),
        ("GET", ["rateLimit"]) => {
            ok(json!({"rateLimit": {"read": {"limit": 600, "remaining": 600, "reset": 0}}}))
        }
        ("GET", ["priorities"]) => {
            let all = state.priorities.iter();
            ok(all.map(|p| json!({"id": p.id, "name": p.name})).collect())
        }
        ("GET", ["projects", project, rest @ ..]) => {
            if *project != PROJECT && *project != show::PROJECT_ID.to_string() {
                return missing("project");
            }
            match rest {
                [] => ok(show::project(state)),
                ["statuses"] => {
                    let all = state.statuses.iter().enumerate();
                    ok(all.map(|(order, s)| show::status(s, order)).collect())
                }
                ["users"] => ok(state
                    .users
                    .iter()
                    .map(|u| show::user(state, u.id))
                    .collect()),
                ["issueTypes"] => ok(state.kinds.iter().map(show::named).collect()),
                ["categories"] => ok(state.categories.iter().map(show::named).collect()),
                ["versions"] => ok(show::versions(state).into()),
                ["activities"] => thread::feed(state, request, doing.now),
                _ => missing("resource"),
            }
        }
        ("POST", ["projects", project, kind @ ("categories" | "versions")])
            if *project == PROJECT =>
        {
            named(state, kind, request)
        }
        ("GET", ["issues"]) => issues::list(state, request, doing.now),
        ("POST", ["issues"]) => issues::create(state, request, doing),
        ("GET", ["issues", key]) => {
            let number = issue(state, key)?;
            issues::show(state, number)
        }
        ("PATCH", ["issues", key]) => {
            let number = issue(state, key)?;
            issues::update(state, number, request, doing)
        }
        ("GET", ["issues", key, "comments"]) => {
            let number = issue(state, key)?;
            thread::list(state, number, request, doing.now)
        }
        ("POST", ["issues", key, "comments"]) => {
            let number = issue(state, key)?;
            thread::add(state, number, request, doing)
        }
        ("GET", ["issues", key, "attachments", id]) => {
            let number = issue(state, key)?;
            issues::file(state, number, id)
        }
        ("POST", ["space", "attachment"]) => upload(state, request, doing),
        _ => missing("resource"),
    }
}

/// Adds a category or a milestone.
fn named(state: &mut State, kind: &str, request: &FakeRequest) -> Answered {
    let form = request.form();
    known(
        &form,
        &["name", "description", "startDate", "releaseDueDate"],
    )?;
    let name = one(&form, "name").unwrap_or_default().to_owned();
    storable(&name, 255)?;
    let id = state.other_id();
    let all = if kind == "categories" {
        &mut state.categories
    } else {
        &mut state.milestones
    };
    if name.is_empty() || all.iter().any(|n| n.name == name) {
        return refused(400, 7, "name");
    }
    let new = Named::new(id, &name);
    all.push(new.clone());
    Ok(FakeAnswer::json(200, &show::named(&new)))
}

/// Returns an issue's number by its key or id.
fn issue(state: &State, key: &str) -> Result<u64, Refused> {
    let by_key = key
        .strip_prefix(PROJECT)
        .and_then(|n| n.strip_prefix('-')?.parse().ok());
    let by_id = || {
        let id: u64 = key.parse().ok()?;
        state.issues.values().find(|i| i.id == id).map(|i| i.number)
    };
    match by_key
        .or_else(by_id)
        .filter(|n| state.issues.contains_key(n))
    {
        Some(number) => Ok(number),
        None => missing("issue"),
    }
}

/// Refuses a change by an account whose role does not have it.
pub(super) fn may_change(state: &State) -> Result<(), Refused> {
    if state.oddities.role >= 3 {
        return refused(403, 5, "You do not have permission to update this issue.");
    }
    Ok(())
}

fn upload(state: &mut State, request: &FakeRequest, doing: Doing) -> Answered {
    let Some(file) = request.file().filter(|f| !f.name.is_empty()) else {
        return refused(400, 7, "no file");
    };
    let id = 785 + state.uploads.len() as u64;
    let body = json!({"id": id, "name": file.name, "size": file.content.len()});
    state.uploads.push(File {
        id,
        name: file.name,
        content: file.content,
        by: doing.by,
        created: doing.stamp(),
    });
    Ok(FakeAnswer::json(200, &body))
}

fn is_known(state: &mut State, request: &FakeRequest, now: Timestamp) -> bool {
    if let Some(key) = request.parameter("apiKey") {
        return Secret::new(key) == state.key;
    }
    let bearer = request
        .header("authorization")
        .and_then(|h| h.strip_prefix("Bearer "));
    let (Some(token), Some(oauth)) = (bearer, &mut state.oauth) else {
        return false;
    };
    if Secret::new(token) != oauth.access || now >= oauth.ends {
        return false;
    }
    let Some((_, left)) = &mut oauth.requests else {
        return true;
    };
    let good = *left > 0;
    *left = left.saturating_sub(1);
    good
}

fn token(state: &mut State, request: &FakeRequest, now: Timestamp) -> FakeAnswer {
    let form = request.form();
    let given = one(&form, "refresh_token").unwrap_or_default();
    let known = one(&form, "grant_type") == Some("refresh_token")
        && one(&form, "client_id").is_some_and(|id| !id.is_empty())
        && one(&form, "client_secret").is_some_and(|s| !s.is_empty());
    match &mut state.oauth {
        Some(oauth) if known && Secret::new(given) == oauth.refresh => {
            let renewed = oauth.renewed + 1;
            let (access, refresh) = (
                format!("access-{renewed}-of-fake"),
                format!("refresh-{renewed}-of-fake"),
            );
            let body = json!({
                "access_token": access, "token_type": "Bearer", "expires_in": oauth.lives.as_secs(), "refresh_token": refresh,
            });
            *oauth = OAuth {
                access: Secret::new(access),
                refresh: Secret::new(refresh),
                ends: now.plus(oauth.lives),
                lives: oauth.lives,
                requests: oauth.requests.map(|(each, _)| (each, each)),
                renewed,
            };
            FakeAnswer::json(200, &body)
        }
        _ => {
            let body = json!({"error": "invalid_grant", "error_description": "Grant is invalid."});
            FakeAnswer::json(400, &body)
        }
    }
}

type Limit = Option<(u64, u64, i64)>;

/// Counts a request; refuses it where there were too many in this minute.
fn counted(state: &mut State, bucket: &'static str, now: Timestamp) -> Result<Limit, FakeAnswer> {
    let Some(limit) = state.oddities.rate_limit else {
        return Ok(None);
    };
    let minute = Duration::from_secs(60);
    let (began, count) = state.counted.entry(bucket).or_insert((now, 0));
    if now.since(*began) >= minute {
        (*began, *count) = (now, 0);
    }
    *count += 1;
    let reset = began.plus(minute).as_secs();
    let left = limit.saturating_sub(*count);
    if *count > limit {
        let refused = refusal(429, 13, "Too Many Requests")
            .with_header("X-RateLimit-Limit", limit)
            .with_header("X-RateLimit-Remaining", 0)
            .with_header("X-RateLimit-Reset", reset);
        return Err(refused);
    }
    Ok(Some((limit, left, reset)))
}
