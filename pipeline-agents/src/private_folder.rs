//! A folder that belongs to one run.

use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::RunId;

/// A folder only for one run and only for this user, gone when dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes the folder of a run below `scratch`, which is made too; what an earlier try of the run left there goes first.
    pub(crate) fn new(scratch: &Path, run: &RunId) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(scratch)?;
        // Links are followed by nobody from here on: a wrapper shows real paths only.
        let path = fs::canonicalize(scratch)?.join(run.as_str());
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        builder.recursive(false).create(&path)?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a folder inside.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a run's private folder could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_starts_empty_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let run = RunId::random();
        let below = scratch.path().join("agents/scratch");
        fs::create_dir_all(below.join(run.as_str()).join("left/over")).unwrap();
        let folder = PrivateFolder::new(&below, &run).unwrap();
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
        let home = folder.folder("home").unwrap();
        for path in [&folder.0, &home] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        drop(folder);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
    }
}
