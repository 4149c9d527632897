//! Which lines of a file were touched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::footprint::RepoPath;
use crate::patch::{ChangeKind, Content, LineKind, ParsedPatch};

/// A run of lines of the base, counted from 1; an empty one is the gap before `start`, where something was
/// inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lines {
    /// The first line.
    pub start: u32,
    /// The line after the last one.
    pub end: u32,
}

impl Lines {
    /// Returns the lines from `start` up to, but without, `end`; an end before the start is the start.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self {
            start,
            end: if end < start { start } else { end },
        }
    }

    /// Returns whether nothing unchanged lies between two changes, so that git cannot apply both.
    const fn meets(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// What was touched of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TouchedLines {
    /// All of it: it is new, gone, renamed, binary, or its lines are not known.
    Whole,
    /// These lines of the base.
    Some(BTreeSet<Lines>),
}

impl TouchedLines {
    /// Returns whether both touched the same place and, if there is one, the first line of it.
    ///
    /// Neighbouring lines are the same place: git takes changes to them for a conflict too.
    #[must_use]
    pub fn meets(&self, other: &Self) -> Option<Option<u32>> {
        let (Self::Some(mine), Self::Some(theirs)) = (self, other) else {
            return Some(None);
        };
        mine.iter()
            .flat_map(|a| theirs.iter().map(move |b| (a, b)))
            .filter(|(a, b)| a.meets(**b))
            .map(|(a, b)| a.start.max(b.start))
            .min()
            .map(Some)
    }
}

/// Returns what a patch touches, by file; a rename touches both of its ends as a whole.
///
/// A path that is no path of a repository is left out: the patch policy refuses such a patch anyway.
#[must_use]
pub fn of_patch(patch: &ParsedPatch<'_>) -> BTreeMap<RepoPath, TouchedLines> {
    let mut touched = BTreeMap::new();
    for file in patch.files() {
        let lines = match (&file.content, file.kind) {
            (Content::Text(hunks), ChangeKind::Modified) => {
                let changed = hunks
                    .iter()
                    .flat_map(|hunk| hunk.added().chain(hunk.removed()));
                let lines = changed.map(|line| match line.kind {
                    LineKind::Added => Lines::new(line.old_line, line.old_line),
                    LineKind::Removed | LineKind::Context => {
                        Lines::new(line.old_line, line.old_line.saturating_add(1))
                    }
                });
                TouchedLines::Some(joined(lines.collect()))
            }
            _ => TouchedLines::Whole,
        };
        let old = file
            .old_path
            .as_ref()
            .filter(|_| file.kind != ChangeKind::Copied);
        for path in old.into_iter().chain(&file.new_path) {
            if let Ok(path) = RepoPath::from_bytes(path.as_bytes()) {
                touched.insert(path, lines.clone());
            }
        }
    }
    touched
}

/// Joins runs of lines that overlap or touch.
fn joined(lines: BTreeSet<Lines>) -> BTreeSet<Lines> {
    let mut out: Vec<Lines> = Vec::new();
    for next in lines {
        match out.last_mut() {
            Some(last) if last.meets(next) => last.end = last.end.max(next.end),
            _ => out.push(next),
        }
    }
    out.into_iter().collect()
}
