use std::sync::Arc;

use tokio::sync::Notify;

use super::world::*;
use crate::agent::AgentOutcome;
use crate::agent::TaskKind;
use crate::memory::ScriptedTurn;
use crate::memory::WriteFault;
use crate::report::Outcome;
use crate::report::TickOptions;
use crate::status::Status;
use crate::tracker::Tracker as _;

#[tokio::test]
async fn triage_posts_once_and_moves_once() {
    let w = World::new();
    let issue = w
        .ann
        .new_issue("Points are wrong", "please")
        .expect("creates");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    assert!(w.triage().await.changed());
    assert_eq!(w.status_of(&issue).await, Status::SpecReview);
    assert_eq!(w.count(&issue, "> I read it as: do it.").await, 1);
    let writes = w.tracker.writes().len();
    assert!(!w.triage().await.changed());
    assert_eq!(
        w.tracker.writes().len(),
        writes,
        "a second tick writes nothing"
    );
}

#[tokio::test]
async fn ticks_that_overlap_read_an_issue_once() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    let go = Arc::new(Notify::new());
    let answer = ScriptedTurn::answers(triage_answer());
    w.agent.add(TaskKind::Triage, answer.waits(Arc::clone(&go)));
    let second = async {
        while w.agent.tasks().is_empty() {
            tokio::task::yield_now().await;
        }
        let report = w.triage().await;
        go.notify_one();
        report
    };
    let (first, second) = tokio::join!(w.triage(), second);
    assert!(text(&second).contains("another tick"), "{}", text(&second));
    assert!(first.changed(), "{}", text(&first));
    assert_eq!(w.agent.tasks().len(), 1);
    assert_eq!(w.count(&issue, "> I read it as: do it.").await, 1);
}

#[tokio::test]
async fn what_another_machine_posted_while_the_agent_read_is_not_posted_again() {
    let w = World::new();
    let other = w.checked("other", &["menus/list.php"]).await;
    let memos = w.bodies(&other).await;
    let issue = w.ann.new_issue("T", "please").expect("creates");
    for (kind, answer, memo) in [
        (TaskKind::Triage, triage_answer(), &memos[0]),
        (
            TaskKind::LocalCheck,
            check_answer(&["menus/list.php"]),
            &memos[1],
        ),
    ] {
        let go = Arc::new(Notify::new());
        let turn = ScriptedTurn::answers(answer).waits(Arc::clone(&go));
        w.agent.add(kind, turn);
        let asked = w.agent.tasks().len();
        let elsewhere = async {
            while w.agent.tasks().len() == asked {
                tokio::task::yield_now().await;
            }
            let posted = w.tracker.add_comment(&issue, memo).await;
            posted.expect("posted");
            go.notify_one();
        };
        let here = async {
            match kind {
                TaskKind::Triage => w.triage().await,
                _ => w.check().await,
            }
        };
        let (here, ()) = tokio::join!(here, elsewhere);
        assert!(text(&here).contains("elsewhere"), "{}", text(&here));
        if kind == TaskKind::Triage {
            let to = Status::SpecReview;
            w.ann.move_to(&issue, &to).expect("moves");
        }
    }
    assert_eq!(w.bodies(&issue).await.len(), 2);
}

#[tokio::test]
async fn an_issue_that_a_person_moved_back_is_left_alone_until_asked() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    w.triage().await;
    w.ann.move_to(&issue, &Status::Open).expect("moves");
    let report = w.triage().await;
    assert!(text(&report).contains("left alone"), "{}", text(&report));
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    let again = TickOptions {
        again: true,
        only: Some(issue.clone()),
        ..TickOptions::default()
    };
    assert!(w.pipeline.triage(&again).await.expect("triage").changed());
}

#[tokio::test]
async fn a_lost_reply_posts_no_second_memo() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    w.tracker.fail_next_write(WriteFault::Landed);
    w.triage().await;
    w.triage().await;
    assert_eq!(w.count(&issue, "> I read it as").await, 1);
    assert_eq!(w.status_of(&issue).await, Status::SpecReview);
}

#[tokio::test]
async fn a_dry_run_calls_no_agent_and_writes_nothing() {
    let w = World::new();
    w.ann.new_issue("T", "please").expect("creates");
    let writes = w.tracker.writes().len();
    let dry = TickOptions {
        dry_run: true,
        ..TickOptions::default()
    };
    let report = w.pipeline.triage(&dry).await.expect("triage");
    assert!(matches!(report.issues[0].outcome, Outcome::WouldDo { .. }));
    assert_eq!(w.tracker.writes().len(), writes);
    assert!(w.agent.tasks().is_empty());
}

