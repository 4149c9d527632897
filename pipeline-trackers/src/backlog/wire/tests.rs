use std::path::Path;
use std::path::PathBuf;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/backlog")
}

/// Returns the body of a recording, or a sample as it is.
fn body(file: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    if file.starts_with("recorded/") {
        value = value["response"]["body"].take();
    }
    value
}

type Check = fn(Value) -> Result<String, String>;

fn decode<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> Result<String, String> {
    let decoded: Result<T, _> = serde_json::from_value(value);
    decoded.map(|t| format!("{t:?}")).map_err(|e| e.to_string())
}

/// Every fixture, and what it is read as.
const FIXTURES: &[(&str, Check)] = &[
    ("recorded/add_comment_201.json", decode::<Comment>),
    (
        "recorded/add_comment_unknown_parameter_400.json",
        decode::<Errors>,
    ),
    (
        "recorded/get_comments_order_asc.json",
        decode::<Vec<Comment>>,
    ),
    ("recorded/get_issue.json", decode::<Issue>),
    (
        "recorded/get_issue_attachments.json",
        decode::<Vec<Attachment>>,
    ),
    ("recorded/get_issues.json", decode::<Vec<Issue>>),
    ("recorded/get_myself.json", decode::<User>),
    ("recorded/get_statuses.json", decode::<Vec<Status>>),
    ("recorded/update_issue_summary.json", decode::<Issue>),
    ("samples/auth_error.json", decode::<Errors>),
    ("samples/custom_field_issue.json", decode::<Issue>),
    ("samples/custom_statuses.json", decode::<Vec<Status>>),
    ("samples/error.json", decode::<Errors>),
    ("samples/issue.json", decode::<Issue>),
    ("samples/issue_comment.json", decode::<Comment>),
    ("samples/issue_comments.json", decode::<Vec<Comment>>),
    ("samples/issues.json", decode::<Vec<Issue>>),
    ("samples/statuses.json", decode::<Vec<Status>>),
    ("samples/user.json", decode::<User>),
    // A registration, whose name and maker are like everything's.
    ("samples/webhook.json", decode::<Named>),
];

/// The only fixture whose body is not JSON.
const FILE: &str = "recorded/download_issue_attachment.json";

#[test]
fn every_fixture_decodes() {
    for (file, check) in FIXTURES {
        if let Err(error) = check(body(file)) {
            panic!("{file}: {error}");
        }
    }
    assert_eq!(body(FILE), "テストです。\n");
}

#[test]
fn no_fixture_is_forgotten() {
    for part in ["recorded", "samples"] {
        for entry in std::fs::read_dir(folder().join(part)).unwrap() {
            let name = format!("{part}/{}", entry.unwrap().file_name().to_str().unwrap());
            let listed = FIXTURES.iter().any(|(file, _)| *file == name);
            assert!(listed || name == FILE, "{name} is decoded by no test");
        }
    }
}

#[test]
fn the_recorded_issue_reads_as_it_is() {
    let issue: Issue = serde_json::from_value(body("recorded/get_issue.json")).unwrap();
    assert_eq!(issue.issue_key, "TEST_PROJECT_1-2");
    assert_eq!((issue.status.id, issue.status.name.as_str()), (1, "未対応"));
    assert_eq!(issue.category[0].name, "カテゴリー1");
    assert_eq!(issue.milestone[0].name, "マイルストーン1");
    assert_eq!(issue.attachments[0].attachment().size, Some(19));
    assert_eq!(
        issue.updated.unwrap().to_string(),
        "2015-05-09T16:21:28.000Z"
    );
    let author = issue.created_user.unwrap().account();
    assert_eq!(
        (author.id.as_str(), author.login.as_deref()),
        ("56534", Some("test_user_1"))
    );
}

