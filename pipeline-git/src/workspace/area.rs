//! One workspace on disk: where its parts lie, and the record that survives a crash.
//!
//! `<state>/workspaces/<run>/` holds `workspace.json`, the private `index` (with the stat data of
//! the checkout) and `tree/`, the only part that an agent or a hook ever sees.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::RunId;
use pipeline_core::workspace::Workspace;
use serde::Deserialize;
use serde::Serialize;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::object::Entry;
use crate::object::Objects;
use crate::object::blocking;
use crate::object::sync_dir;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::repository::create_private;

/// What is known of a workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) v: u32,
    pub(super) workspace: Workspace,
    /// The tree it was filled with: the base's, less what was excluded.
    pub(super) tree: String,
    /// The object directory that holds what is left of the base, where paths were excluded.
    pub(super) store: Option<PathBuf>,
}

/// What the name of a folder begins with until its record is whole.
pub(super) const UNFINISHED: &str = ".new-";

/// One workspace on disk.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) repository: Repository,
    dir: PathBuf,
    pub(super) record: Record,
    pub(super) tree: Oid,
}

/// Returns the folder of all workspaces.
pub(super) fn folder(repository: &Repository) -> PathBuf {
    repository.state_dir().join("workspaces")
}

impl Area {
    /// Makes the folder of a new workspace with its record in it, in one step.
    pub(super) async fn create(
        repository: &Repository,
        record: Record,
        tree: Oid,
    ) -> Result<Self, GitError> {
        let dir = folder(repository).join(record.workspace.run.as_str());
        let area = Self {
            repository: repository.clone(),
            dir: dir.clone(),
            record,
            tree,
        };
        let json = serde_json::to_vec_pretty(&area.record).map_err(|error| GitError::File {
            action: "write the record of",
            path: dir.clone(),
            source: error.into(),
        })?;
        blocking("create the workspace", &dir.clone(), move || {
            let parent = dir.parent().ok_or(io::ErrorKind::InvalidInput)?;
            create_private(parent)?;
            // A crash must not leave a folder that nobody can tell the run of.
            let (fresh, _held) = crate::held::create(parent, UNFINISHED)?;
            let placed = std::fs::write(fresh.join("workspace.json"), json)
                .and_then(|()| std::fs::rename(&fresh, &dir));
            if let Err(error) = placed {
                std::fs::remove_dir_all(&fresh)?;
                return Err(error);
            }
            sync_dir(parent)
        })
        .await?;
        Ok(area)
    }

    /// Names a workspace whose folder with its record is there already.
    pub(super) fn placed(repository: &Repository, dir: PathBuf, record: Record, tree: Oid) -> Self {
        Self {
            repository: repository.clone(),
            dir,
            record,
            tree,
        }
    }

    /// Opens the workspace of a run; `None` when there is none.
    pub(super) async fn open(
        repository: &Repository,
        run: &RunId,
    ) -> Result<Option<Self>, GitError> {
        Self::open_at(repository, folder(repository).join(run.as_str())).await
    }

    /// Opens a workspace by its folder; `None` when there is no readable record in it.
    async fn open_at(repository: &Repository, dir: PathBuf) -> Result<Option<Self>, GitError> {
        let file = dir.join("workspace.json");
        let json = match tokio::fs::read(&file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(GitError::file("read", &file))?,
        };
        let damaged = |why: String| GitError::File {
            action: "understand",
            path: file.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, why),
        };
        let record: Record =
            serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        let tree = Oid::from_hex(record.tree.as_bytes())
            .ok_or_else(|| damaged("`tree` is no object name".to_owned()))?;
        Ok(Some(Self {
            repository: repository.clone(),
            dir,
            record,
            tree,
        }))
    }

    /// Opens every workspace there is; one whose record is damaged is left out and logged.
    pub(super) async fn all(repository: &Repository) -> Result<Vec<Self>, GitError> {
        let folder = folder(repository);
        let failed = |error| GitError::file("read", &folder)(error);
        let mut entries = tokio::fs::read_dir(&folder).await.map_err(failed)?;
        let mut areas = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                continue;
            }
            match Self::open_at(repository, entry.path()).await {
                Ok(area) => areas.extend(area),
                Err(error) => tracing::warn!(path = %entry.path().display(), %error, "workspace"),
            }
        }
        areas.sort_by(|a, b| a.record.workspace.run.cmp(&b.record.workspace.run));
        Ok(areas)
    }

    /// Returns the folder that holds everything of the workspace.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the directory an agent works in.
    pub(super) fn path(&self) -> PathBuf {
        path_in(&self.dir)
    }

    /// Returns whether there certainly is no checkout: nobody got to fill it, or somebody deleted its directory.
    ///
    /// What cannot be looked at, or was replaced by something else, may hold work.
    pub(super) fn lacks_checkout(&self) -> bool {
        let found = self.path().symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Returns the index that was written with the checkout; nothing but this crate touches it.
    pub(super) fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    /// Starts a command on the files of the workspace with a private index.
    ///
    /// Its configuration is the plumbing directory's, its attributes are the base's; what it writes
    /// goes to the quarantine of `objects`.
    pub(super) fn command(&self, objects: &Objects, index: &Path) -> GitCommand {
        command_on(&self.repository, objects, &self.tree, &self.path(), index)
    }

    /// Opens a view of the objects this workspace is made of.
    pub(super) fn objects(&self) -> Result<Objects, GitError> {
        Objects::open_with(&self.repository, self.record.store.clone())
    }

    /// Finds what a path named when the workspace was made.
    pub(super) async fn entry(
        &self,
        objects: &Objects,
        path: &[u8],
    ) -> Result<Option<Entry>, GitError> {
        objects.entry(&self.tree, path).await
    }
}

/// Starts a command on the files of a checkout, see [`Area::command`].
pub(super) fn command_on(
    repository: &Repository,
    objects: &Objects,
    tree: &Oid,
    root: &Path,
    index: &Path,
) -> GitCommand {
    let command = objects.plumbing_at(tree).work_tree(root).index(index);
    command.config(exclude_file(repository))
}

/// Returns the directory an agent works in, inside the folder of its workspace.
pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join("tree")
}

/// The user's own list of what is never committed holds in workspaces too.
fn exclude_file(repository: &Repository) -> std::ffi::OsString {
    let mut assignment = std::ffi::OsString::from("core.excludesFile=");
    assignment.push(repository.common_dir().join("info").join("exclude"));
    assignment
}
