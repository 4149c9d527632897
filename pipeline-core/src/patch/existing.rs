//! The names the repository already has.

use std::collections::BTreeMap;

use super::path::RepoPath;

/// Whether a name in a folder is a folder itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file, a symbolic link or a submodule.
    File,
    /// A folder.
    Folder,
}

/// What the base tree contains, as far as the policy asks.
///
/// # Contract
/// The answers describe one commit and do not change. Only the folders that
/// [`ParsedPatch::folders`](super::ParsedPatch::folders) names are asked for, so that the cost follows the
/// patch and not the repository.
pub trait ExistingNames: std::fmt::Debug {
    /// Returns the names directly in `folder` (`""` is the root) and nothing if there is no such folder.
    fn names_in<'a>(
        &'a self,
        folder: &[u8],
    ) -> Box<dyn Iterator<Item = (&'a [u8], EntryKind)> + 'a>;
}

/// Names kept in memory.
///
/// # Examples
/// ```
/// use pipeline_core::patch::{EntryKind, ExistingNames as _, NameSet};
///
/// let names = NameSet::from_paths(["src/lib.rs", "readme.md"]);
/// let root: Vec<_> = names.names_in(b"").collect();
/// assert_eq!(root, [(&b"readme.md"[..], EntryKind::File), (b"src", EntryKind::Folder)]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameSet {
    folders: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, EntryKind>>,
}

impl NameSet {
    /// Builds the set from the paths of files.
    #[must_use]
    pub fn from_paths<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut names = Self::default();
        for path in paths {
            names.insert_path(&RepoPath::from(path));
        }
        names
    }

    /// Adds a file and every folder above it.
    pub fn insert_path(&mut self, path: &RepoPath) {
        let mut folder: &[u8] = b"";
        for below in path.directories().skip(1) {
            self.insert(folder, last_part(below), EntryKind::Folder);
            folder = below;
        }
        self.insert(folder, path.file_name(), EntryKind::File);
    }

    /// Adds one name to one folder: a line of a tree listing.
    pub fn insert(&mut self, folder: &[u8], name: &[u8], kind: EntryKind) {
        self.folders
            .entry(folder.to_vec())
            .or_default()
            .insert(name.to_vec(), kind);
    }
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

impl ExistingNames for NameSet {
    fn names_in<'a>(
        &'a self,
        folder: &[u8],
    ) -> Box<dyn Iterator<Item = (&'a [u8], EntryKind)> + 'a> {
        let names = self.folders.get(folder).into_iter().flatten();
        Box::new(names.map(|(name, kind)| (name.as_slice(), *kind)))
    }
}
