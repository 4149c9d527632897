//! When a stage runs: interval, active hours, days of the week, time zone. Pure; the clock is an argument.

mod hours;
mod memory;
pub mod units;

use std::time::Duration;

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pipeline_core::clock::Timestamp;

pub use self::hours::ActiveHours;
pub use self::hours::Day;
pub use self::memory::LastRuns;

/// When one stage runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTimes {
    /// How often.
    pub every: Duration,
    /// Between which hours of the day.
    pub active: ActiveHours,
    /// On which days of the week; empty = on every day.
    pub days: Vec<Day>,
}

/// Returns the time zone of that name (`Europe/Berlin`, `Asia/Tokyo`), or the machine's own.
///
/// # Errors
/// The sentence that says there is no such zone.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|_| {
            format!("there is no time zone `{name}`: write it like Europe/Berlin or Asia/Tokyo")
        }),
    }
}

/// Returns when the stage runs next: `now` or earlier means at once.
///
/// A clock that went backwards does not stall a stage: a last run in the future counts as just now.
#[must_use]
pub fn next_run(
    stage: &StageTimes,
    zone: &TimeZone,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let wanted = match last {
        Some(last) => now.max(last.min(now).plus(stage.every)),
        None => now,
    };
    if is_active(stage, zone, wanted) {
        wanted
    } else {
        next_opening(stage, zone, wanted).unwrap_or(wanted)
    }
}

/// Returns whether `at` lies in the active hours of an active day.
#[must_use]
pub fn is_active(stage: &StageTimes, zone: &TimeZone, at: Timestamp) -> bool {
    let Some(local) = zoned(zone, at) else {
        return true;
    };
    // A window that crosses midnight belongs to the day it opens on.
    [local.date().yesterday().ok(), Some(local.date())]
        .into_iter()
        .flatten()
        .any(|date| {
            runs_on(stage, date)
                && window(stage, zone, date).is_some_and(|(open, close)| open <= at && at < close)
        })
}

fn next_opening(stage: &StageTimes, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut date = zoned(zone, after)?.date();
    for _ in 0..=8 {
        if runs_on(stage, date) {
            let (open, _) = window(stage, zone, date)?;
            if open >= after {
                return Some(open);
            }
        }
        date = date.tomorrow().ok()?;
    }
    None
}

fn runs_on(stage: &StageTimes, date: Date) -> bool {
    stage.days.is_empty() || stage.days.iter().any(|d| d.weekday() == date.weekday())
}

fn window(stage: &StageTimes, zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
    let hours = stage.active;
    let closing = if hours.closes() <= hours.opens() {
        date.tomorrow().ok()?
    } else {
        date
    };
    let at = |date: Date, time| {
        let zoned = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
        Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    };
    Some((at(date, hours.opens())?, at(closing, hours.closes())?))
}

fn zoned(zone: &TimeZone, at: Timestamp) -> Option<Zoned> {
    Some(
        jiff::Timestamp::from_millisecond(at.as_millis())
            .ok()?
            .to_zoned(zone.clone()),
    )
}

/// Returns how long to wait from `now` until `next`.
#[must_use]
pub fn wait(next: Timestamp, now: Timestamp) -> Duration {
    next.since(now)
}

#[cfg(test)]
mod tests;
