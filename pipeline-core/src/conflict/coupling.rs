//! Files that change together, learned from the history of the repository.
//!
//! Off unless the rules say otherwise. A file counts as coupled to another if most commits that changed the
//! one changed the other too; who declares the one then claims the other as well. [`History`] counts; it is
//! fed by whoever reads git, new commits only, and can be stored beside the commit it has read up to.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::footprint::RepoPath;

/// How coupling is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CouplingRules {
    /// Whether it is used at all.
    pub enabled: bool,
    /// The fewest commits that must have changed both files.
    pub min_support: u32,
    /// The smallest share of the commits of the one file that must have changed the other, in percent.
    pub min_confidence: u32,
    /// How many commits are remembered, the newest ones.
    pub max_commits: usize,
    /// A commit with more files is a bulk change and says nothing.
    pub max_files: usize,
    /// A file in more than this share of all commits, in percent, is coupled to nothing: it is in everything.
    pub max_share: u32,
    /// How many files one file is coupled to at most, the surest ones.
    pub max_partners: usize,
}

impl Default for CouplingRules {
    fn default() -> Self {
        Self {
            enabled: false,
            min_support: 5,
            min_confidence: 60,
            max_commits: 2000,
            max_files: 30,
            max_share: 10,
            max_partners: 8,
        }
    }
}

/// One commit of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommitFiles {
    /// Its hash.
    pub id: String,
    /// How many parents it has; one with several is a merge and says nothing.
    pub parents: usize,
    /// The files that it changed.
    pub files: Vec<RepoPath>,
}

impl CommitFiles {
    /// Returns a commit with one parent.
    #[must_use]
    pub fn new(id: impl Into<String>, files: Vec<RepoPath>) -> Self {
        Self {
            id: id.into(),
            parents: 1,
            files,
        }
    }

    /// Sets the number of parents.
    #[must_use]
    pub fn with_parents(self, parents: usize) -> Self {
        Self { parents, ..self }
    }
}

/// What the history says about files that change together.
///
/// # Contract
/// Reading commits one by one, in several sittings or after a round through JSON gives the same as reading
/// them at once. Only the newest `max_commits` that count are remembered.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::coupling::{CommitFiles, CouplingRules, History};
/// use pipeline_core::footprint::RepoPath;
///
/// fn path(text: &str) -> RepoPath {
///     RepoPath::parse(text).expect("a path")
/// }
/// let commit = |id: u32| CommitFiles::new(id.to_string(), vec![path("price.rs"), path("tax.rs")]);
/// let others = |id: u32| CommitFiles::new(id.to_string(), vec![path(&format!("other{id}.rs"))]);
///
/// let mut history = History::new(&CouplingRules::default());
/// history.read((0..6).map(commit));
/// history.read((6..70).map(others));
/// assert_eq!(history.tip(), Some("69"));
///
/// let coupling = history.coupling(&CouplingRules::default());
/// assert_eq!(coupling.of(&path("tax.rs"))[0].path, path("price.rs"));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct History {
    limits: Limits,
    tip: Option<String>,
    /// The files of the commits that count, as numbers, oldest first.
    window: VecDeque<Vec<u32>>,
    names: Vec<RepoPath>,
    numbers: HashMap<RepoPath, u32>,
    changed: HashMap<u32, u32>,
    together: HashMap<(u32, u32), u32>,
}

/// What a history was read with; another one must be read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Limits {
    max_commits: usize,
    max_files: usize,
}

impl Limits {
    fn of(rules: &CouplingRules) -> Self {
        Self {
            max_commits: rules.max_commits,
            max_files: rules.max_files,
        }
    }
}

/// The stored form: the window itself, from which the counts follow.
#[derive(Serialize, Deserialize)]
struct Stored {
    limits: Limits,
    tip: Option<String>,
    commits: Vec<Vec<u32>>,
    files: Vec<RepoPath>,
}

impl From<Stored> for History {
    fn from(stored: Stored) -> Self {
        let mut history = Self::with_limits(stored.limits);
        history.tip = stored.tip;
        for commit in stored.commits {
            let files = commit
                .iter()
                .filter_map(|number| stored.files.get(usize::try_from(*number).ok()?));
            let numbers = files.cloned().collect::<Vec<_>>();
            history.remember(&numbers);
        }
        history
    }
}

impl From<History> for Stored {
    fn from(history: History) -> Self {
        Self {
            limits: history.limits,
            tip: history.tip,
            commits: history.window.into(),
            files: history.names,
        }
    }
}

impl History {
    /// Returns the history of no commit.
    #[must_use]
    pub fn new(rules: &CouplingRules) -> Self {
        Self::with_limits(Limits::of(rules))
    }

    fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            tip: None,
            window: VecDeque::new(),
            names: Vec::new(),
            numbers: HashMap::new(),
            changed: HashMap::new(),
            together: HashMap::new(),
        }
    }

    /// Returns whether the history was read as these rules want it; if not, start with a new one.
    #[must_use]
    pub fn fits(&self, rules: &CouplingRules) -> bool {
        self.limits == Limits::of(rules)
    }

    /// Returns the newest commit that was read: the next reading starts after it.
    ///
    /// If it is no ancestor of the branch any more, start with a new history.
    #[must_use]
    pub fn tip(&self) -> Option<&str> {
        self.tip.as_deref()
    }

    /// Returns the number of remembered commits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Returns whether no commit is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Reads commits, the oldest first, all newer than [`tip`](Self::tip).
    pub fn read<I: IntoIterator<Item = CommitFiles>>(&mut self, commits: I) {
        for commit in commits {
            if commit.parents <= 1 && commit.files.len() <= self.limits.max_files {
                self.remember(&commit.files);
            }
            self.tip = Some(commit.id);
        }
    }

    fn remember(&mut self, files: &[RepoPath]) {
        let mut numbers: Vec<u32> = files.iter().map(|file| self.number(file)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() || self.limits.max_commits == 0 {
            return;
        }
        for (at, number) in numbers.iter().enumerate() {
            *self.changed.entry(*number).or_default() += 1;
            for other in numbers.iter().skip(at + 1) {
                *self.together.entry((*number, *other)).or_default() += 1;
            }
        }
        self.window.push_back(numbers);
        if self.window.len() > self.limits.max_commits {
            self.forget_oldest();
        }
        if self.names.len() > 2 * self.changed.len() + 1000 {
            self.renumber();
        }
    }

    fn forget_oldest(&mut self) {
        for (at, number) in self.window.front().into_iter().flatten().enumerate() {
            decrement(&mut self.changed, *number);
            for other in self.window.front().into_iter().flatten().skip(at + 1) {
                decrement(&mut self.together, (*number, *other));
            }
        }
        self.window.pop_front();
    }

    /// Lets go of the names of files that no remembered commit changed.
    fn renumber(&mut self) {
        let stored = Stored::from(std::mem::replace(self, Self::with_limits(self.limits)));
        *self = Self::from(stored);
    }

    fn number(&mut self, file: &RepoPath) -> u32 {
        if let Some(number) = self.numbers.get(file) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(file.clone());
        self.numbers.insert(file.clone(), number);
        number
    }

    /// Returns what is coupled under these rules.
    #[must_use]
    pub fn coupling(&self, rules: &CouplingRules) -> Coupling {
        let mut partners: BTreeMap<&RepoPath, Vec<Coupled>> = BTreeMap::new();
        let count = |number: u32| self.changed.get(&number).copied().unwrap_or_default();
        let commits = u64::try_from(self.window.len()).unwrap_or(u64::MAX);
        let is_hub = |number: u32| {
            // In a young repository every file is in a large share of the commits.
            let share = u64::from(count(number)) * 100;
            share > commits.saturating_mul(u64::from(rules.max_share)) && commits >= MIN_COMMITS
        };
        for ((a, b), together) in &self.together {
            if *together < rules.min_support || is_hub(*a) || is_hub(*b) {
                continue;
            }
            for (from, to) in [(*a, *b), (*b, *a)] {
                let of = count(from);
                if u64::from(*together) * 100 >= u64::from(of) * u64::from(rules.min_confidence)
                    && let (Some(from), Some(to)) = (self.name(from), self.name(to))
                {
                    let coupled = Coupled {
                        path: to.clone(),
                        together: *together,
                        of,
                    };
                    partners.entry(from).or_default().push(coupled);
                }
            }
        }
        let by_file = partners.into_iter().map(|(file, mut coupled)| {
            coupled.sort_by(|a, b| {
                // The larger share first, without dividing.
                let (one, two) = (
                    u64::from(a.together) * u64::from(b.of),
                    u64::from(b.together) * u64::from(a.of),
                );
                two.cmp(&one)
                    .then_with(|| b.together.cmp(&a.together))
                    .then_with(|| a.path.cmp(&b.path))
            });
            coupled.truncate(rules.max_partners);
            (file.fold().to_owned(), coupled)
        });
        Coupling {
            by_file: by_file.collect(),
        }
    }

    fn name(&self, number: u32) -> Option<&RepoPath> {
        self.names.get(usize::try_from(number).ok()?)
    }
}

/// Below this many commits no file is held to be in everything.
const MIN_COMMITS: u64 = 50;

fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut entry) = counts.entry(key) {
        *entry.get_mut() = entry.get().saturating_sub(1);
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

/// Which files are coupled to which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coupling {
    /// By the folded path.
    by_file: HashMap<String, Vec<Coupled>>,
}

/// A file that changes together with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coupled {
    /// The file.
    pub path: RepoPath,
    /// How many commits changed both.
    pub together: u32,
    /// How many commits changed the other one.
    pub of: u32,
}

impl Coupling {
    /// Returns the files that change when `file` does, the surest first.
    #[must_use]
    pub fn of(&self, file: &RepoPath) -> &[Coupled] {
        self.by_file.get(file.fold()).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of files that are coupled to others.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_file.len()
    }

    /// Returns whether no file is coupled to another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_file.is_empty()
    }
}

#[cfg(test)]
mod tests;
