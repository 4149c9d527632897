//! Looking: where everything stands, and why one issue does not move.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::event::Stage;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::issue_state::IssueState;
use crate::issue_state::in_round;
use crate::ledger::DaySpent;
use crate::ledger::LedgerError;
use crate::ledger::Pause;
use crate::ledger::Spent;
use crate::lock::LockView;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::runner::RunningRun;
use crate::start::started;
use crate::status::Status;

/// One issue in the overview.
#[derive(Debug, Clone, Serialize)]
pub struct StatusLine {
    /// The issue.
    pub issue: IssueKey,
    /// Its title: untrusted.
    pub title: String,
    /// Where the tracker says it is.
    pub status: Status,
    /// Where it stands in its round, for issues In progress.
    pub state: Option<IssueState>,
    /// What happens next, and who does it.
    pub next: String,
    /// What its runs have used.
    pub spent: Spent,
}

/// One agent in the overview.
#[derive(Debug, Clone, Serialize)]
pub struct AgentLine {
    /// The agent.
    pub agent: String,
    /// What it is used for, first where it comes first in order.
    pub roles: Vec<String>,
    /// Why and until when it is not used.
    pub paused: Option<Pause>,
    /// Its runs under way on this machine.
    pub running: usize,
    /// What it used in the last 24 hours.
    pub day: Spent,
}

/// A live claim in the overview.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimLine {
    /// The claim.
    pub claim: CommentId,
    /// The issue.
    pub issue: IssueKey,
    /// The worker slot.
    pub slot: String,
    /// What it holds.
    pub resources: Vec<String>,
    /// When its lease ends.
    pub until: crate::clock::Timestamp,
    /// Whether its patch was handed over.
    pub submitted: bool,
    /// Whether somebody ended it from outside.
    pub revoked: bool,
}

/// Where everything stands.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// The issues in scope that are Open, in Spec/log review or In progress.
    pub issues: Vec<StatusLine>,
    /// The live claims.
    pub claims: Vec<ClaimLine>,
    /// What runs on this machine.
    pub running: Vec<RunningRun>,
    /// The candidates that wait, by short id.
    pub candidates: Vec<String>,
    /// The agents, with what holds them.
    pub agents: Vec<AgentLine>,
    /// What was used in the last 24 hours.
    pub day: DaySpent,
}

/// Why one issue is where it is.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The overview's line.
    #[serde(flatten)]
    pub line: StatusLine,
    /// Whether the issue is in scope.
    pub in_scope: bool,
    /// The answers of its latest check, with what speaks against a start.
    pub readiness: Vec<(String, String)>,
    /// What it would claim.
    pub resources: Vec<String>,
    /// Live claims that meet it.
    pub blocked_by: Vec<String>,
    /// Memos that cannot be trusted.
    pub tampered: Vec<String>,
}

impl Pipeline {
    /// Returns where everything stands.
    ///
    /// # Errors
    /// [`PipelineError`] if tracker or locks cannot be read.
    pub async fn status(&self) -> Result<StatusReport, PipelineError> {
        let locks = self.look(&BTreeSet::new()).await?;
        let mut issues = Vec::new();
        for status in [Status::Open, Status::SpecReview, Status::InProgress] {
            for m in locks
                .view
                .in_status(&status)
                .filter(|m| self.settings.scope.contains(&m.issue))
            {
                issues.push(self.line(m, &locks)?);
            }
        }
        let claims = locks
            .state
            .blocking(locks.date)
            .map(|h| ClaimLine {
                claim: h.id,
                issue: h.issue.clone(),
                slot: h.claim.agent.clone(),
                resources: h.claim.resources.lines().collect(),
                until: h.end,
                submitted: h.submitted.is_some(),
                revoked: h.revoked,
            })
            .collect();
        let running = match &self.runner {
            Some(r) => r
                .running(&self.settings.repo)
                .await
                .map_err(|e| PipelineError::Refused(chain(&e)))?,
            None => Vec::new(),
        };
        let candidates = match &self.integrator {
            Some(i) => {
                let stage = Stage::Integrate;
                let all = i
                    .candidates()
                    .await
                    .map_err(|source| PipelineError::Integrate { stage, source })?;
                all.iter().map(|c| c.id().to_string()).collect()
            }
            None => Vec::new(),
        };
        let day = self.ledger.of_day(self.now()).map_err(|e| unreadable(&e))?;
        Ok(StatusReport {
            issues,
            claims,
            agents: self.agent_lines(&running, &day)?,
            running,
            candidates,
            day,
        })
    }

    /// Returns every agent that has a role or a slot, in the order in which they are named.
    fn agent_lines(
        &self,
        running: &[RunningRun],
        day: &DaySpent,
    ) -> Result<Vec<AgentLine>, PipelineError> {
        let mut lines: Vec<AgentLine> = Vec::new();
        let roles = &self.settings.roles;
        let reading = [("triage", &roles.triage), ("check", &roles.check)];
        let mut uses: Vec<(String, &str)> = Vec::new();
        for (role, order) in reading {
            uses.extend(order.iter().map(|agent| (role.to_owned(), agent.as_str())));
        }
        for slot in &self.settings.slots {
            uses.extend(slot.agents().map(|agent| (slot.name.clone(), agent)));
        }
        for (role, agent) in uses {
            if let Some(line) = lines.iter_mut().find(|l| l.agent == agent) {
                line.roles.push(role);
                continue;
            }
            lines.push(AgentLine {
                agent: agent.to_owned(),
                roles: vec![role],
                paused: self
                    .ledger
                    .pause(agent, self.now())
                    .map_err(|e| unreadable(&e))?,
                running: running.iter().filter(|r| r.agent == agent).count(),
                day: day.agents.get(agent).copied().unwrap_or_default(),
            });
        }
        Ok(lines)
    }

