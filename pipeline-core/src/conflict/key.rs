//! The keys that work is compared by, and that work-start locks post as `res:` lines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConflictClass;
use crate::footprint::{
    PathFault, RepoDir, RepoPath, encode_wire, lies_under, parent_of, percent_decode,
};

/// The longest value of an area or issue key, in bytes.
const MAX_VALUE_BYTES: usize = 512;

/// One thing that a piece of work claims.
///
/// # Contract
/// [`Display`](fmt::Display) writes the ASCII form of a `res:` line and [`FromStr`] reads it back:
///
/// | written | claims |
/// |---|---|
/// | `issue:KEY` | the issue; the only key that is not scoped by repository and target |
/// | `path:P` | one file |
/// | `dir:D` | the files directly in a directory (`.` is the root) |
/// | `tree:D` | everything below a directory |
/// | `api:points` | one area of a class (`screen` `api` `db` `deps` `shared` `domain`) |
/// | `api:` | the whole class |
/// | `reads:K` | the same, shared with others that only read it |
/// | `all` | every key of the target except issues |
///
/// # Examples
/// ```
/// use pipeline_core::conflict::ConflictKey;
///
/// let file: ConflictKey = "path:src/a.rs".parse()?;
/// let dir: ConflictKey = "dir:src".parse()?;
/// assert!(file.meets(&dir));
/// assert!(!file.meets(&"api:points".parse()?));
/// assert!(ConflictKey::all().meets(&file));
/// # Ok::<(), pipeline_core::conflict::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConflictKey {
    kind: KeyKind,
    reads: bool,
}

/// What a [`ConflictKey`] names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyKind {
    /// Everything of the target.
    All,
    /// An issue.
    Issue(String),
    /// One area of a class, or with an empty value the whole class.
    Area(AreaClass, String),
    /// Everything below a directory.
    Tree(RepoDir),
    /// The files directly in a directory.
    Dir(RepoDir),
    /// One file.
    Path(RepoPath),
}

/// The six classes that rules sort files into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AreaClass {
    /// A screen, admin view or layout.
    Screen,
    /// An API's controller, service, repository or model.
    Api,
    /// A migration, schema, seed or configuration table.
    Db,
    /// Shared configuration, a dependency definition or a lockfile.
    Deps,
    /// A shared component, style or utility.
    Shared,
    /// A cross-cutting domain such as payments.
    Domain,
}

impl AreaClass {
    /// Every class, in the order of their keys.
    pub const ALL: [Self; 6] = [
        Self::Screen,
        Self::Api,
        Self::Db,
        Self::Deps,
        Self::Shared,
        Self::Domain,
    ];

    /// Returns the name used in keys and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Api => "api",
            Self::Db => "db",
            Self::Deps => "deps",
            Self::Shared => "shared",
            Self::Domain => "domain",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

impl fmt::Display for AreaClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no conflict key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The part before the colon names no kind of key.
    #[error("`{0}` is no kind of conflict key")]
    UnknownKind(String),
    /// The path of a `path:`, `dir:` or `tree:` key cannot be used.
    #[error("the path of the conflict key `{key}` cannot be used")]
    Path {
        /// The key as it was given.
        key: String,
        /// What is wrong with its path.
        source: PathFault,
    },
    /// The value of an area or issue key is broken.
    #[error("the value of the conflict key `{0}` is empty, too long, or no encoded text")]
    Value(String),
}

impl ConflictKey {
    /// Returns the key that meets every key of its target.
    #[must_use]
    pub const fn all() -> Self {
        Self::of(KeyKind::All)
    }

    /// Returns the key of an issue.
    #[must_use]
    pub fn issue(key: impl Into<String>) -> Self {
        Self::of(KeyKind::Issue(key.into()))
    }

    /// Returns the key of one file.
    #[must_use]
    pub const fn path(path: RepoPath) -> Self {
        Self::of(KeyKind::Path(path))
    }

    /// Returns the key of the files directly in a directory.
    #[must_use]
    pub const fn dir(dir: RepoDir) -> Self {
        Self::of(KeyKind::Dir(dir))
    }

    /// Returns the key of everything below a directory.
    #[must_use]
    pub const fn tree(dir: RepoDir) -> Self {
        Self::of(KeyKind::Tree(dir))
    }

    /// Returns the key of one area of a class; an empty value is the whole class.
    #[must_use]
    pub fn area(class: AreaClass, value: impl Into<String>) -> Self {
        Self::of(KeyKind::Area(class, value.into()))
    }

    const fn of(kind: KeyKind) -> Self {
        Self { kind, reads: false }
    }

    /// Returns the same claim, shared with nobody.
    #[must_use]
    pub fn writing(self) -> Self {
        Self {
            reads: false,
            ..self
        }
    }

    /// Returns the same claim, shared with others that only read.
    ///
    /// `all` and issue keys cannot be shared and stay as they are.
    #[must_use]
    pub fn reading(self) -> Self {
        let reads = !matches!(self.kind, KeyKind::All | KeyKind::Issue(_));
        Self { reads, ..self }
    }

    /// Returns what the key names.
    #[must_use]
    pub const fn kind(&self) -> &KeyKind {
        &self.kind
    }

    /// Returns whether the claim is shared with others that only read.
    #[must_use]
    pub const fn reads(&self) -> bool {
        self.reads
    }

