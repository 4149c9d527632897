//! Using a former workspace again: everything in it is what a new checkout would hold, or goes.
//!
//! What ran there is not believed in anything. A change of a file's content, mode, attributes or links changes a time that
//! only the system sets, and the index, which lay out of reach, was written after the last file of the checkout: what
//! was changed in the moment of the index or later goes, and is written anew under another inode. What is not of the tree
//! goes, ignored files included; git itself would pass over sockets and pipes, and compare no more than seconds. The git
//! side of the worktree is made anew as a whole.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::WorkspaceKind;

use super::Member;
use super::Place;
use super::Pool;
use crate::error::GitError;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::workspace::area;
use crate::workspace::area::Record;
use crate::workspace::litter::remove_any;
use crate::workspace::pool::attributes_differ;
use crate::workspace::prepare;
use crate::workspace::removal;
use crate::worktrees;

impl Pool {
    /// Brings a former workspace, whose grace time is over, to a commit; `None` when there is none.
    pub(super) async fn recycle(
        &self,
        place: &Place,
        commit: &Oid,
    ) -> Result<Option<Member>, GitError> {
        let repository = &self.shared.repository;
        let (trash, dir) = (removal::trash(repository), place.dir.clone());
        let grace = self.shared.grace;
        let former = blocking("take a former workspace from", &trash.clone(), move || {
            for old in removal::over(&trash, grace)? {
                if let Some(record) = checkout_in(&old)
                    && take_over(&old, &dir)?
                {
                    return Ok(Some(record));
                }
            }
            Ok(None)
        })
        .await?;
        let Some(former) = former else {
            return Ok(None);
        };
        let (root, index) = (area::path_in(&place.dir), place.dir.join("index"));
        let objects = Objects::open(repository)?;
        let tree = objects.commit(commit).await?.tree;
        let held = Oid::from_hex(former.tree.as_bytes()).ok_or(GitError::Unexpected {
            command: "read a former workspace".to_owned(),
            what: "no object name of its tree",
        })?;
        if attributes_differ(&objects, &held, &tree).await? {
            // Files that are the same in both trees would be written in another way.
            return Err(GitError::Unexpected {
                command: "use a former workspace".to_owned(),
                what: "other attributes",
            });
        }
        let (plain, written) = (root.clone(), index.clone());
        blocking("clear", &root, move || make_plain(&plain, &written)).await?;
        // Files that were left may be in the way of files of the tree, and the other way round.
        prepare::clean(repository, &objects, &tree, &root, &index).await?;
        prepare::write_files(repository, &objects, &tree, &root, &index).await?;
        prepare::clean(repository, &objects, &tree, &root, &index).await?;
        let fresh = place.dir.join("entry");
        let entry = worktrees::add(repository, &fresh, commit).await?;
        let (from, to) = (fresh.join(".git"), root.join(".git"));
        blocking("write", &root, move || {
            std::fs::rename(from, to)?;
            std::fs::remove_dir(fresh)
        })
        .await?;
        prepare::share_index(&index, &entry).await?;
        Ok(Some(Member {
            commit: commit.hex(),
            tree: tree.hex(),
            entry,
        }))
    }
}

/// Returns the record of a folder of the trash that holds a checkout of the whole base in a worktree.
fn checkout_in(old: &Path) -> Option<Record> {
    let json = std::fs::read(old.join("workspace.json")).ok()?;
    let record: Record = serde_json::from_slice(&json).ok()?;
    // A link here would lead everything that follows somewhere else.
    let whole = |name: &str| std::fs::symlink_metadata(old.join(name));
    let usable = record.store.is_none()
        && record.workspace.kind == WorkspaceKind::DetachedWorktree
        && whole("tree").is_ok_and(|found| found.is_dir())
        && whole("index").is_ok_and(|found| found.is_file());
    usable.then_some(record)
}

/// Moves tree and index of a former workspace; the rest of it goes. False if somebody else was faster.
fn take_over(old: &Path, to: &Path) -> io::Result<bool> {
    let aside = to.join("former");
    match std::fs::rename(old, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        renamed => renamed?,
    }
    for name in ["tree", "index"] {
        std::fs::rename(aside.join(name), to.join(name))?;
    }
    remove_any(&aside)?;
    Ok(true)
}

/// Removes what is neither a folder, a file nor a link, what was changed since the index was written, every git
/// directory, and every unusual mode of a folder.
fn make_plain(root: &Path, index: &Path) -> io::Result<()> {
    let written = std::fs::symlink_metadata(index)?;
    let written = (written.mtime(), written.mtime_nsec());
    // What a new folder looks like here, by the mask of this process.
    let probe = root.with_extension("probe");
    std::fs::create_dir(&probe)?;
    let usual = std::fs::symlink_metadata(&probe)?.permissions();
    std::fs::remove_dir(&probe)?;
    let mut open: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        let found = std::fs::symlink_metadata(&folder)?.permissions();
        if found.mode() != usual.mode() {
            std::fs::set_permissions(&folder, usual.clone())?;
        }
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if crate::workspace::changes::is_git(entry.file_name().as_encoded_bytes()) {
                remove_any(&entry.path())?;
            } else if kind.is_dir() {
                open.push(entry.path());
            } else {
                let found = entry.metadata()?;
                let untouched = (found.ctime(), found.ctime_nsec()) < written;
                if !untouched || !(kind.is_file() || kind.is_symlink()) {
                    remove_any(&entry.path())?;
                }
            }
        }
    }
    Ok(())
}
