//! One claimed run: the agent works, its lock is kept alive, its patch is stored and handed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::brakes::NotRun;
use super::brakes::Wanted;
use super::done;
use super::failed;
use super::waits;
use crate::agent::AgentOutcome;
use crate::agent::Confinement;
use crate::agent::Retry;
use crate::agent::Usage;
use crate::integrate::PatchIntegrator;
use crate::issue_state::STOPPING_REASONS;
use crate::journal::Record;
use crate::ledger::Brake;
use crate::ledger::used;
use crate::lock::EndKind;
use crate::lock::Ender;
use crate::lock::MARGIN;
use crate::lock::WorkLock;
use crate::memo::quote;
use crate::pipeline::Pipeline;
use crate::report::Outcome;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::runner::RunResult;

/// What closing a run came to.
pub(super) struct Closing {
    /// What became of the issue.
    pub(super) outcome: Outcome,
    /// Nothing is left to do; otherwise a later tick goes on with it.
    pub(super) over: bool,
}

impl Closing {
    const fn over(outcome: Outcome) -> Self {
        Self {
            outcome,
            over: true,
        }
    }

    const fn open(outcome: Outcome) -> Self {
        Self {
            outcome,
            over: false,
        }
    }
}

/// Why a run was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The lock is lost, or could not be shown to be held.
    Lost,
    /// The issue left the status, was closed or deleted, or is in another round.
    Revoked,
    /// It collides with an older run: it is made again when that one has ended.
    Paused,
    /// It collides with an older run, and the team wants such runs stopped.
    Stopped,
}

impl Pipeline {
    /// Makes one claimed run to its end and returns what became of the issue.
    pub(super) async fn run_claimed(
        &self,
        wanted: &Wanted<'_>,
        mut lock: WorkLock,
        request: RunRequest,
    ) -> Outcome {
        let (Some(runner), Some(integrator)) = (&self.runner, &self.integrator) else {
            return failed("no runner or no integrator is configured");
        };
        let entered = self.collisions.enter(&lock);
        let (result, stopped) = {
            let run = self.braked_run(wanted, request.clone());
            let guard = self.guard(&mut lock, &request);
            tokio::pin!(run, guard);
            tokio::select! {
                biased;
                result = &mut run => (result, None),
                ended = &mut guard => {
                    if let Err(error) = runner.cancel(&request.run).await {
                        tracing::warn!(run = %request.run, error = chain(&error), "the run cannot be ended");
                    }
                    (run.await, Some(ended))
                }
            }
        };
        drop(entered);
        let closing = match result {
            Ok(result) => self.close(&lock, integrator, result, stopped).await,
            Err(NotRun::Runner(error)) => {
                Closing::over(self.close_infra(&lock, &chain(&error)).await)
            }
            Err(NotRun::Ledger(error)) => {
                Closing::over(self.close_infra(&lock, &chain(&error)).await)
            }
            Err(NotRun::Held(brake)) => Closing::over(self.close_held(&lock, &brake).await),
        };
        if closing.over {
            if let Err(error) = runner.release(&request.run).await {
                tracing::warn!(run = %request.run, error = chain(&error), "the workspace is left for the next tick");
            }
            let outcome = closing.outcome.text().to_owned();
            let record = Record::RunClosed {
                run: request.run.clone(),
                outcome,
            };
            if let Err(error) = self.journal.append(self.now(), &record) {
                tracing::warn!(run = %request.run, %error, "the end of the run is not journaled");
            }
        }
        closing.outcome
    }

    /// Keeps the lock alive and watches the issue while a run goes on; returns when the run has to end.
    ///
    /// Whatever the tracker does, it returns when the lock's deadline has come.
    async fn guard(&self, lock: &mut WorkLock, request: &RunRequest) -> Ended {
        loop {
            self.clock.sleep(self.next_look(lock)).await;
            let left = lock.deadline().saturating_sub(self.clock.elapsed());
            let looked = tokio::select! {
                biased;
                looked = self.look_after(lock, request) => looked,
                () = self.clock.sleep(left) => Some(Ended::Lost),
            };
            if let Some(ended) = looked {
                return ended;
            }
        }
    }

    /// Returns how long until the lock or the issue has to be looked at again.
    ///
    /// Inside the last third of the lease a beat that failed is tried again ever sooner, but never in a hurry.
    fn next_look(&self, lock: &WorkLock) -> Duration {
        let left = lock.deadline().saturating_sub(self.clock.elapsed());
        let until_beat = self.until_beat(lock);
        let next = if until_beat.is_zero() {
            left / 4
        } else {
            until_beat
        };
        self.settings
            .watch_interval
            .min(next.max(Duration::from_secs(1)))
    }

