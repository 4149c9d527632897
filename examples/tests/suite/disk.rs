//! A disk that takes nothing more, and a state directory that cannot be written: a sentence each, and nothing lost.
//!
//! A limit of the system on the size of files stands for the full disk: every write beyond it fails, in every program
//! that a tick starts, without a file system of the test's own.

use std::path::Path;

use super::world::BINARY;
use super::world::Done;
use super::world::World;
use super::world::done;

const WORK: &str = "echo 'hello again' > greeting.txt
    echo '{\"v\":1,\"outcome\":\"completed\",\"message\":\"Done.\"}'";

/// Sizes, in blocks of the shell's, beyond which no file grows: from nothing at all to enough for almost everything.
const BLOCKS: [u32; 6] = [0, 1, 3, 8, 24, 64];

/// Runs the binary where no file grows beyond a size. The signal that would end whoever tries is ignored: writes fail.
async fn on_a_full_disk(world: &World, blocks: u32, command: &str) -> Done {
    let script = format!("trap '' XFSZ; ulimit -f {blocks} && exec {BINARY} {command}");
    let spec = world.spec("sh", &world.repo(), &["-c", &script]);
    done(&spec.run().await.expect("the shell starts"))
}

/// Asserts that whoever met a full disk has said so in a sentence.
#[track_caller]
fn is_told(done: &Done, blocks: u32) {
    let said = done.said();
    assert!(!said.contains("panicked"), "{blocks}: {said}");
    assert!(
        done.code == 0 || !said.trim().is_empty(),
        "{blocks} blocks: no word"
    );
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_lost_and_nothing_done_twice() {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    let nothing = on_a_full_disk(&world, 0, "dispatch").await;
    assert_ne!(nothing.code, 0, "{}", nothing.said());
    nothing.says("check the disk");
    let before = world.thread(&key).await;
    assert!(!before.contains("kind: claim"), "{before}");
    for blocks in BLOCKS {
        is_told(&on_a_full_disk(&world, blocks, "dispatch").await, blocks);
    }
    // What was begun is completed, or given up and begun anew, by ordinary ticks.
    for _ in 0..4 {
        world.run(&["dispatch"]).await;
    }
    let thread = world.thread(&key).await;
    assert_eq!(
        thread.matches("result: patch submitted").count(),
        1,
        "{thread}"
    );
    for blocks in BLOCKS {
        is_told(&on_a_full_disk(&world, blocks, "integrate").await, blocks);
    }
    world.run(&["integrate"]).await.ended(0);
    let candidate = world.waiting().await.expect("a candidate waits");
    let ok = format!("OK {candidate}");
    world.run(&["issue", "comment", &key, &ok]).await.ended(0);
    let tip = world.tip().await;
    let nothing = on_a_full_disk(&world, 0, "integrate").await;
    is_told(&nothing, 0);
    assert_eq!(world.tip().await, tip, "{}", nothing.said());
    for blocks in BLOCKS {
        is_told(&on_a_full_disk(&world, blocks, "integrate").await, blocks);
    }
    world.run(&["integrate"]).await.ended(0);
    let rounds = world
        .git(&["log", "--format=%(trailers:key=Agent-Round)", "main"])
        .await;
    assert_eq!(rounds.matches("Agent-Round").count(), 1, "{rounds}");
    assert_eq!(world.read("greeting.txt"), "hello again\n");
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
    let thread = world.thread(&key).await;
    assert_eq!(thread.matches("kind: landed").count(), 1, "{thread}");
    world
        .run(&["recover"])
        .await
        .ended(0)
        .says("nothing is left over");
}

/// Runs the binary while a folder cannot be written, by whoever runs the tests; nothing where the machine cannot do that.
async fn with_read_only(world: &World, folder: &Path, command: &str) -> Option<Done> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |mode| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode));
    mode(0o500).expect("our own folder");
    let holds = std::fs::write(folder.join("probe"), "").is_err();
    if holds {
        let run = world.run(&[command]).await;
        mode(0o700).expect("our own folder");
        return Some(run);
    }
    // To root no mode is read-only; a mount that only its own processes see is.
    mode(0o700).expect("our own folder");
    std::fs::remove_file(folder.join("probe")).expect("just made");
    let at = folder.display();
    let mounts = format!("mount --bind {at} {at} && mount -o remount,ro,bind {at}");
    let script = |then: &str| format!("{mounts} && {then}");
    let run = async |then: &str| {
        let script = script(then);
        let spec = world.spec("unshare", &world.repo(), &["-m", "sh", "-c", &script]);
        spec.run().await.ok().map(|report| done(&report))
    };
    let permitted = run("true").await.is_some_and(|probe| probe.code == 0);
    if !permitted {
        return None;
    }
    run(&format!("exec {BINARY} {command}")).await
}

#[tokio::test]
async fn a_read_only_state_directory_begins_nothing_and_is_named() {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    let before = world.thread(&key).await;
    let state = world.state();
    let Some(run) = with_read_only(&world, &state, "dispatch").await else {
        println!("SKIPPED: this user writes everywhere, and may mount nothing");
        return;
    };
    assert_ne!(run.code, 0, "{}", run.said());
    assert!(!run.said().contains("panicked"), "{}", run.said());
    let name = state
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    run.says(&name);
    assert_eq!(world.thread(&key).await, before, "nothing was begun");
    world.run(&["dispatch"]).await.ended(0).says("submitted");
}
