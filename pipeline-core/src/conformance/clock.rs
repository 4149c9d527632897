//! The conformance suites of [`Clock`] and [`Observer`], the two small seams.
//!
//! Their tests implement [`ClockHarness`] or [`ObserverHarness`] and call
//! [`clock_conformance!`](crate::clock_conformance) or [`observer_conformance!`](crate::observer_conformance).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use crate::BoxError;
use crate::agent::RunId;
use crate::agent::Usage;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::event::Observer;
use crate::event::Stage;
use crate::issue::IssueKey;

/// Makes the clock under test. Its sleeps must pass without anybody moving it.
#[async_trait]
pub trait ClockHarness: Send + Sync {
    /// Makes a new harness.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns the clock.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// What is slept: long enough to be seen, short enough for nobody to wait.
const NAP: Duration = Duration::from_millis(5);

/// The time since a fixed point never goes back, from whichever thread it is read.
///
/// # Errors
/// Says how the rule is broken.
pub async fn elapsed_never_goes_back(harness: &dyn ClockHarness) -> Result<(), Violation> {
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let clock = harness.clock();
        readers.spawn(async move {
            let mut last = clock.elapsed();
            for _ in 0..1000 {
                let now = clock.elapsed();
                if now < last {
                    return Err((last, now));
                }
                last = now;
                tokio::task::yield_now().await;
            }
            Ok(())
        });
    }
    while let Some(read) = readers.join_next().await {
        let read = read.succeeds("reading from several threads")?;
        read.map_err(|(last, now)| Violation::new(format!("after {last:?} came {now:?}")))?;
    }
    Ok(())
}

/// A sleep takes at least its time, by the clock itself.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_sleep_takes_at_least_its_time(harness: &dyn ClockHarness) -> Result<(), Violation> {
    let clock = harness.clock();
    for nap in [Duration::ZERO, NAP] {
        let before = clock.elapsed();
        clock.sleep(nap).await;
        let slept = clock.elapsed().saturating_sub(before);
        ensure(slept >= nap, || format!("{nap:?} were slept in {slept:?}"))?;
    }
    Ok(())
}

/// A sleep that is given up takes no time and leaves the clock as it was.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_sleep_can_be_given_up(harness: &dyn ClockHarness) -> Result<(), Violation> {
    let clock = harness.clock();
    let before = clock.elapsed();
    drop(clock.sleep(Duration::from_secs(365 * 24 * 3600)));
    ensure(
        clock.elapsed() < before.saturating_add(Duration::from_secs(600)),
        || "a sleep that nobody waited for moved the time".to_owned(),
    )?;
    clock.sleep(NAP).await;
    ensure(clock.elapsed() >= before.saturating_add(NAP), || {
        "the clock stands after a sleep was given up".to_owned()
    })
}

/// Wall time is a time of our age, read and rendered without loss.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_wall_time_can_be_written_down(
    harness: &dyn ClockHarness,
) -> Result<(), Violation> {
    let now = harness.clock().now();
    let read = Timestamp::parse(&now.to_string());
    ensure(read == Some(now), || {
        format!("{now} reads back as {read:?}")
    })
}

/// Expands to one test per behaviour of a [`Clock`], for a type that implements [`ClockHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::clock_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! clock_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::clock::ClockHarness,
            $crate::conformance::clock,
            [
                a_sleep_can_be_given_up,
                a_sleep_takes_at_least_its_time,
                elapsed_never_goes_back,
                the_wall_time_can_be_written_down,
            ]
        );
    };
}

/// Makes the observer under test.
#[async_trait]
pub trait ObserverHarness: Send + Sync {
    /// Makes a new harness.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns the observer.
    fn observer(&self) -> Arc<dyn Observer>;
}

