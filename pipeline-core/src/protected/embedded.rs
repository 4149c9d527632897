//! Commands that stand in text which is no shell script: literals, lists of words, recipes.

use regex::Regex;

use super::find::Accept;
use super::shell::Wrappers;

/// A place where a program is named, with what would be its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) words: Words,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Words {
    /// The text of a command line.
    Line(String),
    /// Literals that stand in a list: `["git", "push"]`, `Command("git").arg("push")`.
    List(Vec<String>),
}

/// A call reads past this many further program names, which bounds the work on a hostile line.
const MAX_NAMES: usize = 6;
const MAX_BEFORE: usize = 160;
const MAX_LIST: usize = 48;
const MAX_LIST_BYTES: usize = 2048;

/// Finds the calls in a text. The work is linear: each call ends at the end of its literal or line.
pub(super) fn calls(text: &str, anchors: &Regex, wrappers: &Wrappers, accept: Accept) -> Vec<Call> {
    let names = names(text, anchors);
    let mut calls = Vec::new();
    let mut line = Line::default();
    for (index, &(start, name_end)) in names.iter().enumerate() {
        line.move_to(text, start);
        let most = names
            .get(index + MAX_NAMES)
            .map_or(text.len(), |next| next.0);
        let literal = line.literal_around(text, start, most);
        if accept == Accept::Positions && !may_begin(text, &line, literal, start, wrappers) {
            continue;
        }
        if let Some((quote, from)) = literal
            && from == start
            && text
                .get(name_end..)
                .is_some_and(|rest| rest.starts_with(quote))
        {
            if let Some((words, end)) = list(text, start, name_end + 1, most) {
                calls.push(Call {
                    words: Words::List(words),
                    start,
                    end,
                });
            }
            continue;
        }
        let end = match literal {
            Some((quote, _)) => closing(text, start, quote, most),
            None => logical_line_end(text, start, most),
        };
        // What stands behind the separator has names of its own.
        let end = start + first_separator(text.get(start..end).unwrap_or_default());
        let line = text.get(start..end).unwrap_or_default();
        calls.push(Call {
            words: Words::Line(unescape(line, literal)),
            start,
            end,
        });
    }
    calls
}

/// Returns where program names begin and end.
fn names(text: &str, anchors: &Regex) -> Vec<(usize, usize)> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(found) = anchors.find_at(text, at) {
        // One mark may stand on either side of the name; the one behind may stand before the next name.
        let start = found.start() + usize::from(found.as_str().starts_with(is_mark));
        let end = found.end() - usize::from(found.as_str().ends_with(is_mark));
        if end <= start {
            break;
        }
        names.push((start, end));
        at = end;
    }
    names
}

/// The marks between which a program's name stands.
fn is_mark(character: char) -> bool {
    character.is_ascii_whitespace() || r#""'`(;|&=[{>@,:)]}"#.contains(character)
}

/// The line a name stands in, and the literals on it up to the name.
#[derive(Debug, Default)]
struct Line {
    start: usize,
    scanned: usize,
    /// The quote of the literal that is open at `scanned`, and where its content begins.
    open: Option<(char, usize)>,
}

impl Line {
    fn move_to(&mut self, text: &str, at: usize) {
        let between = text.get(self.scanned..at).unwrap_or_default();
        if let Some(newline) = between.rfind('\n') {
            let start = self.scanned + newline + 1;
            *self = Self {
                start,
                scanned: start,
                open: None,
            };
        }
        let mut escaped = false;
        for (offset, character) in text
            .get(self.scanned..at)
            .unwrap_or_default()
            .char_indices()
        {
            let place = self.scanned + offset + 1;
            if escaped {
                escaped = false;
                continue;
            }
            match (character, self.open) {
                ('\\', _) => escaped = true,
                ('"' | '\'' | '`', None) => self.open = Some((character, place)),
                (quote, Some((open, _))) if quote == open => self.open = None,
                _ => {}
            }
        }
        self.scanned = at;
    }

    /// Returns the quote and start of the literal around a place, if it is closed on the same line.
    fn literal_around(&self, text: &str, at: usize, most: usize) -> Option<(char, usize)> {
        let (quote, from) = self.open?;
        let rest = text.get(at..most).unwrap_or_default();
        let first = rest.find([quote, '\n']).and_then(|end| rest.get(end..));
        first
            .is_some_and(|rest| rest.starts_with(quote))
            .then_some((quote, from))
    }
}