    /// Returns how long until a lock is renewed: a beat goes out when a third of its lease is left.
    fn until_beat(&self, lock: &WorkLock) -> Duration {
        let end = lock.deadline() + MARGIN;
        let left = end.saturating_sub(self.clock.elapsed());
        left.saturating_sub(lock.lease() / 3)
    }

    /// Looks at the issue, and renews the lock when it is time.
    async fn look_after(&self, lock: &mut WorkLock, request: &RunRequest) -> Option<Ended> {
        let left = lock.deadline().saturating_sub(self.clock.elapsed());
        if left.is_zero() {
            return Some(Ended::Lost);
        }
        let own = BTreeSet::from([request.issue.clone()]);
        match self.read(crate::event::Stage::Dispatch, &own).await {
            Ok(view) => {
                let current = view
                    .issues
                    .get(&request.issue)
                    .and_then(|m| m.current_round());
                if current != Some(lock.round()) {
                    return Some(Ended::Revoked);
                }
                if let Some(ended) = self.collides(lock, request, &view).await {
                    return Some(ended);
                }
            }
            // The tracker cannot be read now; the lease decides how long that may last.
            Err(error) => {
                tracing::warn!(issue = %request.issue, %error, "the issue cannot be looked at");
            }
        }
        if self.until_beat(lock).is_zero() {
            match self.locks.renew(lock).await {
                Ok(Some(deadline)) => lock.extend(deadline),
                Ok(None) => return Some(Ended::Lost),
                Err(error) => {
                    tracing::warn!(issue = %request.issue, error = chain(&error), "no beat was sent");
                }
            }
        }
        None
    }

    pub(super) async fn close(
        &self,
        lock: &WorkLock,
        integrator: &Arc<dyn PatchIntegrator>,
        result: RunResult,
        stopped: Option<Ended>,
    ) -> Closing {
        let patch = result.patch.as_ref().filter(|p| !p.is_empty());
        if let Some(patch) = patch {
            // Whatever came of the run: what it wrote is kept.
            if let Err(e) = integrator.store(patch).await {
                return Closing::open(failed(format!(
                    "the patch could not be stored; its workspace stays: {}",
                    chain(&e)
                )));
            }
            let record = Record::PatchStored {
                run: result.run.clone(),
                patch: patch.id().clone(),
            };
            if let Err(e) = self.journal.append(self.now(), &record) {
                return Closing::open(failed(chain(&e)));
            }
        }
        let kept = match (patch, &result.kept) {
            (Some(patch), _) => format!(" What it wrote is kept as patch {}.", patch.id().short()),
            (None, Some(kept)) => format!(" What it wrote is kept in {kept}."),
            (None, None) => String::new(),
        };
        let (reason, why) = match (&result.report.outcome, stopped, patch) {
            (_, Some(Ended::Revoked), _) => (
                "revoked",
                "the issue left `In progress` or was started anew".into(),
            ),
            (_, Some(Ended::Lost), _) => ("infra", "its lock could not be kept".to_owned()),
            // What it touched is known now, so it is planned behind the run it met.
            (_, Some(Ended::Paused), _) => (
                "cancelled",
                "it met an older run and is made again when that one has ended".to_owned(),
            ),
            (_, Some(Ended::Stopped), _) => (
                "collision",
                "it met an older run and was stopped".to_owned(),
            ),
            (AgentOutcome::Completed, None, Some(patch)) => {
                return self.hand_over(lock, &result, patch.id().clone()).await;
            }
            (AgentOutcome::Completed, None, None) if result.kept.is_some() => (
                "infra",
                "what it wrote could not be captured as a patch".into(),
            ),
            (AgentOutcome::Completed, None, None) => {
                ("no-change", "the agent changed nothing".into())
            }
            (other, None, _) => (other.reason(), format!("the agent {other}")),
        };
        // How an agent ended is told in its own words: they are quoted, and left out if they hold a secret.
        let ended = &result.report.outcome;
        let (head, told) = if stopped.is_none() && *ended != AgentOutcome::Completed {
            let told = format!("{}\n\n{}", capital(&why), result.report.message);
            (format!("the run ended without a result ({reason})"), told)
        } else {
            (why.clone(), result.report.message.clone())
        };
        let (reason, more) = if stopped.is_none() && self.repeats(lock) {
            let more = format!(
                ", and the attempt before left the same tree and ended the same way ({reason}): there is no progress"
            );
            ("no-progress", more)
        } else {
            (reason, String::new())
        };
        let why = format!("{why}{more}");
        let text = format!(
            "{}\n\n{}",
            capital(&format!("{head}{more}.{kept}")),
            self.words(told.trim_end())
        );
        self.give_up(lock, reason, text).await;
        let again = match result.report.outcome.retry() {
            Retry::Later(_) => "it is tried again later",
            _ if stopped.is_some() => "the lock is released",
            _ if STOPPING_REASONS.contains(&reason) => "it waits for a new start move",
            _ => "it counts as an attempt",
        };
        Closing::over(failed(format!("{why}; {again}.{kept}")))
    }

