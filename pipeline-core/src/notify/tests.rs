use std::fs;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::secret::Secret;

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
        }
    }

    fn notifier(&self, script: &str) -> Notifier {
        let command = ProcessSpec::new("sh", self.dir.path())
            .args(["-c", script])
            .deadline(Duration::from_secs(60));
        let redactor = Redactor::new([&Secret::new("glpat-canary")]);
        Notifier::open(
            &self.dir.path().join("state"),
            "shop",
            command,
            Arc::new(redactor),
            Arc::new(SystemClock),
        )
        .expect("opens")
    }

    fn told(&self) -> Vec<Cause> {
        let text = fs::read_to_string(self.dir.path().join("told")).unwrap_or_default();
        text.lines()
            .map(|l| serde_json::from_str(l).expect("a line of JSON"))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        self.told().into_iter().map(|c| c.cause).collect()
    }

    fn list(&self) -> std::path::PathBuf {
        self.dir.path().join("state/causes.jsonl")
    }
}

const KEEPS: &str = "cat >> told";

fn needed(notifier: &Notifier, causes: &[&str]) {
    for cause in causes {
        notifier.observe(&Event::PersonNeeded {
            issue: IssueKey::new("A-1").ok(),
            cause: (*cause).to_owned(),
            what: "type it".to_owned(),
        });
    }
}

#[tokio::test]
async fn a_cause_is_told_once_whichever_process_heard_it() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    needed(&notifier, &["ok:1", "ok:2", "ok:1"]);
    assert_eq!(
        notifier.deliver().await,
        Delivered {
            told: 2,
            waiting: 0,
            problems: Vec::new()
        }
    );
    needed(&notifier, &["ok:2"]);
    let other = desk.notifier(KEEPS);
    needed(&other, &["ok:1", "ok:3"]);
    assert_eq!(other.deliver().await.told, 1);
    assert_eq!(notifier.deliver().await, Delivered::default());
    assert_eq!(desk.names(), ["ok:1", "ok:2", "ok:3"]);
    let first = desk.told().remove(0);
    assert_eq!(first.issue, IssueKey::new("A-1").ok());
    assert_eq!(
        (first.what.as_str(), first.pipeline.as_str()),
        ("type it", "shop")
    );
}

#[tokio::test]
async fn other_events_tell_nobody() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    notifier.observe(&Event::Note {
        issue: None,
        what: "quiet".into(),
    });
    assert_eq!(notifier.deliver().await, Delivered::default());
    assert_eq!(desk.names(), [""; 0]);
}

#[tokio::test]
async fn what_could_not_be_told_is_told_by_the_next_process_and_fails_nothing() {
    let desk = Desk::new();
    let broken = desk.notifier("cat >> tried; exit 7");
    needed(&broken, &["ok:1", "ok:2"]);
    let delivered = broken.deliver().await;
    assert_eq!((delivered.told, delivered.waiting), (0, 2));
    insta::assert_snapshot!(delivered.problems.join("\n"), @"the notify command ended with exit code 7 when it was told of `ok:1`; it is told again next time");
    let tried = fs::read_to_string(desk.dir.path().join("tried")).expect("tried");
    assert_eq!(tried.lines().count(), 1, "the others are not tried");
    drop(broken);

    let missing = Notifier {
        command: ProcessSpec::new("no-such-program", "/"),
        ..desk.notifier("")
    };
    let problems = missing.deliver().await.problems;
    assert!(
        problems[0].contains("`no-such-program` was not found"),
        "{problems:?}"
    );

    let slow = Notifier {
        command: ProcessSpec::new("sleep", "/")
            .arg("600")
            .deadline(Duration::from_millis(1)),
        ..desk.notifier("")
    };
    let problems = slow.deliver().await.problems;
    assert!(problems[0].contains("was ended"), "{problems:?}");

    assert_eq!(desk.notifier(KEEPS).deliver().await.told, 2);
    assert_eq!(desk.names(), ["ok:1", "ok:2"]);
}

