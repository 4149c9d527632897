//! What Backlog does beside the ordinary, and what the adapter makes of it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::StatusEventKind;
use pipeline_core::tracker::Tracker as _;
use pipeline_core::tracker::TrackerError;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::backlog::NewIssues;
use pipeline_trackers::backlog::OAuthAccess;
use pipeline_trackers::backlog::OAuthTokens;
use pipeline_trackers::backlog::TextMode;
use pipeline_trackers::backlog::TokenStore;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::TooMany;
use pipeline_trackers::fake::backlog::ALICE;
use pipeline_trackers::fake::backlog::BOB;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;
use pipeline_trackers::fake::backlog::Oddities;

struct World {
    server: FakeServer<FakeBacklog>,
    clock: Arc<ScriptedClock>,
}

impl World {
    fn new() -> Self {
        let start = Timestamp::parse("2026-05-04T00:00:00Z").unwrap();
        let clock = Arc::new(ScriptedClock::jumping(start));
        let fake = FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let server = FakeServer::start(fake).unwrap();
        Self { server, clock }
    }

    fn fake(&self) -> &FakeBacklog {
        self.server.service()
    }

    fn options(&self, credential: BacklogCredential) -> BacklogOptions {
        let address = format!("{}projects/WEB", self.server.url());
        BacklogOptions::new(address.parse().unwrap(), credential)
            .settle(Duration::ZERO)
            .page(4)
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn connect(&self) -> BacklogTracker {
        let key = BacklogCredential::ApiKey(Secret::new(KEY));
        BacklogTracker::new(self.options(key)).unwrap()
    }

    fn file(&self, title: &str) -> IssueKey {
        self.clock.advance(Duration::from_secs(1));
        self.fake().file_issue(ALICE, title, "本文").unwrap()
    }
}

fn keys(issues: &[pipeline_core::issue::Issue]) -> Vec<&str> {
    issues.iter().map(|i| i.key.as_str()).collect()
}

#[tokio::test]
async fn a_renamed_status_keeps_its_role_until_the_configuration_is_asked_again() {
    let world = World::new();
    let tracker = world.connect();
    let key = world.file("Renamed under way");
    world
        .fake()
        .move_to(ALICE, &key, "In Progress", "")
        .unwrap();
    assert_eq!(
        tracker.issue(&key).await.unwrap().value.status,
        Status::InProgress
    );
    world.fake().rename_status("In Progress", "Doing").unwrap();
    // The id has not changed, so the issue has not moved.
    assert_eq!(
        tracker.issue(&key).await.unwrap().value.status,
        Status::InProgress
    );
    let last = tracker.history(&key).await.unwrap().value.pop().unwrap();
    assert_eq!(
        (last.to, last.kind),
        (Status::InProgress, StatusEventKind::Move)
    );
    // A list asks for the names, and says which one is missing.
    let query = IssueQuery::in_status(Status::InProgress);
    let error = tracker.list_issues(&query).await.unwrap_err();
    insta::assert_snapshot!(error, @"backlog has no status `In Progress`: create it or change its name in [tracker.statuses] (there are: Open, Doing, Resolved, Closed, Spec/log review)");
}

#[tokio::test]
async fn a_deleted_and_recreated_status_is_found_under_its_new_id() {
    let world = World::new();
    let tracker = world.connect();
    let key = world.file("Triaged");
    world
        .fake()
        .move_to(ALICE, &key, "Spec/log review", "")
        .unwrap();
    let query = IssueQuery::in_status(Status::SpecReview);
    assert_eq!(tracker.list_issues(&query).await.unwrap().value.len(), 1);
    world
        .fake()
        .delete_status(ALICE, "Spec/log review", "In Progress")
        .unwrap();
    // Nobody started it: an administrator tidied up.
    let last = tracker.history(&key).await.unwrap().value.pop().unwrap();
    assert_eq!(
        (last.to, last.kind),
        (Status::InProgress, StatusEventKind::SideEffect)
    );
    world.fake().add_status("Spec/log review");
    world
        .fake()
        .move_to(ALICE, &key, "Spec/log review", "")
        .unwrap();
    assert_eq!(
        keys(&tracker.list_issues(&query).await.unwrap().value),
        ["WEB-1"]
    );
    assert_eq!(
        tracker.issue(&key).await.unwrap().value.status,
        Status::SpecReview
    );
    // And a move goes to the new one.
    let other = world.file("Another");
    tracker
        .transition(&other, &Transition::triaged(), None)
        .await
        .unwrap();
    assert_eq!(
        world.fake().status_of(&other).as_deref(),
        Some("Spec/log review")
    );
}

#[tokio::test]
async fn a_custom_field_called_status_moves_nothing() {
    let world = World::new();
    let tracker = world.connect();
    let key = world.file("With a field");
    world
        .fake()
        .change_custom_status(BOB, &key, "In Progress")
        .unwrap();
    assert_eq!(tracker.history(&key).await.unwrap().value, []);
}

#[tokio::test]
async fn a_memo_and_its_move_are_one_request_and_one_record() {
    let world = World::new();
    let tracker = world.connect();
    let key = world.file("Moved with words");
    world.fake().comment(BOB, &key, "First.").unwrap();
    let reply = tracker
        .transition(&key, &Transition::triaged(), Some("Memo."))
        .await
        .unwrap();
    let comment = reply.value.unwrap();
    assert_eq!(world.server.log().count(|r| r.is_write()), 1);
    let event = tracker.history(&key).await.unwrap().value.pop().unwrap();
    assert_eq!(
        (event.id.0, event.after_comment),
        (comment.id.0, Some(comment.id))
    );
}

#[tokio::test]
async fn a_list_that_moves_while_it_is_read_loses_nobody() {
    let world = World::new();
    let tracker = world.connect();
    let all: Vec<_> = (0..20).map(|i| world.file(&format!("Row {i}"))).collect();
    // As soon as the second page is asked for, an issue of the first one is closed and everything moves up.
    let first = all[1].clone();
    let fake = Arc::clone(self::fake_of(&world));
    let closed = Mutex::new(false);
    world.server.faults().when(
        usize::MAX >> 8,
        Fault::TooMany(TooMany::WithHeaders),
        move |r| {
            let second = r.parameter("offset").is_some_and(|o| o != "0");
            let mut done = closed.lock().unwrap();
            if second && !*done {
                *done = true;
                fake.move_to(ALICE, &first, "Closed", "").unwrap();
            }
            false
        },
    );
    let query = IssueQuery::in_status(Status::Open);
    let listed = tracker.list_issues(&query).await.unwrap().value;
    let expected: Vec<_> = all
        .iter()
        .filter(|k| **k != all[1])
        .map(IssueKey::as_str)
        .collect();
    assert_eq!(keys(&listed), expected);
}

fn fake_of(world: &World) -> &Arc<FakeBacklog> {
    world.server.service()
}

#[tokio::test]
async fn a_list_since_a_time_has_what_was_only_talked_about() {
    let world = World::new();
    let tracker = world.connect();
    let quiet = world.file("Quiet");
    let talked = world.file("Talked about");
    world.clock.advance(Duration::from_secs(5 * 24 * 3600));
    let since = world.clock.now();
    world.clock.advance(Duration::from_secs(60));
    world.fake().comment(BOB, &talked, "Still there?").unwrap();
    let query = IssueQuery {
        statuses: Vec::new(),
        updated_since: Some(since),
    };
    let listed = tracker.list_issues(&query).await.unwrap().value;
    assert_eq!(keys(&listed), [talked.as_str()]);
    assert!(listed.iter().all(|i| i.key != quiet));
}

#[tokio::test]
async fn pages_that_repeat_rows_hold_each_once() {
    let world = World::new();
    world.fake().set_oddities(Oddities {
        duplicate_rows: true,
        ..Oddities::default()
    });
    let tracker = world.connect();
    let key = world.file("A thread");
    for i in 0..15 {
        world
            .fake()
            .comment(BOB, &key, &format!("Comment {i}."))
            .unwrap();
    }
    let thread = tracker.comments(&key).await.unwrap().value;
    let bodies: Vec<_> = thread.iter().map(|c| c.body.clone()).collect();
    assert_eq!(
        bodies,
        (0..15).map(|i| format!("Comment {i}.")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_role_without_the_right_is_told_and_nothing_is_written() {
    let world = World::new();
    world.fake().set_oddities(Oddities {
        role: 3,
        ..Oddities::default()
    });
    let tracker = world.connect();
    let key = world.file("Not ours to move");
    assert_eq!(tracker.may_change_issues().await.unwrap(), Some(false));
    let error = tracker
        .transition(&key, &Transition::triaged(), Some("Memo."))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"backlog does not let this account move an issue: give it a role that may");
    assert_eq!(world.fake().said(&key), []);
}

#[tokio::test]
async fn a_wrong_key_and_a_strange_project_are_told() {
    let world = World::new();
    let wrong = BacklogCredential::ApiKey(Secret::new("another-key-0123456789"));
    let tracker = BacklogTracker::new(world.options(wrong)).unwrap();
    let error = tracker.me().await.unwrap_err();
    assert!(
        matches!(error, TrackerError::Unauthenticated { .. }),
        "{error}"
    );
    let address = format!("{}projects/OTHER", world.server.url())
        .parse()
        .unwrap();
    let options = BacklogOptions::new(address, BacklogCredential::ApiKey(Secret::new(KEY)))
        .clock(Arc::clone(&world.clock) as Arc<dyn Clock>);
    let error = BacklogTracker::new(options)
        .unwrap()
        .text_mode()
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"backlog has no project OTHER, or this account may not see it");
    // An issue of another project is none of ours, whatever its key.
    let strange = IssueKey::new("OTHER-1").unwrap();
    let error = world.connect().issue(&strange).await.unwrap_err();
    assert!(matches!(error, TrackerError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn the_limit_of_requests_is_kept_and_not_met() {
    let world = World::new();
    world.fake().set_oddities(Oddities {
        rate_limit: Some(30),
        ..Oddities::default()
    });
    let tracker = world.connect();
    let key = world.file("Read often");
    for _ in 0..200 {
        tracker.comments(&key).await.unwrap();
    }
    // The waits moved the clock, and nothing was ever refused.
    assert!(
        world.clock.elapsed() > Duration::from_secs(240),
        "{:?}",
        world.clock.elapsed()
    );
    assert_eq!(world.server.log().len(), 200);
}

#[tokio::test]
async fn new_issues_get_what_is_configured() {
    let world = World::new();
    let wanted = NewIssues {
        kind: Some("Bug".to_owned()),
        category: Some("バッチ".to_owned()),
        priorities: [(1, "High".to_owned())].into(),
        priority: Some("Low".to_owned()),
    };
    let key = BacklogCredential::ApiKey(Secret::new(KEY));
    let tracker = BacklogTracker::new(world.options(key).new_issues(wanted)).unwrap();
    let draft = IssueDraft {
        title: "絵文字 🦀 の\n題".to_owned(),
        ..IssueDraft::default()
    };
    let made = tracker.create_issue(&draft).await.unwrap();
    let issue = tracker.issue(&made.key).await.unwrap().value;
    assert_eq!(issue.title, "絵文字 [U+1F980] の 題");
    assert_eq!(
        (issue.kind.as_deref(), issue.priority),
        (Some("Bug"), Some(4))
    );
    assert_eq!(issue.labels, ["バッチ"]);
    let urgent = IssueDraft {
        title: "Urgent".to_owned(),
        priority: Some(1),
        ..draft.clone()
    };
    let made = tracker.create_issue(&urgent).await.unwrap();
    assert_eq!(
        tracker.issue(&made.key).await.unwrap().value.priority,
        Some(2)
    );
    let strange = IssueDraft {
        labels: vec!["nowhere".to_owned()],
        ..draft
    };
    let before = world.fake().issues().len();
    let error = tracker.create_issue(&strange).await.unwrap_err();
    insta::assert_snapshot!(error, @"backlog has no category `nowhere` (there are: web, バッチ), or this account may not see it");
    assert_eq!(world.fake().issues().len(), before);
}

#[tokio::test]
async fn the_mode_of_texts_is_told() {
    let world = World::new();
    assert_eq!(
        world.connect().text_mode().await.unwrap(),
        TextMode::Markdown
    );
    world.fake().set_text_formatting("backlog");
    assert_eq!(
        world.connect().text_mode().await.unwrap(),
        TextMode::Classic
    );
    assert_eq!(world.connect().dialect().key_prefix(), "- ");
}

/// Keeps tokens as a file or a keyring would.
#[derive(Debug)]
struct Kept {
    tokens: Mutex<OAuthTokens>,
    alone: Arc<tokio::sync::Mutex<()>>,
    broken: bool,
}

#[async_trait]
impl TokenStore for Kept {
    async fn load(&self) -> Result<OAuthTokens, BoxError> {
        Ok(self.tokens.lock().unwrap().clone())
    }

    async fn store(&self, tokens: &OAuthTokens) -> Result<(), BoxError> {
        if self.broken {
            return Err("the disk is full".into());
        }
        *self.tokens.lock().unwrap() = tokens.clone();
        Ok(())
    }

    async fn hold(&self) -> Result<Box<dyn Send>, BoxError> {
        Ok(Box::new(Arc::clone(&self.alone).lock_owned().await))
    }
}

fn oauth(world: &World, broken: bool) -> (Arc<Kept>, BacklogTracker) {
    let (access, refresh) = (
        Secret::new("access-0-of-fake"),
        Secret::new("refresh-0-of-fake"),
    );
    world
        .fake()
        .set_oauth(&access, &refresh, Duration::from_secs(755));
    let tokens = OAuthTokens {
        access,
        refresh,
        expires: None,
    };
    let store = Arc::new(Kept {
        tokens: Mutex::new(tokens),
        alone: Arc::default(),
        broken,
    });
    let tracker = by_oauth(world, &store);
    (store, tracker)
}

/// An adapter as in one more process with the same store.
fn by_oauth(world: &World, store: &Arc<Kept>) -> BacklogTracker {
    let access = OAuthAccess {
        client_id: "client".to_owned(),
        client_secret: Secret::new("client-secret-of-fake"),
        store: Arc::clone(store) as Arc<dyn TokenStore>,
    };
    BacklogTracker::new(world.options(BacklogCredential::OAuth(access))).unwrap()
}

#[tokio::test]
async fn of_processes_that_share_a_store_one_renews() {
    let world = World::new();
    let (store, one) = oauth(&world, false);
    let other = by_oauth(&world, &store);
    one.me().await.unwrap();
    other.me().await.unwrap();
    world.clock.advance(Duration::from_secs(800));
    let (a, b) = tokio::join!(one.me(), other.me());
    a.unwrap();
    b.unwrap();
    assert_eq!(world.fake().renewals(), 1);
}

#[tokio::test]
async fn an_ended_token_is_renewed_kept_and_never_in_the_query() {
    let world = World::new();
    let (store, tracker) = oauth(&world, false);
    let key = world.file("By OAuth");
    tracker.me().await.unwrap();
    // It ends without a word; the next write renews it and is still sent once.
    world.clock.advance(Duration::from_secs(800));
    tracker.add_comment(&key, "Once.").await.unwrap();
    assert_eq!(world.fake().renewals(), 1);
    assert_eq!(world.fake().said(&key).len(), 1);
    assert_eq!(
        store.tokens.lock().unwrap().refresh,
        Secret::new("refresh-1-of-fake")
    );
    // Now its end is known and it is renewed before.
    world.clock.advance(Duration::from_secs(700));
    let refused = world.server.log().len();
    tracker.me().await.unwrap();
    assert_eq!(
        (world.fake().renewals(), world.server.log().len() - refused),
        (2, 2)
    );
    assert!(
        world
            .server
            .log()
            .all()
            .iter()
            .all(|r| r.parameter("apiKey").is_none())
    );
    // Another process goes on with what was kept.
    let (_, other) = (store, world.connect());
    other.me().await.unwrap();
}

#[tokio::test]
async fn tokens_nobody_accepts_any_more_are_told() {
    let world = World::new();
    let (_, tracker) = oauth(&world, false);
    world.fake().set_oauth(
        &Secret::new("other-access"),
        &Secret::new("other-refresh"),
        Duration::from_secs(10),
    );
    let error = tracker.me().await.unwrap_err();
    assert!(
        matches!(error, TrackerError::Unauthenticated { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn tokens_that_cannot_be_kept_are_not_used() {
    let world = World::new();
    let (_, tracker) = oauth(&world, true);
    world.clock.advance(Duration::from_secs(800));
    let error = tracker.me().await.unwrap_err();
    insta::assert_snapshot!(error, @"backlog failed to keep its new OAuth tokens: give the application access again");
}

#[tokio::test]
async fn a_lost_write_is_sent_once_and_found_by_reading() {
    let world = World::new();
    let tracker = world.connect();
    let key = world.file("Written to");
    for (landed, expected) in [(true, 1), (false, 1)] {
        world.server.faults().next_write(1, Fault::Lost { landed });
        let error = tracker.add_comment(&key, "Once.").await.unwrap_err();
        assert!(
            matches!(error, TrackerError::OutcomeUnknown { .. }),
            "{error}"
        );
        assert_eq!(world.fake().said(&key).len(), expected);
    }
    world
        .server
        .faults()
        .next_write(1, Fault::Lost { landed: true });
    let draft = IssueDraft {
        title: "Made once".to_owned(),
        ..IssueDraft::default()
    };
    let error = tracker.create_issue(&draft).await.unwrap_err();
    assert!(
        matches!(error, TrackerError::OutcomeUnknown { .. }),
        "{error}"
    );
    let made = world
        .fake()
        .issues()
        .into_iter()
        .filter(|(_, t)| t == "Made once");
    assert_eq!(made.count(), 1);
}
