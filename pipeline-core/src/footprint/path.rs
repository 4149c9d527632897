//! Paths inside a repository, as strangers write them and as we compare them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization as _;

/// The longest path that is read, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// Why a piece of text names no file of the repository.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PathFault {
    /// Nothing is left after normalising.
    #[error("names no file")]
    Empty,
    /// It starts at a root, a home folder, a drive or a scheme.
    #[error("is absolute, so it does not name a file of this repository")]
    Absolute,
    /// `..` leads above the repository.
    #[error("leads out of the repository")]
    Escapes,
    /// It contains a NUL byte.
    #[error("contains a NUL byte")]
    Nul,
    /// One of its segments is `.git`.
    #[error("lies inside `.git`")]
    GitDir,
    /// It is longer than [`MAX_PATH_BYTES`].
    #[error("is longer than 4096 bytes")]
    TooLong,
    /// It is not in the normal form that the strict readers expect.
    #[error("is not a normalised path")]
    NotNormal,
    /// There were more entries than a footprint keeps.
    #[error("is one of too many files")]
    TooMany,
}

/// A normalised path of a file, relative to the root of its repository.
///
/// # Contract
/// Segments are separated by `/`; none is empty, `.`, `..` or `.git`; there is no NUL. Two values are
/// equal if their bytes are. Whether they *collide* is another question, answered by
/// [`fold`](Self::fold): paths that a case-insensitive or normalising file system takes for one file do.
///
/// [`Display`](fmt::Display) writes bytes that are not UTF-8, control and direction characters and `%`
/// percent-encoded, so it is safe to show, and [`parse`](Self::parse) reads it back.
///
/// # Examples
/// ```
/// use pipeline_core::footprint::RepoPath;
///
/// let path = RepoPath::from_bytes(b"docs/caf\xe9.md")?;
/// assert_eq!(path.to_string(), "docs/caf%E9.md");
/// assert_eq!(RepoPath::parse("docs/caf%E9.md")?, path);
/// assert!(RepoPath::parse("../etc/passwd").is_err());
/// # Ok::<(), pipeline_core::footprint::PathFault>(())
/// ```
#[derive(Clone)]
pub struct RepoPath {
    text: Arc<str>,
    fold: Arc<str>,
}

impl RepoPath {
    /// Reads the bytes of a path as git gives them (`-z`): nothing is decoded or repaired.
    ///
    /// # Errors
    /// Names the fault if the bytes are no normalised path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathFault> {
        if bytes.len() > MAX_PATH_BYTES {
            return Err(PathFault::TooLong);
        }
        if bytes.is_empty() {
            return Err(PathFault::Empty);
        }
        if bytes.contains(&0) {
            return Err(PathFault::Nul);
        }
        if bytes.starts_with(b"/") {
            return Err(PathFault::Absolute);
        }
        for segment in bytes.split(|b| *b == b'/') {
            match segment {
                b"" | b"." => return Err(PathFault::NotNormal),
                b".." => return Err(PathFault::Escapes),
                name if name.eq_ignore_ascii_case(b".git") => return Err(PathFault::GitDir),
                _ => {}
            }
        }
        Ok(Self::from_normal(bytes))
    }

    /// Reads what [`Display`](fmt::Display) or [`wire`](Self::wire) wrote: `%XX` stands for a byte.
    ///
    /// # Errors
    /// Names the fault if the text is no normalised path or holds a broken escape.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.len() > 3 * MAX_PATH_BYTES {
            return Err(PathFault::TooLong);
        }
        Self::from_bytes(&percent_decode(text).ok_or(PathFault::NotNormal)?)
    }

    /// Builds the value from bytes already known to be in normal form.
    fn from_normal(bytes: &[u8]) -> Self {
        let text: Arc<str> = show(bytes).into();
        let fold = fold_text(&text);
        let fold = if *fold == *text {
            Arc::clone(&text)
        } else {
            fold.into()
        };
        Self { text, fold }
    }

    /// Returns the readable form, percent-encoded where it must be.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the bytes of the path, as git knows it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        percent_decode(&self.text).unwrap_or_else(|| self.text.as_bytes().to_vec())
    }

    /// Returns the form in which paths are compared.
    ///
    /// Letters are case-folded, Unicode is composed (NFC) and percent-escapes are read, so that a path
    /// written by a person on macOS and the same file reported by git on Linux give one value. Folding
    /// too much costs a parallel run, folding too little costs a collision; this folds too much.
    #[must_use]
    pub fn fold(&self) -> &str {
        &self.fold
    }

    /// Returns the ASCII form for memo lines; see [`encode_wire`].
    #[must_use]
    pub fn wire(&self) -> String {
        encode_wire(&self.to_bytes())
    }

    /// Returns the directory that holds the file.
    #[must_use]
    pub fn parent(&self) -> RepoDir {
        match self.text.rsplit_once('/') {
            None => RepoDir::root(),
            Some((parent, _)) => RepoDir(Some(Self::from_shown(parent))),
        }
    }

    /// Returns the last segment of the readable form.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or(&self.text)
    }

    /// Returns whether both name one file to a case-insensitive, normalising file system.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        self.fold == other.fold
    }

    /// Builds the value from a prefix of another value's readable form.
    pub(crate) fn from_shown(text: &str) -> Self {
        let fold = fold_text(text);
        let text: Arc<str> = text.into();
        let fold = if *fold == *text {
            Arc::clone(&text)
        } else {
            fold.into()
        };
        Self { text, fold }
    }
}

impl PartialEq for RepoPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RepoPath {}