#[tokio::test]
async fn one_process_tells_at_a_time() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    needed(&notifier, &["ok:1"]);
    let turn = notifier.list.take_turn().expect("locks");
    assert!(turn.is_some());
    assert_eq!(desk.notifier(KEEPS).deliver().await, Delivered::default());
    // Hearing does not wait for somebody else's telling.
    needed(&notifier, &["ok:2"]);
    drop(turn);
    assert_eq!(notifier.deliver().await.told, 2);
}

#[tokio::test]
async fn a_list_cut_at_any_byte_loses_no_later_cause_and_tells_none_of_the_whole_ones_twice() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    needed(&notifier, &["ok:1"]);
    notifier.deliver().await;
    let whole = fs::read(desk.list()).expect("reads");
    for cut in 0..=whole.len() {
        fs::write(desk.list(), &whole[..cut]).expect("writes");
        needed(&notifier, &["ok:1", "ok:2"]);
        let waiting = notifier.list.waiting().expect("reads");
        let names: Vec<_> = waiting.iter().map(|c| c.cause.as_str()).collect();
        // Without its line end the last record is whole as soon as its JSON is.
        if cut + 1 >= whole.len() {
            assert_eq!(names, ["ok:2"], "cut at {cut}");
        } else {
            assert_eq!(names, ["ok:1", "ok:2"], "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_hostile_list_is_no_obstacle() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    fs::write(desk.list(), b"\xff\xfe{}\n[[[\nnull\n{\"heard\":{}}\n").expect("writes");
    needed(&notifier, &["ok:1"]);
    assert_eq!(notifier.deliver().await.told, 1);
}

#[tokio::test]
async fn the_list_is_bounded_and_the_newest_causes_stay() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    let line = |n: usize| {
        let cause = Cause {
            cause: format!("old:{n}"),
            issue: None,
            what: String::new(),
            pipeline: String::new(),
            at: Timestamp::EPOCH,
        };
        format!(
            "{}\n{}\n",
            serde_json::json!({"heard": cause}),
            serde_json::json!({"told": cause.cause})
        )
    };
    let many: String = (0..20_001).map(line).collect();
    fs::write(desk.list(), many).expect("writes");
    needed(&notifier, &["ok:1"]);
    assert_eq!(notifier.deliver().await.told, 1);
    let text = fs::read_to_string(desk.list()).expect("reads");
    assert_eq!(text.lines().count(), 20_000);
    assert!(!text.contains("\"old:0\"") && text.contains("\"old:20000\""));
    needed(&notifier, &["ok:1", "old:20000"]);
    assert_eq!(notifier.deliver().await, Delivered::default());
}

#[tokio::test]
async fn secrets_and_hidden_characters_are_neither_kept_nor_told() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    notifier.observe(&Event::PersonNeeded {
        issue: None,
        cause: "glpat-canary".into(),
        what: format!("the token glpat-canary \u{202e}{}", "x".repeat(5_000)),
    });
    notifier.deliver().await;
    let kept = fs::read_to_string(desk.list()).expect("reads");
    assert!(!kept.contains("glpat-canary"), "{kept}");
    let told = desk.told().remove(0);
    assert_eq!(told.cause, "[redacted]");
    assert!(
        told.what.starts_with("the token [redacted] \\u{202e}xx"),
        "{}",
        told.what
    );
    assert!(told.what.chars().count() < 2_050);
}

#[tokio::test]
async fn more_causes_than_one_delivery_takes_wait_for_the_next() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    let names: Vec<String> = (0..25).map(|n| format!("ok:{n}")).collect();
    needed(
        &notifier,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let first = notifier.deliver().await;
    assert_eq!((first.told, first.waiting), (20, 5));
    assert_eq!(notifier.deliver().await.told, 5);
    assert_eq!(desk.names(), names);
}

#[test]
fn a_folder_that_cannot_be_used_is_said_and_an_unwritten_cause_is_no_panic() {
    let desk = Desk::new();
    let notifier = desk.notifier(KEEPS);
    fs::remove_dir_all(desk.dir.path().join("state")).expect("removes");
    needed(&notifier, &["ok:1"]);
    fs::write(desk.dir.path().join("state"), "").expect("writes");
    let error = List::open(&desk.dir.path().join("state")).expect_err("a file stands there");
    assert!(error.to_string().contains("cannot be used"), "{error}");
}
