//! A repository in memory: commits are maps from path to content; workspaces are real folders with those files.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::agent::RunMode;
use crate::workspace::BaseRevision;
use crate::workspace::Captured;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::RemovalReason;
use crate::workspace::Target;
use crate::workspace::Workspace;
use crate::workspace::WorkspaceError;
use crate::workspace::WorkspaceProvider;
use crate::workspace::WorkspaceRequest;

/// Content by path.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// A commit in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCommit {
    /// The commit before it.
    pub parent: Option<CommitId>,
    /// Its files.
    pub tree: Tree,
    /// Its message, trailers included.
    pub message: String,
}

/// A repository in memory, shared by the workspaces and the integrator in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryRepository {
    state: Arc<Mutex<Repository>>,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) commits: BTreeMap<CommitId, MemoryCommit>,
    pub(super) branches: BTreeMap<Target, CommitId>,
}

impl MemoryRepository {
    /// Makes an empty repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits a tree on a branch, which is created if needed, and returns the commit.
    pub fn commit(&self, target: &Target, tree: Tree, message: &str) -> CommitId {
        let mut state = self.lock();
        let parent = state.branches.get(target).cloned();
        let id = state.add(MemoryCommit {
            parent,
            tree,
            message: message.to_owned(),
        });
        state.branches.insert(target.clone(), id.clone());
        id
    }

    /// Returns the tip of a branch.
    #[must_use]
    pub fn tip(&self, target: &Target) -> Option<CommitId> {
        self.lock().branches.get(target).cloned()
    }

    /// Returns the commits of a branch, newest first.
    #[must_use]
    pub fn log(&self, target: &Target) -> Vec<(CommitId, MemoryCommit)> {
        let state = self.lock();
        let mut at = state.branches.get(target).cloned();
        let mut log = Vec::new();
        while let Some(id) = at {
            let Some(commit) = state.commits.get(&id).cloned() else {
                break;
            };
            at = commit.parent.clone();
            log.push((id, commit));
        }
        log
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Repository> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repository {
    pub(super) fn add(&mut self, commit: MemoryCommit) -> CommitId {
        let parent = commit.parent.as_ref().map_or("", CommitId::as_str);
        let id = digest(&[
            parent,
            commit.message.as_str(),
            tree_id(&commit.tree).as_str(),
        ]);
        self.commits.insert(id.clone(), commit);
        id
    }
}

fn digest(parts: &[&str]) -> CommitId {
    let mut h = Sha256::new();
    for part in parts {
        h.update((part.len() as u64).to_be_bytes());
        h.update(part);
    }
    CommitId::new(hex::encode(h.finalize())).expect("a sha256 has 64 hexadecimal digits")
}

/// Returns the id of a tree.
pub(super) fn tree_id(tree: &Tree) -> CommitId {
    let mut h = Sha256::new();
    for (path, bytes) in tree {
        for part in [path.as_bytes(), bytes] {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part);
        }
    }
    CommitId::new(hex::encode(h.finalize())).expect("a sha256 has 64 hexadecimal digits")
}

/// The patch format of the repository in memory: per path, what was there and what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) before: Option<Vec<u8>>,
    pub(super) after: Option<Vec<u8>>,
}

/// Private working areas over a [`MemoryRepository`]: real folders below one given folder.
#[derive(Debug)]
pub struct MemoryWorkspaces {
    repository: MemoryRepository,
    folder: PathBuf,
    live: Mutex<BTreeMap<PathBuf, Workspace>>,
    salvaged: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryWorkspaces {
    /// Makes a provider whose workspaces lie below `folder`.
    #[must_use]
    pub fn new(repository: MemoryRepository, folder: impl Into<PathBuf>) -> Self {
        let (live, salvaged) = (Mutex::default(), Mutex::default());
        Self {
            repository,
            folder: folder.into(),
            live,
            salvaged,
        }
    }

    fn tree(&self, base: &BaseRevision) -> Result<Tree, WorkspaceError> {
        let state = self.repository.lock();
        let commit = state
            .commits
            .get(&base.commit)
            .ok_or_else(|| WorkspaceError::Git {
                reason: format!("there is no commit {}", base.commit),
                source: None,
            })?;
        Ok(commit.tree.clone())
    }

    fn changes(&self, workspace: &Workspace) -> Result<Vec<Change>, WorkspaceError> {
        let before = self.tree(&workspace.base)?;
        let after = read_tree(&workspace.path)?;
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = paths
            .into_iter()
            .filter(|p| before.get(*p) != after.get(*p))
            .map(|p| Change {
                path: p.clone(),
                before: before.get(p).cloned(),
                after: after.get(p).cloned(),
            });
        Ok(changed.collect())
    }
}

fn failed(operation: &str, path: &Path, e: std::io::Error) -> WorkspaceError {
    WorkspaceError::Other {
        operation: format!("{operation} {}", path.display()),
        source: Some(e.into()),
    }
}

fn read_tree(root: &Path) -> Result<Tree, WorkspaceError> {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| failed("read", &folder, e))? {
            let entry = entry.map_err(|e| failed("read", &folder, e))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|e| failed("read", &path, e))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(name) = path.strip_prefix(root)
            {
                let bytes = fs::read(&path).map_err(|e| failed("read", &path, e))?;
                tree.insert(name.to_string_lossy().into_owned(), bytes);
            }
        }
    }
    Ok(tree)
}

