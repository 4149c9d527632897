//! What a work-start lock posts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::index::KeyIndex;
use super::key::KeyKind;
use super::{Areas, ConflictKey};
use crate::footprint::RepoDir;

/// The most keys that one claim posts, its issue among them.
pub const MAX_KEYS: usize = 200;

/// Where keys other than issues hold: one target branch of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scope {
    /// The repository, by the name that `init` wrote.
    pub repo: String,
    /// The target branch.
    pub target: String,
}

impl Scope {
    /// Returns the scope of a target branch of a repository.
    #[must_use]
    pub fn new(repo: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            repo: repo.into(),
            target: target.into(),
        }
    }
}

/// The keys that a claim holds, as its `res:` lines say.
///
/// # Contract
/// Never more than [`MAX_KEYS`]: over that, files and directories collapse to the deepest `tree:` keys
/// that are few enough, and if none are, everything but the issue to `all`. A collapsed set meets
/// whatever the full one met, and widening a claim never makes its set meet less.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::{ConflictKey, ResourceSet, Scope};
///
/// let main = Scope::new("shop", "main");
/// let one = ResourceSet::new(main.clone(), "A-1", ["api:points".parse()?]);
/// let two = ResourceSet::new(main, "A-2", [ConflictKey::all()]);
/// assert!(one.meets(&two));
/// assert_eq!(one.lines().collect::<Vec<_>>(), ["issue:A-1", "api:points"]);
/// # Ok::<(), pipeline_core::conflict::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSet {
    scope: Scope,
    keys: BTreeSet<ConflictKey>,
}

impl ResourceSet {
    /// Returns the resources of an issue: its own key and these, collapsed if there are too many.
    #[must_use]
    pub fn new<I: IntoIterator<Item = ConflictKey>>(scope: Scope, issue: &str, keys: I) -> Self {
        let mut keys: BTreeSet<ConflictKey> = keys.into_iter().collect();
        keys.insert(ConflictKey::issue(issue));
        Self {
            scope,
            keys: collapse(keys),
        }
    }

    /// Returns the resources of an issue that claims these areas.
    #[must_use]
    pub fn of_areas(scope: Scope, issue: &str, areas: &Areas) -> Self {
        Self::new(scope, issue, areas.keys())
    }

    /// Returns exactly the keys that a memo carries; what it posted is not changed any more.
    #[must_use]
    pub fn posted<I: IntoIterator<Item = ConflictKey>>(scope: Scope, keys: I) -> Self {
        Self {
            scope,
            keys: keys.into_iter().collect(),
        }
    }

    /// Returns where the keys hold.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the keys, sorted.
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &ConflictKey> + Clone {
        self.keys.iter()
    }

    /// Returns the texts of the `res:` lines, the issue first.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let is_issue = |key: &&ConflictKey| matches!(key.kind(), KeyKind::Issue(_));
        self.keys
            .iter()
            .filter(is_issue)
            .chain(self.keys.iter().filter(move |key| !is_issue(key)))
            .map(ToString::to_string)
    }

    /// Returns whether two claims exclude each other.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.first_meeting(other).is_some()
    }

    /// Returns the first pair of keys, ours and theirs, on which two claims exclude each other.
    #[must_use]
    pub fn first_meeting<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(&'a ConflictKey, &'a ConflictKey)> {
        let theirs: Vec<&ConflictKey> = other.keys.iter().collect();
        let mut index = KeyIndex::default();
        for (at, key) in theirs.iter().enumerate() {
            if self.scope == other.scope || matches!(key.kind(), KeyKind::Issue(_)) {
                index.insert(key, at);
            }
        }
        self.keys.iter().find_map(|mine| {
            let mut first: Option<usize> = None;
            index.meeting(mine, &mut |at| {
                first = Some(first.map_or(at, |known| known.min(at)));
            });
            first
                .and_then(|at| theirs.get(at))
                .map(|their| (mine, *their))
        })
    }
}

/// Brings a set down to [`MAX_KEYS`] without letting go of anything it meets.
///
/// All paths are cut at one depth, the deepest that is enough. A greedier choice would keep narrower
/// trees, but then a wider claim could end up with narrower keys.
fn collapse(keys: BTreeSet<ConflictKey>) -> BTreeSet<ConflictKey> {
    if keys.len() <= MAX_KEYS {
        return keys;
    }
    let deepest = keys
        .iter()
        .map(|key| dir_of(key).map_or(0, |dir| dir.depth()))
        .max()
        .unwrap_or(0);
    for depth in (1..=deepest).rev() {
        let cut: BTreeSet<ConflictKey> = keys.iter().map(|key| cut_at(key, depth)).collect();
        if cut.len() <= MAX_KEYS {
            return cut;
        }
    }
    keys.into_iter()
        .filter(|key| matches!(key.kind(), KeyKind::Issue(_)))
        .chain([ConflictKey::all()])
        .collect()
}

/// Returns the directory that a key of a file or directory lies in or names.
fn dir_of(key: &ConflictKey) -> Option<RepoDir> {
    match key.kind() {
        KeyKind::Path(path) => Some(path.parent()),
        KeyKind::Dir(dir) | KeyKind::Tree(dir) => Some(dir.clone()),
        KeyKind::All | KeyKind::Issue(_) | KeyKind::Area(..) => None,
    }
}

/// Widens a key to the tree of its ancestor at `depth`, if it lies that deep.
fn cut_at(key: &ConflictKey, depth: usize) -> ConflictKey {
    match dir_of(key) {
        Some(dir) if dir.depth() >= depth => ConflictKey::tree(dir.truncated(depth)),
        _ => key.clone(),
    }
}

#[cfg(test)]
mod tests;
