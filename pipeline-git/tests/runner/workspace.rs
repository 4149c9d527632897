//! The workspace suite on git.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::conformance::workspace::FileSet;
use pipeline_core::conformance::workspace::WorkspaceHarness;
use pipeline_core::integrate::PatchIntegrator as _;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Patch;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::WorkspaceProvider;
use pipeline_git::GitIntegrator;
use pipeline_git::GitWorkspaces;
use pipeline_git::IntegratorOptions;
use pipeline_git::WorkspaceOptions;

use crate::git::Person;

#[derive(Debug)]
struct GitHarness {
    person: Person,
}

#[async_trait]
impl WorkspaceHarness for GitHarness {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self {
            person: Person::new()?,
        })
    }

    async fn provider(&self) -> Result<Arc<dyn WorkspaceProvider>, BoxError> {
        let options = WorkspaceOptions::default()
            .patch_limit(self.patch_limit())
            .grace(Duration::ZERO);
        Ok(Arc::new(GitWorkspaces::new(
            &self.person.open().await?,
            options,
        )))
    }

    fn target(&self) -> Target {
        Person::target()
    }

    fn patch_limit(&self) -> u64 {
        20_000
    }

    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError> {
        self.person.commit(files)
    }

    async fn belongings(&self) -> Result<String, BoxError> {
        self.person.belongings()
    }

    async fn applied(&self, base: &BaseRevision, patch: &Patch) -> Result<FileSet, BoxError> {
        self.person.applied(&base.commit, patch)
    }

    async fn store(&self, patch: &Patch) -> Result<(), BoxError> {
        let options = IntegratorOptions::new("main", "here");
        Ok(GitIntegrator::new(&self.person.open().await?, options)
            .store(patch)
            .await?)
    }

    async fn salvaged(&self, name: &str) -> Result<FileSet, BoxError> {
        self.person.files(name)
    }
}

pipeline_core::workspace_conformance!(GitHarness);
