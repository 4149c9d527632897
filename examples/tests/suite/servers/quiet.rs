//! What a tick costs in which nothing has happened, with 1,000 issues in review and in progress: the real binary, each tick
//! a process of its own as from a timer. A plain run has fewer issues, but more than fit on a page; `LOOPS=100` has all.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueKey;
use pipeline_core::lock::LockKind;
use pipeline_core::lock::LockMemo;
use pipeline_core::memo::Fields;
use pipeline_core::memo::Markers;
use pipeline_core::memo::Memo;
use pipeline_core::memo::MemoKind;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::thread::Protocol;
use pipeline_core::thread::TextDigest;
use pipeline_core::tracker::PlainDialect;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::backlog;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

use super::super::kill_loop::number;
use super::super::world::World;
use super::Backlog;
use super::GitLab;
use super::Service;
use super::set_up;

const ISSUES: usize = 1000;
const FEWER: usize = 300;
/// The promise.
const MOST: usize = 3;
const STAGES: [&str; 4] = ["triage", "check", "dispatch", "integrate"];

fn issues() -> usize {
    let all = number("LOOPS").is_some_and(|loops| loops >= 100);
    if all { ISSUES } else { FEWER }
}

/// Returns the check memo of an issue that nobody has said anything about since.
fn checked(key: &str, title: &str) -> String {
    let key = IssueKey::new(key).expect("a key");
    let mut issue = Issue::new(key.clone(), title, Status::SpecReview, SystemClock.now());
    issue.body = "As the title says.".to_owned();
    let keys = SigningKeys::new("none");
    let protocol = Protocol {
        accounts: Vec::new(),
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: keys.clone(),
    };
    let text = TextDigest::of(&issue, &[], None, &protocol);
    let fields = Fields::new()
        .with("issue", key.as_str())
        .with("estimate", "small")
        .with("text", text.render())
        .with("read-to", "0");
    let memo = Memo::new(MemoKind::LocalCheck, fields, "> Looked.".to_owned());
    memo.render(&protocol.markers, &PlainDialect, &key, &keys)
}

/// Returns the memo of a started issue whose work is in the target.
async fn landed(key: &str, tracker: &dyn Tracker) -> String {
    let key = IssueKey::new(key).expect("a key");
    let history = tracker.history(&key).await.expect("read").value;
    let kind = LockKind::Landed {
        claim: CommentId(1),
        round: history.last().expect("it was started").id,
        commit: None,
    };
    let nonce = format!("{:032x}", history.len());
    let memo = LockMemo::memo(&key, &nonce, &kind, "Landed.".to_owned());
    let keys = SigningKeys::new("none");
    memo.render(&Markers::default(), &PlainDialect, &key, &keys)
}

/// Half are in review and checked, half are in progress and landed: there is nothing to do.
async fn a_quiet_tick_is_cheap(
    service: &dyn Service,
    tracker: &dyn Tracker,
    clock: &ScriptedClock,
) {
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, service).await.ended(0);
    clock.advance(Duration::from_secs(60));
    let mut keys = Vec::new();
    let issues = issues();
    for i in 0..issues {
        let title = format!("Issue {i}");
        let key = service.file(&title);
        service.review(&key);
        service.say_as_pipeline(&key, &checked(&key, &title));
        if i % 2 == 1 {
            service.start(&key);
            service.say_as_pipeline(&key, &landed(&key, tracker).await);
        }
        keys.push(key);
    }
    clock.advance(Duration::from_secs(3600));
    service.requests();
    // The first reading is of everything: this is what the others are saved.
    for stage in STAGES {
        world.run(&[stage]).await.ended(0);
    }
    let first = service.requests();
    assert!(first.len() > 3 * issues, "{}", first.len());
    let written: Vec<&String> = first.iter().filter(|r| !r.starts_with("GET ")).collect();
    assert!(written.is_empty(), "{written:?}");
    for _ in 0..2 {
        for stage in STAGES {
            clock.advance(Duration::from_secs(900));
            let done = world.run(&[stage]).await.ended(0);
            let asked = service.requests();
            assert!(
                (1..=MOST).contains(&asked.len()),
                "{stage} cost {} requests, like {:#?}: {}",
                asked.len(),
                asked.get(..20).unwrap_or(&asked),
                done.said()
            );
        }
    }
    // And it does look: one word of a person is read, with its issue and no other.
    let key = keys.last().expect("many");
    service.requests();
    service.comment(key, "What about this?");
    clock.advance(Duration::from_secs(900));
    world.run(&["triage"]).await.ended(0);
    let cost = service.requests().len();
    assert!((MOST + 1..=12).contains(&cost), "{cost} requests");
}

fn clock() -> Arc<ScriptedClock> {
    Arc::new(ScriptedClock::jumping(SystemClock.now()))
}

#[tokio::test]
async fn over_gitlab() {
    let clock = clock();
    let service = GitLab::at(Arc::clone(&clock) as _);
    let project = service.0.service().project_url(&service.0.url());
    let token = Secret::new(FakeGitLab::TOKEN);
    let tracker = GitLabTracker::new(GitLabOptions::new(project), token).expect("usable");
    a_quiet_tick_is_cheap(&service, &tracker, &clock).await;
}

#[tokio::test]
async fn over_backlog() {
    let clock = clock();
    let service = Backlog::at(Arc::clone(&clock) as _);
    let address = format!("{}tools/projects/{}", service.0.url(), backlog::PROJECT);
    let key = BacklogCredential::ApiKey(Secret::new(backlog::KEY));
    let options = BacklogOptions::new(address.parse().expect("an address"), key);
    let tracker = BacklogTracker::new(options).expect("usable");
    a_quiet_tick_is_cheap(&service, &tracker, &clock).await;
}
