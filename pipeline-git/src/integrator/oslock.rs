//! The integrator's lock: one session per repository, over all processes.

use std::fs::File;

use pipeline_core::file_lock::FileLock;

use crate::error::GitError;
use crate::object::blocking;
use crate::repository::Repository;

/// A held lock; dropping it, or dying with it, frees the repository.
#[derive(Debug)]
pub(crate) struct OsLock {
    _lock: FileLock,
}

/// Takes the lock; `None` when another process (or session) has it.
///
/// It is a lock of the operating system on a file that stays, so no crash can leave it held.
pub(crate) async fn take(repository: &Repository) -> Result<Option<OsLock>, GitError> {
    let path = repository.common_dir().join("agents-integrator.lock");
    let file = path.clone();
    let taken = blocking("lock", &path, move || {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(file)?;
        FileLock::try_take(file)
    });
    Ok(taken.await?.map(|lock| OsLock { _lock: lock }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn one_at_a_time_and_free_again_when_dropped() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let first = take(&fixture.repository)
            .await
            .expect("asked")
            .expect("free");
        assert!(take(&fixture.repository).await.expect("asked").is_none());
        drop(first);
        assert!(take(&fixture.repository).await.expect("asked").is_some());
    }
}
