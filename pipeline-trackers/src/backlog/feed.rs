//! The activity feed: what changed since a mark, and which status changes it tells of. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::IssueKey;
use pipeline_core::tracker::ChangeMark;
use pipeline_core::tracker::Changes;

use super::wire::Activity;
use super::wire::ActivityKind;
use super::wire::StatusChange;

/// Most ids a mark carries beyond its watermark; past it they are reported once more instead.
const MOST_SEEN: usize = 400;

/// A position in the feed: everything up to an id is done, and of what is newer, these ids.
///
/// An id may be given before its activity is visible, so the newest part of the feed is looked at again until it is
/// older than the time a write may stay invisible; what was reported of it is not reported twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    project: String,
    pub(super) upto: u64,
    seen: BTreeSet<u64>,
}

impl Mark {
    pub(super) fn parse(mark: &ChangeMark, project: &str) -> Option<Self> {
        let (position, seen) = match mark.0.rsplit_once('+') {
            Some((position, seen)) => (position, Some(seen)),
            None => (mark.0.as_str(), None),
        };
        let upto = digits(position.strip_prefix(project)?.strip_prefix(':')?)?;
        let seen: Option<BTreeSet<u64>> = seen.map_or_else(
            || Some(BTreeSet::new()),
            |list| list.split(',').map(digits).collect(),
        );
        let seen = seen.filter(|seen| seen.iter().all(|id| *id > upto))?;
        let project = project.to_owned();
        Some(Self {
            project,
            upto,
            seen,
        })
    }

    fn render(&self) -> ChangeMark {
        let mut out = format!("{}:{}", self.project, self.upto);
        if !self.seen.is_empty() {
            let seen: Vec<_> = self.seen.iter().map(u64::to_string).collect();
            out.push('+');
            out.push_str(&seen.join(","));
        }
        ChangeMark(out)
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The newest part of the feed, read page by page from its end.
#[derive(Debug, Default)]
pub(super) struct Reading {
    activities: BTreeMap<u64, Activity>,
    /// The lowest id of all pages, including rows that were known.
    lowest: Option<u64>,
    /// The feed has nothing older.
    ended: bool,
}

impl Reading {
    /// Takes one page; `full` tells whether it had as many rows as were asked for.
    ///
    /// Returns false if the page said nothing new although there should be more: the feed does not go on.
    pub(super) fn take(&mut self, page: Vec<Activity>, full: bool) -> bool {
        let before = self.activities.len();
        for activity in page {
            let lowest = self.lowest.get_or_insert(activity.id);
            *lowest = (*lowest).min(activity.id);
            self.activities.entry(activity.id).or_insert(activity);
        }
        self.ended = !full;
        self.ended || self.activities.len() > before
    }

    /// Returns where the next page ends.
    pub(super) const fn lowest(&self) -> Option<u64> {
        self.lowest
    }

    /// Returns whether the reading goes back to an id, or to the beginning.
    pub(super) fn reaches(&self, id: u64) -> bool {
        self.ended || self.lowest.is_some_and(|lowest| lowest <= id)
    }

    /// Returns whether the reading holds the activity that left a record.
    pub(super) fn holds(&self, record: u64) -> bool {
        let mut named = self.activities.values().flat_map(Activity::touched);
        named.any(|t| t.record == Some(record))
    }

    /// Returns whether the reading goes back to before a time, or to the beginning.
    pub(super) fn reaches_before(&self, time: Timestamp) -> bool {
        let oldest = self.activities.values().next();
        self.ended || oldest.is_some_and(|a| a.created < time)
    }

    pub(super) fn activities(&self) -> impl Iterator<Item = &Activity> {
        self.activities.values()
    }

    /// Returns what changed since a mark, or the mark of now without one.
    pub(super) fn changes(
        &self,
        since: Option<&Mark>,
        project: &str,
        date: Timestamp,
        settle: Duration,
    ) -> Changes {
        let newest = self.activities.keys().next_back().copied().unwrap_or(0);
        // A feed that ends before the mark, at either side, is not the one the mark was made in.
        let complete = since.is_none_or(|mark| {
            mark.upto == 0
                || (newest >= mark.upto && self.lowest.is_some_and(|lowest| lowest <= mark.upto))
        });
        let upto = since.filter(|_| complete).map_or(0, |mark| mark.upto);
        let visible = date.minus(settle);
        let mut issues = BTreeSet::new();
        let (mut next, mut seen) = (upto, BTreeSet::new());
        for (id, activity) in self.activities.iter().filter(|(id, _)| **id > upto) {
            // Only an unbroken row of old ones is done with.
            if seen.is_empty() && (settle.is_zero() || activity.created < visible) {
                next = *id;
            } else {
                seen.insert(*id);
            }
            if since.is_some_and(|mark| !mark.seen.contains(id)) {
                issues.extend(keys(activity, project));
            }
        }
        if seen.len() > MOST_SEEN {
            seen.clear();
        }
        let project = project.to_owned();
        Changes {
            issues,
            next: Mark {
                project,
                upto: next,
                seen,
            }
            .render(),
            complete,
        }
    }
}

/// Returns the keys of the issues an activity names.
pub(super) fn keys<'a>(
    activity: &'a Activity,
    project: &'a str,
) -> impl Iterator<Item = IssueKey> + 'a {
    let touched = activity.touched().into_iter();
    touched.filter_map(move |t| IssueKey::new(format!("{project}-{}", t.key_id)).ok())
}

