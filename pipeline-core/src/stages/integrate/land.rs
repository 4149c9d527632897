//! The OK and the landing: asked for once per candidate, landed under the fence, rolled forward after a crash.

use std::sync::Arc;
use std::time::Duration;

use super::fence::Fenced;
use super::integrate_error;
use crate::event::Event;
use crate::event::Stage;
use crate::gate::Approval;
use crate::gate::Asked;
use crate::gate::LocalDiff;
use crate::gate::ask;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::Integration;
use crate::integrate::LandBy;
use crate::integrate::LandOutcome;
use crate::integrate::LandingPlan;
use crate::integrate::PushOutcome;
use crate::journal::Record;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::encode_value;
use crate::memo::quote;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::stages::Tick;
use crate::stages::done;
use crate::stages::failed;
use crate::stages::waits;
use crate::status::Transition;

/// How old the fence's list may be when the ref moves.
const FENCE_AGE: Duration = Duration::from_secs(60);
/// How often the fence is repeated when it has grown too old.
const MOST_FENCES: u32 = 3;

impl Pipeline {
    /// Completes what a former process began to land, and says in the threads what landed.
    pub(in crate::stages) async fn finish_landings(
        &self,
        session: &mut dyn Integration,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        let entries = self.journal.entries().map_err(journal_error)?;
        let mut open: Vec<LandingPlan> = Vec::new();
        for entry in entries {
            match entry.record {
                Record::LandIntent { plan } => open.push(plan),
                Record::LandDone { candidate, .. } => {
                    open.retain(|p| p.candidate.as_str() != candidate);
                }
                _ => {}
            }
        }
        let target = session.target().clone();
        for plan in open.into_iter().filter(|p| p.target == target) {
            match session.roll_forward(&plan).await.map_err(integrate_error)? {
                LandOutcome::Landed => {
                    self.after_landing(session, &plan, tick).await?;
                    self.landing_done(&plan, true)?;
                }
                LandOutcome::EditedMeanwhile { detail } => {
                    self.tell_person(
                        None,
                        format!("edited:{}", plan.candidate.as_str()),
                        detail.clone(),
                    );
                    tick.push(None, failed(detail));
                }
                LandOutcome::BaseMoved => self.landing_done(&plan, false)?,
                LandOutcome::Waits { reason } => tick.push(None, waits(reason)),
                // What has moved already is never too late.
                LandOutcome::TooLate => {}
            }
        }
        Ok(())
    }

    /// Asks for the OK in one issue's thread; false if that was done before.
    pub(super) async fn ask_for_ok(
        &self,
        candidate: &Candidate,
        commit: &CandidateCommit,
    ) -> Result<bool, String> {
        let issue = &commit.claim.issue;
        let id = candidate.id();
        self.poster.settled(issue).await.map_err(|e| chain(&e))?;
        let comments = self
            .tracker
            .comments(issue)
            .await
            .map_err(|e| chain(&e))?
            .value;
        let thread = crate::thread::Thread::derive(issue, &comments, &self.protocol);
        let asked = thread
            .status_memos("result")
            .any(|(_, m)| m.fields.one("candidate") == Some(id.as_str()));
        if asked {
            return Ok(false);
        }
        self.poster
            .post(issue, self.result_memo(candidate, commit))
            .await
            .map_err(|e| chain(&e))?;
        self.tell_person(
            Some(issue),
            format!("ok:{}", id.as_str()),
            self.how_to_approve(candidate),
        );
        Ok(true)
    }

    /// Returns what a person has to do for the OK.
    pub(in crate::stages) fn how_to_approve(&self, candidate: &Candidate) -> String {
        let id = candidate.id();
        let command = &self.settings.command;
        let mut how = format!(
            "`{command} review {id}` shows the merged diff, `{command} approve {id}` gives the OK"
        );
        let classes = hold_flags(candidate);
        if !classes.is_empty() {
            how.push_str(&format!(" (held until named: {classes})"));
        }
        how
    }

