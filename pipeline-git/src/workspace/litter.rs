//! What has to go before the files of a workspace are compared: litter and nested git directories.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Component;
use std::path::Path;

use pipeline_core::footprint::encode_readable;

use crate::error::GitError;
use crate::object::Objects;
use crate::object::blocking;
use crate::workspace::area::Area;
use crate::workspace::changes::Ignored;
use crate::workspace::changes::differing;
use crate::workspace::changes::is_absent;

/// How often nested git directories are looked for; each pass opens one more level.
const PASSES: usize = 16;

/// Removes named litter that the base does not have; returns what went.
///
/// Only plain relative names are followed, and no link on the way to them.
pub(super) async fn remove_litter(
    area: &Area,
    objects: &Objects,
    litter: &[String],
) -> Result<Vec<String>, GitError> {
    let mut removed = Vec::new();
    for name in litter {
        let path = Path::new(name);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.is_empty() {
            tracing::warn!(name, "not a relative path, so it is not removed as litter");
            continue;
        }
        let clean: std::path::PathBuf = path.components().collect();
        if area
            .entry(objects, clean.as_os_str().as_bytes())
            .await?
            .is_some()
        {
            continue;
        }
        let root = area.path();
        let gone = blocking("remove litter in", &area.path(), move || {
            if leads_through_link(&root, &clean) {
                Ok(false)
            } else {
                remove_any(&root.join(clean))
            }
        })
        .await?;
        if gone {
            removed.push(name.clone());
        }
    }
    Ok(removed)
}

/// Turns nested repositories into ordinary directories, so that their files are part of the patch;
/// returns the differing paths and what went.
///
/// git would record such a directory as a link to a commit that nobody else has.
pub(super) async fn remove_nested_git(
    area: &Area,
    objects: &Objects,
) -> Result<(BTreeSet<Vec<u8>>, Vec<String>), GitError> {
    let mut removed = Vec::new();
    for _ in 0..PASSES {
        let paths = differing(area, objects, Ignored::Skip).await?;
        let nested: Vec<_> = paths
            .iter()
            .filter(|path| path.ends_with(b"/"))
            .cloned()
            .collect();
        if nested.is_empty() {
            return Ok((paths, removed));
        }
        let root = area.path();
        let gone = blocking(
            "remove a nested git directory in",
            &area.path(),
            move || {
                let mut gone = Vec::new();
                for directory in nested {
                    let git = Path::new(OsStr::from_bytes(&directory)).join(".git");
                    if !leads_through_link(&root, &git) && remove_any(&root.join(&git))? {
                        gone.push(encode_readable(git.as_os_str().as_bytes()));
                    }
                }
                Ok(gone)
            },
        )
        .await?;
        if gone.is_empty() {
            break;
        }
        removed.extend(gone);
    }
    Err(GitError::Unexpected {
        command: "ls-files --others".to_owned(),
        what: "nested git directories that cannot be removed",
    })
}

/// Tells whether a directory on the way to the path is a link.
fn leads_through_link(root: &Path, relative: &Path) -> bool {
    relative
        .ancestors()
        .skip(1)
        .filter(|part| !part.as_os_str().is_empty())
        .any(|part| root.join(part).is_symlink())
}

/// Removes a file, a link or a whole directory; tells whether there was one.
///
/// Directories that were made unreadable are made readable first.
pub(crate) fn remove_any(path: &Path) -> io::Result<bool> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(false),
        found => found?,
    };
    if !found.is_dir() {
        return std::fs::remove_file(path).map(|()| true);
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            std::fs::remove_dir_all(path).map(|()| true)
        }
        done => done.map(|()| true),
    }
}

fn make_writable(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
