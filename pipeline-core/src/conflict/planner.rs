//! Picks what runs next.
//!
//! [`plan`] is one decision: which of the waiting issues start now, beside what runs already.
//! [`batches`] shows how the waiting ones would follow each other if every batch ended at once.
//! Both work on keys through an inverted index: the cost grows with the number of keys, not with the
//! number of pairs.

mod claims;
mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use super::ConflictKey;
pub use claims::Claims;
use table::{Spans, Table, Wide};

/// An issue that could start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The issue.
    pub id: String,
    /// Its target branch; work on different targets never conflicts.
    pub target: String,
    /// Lower numbers first, none last.
    pub priority: Option<i64>,
    /// How long it has been ready.
    pub waited: Duration,
    /// What it claims, from [`Areas::keys`](super::Areas::keys); nothing counts as `all`.
    pub claims: Claims,
}

impl Candidate {
    /// Returns a candidate without priority that has just become ready.
    #[must_use]
    pub fn new(id: impl Into<String>, keys: Vec<ConflictKey>) -> Self {
        Self {
            id: id.into(),
            target: String::new(),
            priority: None,
            waited: Duration::ZERO,
            claims: Claims::new(keys),
        }
    }

    /// Sets the target branch.
    #[must_use]
    pub fn on(self, target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..self
        }
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Option<i64>) -> Self {
        Self { priority, ..self }
    }

    /// Sets how long the issue has been ready.
    #[must_use]
    pub fn having_waited(self, waited: Duration) -> Self {
        Self { waited, ..self }
    }
}

/// A claim that is live already.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Held {
    /// The issue that holds it.
    pub id: String,
    /// Its target branch.
    pub target: String,
    /// What it holds: the posted keys and those of its files under today's rules together.
    pub claims: Claims,
}

impl Held {
    /// Returns a live claim of an issue.
    #[must_use]
    pub fn new(id: impl Into<String>, target: impl Into<String>, keys: Vec<ConflictKey>) -> Self {
        Self {
            id: id.into(),
            target: target.into(),
            claims: Claims::new(keys),
        }
    }
}

/// How a batch is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanOptions {
    /// How many may start.
    pub slots: usize,
    /// How long an issue lets younger ones pass that are in its way; see [`plan`].
    pub patience: Duration,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            slots: usize::MAX,
            patience: Duration::from_secs(4 * 60 * 60),
        }
    }
}

impl PlanOptions {
    /// Sets how many may start.
    #[must_use]
    pub const fn with_slots(self, slots: usize) -> Self {
        Self { slots, ..self }
    }

    /// Sets how long an issue lets younger ones pass.
    #[must_use]
    pub const fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// What starts now and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Positions of the candidates that start, in the order in which they were chosen.
    pub picked: Vec<usize>,
    /// The others, in the order in which they were considered.
    pub left_out: Vec<LeftOut>,
}

/// A candidate that does not start now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its position among the candidates.
    pub candidate: usize,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a candidate waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// A free slot; nothing is in its way.
    Slot,
    /// A live claim, by its position among the held ones.
    Held {
        /// The position of the claim.
        held: usize,
        /// The key of the candidate that meets it.
        key: ConflictKey,
    },
    /// A candidate that starts now, by its position.
    Picked {
        /// The position of the other candidate.
        candidate: usize,
        /// The key of the waiting candidate that meets it.
        key: ConflictKey,
    },
    /// An older candidate that has waited too long to be passed again, by its position.
    Elder {
        /// The position of the other candidate.
        candidate: usize,
        /// The key of the waiting candidate that meets it.
        key: ConflictKey,
    },
}

