//! The queue: submitted patches join the candidate one by one, each verified before the next.

use super::fence::Fenced;
use super::integrate_error;
use crate::event::Stage;
use crate::failure::LogAnalysisRequest;
use crate::failure::LogAnalysisResult;
use crate::gate::Person;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::Checkout;
use crate::integrate::Integration;
use crate::integrate::Submission;
use crate::integrate::VerificationRecord;
use crate::lock::Claim;
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
use crate::verify::Verification;
use crate::verify::VerifyRequest;
use crate::workspace::PatchId;

/// What verifying the candidate's last tree came to.
enum Verified {
    /// It passed, or there is nothing to run.
    Passed,
    /// The patch is at fault.
    Failed(Box<GoesBack>),
    /// The base itself fails, or the checks could not be run on it either: nobody is blamed, everything waits.
    Blocked(String),
    /// It looks like a reason outside the patch, by the word of a log that the patch itself may have written.
    Infra(String),
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
        let target = session.target().clone();
        let queue: Vec<LiveClaim> = self.submitted(locks, &target).cloned().collect();
        for h in queue {
            let joined = session
                .candidate()
                .is_some_and(|c| c.commits.iter().any(|x| x.claim.nonce == h.nonce));
            if joined {
                continue;
            }
            if session.candidate().is_some_and(|c| c.sealed) {
                tick.push(
                    Some(&h.issue),
                    waits("its patch waits until the sealed candidate has landed or gone back"),
                );
                continue;
            }
            if !self.take_one(session, locks, &h, tick).await? {
                break;
            }
        }
        Ok(())
    }

    /// Takes one patch; false = stop here, the rest waits.
    async fn take_one(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        h: &LiveClaim,
        tick: &mut Tick,
    ) -> Result<bool, PipelineError> {
        let Some(patch) = &h.submitted else {
            return Ok(true);
        };
        let claim = h.claim_ref();
        let tip = session.tip().await.map_err(integrate_error)?;
        match self.fence(session, locks, &claim, patch, &tip).await? {
            Fenced::Open => {}
            Fenced::Landed(commit) => {
                if let Err(e) = self.say_landed(&claim, &commit).await {
                    tick.push(Some(&h.issue), failed(chain(&e)));
                    return Ok(true);
                }
                tick.push(
                    Some(&h.issue),
                    done("its round was found in the target; that is said in the thread now"),
                );
                return Ok(true);
            }
            Fenced::Closed(why) => {
                tick.push(
                    Some(&h.issue),
                    waits(format!("its patch is not taken: {why}")),
                );
                return Ok(true);
            }
        }
        let Some(submission) = self.submission(locks, h, patch).await? else {
            tick.push(
                Some(&h.issue),
                failed(format!(
                    "patch {} is not kept on this machine",
                    patch.short()
                )),
            );
            return Ok(true);
        };
        if let Some(why) = self.drift_meets(locks, h, &submission) {
            tick.push(Some(&h.issue), waits(why));
            return Ok(true);
        }
        let before: Vec<CandidateCommit> = session
            .candidate()
            .map(|c| c.commits.clone())
            .unwrap_or_default();
        let verified_before = session.candidate().and_then(|c| c.verification.clone());
        let outcome = session
            .apply(&submission, &h.claim.files)
            .await
            .map_err(integrate_error)?;
        let goes_back = match outcome {
            ApplyOutcome::Applied => match self.verify_candidate(session).await? {
                Verified::Passed => {
                    tick.push(
                        Some(&h.issue),
                        done(format!("patch {} applied and verified", patch.short())),
                    );
                    return Ok(true);
                }
                Verified::Failed(goes_back) => {
                    self.take_back(session, locks, &before, verified_before)
                        .await?;
                    *goes_back
                }
                Verified::Blocked(why) => {
                    self.take_back(session, locks, &before, verified_before)
                        .await?;
                    let what = format!("target {}: {why}", session.target());
                    self.tell_person(
                        None,
                        format!("blocked:{}:{tip}", session.target()),
                        what.clone(),
                    );
                    tick.push(Some(&h.issue), waits(what));
                    return Ok(false);
                }
                Verified::Infra(why) => {
                    self.take_back(session, locks, &before, verified_before)
                        .await?;
                    let stage = Stage::Integrate;
                    let counted = self
                        .ledger
                        .failed(stage, &h.issue, patch.as_str(), &why, self.now())
                        .and_then(|()| self.ledger.failing(stage, &h.issue, patch.as_str()));
                    let times = counted
                        .map_err(|e| PipelineError::Refused(chain(&e)))?
                        .map_or(1, |f| f.times);
                    if times < self.settings.max_failures {
                        tick.push(
                            Some(&h.issue),
                            waits(format!(
                                "its patch is verified again by the next tick: {why}"
                            )),
                        );
                        return Ok(true);
                    }
                    GoesBack::new(
                        "infra",
                        format!("{why}\n\nThe base passes, and this was seen {times} times."),
                    )
                }
            },
            ApplyOutcome::DoesNotApply { detail } => GoesBack::new("does-not-apply", detail),
            ApplyOutcome::Refused { reason } => GoesBack::new("refused-by-policy", reason),
            ApplyOutcome::Empty => GoesBack::new("empty", "it changes nothing on this base".into()),
        };
        let goes_back = goes_back.leaving(tree_left(
            h.claim.base.commit.as_str(),
            Some(patch.as_str()),
        ));
        if let Err(e) = self.send_back(&claim, h.claim.attempt, &goes_back).await {
            // One issue's failure stops no other; the next tick comes to the same end and says it then.
            tick.push(Some(&h.issue), failed(chain(&e)));
            return Ok(true);
        }
        tick.push(
            Some(&h.issue),
            failed(format!(
                "patch {} went back: {}",
                patch.short(),
                goes_back.summary()
            )),
        );
        Ok(true)
    }

    /// Puts the candidate back to what it was before the last patch.
    async fn take_back(
        &self,
        session: &mut dyn Integration,
        locks: &LockView,
        before: &[CandidateCommit],
        verified: Option<VerificationRecord>,
    ) -> Result<(), PipelineError> {
        let Some(base) = session.candidate().map(|c| c.base.commit.clone()) else {
            return Ok(());
        };
        let mut submissions = Vec::new();
        for c in before {
            if let Some(h) = locks.state.live_claim(c.claim.comment, locks.date)
                && let Some(s) = self.submission(locks, h, &c.patch).await?
            {
                submissions.push((s, h.claim.files.clone()));
            }
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

    /// Verifies the candidate's last tree; a failure that retrying may cure is retried once.
    async fn verify_candidate(
        &self,
        session: &mut dyn Integration,
    ) -> Result<Verified, PipelineError> {
        let Some((tree, base)) = session
            .candidate()
            .and_then(|c| Some((c.tip()?.tree.clone(), c.base.commit.clone())))
        else {
            return Ok(Verified::Passed);
        };
        let record = |commands: String, verified, at| VerificationRecord {
            tree,
            commands,
            verified,
            at,
        };
        let Some(verifier) = &self.verifier else {
            let r = record("none".into(), false, self.now());
            session.set_verified(r).await.map_err(integrate_error)?;
            return Ok(Verified::Passed);
        };
        let commands = verifier.commands_digest(session.target());
        if let Some(why) = self.failing_bases.why(&base, &commands) {
            return Ok(Verified::Blocked(why));
        }
        let mut retried = false;
        loop {
            let (command, exit_code, log) = match self.verify_in(session, Checkout::Candidate).await
            {
                Ok(Verification::Passed) => {
                    let r = record(commands, true, self.now());
                    session.set_verified(r).await.map_err(integrate_error)?;
                    return Ok(Verified::Passed);
                }
                Ok(Verification::NothingToRun) => {
                    let r = record(commands, false, self.now());
                    session.set_verified(r).await.map_err(integrate_error)?;
                    return Ok(Verified::Passed);
                }
                Ok(Verification::Failed {
                    command,
                    exit_code,
                    log,
                }) => (command, exit_code, log),
                Err(why) => {
                    // The patch may be what breaks the hooks or the checks: the base tells.
                    return Ok(match self.verify_in(session, Checkout::Base).await {
                        Ok(Verification::Passed | Verification::NothingToRun) => {
                            Verified::Failed(Box::new(GoesBack::new("verify", why)))
                        }
                        Ok(Verification::Failed { .. }) | Err(_) => Verified::Blocked(why),
                    });
                }
            };
            let analysis = self.analyse(&command, exit_code, &log).await;
            if !retried && analysis.as_ref().is_some_and(|a| a.retryable) {
                retried = true;
                continue;
            }
            if let Ok(Verification::Failed { command, .. }) =
                self.verify_in(session, Checkout::Base).await
            {
                let why = format!(
                    "`{command}` fails on the base {} itself, without any patch: nothing goes back, mend the base \
                     first; it is verified again when the base moves",
                    base.short()
                );
                self.failing_bases.remember(&base, &commands, &why);
                return Ok(Verified::Blocked(why));
            }
            if let Some(a) = analysis.as_ref().filter(|a| a.spares_the_change()) {
                return Ok(Verified::Infra(format!(
                    "`{command}` failed for a reason outside the patch ({}): {}",
                    a.category.as_str(),
                    a.summary
                )));
            }
            let goes_back = GoesBack::of_failure(&command, exit_code, &log, analysis);
            return Ok(Verified::Failed(Box::new(goes_back)));
        }
    }

    async fn verify_in(
        &self,
        session: &mut dyn Integration,
        which: Checkout,
    ) -> Result<Verification, String> {
        let Some(verifier) = &self.verifier else {
            return Ok(Verification::NothingToRun);
        };
        let root = session.checkout(which).await.map_err(|e| chain(&e))?;
        let request = VerifyRequest {
            root,
            target: session.target().clone(),
        };
        verifier.verify(&request).await.map_err(|e| chain(&e))
    }

    async fn analyse(
        &self,
        command: &str,
        exit_code: Option<i32>,
        log: &str,
    ) -> Option<LogAnalysisResult> {
        let analyzer = self.analyzer.as_ref()?;
        let mut request = LogAnalysisRequest::from_text(log.to_owned()).with_job(command);
        if let Some(code) = exit_code {
            request = request.with_exit_code(code);
        }
        match analyzer.analyze(&request).await {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::warn!(
                    command,
                    error = chain(&error),
                    "the failure could not be analysed"
                );
                None
            }
        }
    }

    /// Builds what the integrator needs of a submitted claim.
    pub(super) async fn submission(
        &self,
        locks: &LockView,
        h: &LiveClaim,
        patch: &PatchId,
    ) -> Result<Option<Submission>, PipelineError> {
        let Some(integrator) = &self.integrator else {
            return Ok(None);
        };
        let Some(patch) = integrator.stored(patch).await.map_err(integrate_error)? else {
            return Ok(None);
        };
        let issue = locks.view.issues.get(&h.issue).map(|m| &m.issue);
        let title = one_line(issue.map_or("", |i| i.title.as_str()));
        let url = issue.and_then(|i| i.url.clone()).unwrap_or_default();
        let message = self
            .settings
            .message
            .replace("{issue}", h.issue.as_str())
            .replace("{url}", &url)
            .replace("{title}", &title);
        Ok(Some(Submission {
            claim: h.claim_ref(),
            base: h.claim.base.commit.clone(),
            patch,
            title,
            author: self.author(&h.claim),
            authored: h.submitted_at.unwrap_or(h.posted),
            message,
            holds: h.holds.clone(),
        }))
    }

    /// Returns whose work a claim's patch is: the agent that made its run, which need not be the first of its slot.
    fn author(&self, claim: &Claim) -> Person {
        let made_by = self.ledger.agent_of(&claim.run).ok().flatten();
        let slot = &claim.agent;
        let agent = made_by.unwrap_or_else(|| {
            let slots = &self.settings.slots;
            let known = slots.iter().find(|s| s.name == *slot);
            known.map_or_else(|| slot.clone(), |s| s.agent.clone())
        });
        let author = self.settings.authors.get(&agent).cloned();
        author.unwrap_or_else(|| Person::new(&agent, &format!("{agent}@agents.invalid")))
    }

    /// Returns why a patch has to wait: it touched files outside the declared ones that other live work holds.
    fn drift_meets(&self, locks: &LockView, h: &LiveClaim, s: &Submission) -> Option<String> {
        let touched = touched_paths(s.patch.bytes());
        let drift: Vec<&String> = touched
            .iter()
            .filter(|p| !h.claim.files.contains(p))
            .collect();
        if drift.is_empty() {
            return None;
        }
        let footprint = crate::footprint::Footprint::from_candidates(&drift);
        let resources = self.resources(&h.issue, &h.claim.base.target, &footprint);
        let other = locks.state.live(locks.date).find(|o| {
            // Two that meet each other: the lower claim goes first.
            let goes_first = o.submitted.is_none() || o.id < h.id;
            o.id != h.id && goes_first && o.claim.resources.meets(&resources)
        })?;
        Some(format!(
            "its patch touches files outside the declared ones ({}) that {} holds: it waits for the end of claim {}",
            drift
                .iter()
                .take(3)
                .map(|s| s.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            other.issue,
            other.id
        ))
    }

    /// Seals the candidate when its queue is empty, and asks for the OK in each of its issues, once.
    pub(in crate::stages) async fn seal(
        &self,
        session: &mut dyn Integration,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(());
        };
        if !candidate.sealed {
            if !candidate.is_verified() {
                match self.verify_candidate(session).await? {
                    Verified::Passed => {}
                    Verified::Failed(_) | Verified::Blocked(_) | Verified::Infra(_) => {
                        // Built from parts that passed one by one, it fails as a whole: begin again from the parts.
                        session.discard().await.map_err(integrate_error)?;
                        tick.push(None, waits("the candidate failed as a whole: it is built again from its patches"));
                        return Ok(());
                    }
                }
            }
            session.seal(self.now()).await.map_err(integrate_error)?;
        }
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(());
        };
        for commit in &candidate.commits {
            match self.ask_for_ok(&candidate, commit).await {
                Ok(true) => tick.push(
                    Some(&commit.claim.issue),
                    done(format!("candidate {} waits for its OK", candidate.id())),
                ),
                Ok(false) => {}
                Err(why) => tick.push(Some(&commit.claim.issue), failed(why)),
            }
        }
        Ok(())
    }

    pub(super) async fn keep_parked(&self, locks: &LockView, target: &crate::workspace::Target) {
        const BEAT_WHEN_LEFT: std::time::Duration = std::time::Duration::from_secs(4 * 24 * 3600);
        for h in self.submitted(locks, target) {
            let current = locks
                .view
                .issues
                .get(&h.issue)
                .and_then(|m| m.current_round());
            if h.end.since(locks.date) < BEAT_WHEN_LEFT
                && current == Some(h.claim.round)
                && let Err(error) = self.locks.park(&h.claim_ref()).await
            {
                tracing::warn!(issue = %h.issue, error = chain(&error), "the submitted claim got no beat");
            }
        }
    }
}

/// Returns the paths a patch touches; none if it does not parse, which the integrator then refuses.
fn touched_paths(bytes: &[u8]) -> Vec<String> {
    let Ok(parsed) = crate::patch::parse(bytes, &crate::patch::PatchLimits::default()) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = parsed
        .touched()
        .iter()
        .flat_map(|t| {
            t.changed_paths()
                .map(|p| String::from_utf8_lossy(p.as_bytes()).into_owned())
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Returns a title as one harmless line of a commit message: no trailer can be smuggled in.
fn one_line(title: &str) -> String {
    let clean: String = title
        .chars()
        .map(|c| {
            if c.is_control() || c.is_whitespace() {
                ' '
            } else {
                c
            }
        })
        .collect();
    clean
        .split(' ')
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}