pub(super) fn write_tree(root: &Path, tree: &Tree) -> Result<(), WorkspaceError> {
    fs::create_dir_all(root).map_err(|e| failed("create", root, e))?;
    for (name, bytes) in tree {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| failed("create", folder, e))?;
        }
        fs::write(&path, bytes).map_err(|e| failed("write", &path, e))?;
    }
    Ok(())
}

#[async_trait]
impl WorkspaceProvider for MemoryWorkspaces {
    async fn base(&self, target: &Target) -> Result<BaseRevision, WorkspaceError> {
        match self.repository.tip(target) {
            Some(commit) => Ok(BaseRevision {
                target: target.clone(),
                commit,
            }),
            None => Err(WorkspaceError::UnknownTarget {
                target: target.clone(),
                hint: "commit something on it first".into(),
            }),
        }
    }

    async fn files(&self, base: &BaseRevision) -> Result<Vec<String>, WorkspaceError> {
        Ok(self.tree(base)?.into_keys().collect())
    }

    async fn file(
        &self,
        base: &BaseRevision,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.tree(base)?.remove(path).map(|mut bytes| {
            bytes.truncate(limit);
            bytes
        }))
    }

    async fn create(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError> {
        let mut tree = self.tree(&request.base)?;
        for pattern in &request.exclude {
            let glob = globset::Glob::new(pattern).map_err(|e| WorkspaceError::Other {
                operation: format!("understand the excluded path `{pattern}`"),
                source: Some(e.into()),
            })?;
            let matcher = glob.compile_matcher();
            tree.retain(|path, _| !matcher.is_match(path));
        }
        let path = self.folder.join(request.run.as_str());
        write_tree(&path, &tree)?;
        let workspace = Workspace {
            run: request.run.clone(),
            issue: request.issue.clone(),
            path: path.clone(),
            base: request.base.clone(),
            kind: request.kind,
            mode: request.mode,
        };
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, workspace.clone());
        Ok(workspace)
    }

    async fn digest(&self, workspace: &Workspace) -> Result<String, WorkspaceError> {
        Ok(tree_id(&read_tree(&workspace.path)?).as_str().to_owned())
    }

    async fn capture(
        &self,
        workspace: &Workspace,
        litter: &[String],
    ) -> Result<Captured, WorkspaceError> {
        let base = self.tree(&workspace.base)?;
        let mut removed = Vec::new();
        for name in litter.iter().filter(|n| !base.contains_key(*n)) {
            let path = workspace.path.join(name);
            if fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == 0) {
                fs::remove_file(&path).map_err(|e| failed("remove", &path, e))?;
                removed.push(name.clone());
            }
        }
        let changes = self.changes(workspace)?;
        let touched = changes.iter().map(|c| c.path.clone()).collect();
        let bytes = if changes.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&changes).map_err(|e| WorkspaceError::Other {
                operation: "write the patch".into(),
                source: Some(e.into()),
            })?
        };
        Ok(Captured {
            patch: Patch::new(bytes),
            touched,
            removed,
        })
    }

    async fn salvage(&self, workspace: &Workspace) -> Result<Option<String>, WorkspaceError> {
        let captured = self.capture(workspace, &[]).await?;
        if captured.patch.is_empty() {
            return Ok(None);
        }
        let name = format!("refs/agents/salvage/{}", workspace.run);
        let mut salvaged = self.salvaged.lock().unwrap_or_else(PoisonError::into_inner);
        salvaged.insert(name.clone(), captured.patch.bytes().to_vec());
        Ok(Some(name))
    }

    async fn remove(
        &self,
        workspace: Workspace,
        reason: &RemovalReason,
    ) -> Result<(), WorkspaceError> {
        if workspace.mode == RunMode::Implement && *reason == RemovalReason::Unchanged {
            let changed = workspace.path.exists() && !self.changes(&workspace)?.is_empty();
            if changed {
                return Err(WorkspaceError::Other {
                    operation: format!(
                        "remove {}: it differs from its base",
                        workspace.path.display()
                    ),
                    source: None,
                });
            }
        }
        match fs::remove_dir_all(&workspace.path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("remove", &workspace.path, e)),
        }
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&workspace.path);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Workspace>, WorkspaceError> {
        Ok(self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect())
    }
}
