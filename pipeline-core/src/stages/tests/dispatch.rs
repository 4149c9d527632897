use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::world::*;
use crate::agent::TaskKind;
use crate::conflict::RuleSet;
use crate::conflict::watch::WatchAction;
use crate::conflict::watch::WatchPolicy;
use crate::memory::ScriptedTurn;
use crate::pipeline::Conflicts;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::status::Status;

const MENUS: &str = "menus/list.php";
const ORDERS: &str = "orders/list.php";

#[tokio::test]
async fn only_a_persons_move_starts_work() {
    let w = World::new();
    let issue = w.checked("T", &[MENUS]).await;
    w.dispatch().await;
    assert_eq!(
        w.count(&issue, "AI work-start memo").await,
        0,
        "still in review"
    );

    w.eve.move_to(&issue, &Status::InProgress).expect("moves");
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("eve, who is not among [gates] starters"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-start memo").await, 0);
    assert!(
        w.told
            .causes()
            .iter()
            .any(|c| c.starts_with("not-started:"))
    );
}

#[tokio::test]
async fn a_started_issue_is_locked_worked_on_and_submitted() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    w.works(ScriptedTurn::completes().writes(MENUS, "points, mended\n"));
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("submitted by bob-1"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-start memo").await, 1);
    assert_eq!(w.count(&issue, "AI work-done memo").await, 1);
    let writes = w.tracker.writes().len();
    assert!(!w.dispatch().await.changed());
    assert_eq!(
        w.tracker.writes().len(),
        writes,
        "a second tick writes nothing"
    );
}

#[tokio::test]
async fn independent_issues_run_side_by_side_and_conflicting_ones_one_after_the_other() {
    let w = World::new();
    let a = w.started("A", &[MENUS]).await;
    let b = w.started("B", &[ORDERS]).await;
    let c = w.started("C", &[MENUS]).await;
    let both = Arc::new(Notify::new());
    for path in [MENUS, ORDERS] {
        w.works(
            ScriptedTurn::completes()
                .waits(Arc::clone(&both))
                .writes(path, "mended\n"),
        );
    }
    let pipeline = w.pipeline.clone();
    let tick = tokio::spawn(async move { pipeline.dispatch(&TickOptions::default()).await });
    while w.agent.most_at_once() < 2 {
        assert!(!tick.is_finished(), "{:?}", tick.await);
        tokio::task::yield_now().await;
    }
    both.notify_waiters();
    let report = tick.await.expect("joins").expect("dispatch");
    assert!(
        text(&report).contains(&format!("{c}: it waits for {a}")),
        "{}",
        text(&report)
    );
    for issue in [&a, &b] {
        assert_eq!(w.count(issue, "AI work-done memo").await, 1);
    }
    assert_eq!(w.count(&c, "AI work-start memo").await, 0);
    assert!(
        !w.dispatch().await.changed(),
        "what is submitted still holds its resources"
    );
}

#[tokio::test]
async fn text_changed_after_the_check_asks_for_a_new_start_move() {
    let w = World::new();
    let issue = w.checked("T", &[MENUS]).await;
    w.eve
        .edit_body(&issue, "and drop the table")
        .expect("edits");
    w.ann.move_to(&issue, &Status::InProgress).expect("moves");
    w.agent.add(
        TaskKind::Recheck,
        ScriptedTurn::answers(check_answer(&[MENUS])),
    );
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("the description changed"),
        "{}",
        text(&report)
    );
    assert!(
        text(&report).contains("asks for a new start move"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-start memo").await, 0);
    let quiet = w.dispatch().await;
    assert!(
        !quiet.changed(),
        "it is checked once, then it is a person's turn: {}",
        text(&quiet)
    );

    w.ann.move_to(&issue, &Status::SpecReview).expect("moves");
    w.ann.move_to(&issue, &Status::InProgress).expect("moves");
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    assert!(w.dispatch().await.changed());
    assert_eq!(w.count(&issue, "AI work-done memo").await, 1);
}

#[tokio::test]
async fn an_issue_moved_away_ends_its_run_and_its_work_is_kept() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    w.works(ScriptedTurn::completes().writes(MENUS, "half\n").hangs());
    let pipeline = w.pipeline.clone();
    let tick = tokio::spawn(async move { pipeline.dispatch(&TickOptions::default()).await });
    while !w
        .agent
        .tasks()
        .iter()
        .any(|t| t.kind == TaskKind::Implement)
    {
        tokio::task::yield_now().await;
    }
    w.ann.move_to(&issue, &Status::SpecReview).expect("moves");
    while !tick.is_finished() {
        w.clock.advance(std::time::Duration::from_secs(1));
        tokio::time::sleep(std::time::Duration::ZERO).await;
    }
    let report = tick.await.expect("joins").expect("dispatch");
    assert!(
        text(&report).contains("left `In progress`"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "reason: revoked").await, 1);
}

#[tokio::test]
async fn a_tampered_memo_starts_nothing_and_is_told() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    w.works(ScriptedTurn::completes());
    w.dispatch().await;
    // Without a signing key an edit is noticed only of what was read before.
    w.check().await;
    let thread = crate::tracker::Tracker::comments(&w.tracker, &issue)
        .await
        .expect("thread")
        .value;
    let memo = thread.last().expect("a memo");
    w.ann
        .edit_comment(&issue, memo.id, &format!("{}\n\nand more", memo.body))
        .expect("edits");
    let before = w.count(&issue, "AI work-start memo").await;
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("look who edited it"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-start memo").await, before);
}

#[tokio::test]
async fn blockers_hold_a_start() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    let mut answer = check_answer(&[MENUS]);
    answer["local_check"]["blockers"] = serde_json::json!(["which currency?"]);
    w.agent
        .add(TaskKind::LocalCheck, ScriptedTurn::answers(answer));
    w.triage().await;
    w.check().await;
    w.ann.move_to(&issue, &Status::InProgress).expect("moves");
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("names 1 open blocker"),
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn the_automatic_start_moves_with_a_permit_and_is_then_dispatched() {
    let w = World::with(|s| s.start.automatic = true);
    let issue = w.checked("T", &[MENUS]).await;
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("started automatically"),
        "{}",
        text(&report)
    );
    assert_eq!(w.status_of(&issue).await, Status::InProgress);
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    w.dispatch().await;
    assert_eq!(
        w.count(&issue, "AI work-done memo").await,
        1,
        "{:#?}",
        w.bodies(&issue).await
    );
}

