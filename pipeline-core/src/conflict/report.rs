//! The report of `issue-pipeline conflicts`.
//!
//! Works on JSON lines, one issue each, and needs neither configuration nor repository:
//! `{"issue":"A-1","files":["src/a.rs"],"priority":2}`. Lower priorities go first, issues without one last;
//! within a priority the order of the lines is the age. `target` may name the branch; other fields are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::index::KeyIndex;
use super::key::KeyKind;
use super::planner::{self, Candidate, PlanOptions, WaitsFor};
use super::{Area, Areas, Conflict, ConflictClass, ConflictDetector, ConflictKey, Mode};
use crate::footprint::{Footprint, RepoPath};

/// The most pairs that a report lists; its groups are always complete.
pub const MAX_PAIRS: usize = 10_000;

/// The most names that the groups of one `all` take.
const MAX_NAMES: usize = 1_000_000;

/// The longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Why issues cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A line is no JSON object with an issue.
    #[error(
        "line {line} is no issue; a line looks like {{\"issue\":\"A-1\",\"files\":[\"src/a.rs\"],\"priority\":2}}"
    )]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line is longer than [`MAX_LINE_BYTES`].
    #[error("line {line} is longer than 1 MiB")]
    TooLong {
        /// The number of the line, from 1.
        line: usize,
    },
    /// An issue stands on two lines.
    #[error("line {line} names the issue `{issue}` again; every issue has one line")]
    Twice {
        /// The number of the second line, from 1.
        line: usize,
        /// The issue.
        issue: String,
    },
    /// An issue has no name.
    #[error("line {line} has an empty issue name")]
    Unnamed {
        /// The number of the line, from 1.
        line: usize,
    },
}

/// An issue as a line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssueLine {
    /// The issue.
    pub issue: String,
    /// What it will touch; no files, or none given, is unknown.
    pub footprint: Footprint,
    /// Lower numbers first, none last.
    pub priority: Option<i64>,
    /// Its target branch; empty if none is given.
    pub target: String,
}

impl IssueLine {
    /// Returns an issue without priority on the only target.
    #[must_use]
    pub fn new(issue: impl Into<String>, footprint: Footprint) -> Self {
        Self {
            issue: issue.into(),
            footprint,
            priority: None,
            target: String::new(),
        }
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Option<i64>) -> Self {
        Self { priority, ..self }
    }

    /// Sets the target branch.
    #[must_use]
    pub fn on(self, target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..self
        }
    }
}

/// A line as it is written.
#[derive(Deserialize)]
struct Written {
    issue: String,
    #[serde(default)]
    files: Option<Vec<String>>,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    target: Option<String>,
}

/// Reads JSON lines; empty ones are passed over.
///
/// # Errors
/// Names the line that is no issue, and the issue that stands on two.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::report;
///
/// let issues = report::read_lines("{\"issue\":\"A-1\",\"files\":[\"src/a.rs\"],\"priority\":2}\n")?;
/// assert_eq!(issues[0].priority, Some(2));
/// assert!(report::read_lines("A-1: src/a.rs").is_err());
/// # Ok::<(), report::ReportError>(())
/// ```
pub fn read_lines(text: &str) -> Result<Vec<IssueLine>, ReportError> {
    let mut issues = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, text) in text.lines().enumerate() {
        let line = at + 1;
        if text.len() > MAX_LINE_BYTES {
            return Err(ReportError::TooLong { line });
        }
        // A file that a Windows editor wrote starts with a mark that is no part of its first line.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let written: Written =
            serde_json::from_str(text).map_err(|source| ReportError::Line { line, source })?;
        if written.issue.trim().is_empty() {
            return Err(ReportError::Unnamed { line });
        }
        if !seen.insert(written.issue.clone()) {
            return Err(ReportError::Twice {
                line,
                issue: written.issue,
            });
        }
        issues.push(IssueLine {
            footprint: Footprint::from_candidates(written.files.unwrap_or_default()),
            issue: written.issue,
            priority: written.priority,
            target: written.target.unwrap_or_default(),
        });
    }
    Ok(issues)
}

