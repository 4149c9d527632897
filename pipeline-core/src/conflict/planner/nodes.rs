//! The keys of a plan as numbered nodes.
//!
//! Each distinct key is a node that knows the wider nodes covering it. Two claims meet if their nodes are the
//! same or one covers the other (and not both only read), or if one of them is `all`. So a claim is checked by
//! looking at its own nodes, at what covers them, and at what is marked as lying below them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::conflict::key::KeyKind;
use crate::conflict::{AreaClass, ConflictKey};
use crate::footprint::parent_of;

/// No holder.
const NOBODY: u32 = u32::MAX;

/// The claims of a plan as nodes.
#[derive(Debug)]
pub(super) struct Nodes<'k> {
    items: Vec<Item<'k>>,
    /// The nodes of all items, one after the other.
    claims: Vec<Claim>,
    /// The covering nodes of all nodes, one after the other, and where those of a node begin.
    covers: Vec<u32>,
    covers_from: Vec<u32>,
    targets: usize,
}

#[derive(Debug)]
struct Item<'k> {
    keys: &'k [ConflictKey],
    target: usize,
    /// The range of its claims.
    claims: std::ops::Range<usize>,
    /// The position of the key that claims all, if one does.
    all: Option<u32>,
    /// Whether it claims anything that `all` meets.
    scoped: bool,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    node: u32,
    /// The position of the key among those of its item.
    key: u32,
    reads: bool,
    scoped: bool,
}

