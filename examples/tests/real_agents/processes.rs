//! A pipeline that is killed leaves nobody behind.

use pipeline_core::process::ProcessSpec;
use serde_json::json;

use crate::machine::Cli;
use crate::machine::Machine;
use crate::machine::check;
use crate::machine::triage;
use crate::machine::until;

async fn killed(cli: Cli, signal: &str) {
    let steps = [
        ("triage", triage()),
        ("check", check(&["greeting.txt"])),
        (
            "work",
            json!([{ "shell": "echo begun > begun.txt; tail -f \"$PWD/begun.txt\"" }, { "answer": "Done." }]),
        ),
    ];
    let Some(machine) = Machine::new(cli, &steps).await else {
        return;
    };
    let world = &machine.world;
    let key = world.started("Greet by name").await;
    let running = world.binary(&["dispatch"]).start().expect("starts");
    let pid = running.identity().expect("known").pid().to_string();
    let finishing = tokio::spawn(running.finish(std::future::pending()));
    // The command itself has to run: it is what could be left behind.
    let workspaces = world.state().join("git/workspaces");
    until("the command runs", || {
        let entries = std::fs::read_dir(&workspaces).ok()?;
        entries
            .flatten()
            .find(|e| e.path().join("tree/begun.txt").exists())
    })
    .await;
    assert_ne!(machine.processes().await, [""; 0], "nobody is at work");
    // Sent to the pipeline alone, as a person or a service manager does.
    let kill = ProcessSpec::new("kill", "/").args([&format!("-{signal}"), &pid]);
    assert!(kill.run().await.expect("kill runs").succeeded());
    let ended = finishing.await.expect("joined").expect("watched");
    assert!(!ended.succeeded());
    // At the next start at the latest they are gone. The issue is taken back, so that nobody new begins.
    world
        .run(&["issue", "move", &key, "Spec/log review"])
        .await
        .ended(0);
    world.run(&["dispatch"]).await.ended(0);
    assert_eq!(machine.processes().await, [""; 0], "{signal}");
}

#[tokio::test]
async fn codex_is_gone_after_kill() {
    killed(Cli::Codex, "KILL").await;
}

#[tokio::test]
async fn codex_is_gone_after_term() {
    killed(Cli::Codex, "TERM").await;
}

#[tokio::test]
async fn claude_is_gone_after_kill() {
    killed(Cli::Claude, "KILL").await;
}

#[tokio::test]
async fn claude_is_gone_after_term() {
    killed(Cli::Claude, "TERM").await;
}
