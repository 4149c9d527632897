//! Looking ahead: the current issues as the conflict report wants them.

use std::collections::BTreeSet;

use crate::conflict::report::IssueLine;
use crate::conflict::report::Report;
use crate::footprint::Footprint;
use crate::issue_state::IssueState;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::status::Status;

impl Pipeline {
    /// Returns which of the current issues conflict, why, and in which batches they could run.
    ///
    /// Current are those with a live claim, which come first whatever their priority, then the others In progress
    /// whose work has not landed, then those in Spec/log review that were checked. Nothing is written.
    ///
    /// # Errors
    /// [`PipelineError`] if tracker or locks cannot be read.
    pub async fn conflict_report(&self) -> Result<Report, PipelineError> {
        let locks = self.look(&BTreeSet::new()).await?;
        let mut lines = Vec::new();
        let mut known = BTreeSet::new();
        for h in locks.state.blocking(locks.date) {
            if h.claim.resources.scope().repo != self.settings.repo || !known.insert(&h.issue) {
                continue;
            }
            let line = IssueLine::new(h.issue.as_str(), Footprint::from_candidates(&h.claim.files))
                .on(h.claim.base.target.as_str())
                .with_priority(Some(i64::MIN));
            lines.push(line);
        }
        for status in [Status::InProgress, Status::SpecReview] {
            for m in locks
                .view
                .in_status(&status)
                .filter(|m| self.settings.scope.contains(&m.issue))
            {
                let landed = matches!(self.line(m, &locks)?.state, Some(IssueState::Landed));
                if landed || known.contains(&m.issue.key) {
                    continue;
                }
                if let Some(line) = self.issue_line(m) {
                    lines.push(line);
                }
            }
        }
        Ok(Report::by_target(&lines, |target| {
            self.conflicts.of_name(target).map(|detector| &**detector)
        }))
    }

    /// Returns an issue with the files its latest check named; `None` in review without a check.
    fn issue_line(&self, m: &Mirrored) -> Option<IssueLine> {
        let thread = m.thread(&self.protocol);
        let footprint = match thread.checks().next_back() {
            Some(check) => Footprint::from_candidates(check.candidate_files()),
            None if m.issue.status == Status::SpecReview => return None,
            None => Footprint::unknown(),
        };
        let target = self.settings.targets.of(&m.issue);
        let line = IssueLine::new(m.issue.key.as_str(), footprint).on(target.as_str());
        Some(line.with_priority(m.issue.priority))
    }
}
