//! Rules made ready to run: patterns compiled, names checked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use globset::GlobBuilder;
use globset::GlobSet;
use globset::GlobSetBuilder;
use regex::Regex;
use regex::RegexBuilder;

use super::data::CommandRule;
use super::data::Exception;
use super::data::RulesFile;
use super::data::TextRule;
use super::data::When;
use super::hold::HoldClass;
use super::programs::ByProgram;
use super::programs::wildcard;
use super::shell::Wrappers;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The text is no TOML, or has keys or values that no rule has.
    #[error("the rules cannot be read")]
    Unreadable {
        /// What the TOML reader says, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Two rules have one name, so that neither an exception nor a hold could say which is meant.
    #[error("two rules are named `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A rule uses a set of paths that is not defined.
    #[error("the rule `{rule}` uses the set `{set}`, which is not defined; there are: {known}")]
    UnknownSet {
        /// The rule.
        rule: String,
        /// The set.
        set: String,
        /// The sets there are.
        known: String,
    },
    /// A path pattern cannot be read.
    #[error("the path pattern `{pattern}` of `{rule}` cannot be read")]
    PathPattern {
        /// The rule or set.
        rule: String,
        /// The pattern.
        pattern: String,
        /// What the pattern reader says.
        #[source]
        source: globset::Error,
    },
    /// A text pattern cannot be read, or is too large.
    #[error("the pattern `{pattern}` of the rule `{rule}` cannot be read")]
    TextPattern {
        /// The rule.
        rule: String,
        /// The pattern.
        pattern: String,
        /// What the pattern reader says.
        #[source]
        source: Box<regex::Error>,
    },
    /// A class name cannot be a class.
    #[error("the rule `{rule}` has no usable class")]
    Class {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        #[source]
        source: super::hold::InvalidClass,
    },
    /// An exception names a rule that does not exist, gives no reason, or would except everything.
    #[error("the exception for `{rule}` {problem}")]
    Exception {
        /// The rule it names.
        rule: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A rule can never find anything, or finds everything.
    #[error("the rule `{rule}` {problem}")]
    Useless {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Brings a path into the form in which paths are compared: what a file system that tells neither case nor
/// accents apart makes of it.
pub(super) fn comparable(path: &[u8]) -> String {
    String::from_utf8_lossy(&crate::patch::fold(path)).into_owned()
}

/// Paths that fit one of several patterns.
///
/// Patterns and paths are folded rather than compared without regard to case: that compiles ten times faster.
#[derive(Debug, Clone, Default)]
pub(super) struct PathSet(GlobSet);

impl PathSet {
    pub(super) fn new(rule: &str, patterns: &[String]) -> Result<Self, RulesError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(&comparable(pattern.as_bytes()))
                .literal_separator(true)
                .backslash_escape(false)
                .build();
            set.add(glob.map_err(|source| path_error(rule, pattern, source))?);
        }
        let first = patterns.first().map_or("", String::as_str);
        set.build()
            .map(Self)
            .map_err(|source| path_error(rule, first, source))
    }

    /// Says whether a path in its comparable form fits.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

fn path_error(rule: &str, pattern: &str, source: globset::Error) -> RulesError {
    RulesError::PathPattern {
        rule: rule.to_owned(),
        pattern: pattern.to_owned(),
        source,
    }
}

pub(super) fn regex(rule: &str, pattern: &str) -> Result<Regex, RulesError> {
    let built = RegexBuilder::new(pattern)
        .size_limit(4 << 20)
        .dfa_size_limit(4 << 20)
        .build();
    built.map_err(|source| RulesError::TextPattern {
        rule: rule.to_owned(),
        pattern: pattern.to_owned(),
        source: Box::new(source),
    })
}

/// A rule over lines or statements.
#[derive(Debug, Clone)]
pub(super) struct TextPattern<K> {
    pub(super) name: String,
    pub(super) kind: K,
    pattern: Regex,
    unless: Option<Regex>,
    pub(super) files: Vec<String>,
    pub(super) may_undo: bool,
    pub(super) when: When,
}

impl<K: Copy> TextPattern<K> {
    fn new(rule: &TextRule<K>) -> Result<Self, RulesError> {
        if rule.pattern.is_empty() {
            let problem = "has an empty pattern, which fits everything";
            return Err(RulesError::Useless {
                rule: rule.name.clone(),
                problem,
            });
        }
        Ok(Self {
            name: rule.name.clone(),
            kind: rule.kind,
            pattern: regex(&rule.name, &rule.pattern)?,
            unless: rule
                .unless
                .as_deref()
                .map(|unless| regex(&rule.name, unless))
                .transpose()?,
            files: rule.files.clone(),
            may_undo: rule.may_undo,
            when: rule.when,
        })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.pattern.is_match(text)
            && !self
                .unless
                .as_ref()
                .is_some_and(|unless| unless.is_match(text))
    }
}

/// A class of protected paths.
#[derive(Debug, Clone)]
pub(super) struct ClassPaths {
    pub(super) name: String,
    pub(super) class: HoldClass,
    pub(super) paths: PathSet,
    pub(super) lines: Option<Regex>,
}

/// How comments look in some files.
#[derive(Debug, Clone)]
pub(super) struct Comments {
    pub(super) files: PathSet,
    pub(super) line: Vec<String>,
    pub(super) block: bool,
}

/// How to find the part of a migration that undoes it.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    pub(super) files: PathSet,
    pub(super) begins: Regex,
    pub(super) ends: Regex,
}

#[derive(Debug, Clone)]
struct CompiledException {
    rule: String,
    paths: PathSet,
    commands: Vec<String>,
}

/// All rules, ready to run.
#[derive(Debug, Clone)]
pub(super) struct Compiled<K> {
    pub(super) sets: BTreeMap<String, PathSet>,
    pub(super) classes: Vec<ClassPaths>,
    pub(super) commands: Vec<CommandRule<K>>,
    pub(super) statements: Vec<TextPattern<K>>,
    pub(super) lines: Vec<TextPattern<K>>,
    pub(super) bulk: Vec<super::data::BulkRule<K>>,
    pub(super) by_program: ByProgram,
    pub(super) wrappers: Wrappers,
    pub(super) comments: Vec<Comments>,
    pub(super) undo: Option<Undo>,
    pub(super) anchors: Regex,
    exceptions: Vec<CompiledException>,
}

impl<K: Copy> Compiled<K> {
    pub(super) fn new(file: RulesFile<K>) -> Result<Self, RulesError> {
        check_names(&file)?;
        let mut sets = BTreeMap::new();
        for (name, patterns) in &file.sets {
            sets.insert(name.clone(), PathSet::new(name, patterns)?);
        }
        let mut classes = Vec::new();
        for rule in &file.path {
            classes.push(ClassPaths {
                name: rule.name.clone(),
                class: rule.class.parse().map_err(|source| RulesError::Class {
                    rule: rule.name.clone(),
                    source,
                })?,
                paths: PathSet::new(&rule.name, &rule.paths)?,
                lines: rule
                    .lines
                    .as_deref()
                    .map(|lines| regex(&rule.name, lines))
                    .transpose()?,
            });
        }
        for rule in &file.command {
            if rule
                .run
                .iter()
                .any(|run| run.trim().is_empty() || run.trim() == "*")
            {
                let problem = "runs anything, and would hold everything";
                return Err(RulesError::Useless {
                    rule: rule.name.clone(),
                    problem,
                });
            }
        }
        let mut comments = Vec::new();
        for rule in &file.comment {
            comments.push(Comments {
                files: PathSet::new("comment", &rule.files)?,
                line: rule.line.clone(),
                block: rule.block,
            });
        }
        let mut undo = None;
        if let Some(rule) = &file.undo {
            undo = Some(Undo {
                files: PathSet::new("undo", &rule.files)?,
                begins: regex("undo", &rule.begins)?,
                ends: regex("undo", &rule.ends)?,
            });
        }
        Ok(Self {
            classes,
            statements: file
                .statement
                .iter()
                .map(TextPattern::new)
                .collect::<Result<_, _>>()?,
            lines: file
                .line
                .iter()
                .map(TextPattern::new)
                .collect::<Result<_, _>>()?,
            anchors: anchors(&file.command)?,
            exceptions: exceptions(&file)?,
            sets,
            bulk: file.bulk,
            wrappers: Wrappers::new(file.wrapper),
            by_program: ByProgram::new(file.command.iter().map(|rule| &rule.run)),
            commands: file.command,
            comments,
            undo,
        })
    }

    /// Says whether a path lies in one of these sets.
    pub(super) fn in_any(&self, sets: &[String], path: &str) -> bool {
        sets.iter()
            .any(|name| self.sets.get(name).is_some_and(|set| set.contains(path)))
    }

    /// Says whether the team knows this finding to be harmless.
    pub(super) fn is_excepted(
        &self,
        rule: &str,
        path: Option<&str>,
        command: Option<&str>,
    ) -> bool {
        self.exceptions
            .iter()
            .filter(|exception| exception.rule == rule)
            .any(|exception| {
                path.is_some_and(|path| exception.paths.contains(path))
                    || command.is_some_and(|command| {
                        exception
                            .commands
                            .iter()
                            .any(|pattern| wildcard(pattern, command))
                    })
            })
    }
}

/// The set every rule may use without a definition: places on another machine.
pub(super) const REMOTE: &str = "remote";

fn check_names<K>(file: &RulesFile<K>) -> Result<(), RulesError> {
    let mut names = BTreeSet::new();
    for name in rule_names(file) {
        if !names.insert(name) {
            return Err(RulesError::DuplicateName {
                name: name.to_owned(),
            });
        }
    }
    let known = |set: &String| file.sets.contains_key(set) || set == REMOTE;
    let uses = file
        .command
        .iter()
        .flat_map(|rule| [(&rule.name, &rule.on), (&rule.name, &rule.spares)])
        .chain(
            file.statement
                .iter()
                .chain(&file.line)
                .map(|rule| (&rule.name, &rule.files)),
        )
        .chain(
            file.bulk
                .iter()
                .flat_map(|rule| [(&rule.name, &rule.on), (&rule.name, &rule.spares)]),
        );
    for (rule, sets) in uses {
        if let Some(set) = sets.iter().find(|set| !known(set)) {
            return Err(RulesError::UnknownSet {
                rule: rule.clone(),
                set: set.clone(),
                known: file.sets.keys().cloned().collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(())
}

fn rule_names<K>(file: &RulesFile<K>) -> impl Iterator<Item = &str> {
    let paths = file.path.iter().map(|rule| rule.name.as_str());
    let commands = file.command.iter().map(|rule| rule.name.as_str());
    let texts = file
        .statement
        .iter()
        .chain(&file.line)
        .map(|rule| rule.name.as_str());
    let bulk = file.bulk.iter().map(|rule| rule.name.as_str());
    paths.chain(commands).chain(texts).chain(bulk)
}

fn exceptions<K>(file: &RulesFile<K>) -> Result<Vec<CompiledException>, RulesError> {
    let compile = |exception: &Exception| {
        let wrong = |problem| RulesError::Exception {
            rule: exception.rule.clone(),
            problem,
        };
        if !rule_names(file).any(|name| name == exception.rule) {
            return Err(wrong("names no rule"));
        }
        if exception.reason.trim().is_empty() {
            return Err(wrong("gives no reason"));
        }
        let everything = |pattern: &String| pattern.chars().all(|c| matches!(c, '*' | '/'));
        if exception
            .paths
            .iter()
            .chain(&exception.commands)
            .any(everything)
        {
            return Err(wrong("would except everything"));
        }
        if exception.paths.is_empty() && exception.commands.is_empty() {
            return Err(wrong("names neither paths nor commands"));
        }
        Ok(CompiledException {
            rule: exception.rule.clone(),
            paths: PathSet::new(&exception.rule, &exception.paths)?,
            commands: exception.commands.clone(),
        })
    };
    file.except.iter().map(compile).collect()
}

/// Builds the pattern that finds where a program of some rule is named in a text.
fn anchors<K>(rules: &[CommandRule<K>]) -> Result<Regex, RulesError> {
    let programs: BTreeSet<String> = rules
        .iter()
        .filter(|rule| rule.when != When::Executed)
        .flat_map(|rule| &rule.run)
        .filter_map(|run| run.split(' ').next())
        .map(|program| {
            let name = program.rsplit('/').next().unwrap_or_default();
            regex::escape(name).replace("\\*", "[A-Za-z0-9_.-]*")
        })
        .collect();
    let programs = programs.into_iter().collect::<Vec<_>>().join("|");
    // ASCII classes throughout: the larger ones cost a hundred times the work on a hostile line.
    let pattern = format!(
        r#"(?m)(?:^|[ \t\r\n"'`(;|&=\[{{>@,:])(?:[A-Za-z0-9_.~$}}{{-]*[/\\])*(?:{programs})(?:[ \t\r\n"'`;|&)\]}},]|$)"#
    );
    regex("command", &pattern)
}
