//! Many claimers at once. `LOOPS` sets the number of rounds; a merge makes a thousand, the suite a few.

use std::sync::Mutex;

use tokio::task::JoinSet;

use super::*;
use crate::conformance::faults::Faults;
use crate::conformance::faults::FaultyTracker;

const CLAIMERS: u64 = 32;

fn loops() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's length, set by who runs it"
    )]
    let loops = std::env::var("LOOPS");
    loops.ok().and_then(|n| n.parse().ok()).unwrap_or(24)
}

/// Everything that may befall a tracker while the protocol's assumptions hold.
fn troubled() -> Faults {
    Faults {
        lost_answers: 100,
        lost_writes: 50,
        late_writes: 50,
        doubled: 100,
        failed_reads: 20,
        lag: D,
        shuffled: 300,
        ..Faults::default()
    }
}

/// Lets every claimer try for one issue until somebody holds it; returns how many held it and how many tries were
/// refused although nobody else held or got it. Fails if two hold it at the same time.
async fn contest(seed: u64, faults: Faults, settle: Duration) -> (usize, usize) {
    let w = World::new(settle);
    let issue = w.started();
    // By when each winner has to stop.
    let held: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let mut claimers = JoinSet::new();
    for reader in 0..CLAIMERS {
        let tracker = FaultyTracker::new(Arc::new(w.tracker.clone()), faults, seed, reader);
        let locks = w.machine(Arc::new(tracker));
        let request = w
            .request(&issue, &format!("run-{reader}"), &["path:a"])
            .await;
        let (clock, held) = (Arc::clone(&w.clock), Arc::clone(&held));
        // They begin apart by less than two settles, each round otherwise.
        let begins = (seed.wrapping_mul(31).wrapping_add(reader * 7919)) % 60_000;
        claimers.spawn(async move {
            clock.sleep(Duration::from_millis(begins)).await;
            let mut needless = 0;
            for _ in 0..50 {
                // One more look after somebody has won, which must find it held.
                let last = !held.lock().expect("no panic").is_empty();
                match locks
                    .acquire(std::slice::from_ref(&request))
                    .await
                    .as_deref()
                {
                    Ok([LockOutcome::Acquired(record)]) => {
                        let mut held = held.lock().expect("no panic");
                        let now = clock.elapsed();
                        let at_work = held.iter().filter(|until| **until > now).count();
                        assert_eq!(at_work, 0, "round {seed}: two hold it at {now:?}");
                        held.push(record.deadline);
                        return needless;
                    }
                    Ok(
                        [
                            LockOutcome::Held {
                                holder: Some(_), ..
                            },
                        ],
                    ) => {}
                    _ => needless += 1,
                }
                if last {
                    return needless;
                }
                clock.sleep(Duration::from_secs(120)).await;
            }
            needless
        });
    }
    let mut needless = 0;
    while let Some(ended) = claimers.join_next().await {
        needless += ended.expect("no claimer panics");
    }
    let held = held.lock().expect("no panic").len();
    (held, needless)
}

#[tokio::test(start_paused = true)]
async fn of_32_claimers_exactly_one_wins_each_round_over_a_faulty_tracker() {
    for seed in 0..loops() {
        let (held, _) = contest(seed, troubled(), D).await;
        assert_eq!(held, 1, "round {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn times_that_are_off_never_let_two_hold_one_thing() {
    for seed in 0..loops() / 4 {
        let faults = Faults {
            back_dated: 300,
            ..troubled()
        };
        // What was stamped too early ends early, for its holder too.
        let (held, _) = contest(seed, faults, D).await;
        assert!(held >= 1, "round {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_a_healthy_tracker_nobody_loses_needlessly() {
    for seed in 0..loops() / 4 {
        let healthy = Faults::default();
        assert_eq!(
            contest(seed, healthy, Duration::ZERO).await,
            (1, 0),
            "{seed}"
        );
        let slow = Faults {
            lag: D,
            ..Faults::default()
        };
        assert_eq!(contest(seed, slow, D).await, (1, 0), "{seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn claimers_of_different_things_all_win() {
    let w = World::new(D);
    let mut claimers = JoinSet::new();
    for n in 0..CLAIMERS {
        let issue = w.started();
        let locks = w.plain();
        let request = w
            .request(&issue, &format!("run-{n}"), &[&format!("path:f{n}")])
            .await;
        claimers.spawn(async move { one(&locks, request).await });
    }
    while let Some(outcome) = claimers.join_next().await {
        won(outcome.expect("no claimer panics"));
    }
}
