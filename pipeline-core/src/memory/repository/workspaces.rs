//! Workspaces of the repository in memory: plain directories on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use globset::GlobBuilder;
use globset::GlobSet;
use globset::GlobSetBuilder;
use sha2::Digest as _;
use sha2::Sha256;

use super::MadeWorkspace;
use super::MemoryRepository;
use super::diff::diff;
use super::files::Files;
use crate::BoxError;
use crate::agent::RunMode;
use crate::footprint::encode_readable;
use crate::footprint::percent_decode;
use crate::patch::FileMode;
use crate::workspace::BaseRevision;
use crate::workspace::Captured;
use crate::workspace::Patch;
use crate::workspace::RemovalReason;
use crate::workspace::Target;
use crate::workspace::Workspace;
use crate::workspace::WorkspaceError;
use crate::workspace::WorkspaceProvider;
use crate::workspace::WorkspaceRequest;

/// Workspaces of a [`MemoryRepository`]: plain directories without git, whatever kind is asked for.
///
/// Every file counts, since nothing says which are to be ignored.
#[derive(Debug, Clone)]
pub struct MemoryWorkspaces {
    repository: MemoryRepository,
    folder: PathBuf,
    patch_limit: u64,
}

impl MemoryWorkspaces {
    /// Makes a provider whose workspaces lie below `folder`.
    #[must_use]
    pub fn new(repository: MemoryRepository, folder: impl Into<PathBuf>) -> Self {
        Self {
            repository,
            folder: folder.into(),
            patch_limit: 5_000_000,
        }
    }

    /// Sets the largest patch in bytes; 5 MB otherwise.
    #[must_use]
    pub fn with_patch_limit(mut self, bytes: u64) -> Self {
        self.patch_limit = bytes;
        self
    }

    fn made(&self, workspace: &Workspace) -> Result<MadeWorkspace, WorkspaceError> {
        let run = &workspace.run;
        let found = self.repository.state().workspaces.get(run).cloned();
        found.ok_or_else(|| WorkspaceError::Other {
            operation: format!("open the workspace of {run}: there is none"),
            source: None,
        })
    }

    fn tree_of(&self, base: &BaseRevision) -> Result<Files, WorkspaceError> {
        let found = self.repository.state().tree(&base.commit);
        found.ok_or_else(|| WorkspaceError::Other {
            operation: format!("read {}: there is no such commit", base.commit.short()),
            source: None,
        })
    }

    fn difference(
        &self,
        made: &MadeWorkspace,
        tree: &Files,
        removed: Vec<String>,
    ) -> Result<Captured, WorkspaceError> {
        let patch = diff(&made.base, tree);
        if u64::try_from(patch.len()).unwrap_or(u64::MAX) > self.patch_limit {
            return Err(WorkspaceError::PatchTooLarge {
                issue: made.workspace.issue.clone(),
                limit: self.patch_limit,
                path: made.workspace.path.clone(),
            });
        }
        let touched = made.base.differing(tree);
        Ok(Captured {
            patch: Patch::new(patch),
            touched: touched.iter().map(|path| encode_readable(path)).collect(),
            removed,
        })
    }

    fn current(made: &MadeWorkspace) -> Result<Files, WorkspaceError> {
        let workspace = &made.workspace;
        Files::read(&workspace.path, &mut Vec::new())
            .map_err(|error| failed(format!("read the workspace of {}", workspace.run), error))
    }
}

#[async_trait]
impl WorkspaceProvider for MemoryWorkspaces {
    async fn base(&self, target: &Target) -> Result<BaseRevision, WorkspaceError> {
        let state = self.repository.state();
        match state.tips.get(target) {
            Some(commit) => Ok(BaseRevision {
                target: target.clone(),
                commit: commit.clone(),
            }),
            None => Err(WorkspaceError::UnknownTarget {
                target: target.clone(),
                hint: "make its first commit".to_owned(),
            }),
        }
    }

    async fn files(&self, base: &BaseRevision) -> Result<Vec<String>, WorkspaceError> {
        Ok(self.tree_of(base)?.paths().map(encode_readable).collect())
    }

    async fn file(
        &self,
        base: &BaseRevision,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let tree = self.tree_of(base)?;
        let path = percent_decode(path).unwrap_or_else(|| path.as_bytes().to_vec());
        let file = tree
            .get(&path)
            .filter(|file| file.mode != FileMode::Symlink);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(file.map(|file| file.content.iter().copied().take(limit).collect()))
    }

