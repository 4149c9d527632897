//! A run that reaches a limit ends within five seconds, with everything it started.
#![expect(clippy::print_stdout, reason = "a measure is told by whoever took it")]
#![expect(
    clippy::future_not_send,
    reason = "what a test looks at stays on its own thread"
)]

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use pipeline_core::process::ProcessSpec;
use serde_json::Value;
use serde_json::json;

use crate::machine::Cli;
use crate::machine::Machine;
use crate::machine::check;
use crate::machine::triage;

/// How long a run may outlive its limit: the promise.
const GRACE: Duration = Duration::from_secs(5);
/// A child that has left its session and its output; it is known by the workspace's path.
const CHILD: &str = "echo begun > begun.txt; if command -v setsid > /dev/null; then setsid tail -f \"$PWD/begun.txt\" > /dev/null 2>&1 & fi";
/// What makes a command last for ever.
const FOR_EVER: &str = "tail -f \"$PWD/begun.txt\"";

/// Which limit, and from when it counts.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// From the program's start.
    Deadline(Duration),
    /// From the last sign of life, which is the command's start.
    Stall(Duration),
    /// At once: from the answer that uses up the tokens.
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
    // The last step is repeated: a command that lasts is one that the program may put aside to ask on.
    let step = match limit {
        // A program tells what an answer has used when the command it asked for has ended.
        Limit::Tokens => json!({ "shell": CHILD, "usage": { "input": 20_000, "cached": 0 } }),
        Limit::Deadline(_) | Limit::Stall(_) => json!({ "shell": format!("{CHILD}; {FOR_EVER}") }),
    };
    let steps: [(&str, Value); 3] = [
        ("triage", triage()),
        ("check", check(&["greeting.txt"])),
        ("work", json!([step])),
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
    let dispatch = running.identity().expect("known").pid().to_string();
    let finishing = tokio::spawn(running.finish(std::future::pending()));

    let program = seen("the program starts", async || {
        let tree = below(&dispatch, &listed().await);
        tree.iter()
            .any(|process| process.arguments.contains(cli.at_work()))
    })
    .await;
    let workspaces = world.state().join("git/workspaces");
    let working = seen("it works", async || match limit {
        // The answer that uses up the tokens; what it asks for may never begin.
        Limit::Tokens => !machine.asked("work").is_empty(),
        Limit::Deadline(_) | Limit::Stall(_) => {
            std::fs::read_dir(&workspaces).is_ok_and(|entries| {
                entries
                    .flatten()
                    .any(|entry| entry.path().join("tree/begun.txt").exists())
            })
        }
    })
    .await;
    let started: BTreeSet<String> = below(&dispatch, &listed().await)
        .into_iter()
        .map(|process| process.pid)
        .collect();
    let reached = match limit {
        Limit::Deadline(time) => program + time,
        Limit::Stall(time) => working + time,
        Limit::Tokens => working,
    };
    let top = world.top.display().to_string();
    let gone = seen("all of it ends", async || {
        let listed = listed().await;
        let left =
            |process: &Listed| started.contains(&process.pid) || process.is_command_below(&top);
        !listed.iter().any(left)
    })
    .await;
    let late = gone.saturating_duration_since(reached);
    println!(
        "{cli:?} {limit:?}: {} processes, the last of them gone {late:?} after the limit",
        started.len()
    );
    assert!(late < GRACE, "{cli:?} {limit:?}: {late:?}");
    // It was this tree that was watched, not an empty one.
    assert!(!started.is_empty() || matches!(limit, Limit::Tokens));

    drop(finishing.await.expect("joined").expect("watched"));
    assert_eq!(machine.processes().await, [""; 0]);
    let thread = world.thread(&key).await;
    assert!(thread.contains(limit.reason()), "{limit:?}: {thread}");
}

/// A process that lives.
#[derive(Debug, Clone)]
struct Listed {
    pid: String,
    parent: String,
    arguments: String,
}

impl Listed {
    /// Whether it is the command of a machine, wherever it hangs by now.
    fn is_command_below(&self, top: &str) -> bool {
        self.arguments.contains(top) && self.arguments.contains("begun.txt")
    }
}

impl Cli {
    /// What the arguments hold of a program that works, and not of one that tells its version.
    const fn at_work(self) -> &'static str {
        match self {
            Self::Codex => "app-server",
            Self::Claude => "stream-json",
        }
    }
}

async fn listed() -> Vec<Listed> {
    let listing = ProcessSpec::new("ps", "/")
        .args(["-axww", "-o", "pid=,ppid=,stat=,args="])
        .run()
        .await
        .expect("ps runs");
    let text = listing.stdout().text().into_owned();
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent, state) = (words.next()?, words.next()?, words.next()?);
        // What is dead may still wait for the machine's first process to take notice.
        (!state.starts_with('Z')).then(|| Listed {
            pid: pid.to_owned(),
            parent: parent.to_owned(),
            arguments: words.collect::<Vec<_>>().join(" "),
        })
    };
    text.lines().filter_map(read).collect()
}

/// Returns what descends from a process.
fn below(root: &str, listed: &[Listed]) -> Vec<Listed> {
    let mut tree: Vec<Listed> = Vec::new();
    let mut parents = vec![root.to_owned()];
    while let Some(parent) = parents.pop() {
        for child in listed.iter().filter(|process| process.parent == parent) {
            parents.push(child.pid.clone());
            tree.push(child.clone());
        }
    }
    tree
}

/// Waits for something under a ceiling and tells when it was seen first.
async fn seen(what: &str, there: impl AsyncFn() -> bool) -> Instant {
    let looking = async {
        while !there().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Instant::now()
    };
    tokio::time::timeout(Duration::from_secs(120), looking)
        .await
        .expect(what)
}

#[tokio::test]
async fn codex_ends_at_its_deadline() {
    ends_in_time(Cli::Codex, Limit::Deadline(Duration::from_secs(30))).await;
}

#[tokio::test]
async fn codex_ends_when_it_stalls() {
    // It asks on after ten seconds of a command's silence, which is a sign of life.
    ends_in_time(Cli::Codex, Limit::Stall(Duration::from_secs(8))).await;
}

#[tokio::test]
async fn codex_ends_when_it_is_over_budget() {
    ends_in_time(Cli::Codex, Limit::Tokens).await;
}

#[tokio::test]
async fn claude_ends_at_its_deadline() {
    ends_in_time(Cli::Claude, Limit::Deadline(Duration::from_secs(30))).await;
}

#[tokio::test]
async fn claude_ends_when_it_stalls() {
    ends_in_time(Cli::Claude, Limit::Stall(Duration::from_secs(15))).await;
}

#[tokio::test]
async fn claude_ends_when_it_is_over_budget() {
    ends_in_time(Cli::Claude, Limit::Tokens).await;
}