/// One change of status that the feed tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) activity: u64,
    pub(super) what: ActivityKind,
    /// The record it left in the thread.
    pub(super) record: Option<u64>,
    pub(super) actor: Option<u64>,
    /// More than one: it cannot be told which is real.
    pub(super) changes: Vec<StatusChange>,
}

/// The changes of status that were seen in the feed, by issue. What has been seen stays.
#[derive(Debug, Default)]
pub(super) struct Evidences {
    by_issue: BTreeMap<u64, BTreeMap<u64, Evidence>>,
    /// The unbroken part of the feed that was seen: its lowest id, and when that was.
    pub(super) back_to: Option<Place>,
    newest: u64,
    /// The feed was seen from its beginning.
    whole: bool,
    depth: usize,
}

type Place = (u64, Timestamp);

fn lower(a: Option<Place>, b: Option<Place>) -> Option<Place> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
        (one, other) => one.or(other),
    }
}

impl Evidences {
    /// Takes a reading that began at the newest end of the feed.
    pub(super) fn take(&mut self, reading: &Reading) {
        self.insert(reading);
        let oldest = reading.activities().next().map(|a| (a.id, a.created));
        let newest = reading.activities().last().map_or(0, |a| a.id);
        let connected = oldest.is_none_or(|(id, _)| id <= self.newest);
        if connected && (self.back_to.is_some() || self.whole) {
            self.back_to = lower(self.back_to, oldest);
        } else {
            // Between this reading and what was seen before there may be more.
            self.back_to = oldest;
            self.whole = false;
        }
        self.whole |= reading.ended;
        self.newest = self.newest.max(newest);
    }

    /// Takes a reading that began where what was seen ends.
    pub(super) fn extend(&mut self, reading: &Reading) {
        self.insert(reading);
        let oldest = reading.activities().next().map(|a| (a.id, a.created));
        self.back_to = lower(self.back_to, oldest);
        self.whole |= reading.ended;
        self.depth += reading.activities.len();
    }

    /// Returns how many activities were read for the sake of old moves.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the id up to which a new reading has to go to connect with what was seen.
    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    fn insert(&mut self, reading: &Reading) {
        for activity in reading.activities() {
            let changes = activity.status_changes();
            let deleted = activity.what() == ActivityKind::StatusDeleted;
            if changes.is_empty() && !deleted {
                continue;
            }
            for touched in activity.touched() {
                let evidence = Evidence {
                    activity: activity.id,
                    what: activity.what(),
                    record: touched.record,
                    actor: activity.created_user.as_ref().map(|u| u.id),
                    changes: changes.clone(),
                };
                let of = self.by_issue.entry(touched.key_id).or_default();
                of.insert(activity.id, evidence);
            }
        }
    }

    /// Returns the changes of status of an issue, oldest first.
    pub(super) fn of(&self, key_id: u64) -> Vec<Evidence> {
        let of = self.by_issue.get(&key_id);
        of.map(|e| e.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Returns whether a record of an issue was seen, and everything since it.
    pub(super) fn reaches_record(&self, key_id: u64, record: u64) -> bool {
        let of = self.by_issue.get(&key_id);
        let mut of = of.into_iter().flat_map(BTreeMap::values);
        of.any(|e| {
            let unbroken = self.back_to.is_some_and(|(id, _)| id <= e.activity);
            e.record == Some(record) && (self.whole || unbroken)
        })
    }

    /// Returns whether everything since a time was seen.
    pub(super) fn reaches(&self, time: Timestamp) -> bool {
        self.whole || self.back_to.is_some_and(|(_, at)| at < time)
    }
}

#[cfg(test)]
mod tests;
