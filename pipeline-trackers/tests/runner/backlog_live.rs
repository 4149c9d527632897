//! Against a real space, with the variables named in `docs/live-tests.md`.

use std::sync::Arc;

use pipeline_core::issue::IssueDraft;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogStatuses;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::backlog::TextMode;

#[expect(
    clippy::disallowed_methods,
    reason = "the variables are how whoever runs a live test names the space"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}, as docs/live-tests.md says"))
}

async fn connect() -> Arc<dyn Tracker> {
    let options = |text: TextMode| {
        let key = Secret::new(variable("BACKLOG_LIVE_KEY"));
        let address = variable("BACKLOG_LIVE_PROJECT").parse().unwrap();
        let statuses = BacklogStatuses::new(
            variable("BACKLOG_LIVE_OPEN"),
            variable("BACKLOG_LIVE_REVIEW"),
            variable("BACKLOG_LIVE_PROGRESS"),
        );
        BacklogOptions::new(address, BacklogCredential::ApiKey(key))
            .statuses(statuses)
            .text(text)
    };
    let first = BacklogTracker::new(options(TextMode::Markdown)).unwrap();
    let text = first.text_mode().await.unwrap();
    Arc::new(BacklogTracker::new(options(text)).unwrap())
}

/// The story of one issue, as the service itself tells it; the issue stays and says what it is.
#[tokio::test]
#[ignore = "needs a Backlog space: see docs/live-tests.md"]
async fn an_issue_goes_through_the_first_stages_on_a_real_space() {
    let tracker = connect().await;
    let me = tracker.me().await.unwrap().value;
    let mark = tracker.changes(None).await.unwrap().value.next;
    let draft = IssueDraft {
        title: "A live test of the issue pipeline 🦀, safe to close".to_owned(),
        body: tracker
            .dialect()
            .neutralise("日本語 and 🦀\n\n- one\n- two"),
        ..IssueDraft::default()
    };
    let key = tracker.create_issue(&draft).await.unwrap().key;
    let issue = tracker.issue(&key).await.unwrap().value;
    assert_eq!((issue.status, issue.body), (Status::Open, draft.body));
    let text = tracker
        .dialect()
        .neutralise("Plain.\n<b>not bold</b> 🦀 ```code```");
    let said = tracker.add_comment(&key, &text).await.unwrap().value;
    assert_eq!((said.body, said.author.id), (text, me.id.clone()));
    let file = tracker
        .attach(&key, "ログ.txt", b"one line\n")
        .await
        .unwrap();
    assert_eq!(tracker.attachment(&key, file).await.unwrap(), b"one line\n");
    let step = Transition::triaged();
    let memo = tracker
        .transition(&key, &step, Some("Moved with words."))
        .await
        .unwrap()
        .value
        .unwrap();
    let event = tracker.history(&key).await.unwrap().value.pop().unwrap();
    assert_eq!((event.to, event.id.0), (Status::SpecReview, memo.id.0));
    assert_eq!(event.actor.map(|a| a.id), Some(me.id));
    let changes = tracker.changes(Some(&mark)).await.unwrap().value;
    assert!(changes.complete && changes.issues.contains(&key));
}
