//! What a confined child may see and change.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::path::PathBuf;

use super::Wrapper;
use crate::process::error::WrapperError;

/// Says what a child may do with its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// It may look.
    ReadOnly,
    /// It may look and change.
    ReadWrite,
}

/// Says whether a child has the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Not even the machine's own loopback.
    Off,
    /// All of it.
    On,
}

/// Says what one child may reach beyond what its [`Wrapper`] shows to all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Reach {
    pub(super) workspace: PathBuf,
    pub(super) access: Access,
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
}

impl Reach {
    /// Lets the child see `workspace`, and change it or not.
    pub fn new(workspace: impl Into<PathBuf>, access: Access) -> Self {
        Self {
            workspace: workspace.into(),
            access,
            read: Vec::new(),
            write: Vec::new(),
        }
    }

    /// Lets the child read one more path.
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// Lets the child change one more path.
    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.push(path.into());
        self
    }
}

/// What is done with one path, in the order of which wins where two name the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Hidden,
    Read,
    Write,
}

/// A wrapper and a reach put together: absolute paths without links, outer ones before inner ones.
#[derive(Debug)]
pub(super) struct View {
    pub(super) workspace: PathBuf,
    pub(super) access: Access,
    pub(super) network: Network,
    pub(super) paths: Vec<(PathBuf, Right)>,
}

impl View {
    pub(super) fn new(wrapper: &Wrapper, reach: &Reach) -> Result<Self, WrapperError> {
        let workspace = real(&reach.workspace)?;
        let own = match reach.access {
            Access::ReadOnly => Right::Read,
            Access::ReadWrite => Right::Write,
        };
        // The workspace comes first, so that its own right stands even if another list names it too.
        let mut paths = vec![(workspace.clone(), own)];
        let named = reach.write.iter().map(|path| (path, Right::Write));
        let named = named.chain(
            reach
                .read
                .iter()
                .chain(&wrapper.read)
                .map(|path| (path, Right::Read)),
        );
        for (path, right) in named {
            let path = real(path)?;
            if paths.iter().all(|(known, _)| *known != path) {
                paths.push((path, right));
            }
        }
        for path in &wrapper.hidden {
            // What is not there needs no hiding, and a home folder of `/` cannot be hidden as a whole.
            let Ok(path) = fs::canonicalize(path) else {
                continue;
            };
            if path.parent().is_none() {
                continue;
            }
            if paths
                .iter()
                .any(|(known, right)| *known == path && *right != Right::Hidden)
            {
                return Err(WrapperError::Hidden { path });
            }
            paths.push((path, Right::Hidden));
        }
        paths.sort_by(|(one, _), (other, _)| {
            one.components()
                .count()
                .cmp(&other.components().count())
                .then_with(|| one.cmp(other))
        });
        paths.dedup();
        Ok(Self {
            workspace,
            access: reach.access,
            network: wrapper.network,
            paths,
        })
    }

    /// Returns the paths with one right.
    pub(super) fn having(&self, right: Right) -> impl Iterator<Item = &Path> {
        self.paths
            .iter()
            .filter(move |(_, has)| *has == right)
            .map(|(path, _)| path.as_path())
    }

    /// Returns where a folder is inside, if it is shown.
    pub(super) fn shown(&self, path: &Path) -> Result<PathBuf, WrapperError> {
        let path = real(path)?;
        if self.shows(&path, &[]) {
            Ok(path)
        } else {
            Err(WrapperError::Invisible { path })
        }
    }

    /// Checks that a program's own name and the file behind it are both shown.
    pub(super) fn check_program(
        &self,
        program: &Path,
        system: &[&str],
    ) -> Result<(), WrapperError> {
        let name = match (program.parent(), program.file_name()) {
            (Some(folder), Some(name)) => real(folder)?.join(name),
            _ => program.to_owned(),
        };
        let file = real(program)?;
        match [name, file]
            .into_iter()
            .find(|path| !self.shows(path, system))
        {
            Some(path) => Err(WrapperError::Invisible { path }),
            None => Ok(()),
        }
    }

    fn shows(&self, path: &Path, system: &[&str]) -> bool {
        // The innermost path that holds it decides.
        match self
            .paths
            .iter()
            .rev()
            .find(|(known, _)| path.starts_with(known))
        {
            Some((_, right)) => *right != Right::Hidden,
            None => system.iter().any(|known| path.starts_with(known)),
        }
    }
}

/// Returns an existing path without links.
fn real(path: &Path) -> Result<PathBuf, WrapperError> {
    if !path.is_absolute() || has_control(path.as_os_str()) {
        return Err(WrapperError::Unwritable {
            path: path.to_owned(),
        });
    }
    let path = fs::canonicalize(path).map_err(|source| WrapperError::Path {
        path: path.to_owned(),
        source,
    })?;
    if has_control(path.as_os_str()) {
        Err(WrapperError::Unwritable { path })
    } else {
        Ok(path)
    }
}

fn has_control(path: &OsStr) -> bool {
    path.as_bytes().iter().any(u8::is_ascii_control)
}
