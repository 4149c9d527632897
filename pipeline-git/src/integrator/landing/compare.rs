//! What a checkout has at the touched paths, in its index and on disk.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::GitError;
use crate::integrator::landing::checkouts::Checkout;
use crate::integrator::landing::checkouts::Filters;
use crate::object::Mode;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::repository::Repository;

/// What a tree has at a path.
pub(crate) type Content = Option<(Mode, Oid)>;

/// What is on disk at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDisk {
    Nothing,
    File(Mode, Oid),
    /// A link, a directory or anything else that is no ordinary file, here or on the way.
    Other,
}

/// What the index has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InIndex {
    Nothing,
    Entry {
        content: (Mode, Oid),
        /// The path is left out of this checkout on purpose.
        skipped: bool,
    },
    /// Unmerged, or a directory.
    Other,
}

/// Both sides of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) index: InIndex,
    pub(crate) disk: OnDisk,
}

impl State {
    /// Tells whether index and file hold exactly this.
    pub(crate) fn holds(&self, content: Content) -> bool {
        let index = match self.index {
            InIndex::Nothing => content.is_none(),
            InIndex::Entry { content: found, .. } => content == Some(found),
            InIndex::Other => false,
        };
        index && self.disk_holds(content)
    }

    /// Tells whether the file holds exactly this, or is left out of the checkout on purpose.
    pub(crate) fn disk_holds(&self, content: Content) -> bool {
        match (self.disk, content) {
            (OnDisk::Nothing, None) => true,
            (OnDisk::Nothing, Some(_)) => {
                matches!(self.index, InIndex::Entry { skipped: true, .. })
            }
            (OnDisk::File(mode, oid), Some(content)) => (mode, oid) == content,
            _ => false,
        }
    }
}

/// Returns what a tree has at each path.
pub(crate) async fn contents(
    objects: &Objects,
    tree: &Oid,
    paths: &[Vec<u8>],
) -> Result<Vec<Content>, GitError> {
    let mut contents = Vec::with_capacity(paths.len());
    for path in paths {
        let entry = objects
            .entry(tree, path)
            .await?
            .filter(|entry| !entry.mode.is_tree());
        contents.push(entry.map(|entry| (entry.mode, entry.oid)));
    }
    Ok(contents)
}

/// Looks at each path of a checkout, under the given index.
pub(crate) async fn look(
    repository: &Repository,
    checkout: &Checkout,
    filters: &Filters,
    index: &Path,
    paths: &[Vec<u8>],
) -> Result<Vec<State>, GitError> {
    let in_index = in_index(repository, checkout, filters, index, paths).await?;
    let on_disk = on_disk(repository, checkout, filters, paths).await?;
    Ok(in_index
        .into_iter()
        .zip(on_disk)
        .map(|(index, disk)| State { index, disk })
        .collect())
}

async fn in_index(
    repository: &Repository,
    checkout: &Checkout,
    filters: &Filters,
    index: &Path,
    paths: &[Vec<u8>],
) -> Result<Vec<InIndex>, GitError> {
    let listed = checkout
        .command(repository, filters)
        .index(index)
        .args(["ls-files", "-z", "-t", "--stage", "--"])
        .args(paths.iter().map(|path| OsStr::from_bytes(path)))
        .run()
        .await?;
    let entries = tagged(&listed).ok_or(GitError::Unexpected {
        command: "ls-files --stage".to_owned(),
        what: "a malformed line",
    })?;
    let folders: BTreeSet<&[u8]> = entries.keys().flat_map(|path| folders(path)).collect();
    Ok(paths
        .iter()
        .map(|path| match entries.get(path) {
            Some(found) => *found,
            // Whether the files below it go with the same landing is not known here.
            None if folders.contains(path.as_slice())
                && !paths.iter().any(|other| is_below(other, path)) =>
            {
                InIndex::Other
            }
            None => InIndex::Nothing,
        })
        .collect())
}

