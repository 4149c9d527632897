//! Sees runs collide while they run.
//!
//! At intervals the caller looks at what each run has touched so far and asks [`look`]. The answer names every
//! collision and, by [`WatchPolicy`], what to do with which run, so that the younger one does not waste more.

mod lines;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use lines::{Lines, TouchedLines, of_patch};

use super::index::KeyIndex;
use super::{ConflictDetector, ConflictKey};
use crate::footprint::{Footprint, RepoPath};

/// A run as the watch sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchedRun {
    /// The run.
    pub run: String,
    /// Its issue.
    pub issue: String,
    /// Its place in time: the comment id of its claim; of two runs the one with the larger is the younger.
    pub claim: u64,
    /// Its target branch; runs on different targets never collide.
    pub target: String,
    /// The commit it started from; lines can be compared only between equal ones.
    pub base: String,
    /// What it declared.
    pub declared: Footprint,
    /// What it holds.
    pub holds: Vec<ConflictKey>,
    /// What it has touched so far, by file.
    pub touched: BTreeMap<RepoPath, TouchedLines>,
}

impl WatchedRun {
    /// Returns a run that has touched nothing yet.
    #[must_use]
    pub fn new(run: impl Into<String>, issue: impl Into<String>, claim: u64) -> Self {
        Self {
            run: run.into(),
            issue: issue.into(),
            claim,
            target: String::new(),
            base: String::new(),
            declared: Footprint::unknown(),
            holds: Vec::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Sets the target branch and the commit it started from.
    #[must_use]
    pub fn from_base(self, target: impl Into<String>, base: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            base: base.into(),
            ..self
        }
    }

    /// Sets what it declared and what it holds.
    #[must_use]
    pub fn declaring(self, declared: Footprint, holds: Vec<ConflictKey>) -> Self {
        Self {
            declared,
            holds,
            ..self
        }
    }

    /// Sets what it has touched so far.
    #[must_use]
    pub fn touching(self, touched: BTreeMap<RepoPath, TouchedLines>) -> Self {
        Self { touched, ..self }
    }
}

/// How serious a collision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CollisionKind {
    /// A run touched a file that it had not declared.
    Drift,
    /// Two runs touched the same file, as far as is known in different lines.
    Soft,
    /// A run touched, undeclared, what another one holds.
    DriftIntoLock,
    /// Two runs touched the same lines.
    Hot,
}

/// One collision, or one step towards one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Collision {
    /// How serious it is.
    pub kind: CollisionKind,
    /// The run that the policy acts on: the one that drifted, otherwise the younger one.
    pub run: String,
    /// The other run; none for a drift that is in nobody's way.
    pub other: Option<String>,
    /// The file.
    pub path: RepoPath,
    /// The first line of the base that both touched, counted from 1, for a hot one between files with lines.
    pub line: Option<u32>,
    /// The key of the other run that was drifted into.
    pub key: Option<ConflictKey>,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, path, .. } = self;
        let other = self.other.as_deref().unwrap_or("another run");
        match self.kind {
            CollisionKind::Drift => write!(f, "{run} touched `{path}`, which it had not declared"),
            CollisionKind::Soft => write!(f, "{run} and {other} both touched `{path}`"),
            CollisionKind::DriftIntoLock => {
                write!(
                    f,
                    "{run} touched `{path}`, which it had not declared and {other} holds"
                )?;
                self.key
                    .as_ref()
                    .map_or(Ok(()), |key| write!(f, " ({key})"))
            }
            CollisionKind::Hot => {
                write!(f, "{run} and {other} both changed `{path}`")?;
                self.line
                    .map_or(Ok(()), |line| write!(f, " at line {line}"))
            }
        }
    }
}

/// What to do with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WatchAction {
    /// Say so, and let it run.
    Report,
    /// Pause it until the other one has ended.
    Pause,
    /// Stop it; what it did is kept.
    Stop,
}

/// What to do at which collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct WatchPolicy {
    /// Two runs touched the same lines; the younger one is meant.
    pub hot: WatchAction,
    /// Two runs touched the same file; the younger one is meant.
    pub soft: WatchAction,
    /// A run touched what it had not declared.
    pub drift: WatchAction,
    /// A run touched, undeclared, what another one holds; the one that drifted is meant.
    pub drift_into_lock: WatchAction,
}

impl Default for WatchPolicy {
    fn default() -> Self {
        Self {
            hot: WatchAction::Pause,
            soft: WatchAction::Report,
            drift: WatchAction::Report,
            drift_into_lock: WatchAction::Pause,
        }
    }
}

impl WatchPolicy {
    /// Returns the policy that only reports.
    #[must_use]
    pub const fn report_only() -> Self {
        let report = WatchAction::Report;
        Self {
            hot: report,
            soft: report,
            drift: report,
            drift_into_lock: report,
        }
    }

    /// Sets what is done about two runs in the same lines.
    #[must_use]
    pub const fn on_hot(self, hot: WatchAction) -> Self {
        Self { hot, ..self }
    }

    /// Sets what is done about a run that touches what another one holds.
    #[must_use]
    pub const fn on_drift_into_lock(self, drift_into_lock: WatchAction) -> Self {
        Self {
            drift_into_lock,
            ..self
        }
    }

    /// Returns what to do at a collision of this kind.
    #[must_use]
    pub const fn action(&self, kind: CollisionKind) -> WatchAction {
        match kind {
            CollisionKind::Hot => self.hot,
            CollisionKind::Soft => self.soft,
            CollisionKind::Drift => self.drift,
            CollisionKind::DriftIntoLock => self.drift_into_lock,
        }
    }
}

