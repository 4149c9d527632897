//! Repositories in temporary directories, for the tests of this crate.

use std::path::Path;
use std::path::PathBuf;

use crate::git::GitOptions;
use crate::oid::Oid;
use crate::repository::Repository;

/// A repository with one commit on `main`, checked out, and a state directory beside it.
pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) repository: Repository,
}

impl Fixture {
    /// Makes a repository whose first commit holds these files.
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        Self::of_format("sha1", files).await
    }

    pub(crate) async fn of_format(format: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        // macOS hands out a link; git answers with what it points to.
        let root = dir.path().canonicalize().expect("it exists");
        let repo = root.join("repo");
        std::fs::create_dir(&repo).expect("created");
        git(
            &repo,
            &[
                "init",
                "-q",
                "-b",
                "main",
                &format!("--object-format={format}"),
            ],
        );
        for (path, content) in files {
            write(&repo.join(path), content);
        }
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-q", "--allow-empty", "-m", "first"]);
        let repository = Repository::open(GitOptions::default(), &repo, root.join("state"))
            .await
            .expect("opens");
        Self { dir, repository }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir
            .path()
            .canonicalize()
            .expect("it exists")
            .join("repo")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("it exists")
    }

    /// Runs git in the user's checkout as the user would.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.repo(), args)
    }

    pub(crate) fn oid(&self, revision: &str) -> Oid {
        Oid::from_hex(self.git(&["rev-parse", revision]).as_bytes()).expect("a full name")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.repo().join(path), content);
    }

    /// Commits everything in the user's checkout and returns the commit.
    pub(crate) fn commit(&self, message: &str) -> Oid {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.oid("HEAD")
    }
}

pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().expect("inside of the directory")).expect("created");
    std::fs::write(path, content).expect("written");
}

pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    git_env(dir, args, &[])
}

pub(crate) fn git_env(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = command(dir, args);
    command.envs(env.iter().copied());
    said(command, args)
}

/// Runs git with a file as its input.
pub(crate) fn git_reading(dir: &Path, args: &[&str], input: std::fs::File) -> String {
    let mut command = command(dir, args);
    command.stdin(input);
    said(command, args)
}

fn said(mut command: std::process::Command, args: &[&str]) -> String {
    let output = command.output().expect("git runs");
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Tells whether git succeeds.
pub(crate) fn try_git(dir: &Path, args: &[&str]) -> bool {
    command(dir, args)
        .output()
        .expect("git runs")
        .status
        .success()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the user's own git, apart from the code under test"
)]
fn command(dir: &Path, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("git");
    command
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Test")
            .env(format!("GIT_{role}_EMAIL"), "test@example.org")
            .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    command
}

pub(crate) fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("mode set");
}
