//! The list of causes on disk: what was heard, and what of it was told.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use super::Cause;
use crate::file_lock::FileLock;

/// Most causes that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 10_000;
/// Largest list that is read, in bytes; a longer one was not written by us.
const LARGEST: u64 = 256 << 20;

/// Why the list of causes cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the list of notifications {path} cannot be used: check the disk and the rights of the state directory", path = path.display())]
#[non_exhaustive]
pub struct NotifyError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// One line of the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Heard(Cause),
    Told(String),
}

/// What stands in the list.
#[derive(Debug, Default)]
struct State {
    /// In the order in which they were heard.
    heard: Vec<Cause>,
    names: BTreeSet<String>,
    told: BTreeSet<String>,
    lines: usize,
}

#[derive(Debug)]
pub(super) struct List {
    file: PathBuf,
    lock: PathBuf,
    turn: PathBuf,
}

/// Held while causes are told; another process waits for its own turn.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: FileLock,
}

impl List {
    pub(super) fn open(folder: &Path) -> Result<Self, NotifyError> {
        let list = Self {
            file: folder.join("causes.jsonl"),
            lock: folder.join("causes.lock"),
            turn: folder.join("telling.lock"),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| open(&list.file).map(drop))
            .map_err(|e| list.failed(e))?;
        Ok(list)
    }

    /// Notes a cause; one that is known is not noted again.
    pub(super) fn heard(&self, cause: &Cause) -> Result<(), NotifyError> {
        self.locked(|| {
            let state = self.read()?;
            if state.names.contains(&cause.cause) {
                return Ok(());
            }
            self.append(&Line::Heard(cause.clone()))
        })
    }

    /// Notes that a cause was told, and forgets the oldest ones if there are too many.
    pub(super) fn told(&self, cause: &str) -> Result<(), NotifyError> {
        self.locked(|| {
            self.append(&Line::Told(cause.to_owned()))?;
            let state = self.read()?;
            if state.lines > 4 * REMEMBERED || state.heard.len() > 2 * REMEMBERED {
                self.forget(state)?;
            }
            Ok(())
        })
    }

    /// Returns what is still to be told, oldest first.
    pub(super) fn waiting(&self) -> Result<Vec<Cause>, NotifyError> {
        self.locked(|| {
            let mut state = self.read()?;
            state.heard.retain(|c| !state.told.contains(&c.cause));
            Ok(state.heard)
        })
    }

    /// Takes the turn of telling, if no other process has it.
    pub(super) fn take_turn(&self) -> Result<Option<Turn>, NotifyError> {
        let file = open(&self.turn).map_err(|e| self.failed(e))?;
        let lock = FileLock::try_take(file).map_err(|e| self.failed(e))?;
        Ok(lock.map(|lock| Turn { _lock: lock }))
    }

    /// Works on the list while no other process does; never held while a command runs.
    fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> Result<T, NotifyError> {
        let run = || {
            let lock = open(&self.lock)?;
            lock.lock()?;
            let out = work();
            lock.unlock()?;
            out
        };
        run().map_err(|e| self.failed(e))
    }

    fn read(&self) -> io::Result<State> {
        let mut bytes = Vec::new();
        match File::open(&self.file) {
            Ok(file) => file.take(LARGEST).read_to_end(&mut bytes)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(e) => return Err(e),
        };
        let mut state = State::default();
        for line in bytes.split(|b| *b == b'\n') {
            state.lines += 1;
            // A line cut by a crash says nothing for sure; telling a cause again is the safe side.
            match serde_json::from_slice::<Line>(line) {
                Ok(Line::Heard(cause)) => {
                    if state.names.insert(cause.cause.clone()) {
                        state.heard.push(cause);
                    }
                }
                Ok(Line::Told(cause)) => drop(state.told.insert(cause)),
                Err(_) => {}
            }
        }
        Ok(state)
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        let mut bytes = encode(line);
        let mut file = open(&self.file)?;
        // After a line that a crash has cut, the next one must not become part of it.
        if ends_amid_a_line(&self.file)? {
            bytes.insert(0, b'\n');
        }
        file.write_all(&bytes)?;
        file.sync_data()
    }

    fn forget(&self, state: State) -> io::Result<()> {
        let surplus = state.heard.len().saturating_sub(REMEMBERED);
        let mut bytes = Vec::new();
        for cause in state.heard.into_iter().skip(surplus) {
            let told = state
                .told
                .contains(&cause.cause)
                .then(|| Line::Told(cause.cause.clone()));
            bytes.extend(encode(&Line::Heard(cause)));
            bytes.extend(told.iter().flat_map(encode));
        }
        let temp = self.file.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&temp, &self.file)
    }

    fn failed(&self, source: io::Error) -> NotifyError {
        NotifyError {
            path: self.file.clone(),
            source,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn ends_amid_a_line(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last != *b"\n")
}

fn encode(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("a line is plain data");
    bytes.push(b'\n');
    bytes
}
