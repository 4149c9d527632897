//! The rules as they stand in TOML.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One file of rules. `K` is what a rule finds: a protected kind, or a category of prohibited commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    bound(deserialize = "K: Deserialize<'de>")
)]
pub(super) struct RulesFile<K> {
    /// Named lists of path patterns.
    pub(super) sets: BTreeMap<String, Vec<String>>,
    pub(super) path: Vec<PathRule>,
    pub(super) command: Vec<CommandRule<K>>,
    pub(super) statement: Vec<TextRule<K>>,
    pub(super) line: Vec<TextRule<K>>,
    pub(super) bulk: Vec<BulkRule<K>>,
    pub(super) wrapper: Vec<WrapperRule>,
    pub(super) comment: Vec<CommentRule>,
    pub(super) undo: Option<UndoRule>,
    pub(super) except: Vec<Exception>,
}

impl<K> Default for RulesFile<K> {
    fn default() -> Self {
        Self {
            sets: BTreeMap::new(),
            path: Vec::new(),
            command: Vec::new(),
            statement: Vec::new(),
            line: Vec::new(),
            bulk: Vec::new(),
            wrapper: Vec::new(),
            comment: Vec::new(),
            undo: None,
            except: Vec::new(),
        }
    }
}

impl<K> RulesFile<K> {
    /// Translates what the rules find into another vocabulary.
    pub(super) fn map_kinds<L>(self, kind: impl Fn(K) -> L) -> RulesFile<L> {
        let texts = |rules: Vec<TextRule<K>>| {
            let map = |rule: TextRule<K>| TextRule {
                name: rule.name,
                kind: kind(rule.kind),
                pattern: rule.pattern,
                unless: rule.unless,
                files: rule.files,
                may_undo: rule.may_undo,
                when: rule.when,
            };
            rules.into_iter().map(map).collect()
        };
        RulesFile {
            sets: self.sets,
            path: self.path,
            command: self
                .command
                .into_iter()
                .map(|rule| CommandRule {
                    name: rule.name,
                    kind: kind(rule.kind),
                    run: rule.run,
                    flags: rule.flags,
                    args: rule.args,
                    on: rule.on,
                    at: rule.at,
                    spares: rule.spares,
                    unless: rule.unless,
                    when: rule.when,
                    sql: rule.sql,
                })
                .collect(),
            statement: texts(self.statement),
            line: texts(self.line),
            bulk: self
                .bulk
                .into_iter()
                .map(|rule| BulkRule {
                    name: rule.name,
                    kind: kind(rule.kind),
                    on: rule.on,
                    spares: rule.spares,
                    changes: rule.changes,
                    at_least: rule.at_least,
                })
                .collect(),
            wrapper: self.wrapper,
            comment: self.comment,
            undo: self.undo,
            except: self.except,
        }
    }

    /// Adds a team's rules: sets grow, lists are appended.
    pub(super) fn extend(&mut self, team: Self) {
        for (name, patterns) in team.sets {
            self.sets.entry(name).or_default().extend(patterns);
        }
        self.path.extend(team.path);
        self.command.extend(team.command);
        self.statement.extend(team.statement);
        self.line.extend(team.line);
        self.bulk.extend(team.bulk);
        self.wrapper.extend(team.wrapper);
        self.except.extend(team.except);
    }
}

/// Paths that are held by class.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathRule {
    pub(super) name: String,
    /// A class; text here, since it is checked with the rule's name at hand.
    pub(super) class: String,
    pub(super) paths: Vec<String>,
    /// If given, only an added line that fits it holds the path.
    #[serde(default)]
    pub(super) lines: Option<String>,
}

