//! The suite on the workspaces in memory.

use super::*;
use crate::memory::MemoryIntegrator;
use crate::memory::MemoryRepository;
use crate::memory::MemoryWorkspaces;

#[derive(Debug)]
struct MemoryHarness {
    dir: tempfile::TempDir,
    repository: MemoryRepository,
}

#[async_trait]
impl WorkspaceHarness for MemoryHarness {
    async fn fresh() -> Result<Self, BoxError> {
        let dir = tempfile::tempdir()?;
        let repository = MemoryRepository::new();
        Ok(Self { dir, repository })
    }

    async fn provider(&self) -> Result<Arc<dyn WorkspaceProvider>, BoxError> {
        let folder = self.dir.path().join("workspaces");
        let workspaces = MemoryWorkspaces::new(self.repository.clone(), folder);
        Ok(Arc::new(workspaces.with_patch_limit(self.patch_limit())))
    }

    fn target(&self) -> Target {
        Target::new("main").expect("a well-formed name")
    }

    fn patch_limit(&self) -> u64 {
        20_000
    }

    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError> {
        Ok(self.repository.commit_exactly(&self.target(), files))
    }

    async fn belongings(&self) -> Result<String, BoxError> {
        let log = self.repository.log(&self.target());
        let files = self.repository.checkout(&self.target());
        Ok(format!("{log:?} {files:?}"))
    }

    async fn applied(&self, base: &BaseRevision, patch: &Patch) -> Result<FileSet, BoxError> {
        self.repository.applied(&base.commit, patch)
    }

    async fn store(&self, patch: &Patch) -> Result<(), BoxError> {
        use crate::integrate::PatchIntegrator as _;
        let folder = self.dir.path().join("verify");
        let integrator = MemoryIntegrator::new("memory", self.repository.clone(), folder);
        Ok(integrator.store(patch).await?)
    }

    async fn salvaged(&self, name: &str) -> Result<FileSet, BoxError> {
        self.repository
            .salvaged(name)
            .ok_or_else(|| "there is no such ref".into())
    }
}

mod memory {
    crate::workspace_conformance!(super::MemoryHarness);
}
