use std::time::Duration;

use super::world::*;
use crate::agent::TaskKind;
use crate::memory::ScriptedTurn;
use crate::memory::Tree;
use crate::report::TickOptions;
use crate::status::Status;

const MENUS: &str = "menus/list.php";
const ORDERS: &str = "orders/list.php";

async fn submitted(w: &World, path: &str) -> crate::issue::IssueKey {
    let issue = w.started(path, &[path]).await;
    w.works(ScriptedTurn::completes().writes(path, "mended\n"));
    let report = w.dispatch().await;
    assert!(text(&report).contains("submitted by"), "{}", text(&report));
    issue
}

#[tokio::test]
async fn a_patch_is_verified_asked_for_and_landed_once() {
    let w = World::new();
    let issue = submitted(&w, MENUS).await;
    let before = w.tip();
    w.integrate().await;
    assert_eq!(w.tip(), before, "nothing moves before the OK");
    assert_eq!(w.count(&issue, "kind: result").await, 1);
    w.approve(&[]).await;
    let report = w.integrate().await;
    assert!(text(&report).contains("landed as"), "{}", text(&report));
    assert_eq!(w.count(&issue, "kind: landed").await, 1);
    let log = w.repository.log(&main_branch());
    assert_eq!(log[0].1.tree[MENUS], b"mended\n");
    assert!(
        log[0].1.message.contains("Agent-Claim: ") && log[0].1.message.contains("Agent-Round: ")
    );

    let (tip, writes) = (w.tip(), w.tracker.writes().len());
    for _ in 0..2 {
        w.triage().await;
        w.check().await;
        w.dispatch().await;
        w.integrate().await;
    }
    assert_eq!(w.tip(), tip);
    assert_eq!(
        w.tracker.writes().len(),
        writes,
        "a second run of every stage changes nothing"
    );
}

#[tokio::test]
async fn several_patches_make_one_candidate_with_a_commit_each() {
    let w = World::new();
    let a = submitted(&w, MENUS).await;
    let b = submitted(&w, ORDERS).await;
    w.integrate().await;
    let review = w.pipeline.review(None).await.expect("review");
    assert_eq!(review[0].candidate.commits.len(), 2);
    w.approve(&[]).await;
    w.integrate().await;
    assert_eq!(w.repository.log(&main_branch()).len(), 3);
    for issue in [&a, &b] {
        assert_eq!(w.count(issue, "kind: landed").await, 1);
    }
}

#[tokio::test]
async fn a_failing_patch_goes_back_with_the_reason_and_lands_on_its_second_attempt() {
    let w = World::new();
    let good = submitted(&w, ORDERS).await;
    let bad = w.started("T", &[MENUS]).await;
    w.works(
        ScriptedTurn::completes()
            .writes(MENUS, "mended\n")
            .writes("BROKEN", "x"),
    );
    w.dispatch().await;
    let report = w.integrate().await;
    assert!(
        text(&report).contains("went back: `test` ended with exit code 1"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&bad, "> error: BROKEN is there").await, 1);
    assert_eq!(w.count(&bad, "kind: refused").await, 1);
    let review = w.pipeline.review(None).await.expect("review");
    assert_eq!(
        review[0].candidate.commits[0].claim.issue, good,
        "the rest is as before"
    );

    w.approve(&[]).await;
    w.integrate().await;
    w.agent.add(
        TaskKind::Rework,
        ScriptedTurn::completes().writes(MENUS, "right\n"),
    );
    w.dispatch().await;
    w.integrate().await;
    w.approve(&[]).await;
    w.integrate().await;
    assert_eq!(w.count(&bad, "kind: landed").await, 1);
    assert_eq!(w.count(&bad, "AI work-start memo").await, 2);
}

#[tokio::test]
async fn an_ok_for_a_candidate_rebuilt_since_does_not_count() {
    let w = World::new();
    submitted(&w, MENUS).await;
    w.integrate().await;
    w.approve(&[]).await;
    let mut tree: Tree = w.repository.log(&main_branch())[0].1.tree.clone();
    tree.insert("other.txt".into(), b"somebody else\n".to_vec());
    w.repository.commit(&main_branch(), tree, "meanwhile");
    let tip = w.tip();
    let report = w.integrate().await;
    assert!(
        text(&report).contains("needs a new OK"),
        "{}",
        text(&report)
    );
    assert_eq!(w.tip(), tip, "nothing landed: {}", text(&report));
    w.approve(&[]).await;
    w.integrate().await;
    assert_ne!(w.tip(), tip);
}