/// What a look at the runs has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sighting {
    /// Every collision, sorted, the serious ones last.
    pub collisions: Vec<Collision>,
    /// The strictest action for each run that must not simply go on.
    pub actions: BTreeMap<String, WatchAction>,
}

impl Sighting {
    /// Returns the collisions that an earlier look had not shown, so that each is reported once.
    pub fn news<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a Collision> {
        self.collisions
            .iter()
            .filter(|collision| !earlier.collisions.contains(collision))
    }
}

/// Compares what runs have touched with each other and with what they declared and hold.
///
/// `detector` says for a target what an undeclared file claims; a target without one is compared by file.
///
/// # Examples
/// ```
/// use std::collections::BTreeMap;
/// use pipeline_core::conflict::watch::{CollisionKind, Lines, TouchedLines, WatchAction, WatchPolicy, WatchedRun, look};
/// use pipeline_core::footprint::{Footprint, RepoPath};
///
/// let run = |name: &str, claim, first: u32, last: u32| {
///     let path = RepoPath::parse("src/price.rs").expect("a path");
///     let touched = TouchedLines::Some([Lines::new(first, last + 1)].into());
///     WatchedRun::new(name, name, claim)
///         .declaring(Footprint::from_candidates(["src/price.rs"]), Vec::new())
///         .touching(BTreeMap::from([(path, touched)]))
/// };
/// let seen = look(&[run("A-1", 7, 10, 20), run("A-2", 9, 18, 25)], &WatchPolicy::default(), |_| None);
/// assert_eq!(seen.collisions[0].kind, CollisionKind::Hot);
/// assert_eq!(seen.collisions[0].line, Some(18));
/// assert_eq!(seen.actions["A-2"], WatchAction::Pause);
/// ```
pub fn look<'d, F>(runs: &[WatchedRun], policy: &WatchPolicy, detector: F) -> Sighting
where
    F: Fn(&str) -> Option<&'d dyn ConflictDetector>,
{
    let mut found = BTreeSet::new();
    same_files(runs, &mut found);
    drifts(runs, detector, &mut found);
    let mut actions: BTreeMap<String, WatchAction> = BTreeMap::new();
    for collision in &found {
        let action = policy.action(collision.kind);
        if action > WatchAction::Report {
            let known = actions.entry(collision.run.clone()).or_insert(action);
            *known = action.max(*known);
        }
    }
    Sighting {
        collisions: found.into_iter().collect(),
        actions,
    }
}

/// Finds the files that two runs have touched.
fn same_files(runs: &[WatchedRun], found: &mut BTreeSet<Collision>) {
    type Touching<'r> = Vec<(&'r WatchedRun, &'r RepoPath, &'r TouchedLines)>;
    let mut by_file: HashMap<(&str, &str), Touching<'_>> = HashMap::new();
    for run in runs {
        for (path, lines) in &run.touched {
            by_file
                .entry((&run.target, path.fold()))
                .or_default()
                .push((run, path, lines));
        }
    }
    for touching in by_file.values() {
        for (at, (one, path, lines)) in touching.iter().enumerate() {
            for (two, _, others) in touching
                .iter()
                .skip(at + 1)
                .filter(|(two, _, _)| two.run != one.run)
            {
                let (younger, older) = if one.claim > two.claim {
                    (one, two)
                } else {
                    (two, one)
                };
                let comparable = one.base == two.base;
                let meeting = if comparable {
                    lines.meets(others)
                } else {
                    None
                };
                found.insert(Collision {
                    kind: if meeting.is_some() {
                        CollisionKind::Hot
                    } else {
                        CollisionKind::Soft
                    },
                    run: younger.run.clone(),
                    other: Some(older.run.clone()),
                    path: (*path).clone(),
                    line: meeting.flatten(),
                    key: None,
                });
            }
        }
    }
}

/// Finds the files that a run has touched without declaring them, and whose they are.
fn drifts<'d, F>(runs: &[WatchedRun], detector: F, found: &mut BTreeSet<Collision>)
where
    F: Fn(&str) -> Option<&'d dyn ConflictDetector>,
{
    let mut held: HashMap<&str, KeyIndex<'_>> = HashMap::new();
    for (number, run) in runs.iter().enumerate() {
        let index = held.entry(&run.target).or_default();
        run.holds.iter().for_each(|key| index.insert(key, number));
    }
    for run in runs {
        let work = run
            .declared
            .clone()
            .with_touched(run.touched.keys().cloned());
        for path in work.drift() {
            let keys = match detector(&run.target) {
                Some(detector) => detector.areas(&Footprint::of_patch([path.clone()])).keys(),
                None => vec![ConflictKey::path(path.clone())],
            };
            let mut owners: BTreeMap<&str, ConflictKey> = BTreeMap::new();
            for key in &keys {
                // That a class of files wants the whole target for itself is no reason to stop everybody.
                if key.is_all() {
                    continue;
                }
                if let Some(index) = held.get(run.target.as_str()) {
                    index.meeting(key, &mut |number| {
                        if let Some(owner) = runs.get(number).filter(|owner| owner.run != run.run) {
                            owners.entry(&owner.run).or_insert_with(|| key.clone());
                        }
                    });
                }
            }
            let collision = |kind, other: Option<&str>, key| Collision {
                kind,
                run: run.run.clone(),
                other: other.map(str::to_owned),
                path: path.clone(),
                line: None,
                key,
            };
            if owners.is_empty() {
                found.insert(collision(CollisionKind::Drift, None, None));
            }
            for (owner, key) in owners {
                found.insert(collision(
                    CollisionKind::DriftIntoLock,
                    Some(owner),
                    Some(key),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
