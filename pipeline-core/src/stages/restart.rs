//! Restart: what a dead process left is ended, kept and released by the next ordinary tick.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tick;
use super::done;
use super::failed;
use super::nothing;
use super::waits;
use crate::agent::RunId;
use crate::agent::RunMode;
use crate::clock::Timestamp;
use crate::event::Stage;
use crate::integrate::ClaimRef;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::journal::Record;
use crate::lock::Claim;
use crate::lock::EndKind;
use crate::lock::Ender;
use crate::lock::FIRST_LEASE;
use crate::lock::LiveClaim;
use crate::lock::LockOutcome;
use crate::lock::LockRecord;
use crate::lock::LockRequest;
use crate::lock::LockView;
use crate::lock::WorkLock;
use crate::lock::is_outdated;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::process::EndOutcome;
use crate::process::ProcessIdentity;
use crate::protected::Hold;
use crate::report::Outcome;
use crate::report::chain;
use crate::workspace::PatchId;
use crate::workspace::Workspace;

/// How long a living process may take between two steps of one run before a tick goes on with it.
const YOUNG: std::time::Duration = std::time::Duration::from_secs(600);
/// How long a left child may take to end by itself.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// A claim that was about to be posted, and of which nothing more is known.
#[derive(Debug)]
struct Intent {
    issue: IssueKey,
    run: RunId,
    owner: Option<ProcessIdentity>,
    at: Timestamp,
}

/// A run of this machine that the journal does not show as closed.
#[derive(Debug, Default)]
struct OpenRun {
    claim: Option<ClaimRef>,
    won: Timestamp,
    owner: Option<ProcessIdentity>,
    children: Vec<ProcessIdentity>,
}

impl Pipeline {
    /// Ends, keeps and releases what processes that are gone left behind.
    pub(super) async fn restart(&self, tick: &mut Tick) -> Result<(), PipelineError> {
        let stage = Stage::Dispatch;
        let entries = self
            .journal
            .entries()
            .map_err(|source| PipelineError::Journal { stage, source })?;
        let mut open: BTreeMap<RunId, OpenRun> = BTreeMap::new();
        let mut intents: BTreeMap<String, Intent> = BTreeMap::new();
        let mut closed: BTreeSet<RunId> = BTreeSet::new();
        for entry in entries {
            match entry.record {
                Record::ClaimIntent {
                    issue,
                    nonce,
                    run,
                    owner,
                } => {
                    let at = entry.at;
                    let intent = Intent {
                        issue,
                        run,
                        owner,
                        at,
                    };
                    intents.insert(nonce, intent);
                }
                Record::ClaimWon {
                    issue,
                    claim,
                    nonce,
                    round,
                    run,
                    owner,
                } => {
                    intents.remove(&nonce);
                    let at = open.entry(run).or_default();
                    at.claim = Some(ClaimRef {
                        issue,
                        comment: claim,
                        nonce,
                        round,
                    });
                    at.owner = owner;
                    at.won = entry.at;
                }
                Record::ChildStarted { run, process } => {
                    open.entry(run).or_default().children.push(process);
                }
                Record::RunClosed { run, .. } => {
                    drop(open.remove(&run));
                    intents.retain(|_, intent| intent.run != run);
                    closed.insert(run);
                }
                _ => {}
            }
        }
        self.end_intents(intents, tick).await;
        let Some(runner) = &self.runner else {
            return Ok(());
        };
        // Before the running ones: what is listed here and still at work then is among them.
        let workspaces = self.left_workspaces().await;
        let running = runner.running(&self.settings.repo).await.map_err(|e| {
            PipelineError::Refused(format!("the run table cannot be read: {}", chain(&e)))
        })?;
        for workspace in workspaces {
            let run = &workspace.run;
            let claimed = open.get(run).is_some_and(|left| left.claim.is_some());
            if claimed || running.iter().any(|r| r.run == *run) {
                continue;
            }
            // A finished run of which nothing is known here may be somebody's who will come for it.
            let ours = workspace.mode == RunMode::ReadOnly
                || closed.contains(run)
                || matches!(runner.finished(run).await, Ok(None));
            if ours && let Err(e) = runner.release(run).await {
                tracing::warn!(%run, error = chain(&e), "the workspace of a dead run stays");
            }
        }
        for (run, left) in open {
            // A run without a claim was a reading one: nothing of it counts, its workspace goes with the next look.
            let Some(claim) = &left.claim else { continue };
            if running.iter().any(|r| r.run == run) || self.is_young(&run, &left).await {
                continue;
            }
            let outcome = self.restart_run(&run, claim, &left).await;
            tick.push(Some(&claim.issue), outcome);
        }
        Ok(())
    }

