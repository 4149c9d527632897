//! The worktrees of the repository: their entries in the common git directory, the user's own included.
//!
//! git writes an entry file by file, and dies on one of which it finds `commondir` empty, in whichever command reads the
//! entries just then. So the gits that we have write entries take turns with those that list them, over all processes.
//! That is a courtesy and no proof: somebody else's git, or one that outlives a killed process of ours, takes no turn. So
//! every git that dies in this way is run again until the entry is whole; and what a crash left half written is mended if
//! it is ours and named if it is not.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::file_lock::FileLock;
use pipeline_core::random::nonce;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::held;
use crate::object::blocking;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::workspace::remove_any;

/// The file by which turns are taken, in the common git directory.
const TURN: &str = "agents-worktrees";
/// How long a turn of somebody else is waited for: his git is ended after ten minutes.
const LONGEST_TURN: Duration = Duration::from_secs(900);
/// How often an entry that somebody else is writing is waited for.
const TRIES: u32 = 8;
/// How long anything is waited for at first; twice as long each time, a good second in all for an entry.
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// How long between two looks whether a turn is free, at most.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

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
    let _turn = turn(repository, false).await?;
    let command = repository.real();
    let command = command.args(["worktree", "list", "--porcelain", "-z"]);
    let listed = read_by(repository, command).await?;
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

/// Makes the entry of a detached, locked worktree without any file in it.
///
/// Returns the worktree's git directory.
pub(crate) async fn add(
    repository: &Repository,
    path: &Path,
    commit: &Oid,
) -> Result<PathBuf, GitError> {
    let _turn = turn(repository, true).await?;
    let command = repository
        .real()
        .args(["worktree", "add", "--quiet", "--detach"])
        .args(["--no-checkout", "--lock"])
        .args(["--reason", "in use by the issue pipeline", "--"])
        .args([path.as_os_str(), commit.hex().as_ref()]);
    read_by(repository, command).await?;
    git_dir_of(repository, path)
        .await?
        .ok_or(GitError::Unexpected {
            command: "worktree add".to_owned(),
            what: "no entry for the new worktree",
        })
}

/// Removes the entry of a worktree whose directory is gone already; nothing if there is none.
pub(crate) async fn forget(repository: &Repository, path: &Path) -> Result<(), GitError> {
    if git_dir_of(repository, path).await?.is_none() {
        return Ok(());
    }
    let _turn = turn(repository, true).await?;
    if git_dir_of(repository, path).await?.is_none() {
        // Somebody else was faster.
        return Ok(());
    }
    let command = repository
        .real()
        .args(["worktree", "remove", "--force", "--force", "--"])
        .args([path.as_os_str()]);
    read_by(repository, command).await.map(|_| ())
}

/// Finds the git directory of a worktree from the repository's side: what a worktree says about
/// itself is not asked, since an agent can write it.
pub(crate) async fn git_dir_of(
    repository: &Repository,
    path: &Path,
) -> Result<Option<PathBuf>, GitError> {
    let entries = folder(repository.common_dir());
    let wanted = path.join(".git");
    blocking("read", &entries.clone(), move || {
        for dir in entries_in(&entries)? {
            let Some(points_to) = points_to(&dir) else {
                continue;
            };
            if points_to == wanted || points_to.canonicalize().is_ok_and(|found| found == wanted) {
                return Ok(Some(dir));
            }
        }
        Ok(None)
    })
    .await
}

/// Removes the entries that point below a folder to a file that is gone.
///
/// Without a turn, because it is called where nobody may wait. A git dies of that only if the file goes between its look
/// and its read, and one of ours is run again then.
pub(crate) fn remove_below(
    common: &Path,
    below: &Path,
    gone: impl Fn(&Path) -> bool,
) -> io::Result<()> {
    for entry in entries_in(&folder(common))? {
        if points_to(&entry).is_some_and(|file| file.starts_with(below) && gone(&file)) {
            remove_any(&entry)?;
        }
    }
    Ok(())
}

