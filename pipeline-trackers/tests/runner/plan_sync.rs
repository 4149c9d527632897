//! A roadmap of a real size on every tracker of this crate.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::clock::Timestamp;
use pipeline_core::journal::FileJournal;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::PlanDocument;
use pipeline_core::plan::PlanSync;
use pipeline_core::plan::SyncOptions;
use pipeline_core::plan::SyncReport;
use pipeline_core::plan::Unwatched;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::backlog::BacklogAddress;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::backlog::FakeBacklog;
use pipeline_trackers::fake::backlog::KEY;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabTracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;

const FILE: &str = "project-notes.md";
const PHASES: usize = 8;
const ITEMS: usize = 25;

fn roadmap() -> String {
    let mut text = String::from("# Shop\n\n");
    for phase in 1..=PHASES {
        writeln!(text, "## Phase {phase}: Part {phase}\n").unwrap();
        for item in 1..=ITEMS {
            // The same words in every phase, and one item with all that trackers treat in ways of their own.
            match item {
                1 => text.push_str("- [ ] Tell @alice about #1 🚀\n\n  /close\n\n"),
                2 | 3 => text.push_str("- [ ] Write the tests\n"),
                _ => writeln!(text, "- [ ] Build part {phase}.{item}\n  - [ ] in steps").unwrap(),
            }
        }
        text.push('\n');
    }
    text
}

fn sync(tracker: &Arc<dyn Tracker>, folder: &Path) -> PlanSync {
    let options = SyncOptions {
        without_page: "tracker/log.jsonl#".to_owned(),
        ..SyncOptions::default()
    };
    let journal = FileJournal::open(&folder.join("journal")).unwrap();
    PlanSync::new(
        Arc::clone(tracker),
        Arc::new(DiskFiles::new(folder)),
        Arc::new(journal),
        Arc::new(SystemClock),
        options,
    )
}

async fn run(tracker: &Arc<dyn Tracker>, folder: &Path, phases: &[&str]) -> SyncReport {
    let sync = sync(tracker, folder);
    let phases: Vec<String> = phases.iter().map(|p| (*p).to_owned()).collect();
    let plan = sync.look(&[FILE.to_owned()], &phases).await.unwrap();
    assert_eq!(plan.problems, Vec::<String>::new());
    sync.apply(&plan, &Unwatched).await.unwrap()
}

/// One phase, then all, then again; returns what `count` counted for the two runs that make and for the one that does not.
pub(super) async fn a_roadmap_of_a_real_size(
    tracker: Arc<dyn Tracker>,
    count: impl Fn() -> usize,
) -> [usize; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let before = roadmap();
    std::fs::write(&path, &before).unwrap();
    let started = count();
    let report = run(&tracker, folder.path(), &["2"]).await;
    assert_eq!(report.created.len(), ITEMS);
    let first = std::fs::read_to_string(&path).unwrap();
    let report = run(&tracker, folder.path(), &[]).await;
    assert_eq!(report.created.len(), ITEMS * (PHASES - 1));
    let made = count();
    let all = std::fs::read_to_string(&path).unwrap();
    let part = |text: &str| text.split("## Phase").nth(2).unwrap().to_owned();
    assert_eq!(
        part(&all),
        part(&first),
        "the first phase's bytes are unchanged"
    );
    let changed = before
        .lines()
        .zip(all.lines())
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(
        (changed, before.lines().count()),
        (PHASES * ITEMS, all.lines().count())
    );

    let plan = PlanDocument::parse(all.clone());
    let issues = tracker
        .list_issues(&IssueQuery::default())
        .await
        .unwrap()
        .value;
    let mut seen = BTreeSet::new();
    for item in plan.items() {
        let key = &item.link.as_ref().unwrap().key;
        assert!(seen.insert(key.clone()), "{key} is linked twice");
        let issue = issues.iter().find(|i| i.key == *key).unwrap();
        let phase = &plan.phase_of(item).unwrap().heading;
        assert!(
            issue.labels.contains(phase),
            "{key} has {:?} and not {phase}",
            issue.labels
        );
        assert_eq!(issue.milestone.as_ref(), Some(phase));
    }
    assert_eq!((seen.len(), issues.len()), (PHASES * ITEMS, PHASES * ITEMS));

    let before_again = count();
    assert_eq!(
        run(&tracker, folder.path(), &[]).await,
        SyncReport::default()
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), all);
    let drift = sync(&tracker, folder.path())
        .look(&[FILE.to_owned()], &[])
        .await
        .unwrap()
        .drift;
    assert_eq!(drift, [], "what was just made has not come apart");
    [made - started, count() - before_again]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_local_tracker() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("tracker");
    LocalTracker::init(&dir, &LocalStatuses::default()).unwrap();
    let tracker: Arc<dyn Tracker> = Arc::new(LocalTracker::open(&dir, Actor::pipeline()).unwrap());
    let lines = || {
        std::fs::read_to_string(dir.join("log.jsonl"))
            .unwrap()
            .lines()
            .count()
    };
    // A line per issue and no other; a second run writes none.
    assert_eq!(
        a_roadmap_of_a_real_size(tracker, lines).await,
        [PHASES * ITEMS, 0]
    );
}

