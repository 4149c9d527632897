//! The tracker conformance suite on Backlog, over its fake.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::conformance::tracker::TrackerHarness;
use pipeline_core::issue::Account;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::backlog::BacklogAddress;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::backlog::TextMode;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::backlog::ALICE;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;
use pipeline_trackers::fake::backlog::Oddities;

/// The rows of a page, so few that everything takes several.
const PAGE: usize = 3;

/// How a fake is odd, and in which mode its texts are shown.
trait Kind: Send + Sync + 'static {
    const TEXT: TextMode;
    fn oddities() -> Oddities;
}

/// As the service is most of the time.
struct Plain;

impl Kind for Plain {
    const TEXT: TextMode = TextMode::Markdown;
    fn oddities() -> Oddities {
        Oddities::default()
    }
}

/// With lag, pages that overlap and bounds of the other kind, a limit of requests, and the older notation.
struct Odd;

impl Kind for Odd {
    const TEXT: TextMode = TextMode::Classic;
    fn oddities() -> Oddities {
        Oddities {
            lag: Duration::from_secs(20),
            inclusive: false,
            rate_limit: Some(60),
            ..Oddities::default()
        }
    }
}

struct BacklogHarness<K> {
    server: FakeServer<FakeBacklog>,
    clock: Arc<ScriptedClock>,
    tracker: BacklogTracker,
    kind: std::marker::PhantomData<K>,
}

fn address(server: &FakeServer<FakeBacklog>) -> BacklogAddress {
    let text = format!("{}sub/path/projects/WEB", server.url());
    text.parse().expect("the fake's own address")
}

fn options(
    server: &FakeServer<FakeBacklog>,
    clock: &Arc<ScriptedClock>,
    key: &Secret,
) -> BacklogOptions {
    let clock = Arc::clone(clock);
    BacklogOptions::new(address(server), BacklogCredential::ApiKey(key.clone()))
        .connection(
            ConnectionOptions::default()
                .timeout(Duration::from_secs(20))
                .seed(1),
        )
        .page(PAGE)
        .clock(clock)
}

#[async_trait]
impl<K: Kind> TrackerHarness for BacklogHarness<K> {
    async fn fresh() -> Result<Self, BoxError> {
        let start = Timestamp::parse("2026-03-02T01:00:00Z").ok_or("a time")?;
        let clock = Arc::new(ScriptedClock::jumping(start));
        let fake = FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>);
        fake.set_oddities(K::oddities());
        fake.set_text_formatting(K::TEXT.name());
        let server = FakeServer::start(fake)?;
        let options = options(&server, &clock, &Secret::new(KEY))
            .text(K::TEXT)
            .settle(K::oddities().lag);
        let tracker = BacklogTracker::new(options)?;
        Ok(Self {
            server,
            clock,
            tracker,
            kind: std::marker::PhantomData,
        })
    }

    fn tracker(&self) -> Arc<dyn Tracker> {
        Arc::new(self.tracker.clone())
    }

    async fn human(&self) -> Result<Account, BoxError> {
        Ok(Account::new(
            ALICE.to_string(),
            Some("alice".to_owned()),
            "アリス",
        ))
    }

    fn page(&self) -> usize {
        PAGE
    }

    fn label(&self) -> Option<String> {
        Some("web".to_owned())
    }

    async fn settle(&self) {
        let lag = K::oddities().lag;
        self.clock.advance(lag + Duration::from_secs(1));
    }

    async fn new_issue_by_human(&self, title: &str, body: &str) -> Result<IssueKey, BoxError> {
        Ok(self.server.service().file_issue(ALICE, title, body)?)
    }

    async fn comment_by_human(&self, key: &IssueKey, body: &str) -> Result<CommentId, BoxError> {
        Ok(self.server.service().comment(ALICE, key, body)?)
    }

    async fn move_by_human(&self, key: &IssueKey, to: &Status) -> Result<(), BoxError> {
        let name = match to {
            Status::InProgress => "In Progress",
            other => other.name(),
        };
        Ok(self.server.service().move_to(ALICE, key, name, "")?)
    }

    async fn edit_body_by_human(&self, key: &IssueKey, body: &str) -> Result<(), BoxError> {
        Ok(self.server.service().edit_body(ALICE, key, body)?)
    }

    async fn edit_comment_by_human(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), BoxError> {
        Ok(self.server.service().edit_comment(key, id, body)?)
    }

    async fn delete_comment_by_human(&self, key: &IssueKey, id: CommentId) -> Result<(), BoxError> {
        Ok(self.server.service().delete_comment(key, id)?)
    }

    fn missing_issue(&self) -> IssueKey {
        IssueKey::new("WEB-4711").expect("a key")
    }

    async fn in_trouble(&self, canary: &Secret) -> Result<Vec<Arc<dyn Tracker>>, BoxError> {
        let options = || options(&self.server, &self.clock, canary);
        // The fake takes another key, so this one is refused.
        let refused = BacklogTracker::new(options())?;
        let nobody: BacklogAddress = "http://127.0.0.1:9/projects/WEB".parse()?;
        let unreachable = BacklogOptions::new(nobody, BacklogCredential::ApiKey(canary.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        let unreachable = BacklogTracker::new(unreachable)?;
        let nonsense =
            FakeServer::start(FakeBacklog::new(Arc::clone(&self.clock) as Arc<dyn Clock>))?;
        nonsense.service().set_key(canary);
        nonsense.faults().next(10_000, Fault::NotJson);
        let confused = BacklogTracker::new(crate::backlog_conformance::options(
            &nonsense,
            &self.clock,
            canary,
        ))?;
        // It stays until the test process ends.
        std::mem::forget(nonsense);
        Ok(vec![
            Arc::new(refused),
            Arc::new(unreachable),
            Arc::new(confused),
        ])
    }
}

mod plain {
    pipeline_core::tracker_conformance!(super::BacklogHarness<super::Plain>);
}

mod odd {
    pipeline_core::tracker_conformance!(super::BacklogHarness<super::Odd>);
}
