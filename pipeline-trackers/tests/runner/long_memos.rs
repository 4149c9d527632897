//! A memo that is longer than the tracker takes loses nothing, on any tracker.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::AccountRef;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::journal::MemoryJournal;
use pipeline_core::memo::Fields;
use pipeline_core::memo::Markers;
use pipeline_core::memo::Memo;
use pipeline_core::memo::MemoKind;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::post::Poster;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::thread::Protocol;
use pipeline_core::thread::Thread;
use pipeline_core::thread::Voice;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::backlog::TextMode;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::backlog::ALICE;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;

fn clock() -> Arc<ScriptedClock> {
    let start = Timestamp::parse("2026-05-04T00:00:00Z").expect("a time");
    Arc::new(ScriptedClock::jumping(start))
}

fn backlog(server: &FakeServer<FakeBacklog>, clock: &Arc<ScriptedClock>) -> Arc<dyn Tracker> {
    let address = format!("{}projects/WEB", server.url())
        .parse()
        .expect("one");
    let options = BacklogOptions::new(address, BacklogCredential::ApiKey(Secret::new(KEY)))
        .text(TextMode::Markdown)
        .clock(Arc::clone(clock) as Arc<dyn Clock>);
    Arc::new(BacklogTracker::new(options).expect("usable"))
}

fn gitlab(server: &FakeServer<FakeGitLab>, clock: &Arc<ScriptedClock>) -> Arc<dyn Tracker> {
    let options = GitLabOptions::new(server.service().project_url(&server.url()));
    let token = Secret::new(FakeGitLab::TOKEN);
    let tracker = GitLabTracker::with_clock(options, token, Arc::clone(clock) as _);
    Arc::new(tracker.expect("usable"))
}

/// A text with what the dialects change, a block of code that the cut falls into, and letters of every width.
fn long(most: usize) -> String {
    let line = "仕様の確認 @alice 🦀 /close\n\n```\nlet x = 1;\n";
    line.repeat(most / line.chars().count() + 2)
}

/// Posts a memo that is too long and returns its body, as the tracker has it.
///
/// It is there once, what was cut is in one file of the issue, and none of it is a person's word.
async fn nothing_is_lost(
    tracker: Arc<dyn Tracker>,
    clock: &Arc<ScriptedClock>,
    issue: &IssueKey,
) -> String {
    let me = tracker.me().await.expect("known").value;
    let protocol = Protocol {
        accounts: vec![AccountRef(me.id)],
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new(tracker.identity()),
    };
    let poster = Poster {
        tracker: Arc::clone(&tracker),
        protocol: Arc::new(protocol),
        journal: Arc::new(MemoryJournal::default()),
        clock: Arc::clone(clock) as _,
        redactor: Arc::new(Redactor::default()),
        most_per_day: 50,
        owner: None,
    };
    let text = long(tracker.dialect().max_chars());
    let memo = Memo::new(MemoKind::LocalCheck, Fields::new(), text.clone());
    let posted = poster.post(issue, memo).await.expect("posted").value;
    assert!(posted.body.chars().count() <= tracker.dialect().max_chars());
    clock.advance(Duration::from_secs(60));

    let thread = tracker.comments(issue).await.expect("read").value;
    let at_issue = tracker.issue(issue).await.expect("read").value.attachments;
    let mut files = at_issue;
    files.extend(thread.iter().flat_map(|c| c.attachments.iter().cloned()));
    files.retain(|file| posted.body.contains(&format!("`{}`", file.name)));
    files.dedup_by_key(|file| file.id);
    let [file] = files.as_slice() else {
        panic!("{files:?}");
    };
    let kept = tracker.attachment(issue, file.id).await.expect("fetched");
    assert_eq!(
        String::from_utf8(kept).expect("text"),
        text.trim_end().to_owned() + "\n"
    );

    let understood = Thread::derive(issue, &thread, &poster.protocol);
    assert_eq!(
        understood.memos().count(),
        1,
        "the memo reads back, and is there once"
    );
    assert_eq!(understood.people().count(), 0);
    let files_of_ours = |voice: &Voice| *voice == Voice::Nobody;
    assert!(
        understood
            .entries()
            .iter()
            .all(|e| e.comment.id == posted.id || files_of_ours(&e.voice))
    );
    posted.body
}

#[tokio::test]
async fn on_the_local_tracker() {
    let (dir, clock) = (tempfile::tempdir().expect("temporary directory"), clock());
    let statuses = LocalStatuses::new("Open", "Spec/log review", "In progress", ["Closed"]);
    LocalTracker::init(dir.path(), &statuses.expect("distinct")).expect("made");
    let tracker = LocalTracker::open(dir.path(), Actor::pipeline()).expect("opened");
    let draft = IssueDraft {
        title: "x".to_owned(),
        ..IssueDraft::default()
    };
    let issue = tracker.create_issue(&draft).await.expect("filed").key;
    nothing_is_lost(Arc::new(tracker), &clock, &issue).await;
}

#[tokio::test]
async fn on_backlog_also_where_answers_are_lost() {
    for fault in [
        None,
        Some(Fault::Lost { landed: true }),
        Some(Fault::Lost { landed: false }),
    ] {
        let clock = clock();
        let fake = FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let server = FakeServer::start(fake).expect("a port");
        let issue = server
            .service()
            .file_issue(ALICE, "x", "本文")
            .expect("filed");
        if let Some(fault) = fault {
            server.faults().when(1, fault, |r| r.method == "PATCH");
        }
        nothing_is_lost(backlog(&server, &clock), &clock, &issue).await;
    }
}

#[tokio::test]
async fn on_gitlab_also_where_answers_are_lost() {
    for fault in [
        None,
        Some(Fault::Lost { landed: true }),
        Some(Fault::Lost { landed: false }),
    ] {
        let clock = clock();
        let fake = FakeGitLab::new(Arc::clone(&clock) as _);
        let server = FakeServer::start(fake).expect("a port");
        let issue = server.service().file("alice", "x", "");
        let issue = IssueKey::new(issue.to_string()).expect("a key");
        if let Some(fault) = fault {
            let note = |r: &pipeline_trackers::fake::FakeRequest| {
                r.is_write() && r.path.ends_with("/notes")
            };
            server.faults().when(1, fault, note);
        }
        nothing_is_lost(gitlab(&server, &clock), &clock, &issue).await;
    }
}
