//! The difference read again from the tree that was written.

use super::entry::ChangeKind;
use super::entry::Entry;
use super::entry::FileMode;
use super::entry::Side;
use super::id::BlobId;
use super::limits::PatchLimits;
use super::names;
use super::path::RepoPath;
use super::refusal::PatchRefusal;
use super::touched;

/// One record of `git diff-tree -r -z --raw --no-abbrev BASE TREE`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenChange {
    /// What happened to the file.
    pub kind: ChangeKind,
    /// The path before; `None` for an added file.
    pub old_path: Option<RepoPath>,
    /// The path after; `None` for a deleted file.
    pub new_path: Option<RepoPath>,
    /// The mode before.
    pub old_mode: Option<FileMode>,
    /// The mode after.
    pub new_mode: Option<FileMode>,
    /// The blob before.
    pub old_id: Option<BlobId>,
    /// The blob after.
    pub new_id: Option<BlobId>,
}

impl WrittenChange {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            kind: self.kind,
            old: self.old_path.as_ref().map(|path| Side {
                path,
                mode: self.old_mode,
            }),
            new: self.new_path.as_ref().map(|path| Side {
                path,
                mode: self.new_mode,
            }),
        }
    }
}

/// Returns every folder whose names
/// [`PatchPolicy::check_written`](super::PatchPolicy::check_written) asks for.
#[must_use]
pub fn written_folders(changes: &[WrittenChange]) -> Vec<RepoPath> {
    touched::folders(changes.iter().map(WrittenChange::entry))
}

/// Reads the output of `git diff-tree -r -z --raw --no-abbrev BASE TREE`, with or without `-M` and `-C`.
///
/// # Errors
/// Answers with [`PatchRefusal::WrittenMalformed`] if the bytes are anything else, and with
/// [`PatchRefusal::TooManyFiles`] if there are more records than `limits` permit.
pub fn parse_written(
    bytes: &[u8],
    limits: &PatchLimits,
) -> Result<Vec<WrittenChange>, PatchRefusal> {
    let mut changes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if u64::try_from(changes.len()).unwrap_or(u64::MAX) >= limits.max_files {
            return Err(PatchRefusal::TooManyFiles {
                limit: limits.max_files,
            });
        }
        let (change, after) = record(rest).ok_or_else(|| PatchRefusal::WrittenMalformed {
            offset: u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX),
            found: rest.get(..rest.len().min(40)).unwrap_or_default().to_vec(),
        })?;
        for path in [&change.old_path, &change.new_path].into_iter().flatten() {
            names::check_length(path)?;
        }
        changes.push(change);
        rest = after;
    }
    Ok(changes)
}

fn record(bytes: &[u8]) -> Option<(WrittenChange, &[u8])> {
    let (head, rest) = field(bytes.strip_prefix(b":")?)?;
    let mut words = head.split(|byte| *byte == b' ');
    let old_mode = FileMode::from_octal(words.next()?)?;
    let new_mode = FileMode::from_octal(words.next()?)?;
    let old_id = BlobId::from_hex(words.next()?)?;
    let new_id = BlobId::from_hex(words.next()?)?;
    let status = words.next()?;
    if words.next().is_some() || old_id.as_str().len() != new_id.as_str().len() {
        return None;
    }
    let (letter, score) = status.split_first()?;
    if !score.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kind = match letter {
        b'A' => ChangeKind::Added,
        b'D' => ChangeKind::Deleted,
        b'M' | b'T' => ChangeKind::Modified,
        b'R' => ChangeKind::Renamed,
        b'C' => ChangeKind::Copied,
        _ => return None,
    };
    let (first, rest) = field(rest)?;
    let (second, rest) = match kind {
        ChangeKind::Renamed | ChangeKind::Copied => field(rest)?,
        ChangeKind::Added | ChangeKind::Modified | ChangeKind::Deleted => (first, rest),
    };
    let has_old = kind != ChangeKind::Added;
    let has_new = kind != ChangeKind::Deleted;
    let absent = FileMode::Other(0);
    if (old_mode != absent) != has_old
        || (new_mode != absent) != has_new
        || old_id.is_none() == has_old
        || new_id.is_none() == has_new
    {
        return None;
    }
    let change = WrittenChange {
        kind,
        old_path: has_old.then(|| RepoPath::new(first)),
        new_path: has_new.then(|| RepoPath::new(second)),
        old_mode: has_old.then_some(old_mode),
        new_mode: has_new.then_some(new_mode),
        old_id: has_old.then_some(old_id),
        new_id: has_new.then_some(new_id),
    };
    Some((change, rest))
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}