/// One event of every kind, with texts as an agent may write them.
fn events() -> Vec<Event> {
    let issue = IssueKey::new("PROJ-1").expect("a well-formed key");
    let run = RunId::random();
    let slot = "agent-1 \u{1b}[2J".to_owned();
    let at = Timestamp::EPOCH;
    vec![
        Event::TickBegan {
            stage: Stage::Dispatch,
        },
        Event::RunBegan {
            run: run.clone(),
            issue: issue.clone(),
            slot: slot.clone(),
            at,
        },
        Event::Progress {
            run: run.clone(),
            issue: issue.clone(),
            line: format!("\u{202e}{}", "x".repeat(100_000)),
        },
        // Of a run that nobody was told of.
        Event::Progress {
            run: RunId::random(),
            issue: issue.clone(),
            line: String::new(),
        },
        Event::RunEnded {
            run,
            issue: issue.clone(),
            slot,
            outcome: "completed".to_owned(),
            usage: Usage::default(),
            at,
        },
        Event::Wrote {
            issue: issue.clone(),
            what: "a memo".to_owned(),
        },
        Event::PersonNeeded {
            issue: Some(issue),
            cause: "candidate:1".to_owned(),
            what: "look".to_owned(),
        },
        Event::Note {
            issue: None,
            what: "nothing".to_owned(),
        },
    ]
}

/// Every kind of event is taken, in any order and again, and nothing comes of it that could stop a stage.
///
/// # Errors
/// Says how the rule is broken.
pub async fn every_event_is_taken(harness: &dyn ObserverHarness) -> Result<(), Violation> {
    let observer = harness.observer();
    let mut all = events();
    for _ in 0..2 {
        for event in &all {
            observer.observe(event);
        }
        all.reverse();
    }
    Ok(())
}

/// Runs tell from many threads at once, and none waits for another for good.
///
/// # Errors
/// Says how the rule is broken.
pub async fn many_may_tell_at_once(harness: &dyn ObserverHarness) -> Result<(), Violation> {
    let mut telling = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let observer = harness.observer();
        telling.spawn_blocking(move || {
            for event in events() {
                observer.observe(&event);
            }
        });
    }
    while let Some(told) = telling.join_next().await {
        told.succeeds("telling from several threads")?;
    }
    Ok(())
}

/// Expands to one test per behaviour of an [`Observer`], for a type that implements [`ObserverHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::observer_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! observer_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::clock::ObserverHarness,
            $crate::conformance::clock,
            [every_event_is_taken, many_may_tell_at_once]
        );
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::event::Unobserved;
    use crate::memory::ScriptedClock;

    struct Of(Arc<dyn Clock>);

    struct System;

    #[async_trait]
    impl ClockHarness for System {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self)
        }

        fn clock(&self) -> Arc<dyn Clock> {
            Arc::new(SystemClock)
        }
    }

    #[async_trait]
    impl ClockHarness for Of {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self(Arc::new(ScriptedClock::jumping(Timestamp::EPOCH))))
        }

        fn clock(&self) -> Arc<dyn Clock> {
            Arc::clone(&self.0)
        }
    }

    mod system {
        crate::clock_conformance!(super::System);
    }

    mod scripted {
        crate::clock_conformance!(super::Of);
    }

    struct Nobody;

    #[async_trait]
    impl ObserverHarness for Nobody {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self)
        }

        fn observer(&self) -> Arc<dyn Observer> {
            Arc::new(Unobserved)
        }
    }

    mod nobody {
        crate::observer_conformance!(super::Nobody);
    }

    /// A clock that goes back, wakes early and stands after a sleep was given up.
    #[derive(Debug, Default)]
    struct Broken(std::sync::atomic::AtomicU64);

    #[async_trait]
    impl Clock for Broken {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(i64::MAX)
        }

        fn elapsed(&self) -> Duration {
            let read = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Duration::from_secs(1_000_000u64.saturating_sub(read))
        }

        async fn sleep(&self, _duration: Duration) {}
    }

    #[tokio::test]
    async fn a_broken_clock_keeps_no_rule() {
        let broken = Of(Arc::new(Broken::default()));
        assert!(elapsed_never_goes_back(&broken).await.is_err());
        assert!(a_sleep_takes_at_least_its_time(&broken).await.is_err());
        assert!(a_sleep_can_be_given_up(&broken).await.is_err());
        assert!(the_wall_time_can_be_written_down(&broken).await.is_err());
    }

    #[derive(Debug)]
    struct Panics;

    impl Observer for Panics {
        fn observe(&self, event: &Event) {
            assert!(!matches!(event, Event::Note { .. }), "it cannot take notes");
        }
    }

    struct Panicking;

    #[async_trait]
    impl ObserverHarness for Panicking {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self)
        }

        fn observer(&self) -> Arc<dyn Observer> {
            Arc::new(Panics)
        }
    }

    #[tokio::test]
    async fn an_observer_that_fails_is_caught() {
        assert!(many_may_tell_at_once(&Panicking).await.is_err());
    }
}
