//! All rules together: parsed, ordered, checked.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use aho_corasick::automaton::StateID;
use aho_corasick::dfa::DFA;

use super::clean::Cleaner;
use super::result::FailureCategory;
use super::rule::Rule;
use super::rule::RuleFile;
use super::rule::Strength;
use super::rule::Subject;
use super::rule_error::RuleError;

/// The rules that ship, in the order in which they are asked; general ones stand last.
const BUILTIN: &[(&str, &str)] = &[
    ("runner", include_str!("rules/runner.toml")),
    ("resource", include_str!("rules/resource.toml")),
    ("git", include_str!("rules/git.toml")),
    ("platform", include_str!("rules/platform.toml")),
    ("packages", include_str!("rules/packages.toml")),
    ("build", include_str!("rules/build.toml")),
    ("lint", include_str!("rules/lint.toml")),
    ("compile", include_str!("rules/compile.toml")),
    ("test", include_str!("rules/test.toml")),
    ("generic", include_str!("rules/generic.toml")),
];

/// The most rules one set may hold.
const MOST_RULES: usize = 2000;

/// How much of a literal the automaton looks for, in bytes: enough to be rare, and little enough that
/// the automaton of all rules stays in a processor's cache.
const MOST_LITERAL: usize = 8;

/// What a rule is, for lists.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RuleInfo<'a> {
    /// The unique id, `tool/what`.
    pub id: &'a str,
    /// The tool whose words it knows.
    pub tool: &'a str,
    /// The category it answers.
    pub category: FailureCategory,
    /// How much its match says.
    pub strength: Strength,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// Whether no real log has proven it yet.
    pub unproven: bool,
    /// Whether it looks at lines of the log, not at what the platform says beside it.
    pub looks_at_lines: bool,
    /// How many examples stand beside it.
    pub examples: usize,
}

/// One example of a rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCheck {
    /// The rule the example stands beside.
    pub rule: String,
    /// The example.
    pub example: String,
    /// What is wrong, as a sentence.
    pub problem: String,
}

/// An ordered set of rules, cheap to clone.
///
/// The order decides between two rules that match the same line: the first one has it.
#[derive(Clone)]
pub struct RuleSet {
    inner: Arc<Compiled>,
}

pub(crate) struct Compiled {
    pub(crate) rules: Vec<Arc<Rule>>,
    automaton: DFA,
    start: StateID,
    /// For each literal of the automaton, the rules that need it.
    rules_of_literal: Vec<Vec<u16>>,
}

impl Compiled {
    /// Returns whether any rule could match `text`.
    pub(crate) fn asks_any(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.for_each_asked(text, |_| any = true);
        any
    }

