//! A folder that belongs to one living process.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::getuid;

use crate::file_lock::FileLock;

/// What the lock beside each folder is called, so that nothing else is ever taken for one.
const LOCK: &str = "pipeline-lock";
/// How often a lock is taken anew that somebody has just cleared away.
const TRIES: usize = 100;
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// A folder only for this user and one process, gone when dropped.
///
/// # Guarantees
/// It begins empty. What a process that died left is removed by the next folder that is made beside it: a lock, which the
/// system lets go of with its process, tells the dead from the living.
#[derive(Debug)]
pub struct OwnFolder {
    path: PathBuf,
    lock_path: PathBuf,
    // Held for its lock only.
    _lock: FileLock,
}

impl OwnFolder {
    /// Makes a folder of this name below `parent`, which is made too.
    ///
    /// # Errors
    /// If the folder cannot be made, or another living process has one of this name.
    pub fn new(parent: &Path, name: &str) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(parent)?;
        // Links are followed by nobody from here on: a wrapper shows real paths only.
        let parent = fs::canonicalize(parent)?;
        clear(&parent)?;
        let lock_path = parent.join(format!("{name}.{LOCK}"));
        let lock = taken(&lock_path)?;
        let path = parent.join(name);
        remove(&path)?;
        builder.recursive(false).create(&path)?;
        Ok(Self {
            path,
            lock_path,
            _lock: lock,
        })
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path).and_then(|()| fs::remove_file(&self.lock_path)) {
            tracing::warn!(%error, folder = %self.path.display(), "a process's own folder could not be removed");
        }
    }
}

/// Takes a lock whose file is still there once it is held.
fn taken(path: &Path) -> io::Result<FileLock> {
    for _ in 0..TRIES {
        let Some(lock) = FileLock::try_take(File::create(path)?)? else {
            // Somebody who clears away holds it for a moment.
            std::thread::sleep(PAUSE);
            continue;
        };
        let held = lock.file().metadata()?;
        let there = fs::symlink_metadata(path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return Ok(lock);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        format!("{} is held by another process", path.display()),
    ))
}

/// Removes the folders whose processes are gone; those of other users are none of ours.
fn clear(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != LOCK) {
            continue;
        }
        let ours = fs::symlink_metadata(&path)
            .is_ok_and(|found| found.is_file() && found.uid() == getuid().as_raw());
        let Some(file) = ours.then(|| File::open(&path).ok()).flatten() else {
            continue;
        };
        if let Ok(Some(_lock)) = FileLock::try_take(file) {
            remove(&path.with_extension(""))?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_private_starts_empty_and_goes() {
        let top = tempfile::tempdir().unwrap();
        let parent = top.path().join("a/b");
        fs::create_dir_all(parent.join("one/left/over")).unwrap();
        let folder = OwnFolder::new(&parent, "one").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mode = folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert_eq!(names(&parent), [""; 0]);
    }

    #[test]
    fn what_the_dead_left_goes_and_what_lives_stays() {
        let top = tempfile::tempdir().unwrap();
        let living = OwnFolder::new(top.path(), "living").unwrap();
        // As a kill leaves it: a folder, and a lock that nobody holds.
        fs::create_dir(top.path().join("dead")).unwrap();
        fs::write(top.path().join("dead.pipeline-lock"), "").unwrap();
        fs::create_dir(top.path().join("other")).unwrap();
        fs::write(top.path().join("other.lock"), "").unwrap();
        let next = OwnFolder::new(top.path(), "next").unwrap();
        assert_eq!(
            names(top.path()),
            [
                "living",
                "living.pipeline-lock",
                "next",
                "next.pipeline-lock",
                "other",
                "other.lock"
            ]
        );
        assert!(OwnFolder::new(top.path(), "living").is_err());
        drop((living, next));
        assert_eq!(names(top.path()), ["other", "other.lock"]);
    }
}
