//! Which lines of a file were touched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::footprint::RepoPath;
use crate::patch::{ChangeKind, Content, ParsedPatch};

/// A run of lines of the base, counted from 1; both ends belong to it.
///
/// A place between two lines, where something was inserted, is the pair of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lines {
    /// The first line.
    pub first: u32,
    /// The last line.
    pub last: u32,
}

impl Lines {
    /// Returns the lines from `first` to `last`, in whichever order they are given.
    #[must_use]
    pub const fn new(first: u32, last: u32) -> Self {
        if first <= last {
            Self { first, last }
        } else {
            Self {
                first: last,
                last: first,
            }
        }
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
            .filter(|(a, b)| {
                a.first <= b.last.saturating_add(1) && b.first <= a.last.saturating_add(1)
            })
            .map(|(a, b)| a.first.max(b.first))
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
                // An added line stands before its old line, so it lies between that and the one above.
                let lines = changed.map(|line| match line.kind {
                    crate::patch::LineKind::Added => {
                        Lines::new(line.old_line.saturating_sub(1), line.old_line)
                    }
                    _ => Lines::new(line.old_line, line.old_line),
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
            Some(last) if next.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(next.last)
            }
            _ => out.push(next),
        }
    }
    out.into_iter().collect()
}
