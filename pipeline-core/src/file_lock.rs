//! A lock of the operating system, which no crash can leave held.

use std::fs::File;
use std::fs::TryLockError;
use std::io;

/// A lock on a file that one holder has, over all processes; given back when dropped, and when the process dies.
///
/// # Guarantees
/// Dropped, it is free at once. That is more than closing the file would do: a child that another thread is just starting
/// has a copy of every open file until it runs its own program, and a lock lasts as long as any copy.
///
/// # Examples
/// ```
/// use pipeline_core::file_lock::FileLock;
///
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("turn");
/// let held = FileLock::try_take(std::fs::File::create(&path)?)?;
/// assert!(FileLock::try_take(std::fs::File::open(&path)?)?.is_none());
/// drop(held);
/// assert!(FileLock::try_take(std::fs::File::open(&path)?)?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it is given back when dropped"]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock of an open file without waiting; `None` if somebody else has it.
    ///
    /// # Errors
    /// What the system says of a file that cannot be locked.
    pub fn try_take(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the file that is locked.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // If that cannot be, closing it does it a moment later.
        drop(self.0.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_file_that_outlives_the_lock_does_not_hold_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("lock");
        let held = FileLock::try_take(File::create(&path).expect("made"));
        let held = held.expect("asked").expect("free");
        // As a child has it between its fork and its program.
        let copy = held.file().try_clone().expect("copied");
        let other = || FileLock::try_take(File::open(&path).expect("there")).expect("asked");
        assert!(other().is_none());
        drop(held);
        assert!(other().is_some());
        drop(copy);
    }
}
