//! What only the tests of the suites ask of a repository in memory.

use super::*;
use crate::BoxError;
use crate::conformance::workspace::FileEntry;
use crate::conformance::workspace::FileSet;
use crate::patch::PatchLimits;
use crate::patch::parse;

impl Files {
    fn of(files: &FileSet) -> Self {
        let mut tree = Self::default();
        for (path, entry) in files.iter() {
            let mode = if entry.executable {
                FileMode::Executable
            } else {
                FileMode::Regular
            };
            tree.put(path.as_bytes(), mode, &entry.content);
        }
        tree
    }

    fn file_set(&self) -> FileSet {
        let mut files = FileSet::default();
        for path in self.paths() {
            let file = self.get(path).expect("it is listed");
            let entry = FileEntry {
                content: file.content.to_vec(),
                executable: file.mode == FileMode::Executable,
            };
            files.put_entry(&String::from_utf8_lossy(path), entry);
        }
        files
    }
}

impl MemoryRepository {
    /// Commits a tree with exactly these files.
    pub(crate) fn commit_exactly(&self, target: &Target, files: &FileSet) -> CommitId {
        self.state()
            .commit_files(target, Files::of(files), "work of a person")
    }

    /// Applies a patch to the files of a commit.
    pub(crate) fn applied(&self, commit: &CommitId, patch: &Patch) -> Result<FileSet, BoxError> {
        let tree = self.state().tree(commit).ok_or("there is no such commit")?;
        let parsed = parse(patch.bytes(), &PatchLimits::default())?;
        Ok(session::applied(&tree, &parsed)?.file_set())
    }

    /// Returns the files salvaged under a name.
    pub(crate) fn salvaged(&self, name: &str) -> Option<FileSet> {
        self.state().salvaged.get(name).map(Files::file_set)
    }

    /// Returns the files of the person's checkout of a target.
    pub(crate) fn checkout_files(&self, target: &Target) -> FileSet {
        let state = self.state();
        state
            .checkouts
            .get(target)
            .map(Files::file_set)
            .unwrap_or_default()
    }

    /// Makes the patch between the files of a commit and others.
    pub(crate) fn patch_to(&self, commit: &CommitId, files: &FileSet) -> Patch {
        let old = self.state().tree(commit).unwrap_or_default();
        Patch::new(diff::diff(&old, &Files::of(files)))
    }
}
