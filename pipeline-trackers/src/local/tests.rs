use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::status::Transition;
use pipeline_core::tracker::ChangeMark;
use pipeline_core::tracker::Tracker as _;
use tempfile::TempDir;

use super::*;

struct Desk {
    _scratch: TempDir,
    dir: PathBuf,
    pipeline: LocalTracker,
    alice: LocalTracker,
}

fn desk() -> Desk {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("tracker");
    LocalTracker::init(&dir, &LocalStatuses::default()).unwrap();
    let pipeline = LocalTracker::open(&dir, Actor::pipeline()).unwrap();
    let alice = pipeline.acting_as(Actor::person("alice").unwrap());
    Desk {
        _scratch: scratch,
        dir,
        pipeline,
        alice,
    }
}

fn titled(title: &str) -> IssueDraft {
    IssueDraft {
        title: title.to_owned(),
        ..IssueDraft::default()
    }
}

impl Desk {
    async fn issue(&self) -> IssueKey {
        let created = self.alice.create_issue(&titled("Login fails")).await;
        created.unwrap().key
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log.jsonl")
    }
}

/// Renders an error and everything below it, as a person sees it.
fn said(error: &TrackerError, desk: &Desk) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text.replace(&desk.dir.display().to_string(), "DIR")
}

#[tokio::test]
async fn what_one_handle_writes_another_one_reads_at_once() {
    let desk = desk();
    let other = LocalTracker::open(&desk.dir, Actor::person("bob").unwrap()).unwrap();
    let key = desk.issue().await;
    let ours = desk.pipeline.add_comment(&key, "a").await.unwrap().value;
    let theirs = other.add_comment(&key, "b").await.unwrap().value;
    assert!(ours.id < theirs.id);
    let thread = desk.pipeline.comments(&key).await.unwrap().value;
    assert_eq!(thread, [ours, theirs]);
    assert_eq!(thread, other.comments(&key).await.unwrap().value);
    assert_eq!(thread[1].author.id, "person:bob");
    assert_eq!(desk.pipeline.identity(), other.identity());
}

#[tokio::test]
async fn the_log_tells_the_story_in_order() {
    let desk = desk();
    let key = desk.issue().await;
    desk.pipeline
        .transition(&key, &Transition::triaged(), Some("見ました。\nOK"))
        .await
        .unwrap();
    let log = fs::read_to_string(desk.log()).unwrap();
    let story: Vec<_> = log
        .lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            for moving in ["at", "sum", "tracker"] {
                line.as_object_mut().unwrap().remove(moving);
            }
            line.to_string()
        })
        .collect();
    insta::assert_snapshot!(story.join("\n"), @r#"
    {"by":"pipeline","do":"init","format":1,"seq":1,"statuses":{"in_progress":"In progress","open":"Open","others":["Resolved","Closed"],"spec_review":"Spec/log review"}}
    {"body":"","by":"person:alice","do":"new","issue":"1","kind":null,"labels":[],"milestone":null,"priority":null,"seq":2,"title":"Login fails"}
    {"by":"pipeline","do":"move","from":"Open","id":2,"issue":"1","memo":{"body":"見ました。\nOK","id":1},"seq":3,"to":"Spec/log review"}
    "#);
}

