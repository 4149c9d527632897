//! Two orchestrators and two integrators at once, each killed and restarted at random: every issue lands exactly once.
//!
//! Half of the schedules run all four on one machine, with one journal; in the other half each orchestrator and its
//! integrator have a machine of their own, with its own journal, run table and integrator, on one tracker and one
//! repository. A process may die wherever it waits: before and after every request, and on both sides of the move of
//! the ref. `LOOPS` sets how many schedules are made; the suite makes a twentieth of what a merge makes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::mortal::Witness;
use super::mortal::dying;
use super::world::MACHINES;
use super::world::Process;
use super::world::World;
use super::world::main_branch;
use super::world::myself;
use super::world::ok;
use crate::clock::Clock as _;
use crate::conformance::faults::Faults;
use crate::conformance::faults::FaultyTracker;
use crate::issue::IssueKey;
use crate::memory::ScriptedTurn;
use crate::pipeline::Pipeline;
use crate::report::TickOptions;
use crate::trailers::Trailers;

const ISSUES: usize = 3;
/// The most steps of a tick that a process lives through.
const MOST_STEPS: u64 = 40;

fn loops() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's length, set by who runs it"
    )]
    let loops = std::env::var("LOOPS");
    loops.ok().and_then(|n| n.parse().ok()).unwrap_or(10)
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    const fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What a process is there for.
#[derive(Debug, Clone, Copy)]
struct Role {
    machine: usize,
    integrates: bool,
}

/// Begins a process. Its tracker loses an answer now and then, and at every request others go first.
fn begun(w: &World, role: Role, dice: &mut Dice) -> (Pipeline, Witness) {
    let faults = Faults {
        lost_answers: 30,
        lost_writes: 30,
        failed_reads: 5,
        shuffled: 100,
        ..Faults::default()
    };
    let tracker = Arc::new(w.tracker.clone());
    let seed = dice.below(u64::MAX);
    let witness = Witness::born();
    let pipeline = w.begin(Process {
        machine: role.machine,
        tracker: Arc::new(FaultyTracker::new(tracker, faults, seed, 0)),
        owner: witness.identity(),
    });
    (pipeline, witness)
}

/// One process that ticks, dies and begins again until it is told to stop.
async fn process(w: Arc<World>, role: Role, mut dice: Dice, stop: Arc<AtomicBool>) -> (u64, u64) {
    let (mut ticks, mut deaths) = (0, 0);
    let (mut pipeline, mut witness) = begun(&w, role, &mut dice);
    while !stop.load(Ordering::SeqCst) {
        let p: Pipeline = pipeline.clone();
        let tick = async move {
            let options = TickOptions::default();
            // What fails is said in the report of the tick; the next one goes on.
            drop(if role.integrates {
                p.integrate(&options).await
            } else {
                p.dispatch(&options).await
            });
        };
        let mut left = 1 + dice.below(MOST_STEPS);
        let doomed = || {
            left -= 1;
            left == 0
        };
        ticks += 1;
        if dying(tick, doomed).await.is_none() {
            deaths += 1;
            drop(witness);
            (pipeline, witness) = begun(&w, role, &mut dice);
        }
        w.clock.sleep(Duration::from_secs(30)).await;
    }
    (ticks, deaths)
}

async fn approve_what_waits(w: &World) {
    for review in w.pipeline.review(None).await.unwrap_or_default() {
        w.gate.give(ok(&review.id, &[]));
    }
}

/// Returns how many commits on the target carry each issue's trailer.
fn landings(w: &World, issues: &[IssueKey]) -> Vec<usize> {
    let messages: Vec<String> = w
        .repository
        .log(&main_branch())
        .into_iter()
        .map(|(_, c)| c.message)
        .collect();
    let of = |issue: &IssueKey| {
        let named = |m: &&String| Trailers::of(m).rounds.iter().any(|(i, _)| i == issue);
        messages.iter().filter(named).count()
    };
    issues.iter().map(of).collect()
}

/// Begins a process that nothing befalls.
fn undisturbed(w: &World, machine: usize) -> Pipeline {
    w.begin(Process {
        machine,
        tracker: Arc::new(w.tracker.clone()),
        owner: myself(),
    })
}

async fn tick(p: &Pipeline) {
    p.dispatch(&TickOptions::default()).await.expect("ticks");
    p.integrate(&TickOptions::default()).await.expect("ticks");
}

async fn schedule(seed: u64) -> (u64, u64) {
    let w = Arc::new(World::new());
    let mut issues = Vec::new();
    for n in 0..ISSUES {
        let title = format!("Issue {n}");
        issues.push(w.started(&title, &[&format!("done/{n}.txt")]).await);
    }
    for n in 0..60 {
        w.works(ScriptedTurn::completes().writes(format!("out/{n}.txt"), "done\n"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut processes = tokio::task::JoinSet::new();
    // Every second schedule has a machine for each pair.
    let machines = if seed.is_multiple_of(2) { MACHINES } else { 1 };
    for n in 0..4 {
        let dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(n * 7919 + 1));
        let stop = Arc::clone(&stop);
        let role = Role {
            machine: usize::from(n >= 2) % machines,
            integrates: n % 2 == 1,
        };
        processes.spawn(process(Arc::clone(&w), role, dice, stop));
    }
    let mut dice = Dice(seed.wrapping_add(17));
    for _ in 0..60 {
        for _ in 0..60 {
            tokio::task::yield_now().await;
        }
        if dice.below(4) == 0 {
            approve_what_waits(&w).await;
        }
        w.clock.advance(Duration::from_secs(1 + dice.below(60)));
    }
    stop.store(true, Ordering::SeqCst);
    let (mut ticks, mut deaths) = (0, 0);
    while !processes.is_empty() {
        w.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
        while let Some(ended) = processes.try_join_next() {
            let (t, d) = ended.expect("no process panics");
            ticks += t;
            deaths += d;
        }
    }
    // From now on nobody dies: everything comes to its end.
    let whole: Vec<Pipeline> = (0..machines).map(|n| undisturbed(&w, n)).collect();
    for _ in 0..12 {
        w.clock.advance(Duration::from_secs(1900));
        for p in &whole {
            tick(p).await;
        }
        approve_what_waits(&w).await;
        for p in &whole {
            p.integrate(&TickOptions::default()).await.expect("ticks");
        }
        if landings(&w, &issues).iter().all(|n| *n > 0) {
            break;
        }
    }
    assert_eq!(
        landings(&w, &issues),
        [1; ISSUES],
        "seed {seed}: every issue lands exactly once"
    );
    for issue in &issues {
        let said = w.count(issue, "kind: landed").await;
        assert_eq!(said, 1, "seed {seed}: {issue} says once that it landed");
    }
    w.clock.advance(Duration::from_secs(1900));
    for p in &whole {
        tick(p).await;
    }
    assert_eq!(
        landings(&w, &issues),
        [1; ISSUES],
        "seed {seed}: and nothing follows"
    );
    (ticks, deaths)
}

#[tokio::test]
async fn two_orchestrators_and_two_integrators_killed_at_random_land_every_issue_once() {
    let (mut ticks, mut deaths) = (0, 0);
    for seed in 1..=loops() {
        let (t, d) = schedule(seed).await;
        ticks += t;
        deaths += d;
    }
    println!("{} schedules: {ticks} ticks, {deaths} deaths", loops());
    assert!(deaths > loops(), "they do die: {deaths} of {ticks} ticks");
}
