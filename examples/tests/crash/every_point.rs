//! Ended before the first outside effect, the second, the third, until there is none left.

use crate::snapshot::EndState;
use crate::snapshot::Snapshot;
use crate::world::World;

const WORK: &str = "echo 'hello again' > greeting.txt; echo new > added.txt
    echo '{\"v\":1,\"outcome\":\"completed\",\"message\":\"Done.\"}'";

/// A step of an issue's way, and what is given before it.
const STEPS: [&str; 3] = ["dispatch", "integrate", "integrate"];

/// Goes the rest of the way without a crash, as an operator's timer would, and returns where it ends.
async fn finish(world: &World, key: &str) -> EndState {
    let mut said = String::new();
    for _ in 0..6 {
        for command in ["dispatch", "integrate"] {
            said.push_str(&world.run(&[command]).await.said());
        }
        if let Some(candidate) = world.waiting().await {
            let ok = format!("OK {candidate}");
            world.run(&["issue", "comment", key, &ok]).await.ended(0);
        } else if world.thread(key).await.contains("kind: landed") {
            // Once more: whatever a dead process left is taken away by the next ordinary tick.
            for command in ["dispatch", "integrate"] {
                said.push_str(&world.run(&[command]).await.said());
            }
            return EndState::of(world, key).await;
        }
    }
    panic!(
        "it does not come to its end:\n{said}\n{}",
        world.thread(key).await
    );
}

/// Brings a machine to where the step begins.
async fn before(step: usize, world: &World, key: &str) {
    if step >= 1 {
        world.run(&["dispatch"]).await.ended(0);
    }
    if step >= 2 {
        world.run(&["integrate"]).await.ended(0);
        let candidate = world.waiting().await.expect("a candidate waits");
        let ok = format!("OK {candidate}");
        world.run(&["issue", "comment", key, &ok]).await.ended(0);
    }
}

/// Crashes one step at each of its points and returns how many there are.
async fn crash_everywhere(step: usize) -> u64 {
    let world = World::ready(WORK).await;
    let key = world.started("Say hello again").await;
    let begun = Snapshot::of(&world);
    let expected = finish(&world, &key).await;
    begun.restore();
    before(step, &world, &key).await;
    let ready = Snapshot::of(&world);
    for point in 1.. {
        ready.restore();
        let at = point.to_string();
        let crashed = world.run(&["--crash-at", &at, STEPS[step]]).await;
        if crashed.code != -1 {
            crashed.ended(0);
            return point - 1;
        }
        let found = finish(&world, &key).await;
        assert_eq!(
            found, expected,
            "`{}` crashed at point {point}:\n{}",
            STEPS[step], crashed.err
        );
    }
    unreachable!("a command has an end")
}

#[tokio::test]
async fn dispatch_recovers_from_a_crash_at_every_point() {
    let points = crash_everywhere(0).await;
    println!("dispatch: {points} crash points");
    assert!(points >= 10, "{points}");
}

#[tokio::test]
async fn building_a_candidate_recovers_from_a_crash_at_every_point() {
    let points = crash_everywhere(1).await;
    println!("integrate, building: {points} crash points");
    assert!(points >= 5, "{points}");
}

#[tokio::test]
async fn landing_recovers_from_a_crash_at_every_point() {
    let points = crash_everywhere(2).await;
    println!("integrate, landing: {points} crash points");
    assert!(points >= 5, "{points}");
}
