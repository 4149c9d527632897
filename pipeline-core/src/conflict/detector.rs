//! The detector that follows rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use regex::bytes::{RegexSet, RegexSetBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::coupling::Coupling;
use super::fold::without_words;
use super::pattern::Pattern;
use super::rules::{CompiledList, CompiledRule, Part, RuleSet, RulesError, Unclassified};
use super::words::WordIndex;
use super::{
    Area, AreaClass, Areas, Conflict, ConflictClass, ConflictDetector, ConflictKey, Fold, Mode,
};
use crate::footprint::{Footprint, RepoPath};

/// The detector that follows a [`RuleSet`], for one target branch.
pub struct RuleConflicts {
    target: String,
    set: RegexSet,
    /// What each pattern of `set` belongs to.
    owners: Vec<(Owner, Pattern)>,
    rules: Vec<ActiveRule>,
    allows: Vec<(Arc<str>, Vec<AreaClass>)>,
    denies: Vec<(Arc<str>, AreaClass)>,
    words: WordIndex,
    modes: BTreeMap<AreaClass, Mode>,
    aliases: BTreeMap<AreaClass, BTreeMap<String, String>>,
    unclassified: Unclassified,
    names: FixedRules,
    coupling: Coupling,
}

/// The rules that hold without a line in any file.
struct FixedRules {
    same_file: Arc<str>,
    directory: Arc<str>,
    serial: Arc<str>,
}

struct ActiveRule {
    name: Arc<str>,
    class: AreaClass,
    mode: Mode,
    fold: Fold,
    key: Vec<Part>,
    drop: Vec<String>,
    needs_pattern: bool,
    needs_word: bool,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Rule(usize),
    Except(usize),
    Allow(usize),
    Deny(usize),
}

/// What the rules say about one path.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Class, key, mode and rule of what it claims beside itself.
    pub(super) claims: Vec<(AreaClass, ConflictKey, Mode, Arc<str>)>,
    /// The rules whose claims were taken away, and by which `allow`.
    pub(super) lifted: Vec<(Arc<str>, Arc<str>)>,
    /// Every `allow` that matches.
    pub(super) allowed: Vec<Arc<str>>,
    /// Every `deny` that matches.
    pub(super) denied: Vec<Arc<str>>,
}

impl Verdict {
    /// Adds the claim of a `deny`, which nothing takes away.
    fn deny(&mut self, deny: Option<&(Arc<str>, AreaClass)>) {
        if let Some((name, class)) = deny.filter(|(name, _)| !self.denied.contains(name)) {
            self.denied.push(Arc::clone(name));
            self.claims.push((
                *class,
                ConflictKey::area(*class, ""),
                Mode::Exclusive,
                Arc::clone(name),
            ));
        }
    }

    /// Returns whether any rule spoke of the path.
    fn is_classified(&self) -> bool {
        !(self.claims.is_empty() && self.lifted.is_empty() && self.allowed.is_empty())
    }

    /// Returns whether this rule spoke of the path.
    pub(super) fn names(&self, rule: &str) -> bool {
        let is_rule = |name: &Arc<str>| &**name == rule;
        self.claims.iter().any(|(_, _, _, by)| is_rule(by))
            || self.lifted.iter().any(|(lifted, _)| is_rule(lifted))
            || self.allowed.iter().chain(&self.denied).any(is_rule)
    }
}

impl fmt::Debug for RuleConflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleConflicts")
            .field("target", &self.target)
            .field("rules", &self.rules.len())
            .field("unclassified", &self.unclassified)
            .finish_non_exhaustive()
    }
}