    fn result_memo(&self, candidate: &Candidate, commit: &CandidateCommit) -> Memo {
        let id = candidate.id();
        let issues: Vec<&str> = candidate
            .commits
            .iter()
            .map(|c| c.claim.issue.as_str())
            .collect();
        let mut f = Fields::new()
            .with("kind", "result")
            .with("issue", commit.claim.issue.as_str())
            .with("ref", commit.claim.comment.to_string())
            .with("candidate", id.as_str())
            .with("target", encode_value(candidate.base.target.as_str()))
            .with("base-commit", candidate.base.commit.as_str())
            .with("tree", commit.tree.as_str())
            .with(
                "verified",
                match &candidate.verification {
                    Some(v) if v.verified => "yes",
                    Some(_) => "nothing to run",
                    None => "no",
                },
            );
        for issue in &issues {
            f.push("with", *issue);
        }
        for path in commit.drift.iter().take(50) {
            f.push("drift", encode_value(path));
        }
        let mut text = format!(
            "The patch is merged locally as candidate {id} ({}) and nothing is committed yet.\n\n{}, or comment \
             `OK {id}` where that is configured. The OK is for the whole candidate.",
            issues.join(", "),
            self.how_to_approve(candidate)
        );
        let mut said = vec![format!("{} file(s) touched", commit.touched.len())];
        said.extend(
            commit
                .drift
                .iter()
                .take(50)
                .map(|p| format!("outside the declared files: {p}")),
        );
        said.extend(commit.holds.iter().map(|h| format!("held: {h}")));
        text.push_str("\n\n");
        text.push_str(&quote(&said.join("\n")));
        Memo::new(MemoKind::WorkStatus, f, text)
    }

    /// Lands the sealed candidate if its OK is there; true if it landed.
    pub(super) async fn try_to_land(
        &self,
        session: &mut dyn Integration,
        tick: &mut Tick,
    ) -> Result<bool, PipelineError> {
        let Some(candidate) = session.candidate().cloned() else {
            return Ok(false);
        };
        let Some(approval) = self.ask_gates(&candidate, tick).await else {
            return Ok(false);
        };
        let plan = session.prepare(&approval).await.map_err(integrate_error)?;
        for _ in 0..MOST_FENCES {
            let began = self.clock.elapsed();
            if let Some(why) = self.fence_all(session, &candidate, &plan).await? {
                // The next tick takes the candidate apart; whoever gave the OK is told why it did not land.
                tick.push(
                    None,
                    waits(format!("candidate {} does not land: {why}", candidate.id())),
                );
                return Ok(false);
            }
            if self.clock.elapsed().saturating_sub(began) <= FENCE_AGE {
                return self.land(session, &plan, &approval, tick, began).await;
            }
        }
        tick.push(
            None,
            waits("the tracker answers too slowly for a safe landing: the next tick tries again"),
        );
        Ok(false)
    }

    async fn fence_all(
        &self,
        session: &dyn Integration,
        candidate: &Candidate,
        plan: &LandingPlan,
    ) -> Result<Option<String>, PipelineError> {
        let locks = self.settled_locks(session).await?;
        for c in &candidate.commits {
            match self
                .fence(session, &locks, &c.claim, &c.patch, &plan.old)
                .await?
            {
                Fenced::Open => {}
                Fenced::Landed(commit) => {
                    if let Err(error) = self.say_landed(&c.claim, &commit).await {
                        tracing::warn!(issue = %c.claim.issue, error = chain(&error), "its thread does not say that it landed");
                    }
                    return Ok(Some(format!(
                        "{} has landed before, as {}",
                        c.claim.issue,
                        commit.short()
                    )));
                }
                Fenced::Closed(why) => return Ok(Some(format!("{}: {why}", c.claim.issue))),
            }
        }
        Ok(None)
    }

    async fn land(
        &self,
        session: &mut dyn Integration,
        plan: &LandingPlan,
        approval: &Approval<LocalDiff>,
        tick: &mut Tick,
        fenced_at: Duration,
    ) -> Result<bool, PipelineError> {
        self.journal
            .append(self.now(), &Record::LandIntent { plan: plan.clone() })
            .map_err(journal_error)?;
        let by = LandBy::new(Arc::clone(&self.clock), fenced_at.saturating_add(FENCE_AGE));
        match session
            .land(plan, approval, &by)
            .await
            .map_err(integrate_error)?
        {
            LandOutcome::Landed => {
                self.after_landing(session, plan, tick).await?;
                self.landing_done(plan, true)?;
                Ok(true)
            }
            LandOutcome::Waits { reason } => {
                self.landing_done(plan, false)?;
                let cause = format!("landing-waits:{}", plan.candidate.as_str());
                self.tell_person(None, cause, reason.clone());
                tick.push(None, waits(reason));
                Ok(false)
            }
            LandOutcome::TooLate => {
                self.landing_done(plan, false)?;
                tick.push(
                    None,
                    waits(
                        "the disk was too slow for a safe landing, nothing has moved: the next tick looks at the \
                         tracker anew and tries again",
                    ),
                );
                Ok(false)
            }
            LandOutcome::BaseMoved => {
                self.landing_done(plan, false)?;
                tick.push(
                    None,
                    waits("the base moved right before the landing: the candidate is rebuilt"),
                );
                Ok(false)
            }
            LandOutcome::EditedMeanwhile { detail } => {
                // The ref has moved: the intent stays open, so that every tick says so until it is mended.
                self.tell_person(
                    None,
                    format!("edited:{}", plan.candidate.as_str()),
                    detail.clone(),
                );
                tick.push(None, failed(detail));
                Ok(false)
            }
        }
    }

