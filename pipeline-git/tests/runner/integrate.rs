//! The integrator suite on git.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::conformance::integrate::FileSet;
use pipeline_core::conformance::integrate::IntegratorHarness;
use pipeline_core::conformance::integrate::LoggedCommit;
use pipeline_core::gate::Person as Identity;
use pipeline_core::integrate::PatchIntegrator;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Patch;
use pipeline_core::workspace::Target;
use pipeline_git::GitIntegrator;
use pipeline_git::IntegratorOptions;

use crate::git::Person;

#[derive(Debug)]
struct GitHarness {
    person: Person,
}

#[async_trait]
impl IntegratorHarness for GitHarness {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self {
            person: Person::new()?,
        })
    }

    async fn integrator(&self) -> Result<Arc<dyn PatchIntegrator>, BoxError> {
        let options = IntegratorOptions::new("main-codex", "machine-1");
        Ok(Arc::new(GitIntegrator::new(
            &self.person.open().await?,
            options,
        )))
    }

    fn target(&self) -> Target {
        Person::target()
    }

    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError> {
        self.person.commit(files)
    }

    async fn patch(&self, from: &CommitId, to: &FileSet) -> Result<Patch, BoxError> {
        self.person.patch(from, to)
    }

    async fn files(&self) -> Result<FileSet, BoxError> {
        self.person.files("main")
    }

    async fn checkout(&self) -> Result<FileSet, BoxError> {
        Ok(FileSet::read(&self.person.repo())?)
    }

    async fn edit(&self, path: &str, content: &[u8]) -> Result<(), BoxError> {
        let file = self.person.repo().join(path);
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        Ok(std::fs::write(file, content)?)
    }

    async fn belongings(&self) -> Result<String, BoxError> {
        self.person.belongings()
    }

    async fn log(&self) -> Result<Vec<LoggedCommit>, BoxError> {
        let log = self.person.git(&[
            "log",
            "-z",
            "--format=%H%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B",
            "main",
        ])?;
        log.split('\0')
            .filter(|record| !record.is_empty())
            .map(commit)
            .collect()
    }
}

fn commit(record: &str) -> Result<LoggedCommit, BoxError> {
    let fields: Vec<&str> = record.splitn(8, '\n').collect();
    let [id, name, email, authored, by, by_email, committed, message] = fields[..] else {
        return Err(format!("{record:?} is no commit").into());
    };
    Ok(LoggedCommit::new(
        CommitId::new(id)?,
        (Identity::new(name, email), authored.parse()?),
        (Identity::new(by, by_email), committed.parse()?),
        message,
    ))
}

pipeline_core::integrator_conformance!(GitHarness);
