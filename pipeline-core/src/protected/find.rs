//! Program calls and texts against the rules.

use super::compile::Compiled;
use super::compile::REMOTE;
use super::compile::comparable;
use super::data::ArgumentPlace;
use super::data::CommandRule;
use super::data::When;
use super::programs::clipped;
use super::programs::wildcard;
use super::shell;
use super::shell::Command;
use super::sql;
use super::sql::Mode;

/// One thing a rule found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding<K> {
    pub(super) rule: String,
    pub(super) kind: K,
    /// What was found, in a form of its own: the command, the statement, the line.
    pub(super) text: String,
    /// Where it stands in the text, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Whether a command was run, or is only written somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Executed,
    Written,
}

impl Setting {
    fn suits(self, when: When) -> bool {
        match when {
            When::Always => true,
            When::Executed => self == Self::Executed,
            When::Patch => self == Self::Written,
        }
    }
}

impl<K: Copy> Compiled<K> {
    /// Finds what an executed command line does.
    pub(super) fn in_executed(&self, line: &str) -> Vec<Finding<K>> {
        let reading = shell::read(line, &self.wrappers);
        let mut found = self.in_commands(&reading.commands, Setting::Executed);
        if !reading.complete {
            // Too deep or too long to be read as a shell would: read flat, which finds more rather than less.
            found.extend(self.in_literals(line, Setting::Executed, Accept::Everywhere));
            found.extend(self.in_statements(line, Mode::Code, Setting::Executed));
        }
        found
    }

    /// Finds what an executed program call does.
    pub(super) fn in_argv(&self, argv: &[String]) -> Vec<Finding<K>> {
        let reading = shell::read_argv(argv, &self.wrappers);
        let mut found = self.in_commands(&reading.commands, Setting::Executed);
        if !reading.complete {
            let line = argv.join(" ");
            found.extend(self.in_literals(&line, Setting::Executed, Accept::Everywhere));
            found.extend(self.in_statements(&line, Mode::Code, Setting::Executed));
        }
        found
    }

    /// Finds what commands do, and what is in the texts they carry.
    pub(super) fn in_commands(&self, commands: &[Command], setting: Setting) -> Vec<Finding<K>> {
        let mut found = Vec::new();
        for command in commands {
            let mut carries_sql = false;
            for (rule, first) in self.by_program.matching(&command.words) {
                let rule = self
                    .commands
                    .get(rule)
                    .filter(|rule| setting.suits(rule.when));
                let Some(rule) = rule else { continue };
                carries_sql |= rule.sql;
                if self.fits(rule, first, command) {
                    found.push(Finding {
                        rule: rule.name.clone(),
                        kind: rule.kind,
                        text: shown(command),
                        start: command.start,
                        end: command.end,
                    });
                }
            }
            let carried = if carries_sql {
                let words = command.words.get(1..).unwrap_or_default();
                words
                    .iter()
                    .chain(&command.stdin)
                    .map(|text| (text, Mode::Sql))
                    .collect()
            } else {
                command
                    .code
                    .iter()
                    .map(|text| (text, Mode::Code))
                    .collect::<Vec<_>>()
            };
            for (text, mode) in carried {
                let mut inner = self.in_statements(text, mode, setting);
                inner.extend(self.in_lines(text, setting));
                if mode == Mode::Code {
                    inner.extend(self.in_literals(text, setting, Accept::Positions));
                }
                for finding in &mut inner {
                    (finding.start, finding.end) = (command.start, command.end);
                }
                found.extend(inner);
            }
        }
        found
    }

    /// Finds the statements in a text, without regard to the kind of file it stands in.
    fn in_statements(&self, text: &str, mode: Mode, setting: Setting) -> Vec<Finding<K>> {
        let mut found = Vec::new();
        for statement in sql::statements(text, mode) {
            for rule in &self.statements {
                if setting.suits(rule.when) && rule.is_match(&statement.text) {
                    found.push(Finding {
                        rule: rule.name.clone(),
                        kind: rule.kind,
                        text: statement.text.clone(),
                        start: statement.start,
                        end: statement.end,
                    });
                }
            }
        }
        found
    }

