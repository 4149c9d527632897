//! The log file: reading on from where this process stopped, mending a torn tail, appending.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;

use super::record::Record;
use super::record::decode;
use super::record::encode;
use super::record::ending;
use super::record::leading;
use super::replica::Replica;

/// What the log needs of a file; in tests, one that dies at any byte.
pub(super) trait LogFile {
    fn length(&self) -> io::Result<u64>;
    /// Returns everything from `offset` on.
    fn read_from(&mut self, offset: u64) -> io::Result<Vec<u8>>;
    /// Writes at the end; an error may leave a part.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl LogFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_from(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::End(0))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Why the log cannot be read on.
#[derive(Debug)]
pub(super) enum ReadFailure {
    Io(io::Error),
    /// The line that is wrong, counted from 1, and what is wrong with it.
    Damaged {
        line: u64,
        reason: String,
    },
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// With a complete line.
    Whole,
    /// With a record whose line feed did not make it. The record counts: its writer may have been answered.
    Unended,
    /// With a part of a record whose writer died: nobody was ever told it had landed.
    Torn,
}

/// Takes in what was appended since the last time, and leaves a tail alone that may still be growing.
pub(super) fn read_on(file: &mut impl LogFile, replica: &mut Replica) -> Result<(), ReadFailure> {
    advance(file, replica).map(drop)
}

/// Like [`read_on`], under the writers' lock: nobody else is writing, so an unfinished tail is mended.
pub(super) fn read_on_and_mend(
    file: &mut impl LogFile,
    replica: &mut Replica,
) -> Result<(), ReadFailure> {
    match advance(file, replica)? {
        Tail::Whole => return Ok(()),
        Tail::Unended => file.append(b"\n")?,
        Tail::Torn => {
            tracing::warn!(
                line = replica.lines() + 1,
                "cutting off the last line of the local tracker's log, which was never finished"
            );
            file.truncate(replica.offset)?;
        }
    }
    file.sync()?;
    advance(file, replica).map(drop)
}

fn advance(file: &mut impl LogFile, replica: &mut Replica) -> Result<Tail, ReadFailure> {
    // The ending of the line read last comes along: if it is still there, so is all before it, since its
    // checksum covers that.
    let seen = match replica.offset {
        0 => Vec::new(),
        _ => ending(replica.sum).into_bytes(),
    };
    let from = replica.offset.saturating_sub(seen.len() as u64);
    let bytes = match file.length()? {
        length if length < replica.offset => Vec::new(),
        _ => file.read_from(from)?,
    };
    let Some(fresh) = bytes.strip_prefix(seen.as_slice()) else {
        return Err(ReadFailure::Damaged {
            line: replica.lines(),
            reason: "what this process read before is gone, so the file was cut or replaced; if that was meant, \
                     start the process again"
                .to_owned(),
        });
    };
    absorb(fresh, replica)
}

fn absorb(mut bytes: &[u8], replica: &mut Replica) -> Result<Tail, ReadFailure> {
    while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
        let (line, rest) = bytes.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        match take(line, replica) {
            Ok(()) => bytes = rest,
            // After a power cut the last write may have its end but not its middle, which reads as zeros; no
            // record and no editor puts a zero byte there.
            Err(_) if rest.is_empty() && line.contains(&0) => return Ok(Tail::Torn),
            Err(reason) => return Err(damaged(replica, reason)),
        }
    }
    if bytes.is_empty() {
        return Ok(Tail::Whole);
    }
    match leading(bytes, replica.sum) {
        None => Ok(Tail::Torn),
        Some(length) if length == bytes.len() => Ok(Tail::Unended),
        Some(_) => Err(damaged(
            replica,
            "something else stands behind its end".to_owned(),
        )),
    }
}

fn take(line: &[u8], replica: &mut Replica) -> Result<(), String> {
    let (record, sum) = decode(line, replica.sum).map_err(|e| e.to_string())?;
    replica.check(&record).map_err(str::to_owned)?;
    replica.apply(record, line.len() as u64 + 1, sum);
    Ok(())
}

fn damaged(replica: &Replica, reason: String) -> ReadFailure {
    ReadFailure::Damaged {
        line: replica.lines() + 1,
        reason,
    }
}

/// Why an append failed.
#[derive(Debug)]
pub(super) enum AppendFailure {
    /// Nothing of it is in the log.
    NotLanded(io::Error),
    /// It may be there.
    Unknown(io::Error),
}

/// Appends one record, syncs it and takes it in; the caller holds the writers' lock, has read on and checked it.
pub(super) fn append(
    file: &mut impl LogFile,
    replica: &mut Replica,
    record: Record,
) -> Result<(), AppendFailure> {
    let (line, sum) = encode(&record, replica.sum);
    if let Err(error) = file.append(&line) {
        return Err(match file.truncate(replica.offset) {
            Ok(()) => AppendFailure::NotLanded(error),
            Err(_) => AppendFailure::Unknown(error),
        });
    }
    // In the page cache others see it already; taking it back now could unsay what they read.
    file.sync().map_err(AppendFailure::Unknown)?;
    replica.apply(record, line.len() as u64, sum);
    Ok(())
}

#[cfg(test)]
mod tests;
