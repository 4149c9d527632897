//! The queue: submitted patches join the candidate in batches, each verified as a whole before the next.
//!
//! A batch of one, which is what a team has that configures checks alone, is one patch after the other. Where nothing is to
//! be run, nothing can be found wrong, and all of them are one batch.

use std::collections::VecDeque;

use super::batch::Record;
use super::batch::Search;
use super::batch::Step;
use super::fence::Fenced;
use super::integrate_error;
use super::verifying::Verified;
use crate::event::Stage;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::Integration;
use crate::integrate::Submission;
use crate::integrate::VerificationRecord;
use crate::lock::LiveClaim;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::stages::Tick;
use crate::stages::brakes::tree_left;
use crate::stages::done;
use crate::stages::failed;
use crate::stages::integrate::GoesBack;
use crate::stages::waits;
use crate::workspace::PatchId;

/// A claim whose patch is the candidate's last commit, not verified yet.
struct Joined {
    claim: LiveClaim,
    patch: PatchId,
    submission: Submission,
}

/// What became of one claim that wanted to join.
enum Join {
    Joined(Box<Joined>),
    /// It is dealt with, and the reason is in the report.
    Not,
    /// It fits only what is verified, not what has joined since.
    Later,
}

/// The part of the candidate that is verified: what a batch is put on, and taken back to.
struct Ground {
    commits: Vec<CandidateCommit>,
    verified: Option<VerificationRecord>,
}

impl Ground {
    fn of(session: &dyn Integration) -> Self {
        let candidate = session.candidate();
        Self {
            commits: candidate.map(|c| c.commits.clone()).unwrap_or_default(),
            verified: candidate.and_then(|c| c.verification.clone()),
        }
    }
}

/// What a batch came to.
enum Settled {
    /// So many of its patches are in, verified as a whole; the next one, if any, is dealt with, the rest is to come again.
    In(usize),
    /// Nothing can be verified now.
    Stop,
}

