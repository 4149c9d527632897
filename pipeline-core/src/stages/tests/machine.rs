//! The whole orchestrator against a reference model: whatever people, processes and the network do, in whatever order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use proptest_state_machine::StateMachineTest;
use proptest_state_machine::prop_state_machine;

use super::world::World;
use super::world::check_answer;
use super::world::main_branch;
use super::world::ok;
use super::world::triage_answer;
use crate::agent::TaskKind;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::memory::ScriptedTurn;
use crate::memory::WriteFault;
use crate::pipeline::Pipeline;
use crate::report::TickOptions;
use crate::status::Status;
use crate::trailers::Trailers;

const MOST_ISSUES: usize = 3;

/// What somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// A person files an issue; it is read and checked.
    File,
    /// A person starts an issue.
    Start(usize),
    /// A person takes an issue back.
    TakeBack(usize),
    Dispatch,
    Integrate,
    /// A person gives the OK on whatever waits.
    Approve,
    /// Time passes, in minutes.
    Pass(u16),
    /// The answer to the next write is lost; the write itself has landed, or not.
    LoseAnswer(bool),
    /// The process is restarted.
    Restart,
}

/// What people have done: all that decides what may land.
#[derive(Debug, Clone, Default)]
struct Reference {
    /// Whether each issue is started now.
    issues: Vec<bool>,
    /// Whether an OK has been given since the last landing could have begun.
    approved: bool,
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let anybody = prop_oneof![
            3 => Just(Step::File),
            4 => Just(Step::Dispatch),
            4 => Just(Step::Integrate),
            4 => Just(Step::Approve),
            2 => (1u16..3000).prop_map(Step::Pass),
            2 => any::<bool>().prop_map(Step::LoseAnswer),
            1 => Just(Step::Restart),
        ];
        if state.issues.is_empty() {
            return anybody.boxed();
        }
        let one = 0..state.issues.len();
        prop_oneof![
            6 => anybody,
            3 => one.clone().prop_map(Step::Start),
            1 => one.prop_map(Step::TakeBack),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::File => state.issues.len() < MOST_ISSUES,
            Step::Start(i) => state.issues.get(*i) == Some(&false),
            Step::TakeBack(i) => state.issues.get(*i) == Some(&true),
            _ => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::File => state.issues.push(false),
            Step::Start(i) => state.issues[*i] = true,
            Step::TakeBack(i) => state.issues[*i] = false,
            Step::Approve => state.approved = true,
            _ => {}
        }
        state
    }
}

struct Orchestrator {
    runtime: tokio::runtime::Runtime,
    world: World,
    pipeline: Pipeline,
    issues: Vec<IssueKey>,
    turns: u32,
}

impl Orchestrator {
    /// Returns the rounds that have landed, by the trailers on the target.
    fn landed(&self) -> Vec<(IssueKey, EventId)> {
        let log = self.world.repository.log(&main_branch());
        log.into_iter()
            .flat_map(|(_, c)| Trailers::of(&c.message).rounds)
            .collect()
    }

    /// Ticks until the issue has its check: an answer that was lost costs a tick, and a person waits for the memo.
    fn check_until_it_stands(&self, issue: &IssueKey, files: &[&str]) {
        let world = &self.world;
        for _ in 0..4 {
            let stands = world.count(issue, "AI local-check memo");
            if self.runtime.block_on(stands) > 0 {
                return;
            }
            let asked = |kind| {
                let tasks = world.agent.tasks();
                tasks
                    .iter()
                    .filter(|task| task.issue == *issue && task.kind == kind)
                    .count()
            };
            // A turn that was taken is given again; one that was not still waits in the script.
            if asked(TaskKind::Triage) > 0 {
                world
                    .agent
                    .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
            }
            if asked(TaskKind::LocalCheck) > 0 {
                let answer = ScriptedTurn::answers(check_answer(files));
                world.agent.add(TaskKind::LocalCheck, answer);
            }
            world.clock.advance(Duration::from_secs(600));
            self.runtime.block_on(async {
                world.triage().await;
                world.check().await;
            });
        }
        let bodies = self.runtime.block_on(world.bodies(issue));
        assert!(
            bodies.iter().any(|b| b.contains("AI local-check memo")),
            "{issue} was never checked: {bodies:?}"
        );
    }

    fn ticks(&self, integrates: bool) {
        let options = TickOptions::default();
        // What fails is in the report or the error; the next tick goes on.
        self.runtime.block_on(async {
            drop(if integrates {
                self.pipeline.integrate(&options).await
            } else {
                self.pipeline.dispatch(&options).await
            });
        });
    }