#[tokio::test]
async fn an_issue_that_left_the_status_does_not_land_although_it_was_approved() {
    let w = World::new();
    let issue = submitted(&w, MENUS).await;
    w.integrate().await;
    w.approve(&[]).await;
    w.ann.move_to(&issue, &Status::SpecReview).expect("moves");
    let before = w.tip();
    let report = w.integrate().await;
    assert_eq!(w.tip(), before, "{}", text(&report));
    w.dispatch().await;
    assert_eq!(w.count(&issue, "reason: revoked").await, 1);
}

#[tokio::test]
async fn a_rejected_patch_goes_back_and_the_rest_is_built_again() {
    let w = World::new();
    let a = submitted(&w, MENUS).await;
    let b = submitted(&w, ORDERS).await;
    w.integrate().await;
    let id = w.pipeline.review(None).await.expect("review")[0].id.clone();
    w.pipeline
        .reject(&id, &a, "wrong colour")
        .await
        .expect("rejects");
    let review = w.pipeline.review(None).await.expect("review");
    assert_ne!(review[0].id, id);
    assert_eq!(review[0].candidate.commits.len(), 1);
    assert_eq!(review[0].candidate.commits[0].claim.issue, b);
    assert_eq!(
        w.count(&a, "> wrong colour").await,
        2,
        "in the rework memo and in the refusal"
    );
    assert!(
        w.pipeline.reject(&id, &b, "x").await.is_err(),
        "that candidate is gone"
    );
}

#[tokio::test]
async fn a_failure_that_the_base_shows_too_blames_nobody() {
    let w = World::new();
    let mut tree: Tree = w.repository.log(&main_branch())[0].1.tree.clone();
    tree.insert("BROKEN".into(), Vec::new());
    w.repository
        .commit(&main_branch(), tree.clone(), "breaks the base");
    let issue = submitted(&w, MENUS).await;
    let report = w.integrate().await;
    assert!(
        text(&report).contains("fails on the base"),
        "{}",
        text(&report)
    );
    assert_eq!(w.count(&issue, "kind: refused").await, 0);
    tree.remove("BROKEN");
    w.repository.commit(&main_branch(), tree, "mends the base");
    w.integrate().await;
    assert_eq!(w.count(&issue, "kind: result").await, 1);
}

#[tokio::test]
async fn work_on_the_same_round_is_found_in_the_target_even_if_the_memo_is_missing() {
    let w = World::new();
    let issue = submitted(&w, MENUS).await;
    w.integrate().await;
    w.approve(&[]).await;
    w.integrate().await;
    // The landed memo is deleted by somebody; the trailer still says so.
    let thread = crate::tracker::Tracker::comments(&w.tracker, &issue)
        .await
        .expect("thread")
        .value;
    let landed = thread
        .iter()
        .find(|c| c.body.contains("kind: landed"))
        .expect("landed");
    w.ann.delete_comment(&issue, landed.id).expect("deletes");
    let tip = w.tip();
    w.dispatch().await;
    w.integrate().await;
    assert_eq!(w.tip(), tip);
}

#[tokio::test]
async fn a_hand_over_deleted_in_the_moment_it_was_read_does_not_land() {
    // By a clock that stands still no time has passed since it was posted; and with D it is as old as D, no more.
    for settle in [Duration::ZERO, Duration::from_secs(30)] {
        let w = World::settling(settle);
        let issue = w.as_time_passes(submitted(&w, MENUS)).await;
        w.as_time_passes(w.integrate()).await;
        w.approve(&[]).await;
        let read = crate::tracker::Tracker::comments(&w.tracker, &issue).await;
        let thread = read.expect("a thread").value;
        let done = thread
            .iter()
            .find(|c| c.body.starts_with("Note: AI work-done memo"));
        let done = done.expect("it was handed over").id;
        w.ann.delete_comment(&issue, done).expect("deletes");
        let tip = w.tip();
        w.as_time_passes(w.integrate()).await;
        assert_eq!(w.tip(), tip, "not even while it may only be invisible");
        w.clock.advance(Duration::from_secs(1));
        w.as_time_passes(w.integrate()).await;
        assert_eq!(w.count(&issue, "kind: release").await, 1);
        w.as_time_passes(w.integrate()).await;
        assert_eq!(w.tip(), tip, "nor later");
    }
}

#[tokio::test]
async fn two_integrators_at_once_exclude_each_other() {
    let w = World::new();
    submitted(&w, MENUS).await;
    let options = TickOptions::default();
    let (a, b) = tokio::join!(
        w.pipeline.integrate(&options),
        w.pipeline.integrate(&options)
    );
    a.expect("integrates");
    b.expect("integrates");
    assert_eq!(w.pipeline.review(None).await.expect("review").len(), 1);
}

