//! A service that fails: each failure has its name.

use serde_json::Value;
use serde_json::json;

use crate::machine::Cli;
use crate::machine::Machine;

/// What the service does, and what is said of it.
fn troubles() -> Vec<(&'static str, Value, &'static str)> {
    let limited = |after: &str| json!([{ "status": 429, "headers": { "retry-after": after }, "error": "rate" }]);
    vec![
        ("429", limited("1"), "rate limited"),
        ("429 for an hour", limited("3600"), "rate limited"),
        (
            "429 and no more",
            json!([{ "status": 429, "error": "quota" }]),
            "usage limit",
        ),
        (
            "500",
            json!([{ "status": 500, "error": "server" }]),
            "the model's service failed",
        ),
        (
            "401",
            json!([{ "status": 401, "error": "auth" }]),
            "does not accept the credential",
        ),
        (
            "too long",
            json!([{ "status": 400, "error": "overflow" }]),
            "does not fit the model's window",
        ),
        (
            "no answer",
            json!([{ "hang": "headers" }]),
            "no sign of life",
        ),
        (
            "garbage",
            json!([{ "garbage": true }]),
            "the model's service failed",
        ),
        (
            "cut",
            json!([{ "cut": true }]),
            "the model's service failed",
        ),
        (
            "prose",
            json!([{ "answer": "Plain words." }]),
            "outside the schema",
        ),
    ]
}

async fn trouble(cli: Cli) {
    for (name, steps, said) in troubles() {
        let Some(machine) = Machine::new(cli, &[("triage", steps)]).await else {
            return;
        };
        machine.edit(|document| {
            let mut limits = toml_edit::Table::new();
            limits["stall"] = toml_edit::value(if name == "no answer" { "6s" } else { "2m" });
            document["agents"]["triage"]["limits"] = limits.into();
        });
        let world = &machine.world;
        let key = world.filed("Greet by name").await;
        let done = world.run(&["triage"]).await;
        assert!(done.said().contains(said), "{name}: {}", done.said());
        let thread = world.thread(&key).await;
        assert!(
            !thread.contains("automated AI assessment"),
            "{name}: {thread}"
        );
        assert_eq!(machine.processes().await, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn codex_trouble_has_a_name() {
    trouble(Cli::Codex).await;
}

#[tokio::test]
async fn claude_trouble_has_a_name() {
    trouble(Cli::Claude).await;
}

/// One command after another for ever ends at the budget, with everything that belongs to it.
async fn a_loop_ends_at_its_budget(cli: Cli) {
    let steps = [
        ("triage", crate::machine::triage()),
        ("check", crate::machine::check(&["greeting.txt"])),
        ("work", json!([{ "shell": "true" }])),
    ];
    let Some(machine) = Machine::new(cli, &steps).await else {
        return;
    };
    machine.edit(|document| {
        let mut limits = toml_edit::Table::new();
        limits["tokens"] = toml_edit::value(6000);
        document["agents"]["work"]["limits"] = limits.into();
    });
    let world = &machine.world;
    let key = world.started("Greet by name").await;
    world
        .run(&["dispatch"])
        .await
        .ended(1)
        .says("a token or money limit was reached");
    assert!(world.thread(&key).await.contains("reason: over-budget"));
    assert_eq!(machine.processes().await, [""; 0]);
}

#[tokio::test]
async fn codex_loop_ends_at_its_budget() {
    a_loop_ends_at_its_budget(Cli::Codex).await;
}

#[tokio::test]
async fn claude_loop_ends_at_its_budget() {
    a_loop_ends_at_its_budget(Cli::Claude).await;
}
