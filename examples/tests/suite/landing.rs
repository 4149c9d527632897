//! The user's own tree: never touched before the OK, never overwritten, moved forward as a whole.

use super::world::World;

#[tokio::test]
async fn a_dirty_tree_waits_and_nothing_moves() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    let tip = world.tip().await;
    world.write("greeting.txt", "my own words\n");
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.says("greeting.txt");
    assert_eq!(world.tip().await, tip);
    assert_eq!(world.read("greeting.txt"), "my own words\n");
    world.git(&["checkout", "--", "greeting.txt"]).await;
    world.run(&["integrate"]).await.ended(0).says("landed");
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
}

#[tokio::test]
async fn files_of_the_user_that_no_patch_touches_stay_as_they_are() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world.write("notes.txt", "mine\n");
    world.write("check.sh", "true\n");
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.ended(0).says("landed");
    assert_eq!(world.read("notes.txt"), "mine\n");
    assert_eq!(world.read("check.sh"), "true\n");
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
}

#[tokio::test]
async fn an_open_rebase_waits() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    world.write("other.txt", "a person's own work\n");
    world.commit("Something else").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    let tip = world.tip().await;
    let identity = ["-c", "user.name=Mika", "-c", "user.email=mika@shop.example"];
    let rebase = ["rebase", "--force-rebase", "--exec", "false", "HEAD~1"];
    let stopped = world.spec("git", &world.repo(), &[&identity[..], &rebase].concat());
    assert!(!stopped.run().await.expect("git starts").succeeded());
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.says("rebase");
    assert_eq!(world.tip().await, tip);
    world.git(&["rebase", "--abort"]).await;
    world.run(&["integrate"]).await.ended(0).says("landed");
}

#[tokio::test]
async fn a_moved_base_rebuilds_and_needs_a_new_ok() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let key = world.started("Greet by name").await;
    let candidate = world.candidate().await;
    world.write("other.txt", "a person's own work\n");
    world.commit("Something else").await;
    let tip = world.tip().await;
    world
        .run(&["issue", "comment", &key, &format!("OK {candidate}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.ended(0);
    assert_eq!(world.tip().await, tip, "the OK was for another tree");
    let rebuilt = world.waiting().await.expect("rebuilt");
    assert_ne!(rebuilt, candidate);
    world
        .run(&["integrate"])
        .await
        .says(&format!("it names {candidate}, but {rebuilt} waits now"))
        .says("look at it again and give a new OK");
    assert_eq!(world.tip().await, tip);
    world
        .run(&["issue", "comment", &key, &format!("OK {rebuilt}")])
        .await
        .ended(0);
    world.run(&["integrate"]).await.ended(0).says("landed");
    assert_eq!(world.read("other.txt"), "a person's own work\n");
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
}

#[tokio::test]
async fn of_two_integrators_one_works_and_the_other_says_so() {
    let world = World::new().await;
    let (begun, go) = (world.top.join("home/begun"), world.top.join("home/go"));
    // The check waits until the second integrator has been turned away.
    world.write(
        "check.sh",
        &format!(
            "touch {}; while [ ! -e {} ]; do sleep 0.05; done\n",
            begun.display(),
            go.display()
        ),
    );
    world.commit("A slow check").await;
    world.agent("", "", "echo hi > greeting.txt");
    world.init(&[]).await.ended(0);
    world.configure(
        "#wrapper = \"auto\"\n# Paths that stay",
        "wrapper = \"none\"\n# Paths that stay",
    );
    let agent = "[agents.agent]\n";
    let text = std::fs::read_to_string(world.state().join("pipeline.toml")).expect("there");
    if !text.contains("\nunconfined = true") {
        world.configure(agent, &format!("{agent}unconfined = true\n"));
    }
    world.started("Greet by name").await;
    world.run(&["dispatch"]).await.ended(0);
    let first = tokio::spawn(world.binary(&["integrate"]).run());
    while !begun.exists() {
        assert!(
            !first.is_finished(),
            "the first integrator ended before its check began"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world
        .run(&["integrate"])
        .await
        .says("another integrator is at work");
    std::fs::write(go, "").expect("written");
    let first = super::world::done(&first.await.expect("joins").expect("runs"));
    first.ended(0).says("waits for its OK");
}

#[tokio::test]
async fn no_branch_no_tag_and_no_file_of_the_tree_before_the_ok() {
    let world = World::ready("echo 'hello, Aiko' > greeting.txt").await;
    let refs = world
        .git(&["for-each-ref", "refs/heads", "refs/tags"])
        .await;
    world.started("Greet by name").await;
    world.candidate().await;
    assert_eq!(
        world
            .git(&["for-each-ref", "refs/heads", "refs/tags"])
            .await,
        refs
    );
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
}
