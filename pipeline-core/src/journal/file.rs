//! The journal in a file of JSON lines: `<checksum> <json>`, the checksum over sequence and content.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use super::Entry;
use super::Journal;
use super::JournalError;
use super::Record;
use super::still_open;
use crate::clock::Timestamp;
use crate::log_file;

/// From which size on the journal is rotated, in bytes.
const ROTATE_AT: u64 = 4 * 1024 * 1024;

/// A journal in a file.
///
/// Processes share it. Beyond a size it is rotated: what is over goes into `<name>.old`, which replaces the one before,
/// so that both together stay bounded.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    rotate_at: u64,
    state: Mutex<State>,
}

/// The open file and how far it is known to be good: an append reads only what others have added since.
#[derive(Debug)]
struct State {
    file: File,
    good: u64,
    next_seq: u64,
    /// The size right after the last rotation: what is still open is not rotated away again and again.
    kept: u64,
}

/// What was read from a position on.
struct Reading {
    entries: Vec<Entry>,
    /// The position behind the last good record.
    good: u64,
    next_seq: u64,
    /// The beginning of a record follows that was never written to its end.
    torn: bool,
}

impl FileJournal {
    /// Opens or creates the journal; a torn record at the tail is cut off by the next append.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = log_file::open(path).map_err(|e| io_error(path, "read", e))?;
        log_file::sync_folder(path).map_err(|e| io_error(path, "written", e))?;
        let journal = Self {
            path: path.to_owned(),
            rotate_at: ROTATE_AT,
            state: Mutex::new(State {
                file,
                good: 0,
                next_seq: 1,
                kept: 0,
            }),
        };
        let _entries = journal.entries()?;
        Ok(journal)
    }

    /// Rotates from this size on.
    #[must_use]
    pub const fn with_rotation_at(mut self, bytes: u64) -> Self {
        self.rotate_at = bytes;
        self
    }

    /// Returns where what was rotated away lies.
    #[must_use]
    pub fn old(path: &Path) -> PathBuf {
        log_file::beside(path, "old")
    }

    fn with_lock<T>(
        &self,
        operation: &'static str,
        f: impl FnOnce(&mut State) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let failed = |e| io_error(&self.path, operation, e);
        loop {
            state.file.lock().map_err(failed)?;
            // Another process may have rotated while we waited: then this is the old file.
            if log_file::is_at(&state.file, &self.path).map_err(failed)? {
                break;
            }
            let file = log_file::open(&self.path).map_err(failed)?;
            *state = State {
                file,
                good: 0,
                next_seq: 1,
                kept: state.kept,
            };
        }
        let out = f(&mut state);
        let unlocked = state.file.unlock().map_err(failed);
        let out = out?;
        unlocked?;
        Ok(out)
    }

    /// Reads the records from a good position on.
    fn read(&self, file: &mut File, from: u64, seq: u64) -> Result<Reading, JournalError> {
        let mut bytes = Vec::new();
        file.seek(io::SeekFrom::Start(from))
            .map_err(|e| io_error(&self.path, "read", e))?;
        file.read_to_end(&mut bytes)
            .map_err(|e| io_error(&self.path, "read", e))?;
        let mut out = Reading {
            entries: Vec::new(),
            good: from,
            next_seq: seq,
            torn: false,
        };
        let damaged = |record, reason| {
            Err(JournalError::Damaged {
                path: self.path.clone(),
                record,
                reason,
            })
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            // The line end is part of the record: without it the write was cut, and what it stood for never happened.
            let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                let altered = rest
                    .split_last()
                    .is_some_and(|(_, line)| log_file::record_of(line).is_ok());
                if altered {
                    return damaged(out.next_seq, "its line end was altered");
                }
                out.torn = true;
                return Ok(out);
            };
            let (line, behind) = rest.split_at(end);
            let entry = match decode(line) {
                Ok(entry) => entry,
                Err(reason) => return damaged(out.next_seq, reason),
            };
            let begins = out.good == 0 && matches!(entry.record, Record::Rotated { .. });
            if entry.seq != out.next_seq && !begins {
                return damaged(out.next_seq, "a record is missing");
            }
            out.next_seq = entry.seq + 1;
            out.good += end as u64 + 1;
            out.entries.push(entry);
            rest = behind.get(1..).unwrap_or_default();
        }
        Ok(out)
    }

    /// Writes what is still open into a new file and puts it in the place of this one, which stays as the old one.
    fn rotate(&self, state: &mut State, at: Timestamp) -> io::Result<()> {
        let Ok(reading) = self.read(&mut state.file, 0, 1) else {
            // What is damaged stays where a person looks for it.
            return Ok(());
        };
        let mut seq = reading.next_seq;
        let mut lines = encode(&Entry {
            seq,
            at,
            record: Record::Rotated {
                after: reading.next_seq - 1,
            },
        });
        for entry in still_open(&reading.entries) {
            seq += 1;
            lines.push_str(&encode(&Entry {
                seq,
                ..entry.clone()
            }));
        }
        let (fresh, file) = log_file::successor(&self.path, &lines)?;
        let old = Self::old(&self.path);
        log_file::remove(&old)?;
        // A link and then a rename: at no moment is there no journal.
        std::fs::hard_link(&self.path, &old)?;
        std::fs::rename(&fresh, &self.path)?;
        let size = lines.len() as u64;
        *state = State {
            file,
            good: size,
            next_seq: seq + 1,
            kept: size,
        };
        // Only now: whatever fails from here on, what is appended goes into the file that is found under the name.
        log_file::sync_folder(&self.path)
    }
}

impl Journal for FileJournal {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        self.with_lock("written", |state| {
            let failed = |e| io_error(&self.path, "written", e);
            let others = self.read(&mut state.file, state.good, state.next_seq)?;
            state.good = others.good;
            state.next_seq = others.next_seq;
            if others.torn {
                state.file.set_len(state.good).map_err(failed)?;
            }
            if state.good > self.rotate_at.max(2 * state.kept)
                && let Err(error) = self.rotate(state, at)
            {
                // The journal itself is as good as before; only its size is not bounded now.
                tracing::warn!(journal = %self.path.display(), %error, "the journal cannot be rotated");
            }
            let seq = state.next_seq;
            let line = encode(&Entry {
                seq,
                at,
                record: record.clone(),
            });
            state
                .file
                .write_all(line.as_bytes())
                .and_then(|()| state.file.sync_data())
                .map_err(failed)?;
            state.good += line.len() as u64;
            state.next_seq += 1;
            Ok(seq)
        })
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.with_lock("read", |state| {
            let read = self.read(&mut state.file, 0, 1)?;
            state.good = read.good;
            state.next_seq = read.next_seq;
            Ok(read.entries)
        })
    }
}

fn io_error(path: &Path, operation: &'static str, e: io::Error) -> JournalError {
    JournalError::Io {
        path: path.to_owned(),
        operation,
        source: e.into(),
    }
}

fn encode(entry: &Entry) -> String {
    let json = serde_json::to_string(entry).expect("records are plain data with string keys");
    log_file::line_of(&json)
}

fn decode(line: &[u8]) -> Result<Entry, &'static str> {
    let json = log_file::record_of(line)?;
    serde_json::from_str(json).map_err(|_| "a record of another version")
}
