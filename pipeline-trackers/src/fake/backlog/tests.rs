use std::collections::BTreeSet;

use pipeline_core::memory::ScriptedClock;
use serde_json::Value;

use super::*;

fn fixture(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/backlog/recorded");
    let text = std::fs::read_to_string(path.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn fake() -> FakeBacklog {
    FakeBacklog::new(Arc::new(ScriptedClock::new(
        Timestamp::parse("2026-01-05T09:00:00Z").unwrap(),
    )))
}

fn ask(fake: &FakeBacklog, method: &str, path: &str, query: &str, body: &str) -> (u16, Value) {
    let pairs = |text: &str| {
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect::<Vec<_>>()
    };
    let request = FakeRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        segments: path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
        query: pairs(&format!("apiKey={KEY}&{query}")),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let answer = fake.answer(&request);
    (
        answer.status,
        serde_json::from_slice(&answer.body).unwrap_or_default(),
    )
}

/// Every key of an object, and of those in it, with its path.
fn keys(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => {
            for (key, below) in all {
                let path = format!("{at}.{key}");
                into.insert(path.clone());
                keys(below, &path, into);
            }
        }
        Value::Array(all) => all.iter().for_each(|v| keys(v, at, into)),
        _ => {}
    }
}

fn all_keys(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    keys(value, "", &mut all);
    all
}

/// What was recorded and is not made here: it hangs on things the fake does not have.
const NOT_MADE: &[&str] = &[
    ".stars.",
    ".sharedFiles.",
    ".versions.",
    ".notifications.",
    ".resolution.",
    ".assignee.",
    ".notificationInfo.",
];

fn missing(recorded: &Value, shown: &Value) -> Vec<String> {
    let shown = all_keys(shown);
    let recorded = all_keys(recorded).into_iter();
    let needed = recorded.filter(|k| !NOT_MADE.iter().any(|n| k.contains(n)));
    needed.filter(|k| !shown.contains(k)).collect()
}

#[test]
fn its_answers_have_every_key_that_was_recorded() {
    let fake = fake();
    let key = fake
        .file_issue(ALICE, "課題2", "課題2の詳細です。")
        .unwrap();
    fake.categorise(&key, "web").unwrap();
    fake.comment(ALICE, &key, "テストコメントです。").unwrap();
    fake.move_to(ALICE, &key, "In Progress", "").unwrap();
    {
        let mut state = fake.lock();
        let doing = state::Doing {
            by: BOT,
            now: Timestamp::EPOCH,
        };
        let issue = state.issues.get_mut(&1).unwrap();
        issue.milestones = vec![701];
        let content = b"x".to_vec();
        let created = doing.stamp();
        let file = state::File {
            id: 785,
            name: "テスト1.txt".into(),
            content,
            by: BOT,
            created,
        };
        state.uploads.push(file);
    }
    let issue = "/api/v2/issues/WEB-1";
    assert_eq!(ask(&fake, "PATCH", issue, "", "attachmentId[]=785").0, 200);
    let comments = format!("{issue}/comments");
    for (file, method, path, body) in [
        ("get_issue.json", "GET", issue, ""),
        ("get_comments_order_asc.json", "GET", comments.as_str(), ""),
        (
            "add_comment_201.json",
            "POST",
            comments.as_str(),
            "content=x",
        ),
        ("update_issue_summary.json", "PATCH", issue, "comment=x"),
        (
            "get_statuses.json",
            "GET",
            "/api/v2/projects/WEB/statuses",
            "",
        ),
        ("get_myself.json", "GET", "/api/v2/users/myself", ""),
    ] {
        let recorded = fixture(file);
        let (status, shown) = ask(&fake, method, path, "", body);
        assert_eq!(
            u64::from(status),
            recorded["response"]["status"].as_u64().unwrap(),
            "{file}"
        );
        assert_eq!(
            missing(&recorded["response"]["body"], &shown),
            Vec::<String>::new(),
            "{file}"
        );
    }
    let (_, listed) = ask(
        &fake,
        "GET",
        "/api/v2/issues",
        &format!("projectId[]={}", show::PROJECT_ID),
        "",
    );
    assert_eq!(
        missing(&fixture("get_issues.json")["response"]["body"], &listed),
        Vec::<String>::new()
    );
}

#[test]
fn an_unknown_parameter_is_refused_in_the_recorded_words() {
    let fake = fake();
    fake.file_issue(ALICE, "t", "b").unwrap();
    let recorded = fixture("add_comment_unknown_parameter_400.json");
    let (status, shown) = ask(
        &fake,
        "POST",
        "/api/v2/issues/WEB-1/comments",
        "",
        "content=x&test=test",
    );
    assert_eq!(
        (u64::from(status), &shown),
        (400, &recorded["response"]["body"])
    );
    assert_eq!(ask(&fake, "GET", "/api/v2/issues", "test=test", "").0, 400);
    assert_eq!(
        ask(
            &fake,
            "GET",
            "/api/v2/projects/WEB/activities",
            "test=test",
            ""
        )
        .0,
        400
    );
    // The one list that was seen to ignore them.
    assert_eq!(
        ask(
            &fake,
            "GET",
            "/api/v2/issues/WEB-1/comments",
            "test=test",
            ""
        )
        .0,
        200
    );
}

#[test]
fn a_comment_does_not_touch_its_issue_and_a_change_does() {
    let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
    let fake = FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let key = fake.file_issue(ALICE, "t", "b").unwrap();
    let updated =
        |fake: &FakeBacklog| ask(fake, "GET", "/api/v2/issues/WEB-1", "", "").1["updated"].clone();
    clock.advance(Duration::from_secs(10));
    fake.comment(BOB, &key, "Words.").unwrap();
    assert_eq!(updated(&fake), "1970-01-01T00:00:00Z");
    fake.move_to(BOB, &key, "Closed", "").unwrap();
    assert_eq!(updated(&fake), "1970-01-01T00:00:10Z");
    // An empty change bumps the time and leaves no record and no activity.
    clock.advance(Duration::from_secs(10));
    let feed = |fake: &FakeBacklog| {
        ask(fake, "GET", "/api/v2/projects/WEB/activities", "", "")
            .1
            .as_array()
            .unwrap()
            .len()
    };
    let before = feed(&fake);
    assert_eq!(ask(&fake, "PATCH", "/api/v2/issues/WEB-1", "", "").0, 200);
    assert_eq!(updated(&fake), "1970-01-01T00:00:20Z");
    assert_eq!(feed(&fake), before);
}

#[test]
fn four_bytes_and_long_texts_are_refused() {
    let fake = fake();
    fake.file_issue(ALICE, "t", "b").unwrap();
    let path = "/api/v2/issues/WEB-1/comments";
    let post = |text: &str| {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("content", text)
            .finish();
        ask(&fake, "POST", path, "", &body)
    };
    let (status, body) = post("a 🦀 b");
    assert_eq!(
        (status, body["errors"][0]["message"].as_str()),
        (400, Some("Incorrect String: %F0%9F%A6%80"))
    );
    assert_eq!(post(&"あ".repeat(50_000)).0, 201);
    assert_eq!(post(&"あ".repeat(50_001)).0, 400);
}
