//! Dispatch: gate, conflicts, lock, run, submit. As many runs side by side as there are free slots.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tick;
use super::brakes::Wanted;
use super::done;
use super::failed;
use super::slots::Free;
use super::waits;
use super::wanted;
use super::would;
use crate::agent::RunId;
use crate::conflict::ConflictKey;
use crate::conflict::ResourceSet;
use crate::conflict::Scope as ConflictScope;
use crate::conflict::planner::Candidate;
use crate::conflict::planner::Held;
use crate::conflict::planner::PlanOptions;
use crate::conflict::planner::WaitsFor;
use crate::conflict::planner::plan;
use crate::dossier::Dossier;
use crate::dossier::render;
use crate::event::Event;
use crate::event::Stage;
use crate::footprint::Footprint;
use crate::gate::StartPermit;
use crate::issue::IssueKey;
use crate::issue_state::IssueState;
use crate::issue_state::in_round;
use crate::ledger::InFlight;
use crate::local_check::Answer;
use crate::local_check::Estimate;
use crate::lock::Claim;
use crate::lock::FIRST_LEASE;
use crate::lock::LockOutcome;
use crate::lock::LockRequest;
use crate::lock::LockView;
use crate::lock::WorkLock;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::random;
use crate::report::Outcome;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::settings::AgentRole;
use crate::settings::Slot;
use crate::start::NotStarted;
use crate::start::Started;
use crate::start::started;
use crate::status::Status;
use crate::status::Transition;
use crate::thread::CheckMemo;
use crate::workspace::BaseRevision;
use crate::workspace::Target;

