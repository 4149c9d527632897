//! Keeping unfinished work.

use crate::error::GitError;
use crate::object::NewCommit;
use crate::object::Signature;
use crate::oid::Kind;
use crate::refs;
use crate::workspace::area::Area;
use crate::workspace::capture;
use crate::workspace::parsed;

/// Keeps what differs from the base as a commit under a ref of its own.
pub(super) async fn salvage(area: &Area) -> Result<Option<String>, GitError> {
    let objects = area.objects()?;
    let Some(tree) = capture::whole_tree(area, &objects).await? else {
        return Ok(None);
    };
    let workspace = &area.record.workspace;
    // Named by its content, so that keeping the same twice makes one ref.
    let short: String = tree.hex().chars().take(12).collect();
    let name = format!("{}{}/{short}", refs::SALVAGE, workspace.run);
    if refs::find(&area.repository, &name).await?.is_some() {
        return Ok(Some(name));
    }
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let by = Signature {
        seconds,
        ..Signature::pipeline()
    };
    let parents = [parsed(&workspace.base.commit)];
    let message = format!("unfinished work on {} ({})", workspace.issue, workspace.run);
    let commit = NewCommit {
        tree,
        parents: &parents,
        author: &by,
        committer: &by,
        message: &message,
    };
    let commit = objects.write(Kind::Commit, commit.encode())?;
    objects.keep().await?;
    refs::set(&area.repository, &name, &commit, "unfinished work").await?;
    Ok(Some(name))
}