#[tokio::test]
async fn a_person_edits_and_deletes_and_the_pipeline_may_not() {
    let desk = desk();
    let key = desk.issue().await;
    let first = desk.pipeline.add_comment(&key, "ours").await.unwrap().value;
    let edit = IssueEdit::new()
        .title("Login fails on Mondays")
        .assignee(Some(Actor::person("bob").unwrap()))
        .priority(Some(2));
    desk.alice.edit(&key, edit.clone()).await.unwrap();
    desk.alice
        .edit_comment(&key, first.id, "theirs")
        .await
        .unwrap();
    let issue = desk.pipeline.issue(&key).await.unwrap().value;
    assert_eq!(issue.title, "Login fails on Mondays");
    assert_eq!(issue.priority, Some(2));
    assert_eq!(issue.assignee.unwrap().id, "person:bob");
    let thread = desk.pipeline.comments(&key).await.unwrap().value;
    assert_eq!(thread[0].body, "theirs");
    assert!(thread[0].edited.is_some());
    assert_eq!(thread[0].author.id, "pipeline");

    desk.alice.delete_comment(&key, first.id).await.unwrap();
    let next = desk
        .pipeline
        .add_comment(&key, "again")
        .await
        .unwrap()
        .value;
    assert!(next.id > first.id);
    let gone = desk.alice.delete_comment(&key, first.id).await.unwrap_err();
    assert!(matches!(gone, TrackerError::NotFound { .. }));

    for refused in [
        desk.pipeline.move_to(&key, &Status::InProgress).await,
        desk.pipeline.edit(&key, edit).await,
        desk.pipeline.edit_comment(&key, next.id, "x").await,
        desk.pipeline.delete_comment(&key, next.id).await,
        desk.pipeline.delete_issue(&key).await,
    ] {
        assert!(matches!(
            refused,
            Err(TrackerError::PermissionDenied { .. })
        ));
    }
    desk.alice.delete_issue(&key).await.unwrap();
    assert!(desk.pipeline.issue(&key).await.is_err());
    assert_ne!(desk.issue().await, key);
}

