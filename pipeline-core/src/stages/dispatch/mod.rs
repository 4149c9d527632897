//! Dispatch: gate, conflicts, lock, run, submit. As many runs side by side as there are free slots.

mod automatic;
mod begin;
mod pick;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::Stage;
use crate::footprint::Footprint;
use crate::issue::IssueKey;
use crate::issue_state::IssueState;
use crate::issue_state::in_round;
use crate::lock::LockView;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::Outcome;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::stages::Tick;
use crate::stages::done;
use crate::stages::waits;
use crate::stages::wanted;
use crate::stages::would;
use crate::start::NotStarted;
use crate::start::started;
use crate::status::Status;
use crate::workspace::Target;

/// An approved issue that a run could begin on.
pub(in crate::stages) struct Waiting {
    pub(in crate::stages) mirrored: Arc<Mirrored>,
    target: Target,
    footprint: Footprint,
    files: Vec<String>,
    pub(in crate::stages) round: crate::issue::EventId,
    attempt: u32,
}

impl Pipeline {
    /// Makes one tick of dispatch: begins every run that may begin, and returns when all of them have ended.
    ///
    /// Ticks may overlap, in this process and in others.
    ///
    /// # Errors
    /// [`PipelineError`] if tracker or locks cannot be read at all; what concerns one issue stands in the report.
    ///
    /// # Cancel safety
    /// Dropping the future ends the agents; what they wrote is salvaged by the next tick.
    pub async fn dispatch(&self, options: &TickOptions) -> Result<TickReport, PipelineError> {
        let stage = Stage::Dispatch;
        let missing = |what| PipelineError::Missing { stage, what };
        if self.runner.is_none() {
            return Err(missing("an agent"));
        }
        if self.integrator.is_none() || self.workspaces.is_none() {
            return Err(missing("a repository"));
        }
        let mut tick = Tick::begin(self, stage);
        if !options.dry_run {
            self.restart(&mut tick).await?;
        }
        let locks = self
            .locks
            .live(&BTreeSet::new())
            .await
            .map_err(|source| PipelineError::Locks { stage, source })?;
        if !options.dry_run {
            self.end_outdated(&locks, &mut tick).await;
            self.claim_anew(&locks, &mut tick).await;
            self.start_automatically(&locks, options, &mut tick).await;
        }
        let mut waiting = Vec::new();
        for m in locks
            .view
            .in_status(&Status::InProgress)
            .filter(|m| wanted(self, m, options))
        {
            match self.look_at(m, &locks, options).await {
                Ok(w) => waiting.push(w),
                Err(outcome) => tick.push(Some(&m.issue.key), outcome),
            }
        }
        let free = self.free_slots(&locks).await?;
        let waiting = self.within_brakes(waiting, &free, &mut tick);
        let batch = self.pick(waiting, &locks, &free, &mut tick);
        if options.dry_run {
            for (w, slot) in &batch {
                let what = format!("lock it and begin attempt {} in {}", w.attempt, slot.name);
                tick.push(Some(&w.mirrored.issue.key), would(what));
            }
            return Ok(tick.end(self));
        }
        self.begin(batch, &free.under_way, &mut tick).await;
        Ok(tick.end(self))
    }

