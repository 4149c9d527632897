//! Two orchestrators and two integrators at once, each killed and restarted at random: every issue lands exactly once.
//!
//! `LOOPS` sets how many schedules are made; the suite makes a tenth of what a merge makes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use super::world::World;
use super::world::main_branch;
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

fn loops() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's length, set by who runs it"
    )]
    let loops = std::env::var("LOOPS");
    loops.ok().and_then(|n| n.parse().ok()).unwrap_or(20)
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

/// A process that dies after so many steps.
struct Mortal<T> {
    inner: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    left: u64,
}

impl<T> Future for Mortal<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        if this.left == 0 {
            // Dropped as a dying process drops everything: nothing of it runs on.
            this.inner = None;
            return Poll::Ready(None);
        }
        this.left -= 1;
        match &mut this.inner {
            Some(inner) => inner.as_mut().poll(context).map(Some),
            None => Poll::Ready(None),
        }
    }
}

/// Begins a process. Its tracker loses an answer now and then, and at every request others go first.
fn begun(w: &World, dice: &mut Dice) -> Pipeline {
    let faults = Faults {
        lost_answers: 30,
        lost_writes: 30,
        failed_reads: 5,
        shuffled: 100,
        ..Faults::default()
    };
    let tracker = Arc::new(w.tracker.clone());
    let seed = dice.below(u64::MAX);
    w.beside(Arc::new(FaultyTracker::new(tracker, faults, seed, 0)))
}

/// One process that ticks, dies and begins again until it is told to stop.
async fn process(
    w: Arc<World>,
    integrates: bool,
    mut dice: Dice,
    stop: Arc<AtomicBool>,
) -> (u64, u64) {
    let (mut ticks, mut deaths) = (0, 0);
    let mut pipeline = begun(&w, &mut dice);
    while !stop.load(Ordering::SeqCst) {
        let p: Pipeline = pipeline.clone();
        let tick = async move {
            let options = TickOptions::default();
            // What fails is said in the report of the tick; the next one goes on.
            drop(if integrates {
                p.integrate(&options).await
            } else {
                p.dispatch(&options).await
            });
        };
        let mortal = Mortal {
            inner: Some(Box::pin(tick)),
            left: 1 + dice.below(80),
        };
        ticks += 1;
        if mortal.await.is_none() {
            deaths += 1;
            pipeline = begun(&w, &mut dice);
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
    for n in 0..4_u64 {
        let dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(n * 7919 + 1));
        let stop = Arc::clone(&stop);
        processes.spawn(process(Arc::clone(&w), n % 2 == 1, dice, stop));
    }
    let mut dice = Dice(seed.wrapping_add(17));
    for _ in 0..60 {
        for _ in 0..20 {
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
    for _ in 0..12 {
        w.clock.advance(Duration::from_secs(1900));
        w.dispatch().await;
        w.integrate().await;
        approve_what_waits(&w).await;
        w.integrate().await;
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
    w.dispatch().await;
    w.integrate().await;
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