    /// Returns whether the key is the one that meets every key of its target.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self.kind, KeyKind::All)
    }

    /// Returns whether the key names one file.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self.kind, KeyKind::Path(_))
    }

    /// Returns whether two claims on the same target exclude each other.
    ///
    /// # Guarantees
    /// Symmetric. Every key that is not a reading one meets itself.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        !(self.reads && other.reads)
            && (covers(&self.kind, &other.kind) || covers(&other.kind, &self.kind))
    }

    /// Returns the class that a meeting on this key belongs to.
    #[must_use]
    pub const fn class(&self) -> ConflictClass {
        match &self.kind {
            KeyKind::All => ConflictClass::Unknown,
            KeyKind::Issue(_) | KeyKind::Path(_) => ConflictClass::Path,
            KeyKind::Dir(_) | KeyKind::Tree(_) => ConflictClass::Dir,
            KeyKind::Area(AreaClass::Screen, _) => ConflictClass::Screen,
            KeyKind::Area(AreaClass::Api, _) => ConflictClass::Api,
            KeyKind::Area(AreaClass::Db, _) => ConflictClass::Db,
            KeyKind::Area(AreaClass::Deps, _) => ConflictClass::Deps,
            KeyKind::Area(AreaClass::Shared, _) => ConflictClass::Shared,
            KeyKind::Area(AreaClass::Domain, _) => ConflictClass::Domain,
        }
    }

    /// Returns how much the key claims: the larger number explains a meeting of two keys.
    pub(crate) fn breadth(&self) -> usize {
        match &self.kind {
            KeyKind::All => usize::MAX,
            KeyKind::Tree(dir) => usize::MAX / 2 - dir.depth(),
            KeyKind::Area(_, value) if value.is_empty() => 3,
            KeyKind::Dir(_) => 2,
            KeyKind::Area(..) | KeyKind::Issue(_) => 1,
            KeyKind::Path(_) => 0,
        }
    }
}

/// Returns whether the claim `wide` takes in some of `narrow`; one direction of [`ConflictKey::meets`].
fn covers(wide: &KeyKind, narrow: &KeyKind) -> bool {
    match (wide, narrow) {
        (KeyKind::All, KeyKind::Issue(_)) => false,
        (KeyKind::All, _) => true,
        (KeyKind::Issue(a), KeyKind::Issue(b)) => a == b,
        (KeyKind::Path(a), KeyKind::Path(b)) => a.fold() == b.fold(),
        (KeyKind::Dir(a), KeyKind::Dir(b)) => a.fold() == b.fold(),
        (KeyKind::Dir(dir), KeyKind::Path(path)) => parent_of(path.fold()) == dir.fold(),
        (KeyKind::Tree(tree), KeyKind::Path(path)) => lies_under(path.fold(), tree.fold()),
        (KeyKind::Tree(tree), KeyKind::Dir(dir) | KeyKind::Tree(dir)) => {
            dir.fold() == tree.fold() || lies_under(dir.fold(), tree.fold())
        }
        (KeyKind::Area(a, whole), KeyKind::Area(b, value)) => {
            a == b && (whole.is_empty() || whole == value)
        }
        _ => false,
    }
}

impl fmt::Display for ConflictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reads {
            f.write_str("reads:")?;
        }
        match &self.kind {
            KeyKind::All => f.write_str("all"),
            KeyKind::Issue(key) => write!(f, "issue:{}", encode_wire(key.as_bytes())),
            KeyKind::Path(path) => write!(f, "path:{}", path.wire()),
            KeyKind::Dir(dir) => write!(f, "dir:{}", dir.wire()),
            KeyKind::Tree(dir) => write!(f, "tree:{}", dir.wire()),
            KeyKind::Area(class, value) => write!(f, "{class}:{}", encode_wire(value.as_bytes())),
        }
    }
}

impl FromStr for ConflictKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.strip_prefix("reads:") {
            Some(rest)
                if rest != "all" && !rest.starts_with("issue:") && !rest.starts_with("reads:") =>
            {
                parse_kind(rest).map(|kind| Self { kind, reads: true })
            }
            Some(_) => Err(KeyError::UnknownKind("reads".to_owned())),
            None => parse_kind(text).map(Self::of),
        }
    }
}

fn parse_kind(text: &str) -> Result<KeyKind, KeyError> {
    if text == "all" {
        return Ok(KeyKind::All);
    }
    let shown = || {
        text.chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect::<String>()
    };
    let Some((kind, value)) = text.split_once(':') else {
        return Err(KeyError::UnknownKind(shown()));
    };
    let path_error = |source| KeyError::Path {
        key: shown(),
        source,
    };
    let value_text = || -> Result<String, KeyError> {
        percent_decode(value)
            .filter(|bytes| bytes.len() <= MAX_VALUE_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| KeyError::Value(shown()))
    };
    match kind {
        "path" => RepoPath::parse(value)
            .map(KeyKind::Path)
            .map_err(path_error),
        "dir" => RepoDir::parse(value).map(KeyKind::Dir).map_err(path_error),
        "tree" => RepoDir::parse(value).map(KeyKind::Tree).map_err(path_error),
        "issue" => match value_text()? {
            key if key.is_empty() => Err(KeyError::Value(shown())),
            key => Ok(KeyKind::Issue(key)),
        },
        _ => match AreaClass::parse(kind) {
            Some(class) => Ok(KeyKind::Area(class, value_text()?)),
            None => Err(KeyError::UnknownKind(shown())),
        },
    }
}

impl Serialize for ConflictKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConflictKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests;
