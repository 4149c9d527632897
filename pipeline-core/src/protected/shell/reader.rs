//! Commands: separators, redirections, here-documents and the words that steer a script.

use super::Command;
use super::Place;
use super::State;
use super::unwrap;
use super::word;
use super::word::Field;

/// Reads a whole text.
pub(super) fn script(text: &[u8], state: &mut State<'_>, place: Place) {
    let mut at = 0;
    if state.spend(text.len()) {
        Reader::new(text, place).run(&mut at, state, false);
    }
}

/// Reads up to the `)` that ends a substitution, and moves past it.
pub(super) fn until_parenthesis(text: &[u8], at: &mut usize, state: &mut State<'_>, place: Place) {
    Reader::new(text, place).run(at, state, true);
}

/// A here-document whose body has not come yet.
#[derive(Debug)]
struct Pending {
    delimiter: String,
    strips_tabs: bool,
    /// The command it belongs to: by its place in the list, or the one being read.
    owner: Option<usize>,
}

/// What the next word is, seen from the words before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Anything,
    /// The variable of a `for`.
    LoopVariable,
    /// The words of a `for … in`.
    LoopWords,
    /// The word of a `case`, up to its `in`.
    CaseWord,
    /// The name of a `function`.
    FunctionName,
}

#[derive(Debug)]
struct Reader<'t> {
    text: &'t [u8],
    place: Place,
    current: Command,
    assignments: Vec<(String, String)>,
    started: Option<usize>,
    pending: Vec<Pending>,
    expect: Expect,
    loop_variable: String,
    loop_words: Vec<String>,
    /// The text that the command before a `|` prints, and the folders it walks.
    piped: Option<String>,
    parentheses: usize,
    /// Commands whose output flows into another one, while their own input is still to come.
    flows: Vec<(usize, usize)>,
    /// The last of them, until the command behind its `|` is known.
    flowing: Option<usize>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8], place: Place) -> Self {
        Self {
            text,
            place,
            current: Command::default(),
            assignments: Vec::new(),
            started: None,
            pending: Vec::new(),
            expect: Expect::Anything,
            loop_variable: String::new(),
            loop_words: Vec::new(),
            piped: None,
            parentheses: 0,
            flows: Vec::new(),
            flowing: None,
        }
    }

    fn run(&mut self, at: &mut usize, state: &mut State<'_>, stops_at_parenthesis: bool) {
        while let Some(byte) = self.text.get(*at).copied() {
            match byte {
                b' ' | b'\t' | b'\r' => *at += 1,
                b'\\' if self.text.get(*at + 1) == Some(&b'\n') => *at += 2,
                b'#' => self.skip_line(at),
                b'\n' => {
                    self.end(*at, state, false);
                    *at += 1;
                    self.here_documents(at, state);
                }
                b';' => {
                    self.end(*at, state, false);
                    *at += 1;
                }
                b'&' if self.text.get(*at + 1) == Some(&b'>') => {
                    *at += 1;
                    self.redirection(at, state);
                }
                b'&' => {
                    self.end(*at, state, false);
                    *at += 1;
                }
                b'|' => {
                    let is_pipe = self.text.get(*at + 1) != Some(&b'|');
                    self.end(*at, state, is_pipe);
                    *at += if is_pipe { 1 } else { 2 };
                }
                b'(' => {
                    self.end(*at, state, false);
                    self.parentheses += 1;
                    *at += 1;
                }
                b')' => {
                    self.end(*at, state, false);
                    *at += 1;
                    if self.parentheses == 0 && stops_at_parenthesis {
                        self.look_through_waiting(state);
                        return;
                    }
                    self.parentheses = self.parentheses.saturating_sub(1);
                }
                b'<' | b'>' => self.redirection(at, state),
                _ => {
                    let start = *at;
                    let fields = word::read(self.text, at, state, self.place);
                    if *at == start {
                        // A byte no rule takes cannot exist, but a reader must move in any case.
                        *at += 1;
                    }
                    self.word(start, *at, fields, state);
                }
            }
            if !state.complete {
                return;
            }
        }
        self.end(self.text.len(), state, false);
        self.look_through_waiting(state);
    }

    fn word(&mut self, start: usize, end: usize, fields: Vec<Field>, state: &mut State<'_>) {
        // `2>file`: the digits name a stream.
        let is_stream = matches!(self.text.get(end), Some(b'<' | b'>'))
            && fields
                .iter()
                .all(|field| field.text.bytes().all(|byte| byte.is_ascii_digit()));
        if is_stream {
            return;
        }
        self.started.get_or_insert(start);
        for field in fields {
            self.field(field, state);
        }
    }

    fn field(&mut self, field: Field, state: &mut State<'_>) {
        match self.expect {
            Expect::LoopVariable => {
                self.loop_variable = field.text;
                self.expect = Expect::LoopWords;
                return;
            }
            Expect::LoopWords => {
                match field.text.as_str() {
                    "in" if self.loop_words.is_empty() && !field.is_quoted => {}
                    "do" if !field.is_quoted => self.begin_loop(state),
                    _ => self.loop_words.push(field.text),
                }
                return;
            }
            Expect::CaseWord => {
                if field.text == "in" {
                    self.forget();
                }
                return;
            }
            Expect::FunctionName => {
                self.forget();
                return;
            }
            Expect::Anything => {}
        }
        if !self.current.words.is_empty() {
            self.current.words.push(field.text);
            return;
        }
        if field.is_quoted {
            if let Some((name, value)) = assignment(&field.text) {
                self.assignments.push((name.to_owned(), value.to_owned()));
            } else {
                self.current.words.push(field.text);
            }
            return;
        }
        match field.text.as_str() {
            "if" | "then" | "elif" | "else" | "fi" | "do" | "done" | "while" | "until" | "esac"
            | "!" | "{" | "}" | "coproc" => self.started = None,
            "for" | "select" => self.expect = Expect::LoopVariable,
            "case" => self.expect = Expect::CaseWord,
            "function" => self.expect = Expect::FunctionName,
            text => match assignment(text) {
                Some((name, value)) => self.assignments.push((name.to_owned(), value.to_owned())),
                None => self.current.words.push(field.text),
            },
        }
    }

    fn begin_loop(&mut self, state: &mut State<'_>) {
        let words = std::mem::take(&mut self.loop_words).join(" ");
        let name = std::mem::take(&mut self.loop_variable);
        state.assign(&name, words, true);
        self.forget();
    }

    fn forget(&mut self) {
        self.expect = Expect::Anything;
        self.started = None;
    }

    /// Ends the command that is being read.
    fn end(&mut self, at: usize, state: &mut State<'_>, is_pipe: bool) {
        match self.expect {
            Expect::LoopWords => self.begin_loop(state),
            Expect::Anything => {}
            Expect::LoopVariable | Expect::CaseWord | Expect::FunctionName => self.forget(),
        }
        let mut command = std::mem::take(&mut self.current);
        let assignments = std::mem::take(&mut self.assignments);
        let start = self.started.take().unwrap_or(at);
        if let Some(piped) = self.piped.take() {
            command.stdin.push(piped);
        }
        if command.words.is_empty() {
            for (name, value) in assignments {
                state.assign(&name, value, false);
            }
            return;
        }
        (command.start, command.end) = match self.place {
            Place::Outermost => (start, at),
            Place::Within(start, end) => (start, end),
        };
        if is_declaration(command.program()) {
            for (name, value) in command.words.iter().filter_map(|word| assignment(word)) {
                state.assign(name, value.to_owned(), false);
            }
        }
        if is_pipe {
            self.piped = word::printed(&command).or_else(|| walked(&command));
        }
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.owner.is_none())
        {
            pending.owner = Some(state.commands.len());
        }
        if self.pending.is_empty() {
            unwrap::add(command, state);
        } else {
            // Its input is still to come, and a wrapper passes its input on: so it is looked through later.
            let index = state.commands.len();
            self.flows
                .extend(self.flowing.take().map(|from| (from, index)));
            self.flowing = is_pipe.then_some(index);
            state.commands.push(command);
        }
    }

    fn redirection(&mut self, at: &mut usize, state: &mut State<'_>) {
        let rest = self.text.get(*at..).unwrap_or_default();
        let (operator, length) = [
            "<<<", "<<-", "<<", "<(", ">(", "<>", "<&", ">>", ">&", ">|", "<", ">",
        ]
        .into_iter()
        .find(|operator| rest.starts_with(operator.as_bytes()))
        .map_or(("", 1), |operator| (operator, operator.len()));
        *at += length;
        if matches!(operator, "<(" | ">(") {
            if state.descend() {
                until_parenthesis(self.text, at, state, self.place);
                state.ascend();
            } else {
                *at = self.text.len();
            }
            return;
        }
        while matches!(self.text.get(*at), Some(b' ' | b'\t')) {
            *at += 1;
        }
        let fields = word::read(self.text, at, state, self.place);
        let target = fields
            .into_iter()
            .map(|field| field.text)
            .collect::<Vec<_>>()
            .join(" ");
        match operator {
            "<<" | "<<-" => self.pending.push(Pending {
                delimiter: target,
                strips_tabs: operator == "<<-",
                owner: None,
            }),
            "<<<" => self.current.stdin.push(target),
            "<" => self.current.reads.push(target),
            // `2>&1` and `>&-` write no file.
            ">&" if target == "-" || target.bytes().all(|byte| byte.is_ascii_digit()) => {}
            ">" | ">>" | ">|" | ">&" | "<>" => self.current.writes.push(target),
            _ => {}
        }
    }

    /// Reads the bodies of here-documents that were announced on the line before.
    fn here_documents(&mut self, at: &mut usize, state: &mut State<'_>) {
        for document in &self.pending {
            let mut body = Vec::new();
            while let Some(rest) = self.text.get(*at..).filter(|rest| !rest.is_empty()) {
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let line = rest.get(..end).unwrap_or_default();
                *at = (*at + end + 1).min(self.text.len());
                let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
                let line = if document.strips_tabs {
                    line.get(tabs..).unwrap_or_default()
                } else {
                    line
                };
                if line.strip_suffix(b"\r").unwrap_or(line) == document.delimiter.as_bytes() {
                    break;
                }
                body.extend_from_slice(line);
                body.push(b'\n');
            }
            let owner = document
                .owner
                .and_then(|owner| state.commands.get_mut(owner));
            if let Some(owner) = owner {
                owner
                    .stdin
                    .push(String::from_utf8_lossy(&body).into_owned());
                owner.end = owner.end.max(match self.place {
                    Place::Outermost => *at,
                    Place::Within(_, end) => end,
                });
            }
        }
        self.look_through_waiting(state);
    }

    /// Looks through the wrappers among the commands that waited for their input.
    fn look_through_waiting(&mut self, state: &mut State<'_>) {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.iter().filter_map(|pending| pending.owner).min() else {
            return;
        };
        for (from, to) in self.flows.drain(..) {
            let printed = state.commands.get(from).and_then(word::printed);
            if let (Some(text), Some(command)) = (printed, state.commands.get_mut(to)) {
                command.stdin.push(text);
            }
        }
        self.flowing = None;
        let waiting = state.commands.split_off(first.min(state.commands.len()));
        for command in waiting {
            unwrap::add(command, state);
        }
    }

    fn skip_line(&self, at: &mut usize) {
        let rest = self.text.get(*at..).unwrap_or_default();
        *at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }
}

/// Splits `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let mut characters = name.chars();
    let starts = characters
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
    (starts && characters.all(|c| c == '_' || c.is_ascii_alphanumeric())).then_some((name, value))
}

fn is_declaration(program: &str) -> bool {
    matches!(
        program,
        "export" | "declare" | "typeset" | "local" | "readonly" | "set" | "let"
    )
}

/// Returns the folders that a `find` or `ls` prints names from.
fn walked(command: &Command) -> Option<String> {
    if !matches!(command.program(), "find" | "ls" | "fd") {
        return None;
    }
    // The paths of `find` stand before its tests, those of `ls` behind its options.
    let arguments = command
        .words
        .iter()
        .skip(1)
        .skip_while(|word| word.starts_with('-'));
    let paths = arguments.take_while(|word| !word.starts_with('-'));
    // A name below each folder, so that the folder itself stays recognisable.
    Some(
        paths
            .take(8)
            .map(|path| format!("{}/*", path.trim_end_matches('/')))
            .collect::<Vec<_>>()
            .join(" "),
    )
}
