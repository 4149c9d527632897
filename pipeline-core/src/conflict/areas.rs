//! What a footprint claims, and how two claims conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::index::KeyIndex;
use super::{ConflictClass, ConflictKey};
use crate::footprint::RepoPath;

/// How an area may be used by several pieces of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// Several may share the key as long as all of them hold it in this mode.
    Shared,
    /// One at a time per key; different keys run side by side.
    PerKey,
    /// One at a time on the whole target: nothing else runs beside it.
    Exclusive,
}

/// One claim with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Area {
    /// What is claimed.
    pub key: ConflictKey,
    /// Whether the claim excludes only the same key or everything.
    pub mode: Mode,
    /// The kind of reason.
    pub class: ConflictClass,
    /// The rule that made the claim, as a person finds it in the rules or the manual.
    pub rule: Arc<str>,
    /// The files that made the claim; empty if it was declared without a file.
    pub paths: BTreeSet<RepoPath>,
}

impl Area {
    /// Returns a claim of `key` that `rule` makes, of the class of the key.
    #[must_use]
    pub fn new(key: ConflictKey, mode: Mode, rule: impl Into<Arc<str>>) -> Self {
        Self {
            class: key.class(),
            key,
            mode,
            rule: rule.into(),
            paths: BTreeSet::new(),
        }
    }

    /// Says that the claim belongs to another class than its key suggests.
    #[must_use]
    pub fn of_class(self, class: ConflictClass) -> Self {
        Self { class, ..self }
    }

    /// Adds files that made the claim.
    #[must_use]
    pub fn because_of<I: IntoIterator<Item = RepoPath>>(mut self, paths: I) -> Self {
        self.paths.extend(paths);
        self
    }

    /// Returns the key as it is compared and posted: a shared claim only reads.
    fn posted(&self) -> ConflictKey {
        match self.mode {
            Mode::Shared => self.key.clone().reading(),
            Mode::PerKey | Mode::Exclusive => self.key.clone(),
        }
    }
}

/// Everything that a footprint claims.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::{Area, Areas, ConflictKey, Mode};
///
/// let mut migration = Areas::new();
/// migration.claim(Area::new("db:users".parse()?, Mode::Exclusive, "migrations"));
/// let mut screen = Areas::new();
/// screen.claim(Area::new("screen:login".parse()?, Mode::PerKey, "views"));
///
/// let conflicts = migration.conflicts_with(&screen);
/// assert_eq!(conflicts[0].key, ConflictKey::all());
/// assert!(screen.keys().contains(&"screen:login".parse()?));
/// # Ok::<(), pipeline_core::conflict::KeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Areas {
    // One entry per key, class and rule, so that every reason survives.
    areas: Vec<Area>,
}

impl Areas {
    /// Returns no claim.
    #[must_use]
    pub const fn new() -> Self {
        Self { areas: Vec::new() }
    }

    /// Returns the claims read from posted `res:` keys, of which no more is known.
    #[must_use]
    pub fn posted<'a, I: IntoIterator<Item = &'a ConflictKey>>(keys: I) -> Self {
        let mut areas = Self::new();
        for key in keys {
            let mode = match (key.is_all(), key.reads()) {
                (true, _) => Mode::Exclusive,
                (false, true) => Mode::Shared,
                (false, false) => Mode::PerKey,
            };
            areas.claim(Area::new(
                key.clone(),
                mode,
                "posted by the work-start memo",
            ));
        }
        areas
    }

    /// Adds a claim; the paths of equal ones are joined.
    pub fn claim(&mut self, area: Area) {
        let same = |known: &&mut Area| {
            known.key == area.key && known.rule == area.rule && known.class == area.class
        };
        match self.areas.iter_mut().find(same) {
            Some(known) => {
                known.mode = known.mode.max(area.mode);
                known.paths.extend(area.paths);
            }
            None => self.areas.push(area),
        }
    }

    pub(super) fn from_parts(areas: Vec<Area>) -> Self {
        Self { areas }
    }