/// A program call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandRule<K> {
    pub(super) name: String,
    pub(super) kind: K,
    /// `program word word`, each with `*`; one of these must begin the call.
    pub(super) run: Vec<String>,
    /// One of these options or one of `args` must be given, if either list has entries.
    #[serde(default)]
    pub(super) flags: Vec<String>,
    /// One argument must look like this.
    #[serde(default)]
    pub(super) args: Vec<String>,
    /// One argument must lie in one of these sets, if there are any.
    #[serde(default)]
    pub(super) on: Vec<String>,
    /// Which arguments `on` looks at.
    #[serde(default)]
    pub(super) at: ArgumentPlace,
    /// Arguments in one of these sets are not looked at.
    #[serde(default)]
    pub(super) spares: Vec<String>,
    /// With one of these options the call is harmless.
    #[serde(default)]
    pub(super) unless: Vec<String>,
    /// Where the rule applies.
    #[serde(default)]
    pub(super) when: When,
    /// Whether the arguments and the input are SQL.
    #[serde(default)]
    pub(super) sql: bool,
}

/// Which arguments are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ArgumentPlace {
    /// Each of them.
    #[default]
    Any,
    /// Where most programs have their destination.
    Last,
    /// The file that the output is redirected to.
    Output,
}

/// What a rule is applied to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum When {
    /// Commands that were run, and commands that a patch writes.
    #[default]
    Always,
    /// Only commands that were run.
    Executed,
    /// Only what a patch writes.
    Patch,
}

/// A pattern over text: one line, or one statement in its normal form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextRule<K> {
    pub(super) name: String,
    pub(super) kind: K,
    pub(super) pattern: String,
    /// What must not be there besides.
    #[serde(default)]
    pub(super) unless: Option<String>,
    /// The sets of files it applies to; everywhere if there are none.
    #[serde(default)]
    pub(super) files: Vec<String>,
    /// Whether the part of a migration that undoes it may contain it.
    #[serde(default)]
    pub(super) may_undo: bool,
    #[serde(default)]
    pub(super) when: When,
}

/// Many files of one set in one patch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRule<K> {
    pub(super) name: String,
    pub(super) kind: K,
    pub(super) on: Vec<String>,
    /// Files in one of these sets do not count.
    #[serde(default)]
    pub(super) spares: Vec<String>,
    pub(super) changes: Vec<crate::patch::ChangeKind>,
    pub(super) at_least: u64,
}

/// How comments look in some files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentRule {
    pub(super) files: Vec<String>,
    /// What begins a comment that ends with its line.
    pub(super) line: Vec<String>,
    /// Whether `/* … */` is a comment.
    #[serde(default)]
    pub(super) block: bool,
}

/// How to find the part of a migration that undoes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UndoRule {
    /// The set of files that are migrations.
    pub(super) files: Vec<String>,
    /// What begins the part that undoes.
    pub(super) begins: String,
    /// What begins another part.
    pub(super) ends: String,
}

/// A program that runs another one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrapperRule {
    pub(super) run: Vec<String>,
    pub(super) then: Then,
    /// Options that take a value.
    #[serde(default)]
    pub(super) values: Vec<String>,
    /// Words before the command that are not part of it.
    #[serde(default)]
    pub(super) skip: usize,
    /// The options that carry the command.
    #[serde(default)]
    pub(super) options: Vec<String>,
    /// Whether its input becomes part of the command.
    #[serde(default)]
    pub(super) takes_input: bool,
}

/// How a wrapper carries what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Then {
    /// The rest of the words is the command.
    Command,
    /// The words behind `--` are the command.
    AfterDashes,
    /// The rest of the words, joined, is a script.
    Line,
    /// The first word is a script, the others are not part of it.
    Word,
    /// The value of an option is a script.
    Option,
    /// The value of an option is program text of another language.
    Code,
    /// The words between `-exec` and `;` are the command.
    Exec,
}

/// A finding that the team knows to be harmless.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    pub(super) rule: String,
    /// Why; shown by `check-rules` and in review, so it may not be empty.
    pub(super) reason: String,
    /// Files in which it is harmless.
    #[serde(default)]
    pub(super) paths: Vec<String>,
    /// Commands, in the form holds show them, that are harmless.
    #[serde(default)]
    pub(super) commands: Vec<String>,
}
