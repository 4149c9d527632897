//! Pauses, budgets, fallbacks and attempts that lead nowhere.

use std::time::Duration;

use super::world::*;
use crate::agent::AgentOutcome;
use crate::agent::AgentReport;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::agent::Usage;
use crate::clock::Clock as _;
use crate::memory::ScriptedTurn;
use crate::settings::AgentRole;
use crate::settings::AgentSettings;
use crate::settings::Budget;
use crate::settings::RoleSettings;
use crate::status::Status;

const MENUS: &str = "menus/list.php";
const ORDERS: &str = "orders/list.php";

fn limited(w: &World, seconds: u64) -> ScriptedTurn {
    let until = Some(w.clock.now().plus(Duration::from_secs(seconds)));
    ScriptedTurn::ends(AgentOutcome::RateLimited { until })
}

fn triaged() -> ScriptedTurn {
    ScriptedTurn::answers(triage_answer())
}

fn with_fallback(w: &mut crate::settings::Settings) {
    w.roles.triage.push("carl".into());
    for slot in &mut w.slots {
        slot.fallbacks.push("carl".into());
    }
}

#[tokio::test]
async fn a_rate_limit_pauses_the_agent_for_every_issue_and_costs_no_attempt() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    for _ in 0..4 {
        w.works(limited(&w, 60));
        let report = w.dispatch().await;
        assert!(
            text(&report).contains("tried again later"),
            "{}",
            text(&report)
        );
        let asked = w.agent.tasks().len();
        let report = w.dispatch().await;
        assert!(
            text(&report).contains("agent bob is paused until"),
            "{}",
            text(&report)
        );
        let other = w.ann.new_issue("U", "please").expect("creates");
        let report = w.triage().await;
        assert!(
            text(&report).contains("agent bob is paused until"),
            "{}",
            text(&report)
        );
        assert_eq!(
            w.agent.tasks().len(),
            asked,
            "a paused agent is given nothing"
        );
        w.ann
            .move_to(&other, &Status::Other("Closed".into()))
            .expect("moves");
        w.clock.advance(Duration::from_secs(61));
    }
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    w.dispatch().await;
    assert_eq!(w.count(&issue, "AI work-done memo").await, 1);
    assert_eq!(w.count(&issue, "reason: rate-limit").await, 4);
    let memo = w.bodies(&issue).await;
    let starts: Vec<_> = memo
        .iter()
        .filter(|b| b.contains("work-start memo"))
        .collect();
    assert!(
        starts.iter().all(|b| b.contains("\nattempt: 1\n")),
        "{starts:#?}"
    );
}

#[tokio::test]
async fn the_next_agent_in_order_takes_over_at_once_in_reading_and_with_the_next_tick_in_work() {
    let w = World::with(with_fallback);
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent.add(TaskKind::Triage, limited(&w, 600));
    w.other.add(TaskKind::Triage, triaged());
    assert!(w.triage().await.changed());
    assert_eq!(w.status_of(&issue).await, Status::SpecReview);

    w.clock.advance(Duration::from_secs(601));
    // The first one is checked with the second.
    w.agent.add(
        TaskKind::LocalCheck,
        ScriptedTurn::answers(check_answer(&[MENUS])),
    );
    let issue = w.started("U", &[ORDERS]).await;
    w.works(ScriptedTurn::ends(AgentOutcome::UsageLimit { until: None }));
    w.dispatch().await;
    assert!(
        w.told
            .causes()
            .contains(&"agent-paused:bob:usage-limit".to_owned())
    );
    w.other.add(
        TaskKind::Implement,
        ScriptedTurn::completes().writes(ORDERS, "mended\n"),
    );
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("submitted by bob-1"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-done memo").await, 1);
    assert_eq!(w.other.tasks().len(), 2);
    w.integrate().await;
    let review = w.pipeline.review(None).await.expect("review");
    assert_eq!(
        review[0].candidate.commits[0].author.name, "carl",
        "the one who did the work is its author"
    );
}

#[tokio::test]
async fn other_failures_back_off_and_end_after_three() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    for n in 1..=3_u32 {
        w.works(ScriptedTurn::ends(AgentOutcome::Stalled));
        let report = w.dispatch().await;
        assert!(report.failed(), "{n}: {}", text(&report));
        if n == 3 {
            break;
        }
        w.clock
            .advance(crate::ledger::backoff(n) - Duration::from_millis(1));
        let early = w.dispatch().await;
        assert!(
            text(&early).contains("the next one begins after"),
            "{}",
            text(&early)
        );
        w.clock.advance(Duration::from_millis(1));
    }
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("used up its 3 attempts"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "reason: stalled").await, 3);
}

#[tokio::test]
async fn an_attempt_that_leaves_the_same_tree_twice_stops_the_round_until_a_new_start_move() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    for _ in 0..2 {
        w.works(ScriptedTurn::completes());
        assert!(w.dispatch().await.failed());
        w.back_off();
    }
    assert_eq!(w.count(&issue, "reason: no-change").await, 1);
    assert_eq!(w.count(&issue, "reason: no-progress").await, 1);
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("ended with `no-progress`"),
        "{}",
        text(&report)
    );
    let status = w.pipeline.status().await.expect("status");
    assert!(
        status.issues[0].next.contains("no-progress"),
        "{:?}",
        status.issues
    );
    w.ann.move_to(&issue, &Status::SpecReview).expect("moves");
    w.ann.move_to(&issue, &Status::InProgress).expect("moves");
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    w.dispatch().await;
    assert_eq!(w.count(&issue, "AI work-done memo").await, 1);
}

