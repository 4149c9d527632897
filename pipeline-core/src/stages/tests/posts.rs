//! A memo whose process died while it was posted stands in the thread once, however late it becomes visible.

use std::sync::Arc;
use std::time::Duration;

use super::mortal::Witness;
use super::mortal::dying;
use super::world::Process;
use super::world::World;
use super::world::myself;
use super::world::triage_answer;
use crate::agent::TaskKind;
use crate::conformance::faults::Faults;
use crate::conformance::faults::FaultyTracker;
use crate::event::Stage;
use crate::issue::IssueKey;
use crate::journal::Journal as _;
use crate::journal::Record;
use crate::memory::ScriptedTurn;
use crate::pipeline::Pipeline;
use crate::report::TickOptions;
use crate::status::Status;

const D: Duration = Duration::from_secs(30);

/// At which of its waits a process dies that is about to post: before the memo has landed, and after it.
const BEFORE_AND_AFTER: [usize; 2] = [1, 2];

/// Begins a process whose every request lets others go first.
fn begun(w: &World, witness: &Witness) -> Pipeline {
    let tracker = Arc::new(w.tracker.clone());
    w.begin(Process {
        machine: 0,
        tracker: Arc::new(FaultyTracker::new(tracker, Faults::default(), 1, 0)),
        owner: witness.identity(),
    })
}

/// Does something on a process that dies at so many waits after it wrote down that it posts a memo with this text.
async fn dies_posting<T>(w: &World, text: &str, waits: usize, doing: impl Future<Output = T>) {
    let mut waited = 0;
    let doomed = || {
        let entries = w.disk.entries().expect("kept");
        let intends = |e: &crate::journal::Entry| match &e.record {
            Record::PostIntent { body, .. } => body.contains(text),
            _ => false,
        };
        waited += usize::from(entries.iter().any(intends));
        waited == waits
    };
    let ended = w.as_time_passes(dying(doing, doomed)).await;
    assert!(ended.is_none(), "it dies while it posts");
}

async fn triaged(w: &World, issue: &IssueKey) {
    let tracker = Arc::new(w.tracker.clone());
    let next = w.begin(Process {
        machine: 0,
        tracker,
        owner: myself(),
    });
    for _ in 0..2 {
        let answer = ScriptedTurn::answers(triage_answer());
        w.agent.add(TaskKind::Triage, answer);
        let options = TickOptions::default();
        let report = w
            .as_time_passes(next.triage(&options))
            .await
            .expect("ticks");
        assert!(!report.failed(), "{report:?}");
        if w.status_of(issue).await == Status::SpecReview {
            return;
        }
    }
}

#[tokio::test]
async fn a_triage_memo_that_its_dead_process_may_have_posted_is_never_posted_twice() {
    for waits in BEFORE_AND_AFTER {
        let w = World::settling(D);
        let issue = w.ann.new_issue("Rename it", "please").expect("creates");
        let answer = ScriptedTurn::answers(triage_answer());
        w.agent.add(TaskKind::Triage, answer);
        w.tracker.set_lag(D);
        w.clock.advance(D);
        let witness = Witness::born();
        let options = TickOptions::default();
        let p = begun(&w, &witness);
        dies_posting(&w, "automated AI assessment", waits, p.triage(&options)).await;
        drop(witness);
        triaged(&w, &issue).await;
        w.clock.advance(D);
        let said = w.count(&issue, "automated AI assessment").await;
        assert_eq!(said, 1, "killed at wait {waits}");
        assert_eq!(w.status_of(&issue).await, Status::SpecReview);
    }
}

/// Kills a process that is about to post a memo on a work item, before and after the memo lands; the next tick of the same
/// stage leaves it there once.
async fn never_twice(marker: &str, stage: Stage) {
    for waits in BEFORE_AND_AFTER {
        let w = World::settling(D);
        let issue = w
            .as_time_passes(w.started("Rename it", &["menus/list.php"]))
            .await;
        w.works(ScriptedTurn::completes().writes("menus/list.php", "Points\n"));
        if stage == Stage::Integrate {
            w.as_time_passes(w.dispatch()).await;
        }
        w.clock.advance(D);
        w.tracker.set_lag(D);
        let witness = Witness::born();
        let options = TickOptions::default();
        let p = begun(&w, &witness);
        let report = if stage == Stage::Integrate {
            dies_posting(&w, marker, waits, p.integrate(&options)).await;
            drop(witness);
            w.as_time_passes(w.integrate()).await
        } else {
            dies_posting(&w, marker, waits, p.dispatch(&options)).await;
            drop(witness);
            w.as_time_passes(w.dispatch()).await
        };
        assert!(!report.failed(), "{report:?}");
        w.clock.advance(D);
        let said = w.count(&issue, marker).await;
        assert_eq!(said, 1, "killed at wait {waits}");
    }
}

#[tokio::test]
async fn a_result_memo_that_its_dead_process_may_have_posted_is_never_posted_twice() {
    never_twice("kind: result", Stage::Integrate).await;
}

#[tokio::test]
async fn a_hand_over_that_its_dead_process_may_have_posted_is_never_posted_twice() {
    never_twice("AI work-done memo", Stage::Dispatch).await;
}
