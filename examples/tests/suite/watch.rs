//! `watch`, `pause`, notifications: what runs without anybody looking.

use std::time::Duration;

use super::world::World;
use super::world::done;

#[tokio::test]
async fn it_runs_the_stages_keeps_the_last_good_configuration_and_ends_when_asked() {
    let world = World::ready("echo hi > greeting.txt").await;
    for every in [
        "#every = \"15m\"",
        "#every = \"15m\"",
        "#every = \"1h\"",
        "#every = \"5m\"",
    ] {
        world.configure(every, "every = \"1s\"");
    }
    world.configure("#active = \"07:00-21:00\"", "active = \"always\"");
    world.configure("#active = \"07:00-21:00\"", "active = \"always\"");
    let told = world.top.join("home/told");
    world.configure(
        "#command = [\"/usr/local/bin/tell-the-team\"]",
        &format!("command = [\"sh\", \"-c\", \"cat >> {}\"]", told.display()),
    );
    let key = world.filed("Greet by name").await;
    let (last_runs, state) = (world.state().join("schedule.json"), world.state());

    let story = async {
        until(|| {
            std::fs::read_to_string(state.join("tracker/log.jsonl"))
                .is_ok_and(|t| t.contains("local-check memo"))
        })
        .await;
        world.configure("[limits]", "[limits]\nattemps = 3");
        // One stage has begun twice with the edit in the file: in two passes, the second of which has read it.
        for _ in 0..2 {
            let before = began(&last_runs);
            until(|| began(&last_runs) != before).await;
        }
        world.configure("\nattemps = 3", "");
        world
            .run(&["issue", "move", &key, "In progress"])
            .await
            .ended(0);
        until(|| std::fs::read_to_string(&told).is_ok_and(|t| t.contains("approve"))).await;
    };
    let running = world.binary(&["watch"]).start().expect("starts");
    let pid = running.identity().expect("alive").pid().to_string();
    let asked = async {
        story.await;
        let kill = world.spec("kill", &world.top, &["-TERM", &pid]).run().await;
        assert!(kill.expect("kill starts").succeeded());
    };
    let (watched, ()) = tokio::join!(running.finish(std::future::pending()), asked);
    done(&watched.expect("watched"))
        .ended(0)
        .says("did you mean `attempts`?")
        .says("the last good configuration stays in force")
        .says("submitted");

    // Once per cause, however often the stage came by.
    let told = std::fs::read_to_string(told).expect("told");
    let causes: Vec<&str> = told.lines().collect();
    let mut distinct = causes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(causes.len(), distinct.len(), "{told}");
}

/// Returns when one of the stages began last.
fn began(last_runs: &std::path::Path) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(last_runs).ok()?;
    let stages: serde_json::Value = serde_json::from_str(&text).ok()?;
    stages.get("triage").cloned()
}

/// Waits for something another process does; the ceiling only ends a test that would fail anyway.
async fn until(happened: impl Fn() -> bool) {
    let ceiling = std::time::Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(std::time::Instant::now() < ceiling, "it did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_pause_stops_every_stage_until_it_is_taken_back() {
    let world = World::ready("true").await;
    world.filed("Greet by name").await;
    world
        .run(&["pause", "--reason", "release day"])
        .await
        .ended(0);
    for stage in ["triage", "check", "dispatch", "integrate"] {
        world
            .run(&[stage])
            .await
            .ended(5)
            .says("paused by rei")
            .says("release day");
    }
    world.run(&["status"]).await.ended(0).says("paused by rei");
    world
        .run(&["triage", "--dry-run"])
        .await
        .ended(0)
        .says("would");
    world.run(&["resume"]).await.ended(0);
    world.run(&["triage"]).await.ended(0).says("triaged");
}

#[tokio::test]
async fn until_idle_does_everything_that_needs_nobody() {
    let world = World::ready("echo hi > greeting.txt").await;
    let key = world.filed("Greet by name").await;
    world
        .run(&["watch", "--until-idle"])
        .await
        .ended(0)
        .says("triaged")
        .says("checked");
    world
        .run(&["issue", "move", &key, "In progress"])
        .await
        .ended(0);
    world
        .run(&["watch", "--until-idle"])
        .await
        .ended(0)
        .says("waits for its OK");
}

#[tokio::test]
async fn a_timer_that_comes_too_early_does_nothing() {
    let world = World::ready("true").await;
    world.configure("#active = \"07:00-21:00\"", "active = \"always\"");
    world.filed("Greet by name").await;
    world
        .run(&["triage", "--scheduled"])
        .await
        .ended(0)
        .says("triaged");
    world.filed("Another").await;
    let early = world.run(&["triage", "--scheduled"]).await.ended(0);
    assert_eq!(early.out, "");
    world.run(&["triage"]).await.ended(0).says("triaged");
}
