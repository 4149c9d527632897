//! Which files of a workspace differ from its base.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::error::GitError;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::workspace::area::Area;

/// Which files that git ignores are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    /// Those that no rule ignores, as `git add` would take them.
    Skip,
    /// All of them.
    Include,
}

/// The paths that differ from what was checked out: changed, deleted, new.
///
/// A path that ends in `/` is a directory with a git directory of its own, which git does not look
/// into.
pub(super) async fn differing(
    area: &Area,
    objects: &Objects,
    ignored: Ignored,
) -> Result<BTreeSet<Vec<u8>>, GitError> {
    let mut command =
        area.command(objects, &area.index())
            .args(["ls-files", "-z", "--modified", "--others"]);
    if ignored == Ignored::Skip {
        command = command.args(["--exclude-standard"]);
    }
    let listed = command.run().await?;
    Ok(listed
        .split(|b| *b == 0)
        .filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// Writes the tree that these paths make of the base, in a private copy of the index.
pub(super) async fn write_tree(
    area: &Area,
    objects: &Objects,
    paths: &BTreeSet<Vec<u8>>,
) -> Result<Oid, GitError> {
    if paths.is_empty() {
        return Ok(area.tree);
    }
    let index = PrivateIndex::copy_of(area).await?;
    let (gone, there) = sorted_out(area, paths).await?;
    for (paths, flags) in [
        (gone, &["--force-remove"][..]),
        (there, &["--add", "--remove", "--replace"]),
    ] {
        if paths.is_empty() {
            continue;
        }
        let mut input = paths.join(&0);
        input.push(0);
        area.command(objects, &index.path)
            .args(["update-index", "-z"])
            .args(flags)
            .args(["--stdin"])
            .stdin(input)
            .run()
            .await?;
    }
    let written = area
        .command(objects, &index.path)
        .args(["write-tree"])
        .run()
        .await?;
    Oid::from_hex(written.trim_ascii()).ok_or(GitError::Unexpected {
        command: "write-tree".to_owned(),
        what: "no object name in it",
    })
}

/// Separates paths that hold nothing any more from those that hold something.
///
/// A path whose directory has become a file or a link is gone, whatever lies behind the link.
async fn sorted_out(
    area: &Area,
    paths: &BTreeSet<Vec<u8>>,
) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), GitError> {
    let (root, paths) = (area.path(), paths.clone());
    blocking("look at", &area.path(), move || {
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for path in paths {
            let file = Path::new(OsStr::from_bytes(&path));
            let mut above = file
                .ancestors()
                .skip(1)
                .filter(|dir| !dir.as_os_str().is_empty());
            let reached = above.all(|dir| {
                std::fs::symlink_metadata(root.join(dir)).is_ok_and(|found| found.is_dir())
            });
            let holds = match std::fs::symlink_metadata(root.join(file)) {
                Err(error) if is_absent(&error) => false,
                found => {
                    found?;
                    true
                }
            };
            if reached && holds {
                there.push(path);
            } else {
                gone.push(path);
            }
        }
        Ok((gone, there))
    })
    .await
}

/// A copy of the workspace's index that goes with its use.
struct PrivateIndex {
    path: PathBuf,
}

impl PrivateIndex {
    async fn copy_of(area: &Area) -> Result<Self, GitError> {
        let path = area
            .dir()
            .join(format!("index-{}", pipeline_core::random::nonce()));
        let (from, to) = (area.index(), path.clone());
        blocking("copy the index of", area.dir(), move || {
            crate::index::copy(&from, &to)
        })
        .await?;
        Ok(Self { path })
    }
}

impl Drop for PrivateIndex {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "index left behind");
        }
    }
}

/// What the files at these paths add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// Adds up the files at these paths without reading them.
pub(super) async fn volume(area: &Area, paths: &BTreeSet<Vec<u8>>) -> Result<Volume, GitError> {
    let (root, paths) = (area.path(), paths.clone());
    blocking("measure", &area.path(), move || {
        let mut volume = Volume::default();
        for path in &paths {
            volume.files += 1;
            match std::fs::symlink_metadata(root.join(OsStr::from_bytes(path))) {
                Ok(found) if found.is_file() => volume.bytes += found.len(),
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(volume)
    })
    .await
}

/// Replaces each directory with a git directory of its own by the files in it.
pub(super) async fn open_nested(
    area: &Area,
    paths: BTreeSet<Vec<u8>>,
) -> Result<BTreeSet<Vec<u8>>, GitError> {
    if !paths.iter().any(|path| path.ends_with(b"/")) {
        return Ok(paths);
    }
    let root = area.path();
    blocking("read", &area.path(), move || {
        let mut opened = BTreeSet::new();
        for path in paths {
            match path.strip_suffix(b"/") {
                None => {
                    opened.insert(path);
                }
                Some(directory) => files_below(&root, directory, &mut opened)?,
            }
        }
        Ok(opened)
    })
    .await
}

/// Collects every file below a directory, git directories left out.
pub(super) fn files_below(
    root: &Path,
    directory: &[u8],
    files: &mut BTreeSet<Vec<u8>>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(OsStr::from_bytes(directory)))? {
        let entry = entry?;
        let name = entry.file_name().into_vec();
        if is_git(&name) {
            continue;
        }
        let path = if directory.is_empty() {
            name
        } else {
            [directory, b"/", &name].concat()
        };
        if entry.file_type()?.is_dir() {
            files_below(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// Tells whether a file name means a git directory on any file system.
pub(super) fn is_git(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b".git")
}

/// Tells whether the error means that there is nothing at the path.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
