//! The refs of the pipeline: all below `refs/agents/`, none a branch or a tag.

use pipeline_core::process::ProcessError;

use crate::error::GitError;
use crate::git::Conversation;
use crate::git::GitCommand;
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

/// Moves refs through one git that stays, so that a move does not cost the start of a process.
///
/// The git is not bound to a ref and holds no lock between two moves; it ends with whoever holds the mover.
#[derive(Debug)]
pub(crate) struct Mover {
    why: &'static str,
    git: Option<Conversation>,
}

impl Mover {
    /// Makes one whose moves have this reason; git is started for the first of them.
    pub(crate) fn new(why: &'static str) -> Self {
        Self { why, git: None }
    }

    /// Does what [`swap`] does.
    pub(crate) async fn swap(
        &mut self,
        repository: &Repository,
        name: &str,
        old: Option<&Oid>,
        new: &Oid,
    ) -> Result<Swap, GitError> {
        let expected = old.copied().unwrap_or_else(|| repository.format().null());
        match self.try_swap(repository, name, &expected, new).await {
            Ok(()) => Ok(Swap::Done),
            // It is being ended, and may yet have moved the ref.
            Err(error) if is_silent(&error) => Err(error),
            Err(error) => {
                // git cleans up and ends where it cannot go on; one that is asked for nothing else says why.
                tracing::debug!(%error, name, "a ref is moved by a git of its own");
                swap(repository, name, old, new, self.why).await
            }
        }
    }

    async fn try_swap(
        &mut self,
        repository: &Repository,
        name: &str,
        old: &Oid,
        new: &Oid,
    ) -> Result<(), GitError> {
        let mut git = match self.git.take() {
            Some(git) => git,
            None => updating(repository, self.why)
                .args(["--stdin"])
                .converse()?,
        };
        let request = format!("start\nupdate {name} {new} {old}\ncommit\n");
        git.send(request.as_bytes()).await?;
        for done in [&b"start: ok"[..], b"commit: ok"] {
            if git.line().await? != done {
                return Err(GitError::Unexpected {
                    command: "update-ref --stdin".to_owned(),
                    what: "no `ok` in it",
                });
            }
        }
        self.git = Some(git);
        Ok(())
    }
}

/// Tells whether git did not answer in time.
fn is_silent(error: &GitError) -> bool {
    matches!(
        error,
        GitError::Broken { source: ProcessError::Conversation { source, .. }, .. }
            if source.kind() == std::io::ErrorKind::TimedOut
    )
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
    let command = updating(repository, why).args(args);
    command.run().await.map(|_| ())
}

fn updating(repository: &Repository, why: &str) -> GitCommand {
    repository
        .real()
        .config("core.fsync=all")
        .env("GIT_COMMITTER_NAME", "issue pipeline")
        .env("GIT_COMMITTER_EMAIL", "issue-pipeline@localhost")
        .args(["update-ref", "--no-deref", "-m", why])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    const NAME: &str = "refs/agents/candidate/main";

    #[tokio::test]
    async fn a_mover_moves_what_is_as_expected_and_nothing_else() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let (first, second) = (fixture.oid("HEAD"), fixture.commit("second"));
        let third = fixture.commit("third");
        let repository = &fixture.repository;
        let mut mover = Mover::new("candidate");
        for (old, new) in [(None, first), (Some(first), second), (Some(second), first)] {
            let swapped = mover.swap(repository, NAME, old.as_ref(), &new).await;
            assert_eq!(swapped.expect("asked"), Swap::Done);
            assert_eq!(find(repository, NAME).await.expect("read"), Some(new));
        }
        // Somebody else was there in the meantime.
        fixture.git(&["update-ref", NAME, &second.hex()]);
        let swapped = mover.swap(repository, NAME, Some(&first), &third).await;
        assert_eq!(swapped.expect("asked"), Swap::Moved);
        let swapped = mover.swap(repository, NAME, None, &third).await;
        assert_eq!(swapped.expect("asked"), Swap::Moved);
        assert_eq!(find(repository, NAME).await.expect("read"), Some(second));
        // Whatever ended the git that stayed, another one goes on.
        let swapped = mover.swap(repository, NAME, Some(&second), &third).await;
        assert_eq!(swapped.expect("asked"), Swap::Done);
        let swapped = mover.swap(repository, NAME, Some(&third), &first).await;
        assert_eq!(swapped.expect("asked"), Swap::Done);
        assert_eq!(find(repository, NAME).await.expect("read"), Some(first));
    }

    #[tokio::test]
    async fn a_ref_that_somebody_holds_is_an_error_and_stays() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let first = fixture.oid("HEAD");
        let repository = &fixture.repository;
        fixture.git(&["update-ref", NAME, &first.hex()]);
        let second = fixture.commit("second");
        let lock = fixture.repo().join(".git").join(format!("{NAME}.lock"));
        std::fs::write(&lock, "").expect("written");
        let mut mover = Mover::new("candidate");
        let refused = mover.swap(repository, NAME, Some(&first), &second).await;
        assert!(
            matches!(refused, Err(GitError::Failed { .. })),
            "{refused:?}"
        );
        std::fs::remove_file(lock).expect("removed");
        let swapped = mover.swap(repository, NAME, Some(&first), &second).await;
        assert_eq!(swapped.expect("asked"), Swap::Done);
    }
}
