//! The adapter against the fake, where GitLab surprises; and the shapes others recorded.

use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::tracker::IssueName;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::StatusEventKind;
use pipeline_core::tracker::Tracker as _;

use super::*;
use crate::fake::FakeGitLab;
use crate::fake::FakeServer;
use crate::fake::Fault;
use crate::fake::TooMany;
use crate::finding::Probe as _;

const REVIEW: &str = FakeGitLab::STATUSES[0];
const PROGRESS: &str = FakeGitLab::STATUSES[1];

struct World {
    clock: Arc<ScriptedClock>,
    server: FakeServer<FakeGitLab>,
    tracker: GitLabTracker,
}

impl World {
    fn new() -> Self {
        Self::with(|options| options)
    }

    fn with(change: impl FnOnce(GitLabOptions) -> GitLabOptions) -> Self {
        let start = Timestamp::parse("2026-03-01T09:00:00Z").unwrap();
        let clock = Arc::new(ScriptedClock::jumping(start));
        let server = FakeServer::start(FakeGitLab::new(Arc::clone(&clock) as _)).unwrap();
        let options = GitLabOptions::new(server.service().project_url(&server.url()));
        let options = change(options.settle(Duration::ZERO));
        let token = Secret::new(FakeGitLab::TOKEN);
        let tracker = GitLabTracker::with_clock(options, token, Arc::clone(&clock) as _).unwrap();
        Self {
            clock,
            server,
            tracker,
        }
    }

    fn gitlab(&self) -> &FakeGitLab {
        self.server.service()
    }

    fn wait(&self) {
        self.clock.advance(Duration::from_secs(5));
    }

    fn filed(&self) -> (u64, IssueKey) {
        let iid = self.gitlab().file("alice", "Login fails", "Since Monday.");
        self.wait();
        (iid, IssueKey::new(iid.to_string()).unwrap())
    }

    async fn last(&self, key: &IssueKey) -> StatusEvent {
        self.tracker
            .history(key)
            .await
            .unwrap()
            .value
            .pop()
            .unwrap()
    }
}

#[tokio::test]
async fn a_renamed_label_is_named_and_never_made_again() {
    let w = World::new();
    let ids = w.tracker.label_ids().await.unwrap();
    assert!(ids.open.is_none() && ids.spec_review.is_some() && ids.in_progress.is_some());
    let options = GitLabOptions::new(w.gitlab().project_url(&w.server.url()));
    let options = options.settle(Duration::ZERO).label_ids(ids);
    let token = Secret::new(FakeGitLab::TOKEN);
    let pinned = GitLabTracker::with_clock(options, token, Arc::clone(&w.clock) as _).unwrap();
    let (_, key) = w.filed();
    let step = Transition::triaged();
    // It was read a moment ago, and is looked at again before the move.
    pinned.issue(&key).await.unwrap();
    w.gitlab().rename_label(REVIEW, "to be reviewed");
    let labels = |w: &World| w.gitlab().label_names();
    let before = labels(&w);
    for tracker in [&pinned, &w.tracker] {
        let error = tracker.transition(&key, &step, None).await.unwrap_err();
        assert!(error.to_string().contains("to be reviewed"), "{error}");
    }
    insta::assert_snapshot!(pinned.issue(&key).await.unwrap_err(), @"gitlab: the status `status::spec review` is called `to be reviewed` now: change its name in [tracker.statuses], or rename it back");
    // Another label of the old name is another label.
    w.gitlab().relabel("alice", 1, &[REVIEW], &[]);
    w.gitlab().delete_label("to be reviewed");
    w.clock.advance(Duration::from_secs(301));
    insta::assert_snapshot!(pinned.issue(&key).await.unwrap_err(), @"gitlab: the status `status::spec review` is not the one that `init` wrote down: if the new one is meant, correct its id in the configuration");
    assert_eq!(labels(&w).len(), before.len(), "only the person made one");
    // Without ids the name alone counts, as before.
    w.tracker.issue(&key).await.unwrap();
}

