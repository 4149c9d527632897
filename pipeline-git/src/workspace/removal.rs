//! Removing a workspace: only for a reason that is checked, and never at once.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use pipeline_core::agent::RunMode;
use pipeline_core::random::nonce;
use pipeline_core::workspace::RemovalReason;

use crate::error::GitError;
use crate::object::blocking;
use crate::oid::Oid;
use crate::refs;
use crate::repository::Repository;
use crate::repository::create_private;
use crate::store::PatchStore;
use crate::workspace::area::Area;
use crate::workspace::area::UNFINISHED;
use crate::workspace::area::folder;
use crate::workspace::capture::whole_tree;
use crate::workspace::litter::remove_any;
use crate::worktrees;

/// What the name of a folder in the trash begins with once it is being removed.
const CONDEMNED: &str = ".gone-";

/// Checks that the reason for a removal is true; the sentence says what is not.
pub(super) async fn check(
    area: &Area,
    reason: &RemovalReason,
) -> Result<Result<(), String>, GitError> {
    let repository = &area.repository;
    Ok(match reason {
        RemovalReason::PatchStored(id) => {
            let stored = PatchStore::new(repository).contains(id).await?;
            stored
                .then_some(())
                .ok_or_else(|| format!("patch {} is not stored", id.short()))
        }
        RemovalReason::Unchanged if area.lacks_checkout() => Ok(()),
        RemovalReason::Unchanged => {
            let objects = area.objects()?;
            let same = whole_tree(area, &objects).await?.is_none();
            same.then_some(())
                .ok_or_else(|| "it differs from its base".to_owned())
        }
        RemovalReason::ReadOnly => {
            let read_only = area.record.workspace.mode == RunMode::ReadOnly;
            read_only
                .then_some(())
                .ok_or_else(|| "it was not read-only".to_owned())
        }
        RemovalReason::Salvaged(name) => {
            let ours = name.starts_with(refs::SALVAGE);
            let there = ours && repository.resolve(name).await?.is_some();
            there
                .then_some(())
                .ok_or_else(|| format!("there is no ref {name}"))
        }
        _ => Err("the reason is not known here".to_owned()),
    })
}

/// Takes a workspace out of sight; its files go after the grace time.
pub(super) async fn discard(area: &Area) -> Result<(), GitError> {
    let trash = trash(&area.repository);
    let to = trash.join(format!("{}-{}", area.record.workspace.run, nonce()));
    let from = area.dir().to_path_buf();
    blocking("remove the workspace", area.dir(), move || {
        create_private(&trash)?;
        // The grace time runs from here on. What lies in the trash with an older time is anybody's at once.
        let begin = || std::fs::File::open(&from)?.set_modified(SystemTime::now());
        match begin().and_then(|()| std::fs::rename(&from, &to)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    })
    .await?;
    worktrees::forget(&area.repository, &area.path()).await?;
    let pin = format!("{}{}", refs::BASE, area.record.workspace.run);
    refs::delete(&area.repository, &pin).await
}

/// Lists what has been in the trash for longer than the grace time and is not being removed.
pub(super) fn over(trash: &Path, grace: Duration) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(trash) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut over = Vec::new();
    for entry in entries {
        let entry = entry?;
        if is_condemned(&entry) {
            continue;
        }
        let age = entry
            .metadata()
            .and_then(|found| found.modified())
            .map(|at| at.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age >= grace) {
            over.push(entry.path());
        }
    }
    Ok(over)
}

/// Takes a folder of the trash out of the reach of whoever would use it again; nothing if somebody else was faster.
///
/// Removing takes time: files that were written into a folder that somebody still empties would go with it.
fn condemn(trash: &Path, old: &Path) -> std::io::Result<()> {
    match std::fs::rename(old, trash.join(format!("{CONDEMNED}{}", nonce()))) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

fn is_condemned(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(CONDEMNED)
}

fn condemned(trash: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(trash) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut condemned = Vec::new();
    for entry in entries {
        let entry = entry?;
        if is_condemned(&entry) {
            condemned.push(entry.path());
        }
    }
    Ok(condemned)
}

/// Empties the trash of what has been in it for longer than the grace time, and removes worktree
/// entries of ours whose directory is gone.
pub(super) async fn sweep(repository: &Repository, grace: Duration) -> Result<(), GitError> {
    let trash = trash(repository);
    blocking("empty", &trash.clone(), move || {
        for old in over(&trash, grace)? {
            condemn(&trash, &old)?;
        }
        // What a process that died had begun to remove goes with the rest.
        for condemned in condemned(&trash)? {
            // Another process may be emptying it too.
            if let Err(error) = remove_any(&condemned) {
                tracing::warn!(path = %condemned.display(), %error, "trash that stays");
            }
        }
        Ok(())
    })
    .await?;
    let (quarantine, folder) = (repository.quarantine(), folder(repository));
    blocking("clear", &quarantine.clone(), move || {
        crate::held::sweep(&quarantine)?;
        // What has no record yet was being made by a process that died, or is made right now.
        crate::held::sweep_named(&folder, UNFINISHED)
    })
    .await?;
    for path in lost_entries(repository).await? {
        worktrees::forget(repository, &path).await?;
    }
    Ok(())
}

pub(super) fn trash(repository: &Repository) -> PathBuf {
    repository.state_dir().join("trash")
}

/// Worktree entries that point into our folder, where nothing is any more.
async fn lost_entries(repository: &Repository) -> Result<Vec<PathBuf>, GitError> {
    let folder = folder(repository);
    let listed = worktrees::list(repository).await?;
    Ok(listed
        .into_iter()
        .map(|worktree| worktree.path)
        // The folder of a workspace is there before its entry.
        .filter(|path| path.starts_with(&folder) && path.parent().is_some_and(|dir| !dir.exists()))
        .collect())
}

/// Pins the base of a clone, whose git directory no garbage collection looks into.
pub(super) async fn pin(area: &Area, commit: &Oid) -> Result<(), GitError> {
    let name = format!("{}{}", refs::BASE, area.record.workspace.run);
    refs::set(&area.repository, &name, commit, "base of a workspace").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_removed_is_not_used_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let trash = dir.path();
        let old = trash.join("old");
        std::fs::create_dir(&old).expect("made");
        let waiting = || over(trash, Duration::ZERO).expect("listed");
        assert_eq!(waiting(), std::slice::from_ref(&old));
        condemn(trash, &old).expect("renamed");
        assert!(!old.exists());
        assert_eq!(waiting(), Vec::<PathBuf>::new());
        assert_eq!(
            condemned(trash).expect("listed").len(),
            1,
            "a process that dies here leaves it to the next"
        );
        condemn(trash, &old).expect("somebody else was faster");
    }
}
