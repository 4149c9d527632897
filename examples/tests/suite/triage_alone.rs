//! Triage needs no git, no repository and no other stage.

use super::world::World;

#[tokio::test]
async fn triage_works_without_git_and_without_a_repository() {
    let mut world = World::bare();
    world.agent("", "", "exit 1");
    // A machine on which git cannot be found.
    let bin = world.top.join("bin");
    for program in ["sh", "cat", "bwrap"] {
        if let Some(found) = ["/usr/bin", "/bin"]
            .iter()
            .map(|d| std::path::Path::new(d).join(program))
            .find(|p| p.exists())
        {
            std::os::unix::fs::symlink(found, bin.join(program)).expect("linked");
        }
    }
    world.set("PATH", &bin.display().to_string());
    world.init(&[]).await.ended(0).says("only triage will work");
    let key = world.filed("Login fails on Safari").await;
    world
        .run(&["triage"])
        .await
        .ended(0)
        .says("triaged and moved");
    let thread = world.thread(&key).await;
    assert!(thread.contains("> Understood."), "{thread}");
    world
        .run(&["dispatch"])
        .await
        .ended(2)
        .says("needs a repository");
    world
        .run(&["integrate"])
        .await
        .ended(2)
        .says("needs an integrator");
    world
        .run(&["status"])
        .await
        .ended(0)
        .says("Login fails on Safari");
}

#[tokio::test]
async fn a_second_triage_posts_nothing_and_again_does() {
    let world = World::ready("true").await;
    let key = world.filed("Login fails on Safari").await;
    world.run(&["triage"]).await.ended(0);
    let once = world.thread(&key).await;
    world.run(&["triage"]).await.ended(0);
    assert_eq!(world.thread(&key).await, once);
    world.run(&["issue", "move", &key, "Open"]).await.ended(0);
    world.run(&["triage"]).await.ended(0).says("left alone");
    world.run(&["triage", &key, "--again"]).await.ended(0);
    assert_eq!(
        world
            .thread(&key)
            .await
            .matches("automated AI assessment")
            .count(),
        2
    );
    world
        .run(&["dispatch", &key, "--again"])
        .await
        .ended(2)
        .says("--again is for triage and check");
}
