//! What the lines of the ledger add up to. Pure but for the question whether a process still lives.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use super::record::Began;
use super::record::LedgerRecord;
use super::record::Pause;
use super::record::Reserved;
use super::spent::Spent;
use crate::agent::RunId;
use crate::agent::Usage;
use crate::clock::Timestamp;
use crate::event::Stage;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::line_log::Line;

/// A day is the last 24 hours, so that no limit is doubled around midnight and none depends on a time zone.
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often a reading stage had no usable answer on a text, and when last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub(super) text: String,
    /// How often.
    pub times: u32,
    /// What was wrong, last.
    pub why: String,
    /// When, last.
    pub at: Timestamp,
}

/// One run, begun and perhaps ended.
#[derive(Debug, Clone)]
pub(super) struct RunLine {
    pub(super) began: Began,
    pub(super) at: Timestamp,
    pub(super) ended: Option<Ended>,
}

#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) at: Timestamp,
    pub(super) outcome: String,
    pub(super) usage: Usage,
    pub(super) left: Option<String>,
}

/// Everything the ledger says.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: Vec<RunLine>,
    places: BTreeMap<RunId, usize>,
    /// The places of runs that have not ended.
    open: BTreeSet<usize>,
    issues: BTreeMap<IssueKey, Spent>,
    /// What of it was used by runs whose own lines are gone.
    before: BTreeMap<IssueKey, Spent>,
    pauses: BTreeMap<String, Pause>,
    failing: BTreeMap<(Stage, IssueKey), Failing>,
}

impl Tally {
    pub(super) fn take(&mut self, line: Line<LedgerRecord>) {
        let Line { at, record, .. } = line;
        match record {
            LedgerRecord::Began(began) => {
                if self.places.contains_key(&began.run) {
                    return;
                }
                let place = self.runs.len();
                self.issues.entry(began.issue.clone()).or_default().begin();
                self.places.insert(began.run.clone(), place);
                self.open.insert(place);
                self.runs.push(RunLine {
                    began,
                    at,
                    ended: None,
                });
            }
            LedgerRecord::Ended {
                run,
                outcome,
                usage,
                left,
            } => {
                let Some(place) = self.places.get(&run).copied() else {
                    return;
                };
                self.open.remove(&place);
                let Some(line) = self.runs.get_mut(place).filter(|l| l.ended.is_none()) else {
                    return;
                };
                line.ended = Some(Ended {
                    at,
                    outcome,
                    usage,
                    left,
                });
                let issue = line.began.issue.clone();
                self.issues.entry(issue).or_default().add(&usage);
            }
            LedgerRecord::Paused { agent, pause } => {
                // Two runs that met the same limit: the later time holds.
                let standing = self.pauses.get(&agent);
                if standing.is_none_or(|s| s.until < pause.until) {
                    self.pauses.insert(agent, pause);
                }
            }
            LedgerRecord::Resumed { agent } => drop(self.pauses.remove(&agent)),
            LedgerRecord::Failed {
                stage,
                issue,
                text,
                why,
            } => {
                let before = self.failing.get(&(stage, issue.clone()));
                let times = before.filter(|f| f.text == text).map_or(0, |f| f.times) + 1;
                let failing = Failing {
                    text,
                    times,
                    why,
                    at,
                };
                self.failing.insert((stage, issue), failing);
            }
            LedgerRecord::Answered { stage, issue } => drop(self.failing.remove(&(stage, issue))),
            LedgerRecord::Before { issue, spent } => {
                self.before.entry(issue.clone()).or_default().join(&spent);
                self.issues.entry(issue).or_default().join(&spent);
            }
            LedgerRecord::Failing {
                stage,
                issue,
                text,
                why,
                times,
            } => {
                let failing = Failing {
                    text,
                    times,
                    why,
                    at,
                };
                self.failing.insert((stage, issue), failing);
            }
        }
    }