/// What a node stands for; texts are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name<'k> {
    Issue(&'k str),
    Area(AreaClass, &'k str),
    Tree(&'k str),
    Dir(&'k str),
    Path(&'k str),
}

impl<'k> Nodes<'k> {
    /// Numbers the keys of all items, each given with its target.
    pub(super) fn build<I>(claims_of: I) -> Self
    where
        I: Iterator<Item = (&'k str, &'k [ConflictKey])>,
    {
        let mut targets: HashMap<&str, usize> = HashMap::new();
        let mut names: Vec<(u32, Name<'k>)> = Vec::new();
        let mut numbers: NodeMap<'k> = NodeMap::default();
        let mut this = Self {
            items: Vec::new(),
            claims: Vec::new(),
            covers: Vec::new(),
            covers_from: Vec::new(),
            targets: 0,
        };
        for (target, keys) in claims_of {
            let next = targets.len();
            let target = *targets.entry(target).or_insert(next);
            let from = this.claims.len();
            let mut item = Item {
                keys,
                target,
                claims: from..from,
                all: None,
                scoped: keys.is_empty(),
            };
            for (at, key) in keys.iter().enumerate() {
                let at = u32::try_from(at).unwrap_or(NOBODY);
                let name = match key.kind() {
                    KeyKind::All => {
                        item.all.get_or_insert(at);
                        item.scoped = true;
                        continue;
                    }
                    KeyKind::Issue(issue) => Name::Issue(issue),
                    KeyKind::Area(class, value) => Name::Area(*class, value),
                    KeyKind::Tree(dir) => Name::Tree(dir.fold()),
                    KeyKind::Dir(dir) => Name::Dir(dir.fold()),
                    KeyKind::Path(path) => Name::Path(path.fold()),
                };
                let scoped = !matches!(name, Name::Issue(_));
                // An issue is the same on every target.
                let scope = if scoped {
                    u32::try_from(target).unwrap_or(NOBODY)
                } else {
                    NOBODY
                };
                let next = u32::try_from(names.len()).unwrap_or(NOBODY);
                let node = *numbers.entry((scope, name)).or_insert_with(|| {
                    names.push((scope, name));
                    next
                });
                item.scoped |= scoped;
                this.claims.push(Claim {
                    node,
                    key: at,
                    reads: key.reads(),
                    scoped,
                });
            }
            if keys.is_empty() {
                item.all = Some(NOBODY);
            }
            item.claims = from..this.claims.len();
            this.items.push(item);
        }
        this.targets = targets.len();
        this.cover(&names, &numbers);
        this
    }

    /// Finds the wider nodes of every node.
    fn cover(&mut self, names: &[(u32, Name<'k>)], numbers: &NodeMap<'k>) {
        let has = |wanted: fn(&Name<'_>) -> bool| names.iter().any(|(_, name)| wanted(name));
        let has_trees = has(|name| matches!(name, Name::Tree(_)));
        let has_dirs = has(|name| matches!(name, Name::Dir(_)));
        let has_classes = has(|name| matches!(name, Name::Area(_, "")));
        self.covers_from.reserve(names.len() + 1);
        for (scope, name) in names {
            self.covers_from
                .push(u32::try_from(self.covers.len()).unwrap_or(NOBODY));
            let mut add =
                |name: Name<'_>| self.covers.extend(numbers.get(&(*scope, name)).copied());
            // A tree lies below its ancestors, a directory and a file below their own directory too.
            let (mut dir, mut done) = match *name {
                Name::Issue(_) => continue,
                Name::Area(class, value) => {
                    if has_classes && !value.is_empty() {
                        add(Name::Area(class, ""));
                    }
                    continue;
                }
                Name::Tree(dir) => (parent_of(dir), dir.is_empty()),
                Name::Dir(dir) => (dir, false),
                Name::Path(path) => {
                    let dir = parent_of(path);
                    if has_dirs {
                        add(Name::Dir(dir));
                    }
                    (dir, false)
                }
            };
            while has_trees && !done {
                add(Name::Tree(dir));
                done = dir.is_empty();
                dir = parent_of(dir);
            }
        }
        self.covers_from
            .push(u32::try_from(self.covers.len()).unwrap_or(NOBODY));
    }

    /// Returns a key of an item by its position.
    pub(super) fn key(&self, item: usize, at: u32) -> Option<&'k ConflictKey> {
        self.items.get(item)?.keys.get(usize::try_from(at).ok()?)
    }

    fn claims(&self, item: &Item<'k>) -> &[Claim] {
        self.claims.get(item.claims.clone()).unwrap_or_default()
    }

    fn covers(&self, node: u32) -> &[u32] {
        let at = index(node);
        match (self.covers_from.get(at), self.covers_from.get(at + 1)) {
            (Some(from), Some(to)) => self
                .covers
                .get(index(*from)..index(*to))
                .unwrap_or_default(),
            _ => &[],
        }
    }

    fn len(&self) -> usize {
        self.covers_from.len().saturating_sub(1)
    }
}

const fn index(number: u32) -> usize {
    number as usize
}

type NodeMap<'k> = HashMap<(u32, Name<'k>), u32, BuildHasherDefault<Fnv>>;

/// A fast hash for short keys; whoever forces collisions only slows his own plan.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        let mut mix =
            |word: u64| self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        for chunk in &mut chunks {
            mix(chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            mix(rest
                .iter()
                .fold(1, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
}

/// Who holds what, for one decision.
#[derive(Debug)]
pub(super) struct Table<'n, 'k> {
    nodes: &'n Nodes<'k>,
    states: Vec<State>,
    /// By target: the first holder of anything, and of `all`.
    targets: Vec<(u32, u32)>,
}

/// The first holders of a node and of what lies below it.
#[derive(Clone, Copy, Debug)]
struct State {
    writes: u32,
    reads: u32,
    writes_below: u32,
    reads_below: u32,
}

impl<'n, 'k> Table<'n, 'k> {
    pub(super) fn new(nodes: &'n Nodes<'k>) -> Self {
        let free = State {
            writes: NOBODY,
            reads: NOBODY,
            writes_below: NOBODY,
            reads_below: NOBODY,
        };
        Self {
            nodes,
            states: vec![free; nodes.len()],
            targets: vec![(NOBODY, NOBODY); nodes.targets],
        }
    }

    /// Gives an item what it claims, under the number of a holder.
    pub(super) fn hold(&mut self, item: usize, holder: usize) {
        let nodes = self.nodes;
        let Some(item) = nodes.items.get(item) else {
            return;
        };
        let holder = u32::try_from(holder).unwrap_or(NOBODY);
        let first = |slot: &mut u32| *slot = (*slot).min(holder);
        for claim in nodes.claims(item) {
            if let Some(state) = self.states.get_mut(index(claim.node)) {
                first(if claim.reads {
                    &mut state.reads
                } else {
                    &mut state.writes
                });
            }
            for cover in nodes.covers(claim.node) {
                if let Some(state) = self.states.get_mut(index(*cover)) {
                    first(if claim.reads {
                        &mut state.reads_below
                    } else {
                        &mut state.writes_below
                    });
                }
            }
        }
        if let Some((any, all)) = self.targets.get_mut(item.target) {
            if item.scoped {
                first(any);
            }
            if item.all.is_some() {
                first(all);
            }
        }
    }

    /// Returns the first holder that an item meets, and the position of its key that does.
    pub(super) fn blocker(&self, item: usize) -> Option<(usize, u32)> {
        let nodes = self.nodes;
        let item = nodes.items.get(item)?;
        let mut found: Option<(u32, u32)> = None;
        let mut meet = |holder: u32, key: u32| {
            if holder != NOBODY && found.is_none_or(|(first, _)| holder < first) {
                found = Some((holder, key));
            }
        };
        let (any, all) = self
            .targets
            .get(item.target)
            .copied()
            .unwrap_or((NOBODY, NOBODY));
        if let Some(key) = item.all {
            meet(any, key);
        }
        for claim in nodes.claims(item) {
            if claim.scoped {
                meet(all, claim.key);
            }
            if let Some(state) = self.states.get(index(claim.node)) {
                meet(state.writes, claim.key);
                meet(state.writes_below, claim.key);
                if !claim.reads {
                    meet(state.reads, claim.key);
                    meet(state.reads_below, claim.key);
                }
            }
            for cover in nodes.covers(claim.node) {
                if let Some(state) = self.states.get(index(*cover)) {
                    meet(state.writes, claim.key);
                    if !claim.reads {
                        meet(state.reads, claim.key);
                    }
                }
            }
        }
        found.map(|(holder, key)| (index(holder), key))
    }
}

/// In which batches what is held, for a sequence of batches.
#[derive(Debug)]
pub(super) struct Spans<'n, 'k> {
    nodes: &'n Nodes<'k>,
    writes: Vec<Ranges>,
    reads: Vec<Ranges>,
    writes_below: Vec<Ranges>,
    reads_below: Vec<Ranges>,
    /// By target: the batches that hold anything, and those that hold `all`.
    targets: Vec<(Ranges, Ranges)>,
}

impl<'n, 'k> Spans<'n, 'k> {
    pub(super) fn new(nodes: &'n Nodes<'k>) -> Self {
        let none = || vec![Ranges::default(); nodes.len()];
        Self {
            nodes,
            writes: none(),
            reads: none(),
            writes_below: none(),
            reads_below: none(),
            targets: vec![Default::default(); nodes.targets],
        }
    }

    /// Puts an item into the first batch in which it meets nothing, and returns its number.
    pub(super) fn place(&mut self, item: usize) -> usize {
        let nodes = self.nodes;
        let Some(item) = nodes.items.get(item) else {
            return 0;
        };
        let mut taken: Vec<&Ranges> = Vec::new();
        if let Some((any, all)) = self.targets.get(item.target) {
            if item.all.is_some() {
                taken.push(any);
            } else if item.scoped {
                taken.push(all);
            }
        }
        for claim in nodes.claims(item) {
            let at = index(claim.node);
            taken.extend(self.writes.get(at));
            taken.extend(self.writes_below.get(at));
            if !claim.reads {
                taken.extend(self.reads.get(at));
                taken.extend(self.reads_below.get(at));
            }
            for cover in nodes.covers(claim.node) {
                taken.extend(self.writes.get(index(*cover)));
                if !claim.reads {
                    taken.extend(self.reads.get(index(*cover)));
                }
            }
        }
        let batch = Ranges::first_free(&taken);
        for claim in nodes.claims(item) {
            let (own, below) = if claim.reads {
                (&mut self.reads, &mut self.reads_below)
            } else {
                (&mut self.writes, &mut self.writes_below)
            };
            if let Some(ranges) = own.get_mut(index(claim.node)) {
                ranges.insert(batch);
            }
            for cover in nodes.covers(claim.node) {
                if let Some(ranges) = below.get_mut(index(*cover)) {
                    ranges.insert(batch);
                }
            }
        }
        if let Some((any, all)) = self.targets.get_mut(item.target) {
            if item.scoped {
                any.insert(batch);
            }
            if item.all.is_some() {
                all.insert(batch);
            }
        }
        index(batch)
    }
}

/// A set of numbers as sorted, disjoint, unconnected half-open ranges.
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
        loop {
            let next = sets.iter().filter_map(|set| set.end_of(number)).max();
            match next {
                Some(next) => number = next,
                None => return number,
            }
        }
    }
}