/// Says in an entry where its worktree is now.
pub(crate) fn point_at(entry: &Path, root: &Path) -> io::Result<()> {
    let mut line = root.join(".git").as_os_str().as_bytes().to_vec();
    line.push(b'\n');
    put(entry, "gitdir", &line)
}

/// Lists the entries of linked worktrees, whole or not.
fn entries_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// Returns the `.git` file that an entry says is its worktree's; `None` when it does not say.
fn points_to(entry: &Path) -> Option<PathBuf> {
    let line = std::fs::read(entry.join("gitdir")).ok()?;
    let path = OsStr::from_bytes(line.trim_ascii_end());
    // `worktree.useRelativePaths` makes it relative to the entry.
    (!path.is_empty()).then(|| entry.join(path))
}

/// Returns the folder of the entries.
pub(crate) fn folder(common: &Path) -> PathBuf {
    common.join("worktrees")
}

/// Runs a command that reads every entry, again while one of them is not whole.
pub(crate) async fn read_by(
    repository: &Repository,
    command: GitCommand,
) -> Result<Vec<u8>, GitError> {
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        match command.clone().run().await {
            Err(error) if met_half_an_entry(&error) => {
                tracing::debug!(%error, "somebody else is writing a worktree's entry");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            done => return done,
        }
    }
    // Nobody takes so long to write one: a crash left it.
    let entries = folder(repository.common_dir());
    let state = repository.state_dir().to_path_buf();
    let foreign = blocking("mend the entries in", &entries.clone(), move || {
        mend(&entries, &state)
    })
    .await?;
    match foreign {
        Some(entry) => Err(GitError::HalfWorktree { entry }),
        None => command.run().await,
    }
}

/// Tells whether git died of an entry that was not whole when it looked.
fn met_half_an_entry(error: &GitError) -> bool {
    matches!(error, GitError::Failed { stderr, .. } if stderr.contains("/commondir: "))
}

/// Completes what a crash left of the entries of our own worktrees; returns one that is not ours.
fn mend(entries: &Path, state: &Path) -> io::Result<Option<PathBuf>> {
    for entry in entries_in(entries)? {
        let file = entry.join("commondir");
        if !std::fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && found.len() == 0)
        {
            continue;
        }
        if !points_to(&entry).is_some_and(|path| path.starts_with(state)) {
            return Ok(Some(entry));
        }
        // All that git ever writes there; what else is missing only keeps it from being used.
        put(&entry, "commondir", b"../..\n")?;
    }
    Ok(None)
}

/// Replaces a file of an entry in one step, unsynced: what a power cut leaves of a worktree is thrown away.
fn put(entry: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = entry.join(format!("{name}.agents-{}", nonce()));
    std::fs::write(&fresh, content)?;
    std::fs::rename(&fresh, entry.join(name))
}

/// Waits for the turn to have git write or list entries; `None` where nobody ever took one and this one only lists.
///
/// It is asked for again and again, so that whoever waits can be ended and keeps no thread.
async fn turn(repository: &Repository, writes: bool) -> Result<Option<FileLock>, GitError> {
    // Beside the entries, so that processes of other state directories wait as well.
    let path = repository.common_dir().join(TURN);
    let began = tokio::time::Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        let file = path.clone();
        let asked = blocking("lock", &path, move || {
            if writes {
                let mut options = File::options();
                options
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(&file)?;
            } else if !file.exists() {
                return Ok(Turn::NotNeeded);
            }
            Ok(held::hold(&file)?.map_or(Turn::Taken, Turn::Ours))
        });
        match asked.await? {
            Turn::Ours(lock) => return Ok(Some(lock)),
            Turn::NotNeeded => return Ok(None),
            Turn::Taken if began.elapsed() > LONGEST_TURN => {
                return Err(GitError::NoTurn { lock: path });
            }
            Turn::Taken => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// What came of asking for a turn.
enum Turn {
    Ours(FileLock),
    Taken,
    NotNeeded,
}

#[cfg(test)]
mod tests;
