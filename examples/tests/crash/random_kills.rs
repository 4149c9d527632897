//! Killed at random moments while a patch of 2,000 files lands. `LOOPS` sets how often.

use std::time::Duration;

use crate::snapshot::Snapshot;
use crate::world::World;

const FILES: usize = 2_000;

const WORK: &str = "mkdir -p many; i=0; while [ $i -lt 2000 ]; do echo \"file $i\" > many/f$i.txt; i=$((i+1)); done
    echo '{\"v\":1,\"outcome\":\"completed\",\"message\":\"Done.\"}'";

fn loops() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's length, set by who runs it"
    )]
    let loops = std::env::var("LOOPS");
    loops.ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Starts a command and kills it after a while, with everything it started; false if it had ended by then.
fn killed_after(world: &World, arguments: &[&str], after: Duration) -> bool {
    use std::os::unix::process::CommandExt as _;
    #[expect(
        clippy::disallowed_methods,
        reason = "a child that is killed, which the pipeline itself never does to itself"
    )]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_issue-pipeline"));
    let mut child = command
        .args(arguments)
        .current_dir(world.repo())
        .env_clear()
        .envs(world.variables())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starts");
    // The moment of the kill is what the test is about: this is no wait for anything.
    std::thread::sleep(after);
    let running = child.try_wait().expect("asked").is_none();
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    if let Some(group) = group.filter(|_| running) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("killed");
    }
    child.wait().expect("reaped");
    running
}

#[tokio::test]
async fn a_landing_of_2_000_files_killed_at_random_is_completed() {
    let world = World::new().await;
    world.agent("", "", WORK);
    world.init(&[]).await.ended(0);
    world.configure("#patch_files = 500", "patch_files = 3000");
    let key = world.started("Make many files").await;
    world.run(&["dispatch"]).await.ended(0);
    world.run(&["integrate"]).await.ended(0);
    let candidate = world.waiting().await.expect("a candidate waits");
    let ok = format!("OK {candidate}");
    world.run(&["issue", "comment", &key, &ok]).await.ended(0);
    let ready = Snapshot::of(&world);
    let began = std::time::Instant::now();
    world.run(&["integrate"]).await.ended(0);
    let whole = began.elapsed();
    let tree = world.git(&["rev-parse", "main^{tree}"]).await;
    let (mut killed, mut half) = (0, 0);
    for n in 0..loops() {
        ready.restore();
        // Spread evenly over the whole landing, a little off each time.
        let share = (n * 61 + 17) % 100;
        let after = whole.mul_f64(share as f64 / 100.0);
        killed += u64::from(killed_after(&world, &["integrate"], after));
        let there = std::fs::read_dir(world.repo().join("many")).map_or(0, Iterator::count);
        half += u64::from(there > 0 && there < FILES);
        // What git was killed at may need a second look: the first tells of a foreign lock, if one was left.
        for _ in 0..3 {
            world.run(&["integrate"]).await;
            if world.thread(&key).await.contains("kind: landed") {
                break;
            }
        }
        assert_eq!(
            world.git(&["rev-parse", "main^{tree}"]).await,
            tree,
            "killed after {after:?}"
        );
        assert_eq!(
            world.git(&["status", "--porcelain"]).await,
            "",
            "killed after {after:?}"
        );
        assert_eq!(
            world.thread(&key).await.matches("kind: landed").count(),
            1,
            "killed after {after:?}"
        );
    }
    println!(
        "{} landings, {killed} killed, {half} of them half done",
        loops()
    );
    assert!(killed > 0, "none was killed in time");
}
