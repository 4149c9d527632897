//! Paths inside a repository.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;

use super::escape::Escaped;
use super::quote;

/// A path inside a repository, as git knows it: bytes, parts separated by `/`, relative to the root.
///
/// Not every path is text: git stores what the file system gave it. `Display` shows the path with
/// everything deceptive escaped; serialisation loses nothing (a path that is not UTF-8 is written in git's
/// quoted form). A `RepoPath` is **not** known to be safe: that is what
/// [`PatchPolicy`](super::PatchPolicy) decides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RepoPath(Vec<u8>);

impl RepoPath {
    /// Wraps the bytes of a path.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the empty path.
    pub(super) const fn root() -> Self {
        Self(Vec::new())
    }

    /// Returns the bytes as git stores them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the last part of the path.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.components().next_back().unwrap_or_default()
    }

    /// Returns the parts between the slashes; an empty path has one empty part.
    #[must_use]
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// Returns every folder above the file, the root (empty) first.
    pub fn directories(&self) -> impl Iterator<Item = &[u8]> {
        let below = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        std::iter::once(&self.0[..0]).chain(below.filter_map(|(at, _)| self.0.get(..at)))
    }
}

impl From<&str> for RepoPath {
    fn from(path: &str) -> Self {
        Self(path.as_bytes().to_vec())
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::new(&self.0).at_most(512).fmt(f)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::new(&self.0).fmt(f)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) if !text.starts_with('"') => serializer.serialize_str(text),
            _ => serializer.serialize_str(&quote::quote(&self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.starts_with('"') {
            return Ok(Self(text.into_bytes()));
        }
        match quote::unquote(text.as_bytes()) {
            Some((path, [])) => Ok(Self(path)),
            _ => Err(D::Error::custom(
                "a quoted path does not end where its quote ends",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RepoPath;

    #[test]
    fn the_folders_above_a_file_start_at_the_root() {
        let path = RepoPath::from("a/b/c.txt");
        let above: Vec<&[u8]> = path.directories().collect();
        assert_eq!(above, [b"".as_slice(), b"a", b"a/b"]);
        assert_eq!(RepoPath::from("c").directories().count(), 1);
    }

    proptest! {
        #[test]
        fn serialisation_loses_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let path = RepoPath::new(bytes);
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<RepoPath>(&json).unwrap(), path);
        }
    }
}
