//! The suite on the integrator in memory.

use super::*;
use crate::memory::MemoryIntegrator;
use crate::memory::MemoryRepository;

#[derive(Debug)]
struct MemoryHarness {
    dir: tempfile::TempDir,
    repository: MemoryRepository,
}

#[async_trait]
impl IntegratorHarness for MemoryHarness {
    async fn fresh() -> Result<Self, BoxError> {
        let dir = tempfile::tempdir()?;
        let repository = MemoryRepository::new();
        Ok(Self { dir, repository })
    }

    async fn integrator(&self) -> Result<Arc<dyn PatchIntegrator>, BoxError> {
        let folder = self.dir.path().join("verify");
        Ok(Arc::new(MemoryIntegrator::new(
            "memory",
            self.repository.clone(),
            folder,
        )))
    }

    fn target(&self) -> Target {
        Target::new("main").expect("a well-formed name")
    }

    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError> {
        Ok(self.repository.commit_exactly(&self.target(), files))
    }

    async fn patch(&self, from: &CommitId, to: &FileSet) -> Result<Patch, BoxError> {
        Ok(self.repository.patch_to(from, to))
    }

    async fn files(&self) -> Result<FileSet, BoxError> {
        let tip = self
            .repository
            .tip(&self.target())
            .ok_or("there is no commit")?;
        self.repository.applied(&tip, &Patch::new(Vec::new()))
    }

    async fn checkout(&self) -> Result<FileSet, BoxError> {
        Ok(self.repository.checkout_files(&self.target()))
    }

    async fn edit(&self, path: &str, content: &[u8]) -> Result<(), BoxError> {
        self.repository.edit_checkout(&self.target(), path, content);
        Ok(())
    }

    async fn belongings(&self) -> Result<String, BoxError> {
        let log = self.repository.log(&self.target());
        Ok(format!("{log:?} {:?}", self.checkout().await?))
    }

    async fn log(&self) -> Result<Vec<LoggedCommit>, BoxError> {
        let log = self.repository.log(&self.target()).into_iter();
        let seconds = |(person, at): (Person, Timestamp)| (person, at.as_secs());
        Ok(log
            .map(|(id, commit)| {
                LoggedCommit::new(
                    id,
                    seconds(commit.author),
                    seconds(commit.committer),
                    commit.message,
                )
            })
            .collect())
    }
}

mod memory {
    crate::integrator_conformance!(super::MemoryHarness);
}