impl RuleConflicts {
    pub(super) fn new(rules: &RuleSet, target: &str) -> Result<Self, RulesError> {
        let effective = rules.effective();
        let mut modes: BTreeMap<AreaClass, Mode> = AreaClass::ALL
            .into_iter()
            .map(|class| (class, default_mode(class)))
            .collect();
        modes.extend(&effective.modes);
        let mut unclassified = effective.unclassified;
        for settings in &effective.targets {
            if Pattern::parse(&settings.branch).is_ok_and(|branch| branch.is_match(target)) {
                modes.extend(&settings.modes);
                unclassified = settings.unclassified.unwrap_or(unclassified);
            }
        }
        let mut aliases: BTreeMap<AreaClass, BTreeMap<String, String>> = BTreeMap::new();
        for (class, names) in &effective.aliases {
            let folded = names
                .iter()
                .map(|(from, to)| (folded(effective.fold, from), folded(effective.fold, to)));
            aliases.entry(*class).or_default().extend(folded);
        }
        let mut this = Self {
            target: target.to_owned(),
            set: RegexSet::empty(),
            owners: Vec::new(),
            rules: Vec::new(),
            allows: Vec::new(),
            denies: Vec::new(),
            words: WordIndex::default(),
            modes,
            aliases,
            unclassified,
            coupling: Coupling::default(),
            names: FixedRules {
                same_file: "the same file".into(),
                directory: "unclassified = directory".into(),
                serial: "unclassified = serial".into(),
            },
        };
        let (area_rules, allows, denies) = rules.compiled();
        for rule in area_rules
            .iter()
            .filter(|rule| holds_for(&rule.targets, target))
        {
            this.add_rule(rule, effective.fold);
        }
        let add_list = |list: &CompiledList, owner: Owner, owners: &mut Vec<(Owner, Pattern)>| {
            owners.extend(list.patterns.iter().map(|pattern| (owner, pattern.clone())));
        };
        for allow in allows
            .iter()
            .filter(|list| holds_for(&list.targets, target))
        {
            add_list(allow, Owner::Allow(this.allows.len()), &mut this.owners);
            this.allows
                .push((allow.name.as_str().into(), allow.classes.clone()));
        }
        for deny in denies
            .iter()
            .filter(|list| holds_for(&list.targets, target))
        {
            add_list(deny, Owner::Deny(this.denies.len()), &mut this.owners);
            let class = deny.classes.first().copied().unwrap_or(AreaClass::Shared);
            this.denies.push((deny.name.as_str().into(), class));
        }
        let words = area_rules
            .iter()
            .filter(|rule| holds_for(&rule.targets, target))
            .enumerate()
            .flat_map(|(at, rule)| rule.rule.words.iter().map(move |word| (at, word.as_str())));
        this.words = WordIndex::new(words)?;
        this.set = RegexSetBuilder::new(this.owners.iter().map(|(_, pattern)| pattern.as_regex()))
            .case_insensitive(true)
            .size_limit(64 << 20)
            .dfa_size_limit(16 << 20)
            .build()
            .map_err(|_too_big| RulesError::TooMany)?;
        Ok(this)
    }

    fn add_rule(&mut self, compiled: &CompiledRule, fold: Fold) {
        let at = self.rules.len();
        let rule = &compiled.rule;
        self.owners.extend(
            compiled
                .patterns
                .iter()
                .map(|pattern| (Owner::Rule(at), pattern.clone())),
        );
        self.owners.extend(
            compiled
                .except
                .iter()
                .map(|pattern| (Owner::Except(at), pattern.clone())),
        );
        self.rules.push(ActiveRule {
            name: rule.name.as_str().into(),
            class: rule.class,
            mode: rule.mode.unwrap_or_else(|| self.mode_of(rule.class)),
            fold: rule.fold.unwrap_or(fold),
            key: compiled.key.0.clone(),
            drop: rule.drop.iter().map(|word| word.to_lowercase()).collect(),
            needs_pattern: !rule.patterns.is_empty(),
            needs_word: !rule.words.is_empty(),
        });
    }

    pub(super) fn mode_of(&self, class: AreaClass) -> Mode {
        self.modes
            .get(&class)
            .copied()
            .unwrap_or_else(|| default_mode(class))
    }

    /// Lets who declares a file also claim the files that change with it.
    #[must_use]
    pub fn with_coupling(self, coupling: Coupling) -> Self {
        Self { coupling, ..self }
    }

