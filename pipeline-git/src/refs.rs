//! The refs of the pipeline: all below `refs/agents/`, none a branch or a tag.

use crate::error::GitError;
use crate::oid::Oid;
use crate::repository::Repository;

/// Patches by content address; each names a blob.
pub(crate) const PATCH: &str = "refs/agents/patch/";
/// Candidates by target.
pub(crate) const CANDIDATE: &str = "refs/agents/candidate/";
/// Unfinished work that was kept.
pub(crate) const SALVAGE: &str = "refs/agents/salvage/";
/// Bases of workspaces that have a git directory of their own.
pub(crate) const BASE: &str = "refs/agents/base/";

/// What a conditional move of a ref came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Done,
    /// The ref was not what was expected; nothing moved.
    Moved,
}

/// Sets a ref to an object, whatever it was, synced.
pub(crate) async fn set(
    repository: &Repository,
    name: &str,
    new: &Oid,
    why: &str,
) -> Result<(), GitError> {
    update(repository, &[name, &new.hex()], why)
        .await
        .map(|_| ())
}

/// Sets a ref if it is what is expected (`None`: absent), synced.
pub(crate) async fn swap(
    repository: &Repository,
    name: &str,
    old: Option<&Oid>,
    new: &Oid,
    why: &str,
) -> Result<Swap, GitError> {
    let expected = old.copied().unwrap_or_else(|| repository.format().null());
    let answer = update(repository, &[name, &new.hex(), &expected.hex()], why).await;
    match answer {
        Ok(()) => Ok(Swap::Done),
        // git answers a lost race and a broken ref alike; what the ref is now tells them apart.
        Err(error) => match find(repository, name).await? {
            // It had moved before git was ended.
            Some(found) if found == *new => Ok(Swap::Done),
            found if found == old.copied() => Err(error),
            _ => Ok(Swap::Moved),
        },
    }
}

/// Deletes a ref; one that is not there is fine.
pub(crate) async fn delete(repository: &Repository, name: &str) -> Result<(), GitError> {
    if find(repository, name).await?.is_none() {
        return Ok(());
    }
    update(repository, &["-d", name], "no longer needed").await
}

/// Returns the object a ref names; `None` when there is no such ref.
pub(crate) async fn find(repository: &Repository, name: &str) -> Result<Option<Oid>, GitError> {
    Ok(list(repository, name)
        .await?
        .into_iter()
        .find(|(found, _)| found == name)
        .map(|(_, oid)| oid))
}

/// What stands under a branch name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Branch {
    Missing,
    Commit(Oid),
    /// It only points to another ref, by its full name.
    Symbolic(String),
}

/// Looks at a branch by its full name.
pub(crate) async fn branch(repository: &Repository, name: &str) -> Result<Branch, GitError> {
    let answer = repository
        .real()
        .args(["symbolic-ref", "--quiet", "--", name])
        .finish()
        .await?;
    if answer.code == Some(0) {
        let to = String::from_utf8_lossy(answer.stdout.trim_ascii_end()).into_owned();
        return Ok(Branch::Symbolic(to));
    }
    Ok(find(repository, name)
        .await?
        .map_or(Branch::Missing, Branch::Commit))
}

/// Lists refs below a prefix (or exactly that ref), with what they name.
pub(crate) async fn list(
    repository: &Repository,
    prefix: &str,
) -> Result<Vec<(String, Oid)>, GitError> {
    let listed = repository
        .real()
        .args([
            "for-each-ref",
            "--format=%(objectname) %(refname)",
            "--",
            prefix,
        ])
        .run()
        .await?;
    let unexpected = || GitError::Unexpected {
        command: "for-each-ref".to_owned(),
        what: "a malformed line",
    };
    listed
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let space = line
                .iter()
                .position(|b| *b == b' ')
                .ok_or_else(unexpected)?;
            let (hex, name) = line.split_at(space);
            let oid = Oid::from_hex(hex).ok_or_else(unexpected)?;
            let name = name.get(1..).unwrap_or_default();
            Ok((
                String::from_utf8(name.to_vec()).map_err(|_| unexpected())?,
                oid,
            ))
        })
        .collect()
}

async fn update(repository: &Repository, args: &[&str], why: &str) -> Result<(), GitError> {
    let mut command = repository
        .real()
        .config("core.fsync=all")
        .env("GIT_COMMITTER_NAME", "issue pipeline")
        .env("GIT_COMMITTER_EMAIL", "issue-pipeline@localhost")
        .args(["update-ref", "--no-deref", "-m", why]);
    command = command.args(args);
    command.run().await.map(|_| ())
}
