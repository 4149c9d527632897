//! `plan-to-issues broker`: a command that makes the calls itself, held to the broker, over each service.

use super::servers::Backlog;
use super::servers::GitLab;
use super::servers::Service;
use super::servers::set_up;
use super::world::Done;
use super::world::World;
use super::world::done;

const BINARY: &str = env!("CARGO_BIN_EXE_plan-to-issues");
const FILE: &str = "docs/project-notes.md";
const ROADMAP: &str = "\
## Phase 1: Login

- [ ] Log in with a password
- [ ] Log out

## Phase 2: API

- [ ] List the orders
";

async fn run(world: &World, arguments: &[&str]) -> Done {
    let report = world.spec(BINARY, &world.repo(), arguments).run().await;
    done(&report.expect("the binary starts"))
}

/// Makes a machine with the roadmap and a service; says what is missing where a command cannot be held in here.
async fn machine(service: &dyn Service) -> Option<World> {
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, service).await.ended(0);
    world.write(FILE, ROADMAP);
    let sandbox = world.run(&["doctor"]).await.said();
    let curl = std::path::Path::new("/usr/bin/curl").exists();
    if curl && sandbox.contains("ok       sandbox                 bubblewrap") {
        return Some(world);
    }
    // Past the capture of the harness: a skip is seen even where the test counts as passed.
    let said = b"SKIPPED: the broker's command needs bubblewrap and curl\n";
    std::io::Write::write_all(&mut std::io::stderr(), said).expect("told");
    None
}

/// Looks for a way out and for the token from inside, with the port of the service for which there is no bridge.
fn tricks(service: &dyn Service) -> String {
    let server = service.address();
    format!(
        r#"curl -sS -m 5 "{server}reached" && echo REA""CHED
curl -sS -m 5 http://192.0.2.1/ && echo REA""CHED
cat /proc/*/environ /proc/*/cmdline | tr '\0' '\n'
ls -A . | tr '\n' ' '"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_makes_the_issues_of_one_phase_on_gitlab_and_reaches_nothing_else() {
    let service = GitLab::new();
    let Some(world) = machine(&service).await else {
        return;
    };
    let script = format!(
        r#"call() {{ curl -sS -H "PRIVATE-TOKEN: $GITLAB_API_TOKEN" "$@"; echo; }}
call -d title="Phase 1: Login" "$PROJECT/milestones"
call -d title="Log in with a password" "$PROJECT/issues"
call -d title="Log in with a password" "$PROJECT/issues"
call -d title="List the orders" "$PROJECT/issues"
call -d title="Something of mine" "$PROJECT/issues"
curl -sS "$PROJECT/issues"; curl -sS -H "PRIVATE-TOKEN: x" -X POST "$PROJECT/issues"
{}"#,
        tricks(&service)
    );
    let typed = ["broker", "--phase", "1", "--", "sh", "-c", &script];
    let said = run(&world, &typed).await.ended(1).said();
    assert!(
        said.contains(
            "under bubblewrap, which reaches the broker and nothing else; 2 issues to make"
        ),
        "{said}"
    );
    assert!(
        said.contains("not made: Log out") && !said.contains("REACHED"),
        "{said}"
    );
    assert!(
        said.contains("GITLAB_API_TOKEN=placeholder-"),
        "the command saw its environment: {said}"
    );
    assert!(said.contains("5 of 2000 calls used, 5 of 500 that write; 2 without the placeholder, refused and not counted"), "{said}");
    let (_, token) = service.variables().pop().expect("the token");
    assert!(!said.contains(&token), "the token was shown");
    assert_eq!(service.0.service().titles(), ["Log in with a password"]);
    assert_eq!(service.0.service().labels(1), ["Phase 1: Login"]);
    let text = world.read(FILE);
    assert_eq!(text.matches("](http").count(), 1, "{text}");
    // What is left is made by the next one, whoever it is; the other phase was never touched.
    run(&world, &["apply", "--phase", "1"])
        .await
        .ended(0)
        .says("1 made");
    assert_eq!(
        service.0.service().titles(),
        ["Log in with a password", "Log out"]
    );
    run(&world, &["status", "--phase", "1", "--check"])
        .await
        .ended(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_makes_the_issues_of_a_plan_on_backlog() {
    let service = Backlog::new();
    let Some(world) = machine(&service).await else {
        return;
    };
    let script = format!(
        r#"key="apiKey=$BACKLOG_API_KEY"
for phase in "Phase 1: Login" "Phase 2: API"; do
  curl -sS -d name="$phase" "$PROJECT/projects/{key}/categories?$key"
  curl -sS -d name="$phase" "$PROJECT/projects/{key}/versions?$key"
done
number() {{ sed 's/.*"id":\([0-9]*\).*/\1/'; }}
project=$(curl -sS "$PROJECT/projects/{key}?$key" | number)
kind=$(curl -sS "$PROJECT/projects/{key}/issueTypes?$key" | number)
for title in "Log in with a password" "Log out" "List the orders" "Mine"; do
  curl -sS -d projectId=$project -d issueTypeId=$kind -d priorityId=3 --data-urlencode summary="$title" "$PROJECT/issues?$key"
done
curl -sS -X DELETE "$PROJECT/issues/{key}-1?$key"
{}"#,
        tricks(&service),
        key = pipeline_trackers::fake::backlog::PROJECT,
    );
    let done = run(&world, &["broker", "--", "sh", "-c", &script])
        .await
        .ended(0);
    let said = done.said();
    assert!(
        said.contains("3 linked") && !said.contains("REACHED") && !said.contains("lacks"),
        "{said}"
    );
    let (_, token) = service.variables().pop().expect("the key");
    assert!(!said.contains(&token), "the key was shown");
    assert_eq!(service.0.service().issues().len(), 3);
    // Categories and versions are the items' own: nothing has come apart.
    run(&world, &["status", "--check"])
        .await
        .ended(0)
        .says("3 linked, 0 without an issue");
    assert_eq!(world.read(FILE).matches("](http").count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_confines_is_refused_unless_a_person_trusts_it() {
    let service = GitLab::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, &service).await.ended(0);
    world.write(FILE, ROADMAP);
    world.configure("\n[sandbox]\n", "\n[sandbox]\nwrapper = \"none\"\n");
    run(&world, &["broker", "--", "sh", "-c", "true"])
        .await
        .ended(3)
        .says("unconfined_broker = true");
    // An agent without a sandbox of its own that knows of the loopback is none for this.
    run(&world, &["broker", "--agent", "agent"])
        .await
        .ended(3)
        .says("cannot be held to the loopback");
    run(&world, &["broker", "--agent", "nobody"])
        .await
        .ended(2)
        .says("no agent `nobody`");
    assert_eq!(service.writes(), 0);
    world.configure("#unconfined_broker = false", "unconfined_broker = true");
    let said = run(&world, &["broker", "--", "sh", "-c", "exit 7"])
        .await
        .ended(1)
        .said();
    assert!(
        said.contains("that nothing confines") && said.contains("not made: List the orders"),
        "{said}"
    );
}
