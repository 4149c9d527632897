//! What a patch makes of a tree: in this process where it fits exactly, by `git apply` where not.

use std::collections::BTreeMap;

use pipeline_core::patch::BlobId;
use pipeline_core::patch::ChangeKind;
use pipeline_core::patch::Content;
use pipeline_core::patch::FileMode;
use pipeline_core::patch::FilePatch;
use pipeline_core::patch::ParsedPatch;

use crate::error::GitError;
use crate::object::Change;
use crate::object::Entry;
use crate::object::Mode;
use crate::object::Objects;
use crate::oid::Kind;
use crate::oid::Oid;

/// What happens to each touched path.
pub(crate) type Changes = BTreeMap<Vec<u8>, Change>;

/// Whether a patch fits a tree.
#[derive(Debug)]
pub(crate) enum Fit {
    Changes(Changes),
    /// Which file, and why not.
    No(String),
}

/// Finds what a patch makes of a tree; new blobs are staged in `objects`.
///
/// A patch whose every old blob is the one in the tree is applied here, byte by byte, and believed
/// only if each result has the name the patch announces. Anything else is left to `git apply`, on
/// an index of the touched paths only.
pub(crate) async fn fit(
    objects: &Objects,
    tree: &Oid,
    patch: &ParsedPatch<'_>,
    bytes: &[u8],
    three_way: bool,
) -> Result<Fit, GitError> {
    if let Some(changes) = exactly(objects, tree, patch).await? {
        return Ok(Fit::Changes(changes));
    }
    by_git(objects, tree, patch, bytes, three_way).await
}

/// Applies a patch that fits without any search; `None` when it does not.
async fn exactly(
    objects: &Objects,
    tree: &Oid,
    patch: &ParsedPatch<'_>,
) -> Result<Option<Changes>, GitError> {
    let mut changes = Changes::new();
    for file in patch.files() {
        let old = match &file.old_path {
            None => None,
            Some(path) => match objects.entry(tree, path.as_bytes()).await? {
                Some(entry) if fits(file, &entry) => Some(entry),
                _ => return Ok(None),
            },
        };
        if file.kind != ChangeKind::Modified
            && let Some(path) = &file.new_path
            && let Some(found) = objects.entry(tree, path.as_bytes()).await?
            // A directory may make room for it, which splicing finds out.
            && !found.mode.is_tree()
        {
            return Ok(None);
        }
        if let Some(path) = &file.new_path {
            let Some(oid) = result(objects, file, old.as_ref()).await? else {
                return Ok(None);
            };
            let kept = old.as_ref().map(|entry| entry.mode);
            let mode = match file.new_mode {
                Some(FileMode::Executable) => Mode::EXECUTABLE,
                Some(FileMode::Regular) => Mode::FILE,
                Some(_) => return Ok(None),
                None => kept.unwrap_or(Mode::FILE),
            };
            changes.insert(path.as_bytes().to_vec(), Change::Put { mode, oid });
        }
        if matches!(file.kind, ChangeKind::Deleted | ChangeKind::Renamed)
            && let Some(path) = &file.old_path
        {
            // Another file may be put where this one was.
            changes
                .entry(path.as_bytes().to_vec())
                .or_insert(Change::Delete);
        }
    }
    Ok(Some(changes))
}

/// Tells whether the tree has exactly what the patch starts from.
fn fits(file: &FilePatch<'_>, entry: &Entry) -> bool {
    let same_mode = match file.old_mode {
        None => entry.mode.is_file(),
        Some(mode) => entry.mode == Mode(mode.number()),
    };
    let same_content = match &file.old_id {
        None => matches!(file.content, Content::Unchanged),
        Some(id) => is(id, &entry.oid),
    };
    entry.mode.is_file() && same_mode && same_content
}

fn is(id: &BlobId, oid: &Oid) -> bool {
    id.as_str() == oid.hex()
}

/// Makes the new content of a file; `None` when it is not what the patch announces.
async fn result(
    objects: &Objects,
    file: &FilePatch<'_>,
    old: Option<&Entry>,
) -> Result<Option<Oid>, GitError> {
    if let (Content::Unchanged, Some(entry)) = (&file.content, old) {
        return Ok(Some(entry.oid));
    }
    let before = match old {
        Some(entry) => objects.blob(&entry.oid).await?,
        None => Vec::new().into(),
    };
    file.applied_to(&before)
        .map(|content| objects.write(Kind::Blob, content))
        .transpose()
}

/// Applies a patch by git itself, on an index that holds nothing but the touched paths.
async fn by_git(
    objects: &Objects,
    tree: &Oid,
    patch: &ParsedPatch<'_>,
    bytes: &[u8],
    three_way: bool,
) -> Result<Fit, GitError> {
    let mut before = BTreeMap::new();
    for path in paths_of(patch) {
        if let Some(entry) = objects.entry(tree, &path).await?
            && !entry.mode.is_tree()
        {
            before.insert(path, (entry.mode, entry.oid));
        }
    }
    objects.stage().await?;
    let index = objects.scratch("index");
    let command = || objects.plumbing().index(&index);
    let mut info = Vec::new();
    for (path, (mode, oid)) in &before {
        info.extend_from_slice(format!("{:o} {oid} 0\t", mode.0).as_bytes());
        info.extend_from_slice(path);
        info.push(0);
    }
    command()
        .args(["update-index", "-z", "--add", "--index-info"])
        .stdin(info)
        .run()
        .await?;
    let mut apply = command().args(["apply", "--cached", "--whitespace=nowarn"]);
    if three_way {
        apply = apply.args(["--3way"]);
    }
    let applied = apply.args(["-"]).stdin(bytes).finish().await?;
    match applied.code {
        Some(0) => {}
        Some(1) => return Ok(Fit::No(reason(&applied.stderr))),
        _ => return Err(applied.failure("apply --cached")),
    }
    let listed = command().args(["ls-files", "--stage", "-z"]).run().await?;
    let after = crate::parse::staged(&listed).ok_or(GitError::Unexpected {
        command: "ls-files --stage".to_owned(),
        what: "a malformed line",
    })?;
    let mut changes = Changes::new();
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        changes.insert(path.clone(), Change::Delete);
    }
    for (path, (mode, oid)) in after {
        if before.get(&path) != Some(&(mode, oid)) {
            changes.insert(path, Change::Put { mode, oid });
        }
    }
    Ok(Fit::Changes(changes))
}

/// Returns every path a patch names, on either side.
fn paths_of(patch: &ParsedPatch<'_>) -> Vec<Vec<u8>> {
    let sides = patch
        .files()
        .iter()
        .flat_map(|file| [&file.old_path, &file.new_path]);
    sides
        .flatten()
        .map(|path| path.as_bytes().to_vec())
        .collect()
}

/// Returns the first lines of what git said, for the rework memo.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .take(5)
        .collect();
    if lines.is_empty() {
        "git gives no reason".to_owned()
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests;
