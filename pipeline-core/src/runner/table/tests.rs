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