    fn in_lines(&self, text: &str, setting: Setting) -> Vec<Finding<K>> {
        let mut found = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            for rule in self.lines.iter().filter(|rule| setting.suits(rule.when)) {
                if rule.is_match(line) {
                    found.push(Finding {
                        rule: rule.name.clone(),
                        kind: rule.kind,
                        text: line.trim().to_owned(),
                        start,
                        end: start + line.len(),
                    });
                }
            }
            start += line.len();
        }
        found
    }

    /// Finds commands that stand in a text of another kind: in string literals, lists of words, recipes.
    pub(super) fn in_literals(
        &self,
        text: &str,
        setting: Setting,
        accept: Accept,
    ) -> Vec<Finding<K>> {
        let mut found = Vec::new();
        for call in super::embedded::calls(text, &self.anchors, &self.wrappers, accept) {
            let reading = match &call.words {
                super::embedded::Words::Line(line) => shell::read(line, &self.wrappers),
                super::embedded::Words::List(words) => shell::read_argv(words, &self.wrappers),
            };
            for mut finding in self.in_commands(&reading.commands, setting) {
                (finding.start, finding.end) = (call.start, call.end);
                found.push(finding);
            }
        }
        found
    }

    fn fits(&self, rule: &CommandRule<K>, first: usize, command: &Command) -> bool {
        let words = command.words.get(1..).unwrap_or_default();
        if is_question(words) || words.iter().any(|word| rule.unless.contains(word)) {
            return false;
        }
        let arguments = command.words.get(first..).unwrap_or_default();
        let options = arguments.iter().take_while(|word| *word != "--");
        let has_flag = options
            .clone()
            .any(|word| rule.flags.iter().any(|flag| is_flag(flag, word)));
        let has_argument = arguments.iter().any(|word| {
            rule.args
                .iter()
                .any(|pattern| wildcard(pattern, clipped(word)))
        });
        let asks_nothing = rule.flags.is_empty() && rule.args.is_empty();
        (asks_nothing || has_flag || has_argument)
            && (rule.on.is_empty() || self.lies_on(rule, words, command))
    }

    fn lies_on(&self, rule: &CommandRule<K>, words: &[String], command: &Command) -> bool {
        let mut operands = words
            .iter()
            .filter(|word| !word.starts_with('-') || word.contains('='));
        let lies = |word: &String| {
            (rule.on.iter().any(|set| set == REMOTE) && is_remote(word))
                || variants(word)
                    .iter()
                    .any(|path| self.in_any(&rule.on, path) && !self.in_any(&rule.spares, path))
        };
        match rule.at {
            ArgumentPlace::Any => operands.any(lies),
            ArgumentPlace::Last => operands.next_back().is_some_and(lies),
            ArgumentPlace::Output => command.writes.iter().any(lies),
        }
    }
}

/// Where a program name in a text is taken for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    /// Only where a command can begin.
    Positions,
    /// Everywhere.
    Everywhere,
}

/// `program --help` and `program sub --version` do nothing.
fn is_question(words: &[String]) -> bool {
    words.len() <= 3
        && words
            .last()
            .is_some_and(|word| matches!(word.as_str(), "--help" | "--version" | "-V"))
        && words
            .iter()
            .rev()
            .skip(1)
            .all(|word| !word.starts_with('-'))
}

/// Compares a word with a flag of a rule: `--force` takes `--force=x`, `-f` takes `-rf`, `--del*` any ending.
fn is_flag(flag: &str, word: &str) -> bool {
    if let Some(prefix) = flag.strip_suffix('*') {
        return word.starts_with(prefix);
    }
    if word == flag {
        return true;
    }
    if flag.starts_with("--") {
        return word
            .strip_prefix(flag)
            .is_some_and(|rest| rest.starts_with('='));
    }
    let mut characters = flag.chars();
    let (Some('-'), Some(letter), None) = (characters.next(), characters.next(), characters.next())
    else {
        return false;
    };
    let cluster = word.strip_prefix('-').unwrap_or_default();
    let letters = cluster
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(cluster.len());
    let cluster = cluster.get(..letters).unwrap_or_default();
    // Longer ones are long options with one dash, as `find -delete`.
    cluster.len() <= 6 && cluster.contains(letter)
}

/// `host:path`, `user@host:path` and URLs.
fn is_remote(word: &str) -> bool {
    if word.contains("://") {
        return !word.starts_with("file:");
    }
    let Some((host, _)) = word.split_once(':') else {
        return false;
    };
    let is_drive = host.len() == 1;
    !host.is_empty() && !is_drive && !host.contains('/') && !host.starts_with(['-', '='])
}

/// Brings an argument into the form of a path in a set: without host, scheme, leading and trailing marks.
fn variants(word: &str) -> Vec<String> {
    let word = clipped(word);
    let value = word.rsplit('=').next().unwrap_or_default();
    let path = match value.split_once("://") {
        Some((_, path)) => path,
        None if is_remote(value) => value.split_once(':').map_or(value, |(_, path)| path),
        None => value,
    };
    braces(path)
        .iter()
        .map(|path| comparable(plain(path).as_bytes()))
        .collect()
}

fn plain(path: &str) -> String {
    let parts = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | "*" | "**" | "*.*"));
    let joined = parts.collect::<Vec<_>>().join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}

/// Expands the first `{a,b}` of a word.
fn braces(word: &str) -> Vec<String> {
    let inside = word.split_once('{').and_then(|(head, rest)| {
        let (inside, tail) = rest.split_once('}')?;
        (!head.ends_with('$') && inside.contains(',')).then_some((head, inside, tail))
    });
    match inside {
        Some((head, inside, tail)) if word.len() <= 512 => inside
            .split(',')
            .take(16)
            .map(|part| format!("{head}{part}{tail}"))
            .collect(),
        _ => vec![word.to_owned()],
    }
}

/// Shows a command as its words, those with blanks in quotes.
pub(super) fn shown(command: &Command) -> String {
    let words = command.words.iter().map(|word| {
        if word.is_empty() || word.contains(char::is_whitespace) {
            format!("'{word}'")
        } else {
            word.clone()
        }
    });
    let mut text = words.collect::<Vec<_>>().join(" ");
    for (operator, files) in [("<", &command.reads), (">", &command.writes)] {
        for file in files {
            text.push_str(&format!(" {operator} {file}"));
        }
    }
    text
}