#[tokio::test]
async fn approving_names_what_is_missing_at_once() {
    let w = World::new();
    submitted(&w, MENUS).await;
    w.integrate().await;
    let approve = crate::stages::Approve {
        candidate: "000000000000".into(),
        by: crate::gate::Person::new("Ann", "ann@example.com"),
        allow: Default::default(),
        protected: Default::default(),
    };
    let error = w
        .pipeline
        .approve(&approve)
        .await
        .expect_err("no such candidate");
    let said = crate::report::chain(&error);
    assert!(
        said.contains("there is no candidate 000000000000"),
        "{said}"
    );
}

/// Six patches, of which the fourth breaks the checks.
async fn one_of_six_is_bad(w: &World) -> Vec<crate::issue::IssueKey> {
    let mut issues = Vec::new();
    for n in 0..6 {
        let path = format!("part{n}/list.php");
        issues.push(w.started(&path, &[&path]).await);
        let turn = ScriptedTurn::completes().writes(&path, "mended\n");
        w.works(if n == 3 {
            turn.writes("part3/BROKEN", "x").writes("BROKEN", "x")
        } else {
            turn
        });
        let report = w.dispatch().await;
        assert!(text(&report).contains("submitted by"), "{}", text(&report));
    }
    issues
}

#[tokio::test]
async fn a_batch_is_verified_as_a_whole_and_the_bad_patch_alone_goes_back() {
    for (max_batch, verifications) in [(1, 7), (8, 5)] {
        let w = World::with(|s| {
            s.max_batch = max_batch;
            s.max_issues_per_tick = 50;
        });
        let issues = one_of_six_is_bad(&w).await;
        let report = w.integrate().await;
        for (n, issue) in issues.iter().enumerate() {
            let back = w.count(issue, "kind: refused").await;
            assert_eq!(back, usize::from(n == 3), "{n}: {}", text(&report));
        }
        assert_eq!(w.count(&issues[3], "> error: BROKEN is there").await, 1);
        let review = w.pipeline.review(None).await.expect("review");
        let candidate = &review[0].candidate;
        assert_eq!(candidate.commits.len(), 5);
        assert!(candidate.is_verified() && candidate.sealed);
        let runs = w.verified.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(runs, verifications, "batches of at most {max_batch}");
        w.approve(&[]).await;
        w.integrate().await;
        assert_eq!(w.repository.log(&main_branch()).len(), 6);
    }
}

#[tokio::test]
async fn a_fault_that_passes_by_while_a_candidate_is_checked_blames_nobody() {
    let w = World::new();
    let issue = submitted(&w, MENUS).await;
    w.check_faults
        .store(1, std::sync::atomic::Ordering::Relaxed);
    let report = w.integrate().await;
    assert_eq!(
        w.count(&issue, "kind: refused").await,
        0,
        "{}",
        text(&report)
    );
    assert_eq!(
        w.count(&issue, "kind: result").await,
        1,
        "{}",
        text(&report)
    );
}

#[tokio::test]
async fn without_checks_a_whole_queue_joins_at_once_and_no_tree_is_made_for_it() {
    let w = World::with(|s| s.max_issues_per_tick = 50);
    w.no_checks
        .store(true, std::sync::atomic::Ordering::Relaxed);
    one_of_six_is_bad(&w).await;
    let report = w.integrate().await;
    let review = w.pipeline.review(None).await.expect("review");
    let candidate = &review[0].candidate;
    assert_eq!(candidate.commits.len(), 6, "{}", text(&report));
    let record = candidate.verification.as_ref().expect("recorded");
    assert!(!record.verified && candidate.sealed);
    assert_eq!(w.verified.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(!w.checked_out());
    w.approve(&[]).await;
    w.integrate().await;
    assert_eq!(w.repository.log(&main_branch()).len(), 7);
}

#[tokio::test]
async fn what_a_dead_integrator_had_not_verified_is_nobody_elses_fault() {
    let w = World::new();
    let bad = w.started("T", &[MENUS]).await;
    w.works(
        ScriptedTurn::completes()
            .writes(MENUS, "mended\n")
            .writes("BROKEN", "x"),
    );
    w.dispatch().await;
    // As after a kill between joining and verifying.
    let integrator = w.pipeline.integrator.clone().expect("configured");
    let crate::integrate::OpenOutcome::Opened(mut session) =
        integrator.open(&main_branch()).await.expect("opens")
    else {
        panic!("nobody else has it");
    };
    let locks = w.pipeline.settled_locks(&*session).await.expect("read");
    let h = locks.state.live(locks.date).next().expect("submitted");
    let patch = h.submitted.clone().expect("submitted");
    let submission = w.pipeline.submission(&locks, h, &patch).await;
    let submission = submission.expect("read").expect("kept");
    session.apply(&submission, &[]).await.expect("applied");
    drop(session);
    let good = submitted(&w, ORDERS).await;
    w.integrate().await;
    assert_eq!(w.count(&bad, "kind: refused").await, 1);
    assert_eq!(w.count(&good, "kind: refused").await, 0);
}
