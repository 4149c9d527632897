//! The OK on a terminal: typed by a person, for exactly this candidate.

use super::world::World;

async fn terminal(work: &str) -> World {
    let world = World::ready(work).await;
    world.configure("local_ok = \"tracker\"", "local_ok = \"terminal\"");
    world
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
    world
        .at_a_terminal(&["approve", &candidate], "yes")
        .ended(3)
        .says("that is not the id");
    assert_eq!(world.tip().await, tip);
    world
        .at_a_terminal(&["approve", "0123456789ab"], "0123456789ab")
        .ended(4)
        .says("no candidate");

    world
        .at_a_terminal(&["approve", &candidate], &candidate)
        .ended(0)
        .says("landed");
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
    world
        .at_a_terminal(&["approve", &candidate], &candidate)
        .ended(4)
        .says("no candidate");
}

#[tokio::test]
async fn every_hold_has_to_be_named() {
    let world = terminal("echo '{}' > package-lock.json; echo hi > greeting.txt").await;
    world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world
        .at_a_terminal(&["approve", &candidate], &candidate)
        .ended(3)
        .says("still held")
        .says("--allow lockfile");
    world
        .at_a_terminal(&["approve", &candidate, "--allow", "lockfile"], &candidate)
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
