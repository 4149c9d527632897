//! Targets: branches of the repository, by their short names.

use crate::refs;
use crate::repository::Repository;

/// Says what a person can do when a target does not exist.
pub(crate) async fn hint(repository: &Repository) -> String {
    let branches = match refs::list(repository, "refs/heads/").await {
        Ok(branches) => branches,
        Err(error) => {
            tracing::debug!(%error, "no branches for a hint");
            Vec::new()
        }
    };
    let names: Vec<_> = branches
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("refs/heads/"))
        .take(8)
        .collect();
    if names.is_empty() {
        "it has no branch with a commit yet; make the first commit".to_owned()
    } else {
        format!("its branches are {}", names.join(", "))
    }
}
