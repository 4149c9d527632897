//! Words: quotes, escapes, variables and substitutions.

use super::MAX_VALUE;
use super::Place;
use super::State;
use super::reader;

/// One word after expansion; an unquoted variable may make several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Whether any part stood in quotes, so that it is no reserved word, assignment or comment.
    pub(super) is_quoted: bool,
}

/// Collects the fields of one word.
#[derive(Debug, Default)]
struct Fields {
    done: Vec<Field>,
    bytes: Vec<u8>,
    is_quoted: bool,
}

impl Fields {
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn split(&mut self) {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned();
        self.done.push(Field {
            text,
            is_quoted: self.is_quoted,
        });
    }

    fn finish(mut self) -> Vec<Field> {
        if !self.bytes.is_empty() || self.is_quoted {
            self.split();
        }
        self.done
    }
}

/// Reads one word from `at` and moves past it.
pub(super) fn read(text: &[u8], at: &mut usize, state: &mut State<'_>, place: Place) -> Vec<Field> {
    let mut fields = Fields::default();
    while let Some(byte) = text.get(*at).copied() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')' => break,
            b'\\' => {
                match text.get(*at + 1).copied() {
                    Some(b'\n') => {}
                    Some(escaped) => {
                        fields.is_quoted = true;
                        fields.push(escaped);
                    }
                    None => fields.push(b'\\'),
                }
                *at += 2;
            }
            b'\'' => {
                fields.is_quoted = true;
                *at += 1;
                single_quoted(text, at, &mut fields);
            }
            b'"' => {
                fields.is_quoted = true;
                *at += 1;
                double_quoted(text, at, state, place, &mut fields);
            }
            b'`' => backquoted(text, at, state, place, &mut fields),
            b'$' => dollar(text, at, state, place, &mut fields, false),
            _ => {
                fields.push(byte);
                *at += 1;
            }
        }
    }
    *at = (*at).min(text.len());
    fields.finish()
}

fn single_quoted(text: &[u8], at: &mut usize, fields: &mut Fields) {
    let rest = text.get(*at..).unwrap_or_default();
    let end = memchr::memchr(b'\'', rest).unwrap_or(rest.len());
    fields.extend(rest.get(..end).unwrap_or_default());
    *at += end + 1;
}

fn double_quoted(
    text: &[u8],
    at: &mut usize,
    state: &mut State<'_>,
    place: Place,
    fields: &mut Fields,
) {
    while let Some(byte) = text.get(*at).copied() {
        match byte {
            b'"' => {
                *at += 1;
                return;
            }
            b'\\' => {
                match text.get(*at + 1).copied() {
                    Some(b'\n') => {}
                    Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => fields.push(escaped),
                    Some(other) => fields.extend(&[b'\\', other]),
                    None => fields.push(b'\\'),
                }
                *at += 2;
            }
            b'`' => backquoted(text, at, state, place, fields),
            b'$' => dollar(text, at, state, place, fields, true),
            _ => {
                fields.push(byte);
                *at += 1;
            }
        }
    }
}

fn backquoted(
    text: &[u8],
    at: &mut usize,
    state: &mut State<'_>,
    place: Place,
    fields: &mut Fields,
) {
    let start = *at;
    *at += 1;
    let mut inner = Vec::new();
    while let Some(byte) = text.get(*at).copied() {
        *at += 1;
        match byte {
            b'`' => break,
            b'\\' => {
                if let Some(escaped) = text.get(*at).copied() {
                    inner.push(escaped);
                    *at += 1;
                }
            }
            _ => inner.push(byte),
        }
    }
    let within = match place {
        Place::Outermost => Place::Within(start, (*at).min(text.len())),
        within @ Place::Within(..) => within,
    };
    let first = state.commands.len();
    if state.descend() {
        reader::script(&inner, state, within);
        state.ascend();
    }
    fields.extend(output_of(state, first).as_bytes());
}

