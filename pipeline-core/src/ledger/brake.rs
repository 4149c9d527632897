//! Whether a run may begin, and with how much.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::spent::Spent;
use super::tally::Tally;
use super::tally::add_up;
use super::tally::with_reserved;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::settings::AgentRole;
use crate::settings::AgentSettings;
use crate::settings::Brakes;
use crate::settings::Budget;

/// A rest of time that is too short to do anything in.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// A run that is under way and perhaps not known to the ledger: by a live claim, or by the run table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The run.
    pub run: RunId,
    /// Its agent, where it is known.
    pub agent: Option<String>,
    /// Its role.
    pub role: AgentRole,
}

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The issue.
    pub issue: &'a IssueKey,
    /// Who filed it: the account's id.
    pub author: Option<&'a str>,
    /// The agent.
    pub agent: &'a str,
    /// Its role.
    pub role: AgentRole,
    /// What is asked for.
    pub kind: TaskKind,
    /// The round, for work.
    pub round: Option<EventId>,
    /// What is under way elsewhere.
    pub elsewhere: &'a [InFlight],
}

/// What a run is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It may begin, within these limits: never more than what is left of any budget.
    Granted(RunLimits),
    /// It may not.
    Held(Brake),
}

/// What is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Of {
    /// Of the issue, as long as it lives.
    Issue(IssueKey),
    /// Of the issues of one author, a day.
    Author(String),
    /// Of one agent, a day.
    Agent(String),
    /// Of everything, a day.
    Day,
}

/// Where there are too many at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Among {
    /// Among all.
    All,
    /// Among the runs of one agent.
    Agent(String),
    /// Among the runs of one role.
    Role(AgentRole),
}

/// Why a run may not begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Brake {
    /// Its agent is paused.
    Paused {
        /// The agent.
        agent: String,
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// A budget is used up.
    UsedUp {
        /// Whose.
        of: Of,
        /// Runs, tokens, money or time.
        what: &'static str,
        /// How much there was.
        most: String,
        /// What was used.
        spent: Spent,
    },
    /// Too many runs are under way.
    InFlight {
        /// Where.
        among: Among,
        /// How many there may be.
        most: u32,
    },
}

impl Brake {
    /// Returns a stable name of the cause if a person should hear of it; what ends by itself soon is nobody's business.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::UsedUp { of, what, .. } => Some(match of {
                Of::Issue(issue) => format!("used-up:issue:{issue}:{what}"),
                Of::Author(author) => format!("used-up:author:{author}:{what}"),
                Of::Agent(agent) => format!("used-up:agent:{agent}:{what}"),
                Of::Day => format!("used-up:day:{what}"),
            }),
            Self::Paused { .. } | Self::InFlight { .. } => None,
        }
    }

    /// Returns whether another agent could make the run.
    #[must_use]
    pub const fn is_the_agents(&self) -> bool {
        matches!(
            self,
            Self::Paused { .. }
                | Self::UsedUp {
                    of: Of::Agent(_),
                    ..
                }
                | Self::InFlight {
                    among: Among::Agent(_),
                    ..
                }
        )
    }
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused {
                agent,
                until,
                reason,
            } => write!(f, "agent {agent} is paused until {until} ({reason})"),
            Self::UsedUp {
                of,
                what,
                most,
                spent,
            } => {
                let (whose, key, when) = match of {
                    Of::Issue(issue) => (
                        format!("issue {issue}"),
                        "[limits.issue]",
                        "raise it to go on",
                    ),
                    Of::Author(author) => (
                        format!("the issues of {author}"),
                        "[limits.author]",
                        "it fills again within 24 hours",
                    ),
                    Of::Agent(agent) => (
                        format!("agent {agent}"),
                        "its limits.day",
                        "it fills again within 24 hours",
                    ),
                    Of::Day => (
                        "all runs together".to_owned(),
                        "[limits.day]",
                        "it fills again within 24 hours",
                    ),
                };
                write!(
                    f,
                    "{whose} used up the {what} of {key} ({most}): {spent} so far; {when}"
                )
            }
            Self::InFlight { among, most } => {
                let whose = match among {
                    Among::All => "at a time".to_owned(),
                    Among::Agent(agent) => format!("of agent {agent} at a time"),
                    Among::Role(role) => format!("of {role} at a time"),
                };
                write!(
                    f,
                    "{most} runs {whose} are allowed, and as many are under way"
                )
            }
        }
    }
}

/// What the brakes are asked about: a run, or an agent before there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) run: Option<&'a RunId>,
    pub(super) issue: Option<&'a IssueKey>,
    pub(super) author: Option<&'a str>,
    pub(super) agent: &'a str,
    pub(super) role: AgentRole,
    pub(super) elsewhere: &'a [InFlight],
}

impl<'a> From<&Asked<'a>> for Question<'a> {
    fn from(asked: &Asked<'a>) -> Self {
        Self {
            run: Some(asked.run),
            issue: Some(asked.issue),
            author: asked.author,
            agent: asked.agent,
            role: asked.role,
            elsewhere: asked.elsewhere,
        }
    }
}

