//! Schedules of faults over GitLab.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::issue::Account;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Faults;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

use crate::schedules::World;
use crate::schedules::loops;
use crate::schedules::run_all;

const STARTER: &str = "alice";
const OTHER: &str = "bob";
const REVIEW: &str = FakeGitLab::STATUSES[0];
const PROGRESS: &str = FakeGitLab::STATUSES[1];
/// How long what is new stays invisible where the instance is odd.
const LAG: Duration = Duration::from_secs(20);

struct GitLab {
    server: FakeServer<FakeGitLab>,
    clock: Arc<ScriptedClock>,
    seed: u64,
    lag: Duration,
}

impl GitLab {
    fn fake(&self) -> &FakeGitLab {
        self.server.service()
    }

    fn shift_as(&self, login: &str, key: &IssueKey, to: &Status) {
        let label = match to {
            Status::SpecReview => Some(REVIEW),
            Status::InProgress => Some(PROGRESS),
            Status::Open | Status::Other(_) => None,
        };
        // Nobody moves anything in the same millisecond in which somebody comments.
        self.clock.advance(Duration::from_millis(2));
        self.fake().set_status(login, iid(key), label);
        self.clock.advance(Duration::from_millis(2));
    }
}

fn iid(key: &IssueKey) -> u64 {
    key.as_str().parse().expect("a number")
}

impl World for GitLab {
    fn new(seed: u64, odd: bool, clock: &Arc<ScriptedClock>) -> Self {
        let mut fake = FakeGitLab::new(Arc::clone(clock) as Arc<dyn Clock>);
        if seed.is_multiple_of(3) {
            fake = fake.under(&["gitlab"]);
        }
        let lag = if odd { LAG } else { Duration::ZERO };
        fake.switch(|s| {
            s.page = 5;
            s.lag = lag;
            if odd {
                s.duplicated_rows = seed.is_multiple_of(2);
                s.keyset = seed.is_multiple_of(5);
                s.requests_per_minute = Some(60);
                s.notes_per_minute = Some(10);
            }
        });
        Self {
            server: FakeServer::start(fake).expect("a port"),
            clock: Arc::clone(clock),
            seed,
            lag,
        }
    }

    fn connect(&self) -> Arc<dyn Tracker> {
        let connection = ConnectionOptions::default().seed(self.seed);
        let options = GitLabOptions::new(self.fake().project_url(&self.server.url()))
            .connection(connection)
            .settle(self.lag);
        let token = Secret::new(FakeGitLab::TOKEN);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Arc::new(GitLabTracker::with_clock(options, token, clock).expect("options of a test"))
    }

    fn faults(&self) -> &Faults {
        self.server.faults()
    }

    fn bot(&self) -> Account {
        self.fake().account(FakeGitLab::BOT)
    }

    fn starter(&self) -> Account {
        self.fake().account(STARTER)
    }

    fn file(&self, title: &str) -> IssueKey {
        let iid = self.fake().file(OTHER, title, "As the title says.");
        IssueKey::new(iid.to_string()).expect("a number")
    }

    fn say(&self, by_starter: bool, key: &IssueKey, text: &str) -> CommentId {
        let login = if by_starter { STARTER } else { OTHER };
        let said = self.fake().comment(login, iid(key), text);
        CommentId(said.expect("the issue is there"))
    }

    fn shift(&self, by_starter: bool, key: &IssueKey, to: &Status) {
        self.shift_as(if by_starter { STARTER } else { OTHER }, key, to);
    }

    fn side_effect(&self, key: &IssueKey) -> bool {
        // Somebody else adds the label, and the starter takes the others away.
        self.clock.advance(Duration::from_millis(2));
        self.fake().relabel(STARTER, iid(key), &[REVIEW], &[]);
        self.clock.advance(Duration::from_millis(2));
        self.fake().relabel(OTHER, iid(key), &[PROGRESS], &[]);
        self.clock.advance(Duration::from_millis(2));
        self.fake().relabel(STARTER, iid(key), &[], &[REVIEW]);
        true
    }

    fn misuse(&self, key: &IssueKey) {
        self.shift_as(FakeGitLab::BOT, key, &Status::InProgress);
    }

    fn said(&self, key: &IssueKey) -> Vec<(String, String)> {
        let said = self.fake().notes(iid(key)).into_iter();
        said.map(|(login, text)| (self.fake().account(&login).id, text))
            .collect()
    }

    fn status(&self, key: &IssueKey) -> Status {
        let labels = self.fake().labels(iid(key));
        let has = |name: &str| labels.iter().any(|l| l == name);
        match (has(REVIEW), has(PROGRESS)) {
            (true, false) => Status::SpecReview,
            (false, true) => Status::InProgress,
            (false, false) => Status::Open,
            (true, true) => Status::Other("both".to_owned()),
        }
    }

    fn titles(&self) -> Vec<String> {
        self.fake().titles()
    }
}

#[tokio::test]
async fn schedules_of_faults_come_out_right() {
    run_all::<GitLab>(loops(200)).await;
}