fn folders(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter()
        .enumerate()
        .filter(|(_, b)| **b == b'/')
        .filter_map(|(at, _)| path.get(..at))
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// Reads `git ls-files -z -t --stage`.
fn tagged(listed: &[u8]) -> Option<BTreeMap<Vec<u8>, InIndex>> {
    let mut entries = BTreeMap::new();
    for record in listed
        .split(|b| *b == 0)
        .filter(|record| !record.is_empty())
    {
        let tab = record.iter().position(|b| *b == b'\t')?;
        let (head, path) = record.split_at(tab);
        let mut words = head.split(|b| *b == b' ');
        let tag = words.next()?;
        let mode = Mode::parse(words.next()?)?;
        let oid = Oid::from_hex(words.next()?)?;
        let found = match words.next()? {
            b"0" => InIndex::Entry {
                content: (mode, oid),
                skipped: tag == b"S",
            },
            _ => InIndex::Other,
        };
        entries.insert(path.get(1..)?.to_vec(), found);
    }
    Some(entries)
}

async fn on_disk(
    repository: &Repository,
    checkout: &Checkout,
    filters: &Filters,
    paths: &[Vec<u8>],
) -> Result<Vec<OnDisk>, GitError> {
    let (root, wanted) = (checkout.path.clone(), paths.to_vec());
    let kinds = blocking("look into", &checkout.path, move || {
        wanted
            .iter()
            .map(|path| kind_of(&root, path))
            .collect::<std::io::Result<Vec<_>>>()
    })
    .await?;
    let mut input = Vec::new();
    for (path, _) in paths
        .iter()
        .zip(&kinds)
        .filter(|(_, kind)| matches!(kind, FileKind::File(_)))
    {
        input.extend(line_of(path));
    }
    let mut names = Vec::new();
    if !input.is_empty() {
        let answer = checkout
            .command(repository, filters)
            .args(["hash-object", "--stdin-paths"])
            .stdin(input)
            .run()
            .await?;
        names.extend(answer.split(|b| *b == b'\n').filter_map(Oid::from_hex));
    }
    let mut names = names.into_iter();
    kinds
        .into_iter()
        .map(|kind| match kind {
            FileKind::Nothing => Ok(OnDisk::Nothing),
            // A file that goes with the same landing, and is looked at there, makes room.
            FileKind::Blocked(by) if paths.contains(&by) => Ok(OnDisk::Nothing),
            FileKind::Folder(path) if paths.iter().any(|other| is_below(other, &path)) => {
                Ok(OnDisk::Nothing)
            }
            FileKind::Blocked(_) | FileKind::Folder(_) | FileKind::Other => Ok(OnDisk::Other),
            FileKind::File(mode) => {
                names
                    .next()
                    .map(|oid| OnDisk::File(mode, oid))
                    .ok_or(GitError::Unexpected {
                        command: "hash-object --stdin-paths".to_owned(),
                        what: "fewer names than files",
                    })
            }
        })
        .collect()
}

enum FileKind {
    Nothing,
    File(Mode),
    Folder(Vec<u8>),
    Other,
    /// What lies on the way is no directory.
    Blocked(Vec<u8>),
}

fn kind_of(root: &Path, path: &[u8]) -> std::io::Result<FileKind> {
    for folder in folders(path) {
        match std::fs::symlink_metadata(root.join(OsStr::from_bytes(folder))) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(FileKind::Blocked(folder.to_vec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(FileKind::Nothing);
            }
            Err(error) => return Err(error),
        }
    }
    match std::fs::symlink_metadata(root.join(OsStr::from_bytes(path))) {
        Ok(found) if found.is_file() => {
            let executable = found.permissions().mode() & 0o100 != 0;
            Ok(FileKind::File(if executable {
                Mode::EXECUTABLE
            } else {
                Mode::FILE
            }))
        }
        Ok(found) if found.is_dir() => Ok(FileKind::Folder(path.to_vec())),
        Ok(_) => Ok(FileKind::Other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FileKind::Nothing),
        Err(error) => Err(error),
    }
}

/// Writes a path as one line of `--stdin-paths`: quoted where it would not be read as it is.
fn line_of(path: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(path.len() + 1);
    if path.first() == Some(&b'"') || path.contains(&b'\n') {
        line.push(b'"');
        for byte in path {
            match byte {
                b'"' | b'\\' => line.extend([b'\\', *byte]),
                b'\n' => line.extend(b"\\n"),
                _ => line.push(*byte),
            }
        }
        line.push(b'"');
    } else {
        line.extend_from_slice(path);
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_git_survive_quotes_and_newlines() {
        assert_eq!(line_of(b"plain name"), b"plain name\n");
        assert_eq!(line_of(b"\"q\""), b"\"\\\"q\\\"\"\n");
        assert_eq!(line_of(b"a\nb\\"), b"\"a\\nb\\\\\"\n");
    }

    #[test]
    fn folders_and_what_lies_below_them() {
        assert_eq!(folders(b"a/b/c").collect::<Vec<_>>(), [&b"a"[..], b"a/b"]);
        assert!(is_below(b"a/b", b"a") && !is_below(b"ab", b"a") && !is_below(b"a", b"a"));
    }

    #[test]
    fn index_lines_tell_skipped_and_unmerged_entries() {
        let oid = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        let listed = format!("H 100644 {oid} 0\ta\0S 100755 {oid} 0\tb\0M 100644 {oid} 2\tc\0");
        let read = tagged(listed.as_bytes()).expect("well formed");
        assert!(matches!(
            read[&b"a"[..]],
            InIndex::Entry { skipped: false, .. }
        ));
        assert!(matches!(
            read[&b"b"[..]],
            InIndex::Entry { skipped: true, .. }
        ));
        assert_eq!(read[&b"c"[..]], InIndex::Other);
        assert_eq!(tagged(b"H 100644\ta\0"), None);
    }
}