/// Which issues conflict, why, and in which batches they could run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Sets of issues of which every two conflict on one key.
    ///
    /// Complete: whatever conflicts stands together in a group. Who needs the whole target for itself stands
    /// in a group of the key `all` with each of the others; only where that would take more than a million
    /// names, the group of `all` lists just those who need it.
    pub groups: Vec<Group>,
    /// Pairs of issues with their reasons, in the order of the lines.
    pub pairs: Vec<Pair>,
    /// Whether there are more pairs than are listed.
    pub truncated: bool,
    /// How the issues could follow each other, each batch starting when the last has ended.
    pub batches: Vec<Vec<String>>,
    /// Who is not in the first batch, and for which issue of it.
    pub waiting: Vec<Waiting>,
}

/// Issues of which every two conflict on one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// The kind of reason.
    pub class: ConflictClass,
    /// The key.
    pub key: ConflictKey,
    /// The issues, in the order of the lines.
    pub issues: Vec<String>,
}

/// Two issues that conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pair {
    /// The issue that stands first.
    pub a: String,
    /// The other one.
    pub b: String,
    /// Why, the most specific reason first.
    pub reasons: Vec<Reason>,
}

/// Why two issues conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The kind of reason.
    pub class: ConflictClass,
    /// The key on which they meet.
    pub key: ConflictKey,
    /// The rules behind it.
    pub rule: String,
    /// The files of both, sorted.
    pub paths: Vec<RepoPath>,
    /// The same as a sentence, for the text form.
    #[serde(skip)]
    sentence: String,
}

impl From<Conflict> for Reason {
    fn from(conflict: Conflict) -> Self {
        Self {
            rule: conflict.rule(),
            paths: conflict.paths().into_iter().cloned().collect(),
            sentence: conflict.to_string(),
            class: conflict.class,
            key: conflict.key,
        }
    }
}

/// An issue that is not in the first batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The issue.
    pub issue: String,
    /// The issue of the first batch that it waits for, the one that stands first if there are several.
    #[serde(rename = "for")]
    pub waits_for: String,
}

impl Report {
    /// Compares issues with each other.
    ///
    /// `detector` must speak for the targets of all of them.
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::conflict::{RuleSet, report};
    ///
    /// let lines = "{\"issue\":\"A-1\",\"files\":[\"src/a.rs\"]}\n{\"issue\":\"A-2\",\"files\":[\"src/a.rs\"]}";
    /// let issues = report::read_lines(lines)?;
    /// let detector = RuleSet::from_toml("presets = ['rust']")?.detector("main")?;
    /// let report = report::Report::new(&issues, &detector);
    /// assert_eq!(report.batches, [["A-1"], ["A-2"]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(issues: &[IssueLine], detector: &dyn ConflictDetector) -> Self {
        Self::by_target(issues, |_| Some(detector))
    }

    /// Compares issues with each other, those of each target by its own detector.
    ///
    /// A target without one is taken whole by each of its issues: without rules nothing runs beside anything.
    #[must_use]
    pub fn by_target<'d, F>(issues: &[IssueLine], detector: F) -> Self
    where
        F: Fn(&str) -> Option<&'d dyn ConflictDetector>,
    {
        let areas: Vec<Areas> = issues
            .iter()
            .map(|issue| match detector(&issue.target) {
                Some(detector) => detector.areas(&issue.footprint),
                None => Areas::posted(&[ConflictKey::all()]),
            })
            .collect();
        let candidates: Vec<Candidate> = issues
            .iter()
            .zip(&areas)
            .map(|(issue, areas)| {
                Candidate::new(&issue.issue, areas.keys())
                    .on(&issue.target)
                    .with_priority(issue.priority)
            })
            .collect();
        let name = |at: usize| {
            issues
                .get(at)
                .map(|issue| issue.issue.clone())
                .unwrap_or_default()
        };
        let (pairs, truncated) = pairs(issues, &areas);
        let batches = planner::batches(&candidates);
        let plan = planner::plan(&candidates, &[], &PlanOptions::default());
        let waiting = plan
            .left_out
            .iter()
            .filter_map(|left| match left.waits_for {
                WaitsFor::Picked { candidate, .. } | WaitsFor::Elder { candidate, .. } => {
                    Some(Waiting {
                        issue: name(left.candidate),
                        waits_for: name(candidate),
                    })
                }
                WaitsFor::Slot | WaitsFor::Held { .. } => None,
            });
        Self {
            groups: groups(issues, &areas),
            pairs,
            truncated,
            batches: batches
                .iter()
                .map(|batch| batch.iter().map(|at| name(*at)).collect())
                .collect(),
            waiting: waiting.collect(),
        }
    }

    /// Returns the report as JSON on one line.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "plain data with text keys always serialises"
    )]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report is plain data")
    }
}