    /// Returns the claims.
    pub fn iter(&self) -> std::slice::Iter<'_, Area> {
        self.areas.iter()
    }

    /// Returns whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Returns whether the work must have its target to itself.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.areas
            .iter()
            .any(|area| area.mode == Mode::Exclusive || area.key.is_all())
    }

    /// Returns the keys to compare and to post, sorted; `all` among them if a claim is exclusive.
    ///
    /// Where one rule reads a key and another claims it, the claim stands.
    #[must_use]
    pub fn keys(&self) -> Vec<ConflictKey> {
        let mut keys: BTreeSet<ConflictKey> = self.areas.iter().map(Area::posted).collect();
        if self.is_exclusive() {
            keys.insert(ConflictKey::all());
        }
        let writing: BTreeSet<_> = keys
            .iter()
            .filter(|key| !key.reads())
            .map(|key| key.clone().reading())
            .collect();
        keys.retain(|key| !key.reads() || !writing.contains(key));
        keys.into_iter().collect()
    }

    /// Returns every reason against running both at once, most specific first; empty means parallel.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> Vec<Conflict> {
        let mut found: BTreeMap<(usize, ConflictClass, ConflictKey), (Side, Side)> =
            BTreeMap::new();
        let mut index = KeyIndex::default();
        let theirs: Vec<ConflictKey> = other.areas.iter().map(Area::posted).collect();
        for (at, key) in theirs.iter().enumerate() {
            index.insert(key, at);
        }
        for mine in &self.areas {
            let my_key = mine.posted();
            index.meeting(&my_key, &mut |at| {
                if let (Some(their), Some(their_key)) = (other.areas.get(at), theirs.get(at)) {
                    // The broader claim is the reason why the narrower one is in the way.
                    let wider = (my_key.breadth(), mine.class, &my_key)
                        >= (their_key.breadth(), their.class, their_key);
                    let reason = if wider {
                        (my_key.clone(), mine.class)
                    } else {
                        (their_key.clone(), their.class)
                    };
                    let (key, class) = reason;
                    let is_reason = |side: &ConflictKey| {
                        side.is_file() == key.is_file() && side.is_all() == key.is_all()
                    };
                    let reasons = (is_reason(&my_key), is_reason(their_key));
                    let sides = found
                        .entry((key.breadth(), class, key.writing()))
                        .or_default();
                    // Beside a claim on more than a file, that the other has a file is no reason.
                    sides.0.add(mine, reasons.0);
                    sides.1.add(their, reasons.1);
                }
            });
        }
        self.exclusions(other, &mut |area| {
            let sides = found
                .entry((usize::MAX, area.class, ConflictKey::all()))
                .or_default();
            sides.0.add(area, true);
            other
                .areas
                .iter()
                .for_each(|their| sides.1.paths.extend(their.paths.iter().cloned()));
        });
        other.exclusions(self, &mut |area| {
            let sides = found
                .entry((usize::MAX, area.class, ConflictKey::all()))
                .or_default();
            sides.1.add(area, true);
            self.areas
                .iter()
                .for_each(|mine| sides.0.paths.extend(mine.paths.iter().cloned()));
        });
        found
            .into_iter()
            .map(|((_, class, key), (candidate, active))| Conflict {
                class,
                key,
                candidate,
                active,
            })
            .collect()
    }

    /// Calls back for every exclusive claim, if the other side claims anything of the target.
    fn exclusions<'a>(&'a self, other: &Self, found: &mut dyn FnMut(&'a Area)) {
        if !other.areas.is_empty() {
            self.areas
                .iter()
                .filter(|area| area.mode == Mode::Exclusive && !area.key.is_all())
                .for_each(found);
        }
    }
}

impl FromIterator<Area> for Areas {
    fn from_iter<I: IntoIterator<Item = Area>>(areas: I) -> Self {
        let mut all = Self::new();
        areas.into_iter().for_each(|area| all.claim(area));
        all
    }
}

impl<'a> IntoIterator for &'a Areas {
    type Item = &'a Area;
    type IntoIter = std::slice::Iter<'a, Area>;

    fn into_iter(self) -> Self::IntoIter {
        self.areas.iter()
    }
}

/// One reason why two pieces of work may not run side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Conflict {
    /// The kind of reason.
    pub class: ConflictClass,
    /// The key on which they meet; the broader one if they claim it differently.
    pub key: ConflictKey,
    /// What the candidate has to do with it.
    pub candidate: Side,
    /// What the other one has to do with it.
    pub active: Side,
}

/// One side of a [`Conflict`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Side {
    /// The rules that made its claims.
    pub rules: BTreeSet<Arc<str>>,
    /// The files that made its claims.
    pub paths: BTreeSet<RepoPath>,
}

impl Side {
    fn add(&mut self, area: &Area, is_reason: bool) {
        if is_reason && !self.rules.contains(&area.rule) {
            self.rules.insert(Arc::clone(&area.rule));
        }
        self.paths.extend(area.paths.iter().cloned());
    }
}

impl Conflict {
    /// Returns the rules behind it, joined for a reader.
    #[must_use]
    pub fn rule(&self) -> String {
        let rules: BTreeSet<&str> = self
            .candidate
            .rules
            .iter()
            .chain(&self.active.rules)
            .map(AsRef::as_ref)
            .collect();
        rules.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Returns the files of both sides, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<&RepoPath> {
        self.candidate.paths.union(&self.active.paths).collect()
    }

    /// Returns the same conflict seen from the other side.
    #[must_use]
    pub fn flipped(self) -> Self {
        Self {
            candidate: self.active,
            active: self.candidate,
            ..self
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.class {
            _ if self.key.is_all() && self.class == ConflictClass::Unknown => {
                "what one of them touches is not known"
            }
            _ if self.key.is_all() => "one of them needs the whole target for itself",
            ConflictClass::Screen => "both touch the same screen",
            ConflictClass::Api => "both touch the same API",
            ConflictClass::Db => "both touch the same part of the database",
            ConflictClass::Deps => "both touch the same shared configuration or dependencies",
            ConflictClass::Shared => "both touch the same shared component",
            ConflictClass::Domain => "both touch the same cross-cutting domain",
            ConflictClass::Path => "both touch the same file",
            ConflictClass::Dir => "both touch the same directory, of which no rule says more",
            ConflictClass::Unknown => "what one of them touches is not known",
        };
        write!(f, "{} ({}): {what}", self.key, self.class)?;
        let sides = [&self.candidate, &self.active].map(|side| {
            const SHOWN: usize = 3;
            let more = side.paths.len().saturating_sub(SHOWN);
            let mut names: Vec<String> = side
                .paths
                .iter()
                .take(SHOWN)
                .map(|path| format!("`{path}`"))
                .collect();
            if more > 0 {
                names.push(format!("{more} more"));
            }
            names.join(", ")
        });
        match sides {
            [mine, theirs] if mine.is_empty() && theirs.is_empty() => {}
            [mine, theirs] if mine == theirs || theirs.is_empty() => write!(f, ": {mine}")?,
            [mine, theirs] if mine.is_empty() => write!(f, ": {theirs}")?,
            [mine, theirs] => write!(f, ": {mine} against {theirs}")?,
        }
        write!(f, " (rule: {})", self.rule())
    }
}
