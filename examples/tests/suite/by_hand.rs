//! `init` on an existing repository, then each stage as a command.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::world::World;

#[tokio::test]
async fn from_init_to_the_commit_command_by_command() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    world.run(&["doctor"]).await.ended(0);
    assert_eq!(
        world.git(&["status", "--porcelain"]).await,
        "",
        "init writes nothing into the tree"
    );

    let key = world.filed("Greet by name").await;
    world
        .run(&["triage", "--dry-run"])
        .await
        .ended(0)
        .says("would");
    assert!(
        !world.thread(&key).await.contains("automated AI assessment"),
        "a dry run writes nothing"
    );
    world
        .run(&["triage"])
        .await
        .ended(0)
        .says("triaged and moved");
    world
        .run(&["check", "--dry-run"])
        .await
        .ended(0)
        .says("would");
    world.run(&["check"]).await.ended(0).says("checked");
    world
        .run(&["explain", &key])
        .await
        .ended(0)
        .says("a person moves it to `In progress`");

    world
        .run(&[
            "issue",
            "comment",
            &key,
            "Her name is Aiko.",
            "--as",
            "mika",
        ])
        .await
        .ended(0);
    world.run(&["check"]).await.ended(0).says("re-checked");

    world
        .run(&["issue", "move", &key, "In progress"])
        .await
        .ended(0);
    world
        .run(&["dispatch", "--dry-run"])
        .await
        .ended(0)
        .says("would");
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    world.run(&["integrate", "--dry-run"]).await.ended(0);
    world
        .run(&["integrate"])
        .await
        .ended(0)
        .says("waits for its OK");
    assert_eq!(
        world.read("greeting.txt"),
        "hello\n",
        "nothing lands before the OK"
    );

    let candidate = world.waiting().await.expect("a candidate");
    world
        .run(&["review"])
        .await
        .ended(0)
        .says("+hello, Aiko")
        .says(&format!("OK {candidate}"));
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.ended(0).says("landed");

    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
    let body = world.git(&["log", "-1", "--format=%B"]).await;
    assert!(body.contains(&format!("Agent-Claim: {key} ")), "{body}");

    let before = world.tip().await;
    for stage in ["triage", "check", "dispatch", "integrate"] {
        let again = world.run(&["--json", stage]).await.ended(0).json();
        let done = again["issues"]
            .as_array()
            .expect("issues")
            .iter()
            .filter(|i| i["outcome"] == "done");
        assert_eq!(done.count(), 0, "{again}");
    }
    assert_eq!(world.tip().await, before);

    let runs = world.run(&["--json", "log"]).await.ended(0).json();
    let kinds: Vec<&str> = runs
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|r| r["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["triage", "local_check", "recheck", "implement"]);
    let run = runs[3]["run"].as_str().expect("an id");
    world.run(&["log", run]).await.ended(0).says("greeting.txt");
}

#[tokio::test]
async fn a_candidate_goes_back_with_the_reason_of_a_person() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    let reason = "Say good morning.";
    world
        .run(&["reject", &candidate, &key, "--reason", reason])
        .await
        .ended(0);
    assert_eq!(world.waiting().await, None);
    assert!(world.thread(&key).await.contains(reason));
    world.agent("", "", "echo 'good morning' > greeting.txt");
    let again = world.candidate().await;
    assert_ne!(again, candidate);
    world
        .run(&["reject", &candidate, &key, "--reason", reason])
        .await
        .ended(4)
        .says("no candidate");
}

#[tokio::test]
async fn a_lock_is_ended_by_hand() {
    let world = World::ready("echo x > greeting.txt").await;
    let key = world.started("Greet by name").await;
    world.run(&["dispatch"]).await.ended(0);
    let status = world.run(&["--json", "status"]).await.ended(0).json();
    let claim = status["claims"][0]["claim"]
        .as_u64()
        .expect("a claim")
        .to_string();
    world
        .run(&["release", &claim, "--reason", "taking over"])
        .await
        .ended(0);
    let status = world.run(&["--json", "status"]).await.ended(0).json();
    assert_eq!(
        status["claims"].as_array().map(Vec::len),
        Some(0),
        "{status}"
    );
    assert!(world.thread(&key).await.contains("taking over"));
    world
        .run(&["release", &claim])
        .await
        .ended(3)
        .says("no live claim");
    world
        .run(&["stop", &key])
        .await
        .ended(3)
        .says("nothing runs");
}

/// Returns everything that is written in the state directory.
fn written(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![world.state()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the state") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let content = std::fs::read(&path).expect("readable");
                // A file that only carries a lock says nothing.
                if !content.is_empty() {
                    files.insert(path, content);
                }
            }
        }
    }
    files
}

#[tokio::test]
async fn a_dry_run_of_any_stage_calls_nobody_and_writes_nothing() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.filed("Greet by name").await;
    // What any command makes for itself when it comes first is there then.
    world.run(&["status"]).await.ended(0);
    for stage in ["triage", "check", "dispatch", "integrate"] {
        let (before, refs) = (written(&world), world.git(&["for-each-ref"]).await);
        world
            .run(&[stage, "--dry-run"])
            .await
            .ended(0)
            .says("would");
        world
            .run(&["--json", stage, "--dry-run"])
            .await
            .ended(0)
            .json();
        let after = written(&world);
        let changed: Vec<&PathBuf> = after
            .iter()
            .filter(|(path, content)| before.get(*path) != Some(content))
            .map(|(path, _)| path)
            .collect();
        assert!(changed.is_empty(), "{stage} --dry-run wrote {changed:?}");
        assert_eq!(world.git(&["for-each-ref"]).await, refs, "{stage}");
        world.run(&[stage]).await.ended(0);
        if stage == "check" {
            world
                .run(&["issue", "move", &key, "In progress"])
                .await
                .ended(0);
        }
    }
}

#[tokio::test]
async fn a_run_request_is_executed_once_by_whoever_gets_it() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    world.started("Greet by name").await;
    world.run(&["dispatch"]).await.ended(0);
    let runs = world.run(&["--json", "log"]).await.ended(0).json();
    let made = runs.as_array().expect("runs").last().expect("one");
    let run = made["run"].as_str().expect("an id");
    let whole = world.run(&["--json", "log", run]).await.ended(0).json();
    let mut request = whole["request"].clone();
    request["run"] = "run-00000000000000aa".into();
    let file = world.top.join("home/request.json");
    std::fs::write(&file, request.to_string()).expect("written");
    let path = file.display().to_string();
    let first = world.run(&["--json", "work", &path]).await.ended(0).json();
    assert_eq!(first["run"], "run-00000000000000aa");
    assert_eq!(first["touched"], serde_json::json!(["greeting.txt"]));
    let again = world.run(&["--json", "work", &path]).await.ended(0).json();
    assert_eq!(again, first, "it was executed twice");

    request["repo"] = "elsewhere".into();
    std::fs::write(&file, request.to_string()).expect("written");
    world
        .run(&["work", &path])
        .await
        .ended(3)
        .says("the request is for repository elsewhere");
    world
        .run(&["work", "missing.json"])
        .await
        .ended(2)
        .says("missing.json cannot be read");
    world
        .run(&["work", "greeting.txt"])
        .await
        .ended(2)
        .says("no run request");
}