/// Finds the pairs that conflict, in order, up to [`MAX_PAIRS`].
fn pairs(issues: &[IssueLine], areas: &[Areas]) -> (Vec<Pair>, bool) {
    let keys: Vec<Vec<ConflictKey>> = areas.iter().map(Areas::keys).collect();
    let mut by_target: BTreeMap<&str, KeyIndex<'_>> = BTreeMap::new();
    for (at, (issue, keys)) in issues.iter().zip(&keys).enumerate() {
        let index = by_target.entry(&issue.target).or_default();
        keys.iter().for_each(|key| index.insert(key, at));
    }
    let mut pairs = Vec::new();
    for (at, (issue, keys)) in issues.iter().zip(&keys).enumerate() {
        let mut others = BTreeSet::new();
        if let Some(index) = by_target.get(issue.target.as_str()) {
            for key in keys {
                index.meeting(key, &mut |other| {
                    if other > at {
                        others.insert(other);
                    }
                });
            }
        }
        for other in others {
            let (Some(mine), Some(theirs), Some(other)) =
                (areas.get(at), areas.get(other), issues.get(other))
            else {
                continue;
            };
            if pairs.len() == MAX_PAIRS {
                return (pairs, true);
            }
            let reasons = mine
                .conflicts_with(theirs)
                .into_iter()
                .map(Reason::from)
                .collect();
            pairs.push(Pair {
                a: issue.issue.clone(),
                b: other.issue.clone(),
                reasons,
            });
        }
    }
    (pairs, false)
}

/// Who claims a key, and whether they only read it.
#[derive(Default)]
struct Holders {
    writing: BTreeSet<usize>,
    reading: BTreeSet<usize>,
}

impl Holders {
    /// Returns the largest sets of holders of which every two conflict: one reader at a time beside the rest.
    fn sets(&self) -> Vec<BTreeSet<usize>> {
        let mut sets = vec![self.writing.clone()];
        let readers = self.reading.difference(&self.writing);
        sets.extend(readers.map(|reader| self.writing.iter().copied().chain([*reader]).collect()));
        sets
    }
}

/// Finds the sets of issues that conflict on one key.
fn groups(issues: &[IssueLine], areas: &[Areas]) -> Vec<Group> {
    let mut held: BTreeMap<(&str, ConflictClass, ConflictKey), Holders> = BTreeMap::new();
    for (at, (issue, areas)) in issues.iter().zip(areas).enumerate() {
        for area in areas {
            for (class, key) in claimed(area) {
                let holders = held.entry((&issue.target, class, key)).or_default();
                if area.mode == Mode::Shared {
                    &mut holders.reading
                } else {
                    &mut holders.writing
                }
                .insert(at);
            }
        }
    }
    let names = |members: &BTreeSet<usize>| {
        members
            .iter()
            .filter_map(|at| issues.get(*at))
            .map(|issue| issue.issue.clone())
            .collect()
    };
    let mut groups = BTreeSet::new();
    let mut narrow: BTreeMap<&str, Narrow<'_>> = BTreeMap::new();
    for ((target, _, key), holders) in &held {
        narrow.entry(target).or_default().add(key, holders);
    }
    let mut everybody: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, issue) in issues.iter().enumerate() {
        everybody.entry(&issue.target).or_default().insert(at);
    }
    for ((target, class, key), holders) in &held {
        let mut add = |members: &BTreeSet<usize>| {
            if members.len() > 1 {
                groups.insert(Group {
                    class: *class,
                    key: key.clone(),
                    issues: names(members),
                });
            }
        };
        let sets = holders.sets();
        sets.iter().for_each(&mut add);
        if let (true, Some(everybody)) = (key.is_all(), everybody.get(target)) {
            let beside: Vec<usize> = everybody.difference(&holders.writing).copied().collect();
            if beside.len().saturating_mul(holders.writing.len() + 1) <= MAX_NAMES {
                for other in beside {
                    add(&holders.writing.iter().copied().chain([other]).collect());
                }
            }
            continue;
        }
        // A wide key also meets who claims something below it, and those need not meet each other.
        let below = narrow
            .get(target)
            .map(|narrow| narrow.below(key))
            .unwrap_or_default();
        for set in &sets {
            for other in &below {
                for theirs in other.sets() {
                    // Readers of the one and of the other do not exclude each other.
                    let both: BTreeSet<usize> = set.union(&theirs).copied().collect();
                    if !set.is_empty()
                        && both.len() > set.len()
                        && excludes(set, holders, &theirs, other)
                    {
                        add(&both);
                    }
                }
            }
        }
    }
    groups.into_iter().collect()
}