#[tokio::test]
async fn a_bad_answer_gets_one_repair_round_and_then_a_sentence() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent.add(
        TaskKind::Triage,
        ScriptedTurn::answers(serde_json::json!({"comment": 1})),
    );
    w.agent
        .add(TaskKind::Repair, ScriptedTurn::answers(triage_answer()));
    assert!(w.triage().await.changed());
    assert_eq!(w.status_of(&issue).await, Status::SpecReview);

    let other = w.ann.new_issue("U", "please").expect("creates");
    for kind in [TaskKind::Triage, TaskKind::Repair] {
        w.agent
            .add(kind, ScriptedTurn::answers(serde_json::json!([])));
    }
    let report = w.triage().await;
    assert!(
        text(&report).contains("and again after it was told"),
        "{}",
        text(&report)
    );
    assert_eq!(w.bodies(&other).await.len(), 0, "nothing is posted of it");
}

#[tokio::test]
async fn a_stage_that_keeps_failing_on_the_same_text_waits_for_a_person() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    for _ in 0..3 {
        w.agent.add(
            TaskKind::Triage,
            ScriptedTurn::ends(AgentOutcome::ContextOverflow),
        );
        assert!(w.triage().await.failed());
        let early = w.triage().await;
        assert!(!early.failed(), "{}", text(&early));
        w.back_off();
    }
    let asked = w.agent.tasks().len();
    let report = w.triage().await;
    assert!(text(&report).contains("--again"), "{}", text(&report));
    assert_eq!(w.agent.tasks().len(), asked);
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::ends(AgentOutcome::Stalled));
    let again = TickOptions {
        again: true,
        ..TickOptions::default()
    };
    let report = w.pipeline.triage(&again).await.expect("triage");
    assert_eq!(w.agent.tasks().len(), asked + 1, "{}", text(&report));
    w.ann.edit_body(&issue, "shorter").expect("edits");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    assert!(w.triage().await.changed());
}

#[tokio::test]
async fn a_check_never_moves_and_is_made_again_only_for_a_persons_word_or_a_changed_text() {
    let w = World::new();
    let issue = w.checked("T", &["menus/list.php", "new.php"]).await;
    assert_eq!(w.status_of(&issue).await, Status::SpecReview);
    let memo = w.bodies(&issue).await.pop().expect("a memo");
    assert!(memo.starts_with("Note: AI local-check memo. Implementation has not started.\n"));
    assert!(memo.contains("\nfile: menus/list.php\nfile-unknown: new.php\n"));
    assert!(!w.check().await.changed());

    w.eve
        .comment(&issue, "what about refunds?")
        .expect("comments");
    w.agent.add(
        TaskKind::Recheck,
        ScriptedTurn::answers(check_answer(&["a.php"])),
    );
    assert!(w.check().await.changed());
    assert!(!w.check().await.changed());

    w.ann.edit_title(&issue, "Other").expect("edits");
    w.agent.add(
        TaskKind::Recheck,
        ScriptedTurn::answers(check_answer(&["a.php"])),
    );
    let report = w.check().await;
    assert!(
        text(&report).contains("its text changed"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "local re-check memo").await, 2);
}

#[tokio::test]
async fn re_checks_are_capped_per_day() {
    let w = World::with(|s| s.max_rechecks = 1);
    let issue = w.checked("T", &["a.php"]).await;
    for said in ["one", "two"] {
        w.eve.comment(&issue, said).expect("comments");
        w.agent.add(
            TaskKind::Recheck,
            ScriptedTurn::answers(check_answer(&["a.php"])),
        );
        w.check().await;
    }
    assert_eq!(w.count(&issue, "local re-check memo").await, 1);
    w.clock.advance(std::time::Duration::from_secs(25 * 3600));
    assert!(w.check().await.changed());
}

#[tokio::test]
async fn an_agent_that_edits_during_a_read_only_task_is_not_believed() {
    let w = World::new();
    let issue = w.ann.new_issue("T", "please").expect("creates");
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    w.triage().await;
    let edits = ScriptedTurn::answers(check_answer(&["a.php"])).writes("sneaky.txt", "x");
    w.agent.add(TaskKind::LocalCheck, edits);
    let report = w.check().await;
    assert!(
        text(&report).contains("its answer is void"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "local-check memo").await, 0);
}

#[tokio::test]
async fn issues_out_of_scope_do_not_exist_for_us() {
    let w = World::with(|s| s.scope.labels = vec!["ai".into()]);
    w.ann.new_issue("T", "please").expect("creates");
    assert!(w.triage().await.issues.is_empty());
}

#[tokio::test]
async fn one_failing_issue_stops_no_other() {
    let w = World::new();
    w.ann.new_issue("T", "please").expect("creates");
    let second = w.ann.new_issue("U", "please").expect("creates");
    w.agent.add(TaskKind::Triage, ScriptedTurn::fails("start"));
    w.agent
        .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
    let report = w.triage().await;
    assert!(report.failed() && report.changed());
    assert_eq!(
        w.tracker.issue(&second).await.expect("issue").value.status,
        Status::SpecReview
    );
}