/// Says whether a command can begin here: behind nothing but marks, options, assignments and wrappers.
fn may_begin(
    text: &str,
    line: &Line,
    literal: Option<(char, usize)>,
    at: usize,
    wrappers: &Wrappers,
) -> bool {
    let from = literal.map_or(line.start, |(_, from)| from);
    // Nothing that far back is part of the same command, and a long line must not be read again and again.
    let mut from = from.max(at.saturating_sub(MAX_BEFORE));
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..at).unwrap_or_default();
    let before = before
        .rsplit([';', '|', '&', '(', '`', '{', '"', '\''])
        .next()
        .unwrap_or_default();
    let mut words = before.split_whitespace().peekable();
    let wraps = |word: &str| wrappers.names(word);
    // Behind a wrapper its own words may stand: `ssh host rm`, `docker exec db psql`.
    if words
        .peek()
        .is_some_and(|word| wraps(word.trim_start_matches('@')))
    {
        return true;
    }
    words.all(|word| {
        word.starts_with('-')
            || word.ends_with(':')
            || word.contains('=')
            || wraps(word.trim_start_matches('@'))
            || word.chars().all(|c| !c.is_alphabetic())
            || matches!(
                word,
                "RUN"
                    | "CMD"
                    | "ENTRYPOINT"
                    | "then"
                    | "do"
                    | "else"
                    | "if"
                    | "while"
                    | "until"
                    | "run"
                    | "script"
                    | "command"
                    | "shell"
                    | "sh"
                    | "@echo"
                    | "call"
                    | "start"
            )
    })
}

/// Returns where the literal ends, or where reading stops.
fn closing(text: &str, from: usize, quote: char, most: usize) -> usize {
    let mut escaped = false;
    for (offset, character) in text.get(from..most).unwrap_or_default().char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return from + offset;
        }
    }
    most
}

/// Returns where a line ends, counting `\` at its end as a continuation.
fn logical_line_end(text: &str, from: usize, most: usize) -> usize {
    let mut at = from;
    while let Some(offset) = text.get(at..most).and_then(|rest| rest.find('\n')) {
        let end = at + offset;
        let line = text.get(at..end).unwrap_or_default();
        if !line.trim_end_matches('\r').ends_with('\\') {
            return end;
        }
        at = end + 1;
    }
    most
}

/// Returns where the first `;`, `&&` or `||` outside quotes stands, or the length of the line.
fn first_separator(line: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, character) {
            (_, '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None, ';') => return at,
            (None, '&' | '|')
                if line
                    .get(at + 1..)
                    .is_some_and(|rest| rest.starts_with(character)) =>
            {
                return at;
            }
            _ => {}
        }
    }
    line.len()
}

/// Removes the escapes of the literal, so that `\"` reaches the shell reader as a quote.
fn unescape(line: &str, literal: Option<(char, usize)>) -> String {
    match literal {
        Some((quote, _)) => line.replace(&format!("\\{quote}"), &quote.to_string()),
        None => line.to_owned(),
    }
}

/// Collects the literals that follow one another up to the end of the statement.
fn list(text: &str, start: usize, from: usize, most: usize) -> Option<(Vec<String>, usize)> {
    let name_end = from.checked_sub(1)?;
    // `"name": …` is an entry of a table, not the head of a list.
    if !text.get(from..most)?.trim_start().starts_with([',', ')']) {
        return None;
    }
    let mut words = vec![text.get(start..name_end)?.to_owned()];
    let mut end = from;
    let mut literal: Option<(char, String)> = None;
    let mut blank_lines = 0;
    for (offset, character) in text.get(from..most)?.char_indices() {
        if offset > MAX_LIST_BYTES || words.len() >= MAX_LIST {
            break;
        }
        end = from + offset + character.len_utf8();
        match (&mut literal, character) {
            (Some((quote, word)), character) if *quote == character => {
                words.push(std::mem::take(word));
                literal = None;
            }
            (Some((_, word)), character) => word.push(character),
            (None, '"' | '\'') => literal = Some((character, String::new())),
            (None, ';' | '}') => break,
            (None, '\n') => {
                blank_lines += 1;
                if blank_lines > MAX_LIST {
                    break;
                }
            }
            (None, _) => {}
        }
    }
    (words.len() > 1).then_some((words, end))
}