/// Returns whether no reader of the one set stands beside a reader of the other.
fn excludes(
    set: &BTreeSet<usize>,
    holders: &Holders,
    theirs: &BTreeSet<usize>,
    other: &Holders,
) -> bool {
    let reads = |set: &BTreeSet<usize>, holders: &Holders| {
        set.iter().any(|at| !holders.writing.contains(at))
    };
    !(reads(set, holders) && reads(theirs, other))
}

/// The keys of one target that a wider key can cover.
#[derive(Default)]
struct Narrow<'h> {
    index: KeyIndex<'h>,
    held: Vec<(&'h ConflictKey, &'h Holders)>,
}

impl<'h> Narrow<'h> {
    fn add(&mut self, key: &'h ConflictKey, holders: &'h Holders) {
        if !key.is_all() {
            self.index.insert(key, self.held.len());
            self.held.push((key, holders));
        }
    }

    /// Returns the holders of what `wide` covers, besides itself.
    fn below(&self, wide: &ConflictKey) -> Vec<&'h Holders> {
        let is_wide = match wide.kind() {
            KeyKind::Area(_, value) => value.is_empty(),
            KeyKind::Dir(_) | KeyKind::Tree(_) => true,
            KeyKind::All | KeyKind::Issue(_) | KeyKind::Path(_) => false,
        };
        let mut below = BTreeSet::new();
        if is_wide {
            self.index.meeting(wide, &mut |at| {
                below.insert(at);
            });
        }
        below
            .into_iter()
            .filter_map(|at| self.held.get(at))
            .filter(|(key, _)| key.breadth() < wide.breadth())
            .map(|(_, holders)| *holders)
            .collect()
    }
}

/// Returns the keys of an area for grouping: an exclusive one claims its key and everything.
fn claimed(area: &Area) -> impl Iterator<Item = (ConflictClass, ConflictKey)> {
    let everything = area.mode == Mode::Exclusive && !area.key.is_all();
    let all = everything.then(|| (area.class, ConflictKey::all()));
    std::iter::once((area.class, area.key.clone())).chain(all)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pairs.is_empty() {
            writeln!(f, "No two issues conflict.")?;
        } else {
            writeln!(f, "Conflicts:")?;
        }
        for pair in &self.pairs {
            writeln!(f, "  {} and {}", pair.a, pair.b)?;
            for reason in &pair.reasons {
                writeln!(f, "    {}", reason.sentence)?;
            }
        }
        if self.truncated {
            writeln!(
                f,
                "  … and more: only the first {MAX_PAIRS} pairs are shown"
            )?;
        }
        writeln!(f, "Batches:")?;
        for (at, batch) in self.batches.iter().enumerate() {
            writeln!(f, "  {}. {}", at + 1, batch.join(", "))?;
        }
        if !self.waiting.is_empty() {
            writeln!(f, "Waiting:")?;
        }
        for waiting in &self.waiting {
            writeln!(f, "  {} for {}", waiting.issue, waiting.waits_for)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
