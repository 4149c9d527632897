//! What can run beside what runs already, and what the rest waits for.

use std::collections::BTreeSet;

use super::Waiting;
use crate::conflict::ConflictKey;
use crate::conflict::ResourceSet;
use crate::conflict::Scope as ConflictScope;
use crate::conflict::planner::Candidate;
use crate::conflict::planner::Held;
use crate::conflict::planner::PlanOptions;
use crate::conflict::planner::WaitsFor;
use crate::conflict::planner::plan;
use crate::footprint::Footprint;
use crate::issue::IssueKey;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::settings::Slot;
use crate::stages::Tick;
use crate::stages::slots::Free;
use crate::stages::waits;
use crate::workspace::Target;

impl Pipeline {
    pub(in crate::stages) fn resources(
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
    pub(super) fn pick(
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
}