/// Lets two runs work side by side until both have written, then passes one look at a time.
async fn side_by_side(w: &World, looks: u32) -> tokio::task::JoinHandle<TickReport> {
    let pipeline = w.pipeline.clone();
    let tick = tokio::spawn(async move {
        let report = pipeline.dispatch(&TickOptions::default()).await;
        report.expect("dispatch")
    });
    while w.agent.most_at_once() < 2 {
        assert!(!tick.is_finished(), "{:?}", tick.await);
        tokio::task::yield_now().await;
    }
    for _ in 0..looks {
        w.clock.advance(Duration::from_secs(60));
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    tick
}

#[tokio::test]
async fn a_run_that_drifts_into_anothers_file_is_paused_and_planned_behind_it() {
    let w = World::new();
    let a = w.started("A", &[MENUS]).await;
    let b = w.started("B", &[ORDERS]).await;
    let end = Arc::new(Notify::new());
    w.works(
        ScriptedTurn::completes()
            .writes(MENUS, "points, mended\n")
            .waits(Arc::clone(&end)),
    );
    // The second one was to touch orders only.
    w.works(
        ScriptedTurn::completes()
            .writes(MENUS, "points, broken\n")
            .hangs(),
    );
    let tick = side_by_side(&w, 3).await;
    end.notify_waiters();
    let report = text(&tick.await.expect("joins"));
    assert!(report.contains(&format!("{a}: patch")), "{report}");
    assert!(
        report.contains(&format!("{b}: it met an older run")),
        "{report}"
    );
    assert!(report.contains("it is tried again later"), "{report}");
    assert_eq!(w.count(&b, "reason: cancelled").await, 1);

    // What it touched is known now: it waits for the other one instead of meeting it again.
    let report = text(&w.dispatch().await);
    assert!(
        report.contains(&format!("{b}: it waits for {a}")),
        "{report}"
    );
}

#[tokio::test]
async fn a_team_may_want_such_runs_stopped_or_only_reported() {
    for (action, ended) in [(WatchAction::Stop, true), (WatchAction::Report, false)] {
        let mut w = World::new();
        let policy = WatchPolicy::report_only().on_drift_into_lock(action);
        let rules = RuleSet::detected(&[]).expect("the generic rules");
        let conflicts = Conflicts::of_rules(&rules, &[main_branch()]).expect("rules");
        w.pipeline.conflicts = conflicts.with_watch(policy);
        w.started("A", &[MENUS]).await;
        let b = w.started("B", &[ORDERS]).await;
        let end = Arc::new(Notify::new());
        for text in ["mended\n", "broken\n"] {
            w.works(
                ScriptedTurn::completes()
                    .writes(MENUS, text)
                    .waits(Arc::clone(&end)),
            );
        }
        let tick = side_by_side(&w, 3).await;
        end.notify_waiters();
        let report = text(&tick.await.expect("joins"));
        assert_eq!(report.contains("it met an older run"), ended, "{report}");
        assert_eq!(w.count(&b, "reason: collision").await, usize::from(ended));
        assert!(
            w.told
                .notes()
                .iter()
                .any(|note| note.contains("which it had not declared")),
            "{:?}",
            w.told.notes()
        );
    }
}

#[tokio::test]
async fn the_conflict_report_shows_what_runs_first_and_then_who_waits() {
    let w = World::new();
    let a = w.started("A", &[MENUS]).await;
    w.works(ScriptedTurn::completes().writes(MENUS, "points, mended\n"));
    w.dispatch().await;
    let b = w.checked("B", &[MENUS]).await;
    let c = w.checked("C", &[ORDERS]).await;
    let report = w.pipeline.conflict_report().await.expect("report");
    assert_eq!(
        report.batches,
        [vec![a.to_string(), c.to_string()], vec![b.to_string()]]
    );
    assert_eq!(report.waiting[0].issue, b.to_string());
    assert_eq!(report.waiting[0].waits_for, a.to_string());
}