    /// Returns the target branch that the detector speaks for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns what the rules say about one path.
    pub(super) fn verdict(&self, path: &RepoPath) -> Verdict {
        let text: Cow<'_, str> = if path.as_str().is_ascii() {
            path.as_str().into()
        } else {
            path.as_str().nfc().collect::<String>().into()
        };
        let mut hits: Vec<(usize, Option<&Pattern>)> = Vec::new();
        let mut excepted = BTreeSet::new();
        let mut allows: BTreeSet<usize> = BTreeSet::new();
        let mut found = Verdict::default();
        for at in &self.set.matches(text.as_bytes()) {
            let Some((owner, pattern)) = self.owners.get(at) else {
                continue;
            };
            match *owner {
                // Patterns come in the order of the file: the first of a rule gives the key.
                Owner::Rule(rule) if hits.last().is_some_and(|(last, _)| *last == rule) => {}
                Owner::Rule(rule) => hits.push((rule, Some(pattern))),
                Owner::Except(rule) => {
                    excepted.insert(rule);
                }
                Owner::Allow(allow) => {
                    allows.insert(allow);
                }
                Owner::Deny(deny) => found.deny(self.denies.get(deny)),
            }
        }
        let allows: Vec<&(Arc<str>, Vec<AreaClass>)> = allows
            .into_iter()
            .filter_map(|allow| self.allows.get(allow))
            .collect();
        let worded = self.words.find(&text);
        let by_word_alone = |rule: &&usize| {
            self.rules
                .get(**rule)
                .is_some_and(|rule| !rule.needs_pattern)
        };
        hits.extend(
            worded
                .iter()
                .filter(by_word_alone)
                .map(|rule| (*rule, None)),
        );
        for (at, pattern) in hits {
            let Some(rule) = self.rules.get(at) else {
                continue;
            };
            if excepted.contains(&at) || (rule.needs_word && !worded.contains(&at)) {
                continue;
            }
            let lifts = |(_, classes): &&&(Arc<str>, Vec<AreaClass>)| {
                classes.is_empty() || classes.contains(&rule.class)
            };
            if let Some((allow, _)) = allows.iter().find(lifts) {
                found
                    .lifted
                    .push((Arc::clone(&rule.name), Arc::clone(allow)));
                continue;
            }
            let key = ConflictKey::area(rule.class, self.value(rule, pattern, &text));
            found
                .claims
                .push((rule.class, key, rule.mode, Arc::clone(&rule.name)));
        }
        found.allowed = allows
            .into_iter()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        found
    }

    /// Fills the key of a rule from the captures of a matching path.
    fn value(&self, rule: &ActiveRule, pattern: Option<&Pattern>, text: &str) -> String {
        let needs_captures = rule.key.iter().any(|part| matches!(part, Part::Capture(_)));
        let captures = if needs_captures {
            pattern.and_then(|pattern| pattern.capture(text))
        } else {
            None
        };
        let mut value = String::new();
        for part in &rule.key {
            match part {
                Part::Fixed(fixed) => value.push_str(fixed),
                Part::Capture(name) => {
                    let captured = captures
                        .iter()
                        .flatten()
                        .find_map(|(known, text)| (known == name).then_some(*text))
                        .unwrap_or_default();
                    let captured = without_words(captured, &rule.drop);
                    let folded = folded(rule.fold, captured);
                    match self
                        .aliases
                        .get(&rule.class)
                        .and_then(|names| names.get(&folded))
                    {
                        Some(alias) => value.push_str(alias),
                        None => value.push_str(captured),
                    }
                }
            }
        }
        // Fixed texts too: a key written `points` is the one that a capture gives.
        folded(rule.fold, &value)
    }
}

/// Folds every segment of a key.
fn folded(fold: Fold, value: &str) -> String {
    let segments: Vec<String> = value
        .split('/')
        .map(|segment| fold.apply(segment))
        .collect();
    segments.join("/")
}

/// Returns the mode of a class unless the rules say otherwise: what may touch everything is exclusive.
pub(super) const fn default_mode(class: AreaClass) -> Mode {
    match class {
        AreaClass::Screen | AreaClass::Api => Mode::PerKey,
        AreaClass::Db | AreaClass::Deps | AreaClass::Shared | AreaClass::Domain => Mode::Exclusive,
    }
}