impl PartialOrd for RepoPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepoPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for RepoPath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|fault| serde::de::Error::custom(format!("this path {fault}")))
    }
}

/// A directory of the repository, or its root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoDir(Option<RepoPath>);

impl RepoDir {
    /// Returns the root of the repository.
    #[must_use]
    pub const fn root() -> Self {
        Self(None)
    }

    /// Returns the directory with this path.
    #[must_use]
    pub const fn at(path: RepoPath) -> Self {
        Self(Some(path))
    }

    /// Returns the path, or nothing for the root.
    #[must_use]
    pub const fn path(&self) -> Option<&RepoPath> {
        self.0.as_ref()
    }

    /// Returns the compared form; the root is the empty text.
    #[must_use]
    pub fn fold(&self) -> &str {
        self.0.as_ref().map_or("", RepoPath::fold)
    }

    /// Returns the ASCII form for memo lines; the root is `.`.
    #[must_use]
    pub fn wire(&self) -> String {
        self.0
            .as_ref()
            .map_or_else(|| ".".to_owned(), RepoPath::wire)
    }

    /// Reads what [`wire`](Self::wire) or [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// Names the fault if the text is neither the root nor a normalised path.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        match text.strip_suffix('/').unwrap_or(text) {
            "" | "." => Ok(Self::root()),
            path => RepoPath::parse(path).map(Self::at),
        }
    }

    /// Returns the number of segments; the root has none.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |path| path.as_str().split('/').count())
    }

    /// Returns the ancestor (or the directory itself) with at most `depth` segments.
    #[must_use]
    pub fn truncated(&self, depth: usize) -> Self {
        let Some(path) = &self.0 else {
            return Self::root();
        };
        match path
            .as_str()
            .match_indices('/')
            .nth(depth.saturating_sub(1))
        {
            _ if depth == 0 => Self::root(),
            None => self.clone(),
            Some((end, _)) => Self::at(RepoPath::from_shown(&path.as_str()[..end])),
        }
    }
}

impl Serialize for RepoDir {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepoDir {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|fault| serde::de::Error::custom(format!("this directory {fault}")))
    }
}

impl fmt::Display for RepoDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or(".", RepoPath::as_str))
    }
}

/// Returns whether the folded `path` lies below the folded directory `dir` (the root is empty).
#[must_use]
pub(crate) fn lies_under(path: &str, dir: &str) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the folded directory of a folded path; the root is empty.
#[must_use]
pub(crate) fn parent_of(fold: &str) -> &str {
    fold.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Percent-encodes bytes for a memo line (`lock-protocol.md`, "Record").
///
/// Encoded are all bytes outside printable ASCII, the space (trackers trim and fold it), `%`, and the
/// characters that some tracker reads as a command, mention, reference or tag.
#[must_use]
pub fn encode_wire(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'%' | b'@' | b'#' | b'!' | b'~' | b'$' | b'&' | b'`' | b'<' | b'>' => {
                escape(byte, &mut out);
            }
            0x21..=0x7e => out.push(char::from(byte)),
            _ => escape(byte, &mut out),
        }
    }
    out
}

/// Decodes `%XX`, or answers nothing if an escape is broken.
#[must_use]
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// Decodes the `%XX` that are well formed and leaves every other `%` as it stands.
pub(crate) fn percent_decode_lenient(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (
            bytes.get(at + 1).copied().and_then(hex_digit),
            bytes.get(at + 2).copied().and_then(hex_digit),
        );
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn escape(byte: u8, out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 0xf)]);
}

/// Returns whether a character would confuse a terminal or a reader.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes the bytes of a path readably: UTF-8 as it is, the rest, `%` and hidden characters percent-encoded.
///
/// This is what [`RepoPath`] shows, for bytes that need not be a normal path; [`percent_decode`] reads it back.
#[must_use]
pub fn encode_readable(bytes: &[u8]) -> String {
    show(bytes)
}

fn show(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || is_hidden(c) {
                let mut buffer = [0; 4];
                c.encode_utf8(&mut buffer)
                    .bytes()
                    .for_each(|byte| escape(byte, &mut out));
            } else {
                out.push(c);
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|&byte| escape(byte, &mut out));
    }
    out
}

/// Folds a readable path; see [`RepoPath::fold`].
fn fold_text(text: &str) -> String {
    if text.is_ascii() && !text.contains('%') {
        return text.to_ascii_lowercase();
    }
    let mut text = text.to_owned();
    // Ends: a round that changes anything makes the text shorter.
    while let Some(shorter) = unescape_once(&text) {
        text = shorter;
    }
    // Upper case first: it is what joins "ß" with "SS" and the dotless i with the dotted one.
    let upper: String = text.nfc().flat_map(char::to_uppercase).collect();
    upper.chars().flat_map(char::to_lowercase).nfc().collect()
}

/// Decodes escapes that stand for valid UTF-8 other than a separator, if there are any.
fn unescape_once(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let run = escape_run(from);
        let decoded = percent_decode_lenient(run);
        match std::str::from_utf8(&decoded) {
            Ok(plain) if run.len() > 1 && !plain.contains(['/', '\0']) => {
                out.push_str(plain);
                changed = true;
            }
            _ => out.push_str(run),
        }
        rest = &from[run.len()..];
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// Returns the leading run of well-formed escapes, or at least the `%` itself.
fn escape_run(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut end = 0;
    while bytes.get(end) == Some(&b'%')
        && bytes.get(end + 1).copied().and_then(hex_digit).is_some()
        && bytes.get(end + 2).copied().and_then(hex_digit).is_some()
    {
        end += 3;
    }
    &text[..end.max(1)]
}
