//! The ledger: what runs have used, which agents are paused, and how often a text had no usable answer.
//!
//! One durable file of the state directory that every process on it reads and writes. Whether a run may begin is decided
//! and written down while no other process can write, so that limits hold over all of them; a run counts from the moment
//! it begins, and stays counted if its process is killed.

mod brake;
mod record;
mod spent;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;

use self::brake::Question;
use self::record::Began;
use self::record::LedgerRecord;
use self::record::Reserved;
use self::tally::Tally;
use self::tally::add_up;
use crate::BoxError;
use crate::agent::AgentOutcome;
use crate::agent::RunId;
use crate::agent::Usage;
use crate::clock::Timestamp;
use crate::event::Stage;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::line_log::Line;
use crate::line_log::LineLog;
use crate::line_log::Locked;
use crate::line_log::LogError;
use crate::process::ProcessIdentity;
use crate::settings::AgentRole;
use crate::settings::AgentSettings;
use crate::settings::Brakes;

pub use self::brake::Admission;
pub use self::brake::Among;
pub use self::brake::Asked;
pub use self::brake::Brake;
pub use self::brake::InFlight;
pub use self::brake::Of;
pub use self::record::Pause;
pub use self::spent::Spent;
pub use self::spent::used;
pub use self::tally::Failing;

/// How long an agent is left alone after a rate limit that names no time.
const RATE_PAUSE: Duration = Duration::from_secs(60);
/// The same for a used-up quota.
const USAGE_PAUSE: Duration = Duration::from_secs(3600);
/// The same where the machine has to be mended: no credential, no sandbox.
const BROKEN_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest pause that is believed: a week's window and a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(8 * 24 * 3600);
/// The shortest pause, so that a time that has just passed is no invitation to ask again at once.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// From which size on the ledger is written anew with what is still needed, in bytes.
const COMPACT_AT: u64 = 4 * 1024 * 1024;
/// Longest reason that is kept.
const LONGEST_WHY: usize = 500;

/// Returns how long to wait before attempt `failures + 1`: `min(10 s · 2^(failures − 1), 5 min)`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use pipeline_core::ledger::backoff;
/// assert_eq!(backoff(0), Duration::ZERO);
/// assert_eq!(backoff(1), Duration::from_secs(10));
/// assert_eq!(backoff(3), Duration::from_secs(40));
/// assert_eq!(backoff(60), Duration::from_secs(300));
/// ```
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    const MOST: u64 = 300;
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
            Duration::from_secs(10_u64.saturating_mul(factor).min(MOST))
        }
    }
}

/// What all of it comes to, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DaySpent {
    /// Everything of the last 24 hours.
    pub all: Spent,
    /// By agent.
    pub agents: BTreeMap<String, Spent>,
    /// By who filed the issue: the account's id.
    pub authors: BTreeMap<String, Spent>,
}

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It cannot be read or written.
    #[error("the ledger {path} cannot be {operation}: check the disk and the rights of the state directory", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A record that is not the last one is broken.
    #[error("the ledger {path} is damaged at record {record} ({reason}): no run begins until a person has looked; move the file aside to begin a new one, which counts from nothing", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record that is broken, from 1.
        record: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

impl From<LogError> for LedgerError {
    fn from(e: LogError) -> Self {
        match e {
            LogError::Io {
                path,
                operation,
                source,
            } => Self::Io {
                path,
                operation,
                source,
            },
            LogError::Damaged {
                path,
                record,
                reason,
            } => Self::Damaged {
                path,
                record,
                reason,
            },
        }
    }
}

/// What runs have used, over all processes on one state directory.
///
/// # Guarantees
/// What is written is synced before it is acted on; a record torn by a crash is dropped, one that is damaged otherwise
/// is an error and stops every run: a brake that cannot be read holds.
#[derive(Debug)]
pub struct Ledger {
    log: Option<LineLog<LedgerRecord>>,
    compact_at: u64,
    tally: Mutex<Tally>,
    owner: Option<ProcessIdentity>,
}

