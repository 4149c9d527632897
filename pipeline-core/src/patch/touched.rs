//! What a patch touches, for drift and conflicts.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use super::entry::ChangeKind;
use super::entry::Entry;
use super::path::RepoPath;

/// One touched file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TouchedFile {
    /// Where the file is afterwards, or was before it went away.
    pub path: RepoPath,
    /// Where it came from, if it was renamed or copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<RepoPath>,
    /// What happens to it.
    pub kind: ChangeKind,
}

impl TouchedFile {
    /// Describes a file that stays where it is, appears or goes away.
    #[must_use]
    pub fn new(path: RepoPath, kind: ChangeKind) -> Self {
        Self {
            path,
            previous: None,
            kind,
        }
    }

    /// Says where the file came from.
    #[must_use]
    pub fn with_previous(self, previous: RepoPath) -> Self {
        Self {
            previous: Some(previous),
            ..self
        }
    }

    /// Returns the paths whose content differs afterwards: both ends of a rename, the new end of a copy.
    pub fn changed_paths(&self) -> impl Iterator<Item = &RepoPath> {
        let left = self
            .previous
            .as_ref()
            .filter(|_| self.kind == ChangeKind::Renamed);
        std::iter::once(&self.path).chain(left)
    }
}

/// Lists the touched files, sorted by path.
pub(super) fn of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<TouchedFile> {
    let mut touched: Vec<TouchedFile> = entries
        .filter_map(|entry| {
            let path = entry.path()?.clone();
            let previous = entry
                .old
                .filter(|old| *old.path != path)
                .map(|old| old.path.clone());
            Some(TouchedFile {
                path,
                previous,
                kind: entry.kind,
            })
        })
        .collect();
    touched.sort();
    touched
}

/// Lists every folder above a touched path, sorted.
pub(super) fn folders<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<RepoPath> {
    let mut folders = BTreeSet::new();
    for entry in entries {
        for side in [entry.old, entry.new].into_iter().flatten() {
            for folder in side.path.directories() {
                if !folders.contains(folder) {
                    folders.insert(folder.to_vec());
                }
            }
        }
    }
    folders.into_iter().map(RepoPath::new).collect()
}
