//! `plan-to-issues` on the embedded tracker, as a person types it.

use std::fmt::Write as _;
use std::path::Path;

use super::world::Done;
use super::world::World;
use super::world::done;

const BINARY: &str = env!("CARGO_BIN_EXE_plan-to-issues");
const FILE: &str = "docs/project-notes.md";

async fn run(world: &World, directory: &Path, arguments: &[&str]) -> Done {
    let report = world.spec(BINARY, directory, arguments).run().await;
    done(&report.expect("the binary starts"))
}

/// Runs a command with the embedded tracker in the tree.
async fn local(world: &World, arguments: &[&str]) -> Done {
    let all = [&["--tracker", "local", "--dir", "tracker"], arguments].concat();
    run(world, &world.repo(), &all).await
}

fn roadmap(phases: usize, items: usize) -> String {
    let mut text = String::from("# Shop\n\n");
    for phase in 1..=phases {
        writeln!(text, "## Phase {phase}: Part {phase}\n").expect("written");
        for item in 1..=items {
            writeln!(text, "- [ ] Build part {phase}.{item}").expect("written");
        }
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn a_roadmap_of_a_real_size_becomes_issues_in_a_repository_without_a_commit() {
    let world = World::bare();
    world
        .git(&["init", "--quiet", "--initial-branch=main"])
        .await;
    world.write(FILE, &roadmap(8, 25));
    let before = world.read(FILE);
    let plan = local(&world, &["plan", "--json"]).await.ended(0).json();
    assert_eq!(plan["writes"], 200);
    assert!(
        !world.repo().join("tracker").exists(),
        "a dry run makes nothing"
    );
    assert_eq!(world.read(FILE), before);

    local(&world, &["apply", "--phase", "2"])
        .await
        .ended(0)
        .says("25 made");
    let first = world.read(FILE);
    local(&world, &["apply"]).await.ended(0).says("175 made");
    let all = world.read(FILE);
    assert_eq!(all.matches("](../tracker/log.jsonl#").count(), 200);
    let part = |text: &str| text.split("## Phase").nth(2).expect("phase 2").to_owned();
    assert_eq!(part(&all), part(&first));
    let lines = before.lines().zip(all.lines());
    assert!(lines.into_iter().all(|(a, b)| b.starts_with(a)));

    let log = world.repo().join("tracker/log.jsonl");
    let size = std::fs::metadata(&log).expect("there").len();
    local(&world, &["apply"])
        .await
        .ended(0)
        .says("nothing to do");
    assert_eq!(
        (
            world.read(FILE),
            std::fs::metadata(&log).expect("there").len()
        ),
        (all, size)
    );
    local(&world, &["status", "--check"])
        .await
        .ended(0)
        .says("200 linked, 0 without an issue");
}

#[tokio::test]
async fn outside_of_any_repository_a_named_file_is_enough() {
    let world = World::bare();
    let folder = world.top.join("home");
    std::fs::write(folder.join("plan.md"), "## Alpha\n\n- [ ] a\n- [x] b\n").expect("written");
    let typed = ["apply", "--tracker", "local", "--dir", "t", "plan.md"];
    run(&world, &folder, &typed).await.ended(0).says("1 made");
    let text = std::fs::read_to_string(folder.join("plan.md")).expect("there");
    assert_eq!(text, "## Alpha\n\n- [ ] a ([#1](t/log.jsonl#1))\n- [x] b\n");
    assert!(folder.join("t/plan-sync.jsonl").exists());
    // From elsewhere the file is still the same one.
    let typed = [
        "apply",
        "--tracker",
        "local",
        "--dir",
        "home/t",
        "home/plan.md",
    ];
    run(&world, &world.top, &typed)
        .await
        .ended(0)
        .says("nothing to do");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_its_code() {
    let world = World::bare();
    world.write("plan.md", "## Phase 1\n\n- [ ] a\n");
    local(&world, &["plan", "missing.md"])
        .await
        .ended(2)
        .says("cannot be read");
    local(&world, &["plan", "--phase", "7", "plan.md"])
        .await
        .ended(2)
        .says("no phase `7`");
    local(&world, &["apply", "--plan", "000000000000", "plan.md"])
        .await
        .ended(3)
        .says("no longer");
    local(&world, &["status", "--check", "plan.md"])
        .await
        .ended(3)
        .says("no link: a");
    run(&world, &world.repo(), &["plan", "--tracker", "local"])
        .await
        .ended(2);
    local(&world, &["broker", "--", "true"])
        .await
        .ended(2)
        .says("no token to keep");
    let path = world.repo().join("plan.md");
    let mut rights = std::fs::metadata(&path).expect("there").permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(&path, rights).expect("set");
    local(&world, &["apply", "plan.md"])
        .await
        .ended(2)
        .says("read-only");
    assert_eq!(world.read("plan.md"), "## Phase 1\n\n- [ ] a\n");
}

#[tokio::test]
async fn links_can_be_a_patch_that_git_takes() {
    let world = World::new().await;
    let text = "## Phase 1\r\n\r\n- [ ] a\r\n- [ ] b";
    world.write(FILE, text);
    world.commit("A plan").await;
    local(&world, &["apply", "--patch", "links.patch"])
        .await
        .ended(0)
        .says("2 made");
    assert_eq!(world.read(FILE), text, "the file is left alone");
    world.git(&["apply", "links.patch"]).await;
    assert_eq!(world.read(FILE).matches("log.jsonl#").count(), 2);
    local(&world, &["apply"])
        .await
        .ended(0)
        .says("nothing to do");
    let issue = std::fs::read_to_string(world.repo().join("tracker/log.jsonl")).expect("there");
    assert!(issue.contains("plan-file: docs/project-notes.md") && issue.contains("at commit "));
}