/// Picks the issues that start now.
///
/// Candidates are given oldest first. They are considered by priority and, within it, by age; each starts
/// unless it meets a live claim or one that starts already, as long as there are slots.
///
/// # Guarantees
/// - Deterministic, and free of conflicts: no two picked ones meet, and none meets a live claim.
/// - Maximal: whatever is left out meets something, or no slot was left.
/// - Fair: a candidate that has waited for `patience` is passed no more: what would be in its way waits
///   behind it ([`WaitsFor::Elder`]), even if that leaves a slot empty (so maximality ends there). For each
///   `patience` waited it also rises by one of the priorities in use, so that one that needs the whole target
///   gets its turn after at most as many of them, plus the runs that were live by then.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::planner::{Candidate, PlanOptions, WaitsFor, plan};
///
/// let points = || vec!["api:points".parse().expect("a key")];
/// let orders = || vec!["api:orders".parse().expect("a key")];
/// let waiting =
///     [Candidate::new("A-1", points()), Candidate::new("A-2", points()), Candidate::new("A-3", orders())];
/// let plan = plan(&waiting, &[], &PlanOptions::default());
/// assert_eq!(plan.picked, [0, 2]);
/// assert!(matches!(plan.left_out[0].waits_for, WaitsFor::Picked { candidate: 0, .. }));
/// ```
#[must_use]
pub fn plan(waiting: &[Candidate], held: &[Held], options: &PlanOptions) -> Plan {
    let wide = Wide::among(
        held.iter()
            .map(|held| &held.claims)
            .chain(waiting.iter().map(|it| &it.claims)),
    );
    let mut table = Table::new(wide);
    for (holder, held) in held.iter().enumerate() {
        table.hold(&held.target, &held.claims, holder);
    }
    let mut plan = Plan::default();
    let mut reserved = BTreeSet::new();
    for position in order(waiting, options.patience) {
        let Some(candidate) = waiting.get(position) else {
            continue;
        };
        let holder = held.len() + position;
        let Some((blocker, key)) = table.blocker(&candidate.target, &candidate.claims) else {
            if plan.picked.len() < options.slots {
                table.hold(&candidate.target, &candidate.claims, holder);
                plan.picked.push(position);
            } else {
                plan.left_out.push(LeftOut {
                    candidate: position,
                    waits_for: WaitsFor::Slot,
                });
            }
            continue;
        };
        if candidate.waited >= options.patience {
            table.hold(&candidate.target, &candidate.claims, holder);
            reserved.insert(position);
        }
        let key = candidate
            .claims
            .key(key)
            .cloned()
            .unwrap_or_else(ConflictKey::all);
        let waits_for = match blocker.checked_sub(held.len()) {
            None => WaitsFor::Held { held: blocker, key },
            Some(other) if reserved.contains(&other) => WaitsFor::Elder {
                candidate: other,
                key,
            },
            Some(other) => WaitsFor::Picked {
                candidate: other,
                key,
            },
        };
        plan.left_out.push(LeftOut {
            candidate: position,
            waits_for,
        });
    }
    plan
}

/// Returns how the candidates would follow each other, each batch starting when the last has ended.
///
/// Every candidate stands in the first batch in which nothing is in its way, so the first batch is what
/// [`plan`] picks with nothing held, no limit and nobody overdue.
#[must_use]
pub fn batches(waiting: &[Candidate]) -> Vec<Vec<usize>> {
    let mut spans = Spans::new(Wide::among(waiting.iter().map(|it| &it.claims)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for position in order(waiting, Duration::MAX) {
        let Some(candidate) = waiting.get(position) else {
            continue;
        };
        let batch = spans.place(&candidate.target, &candidate.claims);
        if batches.len() <= batch {
            batches.resize_with(batch + 1, Vec::new);
        }
        if let Some(members) = batches.get_mut(batch) {
            members.push(position);
        }
    }
    batches
}

/// Returns the positions of the candidates in the order in which they are considered.
fn order(waiting: &[Candidate], patience: Duration) -> Vec<usize> {
    let priorities: BTreeSet<i64> = waiting
        .iter()
        .filter_map(|candidate| candidate.priority)
        .collect();
    let priorities: Vec<i64> = priorities.into_iter().collect();
    let rank = |candidate: &Candidate| -> usize {
        let rank = match candidate.priority {
            None => priorities.len(),
            Some(priority) => priorities.partition_point(|known| *known < priority),
        };
        let steps = candidate
            .waited
            .as_secs()
            .checked_div(patience.as_secs())
            .unwrap_or_default();
        rank.saturating_sub(usize::try_from(steps).unwrap_or(usize::MAX))
    };
    let mut order: Vec<usize> = (0..waiting.len()).collect();
    // Stable, so that equal ranks keep their age.
    order.sort_by_cached_key(|at| waiting.get(*at).map(rank));
    order
}

#[cfg(test)]
mod tests;
