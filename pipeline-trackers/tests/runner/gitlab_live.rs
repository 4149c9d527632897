//! Against a real project; see docs/live-tests.md.

use pipeline_core::issue::IssueDraft;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::tracker::StatusEventKind;
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::finding::Probe as _;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

#[expect(
    clippy::disallowed_methods,
    reason = "a live test is told by variables where it may write"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see docs/live-tests.md"))
}

#[tokio::test]
#[ignore = "needs a GitLab project: see docs/live-tests.md"]
async fn an_issue_goes_through_its_life() {
    let project = variable("GITLAB_LIVE_PROJECT").parse().expect("an address");
    let token = Secret::new(variable("GITLAB_LIVE_TOKEN"));
    let tracker = GitLabTracker::new(GitLabOptions::new(project), token).expect("usable");
    assert_eq!(tracker.probe().await.expect("readable"), []);
    let me = tracker.me().await.expect("whose token it is").value;
    let mark = tracker.changes(None).await.expect("a mark").value.next;

    let body = tracker
        .dialect()
        .neutralise("A test.\n/close\n@all #1 <!-- x -->\n```\n/close");
    let draft = IssueDraft {
        title: "A live test of the pipeline".to_owned(),
        body,
        ..IssueDraft::default()
    };
    let key = tracker.create_issue(&draft).await.expect("created").key;
    let issue = tracker.issue(&key).await.expect("readable").value;
    assert_eq!((issue.status, issue.body), (Status::Open, draft.body));

    let memo = tracker
        .dialect()
        .neutralise("Note: a live test.\n\n/label ~bug\n> @all\n日本語 𠮷 🦀\n");
    let posted = tracker
        .add_comment(&key, &memo)
        .await
        .expect("posted")
        .value;
    assert_eq!(
        (posted.body.as_str(), &posted.author.id),
        (memo.as_str(), &me.id)
    );
    tracker
        .transition(&key, &Transition::triaged(), None)
        .await
        .expect("moved");
    let history = tracker.history(&key).await.expect("readable").value;
    let last = history.last().expect("the move");
    assert_eq!(
        (&last.to, last.kind),
        (&Status::SpecReview, StatusEventKind::Move)
    );
    assert_eq!(last.actor.as_ref().map(|a| &a.id), Some(&me.id));

    let id = tracker
        .attach(&key, "log.txt", b"a line\n")
        .await
        .expect("attached");
    assert_eq!(
        tracker.attachment(&key, id).await.expect("fetched"),
        b"a line\n"
    );
    let changes = tracker.changes(Some(&mark)).await.expect("readable").value;
    assert!(
        changes.complete && changes.issues.contains(&key),
        "{changes:?}"
    );
}
