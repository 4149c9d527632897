//! The mirror's folder: one file per issue, what could not be read, and the mark. Processes share it.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use super::Mirrored;
use super::State;
use crate::clock::Timestamp;
use crate::issue::IssueKey;
use crate::random;
use crate::tracker::ChangeMark;
use crate::tracker::TrackerError;

// None of them ends like an issue's file, whatever an issue is called.
const MARK: &str = "mark";
const UNREADABLE: &str = "unreadable";
const FULL: &str = "full";
const LOCK: &str = "lock";

/// Why an issue could not be read, and since when nothing is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unreadable {
    pub(super) reason: String,
    /// The server's time of the changes this attempt was to read.
    pub(super) date: Timestamp,
}

/// What became of an issue that could not be read.
#[derive(Debug, Clone)]
pub(super) enum Attempt {
    Failed(Unreadable),
    /// It was read at this time, after the entry had been known.
    Read(Timestamp, Option<Unreadable>),
}

/// A folder that is written to.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Creates the folder and removes what a killed writer left in it.
    pub(super) fn create(path: &Path) -> Result<Self, TrackerError> {
        let folder = Self(path.to_owned());
        fs::create_dir_all(path)
            .and_then(|()| folder.locked(|| folder.sweep()))
            .map_err(|e| unusable(path, &e))?;
        Ok(folder)
    }

    /// Writes a reading that began after `base` had been known to lie here, and returns what lies here now.
    ///
    /// Another process may have written since: then the later reading stays, and every memo either of them kept.
    pub(super) fn put(
        &self,
        fresh: &Mirrored,
        base: Option<&Mirrored>,
    ) -> Result<Mirrored, TrackerError> {
        let put = || {
            self.locked(|| {
                let name = format!("{}.json", fresh.issue.key);
                let found: Option<Mirrored> = json(&self.0.join(&name))?;
                let merged = merge(fresh, base, found.as_ref());
                if found.as_ref() != Some(&merged) {
                    self.write(&name, &serde_json::to_vec(&merged)?)?;
                }
                Ok(merged)
            })
        };
        put().map_err(|e| unusable(&self.0, &e))
    }

    /// Writes what became of the issues that could not be read, and returns all that cannot be.
    pub(super) fn put_attempts(
        &self,
        attempts: &BTreeMap<IssueKey, Attempt>,
    ) -> Result<BTreeMap<IssueKey, Unreadable>, TrackerError> {
        let put = || {
            self.locked(|| {
                let found: BTreeMap<IssueKey, Unreadable> =
                    json(&self.0.join(UNREADABLE))?.unwrap_or_default();
                let mut merged = found.clone();
                for (key, attempt) in attempts {
                    let there = merged.get(key);
                    match attempt {
                        Attempt::Failed(new) => {
                            if there.is_none_or(|t| t.date <= new.date) {
                                merged.insert(key.clone(), new.clone());
                            }
                        }
                        // A failure of another process that came after our reading is not undone by it.
                        Attempt::Read(date, known) => {
                            if there.is_some_and(|t| known.as_ref() == Some(t) || t.date < *date) {
                                merged.remove(key);
                            }
                        }
                    }
                }
                if merged != found {
                    self.write(UNREADABLE, &serde_json::to_vec(&merged)?)?;
                }
                Ok(merged)
            })
        };
        put().map_err(|e| unusable(&self.0, &e))
    }

    /// Writes the mark; everything read up to it has to lie here before.
    pub(super) fn put_mark(&self, mark: &ChangeMark) -> Result<(), TrackerError> {
        self.locked(|| self.write(MARK, mark.0.as_bytes()))
            .map_err(|e| unusable(&self.0, &e))
    }

    /// Writes when every known issue was last read.
    pub(super) fn put_full(&self, at: Timestamp) -> Result<(), TrackerError> {
        self.locked(|| self.write(FULL, at.to_string().as_bytes()))
            .map_err(|e| unusable(&self.0, &e))
    }

    /// Works while no other process, and no other mirror of this one, does.
    fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.0.join(LOCK))?;
        lock.lock()?;
        let out = work();
        lock.unlock()?;
        out
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') && entry.file_type()?.is_file()
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temp = self.0.join(format!(".{name}.{}", random::nonce()));
        let put = || {
            let mut file = File::create(&temp)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&temp, self.0.join(name))
        };
        let out = put();
        if out.is_err() {
            // The first error is the one to tell; the next opening removes what this leaves.
            drop(fs::remove_file(&temp));
        }
        out
    }
}

/// Reads a folder, which need not be there; `meanwhile` runs between the mark and the rest.
///
/// The mark comes first and the issues last: a process that writes in between leaves newer issues under an older mark,
/// which costs a reading, and never the other way round, which would lose one.
pub(super) fn load(path: &Path, meanwhile: impl FnOnce()) -> Result<State, TrackerError> {
    let mut state = State::default();
    let mark = fs::read_to_string(path.join(MARK)).ok();
    let full = fs::read_to_string(path.join(FULL)).ok();
    state.full = full.and_then(|t| Timestamp::parse(&t));
    meanwhile();
    let mut damaged = false;
    match read(&path.join(UNREADABLE)) {
        Ok(None) => {}
        Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
            Ok(unreadable) => state.unreadable = unreadable,
            Err(_) => damaged = true,
        },
        Err(_) => damaged = true,
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(e) => return Err(unusable(path, &e)),
    };
    for entry in entries {
        let file = entry.map_err(|e| unusable(path, &e))?.path();
        if file.extension().is_none_or(|x| x != "json") {
            continue;
        }
        match json::<Mirrored>(&file) {
            Ok(Some(m)) => drop(state.issues.insert(m.issue.key.clone(), m.into())),
            Ok(None) | Err(_) => damaged = true,
        }
    }
    if !damaged {
        state.mark = mark.filter(|m| !m.is_empty()).map(ChangeMark);
        state.written = state.mark.clone();
    }
    Ok(state)
}

fn merge(fresh: &Mirrored, base: Option<&Mirrored>, found: Option<&Mirrored>) -> Mirrored {
    let Some(found) = found else {
        return fresh.clone();
    };
    // Only what another process wrote can be later; a server whose clock was set back does not stop us.
    let newer = Some(found) != base && rank(found) > rank(fresh);
    let mut merged = if newer { found } else { fresh }.clone();
    merged.kept.clone_from(&found.kept);
    for (id, first) in &fresh.kept {
        merged.kept.entry(*id).or_insert_with(|| first.clone());
    }
    merged
}

/// Orders two readings of an issue. Servers count whole seconds: within one, what was seen tells.
fn rank(m: &Mirrored) -> impl Ord + use<> {
    let comment = m.comments.iter().map(|c| c.id).max();
    let event = m.history.iter().map(|e| e.id).max();
    (m.date, m.gone, m.issue.updated, comment, event)
}

/// Reads a file of JSON: nothing if it is not there or damaged.
fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<Option<T>> {
    Ok(read(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn unusable(folder: &Path, e: &io::Error) -> TrackerError {
    TrackerError::Corrupt {
        what: format!("the mirror {}", folder.display()),
        reason: format!("{e}; check the disk and the rights of the state directory"),
    }
}