#[tokio::test]
async fn two_status_labels_are_neither_status_and_name_themselves() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.gitlab().relabel("alice", iid, &[REVIEW, PROGRESS], &[]);
    let issue = w.tracker.issue(&key).await.unwrap().value;
    assert_eq!(
        issue.status.name(),
        "several statuses at once: remove all but one of the labels `status::spec review`, `status::in progress`"
    );
    let listed = w
        .tracker
        .list_issues(&IssueQuery::in_status(Status::InProgress))
        .await
        .unwrap();
    assert_eq!(listed.value, []);
    let moved = w
        .tracker
        .transition(&key, &Transition::triaged(), None)
        .await;
    assert!(
        matches!(moved, Err(TrackerError::StatusChanged { .. })),
        "{moved:?}"
    );
    assert_eq!(w.last(&key).await.kind, StatusEventKind::Ambiguous);
}

#[tokio::test]
async fn a_status_made_by_two_people_is_nobodys_move() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.gitlab().relabel("alice", iid, &[REVIEW], &[]);
    w.wait();
    w.gitlab().relabel("mallory", iid, &[PROGRESS], &[]);
    w.wait();
    w.gitlab().relabel("alice", iid, &[], &[REVIEW]);
    let last = w.last(&key).await;
    assert_eq!(
        (last.to, last.kind),
        (Status::InProgress, StatusEventKind::Ambiguous)
    );
    // One person who does both in two steps has moved it.
    let (iid, key) = w.filed();
    w.gitlab().relabel("alice", iid, &[REVIEW], &[]);
    w.wait();
    w.gitlab().relabel("bob", iid, &[PROGRESS], &[]);
    w.wait();
    w.gitlab().relabel("bob", iid, &[], &[REVIEW]);
    let last = w.last(&key).await;
    assert_eq!(
        (last.to, last.kind),
        (Status::InProgress, StatusEventKind::Move)
    );
    assert_eq!(last.actor.unwrap().login.as_deref(), Some("bob"));
}

#[tokio::test]
async fn closing_ends_a_round_and_reopening_by_another_starts_none() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.gitlab().set_status("alice", iid, Some(PROGRESS));
    w.wait();
    let started = w.last(&key).await;
    w.gitlab().close("alice", iid, true);
    w.wait();
    assert_eq!(
        w.tracker.issue(&key).await.unwrap().value.status.name(),
        "Closed"
    );
    w.gitlab().close("mallory", iid, false);
    let last = w.last(&key).await;
    assert_eq!(
        (last.to.clone(), last.kind),
        (Status::InProgress, StatusEventKind::Ambiguous)
    );
    assert!(last.id > started.id, "{last:?}");
    w.wait();
    w.gitlab().set_status("alice", iid, None);
    w.wait();
    w.gitlab().set_status("alice", iid, Some(PROGRESS));
    let again = w.last(&key).await;
    assert!(
        again.id > last.id && again.kind == StatusEventKind::Move,
        "{again:?}"
    );
}

#[tokio::test]
async fn a_gone_account_leaves_a_move_without_actor() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.gitlab().set_status("eve", iid, Some(PROGRESS));
    w.gitlab().delete_account("eve");
    assert_eq!(w.last(&key).await.actor, None);
}

