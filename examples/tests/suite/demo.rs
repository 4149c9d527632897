//! The demo on a clean machine, read as a program reads it.

use serde_json::Value;

use super::world::World;

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn the_whole_pipeline_from_seven_issues_to_six_commits() {
    let world = World::bare();
    let dir = world.top.join("demo");
    let done = world
        .run_in(&world.top, &["--json", "demo", "--dir", "demo"])
        .await
        .ended(0);
    let report = done.json();

    let issues = report["issues"].as_array().expect("issues");
    assert_eq!(issues.len(), 7);
    let by_title = |title: &str| issues.iter().find(|i| i["title"] == title).expect("filed");
    for issue in issues {
        assert_eq!(texts(&issue["memos"])[..2], ["triage", "check"], "{issue}");
    }
    // Checked again because a person wrote.
    let greeting = by_title("Greet the customer by name");
    assert!(
        texts(&greeting["memos"]).contains(&"re-check"),
        "{greeting}"
    );
    // Returned once, landed on the second attempt.
    let search = by_title("Find products whatever the letter case");
    assert_eq!(search["attempts"], 2);
    assert!(texts(&search["memos"]).contains(&"rework"), "{search}");
    // Never started, so never worked on.
    let checkout = by_title("Make the checkout nicer");
    assert_eq!(checkout["status"], "Spec/log review");
    assert_eq!(checkout["attempts"], 0);
    let landed = issues.iter().filter(|i| i["status"] == "Resolved").count();
    assert_eq!(landed, 6);

    assert!(!report["overlapping"].as_array().expect("pairs").is_empty());
    for pair in report["conflicting"].as_array().expect("pairs") {
        assert_eq!(pair[2], false, "conflicting work overlapped: {pair}");
    }

    let commits = report["commits"].as_array().expect("commits");
    assert_eq!(commits.len(), 6);
    for commit in commits {
        let trailers = texts(&commit["trailers"]).join("\n");
        assert!(
            trailers.contains("Agent-Claim: ") && trailers.contains("Agent-Round: "),
            "{commit}"
        );
        assert_eq!(commit["author"], "Demo agent");
        assert_eq!(commit["committer"], "rei");
    }
    let approvals = report["approvals"].as_array().expect("approvals");
    for approval in approvals {
        let candidate = approval["candidate"].as_str().expect("an id");
        let comment = approval["comment"].as_str().expect("a comment");
        assert!(
            comment.starts_with(&format!("OK {}", &candidate[..12])),
            "{approval}"
        );
    }

    assert_eq!(texts(&report["refs_before"]), ["refs/heads/main"]);
    assert_eq!(report["refs_after"], report["refs_before"]);
    assert_eq!(report["tree_clean"], true);
    assert_eq!(report["moved_forward"], true);
    assert_eq!(report["worktrees_left"], 0);
    assert_eq!(texts(&report["second_run_changed"]), Vec::<&str>::new());

    // The work is really there, and the person's wish in it.
    let repo = dir.join("repo");
    let page = world
        .spec(
            "sh",
            &repo,
            &["app/controllers/customers_controller.sh", "Aiko"],
        )
        .run()
        .await;
    assert!(
        page.expect("runs")
            .stdout()
            .text()
            .contains("<p>Welcome back, Aiko!</p>")
    );
    let tests = world
        .spec("sh", &repo, &["tests/run.sh"])
        .run()
        .await
        .expect("runs");
    assert!(tests.succeeded());

    // Refused where it has been before.
    world
        .run_in(&world.top, &["demo", "--dir", "demo"])
        .await
        .ended(3)
        .says("is not empty");
}

#[tokio::test]
async fn playing_the_person_needs_a_terminal() {
    let world = World::bare();
    let played = world
        .run_in(&world.top, &["demo", "--dir", "demo", "--pause"])
        .await;
    played.ended(2).says("--pause needs a terminal");
}
