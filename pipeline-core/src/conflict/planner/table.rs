//! Who holds what, for one decision and for a sequence of batches.
//!
//! What is held is recorded under its own number and, as "something below", under the numbers of what covers
//! it. So a claim is checked by looking up its own number and those of what covers it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::claims::{Claims, Mark, MarkKind, number};

/// No holder.
const NOBODY: u32 = u32::MAX;

type NumberMap<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// A hash of what is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached by numbers; still right, if slow, for anything else.
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Which kinds of covering keys occur at all; what does not is never looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wide {
    classes: bool,
    dirs: bool,
    trees: bool,
}

impl Wide {
    pub(super) fn among<'a>(claims: impl Iterator<Item = &'a Claims>) -> Self {
        let mut wide = Self::default();
        for mark in claims.flat_map(|claims| &claims.marks) {
            match mark.kind {
                MarkKind::Class => wide.classes = true,
                MarkKind::Dir => wide.dirs = true,
                MarkKind::Tree => wide.trees = true,
                MarkKind::Issue | MarkKind::Area | MarkKind::Path => {}
            }
        }
        wide
    }

    /// Calls back with the number of everything that covers a mark and may occur.
    fn covers(self, claims: &Claims, mark: &Mark, each: &mut dyn FnMut(u64)) {
        match mark.kind {
            MarkKind::Area if self.classes => each(mark.cover),
            MarkKind::Path if self.dirs => each(mark.cover),
            _ => {}
        }
        if self.trees && matches!(mark.kind, MarkKind::Path | MarkKind::Dir | MarkKind::Tree) {
            claims.trees_above(mark, each);
        }
    }
}

/// Numbers the targets; a key is scoped by mixing the number of its target into its own.
#[derive(Debug, Default)]
struct Targets<'t>(HashMap<&'t str, (usize, u64)>);

impl<'t> Targets<'t> {
    fn of(&mut self, target: &'t str) -> (usize, u64) {
        let next = self.0.len();
        *self
            .0
            .entry(target)
            .or_insert_with(|| (next, number("target", target)))
    }
}

/// An issue is the same on every target, everything else is not.
const fn scoped(mark: &Mark, scope: u64) -> u64 {
    match mark.kind {
        MarkKind::Issue => mark.id,
        _ => mark.id ^ scope,
    }
}

/// Who holds what, for one decision.
#[derive(Debug)]
pub(super) struct Table<'t> {
    wide: Wide,
    targets: Targets<'t>,
    states: NumberMap<State>,
    /// By target: the first holder of anything, and of `all`.
    whole: Vec<(u32, u32)>,
}

/// The first holders of a key and of something below it.
#[derive(Clone, Copy, Debug)]
struct State {
    writes: u32,
    reads: u32,
    writes_below: u32,
    reads_below: u32,
}

const FREE: State = State {
    writes: NOBODY,
    reads: NOBODY,
    writes_below: NOBODY,
    reads_below: NOBODY,
};

impl<'t> Table<'t> {
    pub(super) fn new(wide: Wide) -> Self {
        Self {
            wide,
            targets: Targets::default(),
            states: NumberMap::default(),
            whole: Vec::new(),
        }
    }

    /// Records what a holder claims.
    pub(super) fn hold(&mut self, target: &'t str, claims: &Claims, holder: usize) {
        let (target, scope) = self.targets.of(target);
        let holder = u32::try_from(holder).unwrap_or(NOBODY - 1);
        let first = |slot: &mut u32| *slot = (*slot).min(holder);
        for mark in &claims.marks {
            let state = self.states.entry(scoped(mark, scope)).or_insert(FREE);
            first(if mark.reads {
                &mut state.reads
            } else {
                &mut state.writes
            });
            self.wide.covers(claims, mark, &mut |cover| {
                let state = self.states.entry(cover ^ scope).or_insert(FREE);
                first(if mark.reads {
                    &mut state.reads_below
                } else {
                    &mut state.writes_below
                });
            });
        }
        if self.whole.len() <= target {
            self.whole.resize(target + 1, (NOBODY, NOBODY));
        }
        if let Some((any, all)) = self.whole.get_mut(target) {
            if claims.scoped {
                first(any);
            }
            if claims.all.is_some() {
                first(all);
            }
        }
    }

    /// Returns the first holder that a claim meets, and the position of its key that does.
    pub(super) fn blocker(&mut self, target: &'t str, claims: &Claims) -> Option<(usize, u32)> {
        let (target, scope) = self.targets.of(target);
        let mut found: Option<(u32, u32)> = None;
        let mut meet = |holder: u32, key: u32| {
            if holder != NOBODY && found.is_none_or(|(first, _)| holder < first) {
                found = Some((holder, key));
            }
        };
        let (any, all) = self.whole.get(target).copied().unwrap_or((NOBODY, NOBODY));
        if let Some(key) = claims.all {
            meet(any, key);
        }
        for mark in &claims.marks {
            if mark.kind != MarkKind::Issue {
                meet(all, mark.key);
            }
            if let Some(state) = self.states.get(&scoped(mark, scope)) {
                meet(state.writes, mark.key);
                meet(state.writes_below, mark.key);
                if !mark.reads {
                    meet(state.reads, mark.key);
                    meet(state.reads_below, mark.key);
                }
            }
            self.wide.covers(claims, mark, &mut |cover| {
                if let Some(state) = self.states.get(&(cover ^ scope)) {
                    meet(state.writes, mark.key);
                    if !mark.reads {
                        meet(state.reads, mark.key);
                    }
                }
            });
        }
        usize::try_from(found?.0)
            .ok()
            .zip(found.map(|(_, key)| key))
    }
}