impl Ledger {
    /// Counts as long as the process lives.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            log: None,
            compact_at: COMPACT_AT,
            tally: Mutex::default(),
            owner: None,
        }
    }

    /// Opens or creates the ledger in a file.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self {
            log: Some(LineLog::open(path)?),
            compact_at: COMPACT_AT,
            tally: Mutex::default(),
            // Where the system does not tell, a run that never ends stays in flight until its record is ended.
            owner: ProcessIdentity::of_running(std::process::id())
                .ok()
                .flatten(),
        };
        ledger.read(|_| ())?;
        Ok(ledger)
    }

    /// Writes the ledger anew from this size on.
    #[must_use]
    pub const fn with_compaction_at(mut self, bytes: u64) -> Self {
        self.compact_at = bytes;
        self
    }

    /// Looks at the ledger as it is now.
    fn read<T>(&self, f: impl FnOnce(&mut Tally) -> T) -> Result<T, LedgerError> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = &self.log {
            log.locked("read", |log| {
                catch_up(log, &mut tally)?;
                Ok::<(), LedgerError>(())
            })?;
        }
        Ok(f(&mut tally))
    }

    /// Decides by the ledger as it is now and writes down what comes of it, as one step over all processes.
    fn write<T>(
        &self,
        at: Timestamp,
        decide: impl FnOnce(&mut Tally) -> (T, Option<LedgerRecord>),
    ) -> Result<T, LedgerError> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = &self.log else {
            let (out, record) = decide(&mut tally);
            if let Some(record) = record {
                tally.take(Line { seq: 0, at, record });
            }
            return Ok(out);
        };
        log.locked("written", |log| {
            catch_up(log, &mut tally)?;
            if log.outgrows(self.compact_at) {
                let records = tally.compacted(at);
                match log.replace(&records) {
                    Ok(()) => {
                        *tally = Tally::default();
                        for (at, record) in records {
                            tally.take(Line { seq: 0, at, record });
                        }
                    }
                    // The ledger itself is as good as before; only its size is not bounded now.
                    Err(error) => tracing::warn!(?error, "the ledger cannot be written anew"),
                }
            }
            let (out, record) = decide(&mut tally);
            if let Some(record) = record {
                let seq = log.append(at, record.clone())?;
                tally.take(Line { seq, at, record });
            }
            Ok(out)
        })
    }

    /// Returns whether a run could begin, without beginning it.
    ///
    /// # Errors
    /// [`LedgerError`]; no run may begin then.
    pub fn looks(
        &self,
        asked: &Asked<'_>,
        brakes: &Brakes,
        agent: &AgentSettings,
        now: Timestamp,
    ) -> Result<Admission, LedgerError> {
        self.read(|tally| brake::decide(tally, &asked.into(), brakes, agent, now))
    }

    /// Returns what holds an agent, whatever the issue.
    ///
    /// # Errors
    /// [`LedgerError`]; no run may begin then.
    pub fn may_work(
        &self,
        agent: &str,
        role: AgentRole,
        brakes: &Brakes,
        own: &AgentSettings,
        elsewhere: &[InFlight],
        now: Timestamp,
    ) -> Result<Option<Brake>, LedgerError> {
        let question = Question {
            run: None,
            issue: None,
            author: None,
            agent,
            role,
            elsewhere,
        };
        self.read(
            |tally| match brake::decide(tally, &question, brakes, own, now) {
                Admission::Granted(_) => None,
                Admission::Held(brake) => Some(brake),
            },
        )
    }

    /// Begins a run where every brake lets it: from now on it counts.
    ///
    /// A run that is known is granted its limits again and counts once.
    ///
    /// # Errors
    /// [`LedgerError`]; the run must not begin then.
    pub fn begin(
        &self,
        asked: &Asked<'_>,
        brakes: &Brakes,
        agent: &AgentSettings,
        now: Timestamp,
    ) -> Result<Admission, LedgerError> {
        let own = agent.limits(asked.role);
        self.write(now, |tally| {
            let admission = brake::decide(tally, &asked.into(), brakes, agent, now);
            let record = match &admission {
                Admission::Granted(limits) if !tally.knows(asked.run) => {
                    Some(LedgerRecord::Began(Began {
                        run: asked.run.clone(),
                        issue: asked.issue.clone(),
                        author: asked.author.map(str::to_owned),
                        agent: asked.agent.to_owned(),
                        role: asked.role,
                        kind: asked.kind,
                        round: asked.round,
                        // Only a limit of the run's own is taken for granted: without one a single run would
                        // reserve all that is left, and nothing could run beside it.
                        reserved: Reserved {
                            tokens: own.tokens.and(limits.tokens).unwrap_or_default(),
                            cost_micros: own
                                .cost_micros
                                .and(limits.cost_micros)
                                .unwrap_or_default(),
                            millis: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
                        },
                        owner: self.owner.clone(),
                    }))
                }
                Admission::Granted(_) | Admission::Held(_) => None,
            };
            (admission, record)
        })
    }

    /// Writes down what a run has used; the first word about a run stands.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn end(
        &self,
        run: &RunId,
        outcome: &str,
        usage: Usage,
        left: Option<String>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(now, |tally| {
            let news = tally.knows(run) && !tally.has_ended(run);
            let record = news.then(|| LedgerRecord::Ended {
                run: run.clone(),
                outcome: outcome.to_owned(),
                usage,
                left,
            });
            ((), record)
        })
    }

    /// Pauses an agent where an outcome asks for it, and returns the pause that is in force then.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn react(
        &self,
        agent: &str,
        outcome: &AgentOutcome,
        now: Timestamp,
    ) -> Result<Option<Pause>, LedgerError> {
        let (until, usual) = match outcome {
            AgentOutcome::RateLimited { until } => (*until, RATE_PAUSE),
            AgentOutcome::UsageLimit { until } => (*until, USAGE_PAUSE),
            AgentOutcome::AuthenticationFailed { .. } | AgentOutcome::SandboxUnavailable { .. } => {
                (None, BROKEN_PAUSE)
            }
            _ => return Ok(None),
        };
        // What an agent says of the time is somebody else's word.
        let until = until
            .unwrap_or_else(|| now.plus(usual))
            .clamp(now.plus(SHORTEST_PAUSE), now.plus(LONGEST_PAUSE));
        let pause = Pause {
            until,
            reason: outcome.reason().to_owned(),
        };
        self.write(now, |_| {
            let (agent, pause) = (agent.to_owned(), pause.clone());
            ((), Some(LedgerRecord::Paused { agent, pause }))
        })?;
        self.pause(agent, now)
    }

    /// Returns the pause of an agent, if it is in force.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn pause(&self, agent: &str, now: Timestamp) -> Result<Option<Pause>, LedgerError> {
        self.read(|tally| tally.pause(agent, now).cloned())
    }

    /// Takes the pause of an agent back, and returns the one that was in force.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn resume(&self, agent: &str, now: Timestamp) -> Result<Option<Pause>, LedgerError> {
        self.write(now, |tally| {
            let was = tally.pause(agent, now).cloned();
            let agent = agent.to_owned();
            let record = was.is_some().then_some(LedgerRecord::Resumed { agent });
            (was, record)
        })
    }

    /// Returns what one issue has used, as long as it lives.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn of_issue(&self, issue: &IssueKey) -> Result<Spent, LedgerError> {
        self.read(|tally| tally.of_issue(issue))
    }

    /// Returns what was used in the last 24 hours.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn of_day(&self, now: Timestamp) -> Result<DaySpent, LedgerError> {
        self.read(|tally| {
            let by = |key: &dyn Fn(&Began) -> Option<String>| {
                let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
                for line in tally.of_day(now) {
                    if let Some(key) = key(&line.began) {
                        groups.entry(key).or_default().push(line);
                    }
                }
                let add = |(key, lines): (String, Vec<_>)| (key, add_up(lines.into_iter()));
                groups.into_iter().map(add).collect()
            };
            DaySpent {
                all: add_up(tally.of_day(now)),
                agents: by(&|b| Some(b.agent.clone())),
                authors: by(&|b| b.author.clone()),
            }
        })
    }

    /// Returns which agent made a run, where it is known here.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn agent_of(&self, run: &RunId) -> Result<Option<String>, LedgerError> {
        self.read(|tally| tally.agent_of(run).map(str::to_owned))
    }

    /// Returns when the last run of a round ended here, if it ended without doing what was asked.
    ///
    /// A patch that went back is no such end: what is wrong with it is known, and waiting changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn last_failure(
        &self,
        issue: &IssueKey,
        round: EventId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        self.read(|tally| {
            let (_, last) = tally.of_round(issue, round).next()?;
            (last.outcome != AgentOutcome::Completed.reason()).then_some(last.at)
        })
    }

    /// Returns whether the run before this one in its round left the same tree and failed the same way.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn repeats(
        &self,
        run: &RunId,
        issue: &IssueKey,
        round: EventId,
    ) -> Result<bool, LedgerError> {
        self.read(|tally| {
            let mut newest = tally.of_round(issue, round);
            let Some((_, last)) = newest.by_ref().find(|(r, _)| *r == run) else {
                return false;
            };
            newest.next().is_some_and(|(_, before)| {
                last.left.is_some() && last.left == before.left && last.outcome == before.outcome
            })
        })
    }

    /// Returns how often a reading stage had no usable answer on this text.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn failing(
        &self,
        stage: Stage,
        issue: &IssueKey,
        text: &str,
    ) -> Result<Option<Failing>, LedgerError> {
        self.read(|tally| tally.failing(stage, issue, text).cloned())
    }

    /// Counts one more of them.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn failed(
        &self,
        stage: Stage,
        issue: &IssueKey,
        text: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(now, |_| {
            let record = LedgerRecord::Failed {
                stage,
                issue: issue.clone(),
                text: text.to_owned(),
                why: why.chars().take(LONGEST_WHY).collect(),
            };
            ((), Some(record))
        })
    }

    /// Forgets them: there was an answer.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn answered(
        &self,
        stage: Stage,
        issue: &IssueKey,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(now, |tally| {
            let record = LedgerRecord::Answered {
                stage,
                issue: issue.clone(),
            };
            ((), tally.is_failing(stage, issue).then_some(record))
        })
    }
}

/// Takes in what the ledger says since the last look.
fn catch_up(log: &mut Locked<'_, LedgerRecord>, tally: &mut Tally) -> Result<(), LogError> {
    if log.is_anew() {
        *tally = Tally::default();
    }
    log.fresh()?.into_iter().for_each(|line| tally.take(line));
    Ok(())
}

#[cfg(test)]
mod tests;