#[test]
fn the_recorded_thread_reads_as_it_is() {
    let thread: Vec<Comment> =
        serde_json::from_value(body("recorded/get_comments_order_asc.json")).unwrap();
    let read: Vec<_> = thread.iter().map(Comment::comment).collect();
    let shown: Vec<_> = read
        .iter()
        .map(|c| {
            (
                c.id.0,
                c.body.as_str(),
                c.edited.is_some(),
                c.attachments.len(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (5_325_110, "", false, 0),
            (5_325_119, "", false, 0),
            (5_325_161, "", false, 1),
            (5_327_259, "テストコメントです。", true, 0),
            (5_328_775, "担当者を変更します。", false, 0),
        ]
    );
    let changes: Vec<_> = thread
        .iter()
        .flat_map(|c| &c.change_log)
        .map(|c| c.field.as_str())
        .collect();
    assert_eq!(
        changes,
        ["notification", "resolution", "attachment", "assigner"]
    );
}

#[test]
fn mail_addresses_are_not_read() {
    for (file, check) in FIXTURES {
        let shown = check(body(file)).unwrap();
        // Two spellings of the recording's own name are no addresses.
        assert!(
            !shown.contains('@') || *file == "samples/issues.json",
            "{file}: {shown}"
        );
    }
}

#[test]
fn a_custom_field_called_status_is_none() {
    let change = |attribute: &str| -> Change {
        let text = format!(
            r#"{{"field":"status","newValue":"処理中","originalValue":null,"attributeInfo":{attribute}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    assert!(change("null").is_status());
    // The two official clients disagree about the type of `typeId`.
    for attribute in [
        r#"{"id":7,"typeId":"1"}"#,
        r#"{"id":7,"typeId":1}"#,
        "{}",
        "false",
        "\"\"",
    ] {
        assert!(!change(attribute).is_status(), "{attribute}");
    }
}

/// What a later version, or another installation, could make of a value.
fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::from(true)),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<u32>().prop_map(|n| Value::from(n.to_string())),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
        Just(serde_json::json!([{"id": "1", "name": null}])),
    ]
}

/// Returns how many values there are below one, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(size).sum(),
        Value::Object(all) => all.values().map(size).sum(),
        _ => 0,
    }
}

/// Puts another value at a place, counted in the order of reading.
fn put(value: &mut Value, at: &mut usize, new: &Value) {
    if *at == 0 {
        *value = new.clone();
    }
    *at = at.wrapping_sub(1);
    if *at == usize::MAX {
        return;
    }
    let below: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(all) => Box::new(all.iter_mut()),
        Value::Object(all) => Box::new(all.values_mut()),
        _ => return,
    };
    for child in below {
        put(child, at, new);
        if *at == usize::MAX {
            return;
        }
    }
}

fn ids_as_strings(value: &mut Value) {
    match value {
        Value::Number(n) => *value = Value::from(n.to_string()),
        Value::Array(all) => all.iter_mut().for_each(ids_as_strings),
        Value::Object(all) => all.values_mut().for_each(ids_as_strings),
        _ => {}
    }
}

fn unknown_fields(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(unknown_fields),
        Value::Object(all) => {
            all.values_mut().for_each(unknown_fields);
            all.insert(
                "aFieldOfTomorrow".to_owned(),
                serde_json::json!({"x": [1, null]}),
            );
        }
        _ => {}
    }
}

#[test]
fn numbers_as_strings_and_unknown_fields_change_nothing() {
    for (file, check) in FIXTURES {
        let expected = check(body(file));
        let mut changed = body(file);
        ids_as_strings(&mut changed);
        unknown_fields(&mut changed);
        let found = check(changed);
        // The kind of a custom field's marker is kept as it came.
        let plain = |shown: Result<String, String>| shown.map(|s| s.replace("String(", "Number("));
        assert_eq!(
            plain(found.clone()).is_ok(),
            plain(expected.clone()).is_ok(),
            "{file}"
        );
        if !file.contains("comment") {
            assert_eq!(found, expected, "{file}");
        }
    }
}

proptest! {
    #[test]
    fn changed_fixtures_never_panic(
        nth in 0..FIXTURES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), strange()), 1..6),
    ) {
        let (file, check) = FIXTURES[nth];
        let mut value = body(file);
        for (at, new) in edits {
            let mut at = at.index(size(&value));
            put(&mut value, &mut at, &new);
        }
        let _decoded = check(value);
    }

    #[test]
    fn changed_activities_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), strange()), 0..6),
        kind in 0u64..60,
    ) {
        let mut value = serde_json::json!({
            "id": 9, "project": {"id": 1, "projectKey": "PROJ"}, "type": kind,
            "content": {
                "id": 5, "key_id": 3, "summary": "s", "comment": {"id": 8, "content": "c"},
                "changes": [{"field": "status", "new_value": "2", "old_value": "1", "type": "standard"}],
                "change": {"field": "status", "new_value": "2", "type": "standard"},
                "link": [{"id": 5, "key_id": 3, "title": "t", "comment": {"id": 8, "content": "c"}}],
            },
            "notifications": [], "createdUser": {"id": 1, "name": "a"}, "created": "2026-01-01T00:00:00Z",
        });
        for (at, new) in edits {
            let mut at = at.index(size(&value));
            put(&mut value, &mut at, &new);
        }
        if let Ok(activity) = serde_json::from_value::<Activity>(value) {
            let _used = (activity.what(), activity.touched(), activity.status_changes());
        }
    }
}
