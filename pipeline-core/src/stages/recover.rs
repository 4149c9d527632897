//! Recovery and tidying by hand: what dead processes left, and what nobody needs any more.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::Tick;
use super::failed;
use super::nothing;
use super::waits;
use super::would;
use crate::agent::RunId;
use crate::event::Stage;
use crate::integrate::OpenOutcome;
use crate::issue::IssueKey;
use crate::journal::Entry;
use crate::journal::Record;
use crate::journal::aloud;
use crate::journal::still_open;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::Outcome;
use crate::report::TickReport;
use crate::report::chain;
use crate::runner::RunTable;
use crate::workspace::PatchId;

/// A run of this machine that lies in the run table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOver {
    /// The run.
    pub run: RunId,
    /// Its issue, where its folder says.
    pub issue: Option<IssueKey>,
    /// Its patch, if it made one.
    pub patch: Option<PatchId>,
    /// Whether it may go.
    pub may_go: bool,
    /// Why it may go, or why it stays and what to do.
    pub reason: String,
}

impl Pipeline {
    /// Ends, keeps and completes what dead processes left, and starts nothing new. A dry run says what would be done.
    ///
    /// The ordinary ticks do the same; this is for a person who wants to see it.
    ///
    /// # Errors
    /// [`PipelineError`] if journal, locks or run table cannot be read at all.
    ///
    /// # Cancel safety
    /// May be dropped or killed anywhere and be repeated.
    pub async fn recover(&self, dry_run: bool) -> Result<TickReport, PipelineError> {
        let stage = Stage::Dispatch;
        let mut tick = Tick::begin(self, stage);
        if !dry_run {
            self.restart(&mut tick).await?;
            let locks = self.read_locks(&BTreeSet::new()).await?;
            self.end_outdated(&locks, &mut tick).await;
            self.claim_anew(&locks, &mut tick).await;
            self.complete_landings(&mut tick).await?;
        }
        let running: BTreeSet<RunId> = match &self.runner {
            Some(runner) => runner
                .running(&self.settings.repo)
                .await
                .map_err(|e| PipelineError::Refused(chain(&e)))?
                .into_iter()
                .map(|r| r.run)
                .collect(),
            None => BTreeSet::new(),
        };
        let entries = self
            .journal
            .entries()
            .map_err(|source| PipelineError::Journal { stage, source })?;
        for entry in still_open(&entries) {
            let (issue, outcome) = left(entry, &running, dry_run);
            tick.push(issue, outcome);
        }
        Ok(tick.end(self))
    }

