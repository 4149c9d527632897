//! The OK on a terminal: typed by a person, for exactly this candidate.

use std::fs::File;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::world::Done;
use super::world::World;

async fn terminal(work: &str) -> World {
    let world = World::ready(work).await;
    world.configure("local_ok = \"tracker\"", "local_ok = \"terminal\"");
    world
}

/// Runs the binary with a terminal as its standard input, on which a person types a line.
fn at_a_terminal(world: &World, arguments: &[&str], typed: &str) -> Done {
    use rustix::pty::OpenptFlags;
    let pty = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    rustix::pty::grantpt(&pty).expect("granted");
    rustix::pty::unlockpt(&pty).expect("unlocked");
    let name = rustix::pty::ptsname(&pty, Vec::new()).expect("its name");
    let slave = PathBuf::from(name.into_string().expect("UTF-8"));
    let slave = File::options()
        .read(true)
        .write(true)
        .open(slave)
        .expect("opened");
    let mut hand = File::from(OwnedFd::from(pty));
    hand.write_all(format!("{typed}\n").as_bytes())
        .expect("typed");
    #[expect(
        clippy::disallowed_methods,
        reason = "a child with a terminal, which the pipeline itself never starts"
    )]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_issue-pipeline"));
    let output = command
        .args(arguments)
        .current_dir(world.repo())
        .env_clear()
        .envs(world.variables())
        .stdin(slave)
        .output()
        .expect("runs");
    drop(hand);
    let text = |mut bytes: &[u8]| {
        let mut text = String::new();
        bytes.read_to_string(&mut text).expect("UTF-8");
        text
    };
    Done {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

#[tokio::test]
async fn typed_on_a_terminal_it_lands_at_once() {
    let world = terminal("echo 'hello, Aiko' > greeting.txt").await;
    world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world
        .run(&["review", "--stat"])
        .await
        .ended(0)
        .says(&format!("issue-pipeline approve {candidate}"));
    let tip = world.tip().await;

    world
        .run(&["approve", &candidate])
        .await
        .ended(3)
        .says("typed on a terminal, and standard input is none");
    at_a_terminal(&world, &["approve", &candidate], "yes")
        .ended(3)
        .says("that is not the id");
    assert_eq!(world.tip().await, tip);
    at_a_terminal(&world, &["approve", "0123456789ab"], "0123456789ab")
        .ended(4)
        .says("no candidate");

    at_a_terminal(&world, &["approve", &candidate], &candidate)
        .ended(0)
        .says("landed");
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
    at_a_terminal(&world, &["approve", &candidate], &candidate)
        .ended(4)
        .says("no candidate");
}

#[tokio::test]
async fn every_hold_has_to_be_named() {
    let world = terminal("echo '{}' > package-lock.json; echo hi > greeting.txt").await;
    world.started("Greet by name").await;
    let candidate = world.candidate().await;
    at_a_terminal(&world, &["approve", &candidate], &candidate)
        .ended(3)
        .says("still held")
        .says("--allow lockfile");
    at_a_terminal(
        &world,
        &["approve", &candidate, "--allow", "lockfile"],
        &candidate,
    )
    .ended(0)
    .says("landed");
}

#[tokio::test]
async fn a_comment_is_no_ok_where_it_is_given_on_a_terminal() {
    let world = terminal("echo hi > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await;
    assert_eq!(world.read("greeting.txt"), "hello\n");
}
