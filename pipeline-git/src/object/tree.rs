//! Tree objects: parsed and written byte for byte as git writes them.

use std::cmp::Ordering;

use crate::oid::ObjectFormat;
use crate::oid::Oid;

/// The mode of an entry, as git stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mode(pub(crate) u32);

impl Mode {
    pub(crate) const FILE: Self = Self(0o100_644);
    pub(crate) const EXECUTABLE: Self = Self(0o100_755);
    pub(crate) const TREE: Self = Self(0o040_000);

    /// Tells whether the entry is a directory.
    pub(crate) fn is_tree(self) -> bool {
        self.0 & 0o170_000 == 0o040_000
    }

    /// Tells whether the entry is an ordinary file, executable or not.
    pub(crate) fn is_file(self) -> bool {
        self.0 & 0o170_000 == 0o100_000
    }

    /// Reads an octal mode as git prints it.
    pub(crate) fn parse(octal: &[u8]) -> Option<Self> {
        if octal.is_empty() || octal.len() > 6 {
            return None;
        }
        let mut value = 0u32;
        for digit in octal {
            if !(b'0'..=b'7').contains(digit) {
                return None;
            }
            value = value * 8 + u32::from(digit - b'0');
        }
        Some(Self(value))
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) name: Vec<u8>,
    pub(crate) oid: Oid,
}

/// The entries of one directory, in git's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    entries: Vec<Entry>,
}

/// A tree object that does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree object is cut short or malformed")]
pub(crate) struct BadTree;

impl Tree {
    /// Parses the content of a tree object.
    ///
    /// # Errors
    /// Fails when the content is no sequence of `mode name NUL oid`.
    pub(crate) fn parse(format: ObjectFormat, mut rest: &[u8]) -> Result<Self, BadTree> {
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let space = rest
                .iter()
                .take(8)
                .position(|b| *b == b' ')
                .ok_or(BadTree)?;
            let (mode, tail) = rest.split_at(space);
            let mode = Mode::parse(mode).ok_or(BadTree)?;
            let tail = tail.get(1..).ok_or(BadTree)?;
            let nul = tail.iter().position(|b| *b == 0).ok_or(BadTree)?;
            let (name, tail) = tail.split_at(nul);
            if name.is_empty() || name.contains(&b'/') {
                return Err(BadTree);
            }
            let raw = tail.get(1..=format.len()).ok_or(BadTree)?;
            let oid = Oid::from_bytes(raw).ok_or(BadTree)?;
            entries.push(Entry {
                mode,
                name: name.to_vec(),
                oid,
            });
            rest = tail.get(format.len() + 1..).ok_or(BadTree)?;
        }
        Ok(Self { entries })
    }

    /// Returns the content of the tree object.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.iter().map(|e| e.name.len() + 40).sum());
        for entry in &self.entries {
            match entry.mode {
                Mode::FILE => out.extend_from_slice(b"100644 "),
                Mode::TREE => out.extend_from_slice(b"40000 "),
                other => out.extend_from_slice(format!("{:o} ", other.0).as_bytes()),
            }
            out.extend_from_slice(&entry.name);
            out.push(0);
            out.extend_from_slice(entry.oid.as_bytes());
        }
        out
    }

    /// Returns the entries in git's order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Tells whether the directory holds nothing, which git does not store.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Finds an entry by name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        // A directory sorts as if its name ended in a slash, so there are two places to look.
        let place = |mode| {
            self.position(name, mode)
                .ok()
                .and_then(|at| self.entries.get(at))
        };
        place(Mode::FILE).or_else(|| place(Mode::TREE))
    }

    /// Puts an entry at its place, replacing one of the same name.
    pub(crate) fn set(&mut self, entry: Entry) {
        self.remove(&entry.name);
        match self.position(&entry.name, entry.mode) {
            Ok(at) | Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Takes an entry out; tells whether there was one.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        for mode in [Mode::FILE, Mode::TREE] {
            if let Ok(at) = self.position(name, mode) {
                self.entries.remove(at);
                return true;
            }
        }
        false
    }

    fn position(&self, name: &[u8], mode: Mode) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| order(&entry.name, entry.mode, name, mode))
    }
}

