//! Filling a new workspace: a git directory of its own where it needs one, and its files.

use std::path::Path;
use std::path::PathBuf;

use crate::error::GitError;
use crate::object::Objects;
use crate::object::blocking;
use crate::object::listed;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::workspace::area::Area;
use crate::workspace::area::command_on;

/// Makes a git directory of its own inside the workspace: no remote, no branch, no hook, objects
/// read from where the base lies.
pub(super) async fn add_clone(area: &Area, commit: &Oid) -> Result<PathBuf, GitError> {
    let repository = &area.repository;
    let (path, git_dir) = (area.path(), area.path().join(".git"));
    repository
        .git()
        .discovering(area.dir())
        .args(["init", "--quiet", "--template="])
        .args([format!("--object-format={}", repository.format().name())])
        .args(["--".as_ref(), path.as_os_str()])
        .run()
        .await?;
    let source = area
        .record
        .store
        .clone()
        .unwrap_or_else(|| repository.objects_dir());
    let mut alternates = listed([source.as_path()]).into_encoded_bytes();
    alternates.push(b'\n');
    let objects = git_dir.join("objects").join("info");
    blocking("write in", &git_dir, move || {
        std::fs::create_dir_all(&objects)?;
        std::fs::write(objects.join("alternates"), alternates)
    })
    .await?;
    repository
        .git()
        .at(&git_dir)
        .args(["update-ref", "--no-deref", "HEAD", &commit.hex()])
        .run()
        .await?;
    Ok(git_dir)
}

/// Writes every file of the base, and gives the workspace's own git a copy of the index.
pub(super) async fn fill(area: &Area, git_dir: &Path) -> Result<(), GitError> {
    let objects = area.objects()?;
    let (root, index) = (area.path(), area.index());
    write_files(&area.repository, &objects, &area.tree, &root, &index).await?;
    share_index(&index, git_dir).await
}

/// Writes every file of a tree that is not what the index says it is.
pub(super) async fn write_files(
    repository: &Repository,
    objects: &Objects,
    tree: &Oid,
    root: &Path,
    index: &Path,
) -> Result<(), GitError> {
    command_on(repository, objects, tree, root, index)
        .args(["read-tree", "--reset", "-u"])
        .args([tree.hex()])
        .run()
        .await
        .map(|_| ())
}

/// Removes everything that the index does not name, ignored files and nested repositories included.
pub(super) async fn clean(
    repository: &Repository,
    objects: &Objects,
    tree: &Oid,
    root: &Path,
    index: &Path,
) -> Result<(), GitError> {
    command_on(repository, objects, tree, root, index)
        .args(["clean", "-q", "-f", "-f", "-d", "-x"])
        .run()
        .await
        .map(|_| ())
}

/// Brings the files of a workspace from another tree to its own, and the commit its git shows with them.
pub(super) async fn move_files(
    area: &Area,
    from: &Oid,
    commit: &Oid,
    git_dir: &Path,
) -> Result<(), GitError> {
    let objects = area.objects()?;
    area.command(&objects, &area.index())
        .args(["read-tree", "-m", "-u"])
        .args([from.hex(), area.tree.hex()])
        .run()
        .await?;
    share_index(&area.index(), git_dir).await?;
    let head = git_dir.join("HEAD");
    let plain = std::fs::read(&head).is_ok_and(|now| Oid::from_hex(now.trim_ascii()).is_some());
    if plain {
        let line = format!("{commit}\n");
        return blocking("write", &head.clone(), move || std::fs::write(head, line)).await;
    }
    // Where refs are kept in another way, git has to do it.
    let command = area.repository.git().at(git_dir);
    command
        .args(["update-ref", "--no-deref", "HEAD", &commit.hex()])
        .run()
        .await
        .map(|_| ())
}

/// Gives the checkout's own git a copy of the index.
pub(super) async fn share_index(index: &Path, git_dir: &Path) -> Result<(), GitError> {
    let (from, to) = (index.to_path_buf(), git_dir.join("index"));
    blocking("write", &to.clone(), move || crate::index::copy(&from, &to)).await?;
    Ok(())
}
