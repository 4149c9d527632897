//! A folder that belongs to one run.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::RunId;
use pipeline_core::process::OwnFolder;

/// A folder only for one run and only for this user, gone when dropped, or with the next run if this process is killed.
#[derive(Debug)]
pub(crate) struct PrivateFolder(OwnFolder);

impl PrivateFolder {
    /// Makes the folder of a run below `scratch`, which is made too; what an earlier try of the run left there goes first.
    pub(crate) fn new(scratch: &Path, run: &RunId) -> io::Result<Self> {
        OwnFolder::new(scratch, run.as_str()).map(Self)
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a folder inside.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_inside_are_private_and_go_with_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::new(scratch.path(), &RunId::random()).unwrap();
        let home = folder.folder("home").unwrap();
        assert_eq!(home.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert_eq!(scratch.path().read_dir().unwrap().count(), 0);
    }
}