    /// Returns every workspace there is; none where they cannot be listed, which is said by whoever needs one.
    async fn left_workspaces(&self) -> Vec<Workspace> {
        let Some(workspaces) = &self.workspaces else {
            return Vec::new();
        };
        match workspaces.list().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "what dead runs left cannot be listed"
                );
                Vec::new()
            }
        }
    }

    /// Releases claims whose process died after posting them and before it could tell whether they were won.
    async fn end_intents(&self, mut intents: BTreeMap<String, Intent>, tick: &mut Tick) {
        // Where nobody can be asked who posted it, the lease decides.
        intents.retain(|_, intent| {
            intent
                .owner
                .as_ref()
                .is_some_and(|owner| !owner.is_alive().unwrap_or(true))
        });
        if intents.is_empty() {
            return;
        }
        let own = intents.values().map(|i| i.issue.clone()).collect();
        let locks = match self.locks.live(&own).await {
            Ok(locks) => locks,
            Err(e) => {
                tick.push(None, failed(chain(&e)));
                return;
            }
        };
        for (nonce, intent) in intents {
            let (issue, run) = (&intent.issue, &intent.run);
            let found = locks
                .state
                .blocking(locks.date)
                .find(|h| h.nonce == nonce && h.submitted.is_none());
            match found {
                Some(h) => {
                    let how = EndKind::Release {
                        reason: "infra".into(),
                        by: Ender::Run(run.clone()),
                    };
                    let text = "The process that made this claim is gone; nothing was begun.";
                    let claim = h.claim_ref();
                    if let Err(e) = self.locks.end(&claim, &how, text.to_owned()).await {
                        tick.push(Some(issue), failed(chain(&e)));
                        continue;
                    }
                    tick.push(
                        Some(issue),
                        done(format!("claim {} of a process that is gone released", h.id)),
                    );
                }
                // It may have landed and not be visible yet.
                None if self.now().since(intent.at) <= self.tracker.settle() => continue,
                None => {}
            }
            let record = Record::RunClosed {
                run: run.clone(),
                outcome: "not begun".to_owned(),
            };
            if let Err(error) = self.journal.append(self.now(), &record) {
                tracing::warn!(%run, %error, "the end of a claim is not journaled");
            }
        }
    }

    /// Returns whether a run that is not under way may still be in somebody's hands: about to begin, or being closed.
    async fn is_young(&self, run: &RunId, left: &OpenRun) -> bool {
        let Some(owner) = &left.owner else {
            // Nobody can be asked: the lease decides.
            let age = self.now().since(left.won);
            return age < FIRST_LEASE;
        };
        if !owner.is_alive().unwrap_or(true) {
            return false;
        }
        let ended = match &self.runner {
            Some(runner) => runner.finished(run).await.ok().flatten().map(|r| r.ended),
            None => None,
        };
        self.now().since(ended.unwrap_or(left.won)) < YOUNG
    }

    async fn restart_run(&self, run: &RunId, claim: &ClaimRef, left: &OpenRun) -> Outcome {
        let (Some(runner), Some(integrator)) = (&self.runner, &self.integrator) else {
            return failed("no runner or no integrator is configured");
        };
        for child in &left.children {
            match child.end(GRACE).await {
                Ok(EndOutcome::Remains) => {
                    return failed(format!(
                        "a child of the dead run {run} does not end: {child:?}"
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    return failed(format!(
                        "a child of the dead run {run} cannot be ended: {}",
                        chain(&error)
                    ));
                }
            }
        }
        if let Err(error) = crate::process::sweep(run).await {
            tracing::warn!(%run, error = chain(&error), "escaped children cannot be looked for");
        }
        let finished = match runner.finished(run).await {
            Ok(finished) => finished,
            Err(e) => return failed(chain(&e)),
        };
        self.end_left_run(run, finished.as_ref());
        let own = BTreeSet::from([claim.issue.clone()]);
        let locks = match self.locks.live(&own).await {
            Ok(locks) => locks,
            Err(e) => return failed(chain(&e)),
        };
        let live = locks.state.live_claim(claim.comment, locks.date);
        let died_at_work = finished.is_none();
        let outcome = match (finished, live) {
            (Some(result), Some(h)) if h.submitted.is_none() => {
                let lock = WorkLock::mint(LockRecord {
                    issue: h.issue.clone(),
                    id: h.id,
                    nonce: h.nonce.clone(),
                    claim: h.claim.clone(),
                    deadline: self.clock.elapsed(),
                });
                {
                    let closing = self.close(&lock, integrator, result, None).await;
                    if !closing.over {
                        return closing.outcome;
                    }
                    closing.outcome
                }
            }
            (Some(result), _) => {
                // The claim is over, but what was written is kept.
                match result.patch.as_ref().filter(|p| !p.is_empty()) {
                    Some(patch) => match integrator.store(patch).await {
                        Ok(()) => nothing(format!(
                            "the dead run {run} had ended; its patch {} is kept",
                            patch.id().short()
                        )),
                        Err(e) => return failed(chain(&e)),
                    },
                    None => nothing(format!("the dead run {run} had ended without a patch")),
                }
            }
            (None, _) => done(format!(
                "run {run} of a process that is gone was ended; what it wrote is kept"
            )),
        };
        if let Err(e) = runner.release(run).await {
            return failed(format!(
                "what the dead run {run} wrote could not be kept: {}",
                chain(&e)
            ));
        }
        let how = EndKind::Release {
            reason: "infra".into(),
            by: Ender::Run(run.clone()),
        };
        // Revoked or not: only the run's own word frees what it holds before its lease ends.
        let still_holds = locks
            .state
            .blocking(locks.date)
            .any(|h| h.id == claim.comment && h.submitted.is_none());
        if still_holds && died_at_work {
            let text = "The process that made this run is gone; what it wrote is kept.".to_owned();
            if let Err(e) = self.locks.end(claim, &how, text).await {
                return failed(chain(&e));
            }
        }
        let closed = Record::RunClosed {
            run: run.clone(),
            outcome: outcome.text().to_owned(),
        };
        match self.journal.append(self.now(), &closed) {
            Ok(_) => outcome,
            Err(e) => failed(chain(&e)),
        }
    }

    /// Releases claims of issues that left the status or were started anew, and claims somebody deleted a comment of.
    ///
    /// The threads were read before status and history, so a claim is never judged by an older status.
    pub(super) async fn end_outdated(&self, locks: &LockView, tick: &mut Tick) {
        self.end_deleted(locks, tick).await;
        for h in locks.state.live(locks.date) {
            let Some(m) = self.readable(locks, h) else {
                continue;
            };
            let outdated = is_outdated(&h.claim, m.current_round());
            if outdated && self.deleted(locks, h).is_none() {
                let why = "The issue left `In progress` or was started anew.";
                let said = format!("claim {} released: the issue moved on", h.id);
                self.revoke(h, why, said, tick).await;
            }
        }
    }

    /// Releases claims whose comment, or that of their hand-over, somebody deleted; returns whether there was one.
    ///
    /// Such a claim blocks on, and its release carries it to those who never read it.
    pub(super) async fn end_deleted(&self, locks: &LockView, tick: &mut Tick) -> bool {
        let mut any = false;
        for h in locks.state.live(locks.date) {
            if let Some(gone) = self.deleted(locks, h) {
                any = true;
                let why = if gone == h.id {
                    "The comment of this claim is gone. What it held stays held until its lease ends."
                } else {
                    "The comment that handed its work over is gone: nothing of it lands."
                };
                let said = format!("claim {} released: its comment {gone} is gone", h.id);
                self.revoke(h, why, said, tick).await;
            }
        }
        any
    }

    /// Returns the comment of a claim of this repository that somebody deleted.
    pub(super) fn deleted(&self, locks: &LockView, h: &LiveClaim) -> Option<CommentId> {
        let settle = self.tracker.settle();
        self.readable(locks, h)?
            .deleted(h.id, &self.protocol, locks.date, settle)
    }

    /// Returns the issue of a claim of this repository; in a thread that is gone nothing can be said: there the lease ends.
    fn readable<'a>(&self, locks: &'a LockView, h: &LiveClaim) -> Option<&'a Arc<Mirrored>> {
        let ours = h.claim.resources.scope().repo == self.settings.repo;
        let issue = locks.view.issues.get(&h.issue);
        issue.filter(|m| ours && !m.gone)
    }

    async fn revoke(&self, h: &LiveClaim, why: &str, said: String, tick: &mut Tick) {
        let how = EndKind::Release {
            reason: "revoked".into(),
            by: Ender::Other,
        };
        let outcome = match self.locks.end(&h.claim_ref(), &how, why.to_owned()).await {
            Ok(()) => done(said),
            Err(e) => failed(chain(&e)),
        };
        tick.push(Some(&h.issue), outcome);
    }

    /// Claims expired but submitted patches anew, without a run: one settle for all of them.
    pub(super) async fn claim_anew(&self, locks: &LockView, tick: &mut Tick) {
        let orphans: Vec<_> = locks
            .state
            .orphans(locks.date)
            .into_iter()
            .filter(|orphan| {
                let current = locks
                    .view
                    .issues
                    .get(&orphan.issue)
                    .and_then(|m| m.current_round());
                let kept_here = orphan.claim.integrator.id == self.settings.integrator.id;
                let busy = locks
                    .state
                    .blocking(locks.date)
                    .any(|h| h.issue == orphan.issue);
                current == Some(orphan.claim.round) && kept_here && !busy
            })
            .collect();
        let requests: Vec<LockRequest> = orphans
            .iter()
            .map(|orphan| LockRequest {
                issue: orphan.issue.clone(),
                claim: Claim {
                    run: RunId::random(),
                    lease: FIRST_LEASE,
                    patch: Some(orphan.patch.clone()),
                    ..orphan.claim.clone()
                },
                text: "The patch of an expired claim is claimed anew, without a run.".into(),
            })
            .collect();
        let outcomes = match self.locks.acquire(&requests).await {
            Ok(outcomes) => outcomes,
            Err(e) => {
                for orphan in &orphans {
                    tick.push(Some(&orphan.issue), failed(chain(&e)));
                }
                return;
            }
        };
        let mut submitting = tokio::task::JoinSet::new();
        for (orphan, outcome) in orphans.into_iter().zip(outcomes) {
            let outcome = match outcome {
                LockOutcome::Acquired(record) => {
                    let (pipeline, lock) = (self.clone(), WorkLock::mint(*record));
                    submitting.spawn(async move {
                        let (patch, holds) = (orphan.patch, orphan.holds);
                        let outcome = pipeline.submit_anew(&lock, &patch, holds).await;
                        (orphan.issue, outcome)
                    });
                    continue;
                }
                LockOutcome::Held { by, .. } => waits(format!("its finished patch waits: {by}")),
                LockOutcome::NotCurrent => waits("it moved on while its patch was claimed anew"),
                LockOutcome::Tampered { reason } => waits(reason),
                LockOutcome::Failed { reason } => failed(reason),
            };
            tick.push(Some(&orphan.issue), outcome);
        }
        while let Some(joined) = submitting.join_next().await {
            match joined {
                Ok((issue, outcome)) => tick.push(Some(&issue), outcome),
                Err(e) => tick.push(None, failed(format!("a hand-over ended unexpectedly: {e}"))),
            }
        }
    }

    /// Hands a kept patch over under its new claim.
    async fn submit_anew(&self, lock: &WorkLock, patch: &PatchId, holds: Vec<Hold>) -> Outcome {
        let text = "remaining: waiting for the integrator to apply, verify, and commit.".to_owned();
        let outcome = match self.locks.submit(lock, patch, holds, text).await {
            Ok(_) => done(format!(
                "patch {} of an expired claim submitted anew",
                patch.short()
            )),
            Err(e) => failed(chain(&e)),
        };
        let closed = Record::RunClosed {
            run: lock.run().clone(),
            outcome: outcome.text().to_owned(),
        };
        if let Err(error) = self.journal.append(self.now(), &closed) {
            tracing::warn!(%error, "the new claim is not journaled as closed");
        }
        outcome
    }
}