#[tokio::test]
async fn a_patch_that_fails_the_same_way_twice_is_no_progress() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    for kind in [TaskKind::Implement, TaskKind::Rework] {
        w.agent
            .add(kind, ScriptedTurn::completes().writes("BROKEN", "x\n"));
        w.dispatch().await;
        w.integrate().await;
        w.back_off();
    }
    assert_eq!(w.count(&issue, "kind: rework").await, 2);
    assert_eq!(
        w.count(&issue, "reason: no-progress").await,
        2,
        "in the rework memo and in the refusal"
    );
    let asked = w.agent.tasks().len();
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("ended with `no-progress`"),
        "{}",
        text(&report)
    );
    assert_eq!(w.agent.tasks().len(), asked);
}

#[tokio::test]
async fn an_outcome_that_would_come_again_is_not_tried_again() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    w.works(ScriptedTurn::ends(AgentOutcome::NeedsInput {
        question: "which currency?".into(),
    }));
    w.dispatch().await;
    w.back_off();
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("ended with `needs-input`"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "AI work-start memo").await, 1);
    assert!(w.told.causes().iter().any(|c| c.starts_with("stopped:")));
}

#[tokio::test]
async fn a_used_up_budget_of_an_issue_stops_that_issue_alone_and_is_told() {
    let w = World::with(|s| s.brakes.issue = Budget::runs(2));
    // Triage and check are two.
    let issue = w.started("T", &[MENUS]).await;
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("used up the runs of [limits.issue] (2)"),
        "{}",
        text(&report)
    );
    assert_eq!(
        w.count(&issue, "AI work-start memo").await,
        0,
        "no lock is taken for it"
    );
    assert!(
        w.told
            .causes()
            .contains(&format!("used-up:issue:{issue}:runs"))
    );
    let other = w.ann.new_issue("U", "please").expect("creates");
    w.agent.add(TaskKind::Triage, triaged());
    assert!(w.triage().await.changed());
    assert_eq!(w.status_of(&other).await, Status::SpecReview);
}

#[tokio::test]
async fn an_author_who_files_too_much_waits_and_others_do_not() {
    let w = World::with(|s| s.brakes.author = Budget::runs(1));
    let issues = [
        w.eve.new_issue("T", "please").expect("creates"),
        w.eve.new_issue("U", "please").expect("creates"),
        w.ann.new_issue("V", "please").expect("creates"),
    ];
    for _ in 0..2 {
        w.agent.add(TaskKind::Triage, triaged());
    }
    let report = w.triage().await;
    assert!(
        text(&report).contains("[limits.author] (1)"),
        "{}",
        text(&report)
    );
    let mut open = Vec::new();
    for issue in &issues {
        open.push(w.status_of(issue).await == Status::Open);
    }
    assert_eq!(open, [false, true, false]);
}

#[tokio::test]
async fn runs_at_a_time_are_bounded_over_slots() {
    let w = World::with(|s| s.brakes.in_flight_by = [(AgentRole::Implement, 1)].into());
    w.started("T", &[MENUS]).await;
    w.started("U", &[ORDERS]).await;
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    let report = w.dispatch().await;
    assert!(
        text(&report).contains("1 runs of implement at a time are allowed"),
        "{}",
        text(&report)
    );
    assert_eq!(w.agent.most_at_once(), 1);
}

#[tokio::test]
async fn what_was_spent_stands_in_the_done_memo_and_in_the_status() {
    let w = World::new();
    let issue = w.started("T", &[MENUS]).await;
    let used = AgentReport {
        usage: Usage {
            input_tokens: 12_000,
            output_tokens: 345,
            cost_micros: Some(120_000),
            millis: 61_000,
        },
        ..AgentReport::of(AgentOutcome::Completed)
    };
    w.works(ScriptedTurn::reports(used).writes(MENUS, "mended\n"));
    w.dispatch().await;
    let memo = w.bodies(&issue).await.pop().expect("a memo");
    let said = memo
        .lines()
        .find(|l| l.contains("This run used"))
        .expect("said");
    insta::assert_snapshot!(said.split_once("commit. ").expect("first what remains").1, @"This run used 1m 1s, 12,000 tokens in and 345 out, $0.12. The issue so far: 3 runs, 1m 1s, 12,000 tokens in and 345 out, $0.12.");
    let status = w.pipeline.status().await.expect("status");
    let json = serde_json::to_value(&status).expect("serialises");
    assert_eq!(json["issues"][0]["spent"]["cost_micros"], 120_000);
    assert_eq!(json["day"]["all"]["runs"], 3);
    assert_eq!(json["day"]["agents"]["bob"]["input_tokens"], 12_000);
    assert_eq!(json["agents"][0]["agent"], "bob");
}

#[tokio::test]
async fn each_role_has_its_own_model_and_limits() {
    let w = World::with(|s| {
        let triage = RoleSettings {
            model: Some("small".into()),
            limits: Some(RunLimits {
                tokens: Some(5),
                ..RunLimits::default()
            }),
        };
        let bob = AgentSettings {
            model: Some("large".into()),
            roles: [(AgentRole::Triage, triage)].into(),
            ..AgentSettings::default()
        };
        s.agents.insert("bob".into(), bob);
    });
    w.started("T", &[MENUS]).await;
    w.works(ScriptedTurn::completes().writes(MENUS, "mended\n"));
    w.dispatch().await;
    let asked: Vec<_> = w
        .agent
        .tasks()
        .into_iter()
        .map(|t| (t.kind, t.model.expect("named"), t.limits.tokens))
        .collect();
    let large = "large".to_owned();
    assert_eq!(
        asked,
        [
            (TaskKind::Triage, "small".to_owned(), Some(5)),
            (TaskKind::LocalCheck, large.clone(), None),
            (TaskKind::Implement, large, None),
        ]
    );
}
