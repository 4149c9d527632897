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

/// A repository; the provider keeps as many checkouts ready as `POOL` says.
#[derive(Debug)]
struct GitHarness<const POOL: usize> {
    person: Person,
}

#[async_trait]
impl<const POOL: usize> WorkspaceHarness for GitHarness<POOL> {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self {
            person: Person::new()?,
        })
    }

    async fn provider(&self) -> Result<Arc<dyn WorkspaceProvider>, BoxError> {
        let options = WorkspaceOptions::default()
            .patch_limit(self.patch_limit())
            .pool(POOL)
            .grace(Duration::ZERO);
        let workspaces = GitWorkspaces::new(&self.person.open().await?, options);
        if POOL > 0 {
            workspaces
                .fill_pool(&workspaces.base(&self.target()).await?)
                .await?;
        }
        Ok(Arc::new(workspaces))
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

mod anew {
    pipeline_core::workspace_conformance!(super::GitHarness<0>);
}

mod out_of_the_pool {
    pipeline_core::workspace_conformance!(super::GitHarness<2>);
}
