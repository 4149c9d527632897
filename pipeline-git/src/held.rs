//! Folders and files that belong to a living process: what a dead one leaves is told apart and removed.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::file_lock::FileLock;
use pipeline_core::random::nonce;

use crate::repository::create_private;
use crate::workspace::remove_any;

/// How often a new folder may be lost to somebody who sweeps in the very moment.
const TRIES: usize = 8;

/// A new folder of this process; the operating system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct HeldDir {
    path: PathBuf,
    _lock: FileLock,
}

impl HeldDir {
    /// Makes a folder of a new name below `parent`.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        let (path, lock) = create(parent, "")?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a folder is left behind");
        }
    }
}

/// Makes a private folder of a new name that begins like this below `parent`, and locks it for this process.
pub(crate) fn create(parent: &Path, prefix: &str) -> io::Result<(PathBuf, FileLock)> {
    for _ in 0..TRIES {
        let path = parent.join(format!("{prefix}{}", nonce()));
        create_private(&path)?;
        // Between the two steps it looks like a dead process's, and may be swept away.
        if let Some(lock) = hold(&path)? {
            return Ok((path, lock));
        }
    }
    Err(io::Error::other(
        "every new folder is removed by somebody else at once",
    ))
}

/// Makes an empty file of a new name below `parent`, private and locked for this process; the second one is the lock.
pub(crate) fn create_file(parent: &Path) -> io::Result<(PathBuf, File, FileLock)> {
    create_private(parent)?;
    for _ in 0..TRIES {
        let path = parent.join(nonce());
        let file = File::create_new(&path)?;
        // As with folders.
        if let Some(lock) = hold(&path)? {
            return Ok((path, file, lock));
        }
    }
    Err(io::Error::other(
        "every new file is removed by somebody else at once",
    ))
}

/// Locks a folder or a file for this process; `None` when another one has it, or it is gone.
pub(crate) fn hold(path: &Path) -> io::Result<Option<FileLock>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let Some(lock) = FileLock::try_take(file)? else {
        return Ok(None);
    };
    let ours = lock.file().metadata()?;
    // What was locked may have been removed or renamed in between.
    let there = std::fs::symlink_metadata(path)
        .is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()));
    Ok(there.then_some(lock))
}

/// Removes everything below `parent` whose process is dead.
pub(crate) fn sweep(parent: &Path) -> io::Result<()> {
    sweep_named(parent, "")
}

/// Removes every folder below `parent` whose name begins like this and whose process is dead.
pub(crate) fn sweep_named(parent: &Path, prefix: &str) -> io::Result<()> {
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && let Some(_lock) = hold(&path)?
            && let Err(error) = remove_any(&path)
        {
            tracing::warn!(path = %path.display(), %error, "what a dead process left stays");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_when_nobody_holds_it_and_not_before() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = HeldDir::create(dir.path()).expect("made");
        std::fs::write(held.path().join("x"), "x").expect("written");
        let dead = dir.path().join("dead");
        std::fs::create_dir(&dead).expect("made");
        sweep(dir.path()).expect("swept");
        assert!(held.path().join("x").exists());
        assert!(!dead.exists());
        let path = held.path().to_path_buf();
        drop(held);
        assert!(!path.exists());
        sweep(&dir.path().join("none")).expect("nothing there is fine");
    }

    #[test]
    fn a_file_goes_when_nobody_holds_it_and_not_before() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (path, _file, lock) = create_file(dir.path()).expect("made");
        sweep(dir.path()).expect("swept");
        assert!(path.exists());
        drop(lock);
        sweep(dir.path()).expect("swept");
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_was_replaced_is_not_held() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("x");
        std::fs::create_dir(&path).expect("made");
        let first = hold(&path).expect("asked").expect("free");
        assert!(hold(&path).expect("asked").is_none());
        std::fs::remove_dir(&path).expect("removed");
        assert!(hold(&path).expect("asked").is_none());
        std::fs::create_dir(&path).expect("made");
        assert!(
            hold(&path).expect("asked").is_some(),
            "another folder of that name"
        );
        drop(first);
    }
}
