//! What a machine does to a pipeline: a full disk, a clock that is off.

use std::sync::atomic::Ordering;

use super::world::World;
use super::world::text;
use crate::memory::ScriptedTurn;

const DAY: i64 = 24 * 3600 * 1000;

fn edit() -> ScriptedTurn {
    ScriptedTurn::completes().writes("menus/list.php", "Points\n")
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_begins_nothing() {
    let w = World::new();
    let issue = w.started("Rename it", &["menus/list.php"]).await;
    w.works(edit());
    let before = w.bodies(&issue).await;
    w.disk.full.store(true, Ordering::SeqCst);
    let report = w.dispatch().await;
    assert!(report.failed(), "{}", text(&report));
    assert!(
        text(&report).contains("check the disk"),
        "{}",
        text(&report)
    );
    assert_eq!(w.bodies(&issue).await, before, "nothing was posted");
    w.disk.full.store(false, Ordering::SeqCst);
    w.dispatch().await;
    w.integrate().await;
    w.approve(&[]).await;
    let tip = w.tip();
    // Full again at the very moment of the landing: nothing moves, and the next tick lands.
    w.disk.full.store(true, Ordering::SeqCst);
    let report = w.integrate().await;
    assert!(report.failed(), "{}", text(&report));
    assert_eq!(w.tip(), tip);
    w.disk.full.store(false, Ordering::SeqCst);
    w.integrate().await;
    assert_ne!(w.tip(), tip);
    assert_eq!(w.count(&issue, "kind: landed").await, 1);
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_either_way_changes_nothing() {
    for off in [DAY, -DAY] {
        let w = World::new();
        let issue = w.started("Rename it", &["menus/list.php"]).await;
        w.works(edit());
        w.wall.off.store(off, Ordering::SeqCst);
        let report = w.dispatch().await;
        assert!(!report.failed(), "{off}: {}", text(&report));
        w.wall.off.store(0, Ordering::SeqCst);
        w.integrate().await;
        w.approve(&[]).await;
        w.wall.off.store(off, Ordering::SeqCst);
        let report = w.integrate().await;
        assert!(!report.failed(), "{off}: {}", text(&report));
        assert_eq!(w.count(&issue, "kind: landed").await, 1, "{off}");
        assert_eq!(w.count(&issue, "result: patch submitted").await, 1, "{off}");
        let report = w.dispatch().await;
        assert!(text(&report).contains("has landed"), "{}", text(&report));
    }
}
