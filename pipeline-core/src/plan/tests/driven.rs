//! Issues that somebody else makes.

use super::*;
use crate::journal::Journal as _;
use crate::journal::Record;

const TEXT: &str = "## Phase 1\n\n- [ ] a\n- [ ] b\n\n## Phase 2\n\n- [ ] c\n";

/// Returns the announced items of which nobody has said what became of them.
fn open(world: &World) -> usize {
    let mut open = std::collections::BTreeSet::new();
    for entry in world.journal.entries().unwrap() {
        match entry.record {
            Record::PlanIssueIntent { item, .. } => {
                open.insert(item);
            }
            Record::PlanIssueDone { item, .. } | Record::PlanIssueDropped { item } => {
                open.remove(&item);
            }
            _ => {}
        }
    }
    open.len()
}

/// Hands the first phase over to somebody who makes the first issue of it and no other.
async fn handed(world: &World) -> SyncPlan {
    let (_, sync) = world.calm();
    let phases = ["1".to_owned()];
    let plan = sync.look(&[FILE.to_owned()], &phases).await.unwrap();
    sync.hand_over(&plan).unwrap();
    for name in &plan.names {
        world.memory.provide(name).await.unwrap();
    }
    let (_, _, draft) = plan.creations().next().unwrap();
    world.memory.create_issue(draft).await.unwrap();
    plan
}

#[tokio::test]
async fn what_was_made_is_linked_and_what_was_not_is_left() {
    let world = World::new(TEXT);
    let plan = handed(&world).await;
    assert_eq!(open(&world), 2);
    let (_, sync) = world.calm();
    let (files, phases) = ([FILE.to_owned()], ["1".to_owned()]);
    let taken = sync.take_back(&plan, &files, &phases, &Unwatched).await;
    let taken = taken.unwrap();
    assert_eq!(
        (taken.report.adopted.len(), taken.report.created.len()),
        (1, 0)
    );
    let missing: Vec<&str> = taken
        .now
        .creations()
        .map(|(_, i, _)| i.text.as_str())
        .collect();
    assert_eq!(missing, ["b"]);
    assert_eq!(open(&world), 0, "nobody has to wait for them any more");
    assert_eq!(world.issues().await.len(), 1);
    assert_eq!(world.text().matches("([").count(), 1);
    world.run(&[]).await.1.unwrap();
    world.is_whole(3).await;
}

#[tokio::test]
async fn after_a_kill_the_next_run_finds_what_was_made_and_makes_the_rest() {
    let world = World::new(TEXT);
    handed(&world).await;
    let report = world.run(&[]).await.1.unwrap();
    assert_eq!((report.adopted.len(), report.created.len()), (1, 2));
    assert_eq!(open(&world), 0, "nobody has to wait for them any more");
    world.is_whole(3).await;
}

#[tokio::test]
async fn a_plan_with_a_problem_is_not_handed_over() {
    let mut world = World::new(TEXT);
    world.options.references = vec!["docs/missing.md".to_owned()];
    let plan = world.look().await;
    let (_, sync) = world.calm();
    assert!(matches!(
        sync.hand_over(&plan),
        Err(PlanError::Problems { .. })
    ));
    assert_eq!(world.journal.entries().unwrap(), []);
}