    fn approve(&self) {
        let waiting = self.runtime.block_on(self.pipeline.review(None));
        for review in waiting.unwrap_or_default() {
            self.world.gate.give(ok(&review.id, &[]));
        }
    }

    fn history_of(&self, issue: &IssueKey) -> Vec<EventId> {
        use crate::tracker::Tracker as _;
        let history = self.world.tracker.history(issue);
        let history = self.runtime.block_on(history).expect("read").value;
        history
            .into_iter()
            .filter(|e| e.to == Status::InProgress)
            .map(|e| e.id)
            .collect()
    }
}

impl StateMachineTest for Orchestrator {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let world = World::new();
        let pipeline = world.beside(Arc::new(world.tracker.clone()));
        Self {
            runtime,
            world,
            pipeline,
            issues: Vec::new(),
            turns: 0,
        }
    }

    fn apply(mut sut: Self, reference: &Reference, step: Step) -> Self {
        let before = sut.landed();
        match step {
            Step::File => {
                let n = sut.issues.len();
                let files = [format!("out/{n}.txt")];
                let files = [files[0].as_str()];
                let issue = sut.world.checked("Do it", &files);
                let issue = sut.runtime.block_on(issue);
                sut.check_until_it_stands(&issue, &files);
                sut.issues.push(issue);
            }
            Step::Start(i) => {
                // Whatever happened since, the check is made anew where a person must see it: not this test's matter.
                sut.turns += 1;
                let path = format!("out/{i}-{}.txt", sut.turns);
                sut.world
                    .works(ScriptedTurn::completes().writes(path, "done\n"));
                let to = Status::InProgress;
                sut.world.ann.move_to(&sut.issues[i], &to).expect("moved");
            }
            Step::TakeBack(i) => {
                let to = Status::SpecReview;
                sut.world.ann.move_to(&sut.issues[i], &to).expect("moved");
            }
            Step::Dispatch => sut.ticks(false),
            Step::Integrate => sut.ticks(true),
            Step::Approve => sut.approve(),
            Step::Pass(minutes) => {
                let time = Duration::from_secs(u64::from(minutes) * 60);
                sut.world.clock.advance(time);
            }
            Step::LoseAnswer(landed) => sut.world.tracker.fail_next_write(if landed {
                WriteFault::Landed
            } else {
                WriteFault::Lost
            }),
            Step::Restart => {
                let tracker = Arc::new(sut.world.tracker.clone());
                sut.pipeline = sut.world.beside(tracker);
            }
        }
        let after = sut.landed();
        if after.len() > before.len() {
            assert!(reference.approved, "it landed without any OK");
            for (issue, round) in after.iter().filter(|l| !before.contains(l)) {
                let started = sut.history_of(issue);
                assert_eq!(
                    started.last(),
                    Some(round),
                    "{issue} landed in a round it is not in"
                );
            }
        }
        sut
    }

    fn check_invariants(sut: &Self, reference: &Reference) {
        let landed = sut.landed();
        let distinct: BTreeSet<_> = landed.iter().collect();
        assert_eq!(distinct.len(), landed.len(), "a round landed twice");
        for (issue, round) in &landed {
            assert!(sut.history_of(issue).contains(round), "{issue} never began");
        }
        assert_eq!(sut.issues.len(), reference.issues.len());
    }

    fn teardown(sut: Self, reference: Reference) {
        // Left in peace, whatever is started comes to its end.
        for n in 0..6 {
            for m in 0..MOST_ISSUES {
                let path = format!("last/{n}-{m}.txt");
                sut.world
                    .works(ScriptedTurn::completes().writes(path, "done\n"));
            }
            sut.world.clock.advance(Duration::from_secs(8 * 24 * 3600));
            sut.ticks(false);
            sut.ticks(true);
            sut.approve();
            sut.ticks(true);
        }
        let landed = sut.landed();
        let distinct: BTreeSet<_> = landed.iter().collect();
        assert_eq!(distinct.len(), landed.len(), "a round landed twice");
        for (issue, started) in sut.issues.iter().zip(&reference.issues) {
            let current = sut.history_of(issue).pop();
            if let (true, Some(round)) = (*started, current) {
                let state = sut.runtime.block_on(sut.pipeline.explain(issue));
                assert!(
                    landed.contains(&(issue.clone(), round)),
                    "{issue} is started and never lands: {state:?}"
                );
            }
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_every_started_round_lands_once(sequential 1..24 => Orchestrator);
}
