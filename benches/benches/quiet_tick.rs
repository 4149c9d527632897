//! What a tick costs in which nothing has happened: requests and time, with 1,000 issues in review and in progress.
//!
//! `cargo bench -p pipeline-benches --bench quiet_tick` prints one line per tracker and kind of tick. The time is that of
//! the adapter, the mirror and the loopback address; a real service adds its own.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use pipeline_core::clock::Timestamp;
use pipeline_core::memo::Markers;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::mirror::Mirror;
use pipeline_core::secret::Secret;
use pipeline_core::thread::Protocol;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::RequestLog;
use pipeline_trackers::fake::backlog;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

const ISSUES: usize = 1000;
/// Of each kind, a quarter of an hour apart: together less than the day after which everything is read again.
const TICKS: u32 = 40;

type Failed = Box<dyn Error + Send + Sync>;

/// A service with its issues, and how to reach it.
trait Side: Sync {
    fn name(&self) -> &'static str;
    /// Files the issues, half in review and half in progress.
    fn fill(&self) -> Result<(), Failed>;
    /// Makes an adapter as a new process has it.
    fn connect(&self, clock: &Arc<ScriptedClock>) -> Result<Box<dyn Tracker>, Failed>;
    fn log(&self) -> &RequestLog;
}

impl Side for FakeServer<FakeGitLab> {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn fill(&self) -> Result<(), Failed> {
        let [review, progress, _] = FakeGitLab::STATUSES;
        for i in 0..ISSUES {
            let iid = self
                .service()
                .file("alice", "An issue", "As the title says.");
            let status = if i % 2 == 0 { review } else { progress };
            self.service().set_status("alice", iid, Some(status));
        }
        Ok(())
    }

    fn connect(&self, clock: &Arc<ScriptedClock>) -> Result<Box<dyn Tracker>, Failed> {
        let options = GitLabOptions::new(self.service().project_url(&self.url()));
        let token = Secret::new(FakeGitLab::TOKEN);
        let clock = Arc::clone(clock);
        Ok(Box::new(GitLabTracker::with_clock(
            options, token, clock as _,
        )?))
    }

    fn log(&self) -> &RequestLog {
        Self::log(self)
    }
}

impl Side for FakeServer<FakeBacklog> {
    fn name(&self) -> &'static str {
        "backlog"
    }

    fn fill(&self) -> Result<(), Failed> {
        for i in 0..ISSUES {
            let fake = self.service();
            let key = fake.file_issue(backlog::ALICE, "An issue", "As the title says.")?;
            let status = if i % 2 == 0 {
                "Spec/log review"
            } else {
                "In Progress"
            };
            fake.move_to(backlog::ALICE, &key, status, "")?;
        }
        Ok(())
    }

    fn connect(&self, clock: &Arc<ScriptedClock>) -> Result<Box<dyn Tracker>, Failed> {
        let address = format!("{}projects/{}", self.url(), backlog::PROJECT).parse()?;
        let key = BacklogCredential::ApiKey(Secret::new(backlog::KEY));
        let options = BacklogOptions::new(address, key).clock(Arc::clone(clock) as _);
        Ok(Box::new(BacklogTracker::new(options)?))
    }

    fn log(&self) -> &RequestLog {
        Self::log(self)
    }
}

fn report(side: &dyn Side, what: &str, ticks: u32, took: Duration) {
    let each = side.log().len() as f64 / f64::from(ticks);
    println!(
        "{:<8}{what:<34}  {each:>7.1} requests  {:>9.2?}",
        side.name(),
        took / ticks
    );
    side.log().clear();
}

/// Measures one tracker; its state lies in `folder`.
async fn measure(side: &dyn Side, clock: &Arc<ScriptedClock>, folder: &Path) -> Result<(), Failed> {
    side.fill()?;
    clock.advance(Duration::from_secs(3600));
    let tracker = side.connect(clock)?;
    let protocol = Protocol {
        accounts: Vec::new(),
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new(tracker.identity()),
    };
    let none = BTreeSet::new();
    let tick = async |tracker: &dyn Tracker, mirror: &Mirror| {
        mirror
            .refresh(tracker, &protocol, Timestamp::EPOCH, &none)
            .await
            .map(drop)
    };
    let began = Instant::now();
    let mirror = Mirror::open(folder)?;
    tick(&*tracker, &mirror).await?;
    report(side, "the first reading of all", 1, began.elapsed());

    let began = Instant::now();
    for _ in 0..TICKS {
        clock.advance(Duration::from_secs(900));
        tick(&*tracker, &mirror).await?;
    }
    report(side, "quiet, in one process", TICKS, began.elapsed());

    let began = Instant::now();
    for _ in 0..TICKS {
        clock.advance(Duration::from_secs(900));
        tick(&*side.connect(clock)?, &Mirror::open(folder)?).await?;
    }
    report(side, "quiet, in a new process each", TICKS, began.elapsed());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!("quiet-tick-{}", std::process::id()));
    let start = Timestamp::parse("2026-03-01T09:00:00Z").ok_or("a time")?;

    let clock = Arc::new(ScriptedClock::jumping(start));
    let gitlab = FakeServer::start(FakeGitLab::new(Arc::clone(&clock) as _))?;
    measure(&gitlab, &clock, &folder.join("gitlab")).await?;

    let clock = Arc::new(ScriptedClock::jumping(start));
    let fake = FakeBacklog::new(Arc::clone(&clock) as _);
    let backlog = FakeServer::start(fake)?;
    measure(&backlog, &clock, &folder.join("backlog")).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
