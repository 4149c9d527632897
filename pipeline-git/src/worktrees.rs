//! The worktrees of the repository, the user's own included.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::error::GitError;
use crate::repository::Repository;

/// One worktree, as git lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// The full name of the branch that is checked out; `None` when detached.
    pub(crate) branch: Option<String>,
    /// Kept although its files may be out of reach.
    pub(crate) locked: bool,
    /// The repository itself, without files.
    pub(crate) bare: bool,
}

/// Lists every worktree, the main one first.
pub(crate) async fn list(repository: &Repository) -> Result<Vec<Worktree>, GitError> {
    let listed = repository
        .real()
        .args(["worktree", "list", "--porcelain", "-z"])
        .run()
        .await?;
    parse(&listed).ok_or(GitError::Unexpected {
        command: "worktree list".to_owned(),
        what: "an attribute before the first worktree",
    })
}

/// Reads the answer of `git worktree list --porcelain -z`.
fn parse(listed: &[u8]) -> Option<Vec<Worktree>> {
    let mut worktrees: Vec<Worktree> = Vec::new();
    for field in listed.split(|b| *b == 0).filter(|field| !field.is_empty()) {
        if let Some(path) = field.strip_prefix(b"worktree ") {
            let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
            worktrees.push(Worktree {
                path,
                branch: None,
                locked: false,
                bare: false,
            });
            continue;
        }
        let current = worktrees.last_mut()?;
        if let Some(branch) = field.strip_prefix(b"branch ") {
            current.branch = Some(String::from_utf8_lossy(branch).into_owned());
        } else if field == b"locked" || field.starts_with(b"locked ") {
            current.locked = true;
        } else if field == b"bare" {
            current.bare = true;
        }
    }
    Some(worktrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_git_is_read() {
        let listed = b"worktree /r\0HEAD 00\0branch refs/heads/main\0\0\
            worktree /w/a b\nc\0HEAD 00\0detached\0locked why\0\0worktree /b\0bare\0\0";
        let read = parse(listed).expect("well formed");
        let short: Vec<_> = read
            .iter()
            .map(|w| {
                (
                    w.path.to_string_lossy().into_owned(),
                    w.branch.as_deref(),
                    w.bare,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("/r".to_owned(), Some("refs/heads/main"), false),
                ("/w/a b\nc".to_owned(), None, false),
                ("/b".to_owned(), None, true),
            ]
        );
        assert_eq!(parse(b"HEAD 00\0"), None);
        assert_eq!(parse(b""), Some(Vec::new()));
    }
}