    /// Decides whether a run may begin on an issue, but for conflicts and slots.
    async fn look_at(
        &self,
        m: &Arc<Mirrored>,
        locks: &LockView,
        options: &TickOptions,
    ) -> Result<Waiting, Outcome> {
        let key = &m.issue.key;
        if let Some(t) = locks.distrust(key) {
            return Err(self.tampered(key, t.comment, &t.reason));
        }
        let thread = m.thread(&self.protocol);
        let started = match started(m, &thread, &self.settings.start, &self.protocol) {
            Ok(started) => started,
            Err(why) => return Err(self.not_started(m, locks, options, &thread, why).await),
        };
        let round = started.approval.round();
        let state = in_round(
            key,
            round,
            &locks.state,
            locks.date,
            self.settings.max_attempts,
        );
        let attempt = match state {
            IssueState::Ready { attempt } | IssueState::Returned { attempt, .. } => attempt,
            other => return Err(self.in_state(key, round, &other)),
        };
        let finished = locks.state.orphans(locks.date).into_iter().find(|o| {
            let ours = o.claim.integrator.id == self.settings.integrator.id;
            ours && o.issue == *key && o.claim.round == round
        });
        if let Some(orphan) = finished {
            return Err(waits(format!(
                "patch {} is finished and is claimed anew: no other run begins",
                orphan.patch.short()
            )));
        }
        if let Some(until) = self
            .backs_off(key, round, attempt)
            .filter(|_| !options.again)
        {
            return Err(waits(format!(
                "attempt {} failed: the next one begins after {until}",
                attempt - 1
            )));
        }
        if started.check.blockers > 0 {
            let what = format!(
                "{key} is held: its check names {} open blocker(s); clear them up in the thread, then it is checked \
                 again",
                started.check.blockers
            );
            self.tell_person(
                Some(key),
                format!("blocked:{key}:{}", started.check.comment.id),
                what.clone(),
            );
            return Err(waits(what));
        }
        let mut files = started.check.candidate_files();
        // As soon as it is known what the work really touches, that counts as declared too.
        for path in self.touched_before(&locks.state, key, round).await {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        Ok(Waiting {
            mirrored: Arc::clone(m),
            target: self.settings.targets.of(&m.issue).clone(),
            footprint: Footprint::from_candidates(&files),
            files,
            round,
            attempt,
        })
    }

    async fn not_started(
        &self,
        m: &Arc<Mirrored>,
        locks: &LockView,
        options: &TickOptions,
        thread: &crate::thread::Thread,
        why: NotStarted,
    ) -> Outcome {
        let key = &m.issue.key;
        let round = m.current_round().map_or(0, |r| r.0);
        if !matches!(why, NotStarted::NoCheck | NotStarted::TextChanged { .. }) {
            let what = format!("{key} is not started: {why}");
            self.tell_person(
                Some(key),
                format!("not-started:{key}:{round}"),
                what.clone(),
            );
            return waits(what);
        }
        // Checked once per round and text; after that it is a person's turn.
        let Some(reason) = self.needs_check(m, thread, false) else {
            let what = format!(
                "{key} is not started: {why}. Its newest check is up to date: move it out of `In progress` and in \
                     again"
            );
            self.tell_person(
                Some(key),
                format!("not-started:{key}:{round}"),
                what.clone(),
            );
            return waits(what);
        };
        if options.dry_run {
            return would("check it and ask for a new start move");
        }
        let ask = "This issue was moved to `In progress`, but not on the text as it is now. \
                   Please read this check, then move the issue out of `In progress` and in again to start it.";
        match self.check_now(m, locks, reason, Some(ask)).await {
            Outcome::Done { .. } => done(format!(
                "not started: {why}; it was checked and its memo asks for a new start move"
            )),
            other => other,
        }
    }

    fn in_state(
        &self,
        key: &IssueKey,
        round: crate::issue::EventId,
        state: &IssueState,
    ) -> Outcome {
        match state {
            IssueState::Running { claim, until } => {
                crate::stages::nothing(format!("a run holds it (claim {claim}, until {until})"))
            }
            IssueState::Submitted { patch, .. } => {
                crate::stages::nothing(format!("patch {} waits for integration", patch.short()))
            }
            IssueState::Landed => crate::stages::nothing("its patch has landed in this round"),
            IssueState::Exhausted { attempts } => {
                let what = format!(
                    "{key} used up its {attempts} attempts: read the rework memos, then move it out of `In progress` \
                     and in again for a new round"
                );
                self.tell_person(Some(key), format!("exhausted:{key}:{round}"), what.clone());
                waits(what)
            }
            IssueState::Stopped { reason } => {
                let what = format!(
                    "{key} is stopped, because its last run ended with `{reason}` and another would too: read its \
                     memo, answer in the thread, then move it out of `In progress` and in again for a new round"
                );
                self.tell_person(Some(key), format!("stopped:{key}:{round}"), what.clone());
                waits(what)
            }
            IssueState::Held { reason } => waits(reason.clone()),
            IssueState::NotApproved { reason } => waits(reason.to_string()),
            IssueState::Ready { .. } | IssueState::Returned { .. } => {
                crate::stages::nothing("it may start")
            }
        }
    }
}
