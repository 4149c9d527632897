//! The user's own checkouts of a target, and what may be open in them.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::workspace::Target;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::object::blocking;
use crate::repository::Repository;
use crate::worktrees;

/// A worktree that has the target checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkout {
    pub(crate) path: PathBuf,
    pub(crate) git_dir: PathBuf,
}

/// What stands in the way before any file is looked at.
#[derive(Debug)]
pub(crate) enum Found {
    Checkouts(Vec<Checkout>),
    /// A sentence for the person.
    Waits(String),
}

/// Operations that a person has begun and not ended, and what they are called.
const OPEN: &[(&str, &str)] = &[
    ("MERGE_HEAD", "merge"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase or `git am`"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
    ("sequencer", "cherry-pick or revert of several commits"),
];

impl Checkout {
    pub(crate) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Starts a command on the files of this checkout, with the user's own configuration except for
    /// what would run a program: only filters named by the team may.
    pub(crate) fn command(&self, repository: &Repository, filters: &Filters) -> GitCommand {
        let mut command = repository.git().at(&self.git_dir).work_tree(&self.path);
        // By variables, because a key on the command line ends at its first equals sign.
        let count = filters.overrides.len();
        command = command.env("GIT_CONFIG_COUNT", count.to_string());
        for (n, (key, value)) in filters.overrides.iter().enumerate() {
            command = command
                .env(format!("GIT_CONFIG_KEY_{n}"), key)
                .env(format!("GIT_CONFIG_VALUE_{n}"), *value);
        }
        command
    }
}

/// Finds every checkout of a target, unless something is open that the landing would disturb.
pub(crate) async fn find(repository: &Repository, target: &Target) -> Result<Found, GitError> {
    let branch = format!("refs/heads/{target}");
    let mut checkouts = Vec::new();
    for (n, worktree) in worktrees::list(repository).await?.into_iter().enumerate() {
        if worktree.bare {
            continue;
        }
        let git_dir = match n {
            0 => repository.common_dir().to_path_buf(),
            _ => match worktrees::git_dir_of(repository, &worktree.path).await? {
                Some(git_dir) => git_dir,
                None => continue,
            },
        };
        let here = worktree.branch.as_deref() == Some(&branch);
        let path = worktree.path.display();
        if let Some(what) = open_operation(&git_dir, target, here).await? {
            return Ok(Found::Waits(format!(
                "a {what} is open in {path}: finish or abort it"
            )));
        }
        if !here {
            continue;
        }
        if worktree.path.is_dir() {
            checkouts.push(Checkout {
                path: worktree.path,
                git_dir,
            });
        } else if worktree.locked {
            return Ok(Found::Waits(format!(
                "{target} is checked out in {path}, which cannot be reached now: bring it back or run `git worktree unlock`"
            )));
        }
    }
    Ok(Found::Checkouts(checkouts))
}

/// Finds an operation that is open in a worktree and concerns the target.
///
/// While a branch is rebased or bisected, no worktree has it checked out; git notes its name.
async fn open_operation(
    git_dir: &Path,
    target: &Target,
    here: bool,
) -> Result<Option<&'static str>, GitError> {
    let (dir, branch, target) = (
        git_dir.to_path_buf(),
        format!("refs/heads/{target}"),
        target.as_str().to_owned(),
    );
    blocking("look into", git_dir, move || {
        if here {
            let open = OPEN.iter().find(|(name, _)| dir.join(name).exists());
            return Ok(open.map(|(_, what)| *what));
        }
        let names = |file: &str, name: &str| {
            std::fs::read_to_string(dir.join(file)).is_ok_and(|found| found.trim() == name)
        };
        Ok(
            if names("rebase-merge/head-name", &branch) || names("rebase-apply/head-name", &branch)
            {
                Some("rebase of the target")
            } else if names("BISECT_START", &target) {
                Some("bisect of the target")
            } else {
                None
            },
        )
    })
    .await
}

/// The filter programs of the repository's configuration, switched off unless they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    overrides: Vec<(OsString, &'static str)>,
}

impl Filters {
    pub(crate) async fn of(repository: &Repository, named: &[String]) -> Result<Self, GitError> {
        let answer = repository
            .real()
            .args([
                "config",
                "--includes",
                "--name-only",
                "-z",
                "--get-regexp",
                r"^filter\.",
            ])
            .finish()
            .await?;
        if !matches!(answer.code, Some(0 | 1)) {
            return Err(answer.failure("config --get-regexp"));
        }
        let mut drivers: Vec<&[u8]> = answer
            .stdout
            .split(|b| *b == 0)
            .filter_map(|key| {
                let driver = key.strip_prefix(b"filter.")?;
                let dot = driver.iter().rposition(|b| *b == b'.')?;
                driver.get(..dot)
            })
            .filter(|driver| !named.iter().any(|name| name.as_bytes() == *driver))
            .collect();
        drivers.sort_unstable();
        drivers.dedup();
        let mut overrides = Vec::new();
        for driver in drivers {
            for (name, value) in [
                ("clean", ""),
                ("smudge", ""),
                ("process", ""),
                ("required", "false"),
            ] {
                let key = [b"filter.", driver, b".", name.as_bytes()].concat();
                overrides.push((std::os::unix::ffi::OsStringExt::from_vec(key), value));
            }
        }
        Ok(Self { overrides })
    }
}
