//! One changed path, whichever listing it was read from.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use super::path::RepoPath;

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new file.
    Added,
    /// Other content, other mode, or both.
    Modified,
    /// The file goes away.
    Deleted,
    /// The file gets another path, and perhaps other content.
    Renamed,
    /// A new file made from one that stays.
    Copied,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
            Self::Copied => "copied",
        })
    }
}

/// What kind of thing a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileMode {
    /// A file (100644).
    Regular,
    /// An executable file (100755).
    Executable,
    /// A symbolic link (120000).
    Symlink,
    /// A submodule entry (160000).
    Gitlink,
    /// Anything else.
    Other(u32),
}

impl FileMode {
    /// Reads the six octal digits that git writes.
    #[must_use]
    pub fn from_octal(digits: &[u8]) -> Option<Self> {
        if digits.len() != 6 {
            return None;
        }
        let mode = digits.iter().try_fold(0, |mode: u32, digit| match digit {
            b'0'..=b'7' => Some(mode * 8 + u32::from(digit - b'0')),
            _ => None,
        })?;
        Some(match mode {
            0o100_644 => Self::Regular,
            0o100_755 => Self::Executable,
            0o120_000 => Self::Symlink,
            0o160_000 => Self::Gitlink,
            other => Self::Other(other),
        })
    }

    /// Returns the number behind the name.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Regular => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Gitlink => 0o160_000,
            Self::Other(mode) => mode,
        }
    }
}

/// One side of a change: the path, and mode and blob where the listing names them.
#[derive(Debug, Clone)]
pub(super) struct Side<'a> {
    pub(super) path: &'a RepoPath,
    pub(super) mode: Option<FileMode>,
}

/// One changed path as the policy sees it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) kind: ChangeKind,
    pub(super) old: Option<Side<'a>>,
    pub(super) new: Option<Side<'a>>,
}

impl Entry<'_> {
    /// Returns the path the change is about: where the file is afterwards, or was before it went away.
    pub(super) fn path(&self) -> Option<&RepoPath> {
        self.new
            .as_ref()
            .or(self.old.as_ref())
            .map(|side| side.path)
    }
}
