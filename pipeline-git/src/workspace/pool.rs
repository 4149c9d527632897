//! Checkouts that wait for a run: filled ahead, moved to a base where they are needed, never older than their process.
//!
//! `<state>/pool/<name>/` is what a workspace is, without a run: `tree/`, the private `index`, and `member.json`. Taking
//! one is a rename, so it costs the same whatever the size of the repository. A folder is made under a name that begins
//! with `.new-`, held by the process that makes it; whole ones belong to everybody. Whoever uses the pool holds `users`
//! shared: the last one to let go of it removes everything. All of it survives a kill at any moment, since locks of the
//! operating system go with their process.

mod recycle;

use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pipeline_core::file_lock::FileLock;
use pipeline_core::random::nonce;
use serde::Deserialize;
use serde::Serialize;

use crate::error::GitError;
use crate::held;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::repository::create_private;
use crate::workspace::area;
use crate::workspace::area::UNFINISHED;
use crate::workspace::litter::remove_any;
use crate::workspace::prepare;
use crate::workspace::removal;
use crate::worktrees;

const MEMBER: &str = "member.json";

/// What a waiting checkout holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// The commit that is checked out.
    commit: String,
    tree: String,
    /// The worktree's git directory, inside the repository's.
    entry: PathBuf,
}

/// A waiting checkout that was found, not taken yet.
#[derive(Debug)]
struct Found {
    dir: PathBuf,
    member: Member,
}

/// A checkout that was taken: in its new place, with the tree it holds.
#[derive(Debug)]
pub(super) struct Taken {
    /// The worktree's git directory.
    pub(super) git_dir: PathBuf,
    /// The tree of the commit that was asked for.
    pub(super) tree: Oid,
    /// The tree whose files are there.
    pub(super) held: Oid,
}

/// The pool of a repository; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    repository: Repository,
    size: usize,
    grace: Duration,
    /// Held shared from the first use on.
    user: Mutex<Option<File>>,
    filling: AtomicBool,
}

/// Returns the folder of the pool.
pub(super) fn folder(repository: &Repository) -> PathBuf {
    repository.state_dir().join("pool")
}

