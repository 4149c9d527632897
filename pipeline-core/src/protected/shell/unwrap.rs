//! Looking through programs that run other programs.

use super::Command;
use super::Place;
use super::State;
use super::reader;
use crate::protected::data::Then;
use crate::protected::data::WrapperRule;

/// Adds a command, and whatever it runs.
pub(super) fn add(command: Command, state: &mut State<'_>) {
    let size = command.words.iter().map(String::len).sum::<usize>();
    if command.words.is_empty() || !state.spend(size) {
        return;
    }
    let wrappers = state.wrappers;
    let matching = wrappers.matching(&command.words);
    let Some((rule, first)) = matching else {
        state.commands.push(command);
        return;
    };
    let found = inner(rule, first, &command);
    let place = Place::Within(command.start, command.end);
    let stdin = command.stdin.clone();
    let mut command = command;
    match found {
        Inner::Nothing => state.commands.push(command),
        Inner::Code(code) => {
            command.code = code;
            if command.code.is_empty() {
                command.code = stdin;
            }
            state.commands.push(command);
        }
        Inner::Commands(lists) => {
            let template = Command {
                words: Vec::new(),
                ..command.clone()
            };
            state.commands.push(command);
            for words in lists {
                if state.descend() {
                    add(
                        Command {
                            words,
                            ..template.clone()
                        },
                        state,
                    );
                    state.ascend();
                }
            }
        }
        Inner::Scripts(scripts) => {
            state.commands.push(command);
            for script in scripts {
                if state.descend() {
                    let before = state.commands.len();
                    reader::script(script.as_bytes(), state, place);
                    state.ascend();
                    // What flows into the wrapper flows into the first program it runs.
                    if let Some(first) = state.commands.get_mut(before) {
                        first.stdin.extend(stdin.iter().cloned());
                    }
                }
            }
        }
    }
}

/// What a wrapper runs.
enum Inner {
    Nothing,
    Commands(Vec<Vec<String>>),
    Scripts(Vec<String>),
    Code(Vec<String>),
}

fn inner(rule: &WrapperRule, first: usize, command: &Command) -> Inner {
    let words = command.words.get(first..).unwrap_or_default();
    match rule.then {
        Then::Command => {
            let start = operands(rule, words);
            let mut list = words.get(start..).unwrap_or_default().to_vec();
            if list.is_empty() {
                return Inner::Nothing;
            }
            if rule.takes_input {
                let input = command
                    .stdin
                    .iter()
                    .flat_map(|text| text.split_whitespace());
                list.extend(input.take(64).map(str::to_owned));
            }
            Inner::Commands(vec![list])
        }
        Then::AfterDashes => match words.iter().position(|word| word == "--") {
            Some(dashes) => non_empty(words.get(dashes + 1..).unwrap_or_default()),
            None => non_empty(words.get(operands(rule, words)..).unwrap_or_default()),
        },
        Then::Line => {
            let line = words
                .get(operands(rule, words)..)
                .unwrap_or_default()
                .join(" ");
            if line.is_empty() {
                input_script(rule, command)
            } else {
                Inner::Scripts(vec![line])
            }
        }
        Then::Word => match words.get(operands(rule, words)) {
            Some(script) => Inner::Scripts(vec![script.clone()]),
            None => Inner::Nothing,
        },
        Then::Option => {
            let scripts = option_values(rule, words);
            if scripts.is_empty() {
                input_script(rule, command)
            } else {
                Inner::Scripts(scripts)
            }
        }
        Then::Code => Inner::Code(option_values(rule, words)),
        Then::Exec => exec_lists(rule, words),
    }
}

/// A shell without a script reads its input.
fn input_script(rule: &WrapperRule, command: &Command) -> Inner {
    if rule.takes_input && !command.stdin.is_empty() {
        return Inner::Scripts(command.stdin.clone());
    }
    Inner::Nothing
}

fn non_empty(words: &[String]) -> Inner {
    if words.is_empty() {
        Inner::Nothing
    } else {
        Inner::Commands(vec![words.to_vec()])
    }
}

/// Returns where the wrapped command begins: behind options, their values, assignments and skipped words.
fn operands(rule: &WrapperRule, words: &[String]) -> usize {
    let mut skip = rule.skip;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            at += 1;
            if skip == 0 {
                break;
            }
        } else if word.len() > 1 && word.starts_with('-') {
            at += if rule.values.contains(word) { 2 } else { 1 };
        } else if reader::assignment(word).is_some() {
            at += 1;
        } else if skip > 0 {
            skip -= 1;
            at += 1;
        } else {
            break;
        }
    }
    at
}

/// Returns the values of the options that carry a script: `-c 'x'`, `-lc 'x'`, `--command=x`.
fn option_values(rule: &WrapperRule, words: &[String]) -> Vec<String> {
    let mut values = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        for option in &rule.options {
            let is_short = option.len() == 2 && option.starts_with('-');
            let letter = option.get(1..).unwrap_or_default();
            let clustered = is_short
                && word.len() > 1
                && word.starts_with('-')
                && !word.starts_with("--")
                && word
                    .get(1..)
                    .unwrap_or_default()
                    .chars()
                    .all(|c| c.is_ascii_alphabetic())
                && word.contains(letter);
            if word.eq_ignore_ascii_case(option) || clustered {
                if option.eq_ignore_ascii_case("/c") {
                    values.push(words.get(at..).unwrap_or_default().join(" "));
                    return values;
                }
                // `bash -c -e 'x'`: options may stand between.
                let value = words.get(at..).unwrap_or_default();
                let value = value
                    .iter()
                    .position(|word| !is_option(word))
                    .map(|offset| at + offset);
                values.extend(value.and_then(|value| words.get(value)).cloned());
                at = value.map_or(at, |value| value + 1);
                break;
            }
            if let Some(value) = word.strip_prefix(option.as_str())
                && option.starts_with("--")
                && let Some(value) = value.strip_prefix('=')
            {
                values.push(value.to_owned());
                break;
            }
        }
    }
    values
}

fn is_option(word: &str) -> bool {
    let letters = word.strip_prefix(['-', '+']).unwrap_or_default();
    !letters.is_empty()
        && letters.len() < 12
        && letters.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
}

/// Returns the commands between `-exec` and its `;` or `+`, with the searched folders for `{}`.
fn exec_lists(rule: &WrapperRule, words: &[String]) -> Inner {
    let folders: Vec<String> = words
        .iter()
        .take_while(|word| !word.starts_with('-'))
        .filter(|word| word.len() < 256)
        .take(8)
        .cloned()
        .collect();
    let mut lists = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if !rule.options.contains(word) {
            continue;
        }
        let rest = words.get(at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|word| word == ";" || word == "+")
            .unwrap_or(rest.len());
        let list: Vec<String> = rest
            .iter()
            .take(length)
            .flat_map(|word| {
                // The bound keeps a hostile line from growing; nobody writes longer ones.
                if word.contains("{}") && word.len() < 256 {
                    folders
                        .iter()
                        .map(|folder| word.replace("{}", &format!("{folder}/*")))
                        .collect()
                } else {
                    vec![word.clone()]
                }
            })
            .collect();
        at += length;
        if !list.is_empty() {
            lists.push(list);
        }
    }
    if lists.is_empty() {
        Inner::Nothing
    } else {
        Inner::Commands(lists)
    }
}
