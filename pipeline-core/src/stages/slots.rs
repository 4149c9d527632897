//! Where runs can be made now, and which issues may have one.

use std::collections::BTreeSet;

use super::Tick;
use super::brakes::Wanted;
use super::dispatch::Waiting;
use crate::agent::RunId;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::ledger::InFlight;
use crate::ledger::backoff;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::settings::AgentRole;
use crate::settings::Slot;

/// What a tick may begin at most.
pub(super) struct Free {
    /// Slots in which nothing runs, each with an agent that may be used now.
    pub(super) slots: Vec<Slot>,
    /// Why slots in which nothing runs are not used.
    pub(super) withheld: Option<String>,
    /// What is under way.
    pub(super) under_way: Vec<InFlight>,
}

impl Pipeline {
    /// Returns until when the next attempt waits.
    pub(super) fn backs_off(
        &self,
        key: &IssueKey,
        round: EventId,
        attempt: u32,
    ) -> Option<Timestamp> {
        let pause = backoff(attempt.checked_sub(1)?);
        match self.ledger.last_failure(key, round) {
            Ok(last) => last.map(|l| l.plus(pause)).filter(|u| *u > self.now()),
            Err(error) => {
                // Whether a run may begin is asked of the ledger again, and fails there.
                tracing::warn!(issue = %key, error = chain(&error), "the ledger cannot be read");
                None
            }
        }
    }

    /// Returns the slots in which nothing runs: live claims not yet submitted and this machine's runs count.
    pub(super) async fn free_slots(&self, locks: &LockView) -> Result<Free, PipelineError> {
        let mut busy: BTreeSet<String> = locks
            .state
            .blocking(locks.date)
            .filter(|h| {
                h.submitted.is_none() && h.claim.integrator.id == self.settings.integrator.id
            })
            .map(|h| h.claim.agent.clone())
            .collect();
        if let Some(runner) = &self.runner {
            let running = runner.running(&self.settings.repo).await.map_err(|e| {
                PipelineError::Refused(format!("the run table cannot be read: {}", chain(&e)))
            })?;
            busy.extend(running.into_iter().map(|r| r.slot));
        }
        let under_way = self
            .under_way(Some(locks))
            .await
            .map_err(PipelineError::Refused)?;
        let mut free = Free {
            slots: Vec::new(),
            withheld: None,
            under_way,
        };
        // What is handed out in this tick counts for the next slot.
        let mut counted = free.under_way.clone();
        for slot in self
            .settings
            .slots
            .iter()
            .filter(|s| !busy.contains(&s.name))
        {
            match self.agent_of_slot(slot, &counted) {
                Ok(agent) => {
                    counted.push(InFlight {
                        run: RunId::random(),
                        agent: Some(agent.clone()),
                        role: AgentRole::Implement,
                    });
                    free.slots.push(Slot {
                        agent,
                        ..slot.clone()
                    });
                }
                Err(why) => free.withheld = Some(why),
            }
        }
        Ok(free)
    }

    /// Returns who may work in a slot now: its agent, else the first of those that take its place.
    pub(super) fn agent_of_slot(
        &self,
        slot: &Slot,
        under_way: &[InFlight],
    ) -> Result<String, String> {
        let mut held = Vec::new();
        for agent in slot.agents() {
            let own = self.agent_settings(agent);
            let role = AgentRole::Implement;
            let brakes = &self.settings.brakes;
            match self
                .ledger
                .may_work(agent, role, brakes, &own, under_way, self.now())
            {
                Ok(None) => return Ok(agent.to_owned()),
                Ok(Some(brake)) => {
                    if let Some(cause) = brake.cause() {
                        self.tell_person(None, cause, brake.to_string());
                    }
                    held.push(brake.to_string());
                }
                Err(e) => held.push(chain(&e)),
            }
        }
        held.dedup();
        Err(held.join("; "))
    }

    /// Leaves out the issues whose own brakes hold.
    pub(super) fn within_brakes(
        &self,
        waiting: Vec<Waiting>,
        free: &Free,
        tick: &mut Tick,
    ) -> Vec<Waiting> {
        // Without a slot nothing begins, and the slot says why.
        let Some(slot) = free.slots.first() else {
            return waiting;
        };
        let mut left = Vec::new();
        for w in waiting {
            let wanted = Wanted {
                issue: &w.mirrored,
                role: AgentRole::Implement,
                round: Some(w.round),
                under_way: &free.under_way,
            };
            match self.pick_agent(&wanted, TaskKind::Implement, [slot.agent.as_str()]) {
                Ok(_) => left.push(w),
                Err(outcome) => tick.push(Some(&w.mirrored.issue.key), outcome),
            }
        }
        left
    }
}
