//! Schedules of faults over Backlog.

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
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Faults;
use pipeline_trackers::fake::backlog::ALICE;
use pipeline_trackers::fake::backlog::BOB;
use pipeline_trackers::fake::backlog::BOT;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;
use pipeline_trackers::fake::backlog::Oddities;

use crate::schedules::World;
use crate::schedules::loops;
use crate::schedules::run_all;

struct Backlog {
    server: FakeServer<FakeBacklog>,
    clock: Arc<ScriptedClock>,
    seed: u64,
}

fn name_of(status: &Status) -> &str {
    match status {
        Status::InProgress => "In Progress",
        other => other.name(),
    }
}

impl World for Backlog {
    fn new(seed: u64, odd: bool, clock: &Arc<ScriptedClock>) -> Self {
        let fake = FakeBacklog::new(Arc::clone(clock) as Arc<dyn Clock>);
        if odd {
            fake.set_oddities(Oddities {
                lag: Duration::from_secs(20),
                inclusive: seed.is_multiple_of(2),
                rate_limit: Some(60),
                ..Oddities::default()
            });
        }
        Self {
            server: FakeServer::start(fake).expect("a port"),
            clock: Arc::clone(clock),
            seed,
        }
    }

    fn connect(&self) -> Arc<dyn Tracker> {
        let address = format!("{}projects/WEB", self.server.url());
        let address = address.parse().expect("the fake's own address");
        let options = BacklogOptions::new(address, BacklogCredential::ApiKey(Secret::new(KEY)))
            .connection(
                ConnectionOptions::default()
                    .timeout(Duration::from_secs(60))
                    .seed(self.seed),
            )
            .settle(self.server.service().oddities().lag)
            .page(5)
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        Arc::new(BacklogTracker::new(options).expect("options of a test"))
    }

    fn faults(&self) -> &Faults {
        self.server.faults()
    }

    fn bot(&self) -> Account {
        Account::new(BOT.to_string(), None, "Pipeline")
    }

    fn starter(&self) -> Account {
        Account::new(ALICE.to_string(), None, "アリス")
    }

    fn file(&self, title: &str) -> IssueKey {
        let filed = self.server.service().file_issue(BOB, title, "本文");
        filed.expect("a key")
    }

    fn say(&self, by_starter: bool, key: &IssueKey, text: &str) -> CommentId {
        let by = if by_starter { ALICE } else { BOB };
        let said = self.server.service().comment(by, key, text);
        said.expect("the issue is there")
    }

    fn shift(&self, by_starter: bool, key: &IssueKey, to: &Status) {
        let by = if by_starter { ALICE } else { BOB };
        let moved = self.server.service().move_to(by, key, name_of(to), "");
        moved.expect("the issue is there");
    }

    fn side_effect(&self, key: &IssueKey) -> bool {
        let fake = self.server.service();
        // By the starter's own hand, but in one stroke without a record of the issue.
        let moved = fake.move_all(ALICE, std::slice::from_ref(key), "In Progress", false);
        moved.expect("the issue is there");
        true
    }

    fn misuse(&self, key: &IssueKey) {
        let moved = self.server.service().move_to(BOT, key, "In Progress", "");
        moved.expect("the issue is there");
    }

    fn said(&self, key: &IssueKey) -> Vec<(String, String)> {
        let said = self.server.service().said(key).into_iter();
        said.map(|(by, text)| (by.to_string(), text)).collect()
    }

    fn status(&self, key: &IssueKey) -> Status {
        let name = self.server.service().status_of(key).unwrap_or_default();
        match name.as_str() {
            "In Progress" => Status::InProgress,
            _ => Status::from(name),
        }
    }

    fn titles(&self) -> Vec<String> {
        let all = self.server.service().issues().into_iter();
        all.map(|(_, title)| title).collect()
    }
}

#[tokio::test]
async fn schedules_of_faults_come_out_right() {
    run_all::<Backlog>(loops(200)).await;
}
