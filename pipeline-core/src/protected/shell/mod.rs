//! A reader for command lines as shells take them: enough to see which programs would run with which words.
//!
//! It is no shell: it runs nothing, knows only variables whose value stands in the same text, and reads
//! every branch. Where it cannot know a value it keeps the expression (`$HOME`). Its work is bounded; a text
//! that passes the bound is reported as [`Reading::complete`] `== false` and is then read flat by the caller.

mod reader;
mod unwrap;
mod word;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::data::WrapperRule;
use super::programs::ByProgram;

/// One program call, quotes removed, wrappers such as `sudo` and `sh -c` looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// The program and its arguments; never empty.
    pub(super) words: Vec<String>,
    /// What is known of its standard input: here-documents, piped `echo`s.
    pub(super) stdin: Vec<String>,
    /// Files its input is read from.
    pub(super) reads: Vec<String>,
    /// Files its output is written to.
    pub(super) writes: Vec<String>,
    /// Program text given to an interpreter.
    pub(super) code: Vec<String>,
    /// Where it stands in the outermost text, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

impl Command {
    /// Returns the name of the program without its folder.
    pub(super) fn program(&self) -> &str {
        base_name(self.words.first().map_or("", String::as_str))
    }
}

/// The programs that run other programs.
#[derive(Debug, Clone, Default)]
pub(super) struct Wrappers {
    rules: Vec<WrapperRule>,
    index: ByProgram,
}

impl Wrappers {
    pub(super) fn new(rules: Vec<WrapperRule>) -> Self {
        let index = ByProgram::new(rules.iter().map(|rule| &rule.run));
        Self { rules, index }
    }

    /// Says whether a program of this name may run another one.
    pub(super) fn names(&self, program: &str) -> bool {
        self.index.names(program)
    }

    /// Returns the first rule about a call, and where its arguments begin.
    fn matching(&self, words: &[String]) -> Option<(&WrapperRule, usize)> {
        let (rule, first) = self.index.matching(words).into_iter().next()?;
        Some((self.rules.get(rule)?, first))
    }
}

/// Everything that was found in a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) commands: Vec<Command>,
    /// Whether the whole text was read.
    pub(super) complete: bool,
}

/// Reads a text as a shell script.
pub(super) fn read(text: &str, wrappers: &Wrappers) -> Reading {
    let mut state = State::new(text.len(), wrappers);
    reader::script(text.as_bytes(), &mut state, Place::Outermost);
    Reading {
        commands: state.commands,
        complete: state.complete,
    }
}

/// Reads the arguments of one program call, as an operating system takes them.
pub(super) fn read_argv(argv: &[String], wrappers: &Wrappers) -> Reading {
    let size = argv.iter().map(String::len).sum();
    let mut state = State::new(size, wrappers);
    if !argv.is_empty() {
        let command = Command {
            words: argv.to_vec(),
            end: size,
            ..Command::default()
        };
        unwrap::add(command, &mut state);
    }
    Reading {
        commands: state.commands,
        complete: state.complete,
    }
}

/// Deeper nesting than people write; beyond it the text is read flat.
const MAX_DEPTH: usize = 24;
const MAX_COMMANDS: usize = 20_000;
const MAX_VALUE: usize = 4096;
const MAX_VARIABLES: usize = 256;

/// What one reading shares over all levels of nesting.
#[derive(Debug)]
struct State<'w> {
    wrappers: &'w Wrappers,
    commands: Vec<Command>,
    variables: HashMap<String, Value>,
    /// Bytes that may still be read, over all levels.
    budget: usize,
    depth: usize,
    complete: bool,
}

#[derive(Debug, Clone)]
struct Value {
    text: String,
    /// A loop variable stands for each of its words.
    is_list: bool,
}

impl<'w> State<'w> {
    fn new(size: usize, wrappers: &'w Wrappers) -> Self {
        Self {
            wrappers,
            commands: Vec::new(),
            variables: HashMap::new(),
            budget: size.saturating_mul(4).saturating_add(65_536),
            depth: 0,
            complete: true,
        }
    }

    /// Takes `bytes` from the budget; `false` once it is used up.
    fn spend(&mut self, bytes: usize) -> bool {
        match self.budget.checked_sub(bytes) {
            Some(left) if self.commands.len() < MAX_COMMANDS => {
                self.budget = left;
                true
            }
            _ => {
                self.complete = false;
                false
            }
        }
    }

    /// Goes one level down; `false` if that is too deep.
    fn descend(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.complete = false;
            return false;
        }
        self.depth += 1;
        true
    }

    fn ascend(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn assign(&mut self, name: &str, text: String, is_list: bool) {
        if text.len() <= MAX_VALUE && self.variables.len() < MAX_VARIABLES {
            self.variables
                .insert(name.to_owned(), Value { text, is_list });
        } else {
            self.variables.remove(name);
        }
    }
}

/// Where the text being read stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It is the outermost text: offsets are its own.
    Outermost,
    /// It was found in the outermost text between these offsets.
    Within(usize, usize),
}

/// Returns the last part of a path, without the ending Windows adds to programs.
pub(super) fn base_name(program: &str) -> &str {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name)
}