    /// Names the rules one of whose literals stands in `text`, some of them several times.
    ///
    /// The automaton is driven by hand: its own search begins anew after every literal, and a line may hold dozens.
    pub(crate) fn for_each_asked(&self, text: &[u8], mut ask: impl FnMut(u16)) {
        let mut state = self.start;
        for byte in text {
            state = self.automaton.next_state(Anchored::No, state, *byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                for at in 0..self.automaton.match_len(state) {
                    let literal = self.automaton.match_pattern(state, at).as_usize();
                    if let Some(rules) = self.rules_of_literal.get(literal) {
                        rules.iter().copied().for_each(&mut ask);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleSet({} rules)", self.inner.rules.len())
    }
}

impl RuleSet {
    /// Returns the rules that ship with the crate; compiled once per process.
    #[must_use]
    pub fn builtin() -> Self {
        static SET: LazyLock<RuleSet> = LazyLock::new(|| {
            let mut rules = Vec::new();
            for (file, text) in BUILTIN {
                let parsed = parse(file, text).expect("the shipped rules are checked by a test");
                rules.extend(parsed.1);
            }
            RuleSet::compile(rules).expect("the shipped rules are checked by a test")
        });
        SET.clone()
    }

    /// Returns an empty set, to be filled by [`RuleSet::with_rules`].
    #[must_use]
    pub fn empty() -> Self {
        Self::compile_part(Vec::new())
    }

    /// Returns this set with the rules of a TOML text in front of its own.
    ///
    /// A rule with the id of an existing one replaces it; `disable = ["id"]` removes one. `file` names
    /// the text in errors.
    ///
    /// # Errors
    /// [`RuleError`], which names the rule and what to change.
    ///
    /// ```
    /// use pipeline_core::failure::{LogAnalysisRequest, RuleAnalyzer, RuleSet};
    ///
    /// let rules = RuleSet::builtin().with_rules("team.toml", r#"
    ///     [[rule]]
    ///     id = "team/licence-server"
    ///     category = "network"
    ///     pattern = '^LICENSE: no seat from (?P<host>\S+)'
    ///     summary = "The licence server {host} gave no seat."
    ///     fix = "Run the job again when a seat is free."
    ///     examples = ["LICENSE: no seat from lic-1"]
    /// "#)?;
    /// let result = RuleAnalyzer::new(rules)
    ///     .analyze_log(&LogAnalysisRequest::from_text("LICENSE: no seat from lic-1"))?;
    /// assert_eq!(result.summary, "The licence server lic-1 gave no seat.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_rules(&self, file: &str, text: &str) -> Result<Self, RuleError> {
        let (disabled, mut rules) = parse(file, text)?;
        for id in &disabled {
            if !self.inner.rules.iter().any(|rule| rule.id == *id) {
                return Err(RuleError::UnknownDisabled {
                    id: id.clone(),
                    file: file.to_owned(),
                });
            }
        }
        let kept: Vec<Arc<Rule>> = self
            .inner
            .rules
            .iter()
            .filter(|old| !disabled.contains(&old.id))
            .filter(|old| !rules.iter().any(|new| new.id == old.id))
            .map(Arc::clone)
            .collect();
        rules.extend(kept);
        Self::compile(rules)
    }

    /// Returns this set without the rules for which `drop` answers true.
    ///
    /// For experiments, such as leaving the rules of one tool out.
    #[must_use]
    pub fn without(&self, mut drop: impl FnMut(&RuleInfo<'_>) -> bool) -> Self {
        let kept = self
            .inner
            .rules
            .iter()
            .filter(|rule| !drop(&info(rule)))
            .map(Arc::clone)
            .collect();
        Self::compile_part(kept)
    }

    /// Returns what the rules are, in their order.
    pub fn rules(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        self.inner.rules.iter().map(|rule| info(rule))
    }

    /// Checks every example of every rule and returns those that do not hold.
    ///
    /// An example must be taken by its own rule, not by one before it; a counter-example must not be
    /// matched by its rule.
    #[must_use]
    pub fn check(&self) -> Vec<RuleCheck> {
        let mut problems = Vec::new();
        let mut cleaner = Cleaner::default();
        for rule in &self.inner.rules {
            let mut report = |example: &str, problem: String| {
                problems.push(RuleCheck {
                    rule: rule.id.clone(),
                    example: example.to_owned(),
                    problem,
                });
            };
            for example in &rule.examples {
                let (line, _) = cleaner.clean(example.as_bytes());
                if !rule.matches(line) {
                    report(example, "the rule does not match its example".to_owned());
                } else if rule.subject == Subject::Line {
                    let taker = self.inner.rules.iter().find(|other| {
                        other.subject == Subject::Line
                            && (other.id == rule.id || !other.requires_above)
                            && (other.id == rule.id || other.command.is_none())
                            && other.matches(line)
                    });
                    if let Some(taker) = taker.filter(|taker| taker.id != rule.id) {
                        report(
                            example,
                            format!("the rule {} takes this line first", taker.id),
                        );
                    }
                }
            }
            for example in &rule.counter_examples {
                let (line, _) = cleaner.clean(example.as_bytes());
                if rule.matches(line) {
                    report(example, "the rule matches its counter-example".to_owned());
                }
            }
        }
        problems
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.inner
    }

    fn compile_part(rules: Vec<Arc<Rule>>) -> Self {
        Self::compile(rules).expect("a part of a set that compiled compiles, down to none")
    }

    fn compile(rules: Vec<Arc<Rule>>) -> Result<Self, RuleError> {
        if rules.len() > MOST_RULES {
            return Err(RuleError::TooMany { count: rules.len() });
        }
        let mut index: HashMap<&[u8], usize> = HashMap::new();
        let mut literals: Vec<&[u8]> = Vec::new();
        let mut rules_of_literal: Vec<Vec<u16>> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let number = u16::try_from(number).expect("a set holds at most 2000 rules");
            for literal in &rule.literals {
                let literal = literal.get(..MOST_LITERAL).unwrap_or(literal);
                let slot = *index.entry(literal).or_insert_with(|| {
                    literals.push(literal);
                    rules_of_literal.push(Vec::new());
                    literals.len() - 1
                });
                if let Some(users) = rules_of_literal.get_mut(slot)
                    && users.last() != Some(&number)
                {
                    users.push(number);
                }
            }
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .build(&literals)
            .map_err(|source| RuleError::Automaton {
                source: Box::new(source),
            })?;
        let start = automaton
            .start_state(Anchored::No)
            .map_err(|source| RuleError::Automaton {
                source: Box::new(source),
            })?;
        Ok(Self {
            inner: Arc::new(Compiled {
                automaton,
                start,
                rules_of_literal,
                rules,
            }),
        })
    }
}

fn info(rule: &Rule) -> RuleInfo<'_> {
    RuleInfo {
        id: &rule.id,
        tool: &rule.tool,
        category: rule.category,
        strength: rule.strength,
        confidence: rule.confidence,
        unproven: rule.unproven,
        looks_at_lines: rule.subject == Subject::Line,
        examples: rule.examples.len(),
    }
}

type Parsed = (Vec<String>, Vec<Arc<Rule>>);

fn parse(file: &str, text: &str) -> Result<Parsed, RuleError> {
    let parsed: RuleFile = toml::from_str(text).map_err(|source| RuleError::Parse {
        file: file.to_owned(),
        source: Box::new(source),
    })?;
    let mut rules: Vec<Arc<Rule>> = Vec::with_capacity(parsed.rules.len());
    for rule in parsed.rules {
        let rule = Rule::compile(rule, parsed.tool.as_deref(), parsed.unproven)?;
        if rules.iter().any(|other| other.id == rule.id) {
            return Err(RuleError::Twice {
                id: rule.id,
                file: file.to_owned(),
            });
        }
        rules.push(Arc::new(rule));
    }
    Ok((parsed.disable, rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_parse_and_every_example_holds() {
        for (file, text) in BUILTIN {
            if let Err(error) = parse(file, text) {
                panic!("{file}: {error}: {:?}", std::error::Error::source(&error));
            }
        }
        let set = RuleSet::builtin();
        let without: Vec<_> = set
            .rules()
            .filter(|rule| rule.examples == 0)
            .map(|rule| rule.id)
            .collect();
        assert!(without.is_empty(), "rules without an example: {without:?}");
        let problems: Vec<_> = set
            .check()
            .into_iter()
            .map(|check| format!("{}: {}: {}", check.rule, check.problem, check.example))
            .collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn an_id_stands_once_in_the_shipped_rules() {
        let set = RuleSet::builtin();
        let mut ids: Vec<_> = set.rules().map(|rule| rule.id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