    /// Returns why one issue is where it is.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] if the tracker has no such issue.
    pub async fn explain(&self, issue: &IssueKey) -> Result<Explanation, PipelineError> {
        let locks = self.look(&BTreeSet::from([issue.clone()])).await?;
        let Some(m) = locks.view.issues.get(issue).filter(|m| !m.gone) else {
            return Err(PipelineError::Refused(format!(
                "the tracker has no issue {issue}"
            )));
        };
        let thread = m.thread(&self.protocol);
        let check = thread.checks().next_back();
        let readiness = check
            .iter()
            .flat_map(|c| c.memo.fields.all("answer"))
            .filter_map(|line| {
                let (name, answer) = line.rsplit_once(' ')?;
                Some((name.to_owned(), answer.to_owned()))
            });
        let (resources, blocked_by) = match &check {
            Some(c) => {
                let footprint = crate::footprint::Footprint::from_candidates(c.candidate_files());
                let own = self.resources(issue, self.settings.targets.of(&m.issue), &footprint);
                let met = locks
                    .state
                    .blocking(locks.date)
                    .filter(|h| h.issue != *issue)
                    .filter_map(|h| {
                        let (mine, theirs) = own.first_meeting(&h.claim.resources)?;
                        Some(format!("{} holds {theirs}, which meets {mine}", h.issue))
                    });
                (own.lines().collect(), met.collect())
            }
            None => (Vec::new(), Vec::new()),
        };
        Ok(Explanation {
            line: self.line(m, &locks)?,
            in_scope: self.settings.scope.contains(&m.issue),
            readiness: readiness.collect(),
            resources,
            blocked_by,
            tampered: locks
                .tampered
                .iter()
                .filter(|t| t.issue == *issue)
                .map(|t| format!("comment {}: {}", t.comment, t.reason))
                .collect(),
        })
    }

    pub(super) async fn look(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, PipelineError> {
        self.locks
            .live(own)
            .await
            .map_err(|source| PipelineError::Locks {
                stage: Stage::Dispatch,
                source,
            })
    }

    pub(super) fn line(&self, m: &Mirrored, locks: &LockView) -> Result<StatusLine, PipelineError> {
        let key = &m.issue.key;
        let thread = m.thread(&self.protocol);
        let command = &self.settings.command;
        let (state, next) = match &m.issue.status {
            Status::Open if thread.triage().is_some() => (
                None,
                "a person moved it back after triage; it is left alone".to_owned(),
            ),
            Status::Open => (None, format!("`{command} triage` reads it")),
            Status::SpecReview => match self.needs_check(m, &thread, false) {
                Some(_) => (None, format!("`{command} check` looks at it")),
                None => (None, "a person moves it to `In progress`".to_owned()),
            },
            Status::InProgress => {
                let state = match started(m, &thread, &self.settings.start, &self.protocol) {
                    Err(reason) => IssueState::NotApproved { reason },
                    Ok(s) => {
                        let round = s.approval.round();
                        in_round(
                            key,
                            round,
                            &locks.state,
                            locks.date,
                            self.settings.max_attempts,
                        )
                    }
                };
                let next = match &state {
                    IssueState::NotApproved { reason } => reason.to_string(),
                    IssueState::Ready { .. } => format!("`{command} dispatch` begins a run"),
                    IssueState::Returned { reason, .. } => {
                        format!("its patch went back ({reason}); `{command} dispatch` begins the next attempt")
                    }
                    IssueState::Held { reason } => reason.clone(),
                    IssueState::Running { .. } => "an agent works on it".into(),
                    IssueState::Submitted { .. } => {
                        format!("`{command} integrate` verifies it, then a person gives the OK")
                    }
                    IssueState::Landed => "it has landed; a person ships".into(),
                    IssueState::Stopped { reason } => format!(
                        "its last run ended with `{reason}`: a person reads its memo, answers in the thread, then moves \
                         it out of `In progress` and in again"
                    ),
                    IssueState::Exhausted { .. } => {
                        "its attempts are used up; a person moves it out of `In progress` and in again".into()
                    }
                };
                (Some(state), next)
            }
            Status::Other(_) => (None, "it is not in a status of the pipeline".to_owned()),
        };
        Ok(StatusLine {
            issue: key.clone(),
            title: m.issue.title.clone(),
            status: m.issue.status.clone(),
            state,
            next,
            spent: self.ledger.of_issue(key).map_err(|e| unreadable(&e))?,
        })
    }
}

fn unreadable(e: &LedgerError) -> PipelineError {
    PipelineError::Refused(chain(e))
}
