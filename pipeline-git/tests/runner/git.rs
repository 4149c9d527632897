//! A repository in a temporary directory, and the person's own git on it.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use pipeline_core::BoxError;
use pipeline_core::conformance::workspace::FileSet;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Patch;
use pipeline_core::workspace::Target;
use pipeline_git::GitOptions;
use pipeline_git::Repository;

/// A repository with one commit on `main`, checked out.
#[derive(Debug)]
pub(crate) struct Person {
    dir: tempfile::TempDir,
}

impl Person {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let person = Self {
            dir: tempfile::tempdir()?,
        };
        std::fs::create_dir(person.repo())?;
        person.git(&["init", "-q", "-b", "main"])?;
        person.git(&["commit", "-q", "--allow-empty", "-m", "first"])?;
        Ok(person)
    }

    /// Returns the temporary directory as git names it.
    fn root(&self) -> PathBuf {
        self.dir
            .path()
            .canonicalize()
            .unwrap_or_else(|_| self.dir.path().to_path_buf())
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.root().join("repo")
    }

    pub(crate) fn target() -> Target {
        Target::new("main").expect("a well-formed name")
    }

    /// Opens the repository as a process that was just started does.
    pub(crate) async fn open(&self) -> Result<Repository, BoxError> {
        Ok(Repository::open(
            GitOptions::default(),
            self.repo(),
            self.root().join("state"),
        )
        .await?)
    }

    pub(crate) fn git(&self, args: &[&str]) -> Result<String, BoxError> {
        git(&self.repo(), args, &[])
    }

    pub(crate) fn tip(&self) -> Result<CommitId, BoxError> {
        Ok(CommitId::new(self.git(&["rev-parse", "main"])?)?)
    }

    /// Commits a tree with exactly these files.
    pub(crate) fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError> {
        files.write(&self.repo())?;
        self.git(&["add", "-A", "-f"])?;
        self.git(&["commit", "-q", "--allow-empty", "-m", "work of a person"])?;
        self.tip()
    }

    /// Returns the files of any revision.
    pub(crate) fn files(&self, revision: &str) -> Result<FileSet, BoxError> {
        let index = tempfile::tempdir()?;
        self.with_index(index.path(), &["read-tree", revision])?;
        self.files_of_index(index.path())
    }

    /// Applies a patch to the files of a commit.
    pub(crate) fn applied(&self, commit: &CommitId, patch: &Patch) -> Result<FileSet, BoxError> {
        let index = tempfile::tempdir()?;
        let file = index.path().join("the.patch");
        std::fs::write(&file, patch.bytes())?;
        self.with_index(index.path(), &["read-tree", commit.as_str()])?;
        if !patch.is_empty() {
            let file = file.display().to_string();
            self.with_index(
                index.path(),
                &["apply", "--cached", "--whitespace=nowarn", &file],
            )?;
        }
        self.files_of_index(index.path())
    }

    /// Makes the patch between the files of a commit and others.
    pub(crate) fn patch(&self, from: &CommitId, to: &FileSet) -> Result<Patch, BoxError> {
        let scratch = tempfile::tempdir()?;
        let (tree, file) = (
            scratch.path().join("tree"),
            scratch.path().join("the.patch"),
        );
        to.write(&tree)?;
        self.with_index(scratch.path(), &["read-tree", from.as_str()])?;
        let tree = format!("--work-tree={}", tree.display());
        self.with_index(scratch.path(), &[&tree, "add", "-A", "-f", "--", ":/"])?;
        let output = format!("--output={}", file.display());
        let diff = [
            "diff",
            "--cached",
            "--binary",
            "--full-index",
            "-M",
            &output,
            from.as_str(),
        ];
        self.with_index(scratch.path(), &diff)?;
        Ok(Patch::new(std::fs::read(file)?))
    }

    /// Describes the person's branches, tags, index and files.
    pub(crate) fn belongings(&self) -> Result<String, BoxError> {
        let index = std::fs::read(self.repo().join(".git/index"))?;
        Ok([
            self.git(&[
                "for-each-ref",
                "refs/heads",
                "refs/tags",
                "refs/remotes",
                "refs/stash",
            ])?,
            self.git(&["rev-parse", "HEAD"])?,
            self.git(&["symbolic-ref", "HEAD"])?,
            format!("{:?}", FileSet::read(&self.repo())?),
            format!("{index:?}"),
            self.git(&["config", "--local", "--list"])?,
        ]
        .join("\n"))
    }

    fn with_index(&self, dir: &Path, args: &[&str]) -> Result<String, BoxError> {
        let index = dir.join("index").display().to_string();
        git(&self.repo(), args, &[("GIT_INDEX_FILE", &index)])
    }

    fn files_of_index(&self, dir: &Path) -> Result<FileSet, BoxError> {
        let out = dir.join("out");
        std::fs::create_dir(&out)?;
        let prefix = format!("--prefix={}/", out.display());
        self.with_index(dir, &["checkout-index", "-a", &prefix])?;
        Ok(FileSet::read(&out)?)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person's own git, apart from the code under test"
)]
fn git(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<String, BoxError> {
    let mut command = Command::new("git");
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(env.iter().copied());
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "A person")
            .env(format!("GIT_{role}_EMAIL"), "person@example.org")
            .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    let output = command.output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("git {args:?} failed: {said}").into())
    }
}