#[tokio::test]
async fn every_refusal_is_a_sentence() {
    let desk = desk();
    let key = desk.issue().await;
    let missing = IssueKey::new("99").unwrap();
    let mut said_all = Vec::new();
    let mut note = |error: TrackerError| said_all.push(said(&error, &desk));
    note(desk.pipeline.issue(&missing).await.unwrap_err());
    note(
        desk.pipeline
            .attachment(&key, AttachmentId(7))
            .await
            .unwrap_err(),
    );
    note(desk.alice.status_named("Doing").await.unwrap_err());
    note(desk.alice.move_to(&key, &Status::Open).await.unwrap_err());
    note(
        desk.pipeline
            .move_to(&key, &Status::InProgress)
            .await
            .unwrap_err(),
    );
    note(desk.alice.create_issue(&titled("a\nb")).await.unwrap_err());
    note(
        desk.alice
            .add_comment(&key, &"x".repeat(400_001))
            .await
            .unwrap_err(),
    );
    note(desk.alice.attach(&key, "", b"x").await.unwrap_err());
    desk.alice.move_to(&key, &Status::SpecReview).await.unwrap();
    note(
        desk.pipeline
            .transition(&key, &Transition::triaged(), None)
            .await
            .unwrap_err(),
    );
    let names = LocalStatuses::new("Open", "Review", "Doing", [""; 0]).unwrap();
    desk.alice
        .move_to(&key, &Status::Other("Closed".into()))
        .await
        .unwrap();
    note(LocalTracker::init(&desk.dir, &names).unwrap_err());
    note(LocalTracker::open(desk.dir.join("nowhere"), Actor::pipeline()).unwrap_err());
    note(LocalTracker::init(desk.dir.parent().unwrap(), &names).unwrap_err());
    let said_all = said_all
        .join("\n")
        .replace(&desk.dir.parent().unwrap().display().to_string(), "TMP");
    insta::assert_snapshot!(said_all, @"
    local has no issue 99, or this account may not see it
    local has no attachment 7 on issue 1, or this account may not see it
    local has no status `Doing`: create it or change its name in [tracker.statuses] (there are: Open, Spec/log review, In progress, Resolved, Closed)
    local cannot move issue 1 to `Open`, where it is already
    local does not let this account move an issue at will, which only a person may: give it a role that may
    local cannot take a title that is not 1 to 255 characters on one line
    the comment is larger than 400000 bytes
    local cannot take a file whose name is empty or longer than 255 characters
    issue 1 is in `Spec/log review`, not in `Open`: somebody moved it meanwhile
    local cannot drop the status `Closed` while issue 1 is in it
    local failed to open DIR/nowhere, which holds no tracker: make one with `init`
    local cannot begin in TMP, which is not empty: name a folder of its own
    ");
}

#[tokio::test]
async fn a_folder_that_holds_something_else_is_left_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("thesis.txt"), "x").unwrap();
    let before = fs::metadata(scratch.path()).unwrap().permissions();
    let refused = LocalTracker::init(scratch.path(), &LocalStatuses::default());
    assert!(matches!(refused, Err(TrackerError::Unsupported { .. })));
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    let after = fs::metadata(scratch.path()).unwrap().permissions();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_make_the_same_move_one_makes_it() {
    let desk = desk();
    for _ in 0..10 {
        let key = desk.issue().await;
        let movers = (0..4).map(|i| {
            // Half of them share what was read, the others have opened the folder themselves.
            let tracker = match i % 2 {
                0 => desk.pipeline.clone(),
                _ => LocalTracker::open(&desk.dir, Actor::pipeline()).unwrap(),
            };
            let key = key.clone();
            tokio::spawn(async move {
                let step = Transition::triaged();
                tracker.transition(&key, &step, Some("memo")).await
            })
        });
        let mut made = 0;
        for mover in movers.collect::<Vec<_>>() {
            match mover.await.unwrap() {
                Ok(_) => made += 1,
                Err(TrackerError::StatusChanged { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(desk.pipeline.comments(&key).await.unwrap().value.len(), 1);
        assert_eq!(desk.pipeline.history(&key).await.unwrap().value.len(), 1);
    }
}

#[tokio::test]
async fn statuses_can_be_renamed_and_an_unused_one_dropped() {
    let desk = desk();
    let key = desk.issue().await;
    let names = LocalStatuses::new("未対応", "調査", "処理中", ["完了"]).unwrap();
    LocalTracker::init(&desk.dir, &names).unwrap();
    assert_eq!(desk.alice.statuses().await.unwrap(), names);
    let to = desk.alice.status_named("処理中").await.unwrap();
    desk.alice.move_to(&key, &to).await.unwrap();
    let issue = desk.pipeline.issue(&key).await.unwrap().value;
    assert_eq!(issue.status, Status::InProgress);
    let before = fs::read(desk.log()).unwrap();
    LocalTracker::init(&desk.dir, &names).unwrap();
    assert_eq!(fs::read(desk.log()).unwrap(), before);
}

#[tokio::test]
async fn a_file_is_stored_once_and_a_damaged_one_is_noticed_and_mended() {
    let desk = desk();
    let key = desk.issue().await;
    let first = desk
        .alice
        .attach(&key, "../../etc/passwd", b"abc")
        .await
        .unwrap();
    let second = desk.pipeline.attach(&key, "b.txt", b"abc").await.unwrap();
    assert!(first < second);
    let stored: Vec<_> = fs::read_dir(desk.dir.join("files")).unwrap().collect();
    assert_eq!(stored.len(), 1);
    let path = stored[0].as_ref().unwrap().path();
    assert_eq!(desk.pipeline.attachment(&key, first).await.unwrap(), b"abc");

    fs::write(&path, b"abd").unwrap();
    let error = desk.pipeline.attachment(&key, first).await.unwrap_err();
    assert!(matches!(error, TrackerError::Corrupt { .. }));
    fs::remove_file(&path).unwrap();
    let error = desk.pipeline.attachment(&key, first).await.unwrap_err();
    assert!(matches!(error, TrackerError::Corrupt { .. }));
    desk.alice.attach(&key, "c.txt", b"abc").await.unwrap();
    assert_eq!(desk.pipeline.attachment(&key, first).await.unwrap(), b"abc");
    let other = desk.issue().await;
    let error = desk.pipeline.attachment(&other, first).await.unwrap_err();
    assert!(matches!(error, TrackerError::NotFound { .. }));
}

#[tokio::test]
async fn a_changed_or_replaced_log_is_refused_with_file_line_and_remedy() {
    let desk = desk();
    let key = desk.issue().await;
    desk.pipeline.add_comment(&key, "one").await.unwrap();
    let whole = fs::read_to_string(desk.log()).unwrap();

    fs::write(desk.log(), whole.replace("\"one\"", "\"two\"")).unwrap();
    let seen = desk.pipeline.comments(&key).await;
    let fresh = LocalTracker::open(&desk.dir, Actor::pipeline()).unwrap_err();
    insta::assert_snapshot!(said(&fresh, &desk), @"DIR/log.jsonl, line 3, is damaged: its checksum is not that of its text and of the lines before it; undo the change or restore the folder from a backup (nothing was written)");
    // What was read before is still what it was; only a process that starts anew reads the change.
    assert_eq!(seen.unwrap().value[0].body, "one");

    let (first, _) = whole.split_once('\n').unwrap();
    fs::write(desk.log(), format!("{first}\n")).unwrap();
    let cut = desk.pipeline.comments(&key).await.unwrap_err();
    insta::assert_snapshot!(said(&cut, &desk), @"DIR/log.jsonl, line 3, is damaged: what this process read before is gone, so the file was cut or replaced; if that was meant, start the process again; undo the change or restore the folder from a backup (nothing was written)");
    let write = desk.pipeline.add_comment(&key, "x").await.unwrap_err();
    assert!(matches!(write, TrackerError::Corrupt { .. }));

    fs::write(desk.log(), "").unwrap();
    let empty = LocalTracker::open(&desk.dir, Actor::pipeline()).unwrap_err();
    insta::assert_snapshot!(said(&empty, &desk), @"DIR/log.jsonl, line 1, is damaged: it is missing or incomplete; undo the change or restore the folder from a backup (nothing was written)");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_enter_and_a_read_only_folder_still_reads() {
    use std::os::unix::fs::PermissionsExt as _;

    let desk = desk();
    let key = desk.issue().await;
    for (path, mode) in [
        (desk.dir.clone(), 0o700),
        (desk.dir.join("files"), 0o700),
        (desk.log(), 0o600),
        (desk.dir.join("lock"), 0o600),
    ] {
        let found = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{}", path.display());
    }
    for file in ["lock", "log.jsonl"] {
        fs::set_permissions(desk.dir.join(file), fs::Permissions::from_mode(0o400)).unwrap();
    }
    // The superuser writes everywhere, so there is nothing to see for it.
    if fs::OpenOptions::new().write(true).open(desk.log()).is_ok() {
        return;
    }
    assert!(desk.pipeline.issue(&key).await.is_ok());
    let error = desk.pipeline.add_comment(&key, "x").await.unwrap_err();
    assert_eq!(
        said(&error, &desk),
        "local failed to open DIR/lock: Permission denied (os error 13)"
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_says_why_and_still_reads() {
    let desk = desk();
    let key = desk.issue().await;
    fs::remove_file(desk.dir.join("lock")).unwrap();
    fs::create_dir(desk.dir.join("lock")).unwrap();
    assert!(desk.pipeline.issue(&key).await.is_ok());
    let error = desk.pipeline.add_comment(&key, "x").await.unwrap_err();
    let chain = said(&error, &desk);
    assert!(
        chain.starts_with("local failed to open DIR/lock: "),
        "{chain}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_foreign_mark_is_answered_with_everything_and_never_called_complete() {
    let desk = desk();
    let key = desk.issue().await;
    let now = desk.pipeline.changes(None).await.unwrap().value;
    assert!(now.issues.is_empty() && now.complete);
    let (_, sum) = now.next.0.split_once('-').unwrap();
    for foreign in [
        "",
        "0",
        "2",
        "1-0",
        &format!("1-{sum}"),
        &format!("999-{sum}"),
        "x-y",
    ] {
        let mark = ChangeMark(foreign.to_owned());
        let found = desk.pipeline.changes(Some(&mark)).await.unwrap().value;
        assert!(!found.complete, "{foreign}");
        assert_eq!(found.issues, BTreeSet::from([key.clone()]));
        assert_eq!(found.next, now.next);
    }
}
