//! What the history tells: who changed what, and what would have happened had it been made at once.

use std::path::{Path, PathBuf};

use pipeline_core::conflict::coupling::CommitFiles;
use pipeline_core::footprint::RepoPath;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::object::blocking;
use crate::repository::Repository;

/// Why the history cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the history cannot be read")]
pub struct HistoryError(#[from] GitError);

/// Which commits to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Walk {
    /// Every commit, in the order in which they were made; of a merge no files are told.
    Every,
    /// What landed on the branch, one step after the other: a merge is one change, with all that it brought.
    Landed,
}

impl Repository {
    /// Returns the full name of the commit that a revision stands for.
    ///
    /// # Errors
    /// Fails if there is no such commit.
    pub async fn commit(&self, revision: &str) -> Result<String, HistoryError> {
        let name = format!("{revision}^{{commit}}");
        let command = self.real().args([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &name,
        ]);
        let out = command.run().await?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// Returns the newest `at_most` commits of `tip` that `after` does not have, the oldest first.
    ///
    /// A rename shows as two files, and a path that is no path of a repository is left out. If `after` is no
    /// ancestor of `tip`, more is returned than was added; see
    /// [`is_ancestor`](Self::is_ancestor).
    ///
    /// # Errors
    /// Fails if a revision is unknown or objects are missing.
    pub async fn commits(
        &self,
        tip: &str,
        after: Option<&str>,
        walk: Walk,
        at_most: usize,
    ) -> Result<Vec<CommitFiles>, HistoryError> {
        let mut command = self
            .real()
            .args([
                "log",
                "--reverse",
                "-z",
                "--name-only",
                "--no-renames",
                "--format=%x01%H %P",
            ])
            .args([
                "--no-color",
                "--no-notes",
                "--no-mailmap",
                "--no-show-signature",
            ])
            .args([format!("--max-count={at_most}")]);
        command = match walk {
            Walk::Every => command.args(["--diff-merges=off", "--topo-order"]),
            Walk::Landed => command.args(["--first-parent", "--diff-merges=first-parent"]),
        };
        command = command.args(["--end-of-options", tip]);
        if let Some(after) = after {
            command = command.args([format!("^{after}")]);
        }
        Ok(read_log(&command.args(["--"]).run().await?))
    }

    /// Returns whether one commit is an ancestor of another, or the same.
    ///
    /// # Errors
    /// Fails if a commit is unknown.
    pub async fn is_ancestor(&self, older: &str, newer: &str) -> Result<bool, HistoryError> {
        let command = self.real().args([
            "merge-base",
            "--is-ancestor",
            "--end-of-options",
            older,
            newer,
        ]);
        let finished = command.finish().await?;
        match finished.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(finished.failure("merge-base --is-ancestor").into()),
        }
    }

    /// Returns the files of a revision; a path that is no path of a repository is left out.
    ///
    /// # Errors
    /// Fails if the revision is unknown.
    pub async fn files_at(&self, revision: &str) -> Result<Vec<RepoPath>, HistoryError> {
        let command = self.real().args([
            "ls-tree",
            "-r",
            "-z",
            "--name-only",
            "--full-tree",
            "--end-of-options",
            revision,
        ]);
        let out = command.run().await?;
        Ok(out
            .split(|byte| *byte == 0)
            .filter_map(|path| RepoPath::from_bytes(path).ok())
            .collect())
    }

    /// Returns the patch that leads from one commit to another.
    ///
    /// # Errors
    /// Fails if a commit is unknown.
    pub async fn patch_between(&self, from: &str, to: &str) -> Result<Vec<u8>, HistoryError> {
        let command = self
            .real()
            .args([
                "diff-tree",
                "-r",
                "--binary",
                "--full-index",
                "--no-renames",
                "--no-color",
                "--no-ext-diff",
            ])
            .args([
                "--no-textconv",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                "-U0",
                "-p",
                "--end-of-options",
                from,
                to,
            ]);
        Ok(command.run().await?)
    }
}

