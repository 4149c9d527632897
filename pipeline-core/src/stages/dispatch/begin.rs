//! Locking what was picked, and running what was won.

use super::Waiting;
use crate::agent::RunId;
use crate::dossier::Dossier;
use crate::dossier::render;
use crate::event::Event;
use crate::ledger::InFlight;
use crate::lock::Claim;
use crate::lock::FIRST_LEASE;
use crate::lock::LockOutcome;
use crate::lock::LockRequest;
use crate::lock::WorkLock;
use crate::pipeline::Pipeline;
use crate::random;
use crate::report::Outcome;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::settings::AgentRole;
use crate::settings::Slot;
use crate::stages::Tick;
use crate::stages::brakes::Wanted;
use crate::stages::failed;
use crate::stages::waits;
use crate::start::NotStarted;
use crate::start::Started;
use crate::start::started;
use crate::workspace::BaseRevision;

impl Pipeline {
    /// Locks the batch, begins what was won, and waits for all of it.
    pub(super) async fn begin(
        &self,
        batch: Vec<(Waiting, Slot)>,
        under_way: &[InFlight],
        tick: &mut Tick,
    ) {
        let mut ready = Vec::new();
        let mut requests = Vec::new();
        for (w, slot) in batch {
            match self.base(&w.target).await {
                Ok(base) => {
                    let run = RunId::random();
                    requests.push(self.lock_request(&w, &slot, run.clone(), base.clone()));
                    ready.push((w, slot, run, base));
                }
                Err(outcome) => tick.push(Some(&w.mirrored.issue.key), outcome),
            }
        }
        let outcomes = match self.locks.acquire(&requests).await {
            Ok(outcomes) => outcomes,
            Err(e) => {
                for (w, ..) in &ready {
                    tick.push(Some(&w.mirrored.issue.key), failed(chain(&e)));
                }
                return;
            }
        };
        let mut runs = tokio::task::JoinSet::new();
        for ((w, slot, run, base), outcome) in ready.into_iter().zip(outcomes) {
            let key = w.mirrored.issue.key.clone();
            let lock = match outcome {
                LockOutcome::Acquired(record) => WorkLock::mint(*record),
                LockOutcome::Held { by, .. } => {
                    tick.push(
                        Some(&key),
                        waits(format!("its lock was not to be had: {by}")),
                    );
                    continue;
                }
                LockOutcome::NotCurrent => {
                    tick.push(
                        Some(&key),
                        waits("it left `In progress` while its lock was taken"),
                    );
                    continue;
                }
                LockOutcome::Failed { reason } => {
                    tick.push(
                        Some(&key),
                        failed(format!("its lock could not be taken: {reason}")),
                    );
                    continue;
                }
                LockOutcome::Tampered { reason } => {
                    tick.push(
                        Some(&key),
                        waits(format!("its memos cannot be trusted: {reason}")),
                    );
                    continue;
                }
            };
            self.observer.observe(&Event::Wrote {
                issue: key.clone(),
                what: format!("lock, claim {}", lock.id()),
            });
            let pipeline = self.clone();
            let under_way = under_way.to_vec();
            runs.spawn(async move {
                // A task of its own boxed future: an agent's run is large.
                let run = pipeline.run_won(w, slot, run, base, lock, under_way);
                let outcome = Box::pin(run).await;
                (key, outcome)
            });
        }
        while let Some(joined) = runs.join_next().await {
            match joined {
                Ok((key, outcome)) => tick.push(Some(&key), outcome),
                Err(e) => tick.push(None, failed(format!("a run ended unexpectedly: {e}"))),
            }
        }
    }

    fn lock_request(
        &self,
        w: &Waiting,
        slot: &Slot,
        run: RunId,
        base: BaseRevision,
    ) -> LockRequest {
        let key = &w.mirrored.issue.key;
        LockRequest {
            issue: key.clone(),
            text: format!("Attempt {} begins in {}.", w.attempt, slot.name),
            claim: Claim {
                workdir: run.to_string(),
                run,
                round: w.round,
                attempt: w.attempt,
                lease: FIRST_LEASE,
                base,
                resources: self.resources(key, &w.target, &w.footprint),
                rules: self.conflicts.digest().to_owned(),
                files: w.files.clone(),
                agent: slot.name.clone(),
                integrator: self.settings.integrator.clone(),
                patch: None,
            },
        }
    }

    /// Makes the run of a won lock, or lets go of the lock if its task cannot be built.
    async fn run_won(
        &self,
        w: Waiting,
        slot: Slot,
        run: RunId,
        base: BaseRevision,
        lock: WorkLock,
        under_way: Vec<InFlight>,
    ) -> Outcome {
        match self.work_request(&w, &slot, run, base).await {
            Ok(request) => {
                let wanted = Wanted {
                    issue: &w.mirrored,
                    role: AgentRole::Implement,
                    round: Some(w.round),
                    under_way: &under_way,
                };
                self.run_claimed(&wanted, lock, request).await
            }
            Err(why) => {
                let text = format!("The task could not be built:\n\n{}", self.words(&why));
                self.give_up(&lock, "failed", text).await;
                failed(why)
            }
        }
    }

    /// Builds the task of an approved issue from its thread.
    async fn work_request(
        &self,
        w: &Waiting,
        slot: &Slot,
        run: RunId,
        base: BaseRevision,
    ) -> Result<RunRequest, String> {
        let m = &w.mirrored;
        let thread = m.thread(&self.protocol);
        let started: Result<Started<'_>, NotStarted> =
            started(m, &thread, &self.settings.start, &self.protocol);
        let started = started.map_err(|e| e.to_string())?;
        let dossier =
            Dossier::for_work(m, &self.protocol, &self.settings.start.approvers, &started);
        let dossier = self.with_files(dossier).await;
        let kind = dossier.work_kind();
        let settings = self.prompt_settings(Some(&base)).await?;
        let prompt = render(kind, &dossier, &settings, &random::nonce()).map_err(|e| chain(&e))?;
        Ok(RunRequest {
            run,
            repo: self.settings.repo.clone(),
            issue: m.issue.key.clone(),
            asked: self.now(),
            agent: slot.agent.clone(),
            slot: slot.name.clone(),
            kind,
            base: Some(base),
            exclude: Vec::new(),
            prompt: prompt.text,
            schema: prompt.schema,
            input: prompt.input,
            images: self.images(&dossier),
            model: self
                .settings
                .model(&slot.agent, AgentRole::Implement)
                .map(str::to_owned),
            session: None,
            round: Some(w.round),
            limits: self.settings.limits(&slot.agent, AgentRole::Implement),
        })
    }
}
