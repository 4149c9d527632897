//! Finds the claims that a key meets without comparing it with each of them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::key::KeyKind;
use super::{AreaClass, ConflictKey};
use crate::footprint::parent_of;

/// An inverted index from keys to the numbers of their holders.
///
/// Holds exactly [`ConflictKey::meets`], at a cost that depends on the depth of a path and on the number of
/// meetings, not on the number of keys.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex<'k> {
    all: Vec<usize>,
    /// Every holder of anything that `all` meets.
    scoped: Vec<usize>,
    issues: HashMap<&'k str, Vec<usize>>,
    areas: HashMap<(AreaClass, &'k str), Vec<Holder>>,
    classes: BTreeMap<AreaClass, Vec<Holder>>,
    // Sorted, for the ranges below a directory.
    paths: BTreeMap<&'k str, Vec<Holder>>,
    in_dir: HashMap<&'k str, Vec<Holder>>,
    dirs: BTreeMap<&'k str, Vec<Holder>>,
    trees: BTreeMap<&'k str, Vec<Holder>>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    number: usize,
    reads: bool,
}

impl<'k> KeyIndex<'k> {
    /// Records that the holder with this number has this key.
    pub(crate) fn insert(&mut self, key: &'k ConflictKey, number: usize) {
        let holder = Holder {
            number,
            reads: key.reads(),
        };
        if !matches!(key.kind(), KeyKind::Issue(_)) {
            self.scoped.push(number);
        }
        match key.kind() {
            KeyKind::All => self.all.push(number),
            KeyKind::Issue(issue) => self.issues.entry(issue).or_default().push(number),
            KeyKind::Area(class, value) => {
                self.areas.entry((*class, value)).or_default().push(holder);
                self.classes.entry(*class).or_default().push(holder);
            }
            KeyKind::Path(path) => {
                self.paths.entry(path.fold()).or_default().push(holder);
                self.in_dir
                    .entry(parent_of(path.fold()))
                    .or_default()
                    .push(holder);
            }
            KeyKind::Dir(dir) => self.dirs.entry(dir.fold()).or_default().push(holder),
            KeyKind::Tree(dir) => self.trees.entry(dir.fold()).or_default().push(holder),
        }
    }

    /// Calls back with the number of every holder whose key meets `key`, possibly more than once.
    pub(crate) fn meeting(&self, key: &ConflictKey, found: &mut dyn FnMut(usize)) {
        if let KeyKind::Issue(issue) = key.kind() {
            self.issues
                .get(issue.as_str())
                .into_iter()
                .flatten()
                .for_each(|number| found(*number));
            return;
        }
        if key.is_all() {
            self.scoped.iter().for_each(|number| found(*number));
            return;
        }
        self.all.iter().for_each(|number| found(*number));
        let reads = key.reads();
        let mut each = |holders: Option<&Vec<Holder>>| {
            for holder in holders.into_iter().flatten() {
                if !(reads && holder.reads) {
                    found(holder.number);
                }
            }
        };
        match key.kind() {
            KeyKind::All | KeyKind::Issue(_) => {}
            KeyKind::Area(class, value) if value.is_empty() => each(self.classes.get(class)),
            KeyKind::Area(class, value) => {
                each(self.areas.get(&(*class, value)));
                each(self.areas.get(&(*class, "")));
            }
            KeyKind::Path(path) => {
                let dir = parent_of(path.fold());
                each(self.paths.get(path.fold()));
                each(self.dirs.get(dir));
                self.trees_above(dir, &mut each);
            }
            KeyKind::Dir(dir) => {
                each(self.dirs.get(dir.fold()));
                each(self.in_dir.get(dir.fold()));
                self.trees_above(dir.fold(), &mut each);
            }
            KeyKind::Tree(dir) => {
                let dir = dir.fold();
                self.trees_above(dir, &mut each);
                each(self.dirs.get(dir));
                for below in [&self.paths, &self.dirs, &self.trees] {
                    below_dir(below, dir).for_each(|holders| each(Some(holders)));
                }
            }
        }
    }

    /// Calls back with the tree claims on `dir` and on each of its ancestors.
    fn trees_above(&self, dir: &str, each: &mut dyn FnMut(Option<&Vec<Holder>>)) {
        if self.trees.is_empty() {
            return;
        }
        let mut dir = dir;
        loop {
            each(self.trees.get(dir));
            if dir.is_empty() {
                return;
            }
            dir = parent_of(dir);
        }
    }
}

/// Returns what is recorded strictly below a folded directory.
fn below_dir<'a>(
    map: &'a BTreeMap<&str, Vec<Holder>>,
    dir: &str,
) -> impl Iterator<Item = &'a Vec<Holder>> {
    // `0` is the character after `/`: everything below `dir` sorts between the two.
    let (from, to) = (format!("{dir}/"), format!("{dir}0"));
    let bounds = if dir.is_empty() {
        (Bound::Excluded(""), Bound::Unbounded)
    } else {
        (Bound::Excluded(from.as_str()), Bound::Excluded(to.as_str()))
    };
    map.range::<str, _>(bounds).map(|(_, holders)| holders)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::key::tests::any_key;
    use super::*;

    proptest! {
        #[test]
        fn the_index_finds_exactly_what_meets(
            held in proptest::collection::vec(any_key(), 0..30),
            asked in any_key(),
        ) {
            let mut index = KeyIndex::default();
            for (number, key) in held.iter().enumerate() {
                index.insert(key, number);
            }
            let mut found = std::collections::BTreeSet::new();
            index.meeting(&asked, &mut |number| {
                found.insert(number);
            });
            let expected = (0..held.len()).filter(|at| held[*at].meets(&asked)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