fn backlog() -> (FakeServer<FakeBacklog>, Arc<dyn Tracker>) {
    let start = Timestamp::parse("2026-03-02T01:00:00Z").unwrap();
    let clock = Arc::new(ScriptedClock::jumping(start));
    let fake = FakeBacklog::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = FakeServer::start(fake).unwrap();
    let address: BacklogAddress = format!("{}projects/WEB", server.url()).parse().unwrap();
    let options = BacklogOptions::new(address, BacklogCredential::ApiKey(Secret::new(KEY)))
        .connection(ConnectionOptions::default().seed(1))
        .clock(clock);
    let tracker = BacklogTracker::new(options).unwrap();
    (server, Arc::new(tracker))
}

fn gitlab() -> (FakeServer<FakeGitLab>, Arc<dyn Tracker>) {
    let start = Timestamp::parse("2026-03-01T09:00:00Z").unwrap();
    let clock = Arc::new(ScriptedClock::jumping(start));
    let fake = FakeGitLab::new(Arc::clone(&clock) as _);
    let server = FakeServer::start(fake).unwrap();
    let options = GitLabOptions::new(server.service().project_url(&server.url()));
    let token = Secret::new(FakeGitLab::TOKEN);
    let tracker = GitLabTracker::with_clock(options.settle(Duration::ZERO), token, clock).unwrap();
    (server, Arc::new(tracker))
}

/// A request per issue, label (or category) and milestone (or version); a second run makes none that writes.
const WRITES: [usize; 2] = [PHASES * ITEMS + 2 * PHASES, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_backlog() {
    let (server, tracker) = backlog();
    let writes = || server.log().count(|r| r.is_write());
    assert_eq!(a_roadmap_of_a_real_size(tracker, writes).await, WRITES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_gitlab() {
    let (server, tracker) = gitlab();
    let writes = || server.log().count(|r| r.is_write());
    assert_eq!(a_roadmap_of_a_real_size(tracker, writes).await, WRITES);
}

/// Returns how many requests one command takes that makes and links everything, and the same command once more.
async fn requests(tracker: Arc<dyn Tracker>, count: impl Fn() -> usize) -> [usize; 2] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), roadmap()).unwrap();
    let report = run(&tracker, folder.path(), &[]).await;
    assert_eq!(report.created.len(), PHASES * ITEMS);
    let first = count();
    assert_eq!(
        run(&tracker, folder.path(), &[]).await,
        SyncReport::default()
    );
    [first, count() - first]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_one_command_are_counted() {
    // The numbers of docs/plan-sync.md.
    let (server, tracker) = gitlab();
    assert_eq!(requests(tracker, || server.log().len()).await, [438, 4]);
    let (server, tracker) = backlog();
    assert_eq!(requests(tracker, || server.log().len()).await, [840, 4]);
}
