//! A durable file of JSON lines that several processes append to: `<checksum> <json>`, the checksum over sequence and
//! content.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BoxError;
use crate::clock::Timestamp;
use crate::log_file;

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line<R> {
    /// Rises by one.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub record: R,
}

/// Why a log cannot be used.
#[derive(Debug)]
pub(crate) enum LogError {
    Io {
        path: PathBuf,
        operation: &'static str,
        source: BoxError,
    },
    /// A record that is not the last one is broken.
    Damaged {
        path: PathBuf,
        record: u64,
        reason: &'static str,
    },
}

/// A log in a file. A torn record at the tail is cut off; a broken one before it is an error.
#[derive(Debug)]
pub(crate) struct LineLog<R> {
    path: PathBuf,
    state: Mutex<State>,
    records: PhantomData<fn() -> R>,
}

/// The open file and how far it is known to be good: an append reads only what others have added since.
#[derive(Debug)]
struct State {
    file: File,
    good: u64,
    next_seq: u64,
    /// The size right after the log was last written anew: what must stay is not written again and again.
    kept: u64,
    /// It was written anew by somebody else: what was read of it before no longer counts.
    anew: bool,
}

/// The log while no other process can change it.
#[derive(Debug)]
pub(crate) struct Locked<'a, R> {
    path: &'a Path,
    state: &'a mut State,
    records: PhantomData<fn() -> R>,
}

impl<R: Serialize + DeserializeOwned> LineLog<R> {
    /// Opens or creates the log.
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        let file = log_file::open(path).map_err(|e| io_error(path, "read", e))?;
        log_file::sync_folder(path).map_err(|e| io_error(path, "written", e))?;
        let state = Mutex::new(State {
            file,
            good: 0,
            next_seq: 1,
            kept: 0,
            anew: false,
        });
        Ok(Self {
            path: path.to_owned(),
            state,
            records: PhantomData,
        })
    }

    /// Does something while no other process can change the log.
    pub(crate) fn locked<T, E: From<LogError>>(
        &self,
        operation: &'static str,
        f: impl FnOnce(&mut Locked<'_, R>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = |e| io_error(&self.path, operation, e);
        loop {
            state.file.lock().map_err(wrong)?;
            // Another process may have written it anew while we waited: then this is the old file.
            if log_file::is_at(&state.file, &self.path).map_err(wrong)? {
                break;
            }
            *state = State {
                file: log_file::open(&self.path).map_err(wrong)?,
                good: 0,
                next_seq: 1,
                kept: 0,
                anew: true,
            };
        }
        let out = f(&mut Locked {
            path: &self.path,
            state: &mut state,
            records: PhantomData,
        });
        let unlocked = state
            .file
            .unlock()
            .map_err(|e| io_error(&self.path, operation, e));
        let out = out?;
        unlocked?;
        Ok(out)
    }
}