/// Reads what `log` wrote: a mark, the commit and its parents, then its files, each ended by a NUL.
fn read_log(out: &[u8]) -> Vec<CommitFiles> {
    let mut commits: Vec<CommitFiles> = Vec::new();
    for field in out.split(|byte| *byte == 0) {
        // The files of a commit start on a new line.
        let field = field.strip_prefix(b"\n").unwrap_or(field);
        if let Some(header) = field.strip_prefix(b"\x01") {
            let header = String::from_utf8_lossy(header);
            let (id, parents) = header.split_once(' ').unwrap_or((&header, ""));
            let parents = parents.split_whitespace().count();
            commits.push(CommitFiles::new(id, Vec::new()).with_parents(parents));
        } else if let (Some(commit), Ok(path)) = (commits.last_mut(), RepoPath::from_bytes(field)) {
            commit.files.push(path);
        }
    }
    commits
}

/// Merges commits as if they had been made at the same time.
///
/// Everything is written into a directory of its own; the repository is only read.
#[derive(Debug)]
pub struct Replay {
    repository: Repository,
    objects: PathBuf,
}

/// What a merge came to: a commit that stands for its result, and whether git could make it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merged {
    /// The commit; where git could not merge alone, its files hold conflict marks.
    pub commit: String,
    /// Whether git could merge alone.
    pub clean: bool,
}

impl Replay {
    /// Prepares a replay that writes into `directory`.
    ///
    /// # Errors
    /// Fails if the directory cannot be made.
    pub async fn new(repository: &Repository, directory: &Path) -> Result<Self, HistoryError> {
        let objects = directory.join("objects");
        let made = objects.clone();
        blocking("create", &objects, move || {
            std::fs::create_dir_all(made.join("pack"))
        })
        .await?;
        Ok(Self {
            repository: repository.clone(),
            objects,
        })
    }

    /// Merges `theirs` into `ours`, both counted from `base`: with `base` the parent of `theirs`, the change
    /// that `theirs` made is carried over to `ours`.
    ///
    /// # Errors
    /// Fails if a commit is unknown or git is older than 2.40.
    pub async fn merge(
        &self,
        base: &str,
        ours: &str,
        theirs: &str,
    ) -> Result<Merged, HistoryError> {
        let base_option = format!("--merge-base={base}");
        let command = self.git().args([
            "merge-tree",
            "--write-tree",
            "--no-messages",
            "--name-only",
            "-z",
        ]);
        let finished = command
            .args([base_option.as_str(), "--end-of-options", ours, theirs])
            .finish()
            .await?;
        let clean = match finished.code {
            Some(0) => true,
            Some(1) => false,
            _ => return Err(finished.failure("merge-tree --write-tree").into()),
        };
        let tree = finished
            .stdout
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let tree = String::from_utf8_lossy(tree).trim_end().to_owned();
        let mut commit =
            self.git()
                .args(["commit-tree", "-p", ours, "-m", "replayed", tree.as_str()]);
        for role in ["AUTHOR", "COMMITTER"] {
            commit = commit
                .env(format!("GIT_{role}_NAME"), "replay")
                .env(format!("GIT_{role}_EMAIL"), "replay@agents.invalid")
                .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
        }
        let out = commit.run().await?;
        Ok(Merged {
            commit: String::from_utf8_lossy(&out).trim_end().to_owned(),
            clean,
        })
    }

    /// Returns the patch that leads from one commit to another, replayed ones included.
    ///
    /// # Errors
    /// Fails if a commit is unknown.
    pub async fn patch_between(&self, from: &str, to: &str) -> Result<Vec<u8>, HistoryError> {
        let command = self
            .git()
            .args([
                "diff-tree",
                "-r",
                "--binary",
                "--full-index",
                "--no-renames",
                "--no-color",
                "--no-ext-diff",
            ])
            .args([
                "--no-textconv",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                "-U0",
                "-p",
                "--end-of-options",
                from,
                to,
            ]);
        Ok(command.run().await?)
    }

    fn git(&self) -> GitCommand {
        self.repository
            .real()
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                self.repository.objects_dir(),
            )
    }
}

#[cfg(test)]
mod tests;