/// In which batches what is held.
#[derive(Debug)]
pub(super) struct Spans<'t> {
    wide: Wide,
    targets: Targets<'t>,
    held: NumberMap<Ranges>,
    /// By target: the batches that hold anything, and those that hold `all`.
    whole: Vec<(Ranges, Ranges)>,
}

/// What is recorded about a key, mixed into its number.
#[derive(Clone, Copy)]
enum Slot {
    Writes = 0,
    Reads = 1,
    WritesBelow = 2,
    ReadsBelow = 3,
}

const fn slot(number: u64, slot: Slot) -> u64 {
    number ^ (slot as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<'t> Spans<'t> {
    pub(super) fn new(wide: Wide) -> Self {
        Self {
            wide,
            targets: Targets::default(),
            held: NumberMap::default(),
            whole: Vec::new(),
        }
    }

    /// Puts a claim into the first batch in which it meets nothing, and returns the number of the batch.
    pub(super) fn place(&mut self, target: &'t str, claims: &Claims) -> usize {
        let (target, scope) = self.targets.of(target);
        if self.whole.len() <= target {
            self.whole.resize(target + 1, Default::default());
        }
        let mut taken: Vec<&Ranges> = Vec::new();
        if let Some((any, all)) = self.whole.get(target) {
            if claims.all.is_some() {
                taken.push(any);
            } else if claims.scoped {
                taken.push(all);
            }
        }
        for mark in &claims.marks {
            let id = scoped(mark, scope);
            taken.extend(self.held.get(&slot(id, Slot::Writes)));
            taken.extend(self.held.get(&slot(id, Slot::WritesBelow)));
            if !mark.reads {
                taken.extend(self.held.get(&slot(id, Slot::Reads)));
                taken.extend(self.held.get(&slot(id, Slot::ReadsBelow)));
            }
            self.wide.covers(claims, mark, &mut |cover| {
                taken.extend(self.held.get(&slot(cover ^ scope, Slot::Writes)));
                if !mark.reads {
                    taken.extend(self.held.get(&slot(cover ^ scope, Slot::Reads)));
                }
            });
        }
        let batch = Ranges::first_free(&taken);
        for mark in &claims.marks {
            let (own, below) = if mark.reads {
                (Slot::Reads, Slot::ReadsBelow)
            } else {
                (Slot::Writes, Slot::WritesBelow)
            };
            self.held
                .entry(slot(scoped(mark, scope), own))
                .or_default()
                .insert(batch);
            self.wide.covers(claims, mark, &mut |cover| {
                self.held
                    .entry(slot(cover ^ scope, below))
                    .or_default()
                    .insert(batch);
            });
        }
        if let Some((any, all)) = self.whole.get_mut(target) {
            if claims.scoped {
                any.insert(batch);
            }
            if claims.all.is_some() {
                all.insert(batch);
            }
        }
        usize::try_from(batch).unwrap_or(usize::MAX)
    }
}

/// A set of numbers as sorted half-open ranges that do not touch.
///
/// First-fit placing fills numbers from below, so a set has few ranges even if it has many numbers.
#[derive(Clone, Debug, Default)]
struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    fn insert(&mut self, number: u32) {
        let at = self.0.partition_point(|(from, _)| *from <= number);
        if let Some((_, to)) = at.checked_sub(1).and_then(|before| self.0.get_mut(before)) {
            if number < *to {
                return;
            }
            if number == *to {
                *to += 1;
                let joined = *to;
                if let Some((_, end)) = self.0.get(at).filter(|(from, _)| *from == joined).copied()
                {
                    self.0.remove(at);
                    if let Some((_, to)) = self.0.get_mut(at - 1) {
                        *to = end;
                    }
                }
                return;
            }
        }
        match self.0.get_mut(at) {
            Some((from, _)) if *from == number + 1 => *from = number,
            _ => self.0.insert(at, (number, number + 1)),
        }
    }

    /// Returns the end of the range that holds `number`, if one does.
    fn end_of(&self, number: u32) -> Option<u32> {
        let at = self
            .0
            .partition_point(|(from, _)| *from <= number)
            .checked_sub(1)?;
        self.0.get(at).map(|(_, to)| *to).filter(|to| number < *to)
    }

    /// Returns the smallest number that none of the sets holds.
    fn first_free(sets: &[&Self]) -> u32 {
        let mut number = 0;
        while let Some(next) = sets.iter().filter_map(|set| set.end_of(number)).max() {
            number = next;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    proptest! {
        #[test]
        fn ranges_are_a_set(numbers in proptest::collection::vec(0..40_u32, 0..60)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                ranges.insert(number);
                set.insert(number);
            }
            for number in 0..42 {
                prop_assert_eq!(ranges.end_of(number).is_some(), set.contains(&number));
            }
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let free = (0..).find(|number| !set.contains(number));
            prop_assert_eq!(Some(Ranges::first_free(&[&ranges])), free);
        }
    }
}