impl<R: Serialize + DeserializeOwned> Locked<'_, R> {
    /// Returns, once, whether the log was written anew since the last look: then everything in it is fresh again.
    pub(crate) fn is_anew(&mut self) -> bool {
        std::mem::take(&mut self.state.anew)
    }

    /// Returns whether the log has grown so much beyond a size that it is worth being written anew.
    pub(crate) fn outgrows(&self, size: u64) -> bool {
        self.state.good > size.max(2 * self.state.kept)
    }

    /// Puts a log of these records in the place of this one, whole or not at all.
    pub(crate) fn replace(&mut self, records: &[(Timestamp, R)]) -> Result<(), LogError>
    where
        R: Clone,
    {
        let mut text = String::new();
        let mut next_seq = 1;
        for (at, record) in records {
            text.push_str(&encode(&Line {
                seq: next_seq,
                at: *at,
                record: record.clone(),
            }));
            next_seq += 1;
        }
        let put = || -> io::Result<File> {
            let (fresh, file) = log_file::successor(self.path, &text)?;
            std::fs::rename(&fresh, self.path)?;
            Ok(file)
        };
        let file = put().map_err(|e| io_error(self.path, "written", e))?;
        let size = text.len() as u64;
        *self.state = State {
            file,
            good: size,
            next_seq,
            kept: size,
            anew: false,
        };
        // Only now: whatever fails from here on, what is appended goes into the file that is found under the name.
        log_file::sync_folder(self.path).map_err(|e| io_error(self.path, "written", e))
    }

    /// Returns what was added since the last look.
    pub(crate) fn fresh(&mut self) -> Result<Vec<Line<R>>, LogError> {
        let mut bytes = Vec::new();
        let state = &mut *self.state;
        state
            .file
            .seek(io::SeekFrom::Start(state.good))
            .and_then(|_| state.file.read_to_end(&mut bytes))
            .map_err(|e| io_error(self.path, "read", e))?;
        let mut lines = Vec::new();
        let mut rest = bytes.as_slice();
        // The line end is part of the record: without it the write was cut.
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, behind) = rest.split_at(end);
            let behind = behind.get(1..).unwrap_or_default();
            match decode(line, state.next_seq) {
                Ok(line) => lines.push(line),
                Err(Broken { torn: true, .. }) if behind.is_empty() => break,
                Err(Broken { reason, .. }) => {
                    return Err(LogError::Damaged {
                        path: self.path.to_owned(),
                        record: state.next_seq,
                        reason,
                    });
                }
            }
            state.next_seq += 1;
            state.good += end as u64 + 1;
            rest = behind;
        }
        Ok(lines)
    }

    /// Appends a record and syncs it; [`Self::fresh`] comes first. What is torn behind the last good record goes.
    pub(crate) fn append(&mut self, at: Timestamp, record: R) -> Result<u64, LogError> {
        let state = &mut *self.state;
        let seq = state.next_seq;
        let line = encode(&Line { seq, at, record });
        let written = |e| io_error(self.path, "written", e);
        let length = state.file.metadata().map_err(written)?.len();
        if length > state.good {
            state.file.set_len(state.good).map_err(written)?;
        }
        state
            .file
            .write_all(line.as_bytes())
            .and_then(|()| state.file.sync_data())
            .map_err(written)?;
        state.good += line.len() as u64;
        state.next_seq += 1;
        Ok(seq)
    }
}

fn io_error(path: &Path, operation: &'static str, e: io::Error) -> LogError {
    LogError::Io {
        path: path.to_owned(),
        operation,
        source: e.into(),
    }
}

fn encode<R: Serialize>(line: &Line<R>) -> String {
    let json = serde_json::to_string(line).expect("records are plain data with string keys");
    log_file::line_of(&json)
}

/// Why a line is no record.
struct Broken {
    reason: &'static str,
    /// A cut write may have left it. Otherwise it is whole, and cutting it off would lose what another process wrote.
    torn: bool,
}

fn decode<R: DeserializeOwned>(line: &[u8], expected: u64) -> Result<Line<R>, Broken> {
    let torn = |reason| Broken { reason, torn: true };
    let whole = |reason| Broken {
        reason,
        torn: false,
    };
    let json = log_file::record_of(line).map_err(torn)?;
    let line: Line<R> =
        serde_json::from_str(json).map_err(|_| whole("a record of another version"))?;
    if line.seq == expected {
        Ok(line)
    } else {
        Err(whole("a record is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(
        log: &LineLog<serde_json::Map<String, serde_json::Value>>,
        word: &str,
    ) -> Result<u64, LogError> {
        let mut record = serde_json::Map::new();
        record.insert("word".to_owned(), word.into());
        log.locked("written", |log| {
            let _others = log.fresh()?;
            log.append(Timestamp::EPOCH, record)
        })
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "word", rename_all = "snake_case")]
    enum Known {
        Old,
    }

    #[test]
    fn a_whole_record_of_a_newer_version_is_never_cut_off() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("log");
        let newer = LineLog::open(&path).expect("opened");
        write(&newer, "old").expect("written");
        write(&newer, "new").expect("written");
        let before = std::fs::read(&path).expect("read");
        let older = LineLog::<Known>::open(&path).expect("opened");
        let appended = older.locked("written", |log| {
            let _others = log.fresh()?;
            log.append(Timestamp::EPOCH, Known::Old)
        });
        assert!(
            matches!(appended, Err(LogError::Damaged { record: 2, .. })),
            "{appended:?}"
        );
        assert_eq!(std::fs::read(&path).expect("read"), before);
    }
}
