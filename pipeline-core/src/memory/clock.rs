//! A clock that stands still until it is told otherwise.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::clock::Timestamp;

/// A clock whose time is set by whoever holds it.
///
/// # Guarantees
/// Time moves by [`advance`](Self::advance) only, or, on a [`jumping`](Self::jumping) clock, also by `sleep`, which
/// then moves it by the whole duration and returns at once. Nothing here waits for real time.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use pipeline_core::clock::{Clock as _, Timestamp};
/// use pipeline_core::memory::ScriptedClock;
///
/// let clock = ScriptedClock::new(Timestamp::EPOCH);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().as_secs(), 90);
/// ```
#[derive(Debug)]
pub struct ScriptedClock {
    time: Mutex<Time>,
    moved: Notify,
    jumping: bool,
}

#[derive(Debug, Clone, Copy)]
struct Time {
    wall: Timestamp,
    elapsed: Duration,
}

impl ScriptedClock {
    /// Makes a clock that stands at `start`; whoever sleeps on it waits until somebody advances it.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            time: Mutex::new(Time {
                wall: start,
                elapsed: Duration::ZERO,
            }),
            moved: Notify::new(),
            jumping: false,
        }
    }

    /// Makes a clock on which every sleep passes at once and moves the time.
    #[must_use]
    pub fn jumping(start: Timestamp) -> Self {
        Self {
            jumping: true,
            ..Self::new(start)
        }
    }

    /// Moves wall time and monotonic time forward.
    pub fn advance(&self, by: Duration) {
        {
            let mut time = self.time();
            time.wall = time.wall.plus(by);
            time.elapsed = time.elapsed.saturating_add(by);
        }
        self.moved.notify_waiters();
    }

    /// Sets the wall time alone, forward or back, as a corrected system clock would.
    pub fn set_wall(&self, to: Timestamp) {
        self.time().wall = to;
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ScriptedClock {
    fn now(&self) -> Timestamp {
        self.time().wall
    }

    fn elapsed(&self) -> Duration {
        self.time().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        if self.jumping {
            self.advance(duration);
            // Others that are ready get their turn, as they would during a real wait.
            tokio::task::yield_now().await;
            return;
        }
        let until = self.elapsed().saturating_add(duration);
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the time is read: an advance in between wakes this wait.
            moved.as_mut().enable();
            if self.elapsed() >= until {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = Arc::new(ScriptedClock::new(Timestamp::EPOCH));
        let sleeper = {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move { clock.sleep(Duration::from_secs(10)).await })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn a_jumping_clock_moves_by_what_is_slept() {
        let clock = ScriptedClock::jumping(Timestamp::EPOCH);
        clock.sleep(Duration::from_secs(30)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(30));
        assert_eq!(clock.now().as_secs(), 30);
        clock.set_wall(Timestamp::EPOCH);
        assert_eq!(clock.elapsed(), Duration::from_secs(30));
    }
}
