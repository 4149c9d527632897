//! Runs under brakes: who may make one, within which limits, and what it used.

use std::collections::BTreeMap;

use tracing::Instrument as _;
use tracing::field;

use super::failed;
use super::waits;
use crate::agent::AgentOutcome;
use crate::agent::RunId;
use crate::agent::Usage;
use crate::issue::EventId;
use crate::ledger::Admission;
use crate::ledger::Asked;
use crate::ledger::Brake;
use crate::ledger::InFlight;
use crate::ledger::LedgerError;
use crate::lock::LockView;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::report::Outcome;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::runner::RunResult;
use crate::runner::RunnerError;
use crate::settings::AgentRole;
use crate::settings::AgentSettings;

/// Why a run was not made.
#[derive(Debug)]
pub(super) enum NotRun {
    /// A brake holds it.
    Held(Brake),
    /// It cannot be written down, so it must not begin.
    Ledger(LedgerError),
    /// The infrastructure failed.
    Runner(RunnerError),
}

/// What a run is asked for, but for its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) issue: &'a Mirrored,
    pub(super) role: AgentRole,
    pub(super) round: Option<EventId>,
    pub(super) under_way: &'a [InFlight],
}

impl<'a> Wanted<'a> {
    const fn asked(
        &self,
        run: &'a RunId,
        agent: &'a str,
        kind: crate::agent::TaskKind,
    ) -> Asked<'a> {
        let author = match &self.issue.issue.author {
            Some(author) => Some(author.id.as_str()),
            None => None,
        };
        Asked {
            run,
            issue: &self.issue.issue.key,
            author,
            agent,
            role: self.role,
            kind,
            round: self.round,
            elsewhere: self.under_way,
        }
    }
}

/// A run that is counted and has not ended; dropped on the way, it ends without a word about what it used.
struct Open<'a> {
    pipeline: &'a Pipeline,
    run: &'a RunId,
    ended: bool,
}

impl Open<'_> {
    fn end(&mut self, outcome: &str, usage: Usage, left: Option<String>) {
        self.ended = true;
        let now = self.pipeline.now();
        if let Err(error) = self
            .pipeline
            .ledger
            .end(self.run, outcome, usage, left, now)
        {
            tracing::warn!(run = %self.run, error = chain(&error), "what the run used is not written down");
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end("dropped", Usage::default(), None);
        }
    }
}

impl Pipeline {
    pub(super) fn agent_settings(&self, agent: &str) -> AgentSettings {
        self.settings.agents.get(agent).cloned().unwrap_or_default()
    }

    /// Returns what is under way: by the run table of this machine, and by live claims that are not yet submitted.
    pub(super) async fn under_way(
        &self,
        locks: Option<&LockView>,
    ) -> Result<Vec<InFlight>, String> {
        let mut all = BTreeMap::new();
        for h in locks
            .iter()
            .flat_map(|l| l.state.blocking(l.date))
            .filter(|h| h.submitted.is_none())
        {
            let ours = h.claim.integrator.id == self.settings.integrator.id;
            let slot = self.settings.slots.iter().find(|s| s.name == h.claim.agent);
            let agent = slot.filter(|_| ours).map(|s| s.agent.clone());
            let run = h.claim.run.clone();
            let role = AgentRole::Implement;
            all.insert(run.clone(), InFlight { run, agent, role });
        }
        if let Some(runner) = &self.runner {
            let running = runner
                .running(&self.settings.repo)
                .await
                .map_err(|e| format!("the run table cannot be read: {}", chain(&e)))?;
            for r in running {
                let in_flight = InFlight {
                    run: r.run.clone(),
                    agent: Some(r.agent),
                    role: r.role,
                };
                all.insert(r.run, in_flight);
            }
        }
        Ok(all.into_values().collect())
    }

    /// Picks the first agent of an order that may make a run now.
    ///
    /// What holds every agent alike is told of the first; a person hears of what does not end by itself.
    pub(super) fn pick_agent<'a>(
        &self,
        wanted: &Wanted<'_>,
        kind: crate::agent::TaskKind,
        order: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, Outcome> {
        let run = RunId::random();
        let mut held: Vec<Brake> = Vec::new();
        for agent in order {
            let asked = wanted.asked(&run, agent, kind);
            let own = self.agent_settings(agent);
            match self
                .ledger
                .looks(&asked, &self.settings.brakes, &own, self.now())
            {
                Ok(Admission::Granted(_)) => return Ok(agent.to_owned()),
                Ok(Admission::Held(brake)) => {
                    let agents = brake.is_the_agents();
                    held.push(brake);
                    if !agents {
                        break;
                    }
                }
                Err(e) => return Err(failed(chain(&e))),
            }
        }
        if held.is_empty() {
            let role = wanted.role;
            return Err(failed(format!(
                "no agent is configured for {role}: set [roles] {role}"
            )));
        }
        for brake in &held {
            self.tell_of(brake, wanted.issue);
        }
        let why: Vec<String> = held.iter().map(ToString::to_string).collect();
        Err(waits(why.join("; ")))
    }