/// An approved issue that a run could begin on.
pub(super) struct Waiting {
    pub(super) mirrored: Arc<Mirrored>,
    target: Target,
    footprint: Footprint,
    files: Vec<String>,
    pub(super) round: crate::issue::EventId,
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
                super::nothing(format!("a run holds it (claim {claim}, until {until})"))
            }
            IssueState::Submitted { patch, .. } => {
                super::nothing(format!("patch {} waits for integration", patch.short()))
            }
            IssueState::Landed => super::nothing("its patch has landed in this round"),
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
                super::nothing("it may start")
            }
        }
    }

    /// Makes the automatic start move where it is configured and all seven answers are yes.
    async fn start_automatically(&self, locks: &LockView, options: &TickOptions, tick: &mut Tick) {
        if !self.settings.start.automatic {
            return;
        }
        for m in locks
            .view
            .in_status(&Status::SpecReview)
            .filter(|m| wanted(self, m, options))
        {
            let key = &m.issue.key;
            let thread = m.thread(&self.protocol);
            if locks.distrust(key).is_some() || self.needs_check(m, &thread, false).is_some() {
                continue;
            }
            let Some(check) = thread.checks().next_back() else {
                continue;
            };
            // A person who moved it back after this check has the last word.
            let moved_since = m.history.iter().any(|e| {
                e.to == Status::InProgress && e.after_comment.is_some_and(|c| c >= check.comment.id)
            });
            if moved_since {
                continue;
            }
            let answers = self.seven(&check, m, locks);
            if answers.iter().any(|(_, a)| *a != Answer::Yes) {
                continue;
            }
            let permit = StartPermit::mint(key.clone(), check.text.whole().to_owned());
            let mut fields = Fields::new()
                .with("kind", "permit")
                .with("issue", key.as_str());
            for (name, answer) in &answers {
                fields.push("answer", format!("{name} {answer}"));
            }
            fields.push("text", permit.text_digest());
            let memo = Memo::new(
                MemoKind::WorkStatus,
                fields,
                "All seven answers are yes and the automatic start is configured.".into(),
            );
            // The thread was read before what a dead process posted could be seen.
            if let Err(e) = self.poster.settled(key).await {
                tick.push(Some(key), failed(chain(&e)));
                continue;
            }
            let thread = match self.tracker.comments(key).await {
                Ok(now) => crate::thread::Thread::derive(key, &now.value, &self.protocol),
                Err(e) => {
                    tick.push(Some(key), failed(chain(&e)));
                    continue;
                }
            };
            let standing =
                thread
                    .status_memos("permit")
                    .next_back()
                    .is_some_and(|(c, permitted)| {
                        permitted.fields.one("text") == Some(permit.text_digest())
                            && thread
                                .entries()
                                .last()
                                .is_some_and(|e| e.comment.id == c.id)
                    });
            let step = Transition::start(&permit);
            let moved = if standing {
                self.poster.move_only(key, &step).await
            } else {
                self.poster.post_and_move(key, memo, &step).await
            };
            match moved {
                Ok(()) => tick.push(
                    Some(key),
                    done("started automatically; it is dispatched by the next tick"),
                ),
                Err(e) => tick.push(Some(key), failed(chain(&e))),
            }
        }
    }

    fn seven(
        &self,
        check: &CheckMemo<'_>,
        m: &Mirrored,
        locks: &LockView,
    ) -> [(&'static str, Answer); 7] {
        let not = |a: Answer| match a {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Unknown => Answer::Unknown,
        };
        let footprint = Footprint::from_candidates(check.candidate_files());
        let target = self.settings.targets.of(&m.issue);
        let resources = self.resources(&m.issue.key, target, &footprint);
        let overlap = locks.state.blocker(&resources, locks.date).is_some();
        [
            ("can-start", check.can_start),
            ("blockers", Answer::of(check.blockers == 0)),
            (
                "estimate",
                check
                    .estimate
                    .map_or(Answer::Unknown, |e| Answer::of(e <= Estimate::Medium)),
            ),
            ("db-change", not(check.db_change)),
            ("production-data", not(check.production_data)),
            ("overlap", Answer::of(!overlap)),
            ("decisions", Answer::of(check.pending == 0)),
        ]
    }

    pub(super) fn resources(
        &self,
        issue: &IssueKey,
        target: &Target,
        footprint: &Footprint,
    ) -> ResourceSet {
        let scope = ConflictScope::new(&self.settings.repo, target.as_str());
        ResourceSet::new(
            scope,
            issue.as_str(),
            self.conflicts.keys(target, footprint),
        )
    }

    /// Picks what can run beside what runs already, and says of the rest what it waits for.
    fn pick(
        &self,
        waiting: Vec<Waiting>,
        locks: &LockView,
        free: &Free,
        tick: &mut Tick,
    ) -> Vec<(Waiting, Slot)> {
        let candidates: Vec<Candidate> = waiting
            .iter()
            .map(|w| {
                let key = &w.mirrored.issue.key;
                let resources = self.resources(key, &w.target, &w.footprint);
                let started = w
                    .mirrored
                    .history
                    .iter()
                    .find(|e| e.id == w.round)
                    .map(|e| e.at);
                Candidate::new(key.as_str(), resources.keys().cloned().collect())
                    .on(w.target.as_str())
                    .with_priority(w.mirrored.issue.priority)
                    .having_waited(locks.date.since(started.unwrap_or(locks.date)))
            })
            .collect();
        let held: Vec<Held> = locks
            .state
            .blocking(locks.date)
            .filter(|h| h.claim.resources.scope().repo == self.settings.repo)
            .map(|h| {
                // The stricter answer holds: what was posted, and what its files mean under today's rules.
                let mut keys: Vec<ConflictKey> = h.claim.resources.keys().cloned().collect();
                if !h.claim.files.is_empty() {
                    let footprint = Footprint::from_candidates(&h.claim.files);
                    keys.extend(self.conflicts.keys(&h.claim.base.target, &footprint));
                }
                Held::new(
                    h.issue.as_str(),
                    h.claim.resources.scope().target.as_str(),
                    keys,
                )
            })
            .collect();
        let plan = plan(
            &candidates,
            &held,
            &PlanOptions::default().with_slots(free.slots.len()),
        );
        for left in &plan.left_out {
            let Some(w) = waiting.get(left.candidate) else {
                continue;
            };
            let name = |i: usize| candidates.get(i).map_or("another issue", |c| c.id.as_str());
            let why = match &left.waits_for {
                WaitsFor::Held { held: at, key, .. } => {
                    let by = held.get(*at).map_or("another issue", |h| h.id.as_str());
                    format!("{by}, which holds {key}")
                }
                WaitsFor::Picked { candidate, key, .. } => {
                    format!("{}, which starts now and takes {key}", name(*candidate))
                }
                WaitsFor::Elder { candidate, key, .. } => {
                    format!("{}, which has waited long for {key}", name(*candidate))
                }
                _ => match &free.withheld {
                    Some(why) => format!("a worker slot that may be used ({why})"),
                    None => "a free worker slot".to_owned(),
                },
            };
            tick.push(
                Some(&w.mirrored.issue.key),
                waits(format!("it waits for {why}")),
            );
        }
        let mut slots = free.slots.iter().cloned();
        let picked: BTreeSet<usize> = plan.picked.iter().copied().collect();
        waiting
            .into_iter()
            .enumerate()
            .filter(|(i, _)| picked.contains(i))
            .filter_map(|(_, w)| Some((w, slots.next()?)))
            .collect()
    }

    /// Locks the batch, begins what was won, and waits for all of it.
    async fn begin(&self, batch: Vec<(Waiting, Slot)>, under_way: &[InFlight], tick: &mut Tick) {
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
