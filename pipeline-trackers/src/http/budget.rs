//! How many requests may still go out.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::clock::Clock;

/// A minute, which limits are counted by.
const MINUTE: Duration = Duration::from_secs(60);
/// What is left alone of a limit: people and other programs use the same one.
const RESERVED: u64 = 10;
/// Longest wait that a tick sits out; for a longer one it ends and comes again.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// What a server tells about its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// When the count begins anew, from now.
    pub(crate) reset_in: Duration,
}

/// The requests of each category, for everybody who shares the client.
#[derive(Debug, Default)]
pub(super) struct Budget {
    own: BTreeMap<&'static str, usize>,
    windows: Mutex<BTreeMap<&'static str, Window>>,
}

#[derive(Debug, Default)]
struct Window {
    sent: VecDeque<Duration>,
    hold_until: Duration,
}

impl Budget {
    /// Makes a budget with the most requests per minute of each category that has a known limit.
    pub(super) fn new(own: &[(&'static str, usize)]) -> Self {
        Self {
            own: own.iter().copied().collect(),
            windows: Mutex::default(),
        }
    }

    /// Waits for the turn of a request and counts it.
    ///
    /// # Errors
    /// How long it would take, if that is longer than a tick waits.
    ///
    /// # Cancel safety
    /// A dropped wait counts nothing.
    pub(super) async fn admit(
        &self,
        category: &'static str,
        clock: &dyn Clock,
    ) -> Result<(), Duration> {
        loop {
            let wait = self.take(category, clock.elapsed());
            if wait.is_zero() {
                return Ok(());
            }
            if wait > LONGEST_WAIT {
                return Err(wait);
            }
            tracing::debug!(category, ?wait, "waiting for the tracker's limit");
            clock.sleep(wait).await;
        }
    }

    fn take(&self, category: &'static str, now: Duration) -> Duration {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(category).or_default();
        if window.hold_until > now {
            return window.hold_until.saturating_sub(now);
        }
        let Some(&most) = self.own.get(category) else {
            return Duration::ZERO;
        };
        let began = now.saturating_sub(MINUTE);
        while window
            .sent
            .front()
            .is_some_and(|at| *at <= began && now >= MINUTE)
        {
            window.sent.pop_front();
        }
        match window.sent.front() {
            Some(oldest) if window.sent.len() >= most => {
                oldest.saturating_add(MINUTE).saturating_sub(now)
            }
            _ => {
                window.sent.push_back(now);
                Duration::ZERO
            }
        }
    }

    /// Learns what the server says is left.
    pub(super) fn observe(&self, category: &'static str, rate: Rate, now: Duration) {
        // Of a tiny limit something must be usable at all.
        let reserve = (rate.limit / RESERVED).min(rate.limit.saturating_sub(1));
        if rate.remaining <= reserve {
            self.hold(category, rate.reset_in, now);
        }
    }

    /// Lets nothing out for a while.
    pub(super) fn hold(&self, category: &'static str, wait: Duration, now: Duration) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(category).or_default();
        window.hold_until = window.hold_until.max(now.saturating_add(wait));
    }
}

#[cfg(test)]
mod tests {
    use pipeline_core::clock::Timestamp;
    use pipeline_core::memory::ScriptedClock;

    use super::*;

    fn rate(limit: u64, remaining: u64) -> Rate {
        Rate {
            limit,
            remaining,
            reset_in: Duration::from_secs(30),
        }
    }

    #[tokio::test]
    async fn a_category_keeps_below_its_own_limit_and_leaves_others_alone() {
        let clock = ScriptedClock::jumping(Timestamp::EPOCH);
        let budget = Budget::new(&[("notes", 3)]);
        for _ in 0..3 {
            budget.admit("notes", &clock).await.unwrap();
        }
        budget.admit("read", &clock).await.unwrap();
        assert_eq!(clock.elapsed(), Duration::ZERO);
        budget.admit("notes", &clock).await.unwrap();
        assert_eq!(clock.elapsed(), MINUTE);
    }

    #[tokio::test]
    async fn the_last_tenth_is_left_to_others() {
        let clock = ScriptedClock::jumping(Timestamp::EPOCH);
        let budget = Budget::default();
        budget.observe("", rate(600, 61), clock.elapsed());
        budget.admit("", &clock).await.unwrap();
        assert_eq!(clock.elapsed(), Duration::ZERO);
        budget.observe("", rate(600, 60), clock.elapsed());
        budget.admit("", &clock).await.unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_long_wait_ends_the_tick_instead() {
        let clock = ScriptedClock::jumping(Timestamp::EPOCH);
        let budget = Budget::default();
        budget.hold("", Duration::from_secs(600), clock.elapsed());
        assert_eq!(
            budget.admit("", &clock).await,
            Err(Duration::from_secs(600))
        );
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }
}