impl Pool {
    /// Makes the pool of a repository; nothing is on disk before its first use.
    pub(super) fn new(repository: &Repository, size: usize, grace: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                repository: repository.clone(),
                size,
                grace,
                user: Mutex::default(),
                filling: AtomicBool::new(false),
            }),
        }
    }

    /// Tells whether it ever holds anything.
    pub(super) fn is_on(&self) -> bool {
        self.shared.size > 0
    }

    /// Moves a waiting checkout to the folder of a workspace, with the record in it; `None` when none waits.
    ///
    /// One of exactly this commit is preferred. Where the tree of the commit is named, any other is taken too: it can be
    /// brought there for less than a new one.
    pub(super) async fn take(
        &self,
        commit: &Oid,
        tree: Option<Oid>,
        to: &Path,
        record: impl Fn(&Oid) -> serde_json::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Option<Taken>, GitError> {
        self.enter().await?;
        let (folder, to) = (folder(&self.shared.repository), to.to_path_buf());
        let common = self.shared.repository.common_dir().to_path_buf();
        let wanted = commit.hex();
        blocking("take a checkout out of", &folder.clone(), move || {
            let _lock = exclusively(&folder)?;
            let mut waiting = members(&folder)?;
            waiting.sort_by_key(|found| found.member.commit != wanted);
            for Found { dir, member } in waiting {
                let is_there = member.commit == wanted;
                let Some(held) = member.usable(&common) else {
                    remove_member(&dir, &member, &common)?;
                    continue;
                };
                let tree = match tree {
                    _ if is_there => held,
                    Some(tree) => tree,
                    None => continue,
                };
                let json = record(&tree).map_err(io::Error::other)?;
                std::fs::write(dir.join("workspace.json"), json)?;
                if let Some(parent) = to.parent() {
                    create_private(parent)?;
                }
                // From here on it is the run's, whatever happens.
                std::fs::rename(&dir, &to)?;
                worktrees::point_at(&member.entry, &area::path_in(&to))?;
                std::fs::remove_file(to.join(MEMBER))?;
                return Ok(Some(Taken {
                    git_dir: member.entry,
                    tree,
                    held,
                }));
            }
            Ok(None)
        })
        .await
    }

    /// Fills the pool with checkouts of a commit, without anybody waiting for it.
    pub(super) fn fill_ahead(&self, commit: &Oid) {
        if !self.is_on() || self.shared.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, commit) = (self.clone(), *commit);
        // It ends with the runtime at the latest; whatever is half made then is removed with the pool.
        drop(tokio::spawn(async move {
            if let Err(error) = pool.fill(&commit).await {
                tracing::warn!(%error, "the pool of workspaces is not filled");
            }
            pool.shared.filling.store(false, Ordering::Release);
        }));
    }

    /// Makes checkouts of a commit until as many wait as may; former workspaces are used first.
    pub(super) async fn fill(&self, commit: &Oid) -> Result<(), GitError> {
        self.take_back(commit).await?;
        while let Some(place) = self.reserve().await? {
            match self.make(&place, commit).await {
                Ok(member) => self.publish(place, member).await?,
                Err(error) => {
                    self.clear(&place).await?;
                    return Err(error);
                }
            }
        }
        removal::sweep(&self.shared.repository, self.shared.grace).await
    }

    /// Takes former workspaces back whose grace time is over, as long as there is room.
    pub(super) async fn take_back(&self, commit: &Oid) -> Result<(), GitError> {
        self.enter().await?;
        while let Some(place) = self.reserve().await? {
            match self.recycle(&place, commit).await {
                Ok(Some(member)) => self.publish(place, member).await?,
                Ok(None) => return self.abandon(place).await,
                Err(error) => {
                    // It is gone; the next one may be better.
                    tracing::debug!(%error, "a former workspace cannot be used again");
                    self.abandon(place).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes a place in which nothing is made.
    async fn abandon(&self, place: Place) -> Result<(), GitError> {
        self.clear(&place).await?;
        let dir = place.dir.clone();
        blocking("remove", &place.dir, move || std::fs::remove_dir(&dir)).await
    }

    /// Checks out a commit anew.
    async fn make(&self, place: &Place, commit: &Oid) -> Result<Member, GitError> {
        let repository = &self.shared.repository;
        let objects = Objects::open(repository)?;
        let tree = objects.commit(commit).await?.tree;
        let (root, index) = (area::path_in(&place.dir), place.dir.join("index"));
        let entry = worktrees::add(repository, &root, commit).await?;
        prepare::write_files(repository, &objects, &tree, &root, &index).await?;
        prepare::share_index(&index, &entry).await?;
        Ok(Member {
            commit: commit.hex(),
            tree: tree.hex(),
            entry,
        })
    }

    /// Makes an empty folder for one more checkout; `None` when there are enough, over all processes.
    async fn reserve(&self) -> Result<Option<Place>, GitError> {
        let (folder, size) = (folder(&self.shared.repository), self.shared.size);
        let common = self.shared.repository.common_dir().to_path_buf();
        blocking("make room in", &folder.clone(), move || {
            let _lock = exclusively(&folder)?;
            clear_unfinished(&folder, &common)?;
            let there = std::fs::read_dir(&folder)?
                .filter_map(Result::ok)
                .filter(|entry| entry.path().is_dir())
                .count();
            if there >= size {
                return Ok(None);
            }
            let dir = folder.join(format!("{UNFINISHED}{}", nonce()));
            create_private(&dir)?;
            Ok(held::hold(&dir)?.map(|lock| Place { dir, _lock: lock }))
        })
        .await
    }

    /// Gives a finished checkout its name, by which everybody may take it.
    async fn publish(&self, place: Place, member: Member) -> Result<(), GitError> {
        let folder = folder(&self.shared.repository);
        blocking("add a checkout to", &folder.clone(), move || {
            let _lock = exclusively(&folder)?;
            let to = folder.join(nonce());
            let json = serde_json::to_vec(&member).map_err(io::Error::other)?;
            std::fs::write(place.dir.join(MEMBER), json)?;
            std::fs::rename(&place.dir, &to)?;
            worktrees::point_at(&member.entry, &area::path_in(&to))
        })
        .await
    }

    /// Removes what was begun in a place.
    async fn clear(&self, place: &Place) -> Result<(), GitError> {
        let dir = place.dir.clone();
        let common = self.shared.repository.common_dir().to_path_buf();
        blocking("clear", &place.dir, move || {
            for entry in std::fs::read_dir(&dir)? {
                remove_any(&entry?.path())?;
            }
            worktrees::remove_below(&common, &dir, |files| !files.exists())
        })
        .await
    }

    /// Begins to use the pool: as long as this process lives, it is not drained.
    async fn enter(&self) -> Result<(), GitError> {
        if self.user().is_some() {
            return Ok(());
        }
        let folder = folder(&self.shared.repository);
        let file = blocking("use", &folder.clone(), move || {
            create_private(&folder)?;
            let file = open_lock(&folder.join("users"))?;
            file.lock_shared()?;
            Ok(file)
        })
        .await?;
        self.user().get_or_insert(file);
        Ok(())
    }

    fn user(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        let user = &self.shared.user;
        user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let user = self.user.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(user) = user.take() else {
            return;
        };
        let drained = drain(&self.repository, &user);
        if let Err(error) = drained {
            tracing::warn!(%error, "the pool of workspaces is not emptied: the next process that uses it does it");
        }
    }
}

/// Removes every waiting checkout, unless another process uses the pool.
fn drain(repository: &Repository, user: &File) -> io::Result<()> {
    user.unlock()?;
    if user.try_lock().is_err() {
        return Ok(());
    }
    let (folder, common) = (folder(repository), repository.common_dir());
    let _lock = exclusively(&folder)?;
    clear_unfinished(&folder, common)?;
    for Found { dir, member } in members(&folder)? {
        remove_member(&dir, &member, common)?;
    }
    Ok(())
}

/// A folder in which a checkout is made.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    _lock: FileLock,
}

impl Member {
    /// Returns its tree if everything about it is in order.
    fn usable(&self, common: &Path) -> Option<Oid> {
        let ours = self.entry.parent() == Some(&worktrees::folder(common)) && self.entry.is_dir();
        ours.then(|| Oid::from_hex(self.tree.as_bytes()))?
    }
}

/// Lists the checkouts that wait.
fn members(folder: &Path) -> io::Result<Vec<Found>> {
    let mut members = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let dir = entry?.path();
        let Ok(json) = std::fs::read(dir.join(MEMBER)) else {
            continue;
        };
        match serde_json::from_slice(&json) {
            Ok(member) => members.push(Found { dir, member }),
            Err(error) => tracing::warn!(path = %dir.display(), %error, "a waiting checkout"),
        }
    }
    Ok(members)
}

fn remove_member(dir: &Path, member: &Member, common: &Path) -> io::Result<()> {
    if member.entry.parent() == Some(&worktrees::folder(common)) {
        remove_any(&member.entry)?;
    }
    remove_any(dir).map(|_| ())
}

/// Removes what a dead process had begun, and entries that point to what is no more.
fn clear_unfinished(folder: &Path, common: &Path) -> io::Result<()> {
    held::sweep_named(folder, UNFINISHED)?;
    // The folder of a checkout is there before its entry, and longer.
    let gone = |files: &Path| files.ancestors().nth(2).is_some_and(|dir| !dir.exists());
    worktrees::remove_below(common, folder, gone)
}

/// Tells whether files that two trees share may be checked out differently.
///
/// A folder that only one of them has does not count: nothing in it is shared.
pub(super) fn attributes_differ<'a>(
    objects: &'a Objects,
    old: &'a Oid,
    new: &'a Oid,
) -> std::pin::Pin<Box<dyn Future<Output = Result<bool, GitError>> + Send + 'a>> {
    Box::pin(async move {
        if old == new {
            return Ok(false);
        }
        let (old, new) = (objects.tree(old).await?, objects.tree(new).await?);
        let named = |tree: &crate::object::Tree| tree.get(b".gitattributes").cloned();
        if named(&old) != named(&new) {
            return Ok(true);
        }
        for entry in new.entries() {
            let former = old.get(&entry.name).filter(|former| former.mode.is_tree());
            if let Some(former) = former
                && entry.mode.is_tree()
                && attributes_differ(objects, &former.oid, &entry.oid).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Locks the pool for a moment, over all processes.
fn exclusively(folder: &Path) -> io::Result<File> {
    let file = open_lock(&folder.join("lock"))?;
    file.lock()?;
    Ok(file)
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

#[cfg(test)]
mod tests;
