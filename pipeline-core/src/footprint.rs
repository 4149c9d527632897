//! What a piece of work touches.

mod candidate;
mod path;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use path::{
    MAX_PATH_BYTES, PathFault, RepoDir, RepoPath, encode_readable, encode_wire, percent_decode,
};
pub(crate) use path::{lies_under, parent_of};

use crate::conflict::ConflictKey;

/// The most entries that a footprint keeps; one that names more is unknown.
pub const MAX_ENTRIES: usize = 10_000;

/// The files and areas that a piece of work will touch, and those it has touched.
///
/// # Contract
/// A footprint is *known* if it declares at least one path and every declared text could be read.
/// Unknown is a value: it conflicts with everything. Files that were really touched widen a footprint
/// and never narrow it; they alone do not make an undeclared one known, since a run still writing may
/// touch more. For work that is finished use [`of_patch`](Self::of_patch).
///
/// | given as | verdict |
/// |---|---|
/// | nothing, or an empty list | unknown |
/// | `/etc/passwd`, `~/x`, `C:\x`, `file://…` | refused, so unknown |
/// | `a/../b` | `b`; one that leads out of the repository is refused, so unknown |
/// | a NUL byte, `.git/…`, over 4096 bytes | refused, so unknown |
/// | `src\a.rs` | `src/a.rs` (in touched paths, given as bytes, a backslash is a letter) |
/// | `Src/A.rs` beside `src/a.rs` | two paths that collide |
/// | `caf%E9.txt` | the path with that byte; not UTF-8 is not a fault |
/// | `src/api/`, `src/**/*.rs` | everything below `src/api`, `src` |
/// | `old.rs -> new.rs`, `src/{old => new}.rs` | both paths |
/// | `src/a.rs:12:5`, `src/a.rs#L12` | `src/a.rs` |
/// | a generated file | a path like any other; the rules say that only the same file collides |
///
/// # Examples
/// ```
/// use pipeline_core::footprint::Footprint;
///
/// let work = Footprint::from_candidates(["app/Models/Point.php", "./routes//api.php"]);
/// assert!(work.is_known());
/// assert!(!Footprint::from_candidates(["../outside"]).is_known());
/// assert!(!Footprint::unknown().is_known());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footprint {
    #[serde(default, rename = "candidates")]
    files: BTreeSet<RepoPath>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    trees: BTreeSet<RepoDir>,
    /// Whether the files below `trees` are listed among `files`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    expanded: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    areas: BTreeSet<ConflictKey>,
    #[serde(default)]
    touched: BTreeSet<RepoPath>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Refused>,
}

/// A declared text that names no file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refused {
    /// The text, shortened and made safe to show.
    pub text: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

impl Footprint {
    /// Returns the footprint of work of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Reads candidate files as a person or an agent wrote them.
    ///
    /// Texts that name no file are kept in [`refused`](Self::refused) and make the footprint unknown.
    #[must_use]
    pub fn from_candidates<I>(candidates: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut footprint = Self::default();
        for text in candidates {
            footprint.declare(text.as_ref());
        }
        footprint
    }

    /// Returns the footprint of work that will touch these files, already read as paths.
    #[must_use]
    pub fn declaring<I: IntoIterator<Item = RepoPath>>(files: I) -> Self {
        Self {
            files: files.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Returns the footprint of finished work: exactly these files, declared and touched.
    #[must_use]
    pub fn of_patch<I: IntoIterator<Item = RepoPath>>(files: I) -> Self {
        let touched: BTreeSet<_> = files.into_iter().collect();
        Self {
            files: touched.clone(),
            touched,
            ..Self::default()
        }
    }

    /// Adds one candidate as a person or an agent wrote it.
    pub fn declare(&mut self, text: &str) {
        match candidate::read(text) {
            Ok(entries) if self.len() + entries.len() <= MAX_ENTRIES => {
                for entry in entries {
                    match entry {
                        candidate::Entry::File(path) => {
                            self.files.insert(path);
                        }
                        candidate::Entry::Tree(dir) => {
                            self.trees.insert(dir);
                            self.expanded = false;
                        }
                    }
                }
            }
            Ok(_) => self.refuse(text, PathFault::TooMany),
            Err(fault) => self.refuse(text, fault),
        }
    }

    /// Adds an area that the work is known to touch although no file names it, such as the database.
    #[must_use]
    pub fn with_area(mut self, area: ConflictKey) -> Self {
        self.areas.insert(area);
        self
    }

    /// Adds files that were really touched; a rename touches its old and its new path.
    #[must_use]
    pub fn with_touched<I: IntoIterator<Item = RepoPath>>(mut self, files: I) -> Self {
        self.touched.extend(files);
        self
    }

    /// Adds the files of `listing`, which is the whole base tree, below the declared directories.
    ///
    /// The directories stay claimed, so that a new file in them is covered too.
    #[must_use]
    pub fn expanded<'a, I: IntoIterator<Item = &'a RepoPath>>(mut self, listing: I) -> Self {
        if !self.trees.is_empty() {
            for path in listing {
                if self
                    .trees
                    .iter()
                    .any(|dir| lies_under(path.fold(), dir.fold()))
                {
                    if self.len() < MAX_ENTRIES {
                        self.files.insert(path.clone());
                    } else {
                        self.refuse(path.as_str(), PathFault::TooMany);
                    }
                }
            }
            self.expanded = true;
        }
        self
    }

    fn refuse(&mut self, text: &str, fault: PathFault) {
        const KEPT: usize = 20;
        if self.refused.len() < KEPT {
            let text = text
                .chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect();
            self.refused.push(Refused { text, fault });
        }
    }

    fn len(&self) -> usize {
        self.files.len() + self.trees.len()
    }

    /// Returns whether anything can be concluded from it; see the contract of the type.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.refused.is_empty() && !(self.files.is_empty() && self.trees.is_empty())
    }

    /// Returns the declared files, sorted.
    #[must_use]
    pub fn candidates(&self) -> impl ExactSizeIterator<Item = &RepoPath> + Clone {
        self.files.iter()
    }

    /// Returns the declared directories, each standing for everything below it.
    #[must_use]
    pub fn trees(&self) -> impl ExactSizeIterator<Item = &RepoDir> + Clone {
        self.trees.iter()
    }

    /// Returns whether the files below the declared directories are known.
    #[must_use]
    pub const fn is_expanded(&self) -> bool {
        self.expanded
    }

    /// Returns the areas declared without a file.
    #[must_use]
    pub fn areas(&self) -> impl ExactSizeIterator<Item = &ConflictKey> + Clone {
        self.areas.iter()
    }

    /// Returns the files really touched so far, sorted.
    #[must_use]
    pub fn touched(&self) -> impl ExactSizeIterator<Item = &RepoPath> + Clone {
        self.touched.iter()
    }

    /// Returns every declared or touched file once, sorted.
    pub fn files(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.union(&self.touched)
    }

    /// Returns the declared texts that name no file.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Returns whether `path` is declared, by name or through a directory.
    #[must_use]
    pub fn declares(&self, path: &RepoPath) -> bool {
        self.files.contains(path)
            || self
                .trees
                .iter()
                .any(|dir| lies_under(path.fold(), dir.fold()))
            || self.files.iter().any(|file| file.collides_with(path))
    }

    /// Returns the touched files that were not declared.
    pub fn drift(&self) -> impl Iterator<Item = &RepoPath> {
        self.touched.iter().filter(|path| !self.declares(path))
    }
}

#[cfg(test)]
mod tests;
