//! Integrate: the one integrator applies and verifies patches, asks for the OK, and lands.

mod batch;
mod fence;
mod land;
mod queue;
mod returned;
mod seal;
mod submission;
mod verifying;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

pub(super) use self::returned::GoesBack;
use super::Tick;
use super::failed;
use super::nothing;
use super::waits;
use super::would;
use crate::event::Stage;
use crate::integrate::Candidate;
use crate::integrate::Integration;
use crate::integrate::OpenOutcome;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::report::chain;
use crate::workspace::CommitId;
use crate::workspace::Target;

/// Which bases fail the team's checks by themselves, by commit and commands.
#[derive(Debug, Default)]
pub(crate) struct FailingBases(Mutex<BTreeMap<(CommitId, String), String>>);

impl FailingBases {
    fn why(&self, base: &CommitId, commands: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(base.clone(), commands.to_owned())).cloned()
    }

    fn remember(&self, base: &CommitId, commands: &str, why: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((base.clone(), commands.to_owned()), why.to_owned());
    }
}

impl Pipeline {
    /// Makes one tick of integrate, for every target.
    ///
    /// # Errors
    /// [`PipelineError`] if no integrator is configured; what concerns one target or issue stands in the report.
    ///
    /// # Cancel safety
    /// May be dropped or killed anywhere; the next tick goes on, a landing is rolled forward.
    pub async fn integrate(&self, options: &TickOptions) -> Result<TickReport, PipelineError> {
        let stage = Stage::Integrate;
        let Some(integrator) = &self.integrator else {
            return Err(PipelineError::Missing {
                stage,
                what: "an integrator",
            });
        };
        let mut tick = Tick::begin(self, stage);
        for target in self.settings.targets.all() {
            if options.dry_run {
                self.foresee(&target, &mut tick).await?;
                continue;
            }
            match integrator.open(&target).await {
                Ok(OpenOutcome::Opened(mut session)) => {
                    if let Err(e) = self.integrate_target(&mut *session, &mut tick).await {
                        tick.push(None, failed(format!("target {target}: {}", chain(&e))));
                    }
                }
                Ok(OpenOutcome::Busy) => {
                    tick.push(
                        None,
                        waits(format!("target {target}: another integrator is at work")),
                    );
                }
                Err(e) => tick.push(None, failed(format!("target {target}: {}", chain(&e)))),
            }
        }
        Ok(tick.end(self))
    }

    /// Says what a tick would do, without opening a session.
    async fn foresee(&self, target: &Target, tick: &mut Tick) -> Result<(), PipelineError> {
        let stage = Stage::Integrate;
        let locks = self
            .locks
            .live(&Default::default())
            .await
            .map_err(|source| PipelineError::Locks { stage, source })?;
        let waiting = match &self.integrator {
            Some(i) => i
                .candidates()
                .await
                .map_err(|source| PipelineError::Integrate { stage, source })?,
            None => Vec::new(),
        };
        let candidate: Option<&Candidate> = waiting.iter().find(|c| c.base.target == *target);
        let joined = |nonce: &str| {
            candidate.is_some_and(|c| c.commits.iter().any(|x| x.claim.nonce == nonce))
        };
        for h in self.submitted(&locks, target) {
            if !joined(&h.nonce) {
                tick.push(Some(&h.issue), would("apply and verify its patch"));
            }
        }
        match candidate {
            Some(c) if c.sealed => {
                tick.push(
                    None,
                    waits(format!("candidate {} on {target} waits for its OK", c.id())),
                );
            }
            Some(c) => tick.push(
                None,
                would(format!("seal candidate {} on {target}", c.id())),
            ),
            None => tick.push(None, nothing(format!("no candidate on {target}"))),
        }
        Ok(())
    }

    /// Brings one target as far as it goes without a person.
    pub(super) async fn integrate_target(
        &self,
        session: &mut dyn Integration,
        tick: &mut Tick,
    ) -> Result<(), PipelineError> {
        self.finish_landings(session, tick).await?;
        let mut locks = self.settled_locks(session).await?;
        if self.end_deleted(&locks, tick).await {
            locks = self.settled_locks(session).await?;
        }
        let idle = session.candidate().is_none();
        if idle && self.submitted(&locks, session.target()).next().is_none() {
            // Reading again would cost a request and find nothing to do: what is handed over now is the next tick's.
            return Ok(());
        }
        self.keep_parked(&locks, session.target()).await;
        self.drop_what_is_over(session, &locks, tick).await?;
        if session.candidate().is_some_and(|c| c.sealed) {
            // Asks again in every thread that lacks the result memo: a crash or a lost post stands in no OK's way.
            self.seal(session, tick).await?;
            let landed = self.try_to_land(session, tick).await?;
            if !landed {
                return Ok(());
            }
        }
        let locks = self.settled_locks(session).await?;
        self.take_queue(session, &locks, tick).await?;
        self.seal(session, tick).await?;
        if session.candidate().is_some_and(|c| c.sealed) {
            self.try_to_land(session, tick).await?;
        }
        Ok(())
    }
}

pub(super) fn integrate_error(source: crate::integrate::IntegrateError) -> PipelineError {
    PipelineError::Integrate {
        stage: Stage::Integrate,
        source,
    }
}
