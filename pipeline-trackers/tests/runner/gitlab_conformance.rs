//! The conformance suite over the fake of GitLab.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::clock::Timestamp;
use pipeline_core::conformance::tracker::TrackerHarness;
use pipeline_core::issue::Account;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

const PAGE: usize = 3;
const HUMAN: &str = "alice";

struct Harness {
    clock: Arc<ScriptedClock>,
    server: FakeServer<FakeGitLab>,
    tracker: GitLabTracker,
    /// Servers in trouble, which have to live as long as their trackers.
    others: std::sync::Mutex<Vec<FakeServer<FakeGitLab>>>,
}

fn start() -> Timestamp {
    Timestamp::parse("2026-03-01T09:00:00Z").expect("a time")
}

fn tracker(
    server: &FakeServer<FakeGitLab>,
    token: &Secret,
    clock: &Arc<ScriptedClock>,
) -> Result<GitLabTracker, BoxError> {
    let options = GitLabOptions::new(server.service().project_url(&server.url()));
    let options = options.settle(Duration::ZERO);
    Ok(GitLabTracker::with_clock(
        options,
        token.clone(),
        Arc::clone(clock) as _,
    )?)
}

fn iid(key: &IssueKey) -> u64 {
    key.as_str().parse().expect("a number")
}

fn label(status: &Status) -> Option<&'static str> {
    let [review, progress, _] = FakeGitLab::STATUSES;
    match status {
        Status::SpecReview => Some(review),
        Status::InProgress => Some(progress),
        Status::Open | Status::Other(_) => None,
    }
}

#[async_trait]
impl TrackerHarness for Harness {
    async fn fresh() -> Result<Self, BoxError> {
        let clock = Arc::new(ScriptedClock::jumping(start()));
        let fake = FakeGitLab::new(Arc::clone(&clock) as _).under(&["tools", "gitlab"]);
        fake.switch(|s| s.page = PAGE);
        let server = FakeServer::start(fake)?;
        let tracker = tracker(&server, &Secret::new(FakeGitLab::TOKEN), &clock)?;
        Ok(Self {
            clock,
            server,
            tracker,
            others: std::sync::Mutex::default(),
        })
    }

    fn tracker(&self) -> Arc<dyn Tracker> {
        Arc::new(self.tracker.clone())
    }

    async fn human(&self) -> Result<Account, BoxError> {
        Ok(self.server.service().account(HUMAN))
    }

    fn page(&self) -> usize {
        PAGE
    }

    fn label(&self) -> Option<String> {
        Some(FakeGitLab::LABEL.to_owned())
    }

    async fn settle(&self) {
        self.clock.advance(Duration::from_secs(5));
    }

    async fn new_issue_by_human(&self, title: &str, body: &str) -> Result<IssueKey, BoxError> {
        let iid = self.server.service().file(HUMAN, title, body);
        Ok(IssueKey::new(iid.to_string())?)
    }

    async fn comment_by_human(&self, key: &IssueKey, body: &str) -> Result<CommentId, BoxError> {
        let id = self.server.service().comment(HUMAN, iid(key), body);
        Ok(CommentId(id.ok_or("no such issue")?))
    }

    async fn move_by_human(&self, key: &IssueKey, to: &Status) -> Result<(), BoxError> {
        self.clock.advance(Duration::from_millis(1));
        self.server.service().set_status(HUMAN, iid(key), label(to));
        self.clock.advance(Duration::from_millis(1));
        Ok(())
    }

    async fn edit_body_by_human(&self, key: &IssueKey, body: &str) -> Result<(), BoxError> {
        self.server
            .service()
            .edit_description(HUMAN, iid(key), body);
        Ok(())
    }

    async fn edit_comment_by_human(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), BoxError> {
        self.server.service().edit_note(iid(key), id.0, body);
        Ok(())
    }

    async fn delete_comment_by_human(&self, key: &IssueKey, id: CommentId) -> Result<(), BoxError> {
        self.server.service().delete_note(iid(key), id.0);
        Ok(())
    }

    fn missing_issue(&self) -> IssueKey {
        IssueKey::new("99999").expect("a number")
    }

    async fn in_trouble(&self, canary: &Secret) -> Result<Vec<Arc<dyn Tracker>>, BoxError> {
        let mut troubled: Vec<Arc<dyn Tracker>> = Vec::new();
        let faults = [
            None,
            Some(Fault::Lost { landed: true }),
            Some(Fault::NotJson),
            Some(Fault::Truncated),
            Some(Fault::BadGateway { landed: false }),
            Some(Fault::NotFound),
        ];
        for fault in faults {
            let clock = Arc::new(ScriptedClock::jumping(start()));
            let server = FakeServer::start(FakeGitLab::new(Arc::clone(&clock) as _))?;
            if let Some(fault) = fault {
                server.faults().next(10_000, fault);
            }
            troubled.push(Arc::new(tracker(&server, canary, &clock)?));
            self.others.lock().expect("not poisoned").push(server);
        }
        // One that is not there at all.
        let clock = Arc::new(ScriptedClock::jumping(start()));
        let gone = FakeServer::start(FakeGitLab::new(Arc::clone(&clock) as _))?;
        troubled.push(Arc::new(tracker(&gone, canary, &clock)?));
        drop(gone);
        Ok(troubled)
    }
}

mod conformance {
    pipeline_core::tracker_conformance!(super::Harness);
}
