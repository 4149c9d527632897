//! A wrapper of the team's own.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;

use super::Wrapped;
use super::reach::Access;
use super::reach::Network;
use super::reach::Right;
use super::reach::View;
use crate::process::error::WrapperError;

const COMMAND: &str = "{command}";

/// A command with placeholders, checked.
#[derive(Debug, Clone)]
pub(super) struct Template {
    program: String,
    words: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Workspace,
    Directory,
    Access,
    Network,
    Read,
    Command,
}

impl Template {
    pub(super) fn new(command: Vec<String>) -> Result<Self, WrapperError> {
        let mut words = command.into_iter();
        let program = words
            .next()
            .filter(|word| !word.is_empty())
            .ok_or(WrapperError::EmptyCommand)?;
        let mut words = words
            .map(|word| pieces(&word))
            .collect::<Result<Vec<_>, _>>()?;
        if !words.contains(&vec![Piece::Command]) {
            words.push(vec![Piece::Command]);
        }
        Ok(Self { program, words })
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Returns the program's last part, as the wrapper is called before people.
    pub(super) fn name(&self) -> &str {
        Path::new(&self.program)
            .file_name()
            .and_then(OsStr::to_str)
            .unwrap_or(&self.program)
    }

    /// Returns whether the command makes a difference between the two kinds of access.
    pub(super) fn names_access(&self) -> bool {
        self.words
            .iter()
            .flatten()
            .any(|piece| *piece == Piece::Access)
    }

    pub(super) fn wrapped(
        &self,
        program_of_wrapper: Option<&Path>,
        view: &View,
        directory: &Path,
        program: &Path,
        args: &[OsString],
    ) -> Wrapped {
        let mut all = Vec::new();
        for word in &self.words {
            if word.contains(&Piece::Command) {
                all.push(program.into());
                all.extend(args.iter().cloned());
            } else if word.contains(&Piece::Read) {
                all.extend(
                    view.having(Right::Read)
                        .map(|path| fill(word, view, directory, path)),
                );
            } else {
                all.push(fill(word, view, directory, Path::new("")));
            }
        }
        let program =
            program_of_wrapper.map_or_else(|| OsString::from(&self.program), OsString::from);
        Wrapped {
            program,
            args: all,
            namespaced: false,
        }
    }
}

fn fill(word: &[Piece], view: &View, directory: &Path, read: &Path) -> OsString {
    let mut filled = OsString::new();
    for piece in word {
        filled.push(match piece {
            Piece::Text(text) => OsStr::new(text),
            Piece::Workspace => view.workspace.as_os_str(),
            Piece::Directory => directory.as_os_str(),
            Piece::Access => OsStr::new(match view.access {
                Access::ReadOnly => "ro",
                Access::ReadWrite => "rw",
            }),
            Piece::Network => OsStr::new(match view.network {
                Network::Off => "off",
                Network::On => "on",
            }),
            Piece::Read => read.as_os_str(),
            Piece::Command => OsStr::new(""),
        });
    }
    filled
}

fn pieces(word: &str) -> Result<Vec<Piece>, WrapperError> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((text, after)) = rest.split_once('{') {
        let unknown = |name: &str| WrapperError::Placeholder {
            placeholder: format!("{{{name}"),
        };
        let (name, after) = after.split_once('}').ok_or_else(|| unknown(after))?;
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(match name {
            "workspace" => Piece::Workspace,
            "directory" => Piece::Directory,
            "access" => Piece::Access,
            "network" => Piece::Network,
            "read" => Piece::Read,
            // Many words cannot stand inside one.
            "command" if word == COMMAND => Piece::Command,
            _ => return Err(unknown(&format!("{name}}}"))),
        });
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}
