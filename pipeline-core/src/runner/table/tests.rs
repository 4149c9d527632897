use super::*;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::issue::IssueKey;

fn request(run: &str) -> RunRequest {
    RunRequest {
        run: RunId::new(run).expect("run"),
        repo: "shop".into(),
        issue: IssueKey::new("A-1").expect("key"),
        asked: Timestamp::EPOCH,
        agent: "bob".into(),
        slot: "bob-1".into(),
        kind: TaskKind::Implement,
        base: None,
        exclude: Vec::new(),
        prompt: String::new(),
        schema: None,
        input: serde_json::Value::Null,
        images: Vec::new(),
        model: None,
        session: None,
        round: None,
        limits: RunLimits::default(),
    }
}

fn table() -> (tempfile::TempDir, RunTable) {
    let dir = tempfile::tempdir().expect("temp dir");
    let table = RunTable::open(&dir.path().join("runs")).expect("opens");
    (dir, table)
}

#[test]
fn a_run_is_running_as_long_as_its_guard_lives_and_is_begun_once() {
    let (_dir, table) = table();
    let request = request("run-1");
    let Begin::Begun(guard) = table.begin(&request).expect("begins") else {
        panic!("must begin")
    };
    assert!(table.is_running(&request.run) && table.is_running(&request.run));
    assert_eq!(table.running("shop").expect("reads").len(), 1);
    assert_eq!(table.running("other").expect("reads").len(), 0);
    assert!(matches!(table.begin(&request), Ok(Begin::Running)));
    drop(guard);
    assert!(!table.is_running(&request.run));
}

#[test]
fn looking_at_a_run_never_keeps_another_from_beginning_it() {
    let (_dir, table) = table();
    let request = request("run-1");
    drop(table.begin(&request).expect("begins"));
    let looking = File::open(table.folder(&request.run).join("lock")).expect("opens");
    looking.lock_shared().expect("looks");
    let begun = std::thread::scope(|s| {
        let begun = s.spawn(|| table.begin(&request));
        looking.unlock().expect("looks away");
        begun.join().expect("joins")
    });
    assert!(matches!(begun, Ok(Begin::Begun(_))));
}

fn ended(table: &RunTable, run: &str, ended: Timestamp, wrote: bool) {
    let request = request(run);
    drop(table.begin(&request).expect("begins"));
    let result = RunResult {
        run: request.run,
        report: crate::agent::AgentReport::of(crate::agent::AgentOutcome::Completed),
        patch: wrote.then(|| crate::workspace::Patch::new(b"a patch".to_vec())),
        touched: Vec::new(),
        confinement: crate::agent::Confinement::Unconfined,
        tree_changed: false,
        kept: None,
        began: ended,
        ended,
    };
    table.finish(&result).expect("written");
}

#[test]
fn only_what_ended_long_ago_and_wrote_nothing_is_pruned() {
    let (_dir, table) = table();
    let day = |n: u64| Timestamp::EPOCH.plus(Duration::from_secs(n * 24 * 3600));
    ended(&table, "old", day(0), false);
    ended(&table, "old-with-a-patch", day(0), true);
    ended(&table, "young", day(29), false);
    drop(table.begin(&request("died")).expect("begins"));
    assert_eq!(table.prune(day(31)).expect("reads"), 1);
    let left = table.runs().expect("reads");
    let left: Vec<&str> = left.iter().map(RunId::as_str).collect();
    assert_eq!(left, ["died", "old-with-a-patch", "young"]);
}

#[test]
fn however_many_read_the_table_stays_bounded() {
    let (_dir, table) = table();
    let minute = |n: usize| Timestamp::EPOCH.plus(Duration::from_secs(n as u64 * 60));
    for n in 0..30 {
        ended(&table, &format!("run-{n:05}"), minute(n), false);
    }
    let now = minute(30).plus(Duration::from_secs(24 * 3600));
    assert_eq!(table.prune_to(now, 10).expect("reads"), 20);
    let left = table.runs().expect("reads");
    assert_eq!(left.len(), 10);
    assert_eq!(left.first().map(RunId::as_str), Some("run-00020"));
}