    async fn read_locks(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, PipelineError> {
        let stage = Stage::Dispatch;
        self.locks
            .live(own)
            .await
            .map_err(|source| PipelineError::Locks { stage, source })
    }

    async fn complete_landings(&self, tick: &mut Tick) -> Result<(), PipelineError> {
        let Some(integrator) = &self.integrator else {
            return Ok(());
        };
        for target in self.settings.targets.all() {
            match integrator.open(&target).await {
                Ok(OpenOutcome::Opened(mut session)) => {
                    if let Err(e) = self.finish_landings(&mut *session, tick).await {
                        tick.push(None, failed(format!("target {target}: {}", chain(&e))));
                    }
                }
                Ok(OpenOutcome::Busy) => tick.push(
                    None,
                    waits(format!("target {target}: another integrator is at work")),
                ),
                Err(e) => tick.push(None, failed(format!("target {target}: {}", chain(&e)))),
            }
        }
        Ok(())
    }

    /// Says of every run in the table whether it may go, and why. Removes nothing.
    ///
    /// A run may go only for a positive reason, and not before `grace` has passed since it ended: its round has landed,
    /// or it left nothing behind that could be lost.
    ///
    /// # Errors
    /// [`PipelineError`] if locks or run table cannot be read at all.
    pub async fn leftovers(
        &self,
        table: &RunTable,
        grace: Duration,
    ) -> Result<Vec<LeftOver>, PipelineError> {
        let locks = self.read_locks(&BTreeSet::new()).await?;
        let refused = |e| PipelineError::Refused(chain(&e));
        let mut out = Vec::new();
        for run in table.runs().map_err(refused)? {
            out.push(self.left_over(table, &locks, grace, &run));
        }
        Ok(out)
    }

    fn left_over(
        &self,
        table: &RunTable,
        locks: &LockView,
        grace: Duration,
        run: &RunId,
    ) -> LeftOver {
        let request = table.request(run).ok().flatten();
        let issue = request.as_ref().map(|r| r.issue.clone());
        let stays = |reason: String, patch: Option<PatchId>| LeftOver {
            run: run.clone(),
            issue: issue.clone(),
            patch,
            may_go: false,
            reason,
        };
        if table.is_running(run) {
            return stays("it is at work".into(), None);
        }
        let result = match table.result(run) {
            Ok(Some(result)) => result,
            Ok(None) => {
                return stays(
                    "its process died: `recover` ends it and keeps what it wrote".into(),
                    None,
                );
            }
            Err(e) => return stays(format!("it cannot be read: {}", chain(&e)), None),
        };
        let patch = result
            .patch
            .as_ref()
            .filter(|p| !p.is_empty())
            .map(|p| p.id().clone());
        if let Some(kept) = result.kept.as_ref().filter(|k| k.reference.is_none()) {
            return stays(
                format!("only its workspace holds what it wrote: {}", kept.detail),
                patch,
            );
        }
        if !matches!(table.workspace(run), Ok(None)) {
            return stays(
                "its workspace is not taken back yet: the next dispatch does it".into(),
                patch,
            );
        }
        let age = self.now().since(result.ended);
        if age < grace {
            let days = grace.as_secs() / 86_400;
            return stays(
                format!("it ended at {}, less than {days} day(s) ago", result.ended),
                patch,
            );
        }
        let goes = |reason: String, patch| LeftOver {
            may_go: true,
            ..stays(reason, patch)
        };
        let wrote = patch.is_some() || result.kept.is_some();
        if !wrote {
            return goes(
                format!("it ended at {} and wrote nothing", result.ended),
                patch,
            );
        }
        match locks.state.round_of_run(run) {
            Some((issue, round)) if locks.state.has_landed(issue, round) => {
                goes(format!("the round of {issue} has landed"), patch)
            }
            Some((issue, _)) => stays(
                format!(
                    "its work on {issue} has not landed: look at it, and remove its ref by hand if nobody needs it"
                ),
                patch,
            ),
            None => stays(
                "no claim that can be read names it: remove its ref by hand if nobody needs it"
                    .into(),
                patch,
            ),
        }
    }
}

/// Says what becomes of one record that is not over.
fn left<'a>(
    entry: &'a Entry,
    running: &BTreeSet<RunId>,
    dry_run: bool,
) -> (Option<&'a IssueKey>, Outcome) {
    let said = aloud(entry);
    match &entry.record {
        Record::ClaimWon { issue, run, .. } if running.contains(run) => {
            (Some(issue), nothing(format!("{said}; it is at work")))
        }
        Record::ClaimWon { issue, .. } if dry_run => (
            Some(issue),
            would(format!(
                "end what is left of it, keep what it wrote, release its claim: {said}"
            )),
        ),
        Record::ClaimWon { issue, .. } => (
            Some(issue),
            waits(format!("{said}; whoever began it may still be closing it")),
        ),
        Record::LandIntent { .. } if dry_run => (None, would(format!("complete it: {said}"))),
        Record::LandIntent { .. } => (None, waits(format!("not completed: {said}"))),
        Record::PostIntent { issue, .. } => (
            Some(issue),
            nothing(format!(
                "{said}; what is missing is posted by the next tick"
            )),
        ),
        _ => (None, nothing(said)),
    }
}
