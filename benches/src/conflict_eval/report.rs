//! The figures, for people.

use std::collections::BTreeSet;
use std::fmt;

use pipeline_core::conflict::RuleSet;
use pipeline_core::conflict::watch::CollisionKind;

use super::Settings;
use super::truth::Window;

/// What the policies would have been worth.
#[derive(Clone, Debug)]
pub struct Evaluation {
    presets: String,
    declared: u32,
    seed: u64,
    windows: usize,
    size: usize,
    left_out: usize,
    dependent: usize,
    files: usize,
    undeclared: usize,
    pairs: usize,
    conflicts: usize,
    /// One entry per policy.
    pub policies: Vec<PolicyFigures>,
}

/// What one policy would have been worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFigures {
    /// Its name.
    pub name: String,
    /// Pairs that it lets run side by side.
    pub parallel: usize,
    /// Conflicts that it keeps apart beforehand.
    pub kept_apart: usize,
    /// Conflicts that it lets run, and that the watch sees as hot or as drift into a lock.
    pub watched: usize,
    /// Conflicts that nothing sees before the integrator.
    pub left: usize,
    /// Pairs kept apart that git could have merged.
    pub apart_without_conflict: usize,
    /// Pairs let run in which one drifted into what the other holds.
    pub drifted: usize,
    /// Batches, over all windows.
    pub batches: usize,
}

impl PolicyFigures {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parallel: 0,
            kept_apart: 0,
            watched: 0,
            left: 0,
            apart_without_conflict: 0,
            drifted: 0,
            batches: 0,
        }
    }

    /// Counts a pair: whether git can not merge it, whether it is kept apart, and what the watch sees of it.
    pub(super) fn pair(&mut self, conflict: bool, apart: bool, seen: &BTreeSet<CollisionKind>) {
        let drifted = seen.contains(&CollisionKind::DriftIntoLock);
        let watched = drifted || seen.contains(&CollisionKind::Hot);
        match (conflict, apart) {
            (true, true) => self.kept_apart += 1,
            (true, false) if watched => self.watched += 1,
            (true, false) => self.left += 1,
            (false, true) => self.apart_without_conflict += 1,
            (false, false) => {}
        }
        self.parallel += usize::from(!apart);
        self.drifted += usize::from(drifted);
    }
}

impl Evaluation {
    pub(super) fn new(
        settings: &Settings,
        rules: &RuleSet,
        windows: &[Window],
        left_out: usize,
    ) -> Self {
        let presets: Vec<&str> = rules
            .presets()
            .iter()
            .map(|preset| preset.name.as_str())
            .collect();
        let changes = || windows.iter().flat_map(|window| &window.changes);
        let files = changes().map(|change| change.files).sum();
        let declared: usize = changes().map(|change| change.declared.len()).sum();
        Self {
            presets: presets.join(", "),
            declared: settings.declared,
            seed: settings.seed,
            windows: windows.len(),
            size: settings.size,
            left_out,
            dependent: windows.iter().map(|window| window.dependent).sum(),
            files,
            undeclared: files - declared,
            pairs: windows.len() * settings.size * settings.size.saturating_sub(1) / 2,
            conflicts: windows.iter().map(|window| window.conflicts.len()).sum(),
            policies: Vec::new(),
        }
    }

    /// Returns how many batches one change at a time needs.
    #[must_use]
    pub const fn one_by_one(&self) -> usize {
        self.windows * self.size
    }

    /// Returns the number of pairs that git can not merge.
    #[must_use]
    pub const fn conflicts(&self) -> usize {
        self.conflicts
    }
}

fn percent(part: usize, whole: usize) -> String {
    (part * 100 + whole / 2)
        .checked_div(whole)
        .map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"))
}

fn tenths(part: usize, whole: usize) -> String {
    let tenths = (part * 10 + whole / 2).checked_div(whole).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            windows,
            size,
            files,
            undeclared,
            pairs,
            conflicts,
            dependent,
            ..
        } = self;
        writeln!(
            f,
            "{windows} windows of {size} changes, as if started together; {} bulk or empty changes left out",
            self.left_out
        )?;
        writeln!(f, "presets: {}", self.presets)?;
        writeln!(
            f,
            "{files} files changed, {}% declared beforehand (seed {}), so {undeclared} are drift",
            self.declared, self.seed
        )?;
        writeln!(
            f,
            "{pairs} pairs, {conflicts} of them git can not merge; {dependent} changes rest on an earlier one of their window"
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "| policy | conflicts kept apart | seen by the watch | left to the integrator | pairs in parallel | apart without textual conflict | drift into a lock | batches | per window | to one by one | to same file only |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        let one_by_one = self.one_by_one();
        writeln!(
            f,
            "| one by one | {conflicts} (100%) | 0 | 0 | 0 (0%) | {} | 0 | {one_by_one} | {size}.0 | 1.0x | |",
            pairs - conflicts
        )?;
        let files_only = self.policies.first().map_or(0, |policy| policy.batches);
        for policy in &self.policies {
            writeln!(
                f,
                "| {} | {} ({}) | {} | {} | {} ({}) | {} | {} | {} | {} | {}x | {}x |",
                policy.name,
                policy.kept_apart,
                percent(policy.kept_apart, *conflicts),
                policy.watched,
                policy.left,
                policy.parallel,
                percent(policy.parallel, *pairs),
                policy.apart_without_conflict,
                policy.drifted,
                policy.batches,
                tenths(policy.batches, *windows),
                tenths(one_by_one, policy.batches),
                tenths(files_only, policy.batches),
            )?;
        }
        Ok(())
    }
}
