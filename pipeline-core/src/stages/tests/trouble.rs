//! What a machine does to a pipeline: a full disk, a clock that is off.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::world::World;
use super::world::text;
use crate::clock::Clock as _;
use crate::journal::Journal as _;
use crate::journal::Record;
use crate::journal::still_open;
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

#[tokio::test]
async fn a_push_that_cannot_be_tried_keeps_no_landing_open() {
    let w = World::new();
    w.repository.fail_pushes(true);
    let issue = w.started("Rename it", &["menus/list.php"]).await;
    w.works(edit());
    w.dispatch().await;
    w.integrate().await;
    w.approve(&[]).await;
    let said = text(&w.integrate().await);
    assert!(said.contains("stays local"), "{said}");
    assert!(said.contains("landed as"), "{said}");
    let entries = w.disk.entries().expect("kept");
    let open = still_open(&entries);
    let landing = |e: &&crate::journal::Entry| matches!(e.record, Record::LandIntent { .. });
    assert!(!open.into_iter().any(|e| landing(&e)), "{entries:?}");
    // It is told once, and what waits behind it lands.
    let next = w.started("Sort it", &["orders/list.php"]).await;
    w.works(ScriptedTurn::completes().writes("orders/list.php", "Orders\n"));
    w.dispatch().await;
    let said = text(&w.integrate().await);
    assert!(!said.contains("stays local"), "{said}");
    w.approve(&[]).await;
    w.integrate().await;
    for issue in [&issue, &next] {
        assert_eq!(w.count(issue, "kind: landed").await, 1, "{issue}");
    }
}

#[tokio::test]
async fn patches_of_expired_claims_are_claimed_anew_with_one_settle_for_all() {
    const D: Duration = Duration::from_secs(30);
    let w = World::settling(D);
    for (title, path) in [
        ("Rename it", "menus/list.php"),
        ("Sort it", "orders/list.php"),
    ] {
        w.as_time_passes(w.started(title, &[path])).await;
        w.works(ScriptedTurn::completes().writes(path, "changed\n"));
    }
    let said = text(&w.as_time_passes(w.dispatch()).await);
    assert_eq!(said.matches("submitted by").count(), 2, "{said}");
    w.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let began = w.clock.elapsed();
    let said = text(&w.as_time_passes(w.dispatch()).await);
    assert_eq!(said.matches("submitted anew").count(), 2, "{said}");
    // One after the claims, and one after the submits.
    let took = w.clock.elapsed().saturating_sub(began);
    assert!(took < 3 * D, "{took:?}");
}
