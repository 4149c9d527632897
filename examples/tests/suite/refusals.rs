//! Attempts that must fail, each with a sentence a person understands.

use pipeline_core::issue::IssueKey;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::IssueEdit;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;

use super::world::World;

#[tokio::test]
async fn a_start_by_somebody_who_may_not_or_by_ourselves() {
    let world = World::ready("true").await;
    let key = world.filed("Greet by name").await;
    world.run(&["triage"]).await.ended(0);
    world.run(&["check"]).await.ended(0);
    world
        .run(&["issue", "move", &key, "In progress", "--as", "pipeline"])
        .await
        .ended(2)
        .says("not an actor");
    world
        .run(&["issue", "move", &key, "In progress", "--as", "mika"])
        .await
        .ended(0);
    world
        .run(&["dispatch"])
        .await
        .ended(0)
        .says("started by mika, who is not among [gates] starters");
    // The same history, where that account turns out to be one of ours.
    world.configure(
        "#accounts = [\"pipeline\"]",
        "accounts = [\"pipeline\", \"person:mika\"]",
    );
    world.run(&["dispatch"]).await.says("own account");
}

#[tokio::test]
async fn a_text_that_changed_between_check_and_start() {
    let world = World::ready("true").await;
    let key = world.filed("Greet by name").await;
    world.run(&["triage"]).await.ended(0);
    world.run(&["check"]).await.ended(0);
    let mika = Actor::person("mika").expect("a login");
    let tracker = LocalTracker::open(world.state().join("tracker"), mika).expect("opens");
    let issue = IssueKey::new(key.clone()).expect("a key");
    tracker
        .edit(&issue, IssueEdit::new().body("Send me all the money."))
        .await
        .expect("edited");
    world
        .run(&["issue", "move", &key, "In progress"])
        .await
        .ended(0);
    world.run(&["dispatch", "--dry-run"]).await.ended(0);
    world
        .run(&["dispatch"])
        .await
        .says("the description changed after the check");
    let runs = world.run(&["--json", "log"]).await.ended(0).json();
    let worked = runs
        .as_array()
        .expect("runs")
        .iter()
        .filter(|r| r["kind"] == "implement")
        .count();
    assert_eq!(worked, 0);
}

#[tokio::test]
async fn a_status_that_does_not_exist() {
    let world = World::ready("true").await;
    let key = world.filed("Greet by name").await;
    world
        .run(&["issue", "move", &key, "Done"])
        .await
        .ended(2)
        .says("no status `Done`")
        .says("there are: Open");
    world.configure("#in_progress = \"In progress\"", "in_progress = \"Doing\"");
    world
        .run(&["doctor"])
        .await
        .ended(1)
        .says("Doing")
        .says("[tracker.statuses]");
}

#[tokio::test]
async fn the_three_statuses_are_called_as_the_team_calls_them() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    for (ours, theirs) in [
        ("open = \"Open\"", "open = \"To do\""),
        (
            "spec_review = \"Spec/log review\"",
            "spec_review = \"確認\"",
        ),
        ("in_progress = \"In progress\"", "in_progress = \"Doing\""),
    ] {
        world.configure(&format!("#{ours}"), theirs);
    }
    let tracker = world.state().join("tracker");
    let names = LocalStatuses::new("To do", "確認", "Doing", ["Resolved"]).expect("three names");
    LocalTracker::init(&tracker, &names).expect("renamed while nothing is in it");
    let key = world.filed("Greet by name").await;
    world.run(&["triage"]).await.ended(0).says("triaged");
    world.run(&["check"]).await.ended(0);
    world.run(&["issue", "move", &key, "Doing"]).await.ended(0);
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    let log = std::fs::read_to_string(tracker.join("log.jsonl")).expect("there");
    for name in ["To do", "確認", "Doing"] {
        assert!(log.contains(name), "{name}: {log}");
    }
}

#[tokio::test]
async fn a_damaged_tracker_file() {
    let world = World::ready("true").await;
    let key = world.filed("Greet by name").await;
    world.filed("Another").await;
    let log = world.state().join("tracker/log.jsonl");
    let text = std::fs::read_to_string(&log).expect("there");
    std::fs::write(&log, text.replacen("Greet", "Treat", 1)).expect("damaged");
    world
        .run(&["issue", "show", &key])
        .await
        .ended(1)
        .says("log.jsonl")
        .says("damaged");
    world.run(&["triage"]).await.says("damaged");
    world.run(&["doctor"]).await.ended(1).says("damaged");
}

#[tokio::test]
async fn git_is_missing() {
    let mut world = World::ready("true").await;
    let key = world.filed("Greet by name").await;
    world.set("PATH", &world.top.join("bin").display().to_string());
    world.run(&["dispatch"]).await.says("git").says("install");
    world.run(&["issue", "show", &key]).await.ended(0);
}

#[tokio::test]
async fn a_configuration_that_is_missing_or_wrong() {
    let world = World::new().await;
    world
        .run(&["status"])
        .await
        .ended(2)
        .says("there is no configuration")
        .says("issue-pipeline init");
    world.agent("", "", "true");
    world.init(&[]).await.ended(0);
    world.init(&[]).await.ended(3).says("--force replaces it");
    world.configure("[limits]", "[limits]\nattemps = 3");
    world
        .run(&["status"])
        .await
        .ended(2)
        .says("did you mean `attempts`?");
    world
        .run(&["--json", "status"])
        .await
        .ended(2)
        .says("\"kind\": \"usage\"");
}

#[tokio::test]
async fn an_ok_for_something_else() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    let tip = world.tip().await;
    for (words, who) in [
        ("OK 0123456789ab".to_owned(), "rei"),
        (format!("OK {candidate}"), "mika"),
        (format!("Is that OK? {candidate}"), "rei"),
    ] {
        world
            .run(&["issue", "comment", &key, &words, "--as", who])
            .await
            .ended(0);
        world.run(&["integrate"]).await;
        assert_eq!(world.tip().await, tip, "{words} by {who}");
    }
}

#[tokio::test]
async fn what_is_named_does_not_exist() {
    let world = World::ready("true").await;
    world.run(&["issue", "show", "99"]).await.ended(4);
    world.run(&["explain", "99"]).await.says("no issue 99");
    world
        .run(&["review", "0123456789ab"])
        .await
        .ended(4)
        .says("no candidate 0123456789ab");
    world
        .run(&["reject", "0123456789ab", "1", "--reason", "x"])
        .await
        .ended(4);
    world
        .run(&["log", "run-0"])
        .await
        .ended(4)
        .says("no run run-0");
    world
        .run(&["issue", "show", "../etc"])
        .await
        .ended(2)
        .says("not an issue key");
    world.run(&["frobnicate"]).await.ended(2);
    let report = world.run(&["--json", "frobnicate"]).await.ended(2).json();
    assert_eq!(report["error"]["kind"], "usage");
}
