//! What a machine or a person does to the pipeline's files, and what recovery says of it.

use super::world::World;

const WORK: &str = "echo 'hello again' > greeting.txt
    echo '{\"v\":1,\"outcome\":\"completed\",\"message\":\"Done.\"}'";

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_is_named() {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    let journal = world.state().join("journal.jsonl");
    let aside = world.state().join("aside");
    std::fs::rename(&journal, &aside).expect("moved");
    // Nobody can write there, not even root, to whom a read-only folder is none.
    std::fs::create_dir(&journal).expect("made");
    let done = world.run(&["dispatch"]).await;
    assert_ne!(done.code, 0);
    done.says("check the disk and the rights of the state directory");
    world.run(&["doctor"]).await.says("journal");
    std::fs::remove_dir(&journal).expect("removed");
    std::fs::rename(&aside, &journal).expect("moved back");
    world.run(&["dispatch"]).await.ended(0);
    assert!(world.thread(&key).await.contains("result: patch submitted"));
}

#[tokio::test]
async fn a_workspace_deleted_by_hand_ends_its_run_and_nothing_else() {
    let world = World::ready("touch begun; while [ -e begun ]; do sleep 0.1; done; exit 3").await;
    let key = world.started("Say hello again").await;
    let workspaces = world.state().join("git/workspaces");
    let deletes = async {
        let began = std::time::Instant::now();
        loop {
            assert!(began.elapsed().as_secs() < 60, "no run begins");
            let begun = std::fs::read_dir(&workspaces)
                .into_iter()
                .flatten()
                .filter_map(|e| Some(e.ok()?.path().join("tree")))
                .find(|tree| tree.join("begun").exists());
            if let Some(tree) = begun {
                // The folder itself may be mounted for the agent: what is in it goes.
                drop(std::fs::remove_dir_all(&tree));
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (done, ()) = tokio::join!(world.run(&["dispatch"]), deletes);
    assert!(done.code >= 0, "{}", done.said());
    assert!(!done.said().contains("panicked"), "{}", done.said());
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
    let thread = world.thread(&key).await;
    assert!(
        thread.contains("kind: release"),
        "{}\n{thread}",
        done.said()
    );
    // Nothing else is in the way of the next tick.
    let next = world.run(&["dispatch"]).await;
    assert!(!next.said().contains("panicked"), "{}", next.said());
    world.run(&["status"]).await.ended(0);
}

#[tokio::test]
async fn recover_and_gc_say_first_and_do_only_when_told() {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    world
        .run(&["recover"])
        .await
        .ended(0)
        .says("nothing is left over");
    let candidate = world.candidate().await;
    let waits = world.run(&["gc", "--grace-days", "0"]).await.ended(0);
    waits
        .clone()
        .says("has not landed")
        .says("Nothing was removed");
    let ok = format!("OK {candidate}");
    world.run(&["issue", "comment", &key, &ok]).await.ended(0);
    world.run(&["integrate"]).await.ended(0);
    let refs = ["for-each-ref", "refs/agents/patch"];
    assert_ne!(world.git(&refs).await, "");
    world
        .run(&["gc"])
        .await
        .ended(0)
        .says("stays")
        .says("less than 30 day(s) ago");
    world
        .run(&["gc", "--grace-days", "0"])
        .await
        .ended(0)
        .says("may go")
        .says("has landed");
    assert_ne!(world.git(&refs).await, "", "it was only said");
    world
        .run(&["gc", "--apply", "--grace-days", "0"])
        .await
        .ended(0)
        .says("removed");
    assert_eq!(world.git(&refs).await, "");
    world
        .run(&["gc", "--grace-days", "0"])
        .await
        .ended(0)
        .says("nothing is kept");
    world
        .run(&["doctor"])
        .await
        .says("record(s)")
        .says("signed memos");
}

#[tokio::test]
async fn the_first_ticks_of_a_machine_may_come_all_at_once() {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    // As on a machine that has only its configuration yet.
    std::fs::remove_dir_all(world.state().join("git")).expect("removed");
    let ticks = [
        &["dispatch"][..],
        &["integrate"],
        &["status"],
        &["triage"],
        &["dispatch"],
        &["integrate"],
        &["check"],
        &["doctor"],
    ];
    let ticks: Vec<_> = ticks
        .iter()
        .map(|tick| tokio::spawn(world.binary(tick).run()))
        .collect();
    for tick in ticks {
        let done = super::world::done(&tick.await.expect("joins").expect("runs"));
        assert!(
            done.code == 0 || done.said().contains("another integrator is at work"),
            "{}",
            done.said()
        );
    }
    world.run(&["dispatch"]).await.ended(0);
    let thread = world.thread(&key).await;
    let submitted = thread.matches("result: patch submitted").count();
    assert_eq!(submitted, 1, "{thread}");
}