    async fn hand_over(
        &self,
        lock: &WorkLock,
        result: &RunResult,
        patch: crate::workspace::PatchId,
    ) -> Closing {
        let lines = result.report.commands.iter().map(|c| c.command.as_str());
        let holds = lines
            .flat_map(|line| self.protected.command(line))
            .collect();
        let mut text = format!(
            "remaining: waiting for {} to apply, verify, and commit.",
            self.settings.integrator.name
        );
        if result.confinement == Confinement::Unconfined {
            text.push_str(" The agent ran unconfined.");
        }
        text.push_str(&self.spent_words(lock, &result.report.usage));
        if !result.report.message.trim().is_empty() {
            text.push_str("\n\n");
            text.push_str(&self.words(&result.report.message));
        }
        match self.locks.submit(lock, &patch, holds, text).await {
            Ok(true) => Closing::over(done(format!(
                "patch {} submitted by {}",
                patch.short(),
                lock.claim().agent
            ))),
            Ok(false) => Closing::over(done(format!(
                "patch {} submitted, but after the lease had ended: it is claimed anew without a run",
                patch.short()
            ))),
            // The run stays open in the journal: the next tick submits what is stored.
            Err(e) => Closing::open(failed(format!(
                "the patch is stored, but not submitted yet: {}",
                chain(&e)
            ))),
        }
    }

    /// Returns what this run and its issue have used, for the done memo.
    fn spent_words(&self, lock: &WorkLock, usage: &Usage) -> String {
        let run = format!(" This run used {}.", used(usage));
        match self.ledger.of_issue(lock.issue()) {
            Ok(spent) if spent.runs > 1 => format!("{run} The issue so far: {spent}."),
            Ok(_) => run,
            Err(error) => {
                tracing::warn!(issue = %lock.issue(), error = chain(&error), "the ledger cannot be read");
                run
            }
        }
    }

    /// Returns whether the attempt before left the same tree and failed the same way.
    fn repeats(&self, lock: &WorkLock) -> bool {
        self.ledger
            .repeats(lock.run(), lock.issue(), lock.round())
            .unwrap_or_else(|error| {
                tracing::warn!(issue = %lock.issue(), error = chain(&error), "the ledger cannot be read");
                false
            })
    }

    /// Returns an agent's words for a memo; words that hold a secret of ours are left out as a whole.
    pub(super) fn words(&self, text: &str) -> String {
        if self.poster.redactor.finds(text) {
            return quote("[left out: the agent's words hold a secret]");
        }
        quote(text)
    }

    async fn close_infra(&self, lock: &WorkLock, why: &str) -> Outcome {
        self.give_up(
            lock,
            "infra",
            format!("The run could not be made:\n\n{}", self.words(why)),
        )
        .await;
        failed(why)
    }

    /// Lets go of a lock whose run a brake held at the last moment: it costs no attempt.
    async fn close_held(&self, lock: &WorkLock, brake: &Brake) -> Outcome {
        let text = format!("The run was not begun: {brake}.");
        self.give_up(lock, "cancelled", text).await;
        waits(brake.to_string())
    }

    pub(super) async fn give_up(&self, lock: &WorkLock, reason: &str, text: String) {
        let how = EndKind::Release {
            reason: reason.to_owned(),
            by: Ender::Run(lock.run().clone()),
        };
        if let Err(error) = self.locks.end(&lock.claim_ref(), &how, text).await {
            tracing::warn!(issue = %lock.issue(), error = chain(&error), "the lock is not released; it ends by itself");
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
