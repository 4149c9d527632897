//! The files of one commit.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use sha1::Sha1;
use sha2::Digest as _;

use crate::footprint::encode_readable;
use crate::patch::FileMode;
use crate::patch::NameSet;
use crate::patch::RepoPath;
use crate::workspace::CommitId;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) mode: FileMode,
    pub(super) content: Arc<[u8]>,
}

impl File {
    /// Returns the name git gives this content.
    pub(super) fn blob(&self) -> String {
        let header = format!("blob {}\0", self.content.len());
        hex::encode(
            Sha1::new()
                .chain_update(header)
                .chain_update(&self.content)
                .finalize(),
        )
    }
}

/// Files by path, in git's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    files: BTreeMap<Vec<u8>, File>,
}

impl Files {
    pub(super) fn put(&mut self, path: &[u8], mode: FileMode, content: &[u8]) {
        let file = File {
            mode,
            content: content.into(),
        };
        self.files.insert(path.to_vec(), file);
    }

    pub(super) fn remove(&mut self, path: &[u8]) {
        self.files.remove(path);
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&File> {
        self.files.get(path)
    }

    /// Returns content by readable path.
    pub(super) fn shown(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.files.iter();
        files
            .map(|(path, file)| (encode_readable(path), file.content.to_vec()))
            .collect()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.files.keys().map(Vec::as_slice)
    }

    /// Keeps only the paths that `keep` says yes to.
    pub(super) fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        self.files.retain(|path, _| keep(path));
    }

    /// Returns an id that only these files have.
    pub(super) fn id(&self) -> CommitId {
        let mut text = String::new();
        for (path, file) in &self.files {
            let mode = file.mode.number();
            text.push_str(&format!("{mode:o} {} {}\n", file.blob(), hex::encode(path)));
        }
        super::id_of(&text)
    }

    /// Returns every path that differs between two trees, sorted.
    pub(super) fn differing(&self, other: &Self) -> Vec<Vec<u8>> {
        let mut paths: Vec<_> = self
            .files
            .keys()
            .chain(other.files.keys())
            .cloned()
            .collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| self.get(path) != other.get(path));
        paths
    }

    /// Returns the names the policy compares new ones with.
    pub(super) fn names(&self) -> NameSet {
        let mut names = NameSet::default();
        for path in self.files.keys() {
            names.insert_path(&RepoPath::new(path.clone()));
        }
        names
    }

    /// Writes the files below a directory.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        std::fs::create_dir_all(root)?;
        for (path, file) in &self.files {
            let to = root.join(OsStr::from_bytes(path));
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)?;
            }
            if file.mode == FileMode::Symlink {
                std::os::unix::fs::symlink(OsStr::from_bytes(&file.content), &to)?;
                continue;
            }
            std::fs::write(&to, &file.content)?;
            if file.mode == FileMode::Executable {
                std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }

    /// Reads the files below a directory; git directories are left out and named in `skipped`.
    pub(super) fn read(root: &Path, skipped: &mut Vec<Vec<u8>>) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_below(root, &[], skipped)?;
        Ok(tree)
    }

    fn read_below(
        &mut self,
        root: &Path,
        folder: &[u8],
        skipped: &mut Vec<Vec<u8>>,
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(root.join(OsStr::from_bytes(folder)))? {
            let entry = entry?;
            let name = entry.file_name().into_vec();
            let path = if folder.is_empty() {
                name.clone()
            } else {
                [folder, b"/", &name].concat()
            };
            let kind = entry.file_type()?;
            if name == b".git" {
                skipped.push(path);
            } else if kind.is_dir() {
                self.read_below(root, &path, skipped)?;
            } else if kind.is_symlink() {
                let to = std::fs::read_link(entry.path())?;
                self.put(&path, FileMode::Symlink, to.as_os_str().as_bytes());
            } else {
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                let mode = if executable {
                    FileMode::Executable
                } else {
                    FileMode::Regular
                };
                self.put(&path, mode, &std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }
}
