//! What somebody outside can do with the public crates: a tracker and an agent of their own, and the examples of it.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessSpec;

use super::world::done;

#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/custom_agent.rs"]
mod custom_agent;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/custom_conflicts.rs"]
mod custom_conflicts;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/custom_tracker.rs"]
mod custom_tracker;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/custom_workspace.rs"]
mod custom_workspace;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").to_path_buf()
}

/// Writes a crate into a temporary folder that depends on the public crates by their paths, and runs its tests: the
/// kits on its tracker and its agent, and one issue up to its landed patch.
#[tokio::test]
#[ignore = "builds the public crates a second time: `.ci/run` runs it, with --ignored"]
async fn a_crate_outside_of_the_workspace_has_a_tracker_and_an_agent_of_its_own() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(at(name).parent().expect("a parent")).expect("made");
        std::fs::write(at(name), text).expect("written");
    };
    let manifest = include_str!("outside/Cargo.toml.in");
    write(
        "Cargo.toml",
        &manifest.replace("@ROOT@", &root().display().to_string()),
    );
    // The versions that were built here: nothing is asked of a registry.
    std::fs::copy(root().join("Cargo.lock"), at("Cargo.lock")).expect("copied");
    write("src/lib.rs", "pub mod agent;\npub mod board;\n");
    write(
        "src/agent.rs",
        include_str!("../../examples/custom_agent.rs"),
    );
    write("src/board.rs", &board());
    write("tests/kits.rs", include_str!("outside/kits.rs.in"));
    write("tests/story.rs", include_str!("outside/story.rs.in"));
    let (cargo, variables) = toolchain();
    let report = ProcessSpec::new(cargo, folder.path())
        .args(["test", "--offline", "--tests", "--target-dir"])
        .arg(target().join("outside"))
        .envs(variables)
        .env("RUSTFLAGS", "-Awarnings")
        .deadline(Duration::from_secs(1800))
        .run()
        .await
        .expect("cargo starts");
    let done = done(&report).ended(0);
    let passed = |count: &str| {
        done.out
            .contains(&format!("test result: ok. {count} passed"))
    };
    assert!(passed("1"), "the story: {}", done.said());
    assert!(
        passed("58"),
        "37 cases of the tracker, 21 of the agent: {}",
        done.said()
    );
}

/// Takes the whole adapter out of the guide, as its reader does.
fn board() -> String {
    let guide = include_str!("../../../docs/writing-a-tracker.md");
    let (_, code) = guide.split_once("## An adapter").expect("the section");
    let (_, code) = code.split_once("```rust\n").expect("its code");
    let (code, _) = code.split_once("\nmod conformance {").expect("the suite");
    // A library shows what a program keeps to itself; lines that only the doc test needs begin with a sharp.
    let lines = code
        .lines()
        .filter(|line| !line.starts_with('#') || line.starts_with("#["));
    let mut code = lines.collect::<Vec<_>>().join("\n");
    for item in [
        "struct BoardHarness",
        "struct Board(",
        "struct BoardTracker",
        "struct Row",
        "enum What",
    ] {
        code = code.replace(&format!("\n{item}"), &format!("\npub {item}"));
    }
    code
}

/// Returns the folder this test was built in.
fn target() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_issue-pipeline"));
    let target = binary
        .ancestors()
        .nth(2)
        .expect("target/debug/issue-pipeline");
    target.to_path_buf()
}

/// Returns cargo as it built this test, and the variables it needs.
///
/// The compiler beside it is named by its path: what `rustup` puts in the search path would look for a toolchain, and
/// install or change one where it finds none.
fn toolchain() -> (PathBuf, Vec<(String, std::ffi::OsString)>) {
    let cargo = PathBuf::from(env!("CARGO"));
    let programs = cargo.parent().expect("a folder").to_path_buf();
    #[expect(
        clippy::disallowed_methods,
        reason = "a test takes the toolchain from where the machine has it"
    )]
    let variable = |name: &str| std::env::var_os(name);
    let mut variables: Vec<(String, std::ffi::OsString)> = ["HOME", "CARGO_HOME", "RUSTUP_HOME"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), variable(name)?)))
        .collect();
    let rest = variable("PATH").unwrap_or_default();
    let path = std::iter::once(programs.clone()).chain(std::env::split_paths(&rest));
    variables.extend([
        (
            "PATH".to_owned(),
            std::env::join_paths(path).expect("plain paths"),
        ),
        ("RUSTC".to_owned(), programs.join("rustc").into()),
        ("RUSTUP_AUTO_INSTALL".to_owned(), "0".into()),
        ("CARGO_NET_OFFLINE".to_owned(), "true".into()),
    ]);
    (cargo, variables)
}

#[tokio::test]
async fn the_examples_do_what_they_say() {
    let mut out = Vec::new();
    custom_conflicts::run(&mut out).expect("runs");
    custom_tracker::run(&mut out).await.expect("runs");
    custom_workspace::run(&mut out).await.expect("runs");
    insta::assert_snapshot!(String::from_utf8(out).expect("text"), @r#"
    web/list.ts and web/cart.ts: one after the other, for domain:shop
    web/list.ts and web/pay/card.ts: side by side
    api/a.rs and README.md: one after the other, for all
    the rules are named owners-1 in lock memos
    1 comment; written down: comment on 1
    the cache is there: true; the patch touches ["a.txt"]
    "#);
}

#[tokio::test]
async fn the_example_of_an_agent_works_only_where_it_may() {
    use pipeline_core::agent::Agent as _;
    let agent = custom_agent::ModelAgent(custom_agent::Greeter);
    let folder = tempfile::tempdir().expect("temporary directory");
    let mut task = pipeline_core::agent::AgentTask {
        run: pipeline_core::agent::RunId::random(),
        issue: pipeline_core::issue::IssueKey::new("SHOP-1").expect("a key"),
        kind: pipeline_core::agent::TaskKind::Implement,
        mode: pipeline_core::agent::RunMode::ReadOnly,
        prompt: "Greet.".to_owned(),
        schema: None,
        input: serde_json::Value::Null,
        model: None,
        workdir: Some(folder.path().to_path_buf()),
        images: Vec::new(),
        session: None,
        state_dir: None,
        loopback: None,
        limits: pipeline_core::agent::RunLimits::default(),
    };
    let unwatched = pipeline_core::agent::Unwatched;
    let greeting = folder.path().join("greeting.txt");
    agent.run(&task, &unwatched).await.expect("runs");
    assert!(!greeting.exists());
    task.mode = pipeline_core::agent::RunMode::Implement;
    agent.run(&task, &unwatched).await.expect("runs");
    assert!(greeting.exists());
}

/// They are to be read in one sitting.
#[test]
fn no_example_is_longer_than_150_lines() {
    let folder = root().join("examples/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("readable").path();
        let lines = std::fs::read_to_string(&path)
            .expect("text")
            .lines()
            .count();
        assert!(lines < 150, "{}: {lines} lines", path.display());
        seen += 1;
    }
    assert_eq!(seen, 4);
}