    /// Returns records that say the same with fewer lines: runs that nothing depends on any more are only summed up.
    ///
    /// What began within two days, is in flight, or belongs to the newest round of its issue stays as it is; of a round
    /// that nothing was done in for a quarter of a year only the sum stays.
    pub(super) fn compacted(&mut self, now: Timestamp) -> Vec<(Timestamp, LedgerRecord)> {
        let in_flight: BTreeSet<RunId> = self
            .in_flight()
            .into_iter()
            .map(|l| l.began.run.clone())
            .collect();
        let mut rounds: BTreeMap<&IssueKey, EventId> = BTreeMap::new();
        for line in &self.runs {
            if let Some(round) = line.began.round {
                let newest = rounds.entry(&line.began.issue).or_insert(round);
                *newest = round.max(*newest);
            }
        }
        let stays = |line: &RunLine| {
            let age = now.since(line.at);
            let current = line.began.round.is_some()
                && rounds.get(&line.began.issue).copied() == line.began.round;
            age < 2 * DAY || in_flight.contains(&line.began.run) || (current && age < 90 * DAY)
        };
        let mut before = self.before.clone();
        for line in self.runs.iter().filter(|l| !stays(l)) {
            let sum = before.entry(line.began.issue.clone()).or_default();
            sum.join(&add_up(std::iter::once(line)));
        }
        let sums = before
            .into_iter()
            .map(|(issue, spent)| (now, LedgerRecord::Before { issue, spent }));
        let mut records: Vec<_> = sums.collect();
        for line in self.runs.iter().filter(|l| stays(l)) {
            records.push((line.at, LedgerRecord::Began(line.began.clone())));
            if let Some(ended) = &line.ended {
                let record = LedgerRecord::Ended {
                    run: line.began.run.clone(),
                    outcome: ended.outcome.clone(),
                    usage: ended.usage,
                    left: ended.left.clone(),
                };
                records.push((ended.at, record));
            }
        }
        for (agent, pause) in self.pauses.iter().filter(|(_, p)| p.until > now) {
            let (agent, pause) = (agent.clone(), pause.clone());
            records.push((now, LedgerRecord::Paused { agent, pause }));
        }
        for ((stage, issue), failing) in &self.failing {
            let record = LedgerRecord::Failing {
                stage: *stage,
                issue: issue.clone(),
                text: failing.text.clone(),
                why: failing.why.clone(),
                times: failing.times,
            };
            records.push((failing.at, record));
        }
        records
    }

    pub(super) fn knows(&self, run: &RunId) -> bool {
        self.places.contains_key(run)
    }

    pub(super) fn has_ended(&self, run: &RunId) -> bool {
        self.find(run).is_some_and(|l| l.ended.is_some())
    }

    pub(super) fn agent_of(&self, run: &RunId) -> Option<&str> {
        Some(self.find(run)?.began.agent.as_str())
    }

    fn find(&self, run: &RunId) -> Option<&RunLine> {
        self.runs.get(*self.places.get(run)?)
    }

    pub(super) fn failing(&self, stage: Stage, issue: &IssueKey, text: &str) -> Option<&Failing> {
        let found = self.failing.get(&(stage, issue.clone()))?;
        Some(found).filter(|f| f.text == text)
    }

    pub(super) fn is_failing(&self, stage: Stage, issue: &IssueKey) -> bool {
        self.failing.contains_key(&(stage, issue.clone()))
    }

    pub(super) fn pause(&self, agent: &str, now: Timestamp) -> Option<&Pause> {
        self.pauses.get(agent).filter(|p| p.until > now)
    }

    pub(super) fn of_issue(&self, issue: &IssueKey) -> Spent {
        self.issues.get(issue).copied().unwrap_or_default()
    }

    /// Returns the ended runs of a round, the newest first.
    pub(super) fn of_round(
        &self,
        issue: &IssueKey,
        round: EventId,
    ) -> impl Iterator<Item = (&RunId, &Ended)> {
        self.runs
            .iter()
            .rev()
            .filter(move |l| l.began.issue == *issue && l.began.round == Some(round))
            .filter_map(|l| Some((&l.began.run, l.ended.as_ref()?)))
    }

    /// Returns the runs of the last 24 hours.
    pub(super) fn of_day(&self, now: Timestamp) -> impl Iterator<Item = &RunLine> {
        let from = now.minus(DAY);
        self.runs.iter().filter(move |l| l.at > from)
    }

    /// Returns the runs that have begun and not ended, whose process lives.
    pub(super) fn in_flight(&mut self) -> Vec<&RunLine> {
        let dead = |line: &RunLine| match &line.began.owner {
            Some(owner) => !owner.is_alive().unwrap_or(true),
            None => false,
        };
        let runs = &self.runs;
        // Once dead, always dead: it is not asked for again.
        self.open
            .retain(|place| runs.get(*place).is_some_and(|l| !dead(l)));
        self.open.iter().filter_map(|p| self.runs.get(*p)).collect()
    }
}

/// Adds up runs, with what the ones in flight may still use.
pub(super) fn add_up<'a>(lines: impl Iterator<Item = &'a RunLine>) -> Spent {
    let mut spent = Spent::default();
    for line in lines {
        spent.begin();
        if let Some(ended) = &line.ended {
            spent.add(&ended.usage);
        }
    }
    spent
}

/// Adds to a sum what runs in flight have reserved.
pub(super) fn with_reserved<'a>(
    mut spent: Spent,
    reserved: impl Iterator<Item = &'a Reserved>,
) -> Spent {
    for r in reserved {
        spent.input_tokens = spent.input_tokens.saturating_add(r.tokens);
        spent.cost_micros = spent.cost_micros.saturating_add(r.cost_micros);
        spent.millis = spent.millis.saturating_add(r.millis);
    }
    spent
}
