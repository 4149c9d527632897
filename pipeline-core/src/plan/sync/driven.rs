//! Issues that somebody else makes: announced before, found and linked after.

use std::collections::BTreeSet;

use super::PlanError;
use super::PlanSync;
use super::PlanWatch;
use super::SyncPlan;
use super::SyncReport;
use super::apply::announced;
use crate::journal::Record;

/// What came of issues that were [handed over](PlanSync::hand_over).
#[derive(Debug)]
pub struct TakenBack {
    /// What was linked.
    pub report: SyncReport,
    /// How plan and tracker stand now: what was not made, and what is not as the plan says.
    pub now: SyncPlan,
}

impl PlanSync {
    /// Announces that somebody else is about to make the issues of a plan.
    ///
    /// Whatever becomes of this process, the next [`look`](Self::look) waits until none of them can be under way any more.
    ///
    /// # Errors
    /// [`PlanError::Problems`] and [`PlanError::Journal`]; nothing may be made then.
    pub fn hand_over(&self, plan: &SyncPlan) -> Result<(), PlanError> {
        plan.check()?;
        for (file, item, draft) in plan.creations() {
            self.record(&announced(file, item, draft))
                .map_err(PlanError::Journal)?;
        }
        Ok(())
    }

    /// Links what was made, and makes nothing: to be called when nobody makes anything any more.
    ///
    /// # Errors
    /// As [`look`](Self::look) and [`apply`](Self::apply).
    ///
    /// # Cancel safety
    /// A dropped future may have linked a part: the next run links the rest.
    pub async fn take_back(
        &self,
        handed: &SyncPlan,
        files: &[String],
        phases: &[String],
        watch: &dyn PlanWatch,
    ) -> Result<TakenBack, PlanError> {
        let found = self.look(files, phases).await?;
        let missing: BTreeSet<_> = found.creations().map(|(_, i, _)| &i.fingerprint).collect();
        for (_, item, _) in handed.creations() {
            if missing.contains(&item.fingerprint) {
                let item = item.fingerprint.as_str().to_owned();
                self.record(&Record::PlanIssueDropped { item })
                    .map_err(PlanError::Journal)?;
            }
        }
        let report = self.apply(&found.without_creations(), watch).await?;
        let now = self.look(files, phases).await?;
        Ok(TakenBack { report, now })
    }
}

impl SyncPlan {
    /// Fails if something has to be put right before anything is made.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(PlanError::Problems {
            problems: self.problems.clone(),
        })
    }
}