/// Reads what begins with `$`.
fn dollar(
    text: &[u8],
    at: &mut usize,
    state: &mut State<'_>,
    place: Place,
    fields: &mut Fields,
    in_quotes: bool,
) {
    match text.get(*at + 1).copied() {
        Some(b'(') => {
            // `$((…))` is arithmetic, but what it contains is read alike: nothing is lost by that.
            *at += 2;
            let first = state.commands.len();
            if state.descend() {
                reader::until_parenthesis(text, at, state, place);
                state.ascend();
            } else {
                *at = text.len();
            }
            fields.extend(output_of(state, first).as_bytes());
        }
        Some(b'{') => {
            let rest = text.get(*at + 2..).unwrap_or_default();
            let end = memchr::memchr2(b'}', b'\n', rest).unwrap_or(rest.len());
            let inside = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
            let name_end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
            let (name, operation) = inside.split_at(name_end);
            let fallback = [":-", "-", ":=", "="]
                .into_iter()
                .find_map(|operator| operation.strip_prefix(operator));
            variable(name, fallback, state, fields, in_quotes);
            *at += 2 + end + 1;
        }
        Some(b'\'') if !in_quotes => {
            fields.is_quoted = true;
            *at += 2;
            ansi_quoted(text, at, fields);
        }
        Some(b'"') if !in_quotes => *at += 1,
        Some(byte) if byte == b'_' || byte.is_ascii_alphabetic() => {
            let rest = text.get(*at + 1..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|byte| !is_name(char::from(*byte)))
                .unwrap_or(rest.len());
            let name = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
            variable(&name, None, state, fields, in_quotes);
            *at += 1 + end;
        }
        _ => {
            fields.push(b'$');
            *at += 1;
        }
    }
}

fn is_name(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

fn variable(
    name: &str,
    fallback: Option<&str>,
    state: &mut State<'_>,
    fields: &mut Fields,
    in_quotes: bool,
) {
    let known = state.variables.get(name).cloned();
    let (text, is_list) = match (known, fallback) {
        (Some(value), _) => (value.text, value.is_list),
        (None, Some(fallback)) => (fallback.to_owned(), false),
        (None, None) => (format!("${name}"), false),
    };
    if !state.spend(text.len()) || fields.bytes.len() + text.len() > MAX_VALUE {
        fields.extend(format!("${name}").as_bytes());
        return;
    }
    if in_quotes && !is_list {
        fields.extend(text.as_bytes());
        return;
    }
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        fields.extend(word.as_bytes());
        if words.peek().is_some() {
            fields.split();
        }
    }
}

/// Reads `$'…'` with the escapes that can hide a word.
fn ansi_quoted(text: &[u8], at: &mut usize, fields: &mut Fields) {
    while let Some(byte) = text.get(*at).copied() {
        *at += 1;
        if byte == b'\'' {
            return;
        }
        if byte != b'\\' {
            fields.push(byte);
            continue;
        }
        let Some(escape) = text.get(*at).copied() else {
            return;
        };
        *at += 1;
        let number = |radix: u32, most: usize, at: &mut usize| {
            let digits: String = text
                .get(*at..)
                .unwrap_or_default()
                .iter()
                .map(|digit| char::from(*digit))
                .take(most)
                .take_while(|digit| digit.is_digit(radix))
                .collect();
            *at += digits.len();
            u32::from_str_radix(&digits, radix).unwrap_or(0)
        };
        let value = match escape {
            b'n' => u32::from(b'\n'),
            b't' => u32::from(b'\t'),
            b'r' => u32::from(b'\r'),
            b'e' | b'E' => 0x1b,
            b'x' => number(16, 2, at),
            b'u' => number(16, 4, at),
            b'U' => number(16, 8, at),
            b'0'..=b'7' => {
                *at -= 1;
                number(8, 3, at)
            }
            other => u32::from(other),
        };
        let character = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
        fields.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Returns what a substitution prints, where that stands in it.
fn output_of(state: &State<'_>, first: usize) -> String {
    let commands = state.commands.get(first..).unwrap_or_default();
    let text = match commands {
        [only] => printed(only),
        _ => None,
    };
    text.filter(|text| text.len() <= MAX_VALUE)
        .unwrap_or_else(|| "$()".to_owned())
}

/// Returns what a command prints, if its words say so.
pub(super) fn printed(command: &super::Command) -> Option<String> {
    let arguments = command.words.get(1..).unwrap_or_default();
    match command.program() {
        "echo" | "printf" => {
            let words = arguments.iter().skip_while(|word| {
                matches!(
                    word.as_str(),
                    "-e" | "-n" | "-ne" | "-en" | "--" | "%s" | "%s\\n"
                )
            });
            Some(words.cloned().collect::<Vec<_>>().join(" "))
        }
        "cat" if arguments.iter().all(|word| word == "-") && !command.stdin.is_empty() => {
            Some(command.stdin.join("\n"))
        }
        _ => None,
    }
}
