//! From the files of a workspace to a patch, to a salvage commit, to a digest.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pipeline_core::footprint::encode_readable;
use pipeline_core::workspace::Captured;
use pipeline_core::workspace::Patch;
use sha2::Digest as _;
use sha2::Sha256;

use crate::error::GitError;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::workspace::area::Area;
use crate::workspace::changes::Ignored;
use crate::workspace::changes::differing;
use crate::workspace::changes::is_absent;
use crate::workspace::changes::open_nested;
use crate::workspace::changes::volume;
use crate::workspace::changes::write_tree;
use crate::workspace::litter::remove_litter;
use crate::workspace::litter::remove_nested_git;

/// How much larger than its patch the changed files may be before they are even read.
const UNPACKED: u64 = 64;

/// What a capture came to.
pub(super) enum Capture {
    Whole(Captured),
    /// More differs than a patch may hold.
    TooLarge,
}

/// Makes the patch of everything that differs from the base.
///
/// Nothing of it enters the repository: blobs and trees are written in a quarantine that goes when
/// this returns, and the patch alone carries the work on.
pub(super) async fn capture(
    area: &Area,
    litter: &[String],
    limit: u64,
) -> Result<Capture, GitError> {
    let objects = area.objects()?;
    let mut removed = remove_litter(area, &objects, litter).await?;
    let (paths, nested) = remove_nested_git(area, &objects).await?;
    removed.extend(nested);
    difference(area, &objects, &paths, limit, removed).await
}

/// Makes the same patch while an agent may be writing, and removes nothing.
pub(super) async fn peek(area: &Area, limit: u64) -> Result<Capture, GitError> {
    let objects = area.objects()?;
    let paths = differing(area, &objects, Ignored::Skip).await?;
    let paths = open_nested(area, paths).await?;
    difference(area, &objects, &paths, limit, Vec::new()).await
}

async fn difference(
    area: &Area,
    objects: &Objects,
    paths: &BTreeSet<Vec<u8>>,
    limit: u64,
    removed: Vec<String>,
) -> Result<Capture, GitError> {
    if volume(area, paths).await?.bytes > limit.saturating_mul(UNPACKED) {
        return Ok(Capture::TooLarge);
    }
    let tree = write_tree(area, objects, paths).await?;
    let cap = usize::try_from(limit).unwrap_or(usize::MAX);
    let patch = match objects.diff(&area.tree, &tree, cap).await {
        Err(GitError::Flooded { .. }) => return Ok(Capture::TooLarge),
        patch => patch?,
    };
    let touched = objects.changed_paths(&area.tree, &tree).await?;
    let touched = touched.iter().map(|path| encode_readable(path)).collect();
    Ok(Capture::Whole(Captured {
        patch: Patch::new(patch),
        touched,
        removed,
    }))
}

/// Writes the tree of everything that differs from the base; `None` when nothing does.
///
/// Removes nothing: nested repositories are opened instead.
pub(super) async fn whole_tree(area: &Area, objects: &Objects) -> Result<Option<Oid>, GitError> {
    let paths = differing(area, objects, Ignored::Skip).await?;
    let paths = open_nested(area, paths).await?;
    let tree = write_tree(area, objects, &paths).await?;
    Ok((tree != area.tree).then_some(tree))
}

/// Returns a digest over every file, ignored ones included.
///
/// Only files that differ from the checkout are read: what git knows to be unchanged is covered by
/// the name of the base tree.
pub(super) async fn digest(area: &Area) -> Result<String, GitError> {
    let objects = area.objects()?;
    let paths = differing(area, &objects, Ignored::Include).await?;
    let paths = open_nested(area, paths).await?;
    let (root, base) = (area.path(), area.tree);
    blocking("read", &area.path(), move || {
        digest_of(&root, &base, &paths)
    })
    .await
}

fn digest_of(root: &Path, base: &Oid, paths: &BTreeSet<Vec<u8>>) -> std::io::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut digest = Sha256::new();
    let mut field = |bytes: &[u8]| {
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(bytes);
    };
    field(base.as_bytes());
    for path in paths {
        let file = root.join(OsStr::from_bytes(path));
        let found = match std::fs::symlink_metadata(&file) {
            Err(error) if is_absent(&error) => {
                field(path);
                field(b"gone");
                continue;
            }
            found => found?,
        };
        field(path);
        if found.is_symlink() {
            field(b"link");
            field(std::fs::read_link(&file)?.as_os_str().as_bytes());
        } else if found.is_file() {
            field(if found.permissions().mode() & 0o111 == 0 {
                b"file"
            } else {
                b"executable"
            });
            field(&sha256_of(&file)?);
        } else {
            field(b"other");
        }
    }
    Ok(hex::encode(digest.finalize()))
}

fn sha256_of(file: &Path) -> std::io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut from = std::fs::File::open(file)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