    async fn create(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError> {
        let run = &request.run;
        let operation = || format!("create a workspace for {} ({run})", request.issue);
        let excluded = patterns(&request.exclude).map_err(|error| failed(operation(), error))?;
        let mut base = self.tree_of(&request.base)?;
        base.retain(|path| !covers(&excluded, path));
        let path = self.folder.join(run.as_str());
        let workspace = Workspace {
            run: run.clone(),
            issue: request.issue.clone(),
            path: path.clone(),
            base: request.base.clone(),
            kind: request.kind,
            mode: request.mode,
        };
        let mut state = self.repository.state();
        if state.workspaces.contains_key(run) {
            return Err(WorkspaceError::Other {
                operation: format!("{}: there is one already", operation()),
                source: None,
            });
        }
        base.write(&path)
            .map_err(|error| failed(operation(), error))?;
        let made = MadeWorkspace {
            workspace: workspace.clone(),
            base,
        };
        state.workspaces.insert(run.clone(), made);
        Ok(workspace)
    }

    async fn digest(&self, workspace: &Workspace) -> Result<String, WorkspaceError> {
        let tree = Self::current(&self.made(workspace)?)?;
        Ok(hex::encode(Sha256::digest(tree.id().as_str())))
    }

    async fn capture(
        &self,
        workspace: &Workspace,
        litter: &[String],
    ) -> Result<Captured, WorkspaceError> {
        let made = self.made(workspace)?;
        let root = &made.workspace.path;
        let operation = || format!("take the patch of {} ({})", workspace.issue, workspace.run);
        let mut removed = Vec::new();
        for name in litter {
            let plain = Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            let is_base = made.base.paths().any(|path| {
                path.strip_prefix(name.as_bytes())
                    .is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/'))
            });
            if plain && !name.is_empty() && !is_base && !behind_a_link(root, Path::new(name)) {
                let gone = remove(&root.join(name)).map_err(|error| failed(operation(), error))?;
                removed.extend(gone.then(|| name.clone()));
            }
        }
        let mut nested = Vec::new();
        let tree = Files::read(root, &mut nested).map_err(|error| failed(operation(), error))?;
        for path in nested {
            remove(&root.join(OsStr::from_bytes(&path)))
                .map_err(|error| failed(operation(), error))?;
            removed.push(encode_readable(&path));
        }
        self.difference(&made, &tree, removed)
    }

    async fn peek(&self, workspace: &Workspace) -> Result<Captured, WorkspaceError> {
        let made = self.made(workspace)?;
        let tree = Self::current(&made)?;
        self.difference(&made, &tree, Vec::new())
    }

    async fn salvage(&self, workspace: &Workspace) -> Result<Option<String>, WorkspaceError> {
        let made = self.made(workspace)?;
        let tree = Self::current(&made)?;
        if tree == made.base {
            return Ok(None);
        }
        let short: String = tree.id().as_str().chars().take(12).collect();
        let name = format!("refs/agents/salvage/{}/{short}", workspace.run);
        self.repository.state().salvaged.insert(name.clone(), tree);
        Ok(Some(name))
    }

    async fn remove(
        &self,
        workspace: Workspace,
        reason: &RemovalReason,
    ) -> Result<(), WorkspaceError> {
        let run = &workspace.run;
        let Some(made) = self.repository.state().workspaces.get(run).cloned() else {
            return Ok(());
        };
        let missing = match reason {
            RemovalReason::PatchStored(id) => (!self.repository.state().patches.contains_key(id))
                .then(|| format!("patch {} is not stored", id.short())),
            RemovalReason::Unchanged => {
                (Self::current(&made)? != made.base).then(|| "it differs from its base".to_owned())
            }
            RemovalReason::ReadOnly => (made.workspace.mode != RunMode::ReadOnly)
                .then(|| "it was not read-only".to_owned()),
            RemovalReason::Salvaged(name) => (!self.repository.state().salvaged.contains_key(name))
                .then(|| format!("there is no ref {name}")),
        };
        if let Some(why) = missing {
            return Err(WorkspaceError::Other {
                operation: format!("remove the workspace of {run}: {why}, so it stays"),
                source: None,
            });
        }
        remove(&made.workspace.path)
            .map_err(|error| failed(format!("remove the workspace of {run}"), error))?;
        self.repository.state().workspaces.remove(run);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Workspace>, WorkspaceError> {
        let state = self.repository.state();
        Ok(state
            .workspaces
            .values()
            .map(|made| made.workspace.clone())
            .collect())
    }
}

/// Compiles patterns; one that matches a directory covers everything below it.
fn patterns(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = glob.trim_end_matches('/');
        set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
    }
    set.build()
}

fn covers(set: &GlobSet, path: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    path.ancestors().any(|part| set.is_match(part))
}

fn behind_a_link(root: &Path, relative: &Path) -> bool {
    let mut folders = relative.ancestors().skip(1);
    folders.any(|folder| !folder.as_os_str().is_empty() && root.join(folder).is_symlink())
}

/// Removes whatever is at a path; tells whether there was something.
fn remove(path: &Path) -> std::io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path).map(|()| true),
        Ok(_) => std::fs::remove_file(path).map(|()| true),
    }
}

fn failed(operation: String, error: impl Into<BoxError>) -> WorkspaceError {
    WorkspaceError::Other {
        operation,
        source: Some(error.into()),
    }
}