/// Compares two names as git sorts them: a directory as if it ended in a slash.
fn order(left: &[u8], left_mode: Mode, right: &[u8], right_mode: Mode) -> Ordering {
    let with_end = |name: &[u8], mode: Mode, at: usize| match name.get(at) {
        Some(byte) => Some(*byte),
        None if at == name.len() && mode.is_tree() => Some(b'/'),
        None => None,
    };
    let shared = left.len().min(right.len());
    match left[..shared].cmp(&right[..shared]) {
        Ordering::Equal => {
            with_end(left, left_mode, shared).cmp(&with_end(right, right_mode, shared))
        }
        unequal => unequal,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oid::Kind;

    fn oid(seed: u8) -> Oid {
        Oid::from_bytes(&[seed; 20]).expect("twenty bytes")
    }

    fn entry(name: &str, mode: Mode) -> Entry {
        Entry {
            mode,
            name: name.as_bytes().to_vec(),
            oid: oid(1),
        }
    }

    #[test]
    fn directories_sort_as_if_they_ended_in_a_slash() {
        let mut tree = Tree::default();
        for (name, mode) in [
            ("a.b", Mode::FILE),
            ("a", Mode::TREE),
            ("a0", Mode::FILE),
            ("a-b", Mode::FILE),
        ] {
            tree.set(entry(name, mode));
        }
        let names: Vec<_> = tree
            .entries()
            .iter()
            .map(|e| String::from_utf8_lossy(&e.name).into_owned())
            .collect();
        assert_eq!(names, ["a-b", "a.b", "a", "a0"]);
        assert_eq!(tree.get(b"a").map(|e| e.mode), Some(Mode::TREE));
        assert!(tree.remove(b"a"));
        assert!(!tree.remove(b"a"));
        assert_eq!(tree.get(b"a"), None);
    }

    #[test]
    fn a_file_may_become_a_directory() {
        let mut tree = Tree::default();
        tree.set(entry("x", Mode::FILE));
        tree.set(entry("x", Mode::TREE));
        assert_eq!(tree.entries().len(), 1);
        assert_eq!(tree.get(b"x").map(|e| e.mode), Some(Mode::TREE));
    }

    #[test]
    fn malformed_trees_are_refused() {
        let good = {
            let mut tree = Tree::default();
            tree.set(entry("name", Mode::FILE));
            tree.encode()
        };
        for cut in 1..good.len() {
            assert_eq!(
                Tree::parse(ObjectFormat::Sha1, &good[..cut]),
                Err(BadTree),
                "{cut}"
            );
        }
        assert!(Tree::parse(ObjectFormat::Sha1, b"100648 a\0").is_err());
        assert!(
            Tree::parse(
                ObjectFormat::Sha1,
                &[&b"100644 a/b\0"[..], &[0; 20]].concat()
            )
            .is_err()
        );
        assert!(Tree::parse(ObjectFormat::Sha1, &[&b"100644 \0"[..], &[0; 20]].concat()).is_err());
    }

    #[test]
    fn the_empty_tree_has_its_well_known_name() {
        let name = ObjectFormat::Sha1.name_of(Kind::Tree, &Tree::default().encode());
        assert_eq!(
            name.map(|oid| oid.hex()).as_deref(),
            Ok("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(tree) = Tree::parse(ObjectFormat::Sha1, &bytes) {
                // Modes may carry leading zeros, which git forbids but old writers made.
                prop_assert!(tree.encode().len() <= bytes.len());
            }
        }

        #[test]
        fn entries_keep_order_and_round_trip(names in proptest::collection::btree_map("[a-c./-]{1,4}", any::<bool>(), 0..20)) {
            let mut tree = Tree::default();
            for (name, dir) in &names {
                if name.contains('/') { continue; }
                tree.set(entry(name, if *dir { Mode::TREE } else { Mode::FILE }));
            }
            for pair in tree.entries().windows(2) {
                prop_assert_eq!(order(&pair[0].name, pair[0].mode, &pair[1].name, pair[1].mode), Ordering::Less);
            }
            prop_assert_eq!(Tree::parse(ObjectFormat::Sha1, &tree.encode()), Ok(tree));
        }
    }
}
