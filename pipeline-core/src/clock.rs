//! Wall time, monotonic time and waiting, behind one seam so that no test ever sleeps.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// A point in wall time with millisecond resolution, always UTC.
///
/// Renders and parses as RFC 3339 (`2026-03-01T09:30:00.000Z`).
///
/// # Examples
///
/// ```
/// use pipeline_core::clock::Timestamp;
/// let t = Timestamp::parse("2026-03-01T18:30:00+09:00").expect("valid");
/// assert_eq!(t.to_string(), "2026-03-01T09:30:00.000Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant of 1970, which is before everything a tracker ever stamps.
    pub const EPOCH: Self = Self(0);

    /// Makes a timestamp from milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses RFC 3339 with any offset; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(parsed.as_millisecond()))
    }

    /// Returns the timestamp `by` later, saturating at the ends of the range.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// Returns the timestamp `by` earlier, saturating at the ends of the range.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// Returns how long after `earlier` this is, zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 time with an offset"))
    }
}

/// The time a stage works by.
///
/// # Contract
/// `elapsed` never goes backwards and keeps counting while the machine is suspended: the deadline of a
/// lock holder depends on it (`docs/guarantees.md`). `now` may jump either way.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall time.
    fn now(&self) -> Timestamp;
    /// Returns the time since an arbitrary fixed point, suspend included.
    fn elapsed(&self) -> Duration;
    /// Waits.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and has no other effect.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    fn elapsed(&self) -> Duration {
        // Linux stops CLOCK_MONOTONIC during suspend, Apple's counts on; the holder's deadline must count on.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let id = rustix::time::ClockId::Monotonic;
        let t = rustix::time::clock_gettime(id);
        Duration::new(
            u64::try_from(t.tv_sec).unwrap_or(0),
            u32::try_from(t.tv_nsec).unwrap_or(0),
        )
    }

    async fn sleep(&self, duration: Duration) {
        sleep_by(|| self.elapsed(), duration).await;
    }
}

/// How late at most a wait notices that the machine was suspended meanwhile: well within the margin of a holder's lock.
const SUSPEND_NOTICED: Duration = Duration::from_secs(5);

/// Waits until a clock that counts on during suspend has moved by `duration`. The timers of the system stand still then.
async fn sleep_by(elapsed: impl Fn() -> Duration, duration: Duration) {
    let until = elapsed().saturating_add(duration);
    loop {
        let left = until.saturating_sub(elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SUSPEND_NOTICED)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_milliseconds_in_utc() {
        assert_eq!(
            Timestamp::from_millis(1_500).to_string(),
            "1970-01-01T00:00:01.500Z"
        );
        assert_eq!(
            Timestamp::parse("1970-01-01T00:00:01.500Z"),
            Some(Timestamp(1_500))
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_the_machine_wakes_up_and_its_time_has_passed() {
        let began = tokio::time::Instant::now();
        // From the seventh second on the machine has slept for an hour.
        let suspended = || {
            let awake = began.elapsed();
            let slept = if awake < Duration::from_secs(7) {
                0
            } else {
                3600
            };
            awake + Duration::from_secs(slept)
        };
        sleep_by(suspended, Duration::from_secs(1800)).await;
        let waited = began.elapsed();
        assert!(waited <= Duration::from_secs(12), "{waited:?}");
        sleep_by(|| began.elapsed(), Duration::from_secs(1800)).await;
        assert!(began.elapsed() >= waited + Duration::from_secs(1800));
    }

    #[test]
    fn the_system_clock_does_not_go_backwards() {
        let clock = SystemClock;
        let a = clock.elapsed();
        assert!(clock.elapsed() >= a);
    }
}
