//! A run that reaches a limit ends within five seconds, with everything it started.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::machine::Cli;
use crate::machine::Machine;
use crate::machine::check;
use crate::machine::triage;

/// How long a run may outlive its limit: the promise.
const GRACE: Duration = Duration::from_secs(5);
/// A command with a child that has left its session and its output; both are known by the workspace's path.
const COMMAND: &str = "echo begun > begun.txt; if command -v setsid > /dev/null; then setsid tail -f \"$PWD/begun.txt\" > /dev/null 2>&1 & fi; tail -f \"$PWD/begun.txt\"";

/// Which limit, and from when it counts.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// From the program's start.
    Deadline(Duration),
    /// From the last sign of life, which is the command's start.
    Stall(Duration),
    /// At once: the answer that brings the command has used up the tokens.
    Tokens,
}

impl Limit {
    fn configured(self) -> toml_edit::Table {
        let mut limits = toml_edit::Table::new();
        let seconds = |time: Duration| toml_edit::value(format!("{}s", time.as_secs()));
        match self {
            Self::Deadline(time) => limits["deadline"] = seconds(time),
            Self::Stall(time) => limits["stall"] = seconds(time),
            Self::Tokens => limits["tokens"] = toml_edit::value(6000),
        }
        limits
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Deadline(_) => "reason: deadline",
            Self::Stall(_) => "reason: stalled",
            Self::Tokens => "reason: over-budget",
        }
    }
}

async fn ends_in_time(cli: Cli, limit: Limit) {
    let mut step = json!({ "shell": COMMAND });
    if matches!(limit, Limit::Tokens) {
        step["usage"] = json!({ "input": 20_000, "cached": 0 });
    }
    let steps: [(&str, Value); 3] = [
        ("triage", triage()),
        ("check", check(&["greeting.txt"])),
        ("work", json!([step, { "answer": "Done." }])),
    ];
    let Some(machine) = Machine::new(cli, &steps).await else {
        return;
    };
    machine.edit(|document| {
        document["agents"]["work"]["limits"] = limit.configured().into();
    });
    let world = &machine.world;
    let key = world.started("Greet by name").await;
    let running = world.binary(&["dispatch"]).start().expect("starts");
    let finishing = tokio::spawn(running.finish(std::future::pending()));

    let workspaces = world.state().join("git/workspaces");
    let program = seen("the program starts", async || {
        machine
            .processes()
            .await
            .iter()
            .any(|line| line.contains("node_modules/.bin"))
    })
    .await;
    let command = seen("the command runs", async || {
        std::fs::read_dir(&workspaces).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.path().join("tree/begun.txt").exists())
        })
    })
    .await;
    let reached = match limit {
        Limit::Deadline(time) => program + time,
        Limit::Stall(time) => command + time,
        Limit::Tokens => command,
    };
    let gone = seen("all of it ends", async || {
        !machine.processes().await.iter().any(|line| at_work(line))
    })
    .await;
    let late = gone.saturating_duration_since(reached);
    println!("{cli:?} {limit:?}: the last process was gone {late:?} after the limit");
    assert!(late < GRACE, "{cli:?} {limit:?}: {late:?}");

    finishing.await.expect("joined").expect("watched");
    assert_eq!(machine.processes().await, [""; 0]);
    let thread = world.thread(&key).await;
    assert!(thread.contains(limit.reason()), "{limit:?}: {thread}");
}

/// Whether a process is the agent's: its program, or a command that holds a file of the workspace.
fn at_work(line: &str) -> bool {
    line.contains("node_modules/") || line.contains("begun.txt")
}

/// Waits for something under a ceiling and tells when it was seen first.
async fn seen(what: &str, there: impl AsyncFn() -> bool) -> Instant {
    let looking = async {
        while !there().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    };
    tokio::time::timeout(Duration::from_secs(120), looking)
        .await
        .expect(what)
}

#[tokio::test]
async fn codex_ends_at_its_deadline() {
    ends_in_time(Cli::Codex, Limit::Deadline(Duration::from_secs(20))).await;
}

#[tokio::test]
async fn codex_ends_when_it_stalls() {
    ends_in_time(Cli::Codex, Limit::Stall(Duration::from_secs(6))).await;
}

#[tokio::test]
async fn codex_ends_when_it_is_over_budget() {
    ends_in_time(Cli::Codex, Limit::Tokens).await;
}

#[tokio::test]
async fn claude_ends_at_its_deadline() {
    ends_in_time(Cli::Claude, Limit::Deadline(Duration::from_secs(20))).await;
}

#[tokio::test]
async fn claude_ends_when_it_stalls() {
    ends_in_time(Cli::Claude, Limit::Stall(Duration::from_secs(6))).await;
}

#[tokio::test]
async fn claude_ends_when_it_is_over_budget() {
    ends_in_time(Cli::Claude, Limit::Tokens).await;
}
