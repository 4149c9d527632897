//! Where patches are kept: by the digest of their bytes, twice.
//!
//! As a file in the state directory, which a person can read, and as a blob that a ref names, so
//! that the repository itself keeps it through garbage collection and goes along in its backups.

use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::workspace::Patch;
use pipeline_core::workspace::PatchId;

use crate::error::GitError;
use crate::held;
use crate::object::Objects;
use crate::object::blocking;
use crate::object::sync_dir;
use crate::oid::Kind;
use crate::refs;
use crate::repository::Repository;
use crate::repository::create_private;

/// The patches of one repository.
#[derive(Clone, Debug)]
pub(crate) struct PatchStore {
    repository: Repository,
}

/// What is stored under a patch's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Nothing,
    Whole(Patch),
    /// Neither the file nor the blob has the bytes its name promises.
    Damaged,
}

impl PatchStore {
    pub(crate) fn new(repository: &Repository) -> Self {
        Self {
            repository: repository.clone(),
        }
    }

    fn file(&self, id: &PatchId) -> PathBuf {
        self.repository
            .state_dir()
            .join("patches")
            .join(format!("{}.patch", id.as_str()))
    }

    fn ref_name(id: &PatchId) -> String {
        format!("{}{}", refs::PATCH, id.as_str())
    }

    /// Keeps a patch; when this returns, file, blob and ref are synced.
    pub(crate) async fn put(&self, patch: &Patch) -> Result<(), GitError> {
        let file = self.file(patch.id());
        if !matches!(self.read_file(patch.id()).await?, Some(found) if found == *patch) {
            let state_dir = self.repository.state_dir().to_path_buf();
            let (to, bytes) = (file.clone(), patch.bytes().to_vec());
            blocking("write", &file, move || replace(&state_dir, &to, &bytes)).await?;
        }
        let name = Self::ref_name(patch.id());
        let objects = Objects::open(&self.repository)?;
        let blob = objects.write(Kind::Blob, patch.bytes().to_vec())?;
        if refs::find(&self.repository, &name).await? == Some(blob) {
            return Ok(());
        }
        objects.keep().await?;
        refs::set(&self.repository, &name, &blob, "patch of an agent").await
    }

    /// Returns a patch, from its file or else from its blob.
    pub(crate) async fn get(&self, id: &PatchId) -> Result<Stored, GitError> {
        let file = self.read_file(id).await?;
        if let Some(patch) = file.as_ref().filter(|patch| patch.id() == id) {
            return Ok(Stored::Whole(patch.clone()));
        }
        let blob = refs::find(&self.repository, &Self::ref_name(id)).await?;
        let Some(blob) = blob else {
            return Ok(if file.is_none() {
                Stored::Nothing
            } else {
                Stored::Damaged
            });
        };
        let objects = Objects::open(&self.repository)?;
        let found = objects
            .find(&blob)
            .await?
            .map(|(_, content)| Patch::new(content.to_vec()));
        Ok(match found {
            Some(patch) if patch.id() == id => Stored::Whole(patch),
            _ => Stored::Damaged,
        })
    }

    /// Tells whether a patch is kept in full: whole file, whole blob, ref.
    pub(crate) async fn contains(&self, id: &PatchId) -> Result<bool, GitError> {
        let whole = self
            .read_file(id)
            .await?
            .is_some_and(|patch| patch.id() == id);
        Ok(whole
            && refs::find(&self.repository, &Self::ref_name(id))
                .await?
                .is_some())
    }

    /// Removes a patch: first the ref, so that no ref ever names what has no file.
    pub(crate) async fn remove(&self, id: &PatchId) -> Result<(), GitError> {
        refs::delete(&self.repository, &Self::ref_name(id)).await?;
        let file = self.file(id);
        match tokio::fs::remove_file(&file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(GitError::file("remove", &file)),
        }
    }

    async fn read_file(&self, id: &PatchId) -> Result<Option<Patch>, GitError> {
        let file = self.file(id);
        match tokio::fs::read(&file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read
                .map(|bytes| Some(Patch::new(bytes)))
                .map_err(GitError::file("read", &file)),
        }
    }
}

/// Writes a file below the state directory so that a reader, and a power cut, sees the old content or the new, never a
/// part. What processes left that were killed over it is removed.
pub(crate) fn replace(state_dir: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_private(dir)?;
    let writing = state_dir.join("writing");
    held::sweep(&writing)?;
    let (temporary, mut to, _lock) = held::create_file(&writing)?;
    let written = to.write_all(bytes).and_then(|()| to.sync_all());
    let renamed = written.and_then(|()| std::fs::rename(&temporary, file));
    if renamed.is_err() {
        // The first error is the one worth telling.
        let _already_failed = std::fs::remove_file(&temporary);
    }
    renamed?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    async fn kept(bytes: &[u8]) -> (Fixture, PatchStore, Patch) {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let store = PatchStore::new(&fixture.repository);
        let patch = Patch::new(bytes.to_vec());
        store.put(&patch).await.expect("kept");
        (fixture, store, patch)
    }

    #[tokio::test]
    async fn a_patch_is_kept_twice_and_garbage_collection_leaves_it() {
        let (fixture, store, patch) = kept(b"the bytes\r\n\0").await;
        store
            .put(&patch)
            .await
            .expect("keeping again changes nothing");
        fixture.git(&["gc", "-q", "--prune=now"]);
        assert_eq!(
            store.get(patch.id()).await.expect("readable"),
            Stored::Whole(patch.clone())
        );
        assert!(store.contains(patch.id()).await.expect("readable"));
        std::fs::remove_file(store.file(patch.id())).expect("removed");
        assert_eq!(
            store.get(patch.id()).await.expect("readable"),
            Stored::Whole(patch.clone())
        );
        assert!(
            !store.contains(patch.id()).await.expect("readable"),
            "half of it is missing"
        );
        store.put(&patch).await.expect("repaired");
        assert!(store.contains(patch.id()).await.expect("readable"));
    }

    #[tokio::test]
    async fn changed_bytes_are_never_taken_for_the_patch() {
        let (fixture, store, patch) = kept(b"right").await;
        std::fs::write(store.file(patch.id()), b"wrong").expect("written");
        assert_eq!(
            store.get(patch.id()).await.expect("readable"),
            Stored::Whole(patch.clone())
        );
        fixture.git(&["update-ref", "-d", &PatchStore::ref_name(patch.id())]);
        assert_eq!(
            store.get(patch.id()).await.expect("readable"),
            Stored::Damaged
        );
    }

    #[tokio::test]
    async fn what_was_never_kept_is_nothing() {
        let (_fixture, store, _) = kept(b"x").await;
        assert_eq!(
            store.get(&PatchId::of(b"y")).await.expect("readable"),
            Stored::Nothing
        );
    }
}