impl Pipeline {
    /// Takes candidate commits out whose claims are over, and starts anew where the base has moved.
    ///
    /// Every patch is stored and its claim is live, so a candidate that is dropped is built again from them.
    pub(super) async fn drop_what_is_over(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(());
        };
        let tip = session.tip().await.map_err(integrate_error)?;
        let mut over = false;
        for c in &candidate.commits {
            match self.fence(session, locks, &c.claim, &c.patch, &tip).await? {
                Fenced::Open => {}
                Fenced::Landed(commit) => {
                    over = true;
                    if let Err(e) = self.say_landed(&c.claim, &commit).await {
                        tick.push(Some(&c.claim.issue), failed(chain(&e)));
                    }
                }
                Fenced::Closed(why) => {
                    over = true;
                    tick.push(
                        Some(&c.claim.issue),
                        waits(format!("its patch left the candidate: {why}")),
                    );
                }
            }
        }
        if tip != candidate.base.commit {
            over = true;
            let text = format!(
                "the base of candidate {} moved to {}: it is rebuilt, verified again and needs a new OK",
                candidate.id(),
                tip.short()
            );
            tick.push(None, done(text));
        }
        if over {
            session.discard().await.map_err(integrate_error)?;
        }
        Ok(())
    }

    /// Applies and verifies every submitted patch that is not in the candidate yet.
    pub(super) async fn take_queue(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let unverified = session
            .candidate()
            .is_some_and(|c| !c.sealed && !c.is_verified());
        if unverified {
            // Left by a process that died before it verified: whoever joined it now would be blamed for what is in it.
            session.discard().await.map_err(integrate_error)?;
        }
        let target = session.target().clone();
        let mut queue: VecDeque<LiveClaim> = self
            .submitted(locks, &target)
            .filter(|h| {
                let joined = session.candidate();
                !joined.is_some_and(|c| c.commits.iter().any(|x| x.claim.nonce == h.nonce))
            })
            .cloned()
            .collect();
        if session.candidate().is_some_and(|c| c.sealed) {
            for h in queue {
                tick.push(
                    Some(&h.issue),
                    waits("its patch waits until the sealed candidate has landed or gone back"),
                );
            }
            return Ok(());
        }
        let mut record = Record::default();
        let mut base_passes = false;
        while !queue.is_empty() {
            let ground = Ground::of(session);
            let most = if self.has_checks(&target) {
                record.batch(self.settings.max_batch)
            } else {
                queue.len()
            };
            let mut batch = Vec::new();
            while batch.len() < most
                && let Some(h) = queue.pop_front()
            {
                match self
                    .join(session, locks, &h, batch.is_empty(), tick)
                    .await?
                {
                    Join::Joined(joined) => batch.push(*joined),
                    Join::Not => {}
                    Join::Later => {
                        queue.push_front(h);
                        break;
                    }
                }
            }
            if batch.is_empty() {
                continue;
            }
            let settled = self
                .settle_batch(session, locks, &ground, &batch, &mut base_passes, tick)
                .await?;
            let Settled::In(passed) = settled else { break };
            let failed = usize::from(passed < batch.len());
            record.add(passed, failed);
            for later in batch.into_iter().skip(passed + failed).rev() {
                queue.push_front(later.claim);
            }
        }
        Ok(())
    }

    /// Puts one patch on the candidate; `alone` = on nothing that is not verified.
    async fn join(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        h: &LiveClaim,
        alone: bool,
        tick: &mut Tick,
    ) -> Result<Join, PipelineError> {
        let Some(patch) = &h.submitted else {
            return Ok(Join::Not);
        };
        let claim = h.claim_ref();
        let tip = session.tip().await.map_err(integrate_error)?;
        match self.fence(session, locks, &claim, patch, &tip).await? {
            Fenced::Open => {}
            Fenced::Landed(commit) => {
                let said = match self.say_landed(&claim, &commit).await {
                    Ok(()) => {
                        done("its round was found in the target; that is said in the thread now")
                    }
                    Err(e) => failed(chain(&e)),
                };
                tick.push(Some(&h.issue), said);
                return Ok(Join::Not);
            }
            Fenced::Closed(why) => {
                tick.push(
                    Some(&h.issue),
                    waits(format!("its patch is not taken: {why}")),
                );
                return Ok(Join::Not);
            }
        }
        // One patch that cannot be read or applied takes nothing from the others.
        let submission = match self.submission(locks, h, patch).await {
            Ok(Some(submission)) => submission,
            Ok(None) => {
                let why = format!("patch {} is not kept on this machine", patch.short());
                tick.push(Some(&h.issue), failed(why));
                return Ok(Join::Not);
            }
            Err(e) => {
                tick.push(Some(&h.issue), failed(chain(&e)));
                return Ok(Join::Not);
            }
        };
        if let Some(why) = self.drift_meets(locks, h, &submission) {
            tick.push(Some(&h.issue), waits(why));
            return Ok(Join::Not);
        }
        let outcome = match session.apply(&submission, &h.claim.files).await {
            Ok(outcome) => outcome,
            Err(e) => {
                tick.push(Some(&h.issue), failed(chain(&e)));
                return Ok(Join::Not);
            }
        };
        let goes_back = match outcome {
            ApplyOutcome::Applied => {
                return Ok(Join::Joined(Box::new(Joined {
                    claim: h.clone(),
                    patch: patch.clone(),
                    submission,
                })));
            }
            // What stands in its way may itself go back.
            _ if !alone => return Ok(Join::Later),
            ApplyOutcome::DoesNotApply { detail } => GoesBack::new("does-not-apply", detail),
            ApplyOutcome::Refused { reason } => GoesBack::new("refused-by-policy", reason),
            ApplyOutcome::Empty => GoesBack::new("empty", "it changes nothing on this base".into()),
        };
        self.return_patch(h, patch, goes_back, tick).await;
        Ok(Join::Not)
    }

    /// Verifies a batch as a whole, finds the patch at fault if that fails, and leaves the candidate with what passed.
    async fn settle_batch(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        ground: &Ground,
        batch: &[Joined],
        base_passes: &mut bool,
        tick: &mut Tick,
    ) -> Result<Settled, PipelineError> {
        let mut search = Search::new(batch.len());
        let mut verified = ground.verified.clone();
        let mut fault = None;
        // The whole batch is what the candidate is made of now.
        let mut there = batch.len();
        let (passed, at_fault) = loop {
            let part = match search.step() {
                Step::Verify(part) => part,
                Step::Good => break (batch.len(), None),
                Step::Fault(passed) => break (passed, batch.get(passed).zip(fault)),
            };
            if part != there {
                self.take_back(
                    session,
                    locks,
                    ground,
                    batch.get(..part).unwrap_or(batch),
                    None,
                )
                .await?;
                there = part;
            }
            match self.verify_candidate(session, base_passes).await? {
                Verified::Passed => {
                    verified = session.candidate().and_then(|c| c.verification.clone());
                    search.saw(part, true);
                }
                Verified::Blocked(why) => {
                    let passed = search.passed();
                    let good = batch.get(..passed).unwrap_or_default();
                    self.take_back(session, locks, ground, good, verified)
                        .await?;
                    self.say_verified(good, tick);
                    self.say_blocked(session, batch.get(passed..).unwrap_or_default(), why, tick)
                        .await?;
                    return Ok(Settled::Stop);
                }
                failing @ (Verified::Failed(_) | Verified::Infra(_)) => {
                    fault = Some(failing);
                    search.saw(part, false);
                }
            }
        };
        let good = batch.get(..passed).unwrap_or_default();
        if there != passed {
            self.take_back(session, locks, ground, good, verified)
                .await?;
        }
        self.say_verified(good, tick);
        if let Some((joined, fault)) = at_fault {
            self.blame(joined, fault, tick).await;
        }
        Ok(Settled::In(passed))
    }

    fn say_verified(&self, good: &[Joined], tick: &mut Tick) {
        for joined in good {
            let text = format!("patch {} applied and verified", joined.patch.short());
            tick.push(Some(&joined.claim.issue), done(text));
        }
    }

    async fn say_blocked(
        &self,
        session: &dyn Integration,
        waiting: &[Joined],
        why: String,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let tip = session.tip().await.map_err(integrate_error)?;
        let target = session.target();
        let what = format!("target {target}: {why}");
        self.tell_person(None, format!("blocked:{target}:{tip}"), what.clone());
        for joined in waiting {
            tick.push(Some(&joined.claim.issue), waits(what.clone()));
        }
        Ok(())
    }

    /// Deals with the patch at fault: it goes back, unless its log says that it was not its own doing.
    async fn blame(&self, joined: &Joined, fault: Verified, tick: &mut Tick) {
        let (h, patch) = (&joined.claim, &joined.patch);
        let goes_back = match fault {
            Verified::Failed(goes_back) => *goes_back,
            Verified::Infra(why) => {
                let stage = Stage::Integrate;
                let counted = self
                    .ledger
                    .failed(stage, &h.issue, patch.as_str(), &why, self.now())
                    .and_then(|()| self.ledger.failing(stage, &h.issue, patch.as_str()));
                let times = match counted {
                    Ok(known) => known.map_or(1, |f| f.times),
                    Err(e) => {
                        tick.push(Some(&h.issue), failed(chain(&e)));
                        return;
                    }
                };
                if times < self.settings.max_failures {
                    let text = format!("its patch is verified again by the next tick: {why}");
                    tick.push(Some(&h.issue), waits(text));
                    return;
                }
                let detail = format!("{why}\n\nThe base passes, and this was seen {times} times.");
                GoesBack::new("infra", detail)
            }
            Verified::Passed | Verified::Blocked(_) => return,
        };
        self.return_patch(h, patch, goes_back, tick).await;
    }

    /// Sends a patch back and says so; one issue's failure stops no other, the next tick comes to the same end.
    async fn return_patch(&self, h: &LiveClaim, patch: &PatchId, why: GoesBack, tick: &mut Tick) {
        let left = tree_left(h.claim.base.commit.as_str(), Some(patch.as_str()));
        let why = why.leaving(left);
        let claim = h.claim_ref();
        let sent = self.send_back(&claim, h.claim.attempt, &why);
        let outcome = match sent.await {
            Ok(()) => failed(format!(
                "patch {} went back: {}",
                patch.short(),
                why.summary()
            )),
            Err(e) => failed(chain(&e)),
        };
        tick.push(Some(&h.issue), outcome);
    }

    /// Makes the candidate of what was verified before and these patches, with what is known of the result.
    async fn take_back(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        ground: &Ground,
        good: &[Joined],
        verified: Option<VerificationRecord>,
    ) -> Result<(), PipelineError> {
        let Some(base) = session.candidate().map(|c| c.base.commit.clone()) else {
            return Ok(());
        };
        let mut submissions = Vec::new();
        for c in &ground.commits {
            if let Some(h) = locks.state.live_claim(c.claim.comment, locks.date)
                && let Some(s) = self.submission(locks, h, &c.patch).await?
            {
                submissions.push((s, h.claim.files.clone()));
            }
        }
        for joined in good {
            let files = joined.claim.claim.files.clone();
            submissions.push((joined.submission.clone(), files));
        }
        session
            .rebuild(&base, &submissions)
            .await
            .map_err(integrate_error)?;
        let tip = session
            .candidate()
            .and_then(Candidate::tip)
            .map(|t| t.tree.clone());
        if let Some(record) = verified.filter(|v| Some(&v.tree) == tip.as_ref()) {
            session
                .set_verified(record)
                .await
                .map_err(integrate_error)?;
        }
        Ok(())
    }
}