    fn tell_of(&self, brake: &Brake, m: &Mirrored) {
        if let Some(cause) = brake.cause() {
            self.tell_person(Some(&m.issue.key), cause, brake.to_string());
        }
    }

    /// Makes a run where every brake lets it, within what is left, and writes down what it used.
    pub(super) async fn braked_run(
        &self,
        wanted: &Wanted<'_>,
        mut request: RunRequest,
    ) -> Result<RunResult, NotRun> {
        let Some(runner) = &self.runner else {
            return Err(NotRun::Runner(RunnerError::Other {
                operation: "make a run: no agent is configured".into(),
                source: None,
            }));
        };
        let agent = request.agent.clone();
        let run = request.run.clone();
        let asked = wanted.asked(&run, &agent, request.kind);
        let own = self.agent_settings(&agent);
        let admission = self
            .ledger
            .begin(&asked, &self.settings.brakes, &own, self.now());
        request.limits = match admission.map_err(NotRun::Ledger)? {
            Admission::Granted(limits) => limits,
            Admission::Held(brake) => {
                self.tell_of(&brake, wanted.issue);
                return Err(NotRun::Held(brake));
            }
        };
        let span = tracing::info_span!(
            "run",
            run = %run,
            issue = %request.issue,
            agent,
            role = %wanted.role,
            outcome = field::Empty,
            input_tokens = field::Empty,
            output_tokens = field::Empty,
            cost_micros = field::Empty,
            millis = field::Empty,
        );
        let mut open = Open {
            pipeline: self,
            run: &run,
            ended: false,
        };
        let began = self.clock.elapsed();
        let made = runner.run(&request).instrument(span.clone()).await;
        let took = self.clock.elapsed().saturating_sub(began);
        let (outcome, mut usage, left) = match &made {
            Ok(result) => told(&request, result),
            Err(_) => ("infra", Usage::default(), None),
        };
        if usage.millis == 0 {
            usage.millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        }
        span.record("outcome", outcome);
        span.record("input_tokens", usage.input_tokens);
        span.record("output_tokens", usage.output_tokens);
        span.record("millis", usage.millis);
        if let Some(cost) = usage.cost_micros {
            span.record("cost_micros", cost);
        }
        span.in_scope(|| tracing::info!(outcome, "the run has ended"));
        open.end(outcome, usage, left);
        if let Ok(result) = &made {
            self.react(&agent, &result.report.outcome);
        }
        made.map_err(NotRun::Runner)
    }

    /// Pauses an agent where an outcome asks for it.
    fn react(&self, agent: &str, outcome: &AgentOutcome) {
        match self.ledger.react(agent, outcome, self.now()) {
            Ok(None) => {}
            Ok(Some(pause)) => {
                tracing::warn!(agent, until = %pause.until, reason = pause.reason, "the agent is paused");
                // A short pause ends by itself; this needs somebody, or takes long.
                if !matches!(outcome, AgentOutcome::RateLimited { .. }) {
                    let until = pause.until;
                    self.tell_person(
                        None,
                        format!("agent-paused:{agent}:{}", pause.reason),
                        format!(
                            "agent {agent} is paused until {until}: {outcome}. Once that is mended, `{} resume --agent \
                             {agent}` lets it go on at once",
                            self.settings.command
                        ),
                    );
                }
            }
            Err(error) => {
                tracing::warn!(agent, error = chain(&error), "the agent cannot be paused");
            }
        }
    }

    /// Writes down what a run of a process that is gone had used, as far as it is known.
    pub(super) fn end_left_run(&self, run: &RunId, result: Option<&RunResult>) {
        let (outcome, usage) = result.map_or(("died", Usage::default()), |r| {
            (r.report.outcome.reason(), r.report.usage)
        });
        if let Err(error) = self.ledger.end(run, outcome, usage, None, self.now()) {
            tracing::warn!(%run, error = chain(&error), "what the run used is not written down");
        }
        if let Some(result) = result
            && let Ok(Some(agent)) = self.ledger.agent_of(run)
        {
            self.react(&agent, &result.report.outcome);
        }
    }
}

/// Returns what the ledger is told of a run: how it ended, what it used, what it left.
///
/// What it left is told only where the agent came to an end by itself or wrote something: of a program that crashed at
/// once nothing can be learned by comparing.
fn told(request: &RunRequest, result: &RunResult) -> (&'static str, Usage, Option<String>) {
    let patch = result.patch.as_ref().filter(|p| !p.is_empty());
    let completed = result.report.outcome == AgentOutcome::Completed;
    let outcome = match (completed, patch) {
        (true, None) if request.kind.mode() == crate::agent::RunMode::Implement => "no-change",
        _ => result.report.outcome.reason(),
    };
    let left = request
        .base
        .as_ref()
        .filter(|_| completed || patch.is_some())
        .map(|base| tree_left(base.commit.as_str(), patch.map(|p| p.id().as_str())));
    (outcome, result.report.usage, left)
}

/// Names the tree that a patch makes of a base, without making it.
pub(super) fn tree_left(base: &str, patch: Option<&str>) -> String {
    format!("{base} {}", patch.unwrap_or("unchanged"))
}
