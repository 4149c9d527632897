//! Workspaces of one's own: those of git, with a cache of the team put into each of them.
//!
//! `cargo run -p pipeline-examples --example custom_workspace`

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::agent::RunMode;
use pipeline_core::workspace::*;

type Answer<T> = Result<T, WorkspaceError>;

/// Another provider whose workspaces begin with a copy of one file, which is never part of a patch.
#[derive(Debug)]
pub struct WithCache {
    inner: Arc<dyn WorkspaceProvider>,
    cache: PathBuf,
    name: String,
}

impl WithCache {
    /// Puts `cache` into each workspace under `name`.
    #[must_use]
    pub fn new(inner: Arc<dyn WorkspaceProvider>, cache: PathBuf, name: &str) -> Self {
        let name = name.to_owned();
        Self { inner, cache, name }
    }
}

#[async_trait]
impl WorkspaceProvider for WithCache {
    async fn base(&self, target: &Target) -> Answer<BaseRevision> {
        self.inner.base(target).await
    }

    async fn files(&self, base: &BaseRevision) -> Answer<Vec<String>> {
        self.inner.files(base).await
    }

    async fn file(&self, base: &BaseRevision, path: &str, limit: u64) -> Answer<Option<Vec<u8>>> {
        self.inner.file(base, path, limit).await
    }

    async fn create(&self, request: &WorkspaceRequest) -> Answer<Workspace> {
        let workspace = self.inner.create(request).await?;
        // What only reads is compared before and after: it gets exactly its base.
        if request.mode == RunMode::Implement {
            let to = workspace.path.join(&self.name);
            let copied = tokio::fs::copy(&self.cache, to).await;
            copied.map_err(|error| WorkspaceError::Other {
                operation: format!("put the cache into the workspace of {}", request.issue),
                source: Some(error.into()),
            })?;
        }
        Ok(workspace)
    }

    async fn digest(&self, workspace: &Workspace) -> Answer<String> {
        self.inner.digest(workspace).await
    }

    async fn capture(&self, workspace: &Workspace, litter: &[String]) -> Answer<Captured> {
        let litter = [litter, std::slice::from_ref(&self.name)].concat();
        self.inner.capture(workspace, &litter).await
    }

    async fn peek(&self, workspace: &Workspace) -> Answer<Captured> {
        self.inner.peek(workspace).await
    }

    async fn salvage(&self, workspace: &Workspace) -> Answer<Option<String>> {
        self.inner.salvage(workspace).await
    }

    async fn remove(&self, workspace: Workspace, reason: &RemovalReason) -> Answer<()> {
        self.inner.remove(workspace, reason).await
    }

    async fn list(&self) -> Answer<Vec<Workspace>> {
        self.inner.list().await
    }
}

/// Makes a workspace, works in it, and shows what is taken out of it.
///
/// # Errors
/// If that fails.
pub async fn run(out: &mut (dyn std::io::Write + Send)) -> Result<(), Box<dyn Error>> {
    use pipeline_core::agent::{RunId, WorkspaceKind};
    use pipeline_core::memory::{MemoryRepository, MemoryWorkspaces};
    let folder = std::env::temp_dir().join(RunId::random().to_string());
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("cache"), "installed\n")?;
    // In real life `GitWorkspaces`; here a repository in memory, so that the example needs nothing.
    let (repository, main) = (MemoryRepository::new(), Target::new("main")?);
    let tree = [("a.txt".to_owned(), b"a\n".to_vec())].into();
    repository.commit(&main, tree, "begin");
    let inner = MemoryWorkspaces::new(repository, folder.join("workspaces"));
    let workspaces = WithCache::new(Arc::new(inner), folder.join("cache"), "installed.txt");
    let request = WorkspaceRequest {
        run: RunId::random(),
        issue: pipeline_core::issue::IssueKey::new("SHOP-1")?,
        base: workspaces.base(&main).await?,
        mode: RunMode::Implement,
        kind: WorkspaceKind::DetachedWorktree,
        exclude: Vec::new(),
    };
    let workspace = workspaces.create(&request).await?;
    let cached = workspace.path.join("installed.txt").exists();
    std::fs::write(workspace.path.join("a.txt"), "changed\n")?;
    let captured = workspaces.capture(&workspace, &[]).await?;
    writeln!(
        out,
        "the cache is there: {cached}; the patch touches {:?}",
        captured.touched
    )?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

#[allow(dead_code, reason = "a test includes this file for `run`")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}
