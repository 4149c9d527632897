//! Keys in the form in which many of them are compared.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::conflict::ConflictKey;
use crate::conflict::key::KeyKind;
use crate::footprint::parent_of;

/// The keys that one piece of work claims, prepared for planning.
///
/// # Contract
/// Says what the keys say, and no key at all says `all`. Preparing hashes every key once, so that a plan
/// compares numbers. Should two different keys ever have one number, the two wait for each other without
/// need; keys that meet are never taken apart.
#[derive(Clone, Debug)]
pub struct Claims {
    keys: Vec<ConflictKey>,
    pub(super) marks: Vec<Mark>,
    /// The position of the key that claims all, if one does.
    pub(super) all: Option<u32>,
    /// Whether anything is claimed that `all` meets.
    pub(super) scoped: bool,
}

/// One key as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The number of the key, without its mode.
    pub(super) id: u64,
    /// The number of the directory of a file, or of the class of an area.
    pub(super) cover: u64,
    /// The position of the key.
    pub(super) key: u32,
    pub(super) kind: MarkKind,
    pub(super) reads: bool,
}

/// What a [`Mark`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkKind {
    Issue,
    Area,
    Class,
    Path,
    Dir,
    Tree,
}

impl Claims {
    /// Prepares keys.
    #[must_use]
    pub fn new(keys: Vec<ConflictKey>) -> Self {
        let mut claims = Self {
            all: keys.is_empty().then_some(u32::MAX),
            scoped: keys.is_empty(),
            marks: Vec::with_capacity(keys.len()),
            keys: Vec::new(),
        };
        for (at, key) in keys.iter().enumerate() {
            // Beyond four thousand million keys the rest would only be named wrongly.
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let (kind, id, cover) = match key.kind() {
                KeyKind::All => {
                    claims.all.get_or_insert(at);
                    claims.scoped = true;
                    continue;
                }
                KeyKind::Issue(issue) => (MarkKind::Issue, number("issue", issue), 0),
                KeyKind::Area(class, value) if value.is_empty() => {
                    (MarkKind::Class, number(class.as_str(), ""), 0)
                }
                KeyKind::Area(class, value) => {
                    let class = class.as_str();
                    (MarkKind::Area, number(class, value), number(class, ""))
                }
                KeyKind::Path(path) => {
                    let path = path.fold();
                    (
                        MarkKind::Path,
                        number("path", path),
                        number("dir", parent_of(path)),
                    )
                }
                KeyKind::Dir(dir) => (MarkKind::Dir, number("dir", dir.fold()), 0),
                KeyKind::Tree(dir) => (MarkKind::Tree, tree(dir.fold()), 0),
            };
            claims.scoped |= kind != MarkKind::Issue;
            let reads = key.reads();
            claims.marks.push(Mark {
                id,
                cover,
                key: at,
                kind,
                reads,
            });
        }
        claims.keys = keys;
        claims
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> &[ConflictKey] {
        &self.keys
    }

    /// Returns a key by its position; nothing for the unspoken `all`.
    pub(super) fn key(&self, at: u32) -> Option<&ConflictKey> {
        self.keys.get(usize::try_from(at).ok()?)
    }

    /// Calls back with the number of every tree that covers the key of a mark.
    pub(super) fn trees_above(&self, mark: &Mark, each: &mut dyn FnMut(u64)) {
        let Some(key) = self.key(mark.key) else {
            return;
        };
        let mut dir = match key.kind() {
            KeyKind::Path(path) => parent_of(path.fold()),
            KeyKind::Dir(dir) => dir.fold(),
            KeyKind::Tree(dir) if !dir.fold().is_empty() => parent_of(dir.fold()),
            KeyKind::Tree(_) | KeyKind::All | KeyKind::Issue(_) | KeyKind::Area(..) => return,
        };
        loop {
            each(tree(dir));
            if dir.is_empty() {
                return;
            }
            dir = parent_of(dir);
        }
    }
}

fn tree(dir: &str) -> u64 {
    number("tree", dir)
}

pub(super) fn number(kind: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    text.hash(&mut hasher);
    hasher.finish()
}