fn holds_for(targets: &[Pattern], target: &str) -> bool {
    targets.is_empty() || targets.iter().any(|pattern| pattern.is_match(target))
}

/// Collects claims; the paths of equal ones are joined.
#[derive(Default)]
struct Collected(BTreeMap<Claim, (Mode, BTreeSet<RepoPath>)>);

/// What makes two claims one: key, class and rule.
type Claim = (ConflictKey, ConflictClass, Arc<str>);

impl Collected {
    fn claim(
        &mut self,
        key: ConflictKey,
        class: ConflictClass,
        mode: Mode,
        rule: &Arc<str>,
        path: Option<&RepoPath>,
    ) {
        let (known, paths) = self
            .0
            .entry((key, class, Arc::clone(rule)))
            .or_insert((mode, BTreeSet::new()));
        *known = mode.max(*known);
        paths.extend(path.cloned());
    }

    fn finish(self) -> Areas {
        let area = |((key, class, rule), (mode, paths))| {
            Area::new(key, mode, rule).of_class(class).because_of(paths)
        };
        Areas::from_parts(self.0.into_iter().map(area).collect())
    }
}

impl ConflictDetector for RuleConflicts {
    fn name(&self) -> &'static str {
        "rules"
    }

    fn areas(&self, footprint: &Footprint) -> Areas {
        let mut all = Collected::default();
        let unknown = |all: &mut Collected, rule: String| {
            all.claim(
                ConflictKey::all(),
                ConflictClass::Unknown,
                Mode::Exclusive,
                &rule.into(),
                None,
            );
        };
        for refused in footprint.refused() {
            unknown(&mut all, format!("`{}` {}", refused.text, refused.fault));
        }
        if !footprint.is_known() && footprint.refused().is_empty() {
            unknown(&mut all, "no candidate file is known".to_owned());
        }
        for dir in footprint.trees() {
            let rule = "a whole directory is declared".into();
            all.claim(
                ConflictKey::tree(dir.clone()),
                ConflictClass::Dir,
                Mode::PerKey,
                &rule,
                None,
            );
            if !footprint.is_expanded() {
                unknown(
                    &mut all,
                    format!("`{dir}/` is declared as a whole, and what lies in it was not given"),
                );
            }
        }
        for key in footprint.areas() {
            let mode = match key.kind() {
                super::KeyKind::Area(class, _) => self.mode_of(*class),
                _ => Mode::PerKey,
            };
            all.claim(
                key.clone(),
                key.class(),
                mode,
                &"declared with the candidate files".into(),
                None,
            );
        }
        for path in footprint.files() {
            all.claim(
                ConflictKey::path(path.clone()),
                ConflictClass::Path,
                Mode::PerKey,
                &self.names.same_file,
                Some(path),
            );
            let verdict = self.verdict(path);
            for (class, key, mode, rule) in &verdict.claims {
                all.claim(key.clone(), (*class).into(), *mode, rule, Some(path));
            }
            for coupled in self.coupling.of(path) {
                let rule = format!(
                    "changed together in {} of the {} commits of `{path}`",
                    coupled.together, coupled.of
                );
                let key = ConflictKey::path(coupled.path.clone());
                all.claim(
                    key,
                    ConflictClass::Path,
                    Mode::PerKey,
                    &rule.into(),
                    Some(path),
                );
            }
            match self.unclassified {
                _ if verdict.is_classified() => {}
                Unclassified::File => {}
                Unclassified::Directory => {
                    let key = ConflictKey::dir(path.parent());
                    all.claim(
                        key,
                        ConflictClass::Dir,
                        Mode::PerKey,
                        &self.names.directory,
                        Some(path),
                    );
                }
                Unclassified::Serial => {
                    all.claim(
                        ConflictKey::all(),
                        ConflictClass::Unknown,
                        Mode::Exclusive,
                        &self.names.serial,
                        Some(path),
                    );
                }
            }
        }
        all.finish()
    }

    fn conflicts(&self, candidate: &Footprint, active: &Footprint) -> Vec<Conflict> {
        self.areas(candidate).conflicts_with(&self.areas(active))
    }
}
