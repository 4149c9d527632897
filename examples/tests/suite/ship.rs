//! The third gate: nothing ships without a landed commit, rules a person has read, a check, and a permission for both.

use super::world::World;

/// Makes a machine on which a commit has landed and shipping is configured.
async fn landed() -> (World, String) {
    let world = World::new().await;
    world.write("docs/rules.md", "Never on Fridays.\n");
    world.commit("Rules").await;
    world.agent("", "", "echo 'hello, Aiko' > greeting.txt");
    world.init(&[]).await.ended(0);
    world.configure("local_ok = \"tracker\"", "local_ok = \"terminal\"");
    let shipped = world.top.join("home/shipped");
    world.configure(
        "#rules = \"docs/deploy-rules.md\"",
        "rules = \"docs/rules.md\"",
    );
    world.configure(
        "#pre_check = [\"sh\", \"deploy/check.sh\"]",
        "pre_check = [\"sh\", \"-c\", \"test ! -e ../home/closed\"]",
    );
    let command = format!(
        "command = [\"sh\", \"-c\", \"echo $SHIP_COMMIT >> {}\"]",
        shipped.display()
    );
    world.configure("#command = [\"sh\", \"deploy/ship.sh\"]", &command);
    world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world
        .at_a_terminal(&["approve", &candidate], &candidate)
        .ended(0)
        .says("landed");
    let tip = world.tip().await;
    (world, tip)
}

fn shipped(world: &World) -> String {
    std::fs::read_to_string(world.top.join("home/shipped")).unwrap_or_default()
}

#[tokio::test]
async fn permitted_checked_and_shipped_once() {
    let (mut world, commit) = landed().await;
    let short = commit[..12].to_owned();
    world.run(&["ship"]).await.ended(3).says("is not permitted");
    world
        .run(&["ship", "--dry-run"])
        .await
        .ended(0)
        .says("is not permitted");
    world
        .run(&["ship", "--permit"])
        .await
        .ended(3)
        .says("typed on a terminal");
    world.at_a_terminal(&["ship", "--permit"], "yes").ended(3);
    world
        .at_a_terminal(&["ship", "--permit"], &short)
        .ended(0)
        .says("Never on Fridays");

    // A failing pre-check ships nothing.
    std::fs::write(world.top.join("home/closed"), "").expect("written");
    world.run(&["ship"]).await.ended(3).says("pre-check");
    assert_eq!(shipped(&world), "");
    std::fs::remove_file(world.top.join("home/closed")).expect("removed");

    // A worker that finds this program ships nothing with it.
    world.set("PIPELINE_RUN", "run-0123456789abcdef");
    world.run(&["ship"]).await.ended(3).says("never a worker");
    world.set("PIPELINE_RUN", "");

    world.run(&["ship", &short]).await.ended(0);
    assert_eq!(shipped(&world), format!("{commit}\n"));
    world
        .run(&["ship", &short])
        .await
        .ended(3)
        .says("was shipped at");
    world
        .run(&["ship", &short, "--again", &commit])
        .await
        .ended(0);
    assert_eq!(shipped(&world).lines().count(), 2);
}

#[tokio::test]
async fn changed_rules_void_the_permission() {
    let (world, commit) = landed().await;
    world
        .at_a_terminal(&["ship", "--permit"], &commit[..12])
        .ended(0);
    world.write("docs/rules.md", "Any day will do.\n");
    world
        .run(&["ship"])
        .await
        .ended(3)
        .says("changed since the permission");
    world.write("docs/rules.md", "");
    world.run(&["ship"]).await.ended(3).says("missing or empty");
    assert_eq!(shipped(&world), "");
}

#[tokio::test]
async fn another_commit_is_not_permitted_and_one_that_never_landed_is_not_there() {
    let (world, first) = landed().await;
    world
        .at_a_terminal(&["ship", "--permit"], &first[..12])
        .ended(0);
    world.agent("", "", "echo 'good morning' > greeting.txt");
    world.started("Greet in the morning").await;
    let candidate = world.candidate().await;
    world
        .at_a_terminal(&["approve", &candidate], &candidate)
        .ended(0);
    let second = world.tip().await;
    world
        .run(&["ship", &second[..12]])
        .await
        .ended(3)
        .says("not permitted");
    world.write("other.txt", "by hand\n");
    world.commit("By hand").await;
    let by_hand = world.tip().await;
    world
        .run(&["ship", &by_hand[..12]])
        .await
        .ended(4)
        .says("no landed commit");
    assert_eq!(shipped(&world), "");
    world.run(&["ship", &first[..12]]).await.ended(0);
    assert_eq!(shipped(&world), format!("{first}\n"));
}

#[tokio::test]
async fn the_local_ok_is_no_permission_and_nothing_ships_unconfigured() {
    let (world, _) = landed().await;
    world.configure("rules = \"docs/rules.md\"", "#rules = \"docs/rules.md\"");
    world
        .run(&["ship"])
        .await
        .ended(2)
        .says("a ship command needs `rules`");
    world.configure("#rules = \"docs/rules.md\"", "rules = \"docs/rules.md\"");
    world.run(&["ship"]).await.ended(3).says("is not permitted");
    world.configure("pre_check = [", "#pre_check = [");
    world
        .run(&["ship", "--dry-run"])
        .await
        .ended(0)
        .says("there is no pre-check");
}