/// Decides by what the ledger says.
pub(super) fn decide(
    tally: &mut Tally,
    asked: &Question<'_>,
    brakes: &Brakes,
    agent: &AgentSettings,
    now: Timestamp,
) -> Admission {
    if let Some(pause) = tally.pause(asked.agent, now) {
        return Admission::Held(Brake::Paused {
            agent: asked.agent.to_owned(),
            until: pause.until,
            reason: pause.reason.clone(),
        });
    }
    if let Some(brake) = too_many(tally, asked, brakes, agent) {
        return Admission::Held(brake);
    }
    let mut limits = agent.limits(asked.role);
    for (of, budget, spent) in sums(tally, asked, brakes, agent, now) {
        if let Some((what, most)) = spent.uses_up(budget) {
            return Admission::Held(Brake::UsedUp {
                of,
                what,
                most,
                spent,
            });
        }
        limits = within(limits, budget, &spent);
        if limits.deadline < TOO_SHORT {
            return Admission::Held(Brake::UsedUp {
                of,
                what: "time",
                most: format!("{}s", budget.time.unwrap_or_default().as_secs()),
                spent,
            });
        }
    }
    Admission::Granted(limits)
}

fn too_many(
    tally: &mut Tally,
    asked: &Question<'_>,
    brakes: &Brakes,
    agent: &AgentSettings,
) -> Option<Brake> {
    let mut under_way: BTreeMap<RunId, (Option<String>, AgentRole)> = asked
        .elsewhere
        .iter()
        .map(|r| (r.run.clone(), (r.agent.clone(), r.role)))
        .collect();
    for line in tally.in_flight() {
        let known = (Some(line.began.agent.clone()), line.began.role);
        under_way.insert(line.began.run.clone(), known);
    }
    under_way.retain(|run, _| Some(run) != asked.run);
    let full = |most: Option<u32>, n: usize| most.filter(|m| n >= *m as usize);
    let of_role = under_way.values().filter(|(_, r)| *r == asked.role).count();
    let of_agent = under_way
        .values()
        .filter(|(a, _)| a.as_deref() == Some(asked.agent))
        .count();
    let role_most = brakes.in_flight_by.get(&asked.role).copied();
    let held = |among, most| Some(Brake::InFlight { among, most });
    if let Some(most) = full(brakes.in_flight, under_way.len()) {
        held(Among::All, most)
    } else if let Some(most) = full(role_most, of_role) {
        held(Among::Role(asked.role), most)
    } else if let Some(most) = full(agent.in_flight, of_agent) {
        held(Among::Agent(asked.agent.to_owned()), most)
    } else {
        None
    }
}

/// Returns every budget the run draws on, with what was used of it, what is reserved included.
fn sums<'b>(
    tally: &mut Tally,
    asked: &Question<'_>,
    brakes: &'b Brakes,
    agent: &'b AgentSettings,
    now: Timestamp,
) -> Vec<(Of, &'b Budget, Spent)> {
    let running: Vec<_> = tally
        .in_flight()
        .into_iter()
        .filter(|l| Some(&l.began.run) != asked.run)
        .map(|l| l.began.clone())
        .collect();
    let reserved = |spent, wanted: &dyn Fn(&super::record::Began) -> bool| {
        with_reserved(
            spent,
            running.iter().filter(|b| wanted(b)).map(|b| &b.reserved),
        )
    };
    let day = |wanted: &dyn Fn(&super::record::Began) -> bool| {
        reserved(
            add_up(tally.of_day(now).filter(|l| wanted(&l.began))),
            wanted,
        )
    };
    let mut sums = Vec::new();
    if let Some(issue) = asked.issue {
        let spent = reserved(tally.of_issue(issue), &|b| b.issue == *issue);
        sums.push((Of::Issue(issue.clone()), &brakes.issue, spent));
    }
    if let Some(author) = asked.author {
        let spent = day(&|b| b.author.as_deref() == Some(author));
        sums.push((Of::Author(author.to_owned()), &brakes.author, spent));
    }
    let spent = day(&|b| b.agent == asked.agent);
    sums.push((Of::Agent(asked.agent.to_owned()), &agent.day, spent));
    sums.push((Of::Day, &brakes.day, day(&|_| true)));
    sums
}

/// Returns limits that leave a budget unbroken.
fn within(limits: RunLimits, budget: &Budget, spent: &Spent) -> RunLimits {
    let least = |own: Option<u64>, most: Option<u64>, used: u64| {
        let left = most.map(|m| m.saturating_sub(used));
        own.into_iter().chain(left).min()
    };
    let deadline = match budget.time {
        Some(time) => limits
            .deadline
            .min(time.saturating_sub(Duration::from_millis(spent.millis))),
        None => limits.deadline,
    };
    RunLimits {
        tokens: least(limits.tokens, budget.tokens, spent.tokens()),
        cost_micros: least(limits.cost_micros, budget.cost_micros, spent.cost_micros),
        deadline,
        ..limits
    }
}