#[tokio::test]
async fn a_renamed_or_deleted_status_label_is_named_and_stops_everything() {
    for change in ["rename", "delete"] {
        let w = World::new();
        let (iid, key) = w.filed();
        w.gitlab().set_status("alice", iid, Some(PROGRESS));
        assert_eq!(
            w.tracker.issue(&key).await.unwrap().value.status,
            Status::InProgress
        );
        if change == "rename" {
            w.gitlab().rename_label(PROGRESS, "doing");
            // Its id is what counts, as long as it is known.
            assert_eq!(
                w.tracker.issue(&key).await.unwrap().value.status,
                Status::InProgress
            );
        } else {
            w.gitlab().delete_label(PROGRESS);
        }
        w.clock.advance(Duration::from_secs(600));
        let error = w.tracker.issue(&key).await.unwrap_err();
        assert!(
            matches!(&error, TrackerError::UnknownStatus { name, .. } if name == PROGRESS),
            "{change}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_move_touches_no_other_label() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.gitlab().relabel("alice", iid, &["bug", "shop"], &[]);
    w.tracker
        .transition(&key, &Transition::triaged(), None)
        .await
        .unwrap();
    let mut labels = w.gitlab().labels(iid);
    labels.sort();
    assert_eq!(labels, ["bug", "shop", REVIEW]);
}

#[tokio::test]
async fn a_note_that_gitlab_takes_for_a_command_is_altered_or_nothing() {
    let w = World::new();
    let (iid, key) = w.filed();
    let none = w.tracker.add_comment(&key, "/close").await.unwrap_err();
    assert!(
        matches!(none, TrackerError::Altered { comment: None, .. }),
        "{none:?}"
    );
    let cut = w
        .tracker
        .add_comment(&key, "text\n/reopen")
        .await
        .unwrap_err();
    assert!(
        matches!(
            cut,
            TrackerError::Altered {
                comment: Some(_),
                ..
            }
        ),
        "{cut:?}"
    );
    let harmless = w.tracker.dialect().neutralise("text\n/close");
    w.tracker.add_comment(&key, &harmless).await.unwrap();
    assert_eq!(w.gitlab().notes(iid).len(), 2);
}

#[tokio::test]
async fn internal_notes_and_confidential_issues_where_configured() {
    let w = World::with(|o| o.internal_notes(true).confidential(true));
    let (_, key) = w.filed();
    w.tracker.add_comment(&key, "between us").await.unwrap();
    let draft = IssueDraft {
        title: "x".to_owned(),
        ..IssueDraft::default()
    };
    w.tracker.create_issue(&draft).await.unwrap();
    let sent: Vec<_> = w
        .server
        .log()
        .all()
        .into_iter()
        .filter(|r| r.is_write())
        .collect();
    assert_eq!(sent[0].json()["internal"], true);
    assert_eq!(sent[1].json()["confidential"], true);
}

#[tokio::test]
async fn a_project_is_found_under_a_relative_root_and_after_it_moved() {
    for root in [&[][..], &["gitlab"][..], &["a", "b", "gitlab"][..]] {
        let clock = Arc::new(ScriptedClock::jumping(
            Timestamp::EPOCH.plus(Duration::from_secs(1 << 30)),
        ));
        let fake = FakeGitLab::new(Arc::clone(&clock) as _).under(root);
        let server = FakeServer::start(fake).unwrap();
        let project = server.service().project_url(&server.url());
        server.service().move_project(&["elsewhere", "shop"]);
        let options = GitLabOptions::new(project);
        let token = Secret::new(FakeGitLab::TOKEN);
        let tracker = GitLabTracker::with_clock(options, token, Arc::clone(&clock) as _).unwrap();
        let key = IssueKey::new(server.service().file("alice", "x", "y").to_string()).unwrap();
        tracker
            .add_comment(&key, "Written by number, so that no redirect is needed.")
            .await
            .unwrap();
        let found = tracker.probe().await.unwrap();
        assert!(found[0].what.contains("elsewhere/shop"), "{found:?}");
    }
}

#[tokio::test]
async fn what_the_account_may_not_do_is_told_before_it_tries() {
    let w = World::new();
    assert_eq!(w.tracker.probe().await.unwrap(), []);
    w.gitlab().switch(|s| s.read_only = true);
    let found = w.tracker.probe().await.unwrap();
    assert!(found[0].cure.contains("Reporter"), "{found:?}");
    w.gitlab().switch(|s| s.token_expired = true);
    assert!(matches!(
        w.tracker.me().await,
        Err(TrackerError::Unauthenticated { .. })
    ));
}

#[tokio::test]
async fn short_pages_duplicated_rows_and_both_kinds_of_paging() {
    for keyset in [true, false] {
        let w = World::new();
        w.gitlab().switch(|s| {
            (s.page, s.duplicated_rows, s.keyset) = (2, true, keyset);
        });
        let made: Vec<_> = (0..7).map(|_| w.filed().1).collect();
        let listed = w
            .tracker
            .list_issues(&IssueQuery::default())
            .await
            .unwrap()
            .value;
        let keys: Vec<_> = listed.into_iter().map(|i| i.key).collect();
        assert_eq!(keys, made, "keyset: {keyset}");
    }
}

#[tokio::test]
async fn a_comment_within_a_minute_of_another_change_is_not_missed() {
    let w = World::new();
    let (iid, key) = w.filed();
    w.clock.advance(Duration::from_secs(600));
    w.gitlab()
        .comment("alice", iid, "This moves the issue's time.");
    w.clock.advance(Duration::from_secs(20));
    let mark = w.tracker.changes(None).await.unwrap().value.next;
    w.clock.advance(Duration::from_secs(20));
    w.gitlab().comment("alice", iid, "This does not.");
    w.clock.advance(Duration::from_secs(3600));
    let changes = w.tracker.changes(Some(&mark)).await.unwrap().value;
    assert!(
        changes.issues.contains(&key) && changes.complete,
        "{changes:?}"
    );
    // And then it is quiet.
    let quiet = w.tracker.changes(Some(&changes.next)).await.unwrap().value;
    assert_eq!(quiet.issues.len(), 0);
}

#[tokio::test]
async fn a_quiet_poll_of_a_thousand_issues_costs_two_requests() {
    let w = World::new();
    for i in 0..1000 {
        let iid = w.gitlab().file("alice", "x", "y");
        let status = if i % 2 == 0 { REVIEW } else { PROGRESS };
        w.gitlab().set_status("alice", iid, Some(status));
    }
    w.clock.advance(Duration::from_secs(3600));
    let mark = w.tracker.changes(None).await.unwrap().value.next;
    w.clock.advance(Duration::from_secs(900));
    // As a new process does it, which knows nothing but the mark.
    let options = GitLabOptions::new(w.gitlab().project_url(&w.server.url()));
    let token = Secret::new(FakeGitLab::TOKEN);
    let tracker = GitLabTracker::with_clock(options, token, Arc::clone(&w.clock) as _).unwrap();
    w.server.log().clear();
    let changes = tracker.changes(Some(&mark)).await.unwrap().value;
    assert_eq!((changes.issues.len(), w.server.log().len()), (0, 2));
    w.server.log().clear();
    tracker.changes(Some(&changes.next)).await.unwrap();
    assert_eq!(w.server.log().len(), 1);
}

#[tokio::test]
async fn both_limits_are_waited_for_by_reads_and_kept_below() {
    for (form, wait) in [
        (TooMany::WithHeaders, 30),
        (TooMany::ResetOnly, 30),
        (TooMany::Untold, 60),
    ] {
        let w = World::new();
        let (_, key) = w.filed();
        w.tracker.issue(&key).await.unwrap();
        let before = w.clock.elapsed();
        w.server.faults().next(1, Fault::TooMany(form));
        w.tracker.issue(&key).await.unwrap();
        let waited = w.clock.elapsed().saturating_sub(before);
        assert!(
            (wait..=wait + 31).contains(&waited.as_secs()),
            "{form:?}: {waited:?}"
        );
    }
    let w = World::new();
    let (_, key) = w.filed();
    w.gitlab().switch(|s| s.requests_per_minute = Some(20));
    for _ in 0..60 {
        w.tracker.issue(&key).await.unwrap();
    }
    let refused = w.server.log().len() > 62 + 2;
    assert!(
        !refused,
        "{} requests: some were refused and repeated",
        w.server.log().len()
    );
}

#[tokio::test]
async fn labels_and_milestones_are_made_once_and_drafts_name_only_what_is_there() {
    let w = World::new();
    for name in [
        IssueName::Label("plan".to_owned()),
        IssueName::Milestone("v1".to_owned()),
    ] {
        w.tracker.provide(&name).await.unwrap();
        w.tracker.provide(&name).await.unwrap();
    }
    let writes = w.server.log().count(crate::fake::FakeRequest::is_write);
    assert_eq!(writes, 2);
    let bad = IssueName::Label("a,b".to_owned());
    assert!(matches!(
        w.tracker.provide(&bad).await,
        Err(TrackerError::Unsupported { .. })
    ));
    let mut draft = IssueDraft {
        title: "x".to_owned(),
        labels: vec!["plan".to_owned()],
        milestone: Some("v1".to_owned()),
        kind: Some("task".to_owned()),
        ..IssueDraft::default()
    };
    let made = w.tracker.create_issue(&draft).await.unwrap();
    let issue = w.tracker.issue(&made.key).await.unwrap().value;
    assert_eq!(
        (issue.milestone.as_deref(), issue.kind.as_deref()),
        (Some("v1"), Some("task"))
    );
    draft.labels.push("nowhere".to_owned());
    w.server.log().clear();
    let refused = w.tracker.create_issue(&draft).await;
    assert!(
        matches!(refused, Err(TrackerError::NotFound { .. })),
        "{refused:?}"
    );
    assert_eq!(w.server.log().count(crate::fake::FakeRequest::is_write), 0);
}

#[tokio::test]
async fn an_edited_note_says_so_and_a_hidden_issue_is_not_found() {
    let w = World::new();
    let (iid, key) = w.filed();
    let note = w.gitlab().comment("alice", iid, "OK").unwrap();
    w.wait();
    assert_eq!(
        w.tracker.comments(&key).await.unwrap().value[0].edited,
        None
    );
    w.gitlab().edit_note(iid, note, "OK abc");
    assert!(
        w.tracker.comments(&key).await.unwrap().value[0]
            .edited
            .is_some()
    );
    w.gitlab().hide(iid, true);
    for missing in [
        w.tracker.issue(&key).await.map(drop),
        w.tracker.comments(&key).await.map(drop),
        w.tracker.add_comment(&key, "x").await.map(drop),
    ] {
        assert!(
            matches!(missing, Err(TrackerError::NotFound { .. })),
            "{missing:?}"
        );
    }
}

#[tokio::test]
async fn what_is_refused_as_not_found_is_not_taken_for_gone_while_the_issue_is_there() {
    let w = World::new();
    let (_, key) = w.filed();
    w.tracker.issue(&key).await.unwrap();
    for part in [
        "notes",
        "resource_label_events",
        "resource_state_events",
        "issues",
    ] {
        let last = move |r: &crate::fake::FakeRequest| r.segments.last().is_some_and(|s| s == part);
        w.server.faults().when(1, Fault::NotFound, last);
        let refused = match part {
            "notes" => w.tracker.comments(&key).await.map(drop),
            "issues" => w.tracker.issue(&key).await.map(drop),
            _ => w.tracker.history(&key).await.map(drop),
        };
        assert!(
            matches!(refused, Err(TrackerError::PermissionDenied { .. })),
            "{part}: {refused:?}"
        );
    }
}

mod recorded {
    //! What others recorded or copied from GitLab's documentation: every file decodes, and stays decodable when it is
    //! bent as services bend things.

    use pipeline_core::secret::Secret;
    use serde_json::Value;

    use super::super::hook::webhook;
    use super::super::wire;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/fixtures/gitlab/",
                $name
            ))
        };
    }

    /// Returns the document, with every number as text, with an unknown field everywhere, and with null for whatever is
    /// no object, list or id.
    fn bent(text: &str) -> Vec<Value> {
        fn walk(value: &Value, change: &dyn Fn(&str, &Value) -> Option<Value>, key: &str) -> Value {
            if let Some(changed) = change(key, value) {
                return changed;
            }
            match value {
                Value::Array(all) => all.iter().map(|v| walk(v, change, key)).collect(),
                Value::Object(fields) => fields
                    .iter()
                    .map(|(k, v)| (k.clone(), walk(v, change, k)))
                    .chain([("a_field_of_tomorrow".to_owned(), Value::from(vec![1]))])
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
                other => other.clone(),
            }
        }
        let whole: Value = serde_json::from_str(text).unwrap();
        let texts = |_: &str, v: &Value| v.is_u64().then(|| Value::from(v.to_string()));
        let needed = [
            "id", "iid", "name", "title", "url", "state", "action", "system",
        ];
        let nulls = |k: &str, v: &Value| {
            (!k.is_empty() && !needed.contains(&k) && (v.is_string() || v.is_object()))
                .then_some(Value::Null)
        };
        vec![
            whole.clone(),
            walk(&whole, &texts, ""),
            walk(&whole, &nulls, ""),
        ]
    }

    fn each<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
        bent(text)
            .into_iter()
            .map(|v| serde_json::from_value(v).unwrap())
            .collect()
    }

    #[test]
    fn every_reply_decodes() {
        let issue = &each::<wire::Issue>(fixture!("api/issue.json"))[0];
        assert_eq!((issue.iid, issue.state.as_str()), (1, "closed"));
        assert_eq!(issue.milestone.as_ref().unwrap().id, 11);
        let note = &each::<wire::Note>(fixture!("api/note.json"))[0];
        assert_eq!((note.id, note.system), (1659, false));
        let events = &each::<Vec<wire::LabelEvent>>(fixture!("api/label-events.json"))[0];
        assert_eq!((events[0].id, events[0].action.as_str()), (142, "add"));
        assert_eq!(events[0].label.as_ref().unwrap().id, Some(73));
        assert!(each::<Vec<wire::Label>>(fixture!("api/labels.json"))[0].len() > 3);
        assert_eq!(
            each::<wire::Milestone>(fixture!("api/milestone.json"))[0].title,
            "1.0"
        );
        let upload = &each::<wire::Upload>(fixture!("api/file-upload.json"))[0];
        assert!(upload.url.starts_with("/uploads/66dbcd21"));
    }

    #[test]
    fn the_fake_answers_with_every_field_of_the_recorded_shapes_that_is_read() {
        use crate::fake::FakeService as _;
        let clock = std::sync::Arc::new(pipeline_core::clock::SystemClock);
        let fake = crate::fake::FakeGitLab::new(clock);
        let iid = fake.file("alice", "x", "y");
        fake.comment("alice", iid, "z");
        fake.relabel("alice", iid, &["bug"], &[]);
        let ask = |path: &str| {
            let request = crate::fake::FakeRequest {
                method: "GET".to_owned(),
                path: format!("/api/v4/projects/4711/{path}"),
                segments: format!("api/v4/projects/4711/{path}")
                    .split('/')
                    .map(str::to_owned)
                    .collect(),
                query: Vec::new(),
                headers: vec![(
                    "private-token".to_owned(),
                    crate::fake::FakeGitLab::TOKEN.to_owned(),
                )],
                body: Vec::new(),
            };
            serde_json::from_slice::<Value>(&fake.answer(&request).body).unwrap()
        };
        let of_issue = |what: &str| ask(&format!("issues/{iid}/{what}"))[0].clone();
        for (recorded, ours, read) in [
            (
                fixture!("api/issue.json"),
                ask(&format!("issues/{iid}")),
                &[
                    "iid",
                    "title",
                    "description",
                    "state",
                    "created_at",
                    "updated_at",
                    "labels",
                    "milestone",
                    "author",
                    "web_url",
                    "assignee",
                ][..],
            ),
            (
                fixture!("api/note.json"),
                of_issue("notes"),
                &["id", "body", "author", "created_at", "updated_at", "system"],
            ),
            (
                fixture!("api/label-events.json"),
                of_issue("resource_label_events"),
                &["id", "user", "created_at", "label", "action"],
            ),
        ] {
            let recorded: Value = serde_json::from_str(recorded).unwrap();
            let recorded = recorded.get(0).unwrap_or(&recorded);
            for field in read {
                assert!(
                    recorded.get(field).is_some(),
                    "{field} is not in the recorded shape"
                );
                assert!(ours.get(field).is_some(), "{field} is not in the fake's");
            }
        }
    }

    #[test]
    fn every_webhook_is_a_hint_and_none_makes_the_reader_fall() {
        let secret = Secret::new("hook");
        for (body, issue) in [
            (fixture!("webhooks/gitlab4j_issue-event.json"), "23"),
            (fixture!("webhooks/gitlab4j_note-issue-event.json"), "17"),
            (fixture!("webhooks/go-gitlab_issue.json"), "23"),
            (fixture!("webhooks/go-gitlab_note_issue.json"), "17"),
        ] {
            let hint = webhook(&secret, "hook", body.as_bytes()).unwrap().unwrap();
            assert_eq!(hint.issue.as_str(), issue);
            assert!(webhook(&secret, "other", body.as_bytes()).is_err());
            for cut in (0..body.len()).step_by(97) {
                let cut = body.as_bytes().get(..cut).unwrap();
                assert!(webhook(&secret, "hook", cut).is_err());
            }
            for bent in bent(body) {
                drop(webhook(&secret, "hook", bent.to_string().as_bytes()));
            }
        }
        let push = br#"{"object_kind": "push"}"#;
        assert_eq!(webhook(&secret, "hook", push), Ok(None));
    }
}
