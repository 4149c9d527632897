//! Several processes on one folder, some of which are killed.

use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;

const FOLDER: &str = "PIPELINE_TRACKERS_TEST_FOLDER";
const WRITER: &str = "PIPELINE_TRACKERS_TEST_WRITER";

/// Starts this test binary again as a process that posts comments and prints the id of each that was answered.
#[expect(
    clippy::disallowed_methods,
    reason = "a test of what other processes do needs other processes, and the kill must be ours"
)]
fn writer(dir: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local_processes::the_writer", "--nocapture"])
        .env(FOLDER, dir)
        .env(WRITER, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The body of the child process; alone it does nothing.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variables are how the parent tells this test that it is the child"
)]
async fn the_writer() {
    let (Ok(dir), Ok(name)) = (std::env::var(FOLDER), std::env::var(WRITER)) else {
        return;
    };
    let tracker = LocalTracker::open(dir, Actor::person(name.clone()).unwrap()).unwrap();
    let key = IssueKey::new("1").unwrap();
    let long = "あ".repeat(1500);
    for round in 0.. {
        if name.starts_with("bounded") && round == 50 {
            return;
        }
        let body = format!("{name} {round}\n{long}");
        let posted = tracker.add_comment(&key, &body).await.unwrap().value;
        println!("posted {} {name} {round}", posted.id);
    }
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("tracker");
    LocalTracker::init(&dir, &LocalStatuses::default()).unwrap();
    (scratch, dir)
}

async fn first_issue(dir: &Path) -> (LocalTracker, IssueKey) {
    let tracker = LocalTracker::open(dir, Actor::pipeline()).unwrap();
    let draft = IssueDraft {
        title: "Everybody writes here".to_owned(),
        ..IssueDraft::default()
    };
    let key = tracker.create_issue(&draft).await.unwrap().key;
    (tracker, key)
}

/// Returns the id and the text that a line of a writer's output answers for.
fn answered(line: &str) -> Option<(CommentId, String)> {
    let (_, rest) = line.split_once("posted ")?;
    let (id, said) = rest.split_once(' ')?;
    Some((CommentId(id.parse().ok()?), said.to_owned()))
}

async fn thread(dir: &Path, key: &IssueKey) -> Vec<(CommentId, String)> {
    let reader = LocalTracker::open(dir, Actor::pipeline()).unwrap();
    let thread = reader.comments(key).await.unwrap().value;
    assert!(thread.is_sorted_by(|a, b| a.id < b.id));
    let first_line = |body: &str| body.lines().next().unwrap_or_default().to_owned();
    thread.iter().map(|c| (c.id, first_line(&c.body))).collect()
}

#[tokio::test]
async fn what_several_processes_append_is_there_once_in_one_order() {
    let (_scratch, dir) = folder();
    let (tracker, key) = first_issue(&dir).await;
    let mut children: Vec<_> = (0..4)
        .map(|i| writer(&dir, &format!("bounded{i}")))
        .collect();
    let mut told = BTreeSet::new();
    for child in &mut children {
        let output = BufReader::new(child.stdout.take().unwrap());
        told.extend(output.lines().filter_map(|line| answered(&line.unwrap())));
        assert!(child.wait().unwrap().success());
    }
    let found = thread(&dir, &key).await;
    assert_eq!(found.len(), 200);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), told);
    // A process that was there all along has seen them too.
    assert_eq!(tracker.comments(&key).await.unwrap().value.len(), 200);
    // Each writer's own comments stand in the order it wrote them.
    for i in 0..4 {
        let own: Vec<_> = told
            .iter()
            .filter_map(|(_, said)| said.strip_prefix(&format!("bounded{i} ")))
            .map(|round| round.parse::<u32>().unwrap())
            .collect();
        assert_eq!(own, (0..50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_was_answered_for() {
    const ROUNDS: usize = 16;
    let (_scratch, dir) = folder();
    let (tracker, key) = first_issue(&dir).await;
    let mut told = BTreeSet::new();
    for round in 0..ROUNDS {
        // Two at once, so that one is killed while the other waits for its lock.
        let mut children = [
            writer(&dir, &format!("a{round}")),
            writer(&dir, &format!("b{round}")),
        ];
        let mut outputs: Vec<_> = children
            .iter_mut()
            .map(|child| BufReader::new(child.stdout.take().unwrap()).lines())
            .collect();
        // At a different point each round, without a clock.
        let mut seen = 0;
        while seen <= round % 7 {
            let line = outputs[0].next().unwrap().unwrap();
            if let Some(one) = answered(&line) {
                told.insert(one);
                seen += 1;
            }
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for output in outputs {
            told.extend(
                output
                    .map_while(Result::ok)
                    .filter_map(|line| answered(&line)),
            );
        }
        tracker.add_comment(&key, "Still here.").await.unwrap();
    }
    let found: BTreeSet<_> = thread(&dir, &key).await.into_iter().collect();
    let lost: Vec<_> = told.difference(&found).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let ours = found.iter().filter(|(_, said)| said == "Still here.");
    assert_eq!(ours.count(), ROUNDS);
}
