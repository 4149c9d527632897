//! What a tick costs in which nothing has happened: requests and time, with 1,000 issues in review and in progress.
//!
//! `cargo bench -p pipeline-benches --bench quiet_tick` prints one line per kind of tick. The time is that of
//! the adapter, the mirror and the loopback address; a real service adds its own.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeSet;
use std::error::Error;
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
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;

const ISSUES: usize = 1000;
const TICKS: u32 = 50;

fn connect(
    server: &FakeServer<FakeGitLab>,
    clock: &Arc<ScriptedClock>,
) -> Result<GitLabTracker, Box<dyn Error>> {
    let options = GitLabOptions::new(server.service().project_url(&server.url()));
    let token = Secret::new(FakeGitLab::TOKEN);
    let clock = Arc::clone(clock);
    Ok(GitLabTracker::with_clock(options, token, clock as _)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Timestamp::parse("2026-03-01T09:00:00Z").ok_or("a time")?;
    let clock = Arc::new(ScriptedClock::jumping(start));
    let server = FakeServer::start(FakeGitLab::new(Arc::clone(&clock) as _))?;
    let [review, progress, _] = FakeGitLab::STATUSES;
    for i in 0..ISSUES {
        let iid = server
            .service()
            .file("alice", "An issue", "As the title says.");
        let status = if i % 2 == 0 { review } else { progress };
        server.service().set_status("alice", iid, Some(status));
    }
    clock.advance(Duration::from_secs(3600));
    let tracker = connect(&server, &clock)?;
    let protocol = Protocol {
        accounts: Vec::new(),
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new(tracker.identity()),
    };
    let folder = std::env::temp_dir().join(format!("quiet-tick-{}", std::process::id()));
    let none = BTreeSet::new();

    let report = |what: &str, requests: usize, ticks: u32, took: Duration| {
        let each = requests as f64 / f64::from(ticks);
        println!(
            "gitlab  {what:<34}  {each:>7.1} requests  {:>9.2?}",
            took / ticks
        );
    };
    let began = Instant::now();
    let mirror = Mirror::open(&folder)?;
    mirror
        .refresh(&tracker, &protocol, Timestamp::EPOCH, &none)
        .await?;
    report(
        "the first reading of all",
        server.log().len(),
        1,
        began.elapsed(),
    );

    server.log().clear();
    let began = Instant::now();
    for _ in 0..TICKS {
        clock.advance(Duration::from_secs(900));
        mirror
            .refresh(&tracker, &protocol, Timestamp::EPOCH, &none)
            .await?;
    }
    report(
        "quiet, in one process",
        server.log().len(),
        TICKS,
        began.elapsed(),
    );

    server.log().clear();
    let began = Instant::now();
    for _ in 0..TICKS {
        clock.advance(Duration::from_secs(900));
        let (tracker, mirror) = (connect(&server, &clock)?, Mirror::open(&folder)?);
        mirror
            .refresh(&tracker, &protocol, Timestamp::EPOCH, &none)
            .await?;
    }
    report(
        "quiet, in a new process each",
        server.log().len(),
        TICKS,
        began.elapsed(),
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