    async fn after_landing(
        &self,
        session: &mut dyn Integration,
        plan: &LandingPlan,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        for (claim, commit) in &plan.commits {
            if let Err(e) = self.say_landed(claim, commit).await {
                // The trailers say it too; the fence will find them.
                tick.push(
                    Some(&claim.issue),
                    failed(format!(
                        "landed, but its thread does not say so: {}",
                        chain(&e)
                    )),
                );
            }
            self.observer.observe(&Event::Wrote {
                issue: claim.issue.clone(),
                what: format!("landed as {}", commit.short()),
            });
            tick.push(
                Some(&claim.issue),
                done(format!("landed as {} on {}", commit.short(), plan.target)),
            );
            if let Some(step) = self
                .settings
                .after_landing
                .clone()
                .and_then(Transition::after_landing)
                && let Err(e) = self.poster.move_only(&claim.issue, &step).await
            {
                tick.push(
                    Some(&claim.issue),
                    failed(format!("landed, but not moved: {}", chain(&e))),
                );
            }
        }
        // One that was begun since is none of this landing's.
        let landed = |c: &Candidate| c.id() == plan.candidate;
        if session.candidate().is_some_and(landed) {
            session.discard().await.map_err(integrate_error)?;
        }
        // Whether the remote has it or not, it has landed: a push that cannot be tried keeps no landing open.
        let pushed = match session.push(&plan.new).await {
            Ok(pushed) => pushed,
            Err(error) => PushOutcome::Refused {
                detail: chain(&error),
            },
        };
        match pushed {
            PushOutcome::Off => {}
            PushOutcome::Pushed => tick.push(
                None,
                done(format!("{} pushed to its upstream", plan.target)),
            ),
            PushOutcome::Refused { detail } => {
                let what = format!(
                    "the remote did not take {}: it stays local, nothing is rebased; pull, merge and push it yourself \
                     ({detail})",
                    plan.target
                );
                self.tell_person(
                    None,
                    format!("push:{}:{}", plan.target, plan.new),
                    what.clone(),
                );
                tick.push(None, waits(what));
            }
        }
        Ok(())
    }

    fn landing_done(&self, plan: &LandingPlan, landed: bool) -> Result<(), PipelineError> {
        let record = Record::LandDone {
            candidate: plan.candidate.as_str().to_owned(),
            landed,
        };
        self.journal
            .append(self.now(), &record)
            .map(|_| ())
            .map_err(journal_error)
    }

    /// Asks every gate for the OK and returns the proof, or says what is missing.
    async fn ask_gates(
        &self,
        candidate: &Candidate,
        tick: &mut Tick,
    ) -> Option<Approval<LocalDiff>> {
        let why: Vec<String> = match ask(&self.gates, candidate).await {
            Ok(Asked::Approved(approval)) => return Some(approval),
            Ok(Asked::Pending { ignored, .. }) if self.gates.is_empty() => {
                let none = "no place for the OK is configured: set [gates] local_ok".to_owned();
                ignored.into_iter().chain([none]).collect()
            }
            Ok(Asked::Pending { ignored, .. }) => ignored,
            Ok(Asked::Refused {
                reasons, ignored, ..
            }) => reasons
                .iter()
                .map(ToString::to_string)
                .chain(ignored)
                .collect(),
            Err(e) => vec![chain(&e)],
        };
        let mut text = format!(
            "candidate {} waits for its OK: {}",
            candidate.id(),
            self.how_to_approve(candidate)
        );
        if !why.is_empty() {
            text.push_str(&format!(
                "; what was said so far does not count: {}",
                why.join("; ")
            ));
        }
        tick.push(None, waits(text));
        None
    }
}

fn hold_flags(candidate: &Candidate) -> String {
    let mut flags: Vec<String> = candidate.holds().map(|h| h.lifted_by()).collect();
    flags.sort();
    flags.dedup();
    flags.join(", ")
}

fn journal_error(source: crate::journal::JournalError) -> PipelineError {
    PipelineError::Journal {
        stage: Stage::Integrate,
        source,
    }
}
