//! A plan becomes issues by calls the program makes itself, through the broker.

use std::sync::Arc;

use pipeline_core::clock::SystemClock;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use serde_json::Value;
use serde_json::json;

use crate::machine::Cli;
use crate::machine::Machine;
use crate::world::done;

const BINARY: &str = env!("CARGO_BIN_EXE_plan-to-issues");
const FILE: &str = "docs/project-notes.md";
const ROADMAP: &str = "\
# Shop

## Phase 1: Login

- [ ] Log in with a password
- [ ] Log out

## Phase 2: API

- [ ] List the orders
";

/// What the model has its program do: plain calls, and everything that must not work.
const CALLS: &str = r#"
cat plan-items.json
call() { curl -sS -m 20 -H "PRIVATE-TOKEN: $GITLAB_API_TOKEN" "$@"; echo; }
call -d title="Phase 1: Login" "$GITLAB_PROJECT_URL/milestones"
call --data-urlencode title="Log in with a password" "$GITLAB_PROJECT_URL/issues"
call --data-urlencode title="Log out" -d description="In my own words." "$GITLAB_PROJECT_URL/issues"
"#;
const TRICKS: &str = r#"
call() { curl -sS -m 20 -H "PRIVATE-TOKEN: $GITLAB_API_TOKEN" "$@"; echo; }
call --data-urlencode title="List the orders" "$GITLAB_PROJECT_URL/issues"
call --data-urlencode title="Log out" "$GITLAB_PROJECT_URL/issues"
call -X DELETE "$GITLAB_PROJECT_URL/issues/1"
touch left-behind
true
"#;
// A command that speaks to an address that is not its own is ended by codex, and its output with it.
const ELSEWHERE: &str = r#"
for how in "" '*'; do
  curl -sS -m 5 --noproxy "$how" "http://127.0.0.1:{{port}}/reached-from-inside"
  curl -sS -m 5 --noproxy "$how" "{{gitlab}}reached-from-inside"
  curl -sS -m 5 --noproxy "$how" "http://192.0.2.1/reached-from-inside"
done
true
"#;
const LOOK: &str = r#"
env
cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\0' '\n'
true
"#;
const SEARCH: &str = r#"
find . "$HOME" "$TMPDIR" -type f -size -1000k -exec cat {} + 2>/dev/null | head -c 200000
true
"#;

async fn makes_the_calls_itself(cli: Cli) {
    let fake = FakeGitLab::new(Arc::new(SystemClock)).under(&["gitlab"]);
    let server = FakeServer::start(fake).expect("a port");
    let elsewhere = ELSEWHERE.replace("{{gitlab}}", server.url().as_str());
    let steps = json!([{ "shell": CALLS }, { "shell": TRICKS }, { "shell": elsewhere }, { "shell": LOOK }, { "shell": SEARCH }, { "answer": "Two were made." }]);
    let prepare = |world: &mut crate::world::World| {
        world.write(FILE, ROADMAP);
        let project = server.service().project_url(&server.url());
        world.set("GITLAB_PROJECT_URL", project.as_str());
        world.set("GITLAB_API_TOKEN", FakeGitLab::TOKEN);
    };
    let Some(machine) = Machine::with(cli, &[("driver", steps)], prepare).await else {
        return;
    };
    machine.edit(|document| {
        let tracker = &mut document["tracker"];
        tracker["kind"] = toml_edit::value("gitlab");
        tracker["settle"] = toml_edit::value("0s");
        for (key, name) in [
            ("project", "GITLAB_PROJECT_URL"),
            ("token", "GITLAB_API_TOKEN"),
        ] {
            let mut variable = toml_edit::InlineTable::new();
            variable.insert("env", name.into());
            tracker[key] = toml_edit::value(variable);
        }
        for (key, name) in ["open", "spec_review", "in_progress"].into_iter().zip([
            "status::open",
            "status::spec review",
            "status::in progress",
        ]) {
            tracker["statuses"][key] = toml_edit::value(name);
        }
        let mut section = toml_edit::Table::new();
        section["root"] = toml_edit::value("gitlab");
        tracker["gitlab"] = section.into();
    });
    let world = &machine.world;
    let run = async |arguments: &[&str]| {
        let spec = world.spec(BINARY, &world.repo(), arguments);
        done(&spec.run().await.expect("it starts"))
    };
    let typed = ["--json", "broker", "--agent", "driver", "--phase", "1"];
    let told = run(&typed).await.ended(0).json();
    assert_eq!(told["outcome"]["outcome"], "completed", "{told}");
    assert_eq!(
        (&told["missing"], &told["drift"]),
        (&json!(0), &json!([])),
        "{told}"
    );

    // What was made is tied to its item and linked, in this phase only.
    assert_eq!(
        server.service().titles(),
        ["Log in with a password", "Log out"]
    );
    for iid in server.service().issues() {
        assert_eq!(server.service().labels(iid), ["Phase 1: Login"]);
    }
    let text = world.read(FILE);
    let linked: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("](http"))
        .collect();
    assert_eq!(linked.len(), 2, "{text}");
    assert!(
        linked[0].starts_with("- [ ] Log in with a password ([#1]("),
        "{text}"
    );
    let writes = server
        .log()
        .count(pipeline_trackers::fake::FakeRequest::is_write);
    run(&["apply", "--phase", "1"])
        .await
        .ended(0)
        .says("nothing to do");
    assert_eq!(
        server
            .log()
            .count(pipeline_trackers::fake::FakeRequest::is_write),
        writes
    );
    assert_eq!(writes, 3, "a milestone and two issues");

    // Everything else was refused: by the broker, or since it is not there inside.
    let calls = told["calls"].as_array().expect("a list").iter();
    let (strangers, own): (Vec<&Value>, Vec<&Value>) = calls
        .map(|call| &call["refused"])
        .partition(|refused| **refused == "host");
    let expected = [
        json!(null),
        json!(null),
        json!(null),
        json!("not_planned"),
        json!("already_made"),
        json!("not_named"),
    ];
    assert_eq!(own, expected.iter().collect::<Vec<_>>(), "{told}");
    // What claude's commands send to a proxy comes to the broker, which is none; codex's own proxy answers for itself.
    let through_a_proxy = match cli {
        Cli::Codex => 0,
        Cli::Claude => 3,
    };
    assert_eq!(strangers.len(), through_a_proxy, "{told}");
    assert_eq!(told["used"]["strangers"], through_a_proxy, "{told}");
    assert_eq!(server.log().count(|r| r.path.contains("reached")), 0);
    let model = std::fs::read_to_string(world.top.join("model.jsonl")).expect("a log");
    let entries = model
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    for entry in entries {
        let url = entry["url"].as_str().unwrap_or_default().to_owned();
        assert!(
            !url.contains("reached"),
            "a command reached the model's port: {url}"
        );
    }
    // What the program saw and said went to the model: it knew the placeholder, and nowhere the token.
    let asked = machine.asked("driver").concat();
    assert!(asked.contains("GITLAB_API_TOKEN=placeholder-"), "{asked}");
    assert!(asked.contains("only the items of the plan"), "{asked}");
    assert!(
        !model.contains(FakeGitLab::TOKEN),
        "the token went to the model"
    );
    assert!(
        !asked.contains(crate::machine::KEY),
        "the model's key went to the model"
    );
    assert!(!world.repo().join("left-behind").exists());
    assert_eq!(machine.processes().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_makes_the_calls_of_a_plan_itself() {
    makes_the_calls_itself(Cli::Codex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_makes_the_calls_of_a_plan_itself() {
    makes_the_calls_itself(Cli::Claude).await;
}
